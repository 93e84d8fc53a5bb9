//! Reads the policy's own tests.

use std::collections::BTreeSet;

use daypass_core::environment::Wanted;
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_core::review::From;
use daypass_core::time::{Span, Timestamp};

use super::path::{count, from};
use super::{demand, length};
use crate::diagnostic::Problems;
use crate::document::{Before, Expect, Had, Test};
use crate::fields::{Fields, Keys, Noted, expected, items, one_or_many, scalar};
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
        "uses",
        "denied",
        "had",
        "expect",
    ],
    later: &["incident", "oncall", "risk", "agent"],
};

const HAD: Keys = Keys {
    what: "what was had",
    known: &["ask", "from", "for"],
    later: &[],
};

/// More uses than this no limit counts.
const MOST_BEFORE: u32 = 10_000;

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
    let wanted: Option<BTreeSet<Wanted>> = fields
        .required("ask", problems)
        .and_then(|node| set("ask", node, problems));
    let duration = length(&fields, "for", problems);
    let now = fields.optional("at", problems);
    let start = fields.optional("start", problems);
    let ticket = ticket(&fields, problems);
    let from = fields.optional("from", problems);
    let confirmed = demand::confirmed(&fields, problems);
    let break_glass = emergency(&fields, problems);
    let before = before(&fields, problems);
    let expect = fields
        .required("expect", problems)
        .and_then(|node| expect(node, problems));
    let (mut items, mut environments) = (BTreeSet::new(), Vec::new());
    for one in wanted? {
        match one {
            Wanted::Item(item) => drop(items.insert(item)),
            Wanted::Environment(role) => environments.push(role),
        }
    }
    Some(Test {
        at: fields.at,
        who: who?,
        groups: groups?,
        manager: manager.ok()?,
        items,
        environments,
        duration: duration.ok()?,
        now: now.ok()?,
        start: start.ok()?,
        ticket: ticket.ok()?,
        from: from.ok()?,
        confirmed: confirmed?,
        break_glass: break_glass?,
        before: before?,
        expect: expect?,
    })
}

/// What the person has had already.
fn before(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Before> {
    let uses: Result<Option<u32>, Noted> = fields.optional("uses", problems);
    let denied: Result<Option<Span>, Noted> = fields.optional("denied", problems);
    let had: Vec<Option<Had>> = match fields.get("had") {
        None => Vec::new(),
        Some(node) => {
            let all = items("\"had\"", node, problems);
            all.iter().map(|node| had(node, problems)).collect()
        }
    };
    let uses = uses.ok()?.unwrap_or(0);
    if let Some(node) = fields.get("uses").filter(|_| uses > MOST_BEFORE) {
        problems.note(node.at, format!("a test may have {MOST_BEFORE} uses"), "");
        return None;
    }
    Some(Before {
        uses,
        denied: denied.ok()?,
        had: had.into_iter().collect::<Option<_>>()?,
    })
}

fn had(node: &Node, problems: &mut Problems<'_>) -> Option<Had> {
    let fields = Fields::of(node, &HAD, problems)?;
    let items = fields
        .required("ask", problems)
        .and_then(|node| set("ask", node, problems));
    let from: Option<Timestamp> = fields.parse("from", problems);
    fields.required("for", problems);
    let duration = length(&fields, "for", problems).ok().flatten();
    Some(Had {
        items: items?,
        from: from?,
        duration: duration?,
    })
}

/// The ticket that a test names: one that a request could name.
fn ticket(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Result<Option<String>, Noted> {
    let ticket: Option<String> = fields.optional("ticket", problems)?;
    match (
        ticket.as_deref().and_then(crate::ticket::flaw),
        fields.get("ticket"),
    ) {
        (Some(flaw), Some(node)) => {
            problems.note(node.at, flaw, "no request can name it");
            Err(Noted)
        }
        _ => Ok(ticket),
    }
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
