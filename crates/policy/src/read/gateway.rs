//! Reads what sessions through the gateway keep: how they are recorded, and which statements they may not send.

use std::collections::BTreeSet;

use crate::diagnostic::Problems;
use crate::fields::{Fields, Keys, Noted, expected, one_or_many};
use crate::gateway::{Class, Denied, OnFailure, Watch};
use crate::nearest::{did_you_mean, list, quote};
use crate::tree::{Node, Value};

const GATEWAY: Keys = Keys {
    what: "gateway",
    known: &["values", "on_recording_failure"],
    later: &[],
};

const STATEMENTS: Keys = Keys {
    what: "statements",
    known: &["deny"],
    later: &[],
};

/// How sessions are recorded; `None` where nothing is said.
pub(super) fn watch(node: Option<&Node>, problems: &mut Problems<'_>) -> Result<Option<Watch>, Noted> {
    let Some(node) = node else {
        return Ok(None);
    };
    let fields = Fields::of(node, &GATEWAY, problems).ok_or(Noted)?;
    if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        let hint = format!("it may have {}", list(GATEWAY.known.iter().copied()));
        problems.note(node.at, "\"gateway\" says nothing", hint);
        return Err(Noted);
    }
    let values = match fields.get("values").map(|node| (node, &node.value)) {
        None => Ok(false),
        Some((_, Value::Bool(values))) => Ok(*values),
        Some((node, _)) => {
            expected("true or false", "\"values\"", node, problems);
            Err(Noted)
        }
    };
    let on_failure = match fields.get("on_recording_failure").map(|node| (node, node.text())) {
        None | Some((_, Some("end"))) => Ok(OnFailure::End),
        Some((_, Some("continue"))) => Ok(OnFailure::Continue),
        Some((node, _)) => {
            expected("end or continue", "\"on_recording_failure\"", node, problems);
            Err(Noted)
        }
    };
    let place = |key| fields.get(key).map_or(node.at, |node| node.at);
    Ok(Some(Watch {
        at: node.at,
        values: values?,
        values_at: place("values"),
        on_failure: on_failure?,
        on_failure_at: place("on_recording_failure"),
    }))
}

/// The statements that are refused; `None` where nothing is said.
pub(super) fn denied(node: Option<&Node>, problems: &mut Problems<'_>) -> Result<Option<Denied>, Noted> {
    let Some(node) = node else {
        return Ok(None);
    };
    let fields = Fields::of(node, &STATEMENTS, problems).ok_or(Noted)?;
    let deny = fields.required("deny", problems).ok_or(Noted)?;
    let items = one_or_many(deny);
    if items.is_empty() {
        problems.note(deny.at, "\"deny\" is empty", "name at least one");
    }
    let read: Vec<Option<Class>> = items.iter().map(|item| class(item, problems)).collect();
    let classes = read.into_iter().collect::<Option<BTreeSet<Class>>>();
    let classes = classes.filter(|classes| !classes.is_empty()).ok_or(Noted)?;
    Ok(Some(Denied { at: node.at, classes }))
}

fn class(node: &Node, problems: &mut Problems<'_>) -> Option<Class> {
    let Some(text) = node.text() else {
        expected("a class of statements", "\"deny\"", node, problems);
        return None;
    };
    let class = text.parse().ok();
    if class.is_none() {
        let known = || Class::ALL.map(Class::as_str);
        let hint = did_you_mean(text, known(), format!("known: {}", list(known())));
        problems.note(
            node.at,
            format!("there is no class of statements {}", quote(text)),
            hint,
        );
    }
    class
}
