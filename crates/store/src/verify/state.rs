//! The tables against what the events made: the first row that differs, and what in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use daypass_core::world::World;
use serde::Serialize;
use serde_json::Value;

use super::{Check, rows};
use crate::error::Result;
use crate::link::Link;

/// The most that is told of a value, in characters.
const SHOWN: usize = 80;

/// Compares all of them.
pub(super) async fn compare(link: &mut Link, log: &World) -> Result<()> {
    let tables = rows::load(link).await?;
    let found = first("request", &tables.requests, &log.requests)
        .or_else(|| first("grant", &tables.grants, &log.grants))
        .or_else(|| first("entitlement", &tables.entitlements, &log.entitlements))
        .or_else(|| first("person", &tables.people, &log.people))
        .or_else(|| first("lock", &tables.locks, &log.locks))
        .or_else(|| first("change", &tables.changes, &log.changes))
        .or_else(|| first("key", &tables.keys, &log.keys))
        .or_else(|| counted("the directory changed", tables.directory, log.directory))
        .or_else(|| {
            let said = |revision: Option<_>| {
                revision.map_or_else(
                    || "none".to_owned(),
                    |it: daypass_core::text::Hash| it.to_string(),
                )
            };
            let (tables, log) = (said(tables.policy), said(log.policy));
            (tables != log)
                .then(|| format!("the policy in force: the tables say {tables}, the log says {log}"))
        });
    match found {
        Some(what) => Err(Check::Tables.differs(what)),
        None => rows::policies(link).await,
    }
}

fn counted(what: &str, tables: u64, log: u64) -> Option<String> {
    (tables != log).then(|| format!("{what}: {tables} times by the tables, {log} times by the log"))
}

/// The first row of a kind that is not as the log has it.
fn first<K, V>(kind: &str, tables: &BTreeMap<K, V>, log: &BTreeMap<K, V>) -> Option<String>
where
    K: Ord + Display,
    V: PartialEq + Serialize,
{
    let keys: BTreeSet<&K> = tables.keys().chain(log.keys()).collect();
    keys.into_iter()
        .find_map(|key| match (tables.get(key), log.get(key)) {
            (Some(table), Some(log)) if table == log => None,
            (Some(table), Some(log)) => Some(format!("{kind} {key}: {}", difference(table, log))),
            (Some(_), None) => Some(format!("{kind} {key}: it is in the tables, and no event made it")),
            (None, _) => Some(format!("{kind} {key}: the log has it, and the tables do not")),
        })
}

fn difference(table: &impl Serialize, log: &impl Serialize) -> String {
    let pair = (serde_json::to_value(table), serde_json::to_value(log));
    let (Ok(table), Ok(log)) = pair else {
        return "the tables say something else than the log".to_owned();
    };
    match deepest(&table, &log, String::new()) {
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
fn shown(value: &Value) -> String {
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

    #[test]
    fn a_row_more_or_less_is_named() {
        let log = BTreeMap::from([("a", 1), ("b", 2)]);
        assert_eq!(first("grant", &log, &log), None);
        let less = BTreeMap::from([("a", 1)]);
        assert_eq!(
            first("grant", &less, &log).unwrap(),
            "grant b: the log has it, and the tables do not"
        );
        assert_eq!(
            first("grant", &log, &less).unwrap(),
            "grant b: it is in the tables, and no event made it"
        );
    }
}
