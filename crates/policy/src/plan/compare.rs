//! The ways that somebody has to a role under one policy, and what differs between two lists of them.

use std::collections::BTreeSet;

use daypass_core::demand::Demands;
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::review::{From, Silence, Step};
use daypass_core::time::{Span, Timestamp};

use super::{Change, Effect, Way};
use crate::condition::Supposing;
use crate::diff::Besides;
use crate::explain::asked;
use crate::{Ask, Directory, Policy};

/// A policy that is asked, with the people and the instant of all questions.
pub(super) struct Side<'p> {
    pub(super) policy: &'p Policy,
    pub(super) directory: &'p dyn Directory,
    pub(super) now: Timestamp,
    besides: Besides,
}

impl<'p> Side<'p> {
    pub(super) fn new(policy: &'p Policy, directory: &'p dyn Directory, now: Timestamp) -> Self {
        Self {
            policy,
            directory,
            now,
            besides: Besides::of(&policy.document),
        }
    }

    /// All ways of a person to a role, the one that is taken first.
    pub(super) fn ways(&self, person: PersonId, item: &Item, break_glass: bool) -> Vec<Way> {
        let items = BTreeSet::from([item.clone()]);
        let ask = Ask {
            break_glass,
            ..Ask::new(person, &items, self.now)
        };
        let Ok(allowed) = self.policy.choose(&ask, self.directory, Supposing::Conditions) else {
            return Vec::new();
        };
        let path = allowed.path;
        let others = allowed.others.into_iter();
        let others = others.map(|other| (other.rule, other.steps, other.max));
        [(path.rule, path.steps, path.max)]
            .into_iter()
            .chain(others)
            .map(|(rule, steps, max)| self.way(rule, &steps, max, &items))
            .collect()
    }

    fn way(&self, rule: Name, steps: &[Step], max: Span, items: &BTreeSet<Item>) -> Way {
        let place = self.policy.index.rule(&rule);
        let written = place.and_then(|place| self.policy.document.rules.get(place));
        let glass = written.and_then(|rule| rule.break_glass.as_ref());
        let describe = |set: &Name| self.policy.describe(&From::People(set.clone()));
        let after = glass.map(|glass| {
            let (review_by, page) = (describe(&glass.review_by.0), describe(&glass.page.0));
            format!("reviewed by {review_by} within {}, pages {page}", glass.within)
        });
        let of_rule = self.besides.rules.get(rule.as_str()).into_iter().flatten();
        let guardrails = items
            .iter()
            .flat_map(|item| self.policy.index.guardrails(&item.resource))
            .filter_map(|place| self.policy.document.guardrails.get(*place));
        let floors = guardrails
            .filter_map(|guardrail| self.besides.guardrails.get(guardrail.name.as_str()))
            .flatten();
        let sessions = items
            .iter()
            .flat_map(|item| self.policy.gateway_in_words(item, &Demands::default()));
        let mut conditions: Vec<String> = of_rule.chain(floors).cloned().chain(sessions).collect();
        conditions.sort();
        conditions.dedup();
        let full: Vec<String> = steps.iter().map(|step| self.in_full(step)).collect();
        Way {
            steps: steps.len(),
            people: steps.iter().map(|step| u64::from(step.count)).sum(),
            asks: asked(steps),
            asks_in_full: full.join(", then "),
            usual: written.map_or(max, |rule| self.policy.bounds(rule, items).duration),
            max,
            after,
            conditions,
            rule,
        }
    }

    fn in_full(&self, step: &Step) -> String {
        let whom = self.policy.describe(&step.from);
        let silence = match &step.silence {
            Silence::Deny => String::new(),
            Silence::Escalate { to, within } => {
                format!(", else {} within {within}", self.policy.describe(to))
            }
        };
        format!("{} of {whom} within {}{silence}", step.count, step.within)
    }
}

/// What differs, for one verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    effect: Effect,
    break_glass: bool,
    before: Option<Way>,
    after: Option<Way>,
    dropped: Vec<Way>,
    added: Vec<Way>,
}

impl Difference {
    /// What differs between two lists of ways, the one that is taken first in each; `None` where nothing does. What a rule is
    /// called makes no difference.
    pub(super) fn between(break_glass: bool, before: Vec<Way>, after: Vec<Way>) -> Option<Self> {
        let mut dropped: Vec<Way> = unmatched(before.get(1..).unwrap_or_default(), &after);
        let mut added: Vec<Way> = unmatched(after.get(1..).unwrap_or_default(), &before);
        let (first, then) = (before.into_iter().next(), after.into_iter().next());
        let effect = match (&first, &then) {
            (None, None) => return None,
            (None, Some(_)) => {
                added.clear();
                Effect::Gained
            }
            (Some(_), None) => {
                dropped.clear();
                Effect::Lost
            }
            (Some(first), Some(then)) => effect(first, then).or_else(|| {
                let same = dropped.is_empty() && added.is_empty();
                (!same).then_some(Effect::Ways)
            })?,
        };
        Some(Self {
            effect,
            break_glass,
            before: first,
            after: then,
            dropped,
            added,
        })
    }

    pub(super) fn change(self, people: Vec<PersonId>, items: Vec<Item>) -> Change {
        Change {
            effect: self.effect,
            break_glass: self.break_glass,
            before: self.before,
            after: self.after,
            dropped: self.dropped,
            added: self.added,
            people,
            items,
        }
    }
}

/// The ways of one list that are not in the other under any name.
fn unmatched(ways: &[Way], others: &[Way]) -> Vec<Way> {
    let mut missing: Vec<Way> = ways
        .iter()
        .filter(|way| !others.iter().any(|other| what(other) == what(way)))
        .cloned()
        .collect();
    missing.sort();
    missing
}

/// All of a way but its name.
fn what(way: &Way) -> impl PartialEq {
    (
        way.asks_in_full.clone(),
        way.usual,
        way.max,
        way.after.clone(),
        way.conditions.clone(),
    )
}

/// What becomes of the way that is taken: what it asks of others counts first, then how long it gives.
fn effect(before: &Way, after: &Way) -> Option<Effect> {
    let asks = |way: &Way| (way.steps, way.people);
    if asks(after) != asks(before) {
        return Some(if asks(after) < asks(before) {
            Effect::Easier
        } else {
            Effect::Harder
        });
    }
    if after.max != before.max {
        return Some(if after.max > before.max {
            Effect::Longer
        } else {
            Effect::Shorter
        });
    }
    if (&after.asks_in_full, &after.after) != (&before.asks_in_full, &before.after) {
        return Some(Effect::Asks);
    }
    ((&after.conditions, after.usual) != (&before.conditions, before.usual)).then_some(Effect::Conditions)
}
