//! Checks what sessions through the gateway keep: that there are any, that statements can be told apart, that nothing goes on
//! unrecorded that must be recorded.

use daypass_core::demand::Recording;

use super::Check;
use crate::diagnostic::{At, Problems};
use crate::document::{Access, Guardrail, Resource};
use crate::gateway::{Denied, OnFailure, WITH_STATEMENTS, Watch};

impl Check<'_> {
    /// What a resource and its roles say of sessions.
    pub(super) fn sessions(&self, resource: &Resource, problems: &mut Problems<'_>) {
        if let Some(watch) = &resource.gateway {
            self.watched(resource, watch, problems);
        }
        if let Some(denied) = &resource.statements {
            deniable(resource, resource.name.as_str(), denied, problems);
        }
        for (name, role) in &resource.roles {
            if let Some(denied) = &role.statements {
                deniable(resource, &format!("{}/{name}", resource.name), denied, problems);
            }
        }
    }

    fn watched(&self, resource: &Resource, watch: &Watch, problems: &mut Problems<'_>) {
        let name = &resource.name;
        if resource.access == Access::Direct {
            let access = directly(resource, problems);
            let what =
                format!("\"gateway\" is about sessions through it, and {name} is reached directly {access}");
            problems.note(watch.at, what, "write access: gateway, or remove gateway");
            return;
        }
        if watch.values && resource.kind.as_str() != WITH_STATEMENTS {
            let what = format!(
                "\"values\" are those of statements, and {name} is of kind {}: only sessions with {WITH_STATEMENTS} have any",
                resource.kind
            );
            problems.note(watch.values_at, what, "remove values");
        }
        if watch.on_failure == OnFailure::Continue {
            self.goes_on(resource, watch.on_failure_at, problems);
        }
    }

    /// A session that goes on when its recording fails is unrecorded from there.
    fn goes_on(&self, resource: &Resource, at: At, problems: &mut Problems<'_>) {
        let name = &resource.name;
        let unrecorded = "would go on unrecorded where recording fails";
        if resource.recording == Some(Recording::Required) {
            let place = problems.place(resource.recording_at);
            let what = format!("access to {name} must be recorded (at {place}), and {unrecorded}");
            let hint = "write on_recording_failure: end, or recording: best-effort";
            problems.note(at, what, hint);
            return;
        }
        let over = |one: &&Guardrail| one.record && one.to.as_ref().is_none_or(|to| to.admits(resource));
        if let Some(guardrail) = self.document.guardrails.iter().find(over) {
            let (guardrail, place) = (&guardrail.name, problems.place(guardrail.at));
            let what = format!(
                "the guardrail {guardrail} (at {place}) demands that access to {name} is recorded, which {unrecorded}"
            );
            problems.note(at, what, "write on_recording_failure: end");
        }
    }
}

/// Whether there is a gateway between, and one that knows the statements.
fn deniable(resource: &Resource, of: &str, denied: &Denied, problems: &mut Problems<'_>) {
    if resource.access == Access::Direct {
        let access = directly(resource, problems);
        let what = format!(
            "statements to {of} are to be refused, and {} is reached directly {access}: nothing could refuse them",
            resource.name
        );
        problems.note(denied.at, what, "write access: gateway, or remove statements");
    } else if resource.kind.as_str() != WITH_STATEMENTS {
        let what = format!(
            "statements to {of} are to be refused, and {} is of kind {}: the gateway knows those of {WITH_STATEMENTS} alone",
            resource.name, resource.kind
        );
        problems.note(denied.at, what, "remove statements");
    }
}

/// Where it is said that a resource is reached directly.
pub(super) fn directly(resource: &Resource, problems: &Problems<'_>) -> String {
    if resource.access_at == resource.at {
        String::from("(which it is where nothing is said)")
    } else {
        format!("(at {})", problems.place(resource.access_at))
    }
}
