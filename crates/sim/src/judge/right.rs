//! Whether somebody still has the right to what they asked for, by the policy of this moment: looked at when it is agreed to, when
//! access begins, and where a grant is said to end because the right to it was lost.

use std::collections::BTreeSet;

use daypass_core::grant::Grant;
use daypass_core::id::{GrantId, PersonId};
use daypass_core::lock::On;
use daypass_core::name::Item;
use daypass_core::person::Kind;
use daypass_core::request::Request;
use daypass_core::review::{Approval, Review};
use daypass_core::time::{Span, Timestamp};

use super::approval::in_set;
use super::ledger::{Asked, Phase};
use super::standing::Whose;
use super::{Invariant, Judge};
use crate::scenario::policy::{Policy, Rule, Step};
use crate::scenario::{What, address};

impl Judge {
    /// What of the right to a request's items for so long is lost, by the policy of this moment.
    pub(super) fn lost(&self, asked: &Asked, (items, long): (&BTreeSet<Item>, Span)) -> Option<String> {
        let request = &asked.request;
        let lost = |what: &str| Some(what.to_owned());
        let Some(current) = self.policy(self.ledger.policy) else {
            return lost("there is no policy");
        };
        let made = self
            .policy(asked.policy)
            .and_then(|made| Some((made, made.rule(request.path.rule.as_str())?)));
        let (Some(rule), Some((before, made))) = (current.rule(request.path.rule.as_str()), made) else {
            return lost("its rule is gone");
        };
        if !self.admits(current, rule, request.ask.requester, items) {
            return lost("the requester had lost the right to it");
        }
        if rule.glass.is_some() != made.glass.is_some() {
            return lost("its rule was for emergencies, or is now");
        }
        let max = current.max(rule, names(items));
        if long > max {
            return Some(format!("it is for {long}, and no more than {max} is given"));
        }
        if !self.comes_from(rule, request) {
            return lost("it was asked for from elsewhere");
        }
        if rule.glass.is_none() && !has_all(current, items, &brought(before, made, &request.ask.items)) {
            return lost("a guardrail asks others, and nobody asked them");
        }
        None
    }

    /// Whether everybody who agreed is still active, not locked, and whom their step asks. Whether they have settled since is not
    /// asked again.
    fn is_still_agreed(&self, asked: &Asked) -> bool {
        let request = &asked.request;
        let (Some(current), Some(made)) = (self.policy(self.ledger.policy), self.policy(asked.policy)) else {
            return false;
        };
        let Some(rule) = made.rule(request.path.rule.as_str()) else {
            return false;
        };
        let steps = made.steps(rule, names(&request.ask.items));
        let requester = self.ledger.people.get(&request.ask.requester);
        let managed = self.ledger.owner(request.ask.requester).or(requester);
        let reviews = asked.approved.iter().flat_map(Approval::reviews);
        reviews.into_iter().all(|review| {
            // Whom the step asks is who is away, where somebody spoke for them.
            let who = review.on_behalf.unwrap_or(review.reviewer);
            let (Some(person), Some((step, _))) = (self.ledger.people.get(&who), steps.get(review.step))
            else {
                return false;
            };
            let is_of = |from: &str| match from {
                "manager" => managed.is_some_and(|managed| managed.manager == Some(who)),
                set => in_set(current, set, person),
            };
            let others = step.escalate.as_ref();
            let asked = is_of(&step.from) || others.is_some_and(|(to, _)| is_of(to));
            asked
                && review.voices().all(|voice| self.is_there(voice, request))
                && self.still_speaks(current, review)
        })
    }

    /// Whether who reviewed in somebody's place may be a delegate still, and was not told since that they are none: a delegation that
    /// ran out leaves what was said, one that was taken back or given to another does not.
    fn still_speaks(&self, policy: &Policy, review: &Review) -> bool {
        review.on_behalf.is_none_or(|absent| {
            let away = self.ledger.standings.absence(absent);
            away.is_some_and(|away| away.to == review.reviewer && away.is_at(review.at))
                && self.may_be_delegate(policy, review.reviewer)
        })
    }

    /// Whether somebody is an active person who is not locked, and has nothing to do with who asks.
    fn is_there(&self, who: PersonId, request: &Request) -> bool {
        let person = self.ledger.people.get(&who);
        person.is_some_and(|person| person.active && person.kind == Kind::Person)
            && !self.ledger.locked.contains(&On::Person(who))
            && !self.is_own(who, Whose::of(request))
    }

    /// Whether a request comes from where its rule admits. Its reason names the command.
    pub(super) fn comes_from(&self, rule: &Rule, request: &Request) -> bool {
        let Some(network) = rule.bounds.network else {
            return true;
        };
        let from = command(request).and_then(address);
        matches!(from, Some(std::net::IpAddr::V4(from)) if matches!(from.octets(), [10, net, ..] if net == network))
    }

    /// When access begins, the right to it is still there.
    pub(super) fn check_begun(&mut self, id: GrantId) {
        let found = self.ledger.grants.get(&id).and_then(|held| {
            let items = items(&held.grant);
            let asked = self.ledger.requests.get(&held.grant.request)?;
            let lost = self.lost(asked, (&items, held.grant.duration));
            let unsaid =
                || (!self.is_still_agreed(asked)).then(|| String::from("who agreed may not any more"));
            let what = lost.or_else(unsaid).map(|what| (Invariant::Approved, what));
            what.or_else(|| Some((Invariant::Limited, self.over_first_uses(asked)?)))
        });
        if let Some((invariant, what)) = found {
            self.accuse(invariant, format!("{id} begins: {what}"));
        }
    }

    /// Whether the right to a grant that had not become active was lost at this time, or may have been: where it depends on what
    /// only the product knows exactly.
    pub(super) fn may_have_lost(&self, grant: &Grant, phase: &Phase, at: Timestamp) -> bool {
        let Some(asked) = self.ledger.requests.get(&grant.request) else {
            return true;
        };
        match phase {
            // It is looked at again when it is all there.
            Phase::Scheduled | Phase::Activating { .. } => {
                self.lost(asked, (&items(grant), grant.duration)).is_some()
                    || !self.is_still_agreed(asked)
                    || self.over_first_uses(asked).is_some()
                    || self.is_outside(grant, asked, at)
                    || self.address_was_not_kept(asked)
                    || self.is_full(grant, (at, at + grant.duration), at)
                    || self.nothing_is_left(grant, at)
            }
            _ => false,
        }
    }

    /// Whether a rule asks for an address that asked for none when the request was made.
    fn address_was_not_kept(&self, asked: &Asked) -> bool {
        let asks = |policy: usize| {
            let rule = self.policy(policy)?.rule(asked.request.path.rule.as_str())?;
            rule.bounds.network
        };
        asks(self.ledger.policy).is_some() && asks(asked.policy).is_none()
    }

    /// What an element's command asks for, by the policy of this moment; `None` where it takes that from a grant.
    pub(super) fn said(&self, request: &Request) -> Option<BTreeSet<Item>> {
        let element = self.scenario.elements.get(command(request)?)?;
        let What::Ask {
            items, environment, ..
        } = &element.what
        else {
            return None;
        };
        let policy = self.policy(self.ledger.policy)?;
        let stands = environment
            .iter()
            .flat_map(|(env, role)| policy.stands_for(env, role));
        Some(
            items
                .iter()
                .cloned()
                .chain(stands)
                .filter_map(|item| item.parse().ok())
                .collect(),
        )
    }
}

/// The number of the element whose command made a request.
pub(super) fn command(request: &Request) -> Option<usize> {
    request.ask.reason.text().parse().ok()
}

/// The items of a grant.
pub(super) fn items(grant: &Grant) -> BTreeSet<Item> {
    grant.parts.iter().map(|part| part.item().clone()).collect()
}

pub(super) fn names(items: &BTreeSet<Item>) -> impl Iterator<Item = &str> + Clone {
    items.iter().map(|item| item.resource.as_str())
}

/// The steps that guardrails brought to what was asked for.
fn brought<'p>(policy: &'p Policy, rule: &'p Rule, items: &BTreeSet<Item>) -> Vec<&'p Step> {
    let steps = policy.steps(rule, names(items)).into_iter();
    steps
        .filter(|(_, guard)| guard.is_some())
        .map(|(step, _)| step)
        .collect()
}

/// Whether each step that the guardrails over these items ask for has one of its own among those that were asked.
fn has_all(policy: &Policy, items: &BTreeSet<Item>, asked: &[&Step]) -> bool {
    let wanted: Vec<_> = policy.over(names(items)).flat_map(|guard| &guard.steps).collect();
    matched(&wanted, asked)
}

fn matched(wanted: &[&Step], asked: &[&Step]) -> bool {
    let Some((first, others)) = wanted.split_first() else {
        return true;
    };
    (0..asked.len()).any(|at| {
        let fits = asked.get(at).is_some_and(|step| is_no_less(step, first));
        let rest: Vec<_> = asked
            .iter()
            .take(at)
            .chain(asked.iter().skip(at + 1))
            .copied()
            .collect();
        fits && matched(others, &rest)
    })
}

fn is_no_less(asked: &Step, wanted: &Step) -> bool {
    let others = |step: &Step| step.escalate.as_ref().map(|(to, _)| to.clone());
    asked.from == wanted.from
        && asked.count >= wanted.count
        && (others(asked).is_none() || others(asked) == others(wanted))
}
