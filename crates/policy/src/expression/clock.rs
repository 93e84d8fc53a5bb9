//! What the clock on a wall shows at an instant, for expressions: by the same database of time zones as the windows.
//!
//! The library of the language brings a database of its own, of another year. Where a country changed its mind in between, a
//! window and `now.getHours(…)` would disagree by an hour. So each call that asks an instant is given a name that nobody can
//! write, and that name is answered here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::Expr;
use cel::extractors::This;
use cel::{Context, DeclarationError, ExecutionError, IdedExpr};
use jiff::civil::DateTime;

use crate::window::Zone;

/// An instant, as the library has it.
type Instant = chrono::DateTime<chrono::FixedOffset>;
/// One number of what a clock shows.
type Number = fn(&DateTime) -> i64;

/// What tells one number of an instant, as the language counts them; all may be given a time zone.
static NUMBERS: &[(&str, Number)] = &[
    ("getFullYear", |shown| shown.year().into()),
    ("getMonth", |shown| i64::from(shown.month()) - 1),
    ("getDate", |shown| shown.day().into()),
    ("getDayOfMonth", |shown| i64::from(shown.day()) - 1),
    ("getDayOfWeek", |shown| {
        shown.weekday().to_sunday_zero_offset().into()
    }),
    ("getDayOfYear", |shown| i64::from(shown.day_of_year()) - 1),
    ("getHours", |shown| shown.hour().into()),
    ("getMinutes", |shown| shown.minute().into()),
    ("getSeconds", |shown| shown.second().into()),
];

/// The functions' names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NUMBERS.iter().map(|(name, _)| *name)
}

/// The clocks that an expression looks at.
#[derive(Debug, Clone, Default)]
pub(super) struct Clocks {
    /// The zones that it names.
    zones: Arc<BTreeMap<String, Zone>>,
    /// The functions that it calls, as they were renamed.
    calls: BTreeSet<String>,
}

impl Clocks {
    /// Renames the calls in an expression whose types were checked, and which names these zones.
    pub(super) fn of(tree: &mut IdedExpr, zones: BTreeMap<String, Zone>) -> Self {
        let mut calls = BTreeSet::new();
        rename(tree, &mut calls);
        Self {
            zones: Arc::new(zones),
            calls,
        }
    }

    /// Makes them known to an evaluation.
    pub(super) fn add_to(&self, context: &mut Context<'_, '_>) -> Result<(), DeclarationError> {
        for (name, number) in NUMBERS {
            let (in_utc, in_zone) = (renamed(name, false), renamed(name, true));
            if self.calls.contains(&in_utc) {
                let told = move |This(at): This<Instant>| tell(&at, &Zone::utc(), *number);
                context.add_function(&in_utc, told)?;
            }
            if self.calls.contains(&in_zone) {
                let zones = Arc::clone(&self.zones);
                let told = move |This(at): This<Instant>, zone: Arc<String>| {
                    let zone = zones.get(zone.as_str());
                    let zone =
                        zone.ok_or_else(|| ExecutionError::function_error(name, "an unknown time zone"))?;
                    tell(&at, zone, *number)
                };
                context.add_function(&in_zone, told)?;
            }
        }
        Ok(())
    }
}

/// A name that no expression can have: its reader takes no `@`.
fn renamed(name: &str, in_zone: bool) -> String {
    format!("@{name}{}", if in_zone { "In" } else { "" })
}

/// The types admit these calls of instants only.
fn rename(part: &mut IdedExpr, calls: &mut BTreeSet<String>) {
    match &mut part.expr {
        Expr::Call(call) => {
            for argument in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                rename(argument, calls);
            }
            if call.target.is_some() && names().any(|name| name == call.func_name) {
                call.func_name = renamed(&call.func_name, !call.args.is_empty());
                calls.insert(call.func_name.clone());
            }
        }
        Expr::Select(select) => rename(&mut select.operand, calls),
        Expr::List(list) => {
            for element in &mut list.elements {
                rename(element, calls);
            }
        }
        _ => {}
    }
}

fn tell(at: &Instant, zone: &Zone, number: Number) -> Result<i64, ExecutionError> {
    let beyond = || ExecutionError::function_error("clock", "a time is out of range");
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).map_err(|_| beyond())?;
    let instant = jiff::Timestamp::new(at.timestamp(), nanos).map_err(|_| beyond())?;
    Ok(number(&zone.wall(instant)))
}

#[cfg(test)]
mod tests {
    use daypass_core::time::{Span, Timestamp};

    use super::super::tests::{compile, holds, with_facts};
    use super::super::{Expression, Facts};
    use super::*;
    use crate::window::{DAYS, Openings, Window};

    #[test]
    fn the_numbers_are_those_of_the_language() {
        for text in [
            "now.getFullYear('Europe/Madrid') == 2026 && now.getMonth('Europe/Madrid') == 2",
            "now.getDate('Europe/Madrid') == 7 && now.getDayOfMonth('Europe/Madrid') == 6",
            "now.getDayOfYear('Europe/Madrid') == 65 && now.getDayOfWeek('Europe/Madrid') == 6",
            "now.getHours('Europe/Madrid') == 22 && now.getMinutes('Europe/Madrid') == 15",
            "now.getSeconds('Europe/Madrid') == 0 && now.getHours('Asia/Kolkata') == 2",
            "now.getDayOfWeek('Asia/Kolkata') == 0 && [now.getHours()] == [21]",
            "(now + duration('1h')).getHours() == 22 && (now.getHours() == 21 ? true : false)",
            "timestamp('2023-05-28T02:00:00+05:00').getHours() == 21",
            "timestamp('1969-12-31T23:59:58.5Z').getSeconds() == 58",
            "timestamp('0001-01-01T00:00:00Z').getFullYear() == 1",
        ] {
            assert_eq!(holds(text), Ok(true), "{text}");
        }
        for text in ["now.getHours('+05:30') == 3", "now.getHours('') == 21"] {
            assert!(compile(text).is_err(), "{text}");
        }
    }

    /// Before and at the opening of a window, through a year and in every zone: the hours that an expression tells are those of
    /// the window.
    #[test]
    fn windows_and_expressions_look_at_the_same_clock() {
        let first: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let before = Span::minutes(1);
        let compare = |facts: Facts<'_>| {
            for name in Zone::names() {
                let Some(zone) = Zone::named(&name) else { continue };
                let window = Window {
                    name: "w".parse().unwrap(),
                    days: DAYS.map(|_| true),
                    from: "09:00".parse().unwrap(),
                    to: "17:00".parse().unwrap(),
                    zone,
                };
                let text = format!("now.getHours('{name}') >= 9 && now.getHours('{name}') < 17");
                let expression = compile(&text).unwrap();
                let holds = |now| Expression::holds(&expression, &Facts { now, ..facts });
                for month in 0..13 {
                    let near = first + Span::hours(month * 28 * 24);
                    let openings = Openings::around([&window], near).unwrap();
                    let Some(opens) = openings.opens(near) else {
                        panic!("{name}: it never opens");
                    };
                    let found = [opens - before, opens].map(holds);
                    assert_eq!(found, [Ok(false), Ok(true)], "{name}, {opens}");
                }
            }
        };
        with_facts(compare);
    }
}
