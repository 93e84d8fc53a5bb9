//! Reads what a policy demands beside approval: fresh proofs, recordings, who hears of it, and steps of guardrails.

use daypass_core::demand::Recording;
use daypass_core::name::Name;
use daypass_core::time::Span;

use super::length;
use super::path::{names, steps};
use crate::diagnostic::{At, Problems};
use crate::document::Step;
use crate::fields::{Fields, expected, one_or_many};
use crate::nearest::quote;
use crate::tree::Value;

const NOT_DONE: &str = "remove it: a policy that says more than is done does not load";

/// What a guardrail demands; `None` for what could not be read, which was noted.
pub(super) struct Guard {
    pub(super) steps: Option<Vec<Step>>,
    pub(super) mfa: Option<Option<Span>>,
    pub(super) record: Option<bool>,
}

pub(super) fn guard(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Guard {
    let steps = match fields.get("steps") {
        None => Some(Vec::new()),
        Some(node) => match &node.value {
            Value::List(items) => steps("a guardrail", "remove it", (node.at, items), problems),
            _ => {
                expected("a list of steps", "\"steps\"", node, problems);
                None
            }
        },
    };
    let record = match fields.get("record") {
        None => Some(false),
        Some(node) if node.text() == Some("required") => Some(true),
        Some(node) => {
            expected("required", "\"record\"", node, problems);
            None
        }
    };
    Guard {
        steps,
        mfa: length(fields, "mfa", problems).ok(),
        record,
    }
}

/// What a rule demands, as far as it could be read.
#[derive(Default)]
pub(super) struct Asks {
    pub(super) mfa: Option<Span>,
    pub(super) notify: Vec<(Name, At)>,
}

pub(super) fn rule(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Asks {
    agents(fields, problems);
    Asks {
        mfa: length(fields, "mfa", problems).ok().flatten(),
        notify: notify(fields, problems).unwrap_or_default(),
    }
}

/// No rule admits agents, because there are none yet. That may be written; the contrary is not done.
fn agents(fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let Some(node) = fields.get("agents") else {
        return;
    };
    match node.value {
        Value::Bool(false) => {}
        Value::Bool(true) => {
            let what = "\"agents: true\" in a rule is not supported in this version";
            problems.note(node.at, what, NOT_DONE);
        }
        _ => expected("true or false", "\"agents\"", node, problems),
    }
}

/// Sets of people. What has a colon in it names a way by which to tell, and those are the operator's.
fn notify(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Vec<(Name, At)>> {
    let node = fields.get("notify")?;
    let mut only_sets = true;
    for item in one_or_many(node) {
        let Some(text) = item.text() else { continue };
        if text.contains(':') {
            let what = format!("{} in \"notify\" is not supported in this version", quote(text));
            let hint = "name sets of people, such as notify: [security]; webhooks stand in server.yaml";
            problems.note(item.at, what, hint);
            only_sets = false;
        } else if text == "manager" {
            let what = "\"notify\" names sets of people, and the manager is none";
            problems.note(item.at, what, "name a set of people");
            only_sets = false;
        }
    }
    if only_sets {
        names("notify", node, problems)
    } else {
        None
    }
}

/// Whether access to a resource is recorded.
pub(super) fn recording(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Option<Recording>> {
    let Some(node) = fields.get("recording") else {
        return Some(None);
    };
    match node.text() {
        Some("required") => Some(Some(Recording::Required)),
        Some("best-effort") => Some(Some(Recording::BestEffort)),
        _ => {
            expected("required or best-effort", "\"recording\"", node, problems);
            None
        }
    }
}

/// How long ago the asker of a test proved who they are: just now where it is not said. The inner `None`: they cannot.
pub(super) fn confirmed(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Option<Span>> {
    match fields.get("confirmed") {
        None => Some(Some(Span::ZERO)),
        Some(node) if node.text() == Some("never") => Some(None),
        Some(_) => fields.optional("confirmed", problems).ok(),
    }
}
