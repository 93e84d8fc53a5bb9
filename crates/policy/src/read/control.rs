//! Reads what the policy says about changes of itself, and of the local directory.

use std::collections::BTreeSet;

use daypass_core::edit::Area;

use super::path::chain;
use crate::diagnostic::Problems;
use crate::document::Control;
use crate::fields::{Fields, Keys, expected, one_or_many};
use crate::nearest::{did_you_mean, list, quote};
use crate::tree::{Node, Value};

const CONTROL: Keys = Keys {
    what: "policy",
    known: &["approval", "covers"],
    later: &[],
};

pub(super) fn control(node: &Node, control: &mut Option<Control>, problems: &mut Problems<'_>) {
    let Some(fields) = Fields::of(node, &CONTROL, problems) else {
        return;
    };
    if let Some(first) = control {
        let hint = format!("the first is at {}", problems.place(first.at));
        problems.note(fields.at, "\"policy\" is there twice", hint);
        return;
    }
    let covers = fields.get("covers").map(|node| covers(node, problems));
    let Some(node) = fields.required("approval", problems) else {
        return;
    };
    if matches!(&node.value, Value::Text(text) if text == "none") {
        let hint = "where nobody need agree to another policy, leave \"policy\" out";
        problems.note(node.at, "these steps ask nobody", hint);
        return;
    }
    if let Some(steps) = chain(node, problems) {
        for step in steps.iter().filter(|step| step.mfa.is_some()) {
            let what = "\"mfa\" in a step of policy is not supported in this version";
            let hint = "remove it: a policy that says more than is done does not load";
            problems.note(step.at, what, hint);
        }
        *control = Some(Control {
            at: fields.at,
            covers: covers.unwrap_or_else(|| BTreeSet::from([Area::Policy])),
            steps,
        });
    }
}

/// What waits for the steps. Whoever could change the policy alone could take the rest of it away, so that it must be there.
fn covers(node: &Node, problems: &mut Problems<'_>) -> BTreeSet<Area> {
    let mut areas = BTreeSet::new();
    let noted = problems.count();
    for item in one_or_many(node) {
        let Some(text) = item.text() else {
            expected("a word such as people", "\"covers\"", item, problems);
            continue;
        };
        let words = || Area::ALL.iter().map(|area| area.as_str());
        match Area::ALL.iter().find(|area| area.as_str() == text) {
            Some(area) if areas.insert(*area) => {}
            Some(_) => problems.note(item.at, format!("{} is there twice", quote(text)), "remove one"),
            None => {
                let what = format!("{} is nothing that can be covered", quote(text));
                let otherwise = format!("known: {}", list(words()));
                problems.note(item.at, what, did_you_mean(text, words(), otherwise));
            }
        }
    }
    if problems.count() == noted && !areas.contains(&Area::Policy) {
        let hint = "add policy: whoever can change the policy alone can take the rest away";
        problems.note(node.at, "\"covers\" leaves out the policy itself", hint);
    }
    areas
}
