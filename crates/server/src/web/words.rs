//! How spans and instants are said on pages: in words for people, and exactly beside them.

use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};

/// An instant, for a page.
#[derive(Debug, Clone)]
pub(super) struct When {
    /// As programs read it.
    pub(super) exact: String,
    /// `Nov 22, 14:05 UTC`.
    pub(super) shown: String,
    /// `in 32 min`, `3 h ago`.
    pub(super) from_now: String,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let from_now = if at > now {
            format!("in {}", length(at.since(now)))
        } else {
            format!("{} ago", length(now.since(at)))
        };
        Self {
            exact: at.to_string(),
            shown: shown(at),
            from_now,
        }
    }
}

/// Two of the largest units at most: nobody reads more of a length.
pub(super) fn length(span: Span) -> String {
    let seconds = span.to_std().as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A day, and the time of it where it is not midnight.
pub(super) fn day(at: Timestamp) -> String {
    let micros = at.micros();
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    let form = if micros.rem_euclid(86_400_000_000) == 0 {
        "%b %-d, %Y"
    } else {
        "%b %-d, %H:%M UTC"
    };
    at.strftime(form).to_string()
}

fn shown(at: Timestamp) -> String {
    let micros = at.micros();
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    at.strftime("%b %-d, %H:%M UTC").to_string()
}

/// So many of something.
pub(super) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Whether somebody may copy this within a command: a link may have brought anything, and a terminal does more with it than show it. Names alone,
/// and what is written with names: `a=b`, `a/b`, `a:b`.
pub(super) fn is_named(text: &str) -> bool {
    text.split(['=', '/', ':'])
        .all(|part| part.parse::<Name>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_holds_names_alone() {
        for good in ["ana", "orders/read", "group:ops", "env=prod", "env:prod/writer"] {
            assert!(is_named(good), "{good}");
        }
        for bad in [
            "",
            "ana; rm -rf ~",
            "$(x)",
            "`x`",
            "a b",
            "a/",
            "=",
            "--flag",
            "a\nb",
            "'",
            "ana\u{202e}",
            "|sh",
        ] {
            assert!(!is_named(bad), "{bad}");
        }
    }

    #[test]
    fn one_is_said_as_one() {
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(0, "record"), "0 records");
    }

    #[test]
    fn lengths_are_said_in_two_units_at_most() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (5_430, "1 h 30 min"),
            (86_400, "1 d"),
            (100_000, "1 d 3 h"),
        ] {
            assert_eq!(length(Span::seconds(seconds)), said);
        }
    }

    #[test]
    fn an_instant_is_said_from_now_and_exactly() {
        let now = Timestamp::from_micros(1_795_356_300_000_000);
        let later = When::new(now + Span::minutes(32), now);
        assert_eq!(later.from_now, "in 32 min");
        let before = When::new(now - Span::hours(3), now);
        assert_eq!(before.from_now, "3 h ago");
        assert!(
            before.shown.ends_with("UTC") && before.exact.ends_with('Z'),
            "{before:?}"
        );
    }
}
