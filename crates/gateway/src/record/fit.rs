//! What is too long for one line of a recording is cut, and says so. Without IO.

use crate::ssh::event::Event;

use super::{Cut, Missing, Outcome, Statement, Value, What};

/// The shortest line that is written, whatever a lease says.
const SHORTEST_LINE: usize = 4 * 1024;

/// What a line has besides texts, and more: names, numbers, times, marks.
const FRAME: usize = 1024;

/// What a value or a result costs besides its text: quotes, a comma, the name of its kind.
const AROUND: usize = 16;

/// Cuts what does not fit into a line of so many bytes, as [`super::Record::line`] writes it.
pub(super) fn fit(what: What, longest: usize) -> (What, Option<Cut>) {
    let space = longest.max(SHORTEST_LINE) - FRAME;
    let mut statement = match what {
        What::Statement(statement) => statement,
        What::Ssh(event) => return fit_event(event, space),
        What::Lost(_) => return (what, None),
    };
    // Most are far shorter, and need not be counted.
    if most(&statement) <= space {
        return (What::Statement(statement), None);
    }
    let mut cut = Cut::default();
    let mut used = 0;
    match &mut statement.outcome {
        Outcome::Done(results) => used += fit_results(results, &mut cut, space / 8),
        Outcome::Refused(why) | Outcome::Failed(why) => {
            let (end, size) = prefix(why, space / 8);
            why.truncate(end);
            used += size;
        }
        Outcome::Suspended | Outcome::Bound | Outcome::Cut | Outcome::MayWork => {}
    }
    used += fit_results(&mut statement.before, &mut cut, space / 8);
    if let Some(values) = &mut statement.values {
        let kept = fitting(values.iter().map(|value| written(text_of(value))), space / 4);
        cut.values = count(values.len() - kept.0);
        if kept.0 < values.len() {
            *values = values.get(..kept.0).unwrap_or_default().into();
        }
        used += kept.1;
    }
    let (end, _) = prefix(&statement.text, space.saturating_sub(used));
    if end < statement.text.len() {
        cut.text = Some(Missing {
            bytes: count(statement.text.len() - end),
            sha256: statement.text.sha256(),
        });
        statement.text = statement.text.beginning(end);
    }
    let is_cut = cut != Cut::default();
    (What::Statement(statement), is_cut.then_some(cut))
}

/// Of two texts each has its half.
fn fit_event(mut event: Event, space: usize) -> (What, Option<Cut>) {
    if event.size().saturating_mul(6) <= space {
        return (What::Ssh(event), None);
    }
    let mut missing = None;
    for text in event.texts().into_iter().flatten() {
        let (end, _) = prefix(text, space / 2);
        if end < text.len() {
            missing = Some(Missing {
                bytes: count(text.len() - end),
                sha256: text.sha256(),
            });
            *text = text.beginning(end);
        }
    }
    let cut = missing.map(|text| Cut {
        text: Some(text),
        ..Cut::default()
    });
    (What::Ssh(event), cut)
}

fn fit_results(results: &mut Vec<String>, cut: &mut Cut, space: usize) -> usize {
    let kept = fitting(results.iter().map(|result| written(result)), space);
    cut.results += count(results.len() - kept.0);
    results.truncate(kept.0);
    kept.1
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// At most so many bytes: each may need six.
fn most(statement: &Statement) -> usize {
    size(statement).saturating_mul(6)
}

/// How many bytes of texts it has.
pub(super) fn size(statement: &Statement) -> usize {
    let values = statement.values.iter().flat_map(|values| values.iter());
    let mut bytes = values.fold(statement.text.len(), |sum, value| {
        sum + text_of(value).len() + AROUND
    });
    let all = |results: &[String]| results.iter().map(|result| result.len() + AROUND).sum::<usize>();
    bytes += all(&statement.before);
    bytes += match &statement.outcome {
        Outcome::Done(results) => all(results),
        Outcome::Failed(text) | Outcome::Refused(text) => text.len(),
        Outcome::Suspended | Outcome::Bound | Outcome::Cut | Outcome::MayWork => 0,
    };
    bytes
}

fn text_of(value: &Value) -> &str {
    match value {
        Value::Null => "null",
        Value::Hidden => "hidden, true",
        // As many digits as there are.
        Value::LeftOut(_) => "18446744073709551615",
        Value::Text(text) | Value::Binary(text) | Value::Cut(text) => text,
    }
}

/// How many bytes JSON needs for a character (RFC 8259, 7; serde_json escapes no more than it must).
fn cost(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

fn written(text: &str) -> usize {
    text.chars().map(cost).sum::<usize>() + AROUND
}

/// How many of these fit into so much space, and how much they take.
fn fitting(sizes: impl Iterator<Item = usize>, space: usize) -> (usize, usize) {
    let (mut kept, mut used) = (0, 0);
    for size in sizes {
        if used + size > space {
            break;
        }
        kept += 1;
        used += size;
    }
    (kept, used)
}

/// Where the longest beginning of a text ends that can be written with so many bytes, and how many it takes.
fn prefix(text: &str, space: usize) -> (usize, usize) {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        let size = cost(character);
        if used + size > space {
            return (at, used);
        }
        used += size;
    }
    (text.len(), used)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::digest;
    use daypass_core::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::record::Record;

    fn statement(text: &str, values: Option<Vec<Value>>, outcome: Outcome) -> What {
        What::Statement(Statement {
            text: text.into(),
            perhaps: false,
            goes_on: false,
            values: values.map(Into::into),
            took: Duration::MAX,
            rows: u64::MAX,
            copied: u64::MAX,
            outcome,
            before: Vec::new(),
        })
    }

    fn record(what: What, longest: usize) -> Record {
        let (what, cut) = fit(what, longest);
        Record {
            number: u64::MAX,
            at: Timestamp::EPOCH,
            what,
            cut,
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_how_much_is_missing_and_what_all_of_it_was() {
        let text = format!("SELECT '{}'", "ä\u{1}".repeat(100_000));
        let short = record(statement("SELECT 1", None, Outcome::Cut), 10_000);
        assert_eq!(short.cut, None);
        let cut = record(statement(&text, None, Outcome::Cut), 10_000);
        let line = cut.line();
        assert!((8_000..=10_000).contains(&line.len()), "{}", line.len());
        let missing = cut.cut.unwrap().text.unwrap();
        let What::Statement(kept) = cut.what else { panic!() };
        assert_eq!(kept.text.len() as u64 + missing.bytes, text.len() as u64);
        assert!(text.starts_with(&*kept.text));
        let all = digest::digest(&digest::SHA256, text.as_bytes());
        assert_eq!(missing.sha256, all.as_ref());
    }

    #[test]
    fn what_runs_often_is_cut_and_hashed_once() {
        let text: super::super::Text = "x".repeat(20_000).into();
        let cut = || {
            let What::Statement(mut statement) = statement("", None, Outcome::Cut) else {
                panic!()
            };
            statement.text = text.clone();
            let record = record(What::Statement(statement), 10_000);
            let What::Statement(kept) = record.what else {
                panic!()
            };
            kept.text
        };
        let first = cut();
        assert!(first.len() < 10_000 && first.is(&cut()));
    }

    #[test]
    fn a_string_of_a_million_statements_and_a_thousand_values_fit_too() {
        let results = Outcome::Done(vec!["SELECT 1".to_owned(); 1_000_000]);
        let values = vec![Value::Text("\u{1}".repeat(4_096)); 1_000];
        let cut = record(statement("SELECT 1", Some(values), results), 1 << 20);
        assert!(cut.line().len() <= 1 << 20);
        let marks = cut.cut.unwrap();
        assert_eq!(marks.text, None);
        assert!(marks.values > 900 && marks.results > 900_000, "{marks:?}");
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_fits(
            text in ".{0,5000}",
            values in proptest::option::of(proptest::collection::vec(".{0,300}", 0..40)),
            results in proptest::collection::vec(".{0,30}", 0..200),
            done in proptest::bool::ANY,
            longest in 0usize..20_000,
        ) {
            let values = values.map(|all| all.into_iter().map(Value::Text).collect());
            let (outcome, before) = if done {
                (Outcome::Done(results), Vec::new())
            } else {
                (Outcome::Failed("22012".to_owned()), results)
            };
            let What::Statement(mut statement) = statement(&text, values, outcome) else { panic!() };
            statement.before = before;
            let line = record(What::Statement(statement), longest).line();
            prop_assert!(line.len() <= longest.max(SHORTEST_LINE), "{} > {longest}", line.len());
            prop_assert!(!line.contains('\n'));
        }
    }
}
