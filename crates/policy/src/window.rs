//! Named windows: when the clock on a wall of some place shows certain hours of certain days.
//!
//! The definition is by the wall clock alone, so that it is exact on the days on which clocks change: at an instant a window is
//! open if the wall clock there shows a time in it. Time that the clock skips is in no window; time that it shows twice is in
//! the window both times.

use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// How many days ahead are looked at. A window that is open for longer than that without a break counts as closing then.
const AHEAD: i32 = 35;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Hours of certain days at a place.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) name: Name,
    /// On which days it opens, Monday first.
    pub(crate) days: [bool; 7],
    pub(crate) from: Clock,
    /// Exclusive. Not after `from`: on the following day.
    pub(crate) to: Clock,
    pub(crate) zone: Zone,
}

/// A time of day in minutes since midnight, up to 24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clock(u16);

impl Clock {
    /// The end of a day. No clock shows it: it is the beginning of the next.
    pub(crate) const END: Self = Self(DAY);
}

/// The text is no time of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadClock(String);

impl std::fmt::Display for BadClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is no time of day; write it as \"22:00\"", self.0)
    }
}

impl std::str::FromStr for Clock {
    type Err = BadClock;

    fn from_str(text: &str) -> Result<Self, BadClock> {
        let bad = || BadClock(text.chars().take(20).collect());
        let (hours, minutes) = text.split_once(':').ok_or_else(bad)?;
        let two = |part: &str, most: u16| -> Result<u16, BadClock> {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse().ok().filter(|number| *number <= most);
            number.filter(|_| digits).ok_or_else(bad)
        };
        let minute = two(hours, 24)? * 60 + two(minutes, 59)?;
        if minute > DAY {
            Err(bad())
        } else {
            Ok(Self(minute))
        }
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A time zone of the IANA database that is built in: the same on every machine, whatever is installed there.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// The zone of exactly this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(Self(zone))
    }

    pub(crate) const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// What a clock on a wall there shows.
    pub(crate) fn wall(&self, at: jiff::Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// The names of all zones.
    pub(crate) fn names() -> Vec<String> {
        let database = TimeZoneDatabase::bundled();
        database.available().map(|name| name.to_string()).collect()
    }

    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// An instant as the wall clock there shows it, for people: `2026-03-07 22:00 Europe/Madrid`.
    pub(crate) fn shown(&self, at: Timestamp) -> String {
        let Ok(instant) = jiff::Timestamp::from_microsecond(at.micros()) else {
            return at.to_string();
        };
        let wall = self.wall(instant);
        let (date, time) = (wall.date(), wall.time());
        format!("{date} {:02}:{:02} {}", time.hour(), time.minute(), self.name())
    }
}

/// The days' names as they are written, Monday first.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl std::fmt::Display for Window {
    /// `sat 22:00–23:30 Europe/Madrid`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days: Vec<&str> = self.opening_days().collect();
        let days = if days.len() == DAYS.len() {
            String::from("every day")
        } else {
            days.join(", ")
        };
        write!(f, "{days} {}–{} {}", self.from, self.to, self.zone.name())
    }
}

impl Window {
    fn opening_days(&self) -> impl Iterator<Item = &'static str> {
        DAYS.iter()
            .zip(self.days)
            .filter(|(_, open)| *open)
            .map(|(day, _)| *day)
    }

    fn opens_on(&self, day: Weekday) -> bool {
        let place = usize::try_from(day.to_monday_zero_offset()).unwrap_or(usize::MAX);
        self.days.get(place).copied().unwrap_or(false)
    }

    /// When it is open from some days before `near` on, as instants in microseconds; `None` beyond the end of time.
    fn openings(&self, near: Timestamp, into: &mut Vec<(i64, i64)>) -> Option<()> {
        let near = jiff::Timestamp::from_microsecond(near.micros()).ok()?;
        let today = self.zone.0.to_datetime(near).date();
        let (first, last) = (days_after(today, -2)?, days_after(today, AHEAD)?);
        // No zone is further from UTC than a day.
        let stretches = self.stretches(wall(days_after(first, -2)?, 0)?, wall(days_after(last, 3)?, 0)?)?;
        let next = if self.to <= self.from { DAY } else { 0 };
        let (from, to) = (minutes(self.from.0), minutes(self.to.0.checked_add(next)?));
        let mut midnight = wall(first, 0)?;
        let last = wall(last, 0)?;
        let mut weekday = first.weekday();
        // In Greenwich, where a wall clock is read here, every day is as long.
        while midnight <= last {
            if self.opens_on(weekday) {
                let (opens, closes) = (midnight.checked_add(from)?, midnight.checked_add(to)?);
                into.extend(
                    stretches
                        .iter()
                        .filter_map(|stretch| stretch.shows(opens, closes)),
                );
            }
            midnight = midnight.checked_add(minutes(DAY))?;
            weekday = weekday.next();
        }
        Some(())
    }

    /// The stretches between two instants in which the zone's offset stays the same.
    fn stretches(&self, from: i64, to: i64) -> Option<Vec<Stretch>> {
        let start = jiff::Timestamp::from_microsecond(from).ok()?;
        let micros = |seconds: i32| i64::from(seconds).saturating_mul(1_000_000);
        let mut stretches = vec![Stretch {
            from,
            to,
            offset: micros(self.zone.0.to_offset(start).seconds()),
        }];
        for change in self.zone.0.following(start) {
            let at = change.timestamp().as_microsecond();
            if at >= to {
                break;
            }
            if let Some(last) = stretches.last_mut() {
                last.to = at;
            }
            stretches.push(Stretch {
                from: at,
                to,
                offset: micros(change.offset().seconds()),
            });
        }
        Some(stretches)
    }
}

/// Instants with the same offset from UTC, in microseconds.
struct Stretch {
    from: i64,
    to: i64,
    offset: i64,
}

impl Stretch {
    /// When, in this stretch, the wall clock shows a time of `from..to`.
    fn shows(&self, from: i64, to: i64) -> Option<(i64, i64)> {
        let from = from.saturating_sub(self.offset).max(self.from);
        let to = to.saturating_sub(self.offset).min(self.to);
        (from < to).then_some((from, to))
    }
}

fn days_after(day: Date, days: i32) -> Option<Date> {
    day.checked_add(days.days()).ok()
}

/// A reading of a wall clock as if it hung in Greenwich.
fn wall(day: Date, minutes: u16) -> Option<i64> {
    let midnight = TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
    midnight
        .ok()?
        .as_microsecond()
        .checked_add(self::minutes(minutes))
}

/// In microseconds.
fn minutes(minutes: u16) -> i64 {
    i64::from(minutes).saturating_mul(60_000_000)
}

/// When any of some windows is open, around an instant.
pub(crate) struct Openings(Vec<(i64, i64)>);

impl Openings {
    /// `None` where that cannot be told: what it is asked for is then refused.
    pub(crate) fn around<'w>(windows: impl IntoIterator<Item = &'w Window>, near: Timestamp) -> Option<Self> {
        let mut all = Vec::new();
        for window in windows {
            window.openings(near, &mut all)?;
        }
        all.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for (from, to) in all {
            match merged.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => merged.push((from, to)),
            }
        }
        Some(Self(merged))
    }

    /// Where one is open at this instant: when all of them are closed for the first time after it.
    pub(crate) fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        let at = at.micros();
        let open = self.0.iter().find(|(from, to)| *from <= at && at < *to)?;
        Some(Timestamp::from_micros(open.1))
    }

    /// When one opens for the first time after this instant.
    pub(crate) fn opens(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.0.iter().find(|(from, _)| *from > at.micros())?;
        Some(Timestamp::from_micros(next.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[&str], from: &str, to: &str, zone: &str) -> Window {
        Window {
            name: "w".parse().unwrap(),
            days: DAYS.map(|day| days.contains(&day)),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: Zone::named(zone).unwrap(),
        }
    }

    /// Every opening that touches the 48 hours around this noon (UTC), as UTC times.
    fn told(window: &Window, noon: &str) -> Vec<String> {
        let noon: Timestamp = noon.parse().unwrap();
        let day = daypass_core::time::Span::hours(24);
        let openings = Openings::around([window], noon).unwrap();
        let near = |(from, to): &&(i64, i64)| *to > (noon - day).micros() && *from < (noon + day).micros();
        let shown = |at: &i64| Timestamp::from_micros(*at).to_string();
        let near = openings.0.iter().filter(near);
        near.map(|(from, to)| format!("{} {}", shown(from), shown(to)))
            .collect()
    }

    #[track_caller]
    fn check(days: &[&str], (from, to): (&str, &str), zone: &str, noon: &str, expect: &[&str]) {
        assert_eq!(
            told(&window(days, from, to, zone), noon),
            expect,
            "{from}–{to} {zone}"
        );
    }

    /// Madrid, 29 March 2026: at 02:00 the clock shows 03:00 (01:00 UTC). New York, 8 March 2026: likewise (07:00 UTC).
    #[test]
    fn what_the_clock_skips_is_in_no_window() {
        let madrid = |hours, expect: &[&str]| {
            check(&["sun"], hours, "Europe/Madrid", "2026-03-29T12:00:00Z", expect);
        };
        madrid(("01:00", "02:30"), &["2026-03-29T00:00:00Z 2026-03-29T01:00:00Z"]);
        madrid(("02:30", "04:00"), &["2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"]);
        madrid(("01:00", "04:00"), &["2026-03-29T00:00:00Z 2026-03-29T02:00:00Z"]);
        madrid(("02:15", "02:45"), &[]);
        check(
            &["sat"],
            ("22:00", "06:00"),
            "Europe/Madrid",
            "2026-03-29T00:00:00Z",
            &["2026-03-28T21:00:00Z 2026-03-29T04:00:00Z"],
        );
        let york = |hours, expect: &[&str]| {
            check(
                &["sun"],
                hours,
                "America/New_York",
                "2026-03-08T12:00:00Z",
                expect,
            );
        };
        york(("01:00", "02:30"), &["2026-03-08T06:00:00Z 2026-03-08T07:00:00Z"]);
        york(("02:30", "04:00"), &["2026-03-08T07:00:00Z 2026-03-08T08:00:00Z"]);
        york(("02:15", "02:45"), &[]);
    }

    /// Madrid, 25 October 2026: at 03:00 the clock shows 02:00 again (01:00 UTC). New York, 1 November 2026: at 02:00 it shows
    /// 01:00 again (06:00 UTC).
    #[test]
    fn what_the_clock_shows_twice_is_in_the_window_twice() {
        let madrid = |hours, expect: &[&str]| {
            check(&["sun"], hours, "Europe/Madrid", "2026-10-25T12:00:00Z", expect);
        };
        madrid(
            ("02:15", "02:45"),
            &[
                "2026-10-25T00:15:00Z 2026-10-25T00:45:00Z",
                "2026-10-25T01:15:00Z 2026-10-25T01:45:00Z",
            ],
        );
        madrid(
            ("01:00", "02:30"),
            &[
                "2026-10-24T23:00:00Z 2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z 2026-10-25T01:30:00Z",
            ],
        );
        madrid(("01:00", "04:00"), &["2026-10-24T23:00:00Z 2026-10-25T03:00:00Z"]);
        let york = |hours, expect: &[&str]| {
            check(
                &["sun"],
                hours,
                "America/New_York",
                "2026-11-01T12:00:00Z",
                expect,
            );
        };
        york(
            ("01:15", "01:45"),
            &[
                "2026-11-01T05:15:00Z 2026-11-01T05:45:00Z",
                "2026-11-01T06:15:00Z 2026-11-01T06:45:00Z",
            ],
        );
        york(("00:30", "02:30"), &["2026-11-01T04:30:00Z 2026-11-01T07:30:00Z"]);
    }

    /// Compared with asking the wall clock at every minute of the days around each change, and an ordinary week.
    #[test]
    fn it_agrees_with_looking_at_the_clock() {
        for (zone, around) in [
            ("Europe/Madrid", "2026-03-29T00:00:00Z"),
            ("Europe/Madrid", "2026-10-25T00:00:00Z"),
            ("America/New_York", "2026-03-08T00:00:00Z"),
            ("America/New_York", "2026-11-01T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-05T00:00:00Z"),
            ("Pacific/Apia", "2011-12-30T00:00:00Z"),
            ("UTC", "2026-06-10T00:00:00Z"),
        ] {
            let around: Timestamp = around.parse().unwrap();
            let first = around - daypass_core::time::Span::hours(48);
            for (from, to) in [
                ("00:00", "24:00"),
                ("22:00", "06:00"),
                ("02:15", "02:45"),
                ("23:30", "02:30"),
            ] {
                let window = window(&["sat", "sun", "fri"], from, to, zone);
                let openings = Openings::around([&window], first).unwrap();
                for minute in 0..4 * 1440_u64 {
                    let at = first + daypass_core::time::Span::minutes(minute);
                    let instant = jiff::Timestamp::from_microsecond(at.micros()).unwrap();
                    let shown = window.zone.0.to_datetime(instant);
                    let clock =
                        u16::try_from(i32::from(shown.hour()) * 60 + i32::from(shown.minute())).unwrap();
                    let of = |day: Date, clock: u16| {
                        let over = if window.to <= window.from { DAY } else { 0 };
                        window.opens_on(day.weekday()) && clock >= window.from.0 && clock < window.to.0 + over
                    };
                    let expect =
                        of(shown.date(), clock) || of(days_after(shown.date(), -1).unwrap(), clock + DAY);
                    assert_eq!(openings.closes(at).is_some(), expect, "{window} at {at}");
                }
            }
        }
    }

    #[test]
    fn windows_that_meet_are_one() {
        let days = [
            window(&["sat", "sun"], "00:00", "24:00", "UTC"),
            window(&["mon"], "00:00", "06:00", "UTC"),
        ];
        // 7 March 2026 is a Saturday.
        let at: Timestamp = "2026-03-07T10:00:00Z".parse().unwrap();
        let openings = Openings::around(&days, at).unwrap();
        assert_eq!(openings.closes(at), Some("2026-03-09T06:00:00Z".parse().unwrap()));
        assert_eq!(openings.opens(at), Some("2026-03-14T00:00:00Z".parse().unwrap()));
        let end = "2026-03-09T06:00:00Z".parse().unwrap();
        assert_eq!(openings.closes(end), None, "the end is outside");
        let always = window(&DAYS, "00:00", "24:00", "UTC");
        let closes = Openings::around([&always], at).unwrap().closes(at).unwrap();
        assert!(closes > at + daypass_core::time::Span::hours(30 * 24), "{closes}");
    }

    #[test]
    fn beyond_the_end_of_time_nothing_can_be_told() {
        let window = window(&["sat"], "22:00", "23:00", "Europe/Madrid");
        assert!(Openings::around([&window], Timestamp::MAX).is_none());
        assert!(Openings::around([&window], Timestamp::EPOCH).is_some());
    }

    #[test]
    fn times_of_day_and_zones_are_exact() {
        for text in [
            "24:01",
            "7:00",
            "07:60",
            "-1:00",
            "07:00:00",
            "",
            ":",
            "07",
            "٠٧:٠٠",
            "25:00",
        ] {
            assert!(text.parse::<Clock>().is_err(), "{text}");
        }
        for text in ["00:00", "23:59", "24:00"] {
            assert_eq!(text.parse::<Clock>().unwrap().to_string(), text);
        }
        for name in [
            "europe/madrid",
            "Europe/Madird",
            "",
            "local",
            "CET+1",
            "../etc/passwd",
        ] {
            assert!(Zone::named(name).is_none(), "{name}");
        }
        assert_eq!(Zone::named("Europe/Madrid").unwrap().name(), "Europe/Madrid");
        assert!(Zone::names().len() > 400);
    }
}
