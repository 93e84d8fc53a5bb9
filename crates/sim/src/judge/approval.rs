//! Invariants about decisions: who agreed, whether they could, and to how much. The rules are read from the scenario's own
//! policies, the votes from what people really sent, the directory from the log up to that entry.

use std::collections::BTreeSet;

use daypass_core::grant::Grant;
use daypass_core::id::{PersonId, RequestId};
use daypass_core::name::Item;
use daypass_core::person::{Kind, Person};
use daypass_core::request::Request;
use daypass_core::review::{Approval, Decision, From, Review, Silence};
use daypass_core::time::{Span, Timestamp};

use super::right::{command, names};
use super::standing::{Said, Whose};
use super::{Invariant, Judge};
use crate::scenario::policy::{Policy, Rule, Set, Step};
use crate::scenario::{Vote, What};

/// A vote that somebody sent.
pub(super) struct Cast {
    pub(super) request: RequestId,
    pub(super) person: PersonId,
    pub(super) vote: Vote,
}

impl Judge {
    pub(super) fn policy(&self, number: usize) -> Option<&Policy> {
        self.scenario.policies.get(number)
    }

    /// The rule that a request was made under is one that admits it, and its steps are that rule's.
    pub(super) fn check_made(&mut self, request: &Request) {
        self.check_no_lock(request, "made");
        let wrong = |what: &str| Some(format!("{} was made, and {what}", request.id));
        let accusation = self.policy(self.ledger.policy).and_then(|policy| {
            let Some(rule) = policy.rule(request.path.rule.as_str()) else {
                return wrong("the policy in force has no such rule");
            };
            if !self.admits(policy, rule, request.ask.requester, &request.ask.items) {
                return wrong("its rule does not admit the requester to all of it");
            }
            if rule.glass.is_some() != self.broke_glass(request) {
                return wrong("an emergency is what somebody says is one, and nothing else");
            }
            let resources = names(&request.ask.items);
            let steps = policy.steps(rule, resources.clone());
            let mut both = request.path.steps.iter().zip(&steps);
            let same = request.path.steps.len() == steps.len()
                && both.all(|(frozen, (own, guard))| is_frozen(frozen, own, *guard));
            if !same {
                return wrong("its steps are not those of its rule and of the guardrails");
            }
            let program = self.ledger.people.get(&request.ask.requester);
            if request.ask.owner != program.and_then(|program| program.owner) {
                return wrong("it names somebody else as who answers for the program that asks");
            }
            if self.said(request).is_some_and(|said| said != request.ask.items) {
                return wrong("its items are not what was asked for");
            }
            if !self.comes_from(rule, request) {
                return wrong("its rule does not admit anybody from there");
            }
            let max = policy.max(rule, resources);
            (request.path.max > max || request.ask.duration > max).then(|| {
                format!(
                    "{} asks for {} of at most {max}",
                    request.id, request.ask.duration
                )
            })
        });
        if let Some(what) = accusation {
            self.accuse(Invariant::Approved, what);
        }
    }

    /// Whether the command that made it was the one for emergencies. Its reason names it.
    fn broke_glass(&self, request: &Request) -> bool {
        let element = command(request).and_then(|number| self.scenario.elements.get(number));
        element.is_some_and(|element| matches!(element.what, What::Ask { glass: true, .. }))
    }

    /// Who looks back at an emergency is asked to, could, and is somebody else.
    pub(super) fn looked_back(
        &mut self,
        id: RequestId,
        (by, absent): (PersonId, Option<PersonId>),
        at: Timestamp,
    ) {
        let Some(asked) = self.ledger.requests.get_mut(&id) else {
            return;
        };
        asked.owes = false;
        let (whose, made, rule) = (
            Whose::of(&asked.request),
            asked.policy,
            asked.request.path.rule.clone(),
        );
        let glass = self
            .policy(made)
            .and_then(|policy| policy.rule(rule.as_str())?.glass.clone());
        let (Some((from, within)), Some(current)) = (glass, self.policy(self.ledger.policy)) else {
            return self.accuse(
                Invariant::Approved,
                format!("{by} looked back at {id}, which was no emergency"),
            );
        };
        let step = Step {
            from,
            count: 1,
            within,
            escalate: None,
        };
        let said = Said { who: by, absent, at };
        let may = self.counts((current, &step), said, whose, at);
        if may.is_err() {
            self.accuse(
                Invariant::Approved,
                format!("{by} looked back at {id}, and {may:?}"),
            );
        }
    }

    /// Somebody says something to a request that waits: one whom the step asks, or in the place of one, who was not heard.
    pub(super) fn reviewed(&mut self, id: RequestId, review: Option<&Review>, at: Timestamp) {
        let (Some(review), Some(asked)) = (review, self.ledger.requests.get(&id)) else {
            return;
        };
        let request = &asked.request;
        let wrong = self.policy(asked.policy).and_then(|made| {
            let rule = made.rule(request.path.rule.as_str())?;
            let steps = made.steps(rule, names(&request.ask.items));
            let (step, _) = steps.get(review.step)?;
            let current = self.policy(self.ledger.policy)?;
            self.wrong_to_say((current, *step), (&asked.reviews, review), Whose::of(request), at)
        });
        if let Some(asked) = self.ledger.requests.get_mut(&id) {
            asked.reviews.push(review.clone());
        }
        if let Some(what) = wrong {
            self.accuse(Invariant::Approved, format!("{id} is reviewed: {what}"));
        }
    }

    /// An approval is what the steps demand, by people who could, and did.
    pub(super) fn check_approved(&mut self, id: RequestId, approval: &Approval, at: Timestamp) {
        let Some(asked) = self.ledger.requests.get(&id) else {
            return self.accuse(Invariant::Approved, format!("{id} was approved and never made"));
        };
        let request = &asked.request;
        let made = self
            .policy(asked.policy)
            .and_then(|policy| Some((policy, policy.rule(request.path.rule.as_str())?)));
        let (Some((made, rule)), Some(current)) = (made, self.policy(self.ledger.policy)) else {
            return;
        };
        let steps = made.steps(rule, names(&request.ask.items));
        let mut found = None;
        let mut wrong = |what: String| {
            found.get_or_insert(format!("{id} was approved: {what}"));
        };
        if !asked.pending {
            wrong("it was decided already".to_owned());
        }
        let mut people = BTreeSet::new();
        for review in approval.reviews() {
            let (who, whose) = (review.reviewer, Whose::of(request));
            for voice in review.voices() {
                if !people.insert(voice) {
                    wrong(format!("{voice} counts twice"));
                }
                if self.is_own(voice, whose) {
                    wrong(format!("{voice} agreed to their own request"));
                }
            }
            if !self.did_vote(id, review) {
                wrong(format!("{who} never said so"));
            }
            if let Some((step, _)) = steps.get(review.step)
                && let Err(what) = self.counts((current, *step), Said::by(review), whose, at)
            {
                wrong(format!("{who} {what}"));
            }
        }
        for (number, (step, _)) in steps.iter().enumerate() {
            let have = approval
                .reviews()
                .iter()
                .filter(|review| review.step == number)
                .count();
            if u32::try_from(have).unwrap_or(u32::MAX) < step.count {
                wrong(format!("step {number} has {have} of {}", step.count));
            }
        }
        if let Some(what) = self.lost(asked, (approval.items(), approval.duration())) {
            wrong(what);
        }
        let used = self.over_first_uses(asked);
        let request = request.clone();
        if let Some(what) = found {
            self.accuse(Invariant::Approved, what);
        }
        if let Some(what) = used {
            self.accuse(Invariant::Limited, format!("{id} was approved: {what}"));
        }
        self.check_no_lock(&request, "approved");
    }

    /// Nothing comes about under a lock.
    fn check_no_lock(&mut self, request: &Request, done: &str) {
        let items = request.ask.items.iter();
        if self.ledger.is_locked(request.ask.requester, items) {
            let what = format!("{} was {done}, and there is a lock", request.id);
            self.accuse(Invariant::Locked, what);
        }
    }

    /// A grant gives no more than was asked for and agreed to.
    pub(super) fn check_opened(&mut self, grant: &Grant) {
        let Some(asked) = self.ledger.requests.get(&grant.request) else {
            return self.accuse(Invariant::Approved, format!("{} has no request", grant.id));
        };
        let (request, Some(approval)) = (&asked.request, &asked.approved) else {
            return self.accuse(
                Invariant::Approved,
                format!("{} was opened without an approval", grant.id),
            );
        };
        let (least, items) = self.agreed(request, approval);
        let more = grant.parts.iter().any(|part| !items.contains(part.item()));
        let longer = grant.duration > least;
        if more || longer || grant.holder != request.ask.requester || grant.max > request.path.max {
            let what = format!(
                "{} gives {} of what was agreed on for {least}",
                grant.id, grant.duration
            );
            self.accuse(Invariant::Bounded, what);
        }
    }

    /// What the votes that count say in the end, from what people sent.
    pub(super) fn agreed(&self, request: &Request, approval: &Approval) -> (Span, BTreeSet<Item>) {
        let mut least = request.ask.duration;
        let mut items = request.ask.items.clone();
        for review in approval.reviews() {
            let Some(cast) = self.votes.iter().find(|cast| is_of(cast, request.id, review)) else {
                continue;
            };
            least = cast.vote.shorter.map_or(least, |most| least.min(most));
            if cast.vote.fewer {
                items = items
                    .intersection(&request.ask.items.iter().take(1).cloned().collect())
                    .cloned()
                    .collect();
            }
        }
        (least, items)
    }

    fn did_vote(&self, request: RequestId, review: &Review) -> bool {
        self.votes.iter().any(|cast| is_of(cast, request, review))
    }

    pub(super) fn admits(&self, policy: &Policy, rule: &Rule, who: PersonId, items: &BTreeSet<Item>) -> bool {
        let Some(person) = self.ledger.people.get(&who).filter(|person| person.active) else {
            return false;
        };
        if person.kind == Kind::Service && self.ledger.owner(who).is_none_or(|owner| !owner.active) {
            return false;
        }
        let may_ask = rule.allow.iter().any(|set| in_set(policy, set, person));
        may_ask
            && items.iter().all(|item| {
                let role = item.role.as_str();
                let resource = policy
                    .resources
                    .iter()
                    .find(|resource| resource.name == item.resource.as_str());
                resource.is_some_and(|resource| {
                    resource.env == rule.env
                        && resource.roles.contains_key(role)
                        && rule.roles.as_ref().is_none_or(|roles| roles.contains(role))
                })
            })
    }
}

/// Whether a set has somebody in it. Groups never stand for programs.
pub(super) fn in_set(policy: &Policy, set: &str, person: &Person) -> bool {
    match policy.sets.get(set) {
        Some(Set::Group(group)) => {
            person.kind == Kind::Person && person.groups.iter().any(|name| name.as_str() == group)
        }
        Some(Set::Logins(logins)) => logins.iter().any(|login| login == person.login.text()),
        None => false,
    }
}

fn is_of(cast: &Cast, request: RequestId, review: &Review) -> bool {
    let Decision::Approve { duration, items } = &review.decision else {
        return false;
    };
    cast.request == request
        && cast.person == review.reviewer
        && cast.vote.approve
        && !cast.vote.token
        && !cast.vote.other_digest
        && cast.vote.shorter == *duration
        && cast.vote.fewer == items.is_some()
}

/// Whether a step is that of the policy, brought by this guardrail or by none.
pub(super) fn is_frozen(frozen: &daypass_core::review::Step, own: &Step, guard: Option<&str>) -> bool {
    let from = |from: &From, name: &str| match from {
        From::Manager => name == "manager",
        From::People(set) => set.as_str() == name,
    };
    let silence = match (&frozen.silence, &own.escalate) {
        (Silence::Deny, None) => true,
        (Silence::Escalate { to, within }, Some((set, span))) => from(to, set) && within == span,
        _ => false,
    };
    from(&frozen.from, &own.from)
        && frozen.count == own.count
        && frozen.within == own.within
        && frozen.guardrail.as_ref().map(|name| name.as_str()) == guard
        && silence
}
