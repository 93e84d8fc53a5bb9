//! The limits that a policy writes, `10/week` and `8h/24h`, and how far back they look.

use std::fmt;
use std::str::FromStr;

use daypass_core::past::{LONGEST, Reach};
use daypass_core::time::Span;

use crate::document::Document;
use crate::nearest::quote;

/// More uses than this are no limit.
const MOST_USES: u32 = 10_000;

/// So many times in any period of this length: `10/week`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uses {
    pub(crate) count: u32,
    pub(crate) period: Span,
}

/// So much time in any period of this length: `8h/24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) most: Span,
    pub(crate) period: Span,
}

/// The text is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLimit(String);

impl fmt::Display for BadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Uses {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let bad = || {
            BadLimit(format!(
                "{} is no number of uses; write 10/week, 3/12h or 1/day (a number from 1 to {MOST_USES})",
                quote(text)
            ))
        };
        let (count, of) = text.split_once('/').ok_or_else(bad)?;
        let count: u32 = count.trim().parse().map_err(|_| bad())?;
        if !(1..=MOST_USES).contains(&count) {
            return Err(bad());
        }
        let period = period(of.trim()).ok_or_else(bad)?;
        in_reach(period)?;
        Ok(Self { count, period })
    }
}

impl FromStr for Total {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let bad = || {
            BadLimit(format!(
                "{} is no length of time in a period; write it as 8h/24h or 90m/day",
                quote(text)
            ))
        };
        let (most, of) = text.split_once('/').ok_or_else(bad)?;
        let most: Span = most.trim().parse().map_err(|_| bad())?;
        let period = period(of.trim()).ok_or_else(bad)?;
        in_reach(period)?;
        if most == Span::ZERO || most > period {
            let what =
                format!("{most} in {period}: it must be more than nothing, and no more than the period has");
            return Err(BadLimit(what));
        }
        Ok(Self { most, period })
    }
}

fn period(text: &str) -> Option<Span> {
    match text {
        "hour" => Some(Span::hours(1)),
        "day" => Some(Span::hours(24)),
        "week" => Some(Span::hours(24 * 7)),
        "month" => Some(Span::hours(24 * 30)),
        length => length.parse().ok().filter(|span| *span > Span::ZERO),
    }
}

fn in_reach(period: Span) -> Result<(), BadLimit> {
    if period > LONGEST {
        return Err(BadLimit(format!(
            "a period of {period} is too long; the longest is {LONGEST}"
        )));
    }
    Ok(())
}

impl fmt::Display for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period)
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.most, self.period)
    }
}

/// How far back the limits of a policy look.
pub(crate) fn reach(document: &Document) -> Reach {
    let rules = || document.rules.iter();
    let cool_down = rules()
        .filter(|rule| rule.break_glass.is_none())
        .map(|rule| rule.cool_down.unwrap_or(document.defaults.cool_down))
        .max()
        .filter(|longest| *longest > Span::ZERO);
    Reach {
        uses: rules().filter_map(|rule| Some(rule.when.uses?.period)).max(),
        total: document
            .guardrails
            .iter()
            .filter_map(|guardrail| Some(guardrail.max_total?.period))
            .max(),
        denials: cool_down,
    }
}
