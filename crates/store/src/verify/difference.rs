//! In what two documents differ, told in a line.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde_json::Value;

/// The most that is told of a value, in characters.
const SHOWN: usize = 80;

/// In what the document of a row differs from that which the events made.
pub(super) fn difference(table: &Value, log: &Value) -> String {
    match deepest(table, log, String::new()) {
        Some((path, table, log)) => format!("{path}: the tables say {table}, the log says {log}"),
        None => "the tables say something else than the log".to_owned(),
    }
}

/// The first place in which two documents differ, and what each has there.
fn deepest(table: &Value, log: &Value, path: String) -> Option<(String, String, String)> {
    if table == log {
        return None;
    }
    let below = |name: &dyn Display| match path.is_empty() {
        true => name.to_string(),
        false => format!("{path}.{name}"),
    };
    let missing = Value::Null;
    match (table, log) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names.into_iter().find_map(|name| {
                let pair = (one.get(name), other.get(name));
                deepest(
                    pair.0.unwrap_or(&missing),
                    pair.1.unwrap_or(&missing),
                    below(name),
                )
            })
        }
        (Value::Array(one), Value::Array(other)) => (0..one.len().max(other.len())).find_map(|nth| {
            let pair = (one.get(nth), other.get(nth));
            deepest(
                pair.0.unwrap_or(&missing),
                pair.1.unwrap_or(&missing),
                below(&nth),
            )
        }),
        _ => Some((path, shown(table), shown(log))),
    }
}

/// A value as it is told: short, and nothing in it that a terminal would act on.
pub(super) fn shown(value: &Value) -> String {
    if value.is_null() {
        return "nothing".to_owned();
    }
    let text = value.to_string();
    let clean: String = text
        .chars()
        .filter(|c| !daypass_core::text::is_hostile(*c))
        .collect();
    match clean.char_indices().nth(SHOWN) {
        None => clean,
        Some((end, _)) => format!("{} …", clean.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let log = json!({"state": {"active": {"expires_at": "09:00"}}, "parts": [1, 2]});
        let tables = json!({"state": {"active": {"expires_at": "10:00"}}, "parts": [1, 2]});
        assert_eq!(
            difference(&tables, &log),
            "state.active.expires_at: the tables say \"10:00\", the log says \"09:00\""
        );
        let tables = json!({"state": {"ended": {}}, "parts": [1, 2]});
        assert!(
            difference(&tables, &log).starts_with("state.active: the tables say nothing, the log says {")
        );
        let tables = json!({"state": {"active": {"expires_at": "09:00"}}, "parts": [1]});
        assert_eq!(
            difference(&tables, &log),
            "parts.1: the tables say nothing, the log says 2"
        );
    }

    #[test]
    fn what_is_told_is_short_and_tame() {
        let long = shown(&json!("x".repeat(500)));
        assert!(long.chars().count() < 90 && long.ends_with('…'));
        assert!(!shown(&json!("a\u{202e}b")).contains('\u{202e}'));
    }
}
