//! Reads what ends access early, for a rule.

use daypass_core::end_when::EndWhen;
use daypass_core::time::Span;

use crate::diagnostic::{At, Problems};
use crate::fields::{Fields, expected, one_or_many};
use crate::nearest::{did_you_mean, list, quote};
use crate::tree::Node;

/// What may stand there.
const WORDS: &[&str] = &["idle", "last_session_closed", "ticket_closed"];

/// What nothing tells this version of.
const LATER: &str = "incident_resolved";

/// The shortest time without work that ends something: sessions are looked at twice a minute.
const SHORTEST: Span = Span::minutes(1);

pub(super) fn end_when(rule: &Fields<'_>, problems: &mut Problems<'_>) -> Vec<(EndWhen, At)> {
    let Some(node) = rule.get("end_when") else {
        return Vec::new();
    };
    let items = one_or_many(node);
    if items.is_empty() {
        let hint = format!("it may have {}", list(WORDS.iter().copied()));
        problems.note(node.at, "\"end_when\" is empty", hint);
    }
    let mut read: Vec<(EndWhen, At)> = Vec::new();
    for item in items {
        let Some(when) = one(item, problems) else {
            continue;
        };
        let same =
            |(other, _): &(EndWhen, At)| std::mem::discriminant(other) == std::mem::discriminant(&when);
        if read.iter().any(same) {
            problems.note(
                item.at,
                format!("\"{when}\" is the second of its kind"),
                "remove one",
            );
            continue;
        }
        if when == EndWhen::TicketClosed && !asks_for_ticket(rule) {
            let what = "\"ticket_closed\" ends nothing here: the rule asks for no ticket";
            problems.note(item.at, what, "add for instance when: {ticket: required}");
        }
        read.push((when, item.at));
    }
    read
}

fn asks_for_ticket(rule: &Fields<'_>) -> bool {
    let when = rule.get("when");
    when.is_some_and(|when| match &when.value {
        crate::tree::Value::Map(entries) => entries.iter().any(|(key, _)| key.text == "ticket"),
        // It cannot be read, which is told for itself.
        _ => true,
    })
}

fn one(node: &Node, problems: &mut Problems<'_>) -> Option<EndWhen> {
    let Some(text) = node.text() else {
        expected("a word such as ticket_closed", "\"end_when\"", node, problems);
        return None;
    };
    let (word, rest) = text
        .split_once(' ')
        .map_or((text, None), |(word, rest)| (word, Some(rest)));
    match (word, rest) {
        ("idle", Some(span)) => idle(span.trim(), node.at, problems),
        ("idle", None) => {
            problems.note(
                node.at,
                "\"idle\" does not say for how long",
                "write for instance idle 30m",
            );
            None
        }
        ("last_session_closed", None) => Some(EndWhen::LastSessionClosed),
        ("ticket_closed", None) => Some(EndWhen::TicketClosed),
        (LATER, _) => {
            let what = format!("\"{LATER}\" in \"end_when\" is not supported in this version");
            let hint = "remove it: nothing tells this version of incidents";
            problems.note(node.at, what, hint);
            None
        }
        _ => {
            let what = format!("{} is nothing that ends access", quote(text));
            let otherwise = format!("known: {}", list(WORDS.iter().copied()));
            problems.note(
                node.at,
                what,
                did_you_mean(word, WORDS.iter().copied(), otherwise),
            );
            None
        }
    }
}

fn idle(text: &str, at: At, problems: &mut Problems<'_>) -> Option<EndWhen> {
    match text.parse::<Span>() {
        Ok(after) if after >= SHORTEST => Some(EndWhen::Idle { after }),
        Ok(after) => {
            let what = format!("idle {after} is shorter than {SHORTEST}");
            problems.note(at, what, "sessions are looked at every half minute");
            None
        }
        Err(error) => {
            problems.note(at, format!("idle: {error}"), "");
            None
        }
    }
}
