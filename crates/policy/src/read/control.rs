//! Reads what the policy says about changes of itself.

use super::path::chain;
use crate::diagnostic::Problems;
use crate::document::Control;
use crate::fields::{Fields, Keys};
use crate::tree::{Node, Value};

const CONTROL: Keys = Keys {
    what: "policy",
    known: &["approval"],
    later: &["covers"],
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
        *control = Some(Control { at: fields.at, steps });
    }
}
