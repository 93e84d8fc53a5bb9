//! Checks environments: what each of their roles stands for, resource by resource.

use std::collections::BTreeSet;

use daypass_core::name::Name;

use super::Check;
use crate::diagnostic::Problems;
use crate::document::Resource;
use crate::environment::{Environment, Role};
use crate::nearest::{did_you_mean, list};

impl Check<'_> {
    pub(super) fn environment(&self, environment: &Environment, problems: &mut Problems<'_>) {
        let of = format!("the environment {}", environment.name);
        if !self.selector(&environment.resources, &of, problems) {
            return;
        }
        let resources = self.document.resources.iter();
        let selected: Vec<&Resource> = resources
            .filter(|one| environment.resources.admits(one))
            .collect();
        for role in &environment.roles {
            self.role_of(environment, role, &selected, problems);
        }
    }

    /// Whether all that it stands for is there, and that it stands for something.
    fn role_of(
        &self,
        environment: &Environment,
        role: &Role,
        selected: &[&Resource],
        problems: &mut Problems<'_>,
    ) {
        let written = format!("env:{}/{}", environment.name, role.name);
        let before = problems.count();
        let mut stands_for_something = false;
        for stands in &role.stands {
            let mut of_kind = selected
                .iter()
                .filter(|one| one.kind == stands.kind)
                .copied()
                .peekable();
            if of_kind.peek().is_none() {
                let kinds = &self.words.kinds;
                if !kinds.contains(stands.kind.as_str()) {
                    let what = format!("{written} names the kind {}, which no resource has", stands.kind);
                    let otherwise = format!("known: {}", list(kinds.iter().copied()));
                    let hint = did_you_mean(stands.kind.as_str(), kinds.iter().copied(), otherwise);
                    problems.note(stands.kind_at, what, hint);
                }
                continue;
            }
            stands_for_something = true;
            let lacking: Vec<&Resource> = of_kind
                .filter(|one| !one.roles.contains_key(&stands.role))
                .collect();
            if !lacking.is_empty() {
                let known: BTreeSet<&str> = lacking
                    .iter()
                    .flat_map(|one| one.roles.keys().map(Name::as_str))
                    .collect();
                let names = list(lacking.iter().map(|one| one.name.as_str()));
                let what = format!(
                    "{written} stands for the role {}, which is missing from {names}",
                    stands.role
                );
                let otherwise = format!("there is {}", list(known.iter().copied()));
                let hint = did_you_mean(stands.role.as_str(), known.iter().copied(), otherwise);
                problems.note(stands.role_at, what, hint);
            }
        }
        if !stands_for_something && problems.count() == before {
            let kinds: BTreeSet<&str> = selected.iter().map(|one| one.kind.as_str()).collect();
            let hint = format!(
                "what the environment selects is of kind {}",
                list(kinds.into_iter())
            );
            problems.note(role.at, format!("{written} stands for nothing"), hint);
        }
    }
}
