//! How spans and instants are said on pages: in words for people, and exactly beside them.

use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};

use super::failed::Failed;

/// An instant, for a page.
#[derive(Debug, Clone)]
pub(super) struct When {
    /// As programs read it.
    pub(super) exact: String,
    /// `Nov 22, 14:05 UTC`; with the year where it is not this one.
    pub(super) shown: String,
    /// `in 32 min`, `3 h ago`.
    pub(super) from_now: String,
    /// `32 min`, or `none` once it has passed.
    pub(super) left: String,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let (from_now, left) = if at > now {
            let left = length(at.since(now));
            (format!("in {left}"), left)
        } else {
            (format!("{} ago", length(now.since(at))), String::from("none"))
        };
        Self {
            exact: at.to_string(),
            shown: shown(at, now),
            from_now,
            left,
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
        "%b %-d, %Y, %H:%M UTC"
    };
    at.strftime(form).to_string()
}

fn shown(at: Timestamp, now: Timestamp) -> String {
    let civil = |at: Timestamp| {
        let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or_default();
        at.to_zoned(jiff::tz::TimeZone::UTC)
    };
    let (at, now) = (civil(at), civil(now));
    let form = if at.year() == now.year() {
        "%b %-d, %H:%M UTC"
    } else {
        "%b %-d, %Y, %H:%M UTC"
    };
    at.strftime(form).to_string()
}

/// So many of something: `1 review`, `2 reviews`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A day as a form has it, from its first instant on.
pub(super) fn midnight(day: &str) -> Result<Timestamp, Failed> {
    let midnight = format!("{}T00:00:00Z", day.trim()).parse();
    midnight.map_err(|_| Failed::invalid("a day is written as 2026-11-22"))
}

/// The instant behind the last one of a day as a form has it.
pub(super) fn day_over(day: &str) -> Result<Timestamp, Failed> {
    Ok(midnight(day)? + Span::hours(24))
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
        assert_eq!(counted(1, "record", "records"), "1 record");
        assert_eq!(counted(0, "record", "records"), "0 records");
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
    fn a_year_is_said_where_it_is_not_this_one() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let shown = |at: &str| When::new(at.parse().unwrap(), now).shown;
        assert_eq!(shown("2026-01-01T00:00:00Z"), "Jan 1, 00:00 UTC");
        assert_eq!(shown("2025-12-31T23:59:00Z"), "Dec 31, 2025, 23:59 UTC");
        assert_eq!(shown("2027-01-01T00:00:00Z"), "Jan 1, 2027, 00:00 UTC");
    }

    #[test]
    fn a_day_of_a_form_begins_at_midnight_and_is_over_a_day_later() {
        assert_eq!(
            midnight(" 2026-11-22 ").unwrap(),
            "2026-11-22T00:00:00Z".parse().unwrap()
        );
        assert_eq!(
            day_over("2026-12-31").unwrap(),
            "2027-01-01T00:00:00Z".parse().unwrap()
        );
        assert!(midnight("soon").is_err() && day_over("").is_err());
    }

    #[test]
    fn an_instant_is_said_from_now_and_exactly() {
        let now = Timestamp::from_micros(1_795_356_300_000_000);
        let later = When::new(now + Span::minutes(32), now);
        assert_eq!(
            (later.from_now.as_str(), later.left.as_str()),
            ("in 32 min", "32 min")
        );
        let before = When::new(now - Span::hours(3), now);
        assert_eq!(
            (before.from_now.as_str(), before.left.as_str()),
            ("3 h ago", "none")
        );
        assert!(
            before.shown.ends_with("UTC") && before.exact.ends_with('Z'),
            "{before:?}"
        );
    }
}
