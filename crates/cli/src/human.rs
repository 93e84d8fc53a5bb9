//! Instants and lengths as people read them.

use daypass_core::time::{Span, Timestamp};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A length, as coarse as people care: `3d4h`, `1h05m`, `42m`, `37s`.
pub(crate) fn span(span: Span) -> String {
    let micros = span.micros();
    let (days, hours) = (micros / DAY, micros % DAY / HOUR);
    let (minutes, seconds) = (micros % HOUR / MINUTE, micros % MINUTE / SECOND);
    match micros {
        DAY.. if hours == 0 => format!("{days}d"),
        DAY.. => format!("{days}d{hours}h"),
        HOUR.. if minutes == 0 => format!("{hours}h"),
        HOUR.. => format!("{hours}h{minutes:02}m"),
        // The last minutes count.
        MINUTE.. if minutes < 5 && seconds > 0 => format!("{minutes}m{seconds:02}s"),
        MINUTE.. => format!("{minutes}m"),
        _ => format!("{seconds}s"),
    }
}

/// How long until then: `42m left`, or that it has passed.
pub(crate) fn left(until: Timestamp, now: Timestamp) -> String {
    if until <= now {
        String::from("over")
    } else {
        format!("{} left", span(until.since(now)))
    }
}

/// How long ago that was.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let past = now.since(at);
    if past < Span::seconds(5) {
        String::from("just now")
    } else {
        format!("{} ago", span(past))
    }
}

/// An instant to the second, in UTC.
pub(crate) fn instant(at: Timestamp) -> String {
    let whole = Timestamp::from_micros(at.micros() / 1_000_000 * 1_000_000);
    whole.to_string().replace('T', " ")
}

/// `1 grant`, `2 grants`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_coarse() {
        for (length, expect) in [
            (Span::ZERO, "0s"),
            (Span::seconds(37), "37s"),
            (Span::seconds(90), "1m30s"),
            (Span::minutes(2), "2m"),
            (Span::seconds(42 * 60 + 7), "42m"),
            (Span::minutes(65), "1h05m"),
            (Span::hours(2), "2h"),
            (Span::hours(76), "3d4h"),
            (Span::hours(48), "2d"),
        ] {
            assert_eq!(span(length), expect);
        }
    }

    #[test]
    fn instants_are_to_the_second() {
        let at: Timestamp = "2026-03-07T21:10:09.123456Z".parse().unwrap();
        assert_eq!(instant(at), "2026-03-07 21:10:09Z");
        assert_eq!(left(at, at), "over");
        assert_eq!(left(at + Span::minutes(6), at), "6m left");
        assert_eq!(ago(at, at + Span::hours(1)), "1h ago");
        assert_eq!(ago(at, at), "just now");
    }
}
