//! By which sets of people somebody is asked to review: what a change of their groups does beside what they may ask for.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::name::Name;
use daypass_core::person::Person;
use daypass_core::review::{From, Silence};

use crate::Policy;
use crate::document::Step;

impl Policy {
    /// The sets of people that this person is in and that are asked to review something, first or after silence, each with how
    /// many rules, guardrails and changes ask it. Whether their account has settled is not asked here.
    #[must_use]
    pub fn asked_as(&self, person: &Person) -> BTreeMap<&Name, usize> {
        if !person.active || !person.is_reviewer() {
            return BTreeMap::new();
        }
        let mine = self.index.sets_of(person);
        let mut asked: BTreeMap<&Name, usize> = BTreeMap::new();
        let mut count = |sets: BTreeSet<_>| {
            for set in sets {
                *asked.entry(set).or_default() += 1;
            }
        };
        for rule in &self.document.rules {
            let after = rule.break_glass.iter().map(|glass| &glass.review_by.0);
            count(named(&rule.steps).chain(after).collect());
        }
        for guardrail in &self.document.guardrails {
            count(named(&guardrail.steps).collect());
        }
        if let Some(control) = &self.document.control {
            count(named(&control.steps).collect());
        }
        asked.retain(|set, _| self.index.set(set).is_some_and(|place| mine.contains(&place)));
        asked
    }
}

/// The sets that these steps ask.
fn named(steps: &[Step]) -> impl Iterator<Item = &Name> {
    steps.iter().flat_map(|step| {
        let escalation = match &step.silence {
            Silence::Escalate { to, .. } => Some(to),
            Silence::Deny => None,
        };
        [&step.from.0].into_iter().chain(escalation).filter_map(set)
    })
}

const fn set(from: &From) -> Option<&Name> {
    match from {
        From::People(set) => Some(set),
        From::Manager => None,
    }
}
