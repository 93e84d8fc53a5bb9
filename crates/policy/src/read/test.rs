//! Reads the policy's own tests.

use std::collections::BTreeSet;

use daypass_core::name::{Item, Name};
use daypass_core::refusal::Code;
use daypass_core::review::From;

use super::path::{count, from};
use super::{demand, length};
use crate::diagnostic::Problems;
use crate::document::{Expect, Test};
use crate::fields::{Fields, Keys, Noted, expected, one_or_many, scalar};
use crate::nearest::{did_you_mean, list, quote};
use crate::tree::{Node, Value};

const TEST: Keys = Keys {
    what: "a test",
    known: &[
        "as",
        "in",
        "manager",
        "ask",
        "for",
        "at",
        "start",
        "ticket",
        "from",
        "confirmed",
        "break_glass",
        "expect",
    ],
    later: &["incident", "oncall", "risk", "uses", "agent"],
};

const EXPECT: Keys = Keys {
    what: "an expectation",
    known: &[
        "allowed",
        "rule",
        "steps",
        "max",
        "ends_by",
        "review_by",
        "refused",
    ],
    later: &[],
};

const EXPECTED_STEP: Keys = Keys {
    what: "an expected step",
    known: &["from", "count"],
    later: &[],
};

pub(super) fn test(node: &Node, problems: &mut Problems<'_>) -> Option<Test> {
    let fields = Fields::of(node, &TEST, problems)?;
    let who = fields.parse("as", problems);
    let groups = match fields.get("in") {
        None => Some(BTreeSet::new()),
        Some(node) => set("in", node, problems),
    };
    let manager = fields.optional("manager", problems);
    let items: Option<BTreeSet<Item>> = fields
        .required("ask", problems)
        .and_then(|node| set("ask", node, problems));
    let duration = length(&fields, "for", problems);
    let now = fields.optional("at", problems);
    let start = fields.optional("start", problems);
    let ticket = fields.optional("ticket", problems);
    let from = fields.optional("from", problems);
    let confirmed = demand::confirmed(&fields, problems);
    let break_glass = emergency(&fields, problems);
    let expect = fields
        .required("expect", problems)
        .and_then(|node| expect(node, problems));
    Some(Test {
        at: fields.at,
        who: who?,
        groups: groups?,
        manager: manager.ok()?,
        items: items?,
        duration: duration.ok()?,
        now: now.ok()?,
        start: start.ok()?,
        ticket: ticket.ok()?,
        from: from.ok()?,
        confirmed: confirmed?,
        break_glass: break_glass?,
        expect: expect?,
    })
}

/// Whether a test asks as in an emergency. Only the explicit word does.
fn emergency(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<bool> {
    match fields.get("break_glass") {
        None => Some(false),
        Some(Node {
            value: Value::Bool(asks),
            ..
        }) => Some(*asks),
        Some(node) => {
            expected("true or false", "\"break_glass\"", node, problems);
            None
        }
    }
}

fn set<T>(what: &str, node: &Node, problems: &mut Problems<'_>) -> Option<BTreeSet<T>>
where
    T: std::str::FromStr<Err: std::fmt::Display> + Ord,
{
    let read: Vec<Option<T>> = one_or_many(node)
        .iter()
        .map(|item| scalar(what, item, problems))
        .collect();
    read.into_iter().collect()
}

fn expect(node: &Node, problems: &mut Problems<'_>) -> Option<Expect> {
    let fields = Fields::of(node, &EXPECT, problems)?;
    let positive = ["allowed", "rule", "steps", "max", "ends_by", "review_by"]
        .into_iter()
        .find(|key| fields.has(key));
    if let Some(node) = fields.get("refused") {
        if let Some(key) = positive {
            let what = format!("an answer cannot be refused and have \"{key}\"");
            problems.note(fields.at, what, "expect the one or the other");
            return None;
        }
        return refused(node, problems);
    }
    if positive.is_none() && fields.is_understood() {
        let what = "nothing is expected";
        problems.note(
            node.at,
            what,
            "expect allowed: true, rule, steps, max, ends_by, review_by or refused",
        );
        return None;
    }
    if let Some(node) = fields.get("allowed")
        && !matches!(node.value, Value::Bool(true))
    {
        problems.note(
            node.at,
            "\"allowed\" can only be true",
            "write refused: CODE for what must be refused",
        );
        return None;
    }
    let rule: Result<Option<Name>, Noted> = fields.optional("rule", problems);
    let max = length(&fields, "max", problems);
    let ends_by = fields.optional("ends_by", problems);
    let review_by: Result<Option<Name>, Noted> = fields.optional("review_by", problems);
    let steps = match fields.get("steps") {
        None => Some(None),
        Some(node) => steps(node, problems).map(Some),
    };
    Some(Expect::Allowed {
        rule: rule.ok()?,
        steps: steps?,
        max: max.ok()?,
        ends_by: ends_by.ok()?,
        review_by: review_by.ok()?,
    })
}

fn refused(node: &Node, problems: &mut Problems<'_>) -> Option<Expect> {
    let Some(text) = node.text() else {
        expected("the code of a refusal", "\"refused\"", node, problems);
        return None;
    };
    if let Ok(code) = text.parse() {
        return Some(Expect::Refused(code));
    }
    let codes = || Code::ALL.iter().map(|code| code.as_str());
    let what = format!("{} is no code of a refusal", quote(text));
    let otherwise = format!("the codes are {}", list(codes()));
    problems.note(node.at, what, did_you_mean(text, codes(), otherwise));
    None
}

fn steps(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<(From, Option<u32>)>> {
    match &node.value {
        Value::Text(text) if text == "none" => Some(Vec::new()),
        Value::List(items) => {
            let read: Vec<Option<(From, Option<u32>)>> =
                items.iter().map(|item| expected_step(item, problems)).collect();
            read.into_iter().collect()
        }
        _ => {
            expected(
                "a list of whom the steps ask, or none",
                "\"steps\"",
                node,
                problems,
            );
            None
        }
    }
}

fn expected_step(node: &Node, problems: &mut Problems<'_>) -> Option<(From, Option<u32>)> {
    if !matches!(node.value, Value::Map(_)) {
        return from("steps", node, problems).map(|(from, _)| (from, None));
    }
    let fields = Fields::of(node, &EXPECTED_STEP, problems)?;
    let who = fields
        .required("from", problems)
        .and_then(|node| from("from", node, problems));
    let many = match fields.get("count") {
        None => Some(None),
        Some(node) => count(node, problems).map(Some),
    };
    Some((who?.0, many?))
}
