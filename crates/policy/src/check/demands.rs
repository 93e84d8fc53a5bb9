//! Checks what is demanded beside approval: steps of guardrails in their time and with their people, who hears, what is recorded.

use std::collections::BTreeSet;

use daypass_core::demand::Recording;
use daypass_core::name::Name;
use daypass_core::review::Silence;
use daypass_core::time::Span;

use super::Check;
use super::gateway::directly;
use crate::diagnostic::{At, Problems};
use crate::document::{Access, Guardrail, Resource, Rule, Step};
use crate::nearest::list;

impl Check<'_> {
    /// A recording is demanded of what nothing can record.
    pub(super) fn recording(&self, resource: &Resource, problems: &mut Problems<'_>) {
        if resource.recording != Some(Recording::Required) || resource.access != Access::Direct {
            return;
        }
        let access = directly(resource, problems);
        let what = format!(
            "access to {} must be recorded, and it is reached directly {access}: nothing could record it",
            resource.name
        );
        let hint = "write access: gateway, which is what records, or remove recording";
        problems.note(resource.recording_at, what, hint);
    }

    /// Whom the steps of a guardrail ask, and whether they can be filled at all.
    pub(super) fn guarding(&self, guardrail: &Guardrail, problems: &mut Problems<'_>) {
        for step in &guardrail.steps {
            self.set(&step.from.0, step.from.1, problems);
            if let Silence::Escalate { to, .. } = &step.silence {
                self.set(to, step.escalate_at, problems);
            }
        }
        self.fillable(&guardrail.steps, problems);
    }

    /// Whether the steps of the rule and of all guardrails that one request by it may meet fit into the time that it waits.
    pub(super) fn waiting(&self, rule: &Rule, problems: &mut Problems<'_>) {
        let guardrails: Vec<&Guardrail> = if rule.break_glass.is_some() {
            Vec::new()
        } else {
            self.over(rule)
        };
        let steps: Vec<Step> = rule
            .steps
            .iter()
            .chain(guardrails.iter().flat_map(|guardrail| &guardrail.steps))
            .cloned()
            .collect();
        let names: BTreeSet<&Name> = guardrails.iter().map(|guardrail| &guardrail.name).collect();
        let of = || {
            let besides = match names.len() {
                0 => String::new(),
                1 => format!(
                    " and the guardrail {}",
                    list(names.iter().map(|name| name.as_str()))
                ),
                _ => format!(
                    " and the guardrails {}",
                    list(names.iter().map(|name| name.as_str()))
                ),
            };
            format!("the rule {}{besides}", rule.name)
        };
        self.in_time(&steps, problems, of, rule.at);
    }

    /// The guardrails with steps over any resource that a rule selects.
    fn over(&self, rule: &Rule) -> Vec<&Guardrail> {
        let resources: Vec<&Resource> = self
            .document
            .resources
            .iter()
            .filter(|resource| rule.to.admits(resource))
            .collect();
        let touches = |guardrail: &&Guardrail| {
            let over = |resource: &&Resource| guardrail.to.as_ref().is_none_or(|to| to.admits(resource));
            !guardrail.steps.is_empty() && resources.iter().any(over)
        };
        self.document.guardrails.iter().filter(touches).collect()
    }

    /// Whether these steps may take longer than a request stays undecided.
    fn in_time(&self, steps: &[Step], problems: &mut Problems<'_>, of: impl FnOnce() -> String, at: At) {
        let total = steps.iter().fold(Span::ZERO, |total, step| {
            let escalation = match &step.silence {
                Silence::Escalate { within, .. } => *within,
                Silence::Deny => Span::ZERO,
            };
            total + step.within.unwrap_or(Span::ZERO) + escalation
        });
        let pending = self.document.defaults.pending;
        if total > pending {
            let what = format!(
                "the steps of {} may take {total}, but a request lapses after {pending}",
                of()
            );
            problems.note(
                at,
                what,
                format!("shorten them, or write defaults: {{pending: {total}}}"),
            );
        }
    }
}
