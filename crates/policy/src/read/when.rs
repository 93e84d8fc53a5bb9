//! Reads what must hold besides, for a rule to be taken: its `when`, and the ticket formats that it may name.

use daypass_core::name::Name;

use super::path::names;
use super::{Declared, declare};
use crate::condition::{Unknown, When};
use crate::diagnostic::Problems;
use crate::expression::Expression;
use crate::fields::{Fields, Keys, Noted, expected};
use crate::nearest::{did_you_mean, list, quote};
use crate::ticket::{Format, Wanted};
use crate::tree::{Node, Value};

const WHEN: Keys = Keys {
    what: "when",
    known: &["window", "ticket", "uses", "if", "incident", "oncall", "risk"],
    later: &[],
};

/// The conditions of a rule; none where nothing is said. `None` where they cannot be read.
pub(super) fn when(rule: &Fields<'_>, declared: &mut Declared, problems: &mut Problems<'_>) -> Option<When> {
    let Some(node) = rule.get("when") else {
        return Some(When::default());
    };
    let fields = Fields::of(node, &WHEN, problems)?;
    if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        let hint = format!("it may have {}", list(WHEN.known.iter().copied()));
        problems.note(node.at, "this asks for nothing", hint);
    }
    let windows = match fields.get("window") {
        None => Some(Vec::new()),
        Some(node) => names("window", node, problems),
    };
    let ticket = fields.get("ticket").map(|node| wanted(node, problems));
    let expression = fields.get("if").map(|node| expression(node, declared, problems));
    let uses = fields.optional("uses", problems);
    let unknown = unknown(&fields, problems);
    Some(When {
        windows: windows?,
        uses: uses.ok()?,
        expression: expression.map_or(Ok(None), |read| read.map(Some)).ok()?,
        ticket: ticket.map_or(Ok(None), |wanted| wanted.map(Some)).ok()?,
        unknown,
    })
}

/// An expression in CEL; what is wrong in it is told where it stands.
fn expression(
    node: &Node,
    declared: &mut Declared,
    problems: &mut Problems<'_>,
) -> Result<Expression, Noted> {
    let text = match &node.value {
        Value::Text(text) => text.as_str(),
        // `if: true` is YAML's word, and an expression.
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        _ => {
            expected(
                "an expression such as \"request.duration <= duration('1h')\"",
                "\"if\"",
                node,
                problems,
            );
            return Err(Noted);
        }
    };
    Expression::compile(text, node.at, &mut declared.patterns).map_err(|mistake| {
        let at = problems.inside(node.at, text, mistake.offset);
        problems.note(at, format!("if: {}", mistake.what), "");
        Noted
    })
}

/// `required`, or the names of formats.
fn wanted(node: &Node, problems: &mut Problems<'_>) -> Result<Wanted, Noted> {
    if node.text() == Some("required") {
        return Ok(Wanted::Any);
    }
    names("ticket", node, problems).map(Wanted::Named).ok_or(Noted)
}

/// What is read and cannot be told yet.
fn unknown(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Vec<Unknown> {
    let mut unknown = Vec::new();
    let mut word = |key: &'static str, words: &[&str], make: fn(String) -> Unknown| {
        let Some(node) = fields.get(key) else { return };
        match node.text() {
            Some(text) if words.contains(&text) || (words.is_empty() && !text.trim().is_empty()) => {
                unknown.push(make(text.to_owned()));
            }
            Some(text) if !words.is_empty() => {
                let otherwise = format!("it can be {}", list(words.iter().copied()));
                let what = format!("\"{key}\" cannot be {}", quote(text));
                problems.note(
                    node.at,
                    what,
                    did_you_mean(text, words.iter().copied(), otherwise),
                );
            }
            _ => expected("one value", &format!("\"{key}\""), node, problems),
        }
    };
    word("incident", &["open"], |_| Unknown::Incident);
    word("oncall", &[], Unknown::OnCall);
    word("risk", &["low", "medium", "high"], Unknown::Risk);
    unknown
}

/// The ticket formats of a file.
pub(super) fn tickets(node: &Node, declared: &mut Declared, problems: &mut Problems<'_>) -> Vec<Format> {
    let Value::Map(entries) = &node.value else {
        if !matches!(node.value, Value::Null) {
            expected("a map of names to patterns", "\"tickets\"", node, problems);
        }
        return Vec::new();
    };
    let mut formats = Vec::new();
    for (key, node) in entries {
        let name: Name = match key.text.parse() {
            Ok(name) => name,
            Err(error) => {
                problems.note(key.at, format!("tickets: {error}"), "");
                declared.tickets.torn = true;
                continue;
            }
        };
        if name.as_str() == "required" {
            let hint = "\"required\" means a ticket of any format; call it something else";
            problems.note(key.at, "no ticket format may be called required", hint);
            continue;
        }
        if declare("ticket format", &name, key.at, &mut declared.tickets, problems).is_err() {
            continue;
        }
        let Some(text) = node.text() else {
            expected(
                "a pattern such as \"[A-Z]+-[0-9]+\"",
                "a ticket format",
                node,
                problems,
            );
            continue;
        };
        match declared.patterns.whole(text) {
            Ok(pattern) => formats.push(Format { name, pattern }),
            Err(error) => {
                let hint = "it is a regular expression for the whole name, such as \"[A-Z]+-[0-9]+\"";
                problems.note(node.at, format!("{} is no pattern: {error}", quote(text)), hint);
            }
        }
    }
    formats
}
