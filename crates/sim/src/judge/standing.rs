//! Who may review what, and in whose right: the judge's own reckoning of accounts that settle, of hands that somebody has in an
//! account, of who answers for a program, and of delegations. It knows all of it from the log, entry by entry.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::event::Actor;
use daypass_core::id::{PersonId, TokenId};
use daypass_core::lock::On;
use daypass_core::person::{Change, Kind, Person};
use daypass_core::request::Request;
use daypass_core::review::{Decision, Review};
use daypass_core::time::Timestamp;

use super::Judge;
use super::approval::in_set;
use crate::scenario::policy::{Policy, Step};

/// What the log says of accounts that an account itself does not show.
#[derive(Debug, Default)]
pub(super) struct Standings {
    absences: BTreeMap<PersonId, Absence>,
    /// Who answers for which program, or ever did. A server may not know for a moment that somebody does no more.
    pub(super) answered: BTreeSet<(PersonId, PersonId)>,
    /// By the account that somebody else has had a hand in.
    hands: BTreeMap<PersonId, Vec<Hand>>,
}

/// Somebody is away, and has said who reviews in their place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    pub(super) to: PersonId,
    from: Timestamp,
    pub(super) until: Timestamp,
}

/// Somebody else made or changed an account, or had a token to it: at this time at the latest.
#[derive(Debug)]
struct Hand {
    by: PersonId,
    token: Option<TokenId>,
    until: Timestamp,
}

impl Standings {
    /// Takes in what became of an account.
    pub(super) fn note(&mut self, id: PersonId, change: &Change, actor: Actor, at: Timestamp) {
        let ends = |token: TokenId| match change {
            Change::TokenRevoked { token: revoked } => token == *revoked,
            // Whoever knew one of its tokens cannot come in by it any more.
            Change::Credentials | Change::Owner { .. } | Change::Deactivated => true,
            _ => false,
        };
        for hand in self.hands.get_mut(&id).into_iter().flatten() {
            if hand.token.is_some_and(ends) {
                hand.until = hand.until.min(at);
            }
        }
        match change {
            Change::Added { person } => self.answered.extend(person.owner.map(|owner| (owner, id))),
            Change::Owner { owner } => {
                self.answered.insert((*owner, id));
            }
            Change::Delegated { delegation } => {
                let absence = Absence {
                    to: delegation.to,
                    from: delegation.from,
                    until: delegation.until,
                };
                self.absences.insert(id, absence);
            }
            // Whoever had the account by the password before may have made it.
            Change::DelegationEnded { .. } | Change::Credentials | Change::Deactivated => {
                self.absences.remove(&id);
            }
            _ => {}
        }
        let (token, until) = match change {
            Change::TokenIssued {
                token, expires_at, ..
            } => (Some(*token), *expires_at),
            Change::TokenRevoked { .. }
            | Change::Role { .. }
            | Change::Mail { .. }
            | Change::Delegated { .. }
            | Change::DelegationEnded { .. } => return,
            _ => (None, at),
        };
        if let Actor::Person(by) = actor
            && by != id
        {
            let hands = self.hands.entry(id).or_default();
            hands.push(Hand { by, token, until });
        }
    }

    /// Who reviews in somebody's place from some time on, whether or not that is over.
    pub(super) fn absence(&self, of: PersonId) -> Option<&Absence> {
        self.absences.get(&of)
    }
}

impl Absence {
    /// Whether they are away at this time.
    pub(super) fn is_at(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// Whose it is that somebody reviews.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose {
    /// Who asks, or proposes.
    pub(super) requester: PersonId,
    /// Who answered for the program that asks when it asked.
    pub(super) owner: Option<PersonId>,
    /// Whose account it would change.
    pub(super) about: Option<PersonId>,
    /// Who would answer for that account or manage it, or does by what the change says.
    pub(super) named: [Option<PersonId>; 2],
}

impl Whose {
    pub(super) const fn of(request: &Request) -> Self {
        Self {
            requester: request.ask.requester,
            owner: request.ask.owner,
            about: None,
            named: [None; 2],
        }
    }
}

/// Who said something, in whose place, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) who: PersonId,
    pub(super) absent: Option<PersonId>,
    pub(super) at: Timestamp,
}

impl Said {
    pub(super) const fn by(review: &Review) -> Self {
        Self {
            who: review.reviewer,
            absent: review.on_behalf,
            at: review.at,
        }
    }
}

impl Judge {
    /// What keeps a review of this step from counting now, if anything does: it is by somebody who may not review it, or in the
    /// place of somebody who may not, or who did not say so.
    pub(super) fn counts(
        &self,
        (policy, step): (&Policy, &Step),
        said: Said,
        whose: Whose,
        at: Timestamp,
    ) -> Result<(), String> {
        let Some(absent) = said.absent else {
            return self.may_review((policy, step), said.who, whose, at);
        };
        let absence = self.ledger.standings.absence(absent);
        if !absence.is_some_and(|away| away.to == said.who && away.is_at(said.at)) {
            return Err(format!("is not who reviews in the place of {absent}"));
        }
        self.may_review_at_all(policy, said.who, whose, at)?;
        if !self.may_be_delegate(policy, said.who) {
            return Err("may not be a delegate".into());
        }
        let theirs = self.may_review((policy, step), absent, whose, at);
        theirs.map_err(|what| format!("reviews in the place of {absent}, who {what}"))
    }

    /// Whether a step asks somebody themselves, who may review.
    pub(super) fn may_review(
        &self,
        (policy, step): (&Policy, &Step),
        who: PersonId,
        whose: Whose,
        at: Timestamp,
    ) -> Result<(), String> {
        let person = self.may_review_at_all(policy, who, whose, at)?;
        let escalated = step.escalate.as_ref();
        let others = escalated.is_some_and(|(to, _)| self.asks(policy, to, person, whose, at));
        if others || self.asks(policy, &step.from, person, whose, at) {
            Ok(())
        } else {
            Err(format!("is not of {step:?}"))
        }
    }

    /// Whether a set has somebody in it, or they are the settled manager of who asks.
    fn asks(&self, policy: &Policy, from: &str, person: &Person, whose: Whose, at: Timestamp) -> bool {
        if from != "manager" {
            return in_set(policy, from, person);
        }
        let settled = |one: &Person| at.since(one.manager_since) >= policy.settle;
        let requester = self.ledger.people.get(&whose.requester);
        requester.is_some_and(|requester| {
            let managed = self.ledger.owner(whose.requester).unwrap_or(requester);
            managed.manager == Some(person.id) && settled(managed) && settled(requester)
        })
    }

    fn may_review_at_all(
        &self,
        policy: &Policy,
        who: PersonId,
        whose: Whose,
        at: Timestamp,
    ) -> Result<&Person, String> {
        let person = self.ledger.people.get(&who).ok_or("is nobody")?;
        let wrong = |what: &str| Err(what.to_owned());
        if !person.active || person.kind == Kind::Service {
            return wrong("is no active person");
        }
        if self.ledger.locked.contains(&On::Person(who)) {
            return wrong("is locked");
        }
        if at.since(person.changed_at) < policy.settle {
            return wrong("had not settled");
        }
        if self.is_own(who, whose) {
            return wrong("reviews what is their own");
        }
        if self.is_concerned(who, whose) {
            return wrong("reviews a change that concerns them");
        }
        let hands = self.ledger.standings.hands.get(&whose.requester);
        let lately = |hand: &Hand| at < hand.until || at.since(hand.until) < policy.settle;
        if hands.is_some_and(|hands| hands.iter().any(|hand| hand.by == who && lately(hand))) {
            return wrong("has a hand in the account that asks");
        }
        Ok(person)
    }

    /// Whether somebody asks, answers for the program that does, or answered for it when it asked.
    pub(super) fn is_own(&self, who: PersonId, whose: Whose) -> bool {
        let owner = self.ledger.owner(whose.requester);
        who == whose.requester || whose.owner == Some(who) || owner.is_some_and(|owner| owner.id == who)
    }

    /// Whether it would change somebody's own account, or one that they answer for, do by what it says, or are to manage.
    fn is_concerned(&self, who: PersonId, whose: Whose) -> bool {
        let owner = whose.about.and_then(|account| self.ledger.owner(account));
        whose.about == Some(who)
            || whose.named.contains(&Some(who))
            || owner.is_some_and(|owner| owner.id == who)
    }

    /// Whether the policy names somebody as one who may be a delegate.
    pub(super) fn may_be_delegate(&self, policy: &Policy, who: PersonId) -> bool {
        let person = self.ledger.people.get(&who);
        person.is_some_and(|person| {
            let named = policy.delegates.iter().any(|set| in_set(policy, set, person));
            named && person.active && person.kind == Kind::Person
        })
    }

    /// Whether two people have one voice now, beside these reviews: one of them reviews in the other's place, or both have the same
    /// delegate, or there is a chain of such people between them. Who had been heard before they went takes nobody's vote by it.
    fn are_one(
        &self,
        policy: &Policy,
        (one, other): (PersonId, PersonId),
        (earlier, whose): (&[Review], Whose),
        at: Timestamp,
    ) -> bool {
        let had_voted = |of: PersonId, from: Timestamp| {
            let mut earlier = earlier.iter();
            earlier.any(|review| review.is_of(of) && review.at < from)
        };
        let free = |who: PersonId| !self.ledger.locked.contains(&On::Person(who)) && whose.about != Some(who);
        let ties = self.ledger.standings.absences.iter().filter(|(of, away)| {
            // Who never answers in this speaks for nobody in it.
            let answers = !self.is_own(away.to, whose) && !self.is_concerned(away.to, whose);
            let heard = away.is_at(at) && answers && self.may_be_delegate(policy, away.to);
            heard && free(**of) && free(away.to) && !had_voted(**of, away.from)
        });
        let mut ties: Vec<_> = ties.map(|(of, away)| (*of, away.to)).collect();
        let mut reached = BTreeSet::from([one]);
        loop {
            let (touching, others): (Vec<_>, Vec<_>) = ties
                .into_iter()
                .partition(|(of, to)| reached.contains(of) || reached.contains(to));
            if touching.is_empty() {
                return reached.contains(&other);
            }
            reached.extend(touching.into_iter().flat_map(|(of, to)| [of, to]));
            ties = others;
        }
    }

    /// What is wrong with a review that was just recorded beside these, if anything is: whoever it is of may not give it, or has
    /// been heard, by their own voice or by one that is the same.
    pub(super) fn wrong_to_say(
        &self,
        (policy, step): (&Policy, &Step),
        (earlier, review): (&[Review], &Review),
        whose: Whose,
        at: Timestamp,
    ) -> Option<String> {
        let who = review.reviewer;
        if let Err(what) = self.counts((policy, step), Said::by(review), whose, at) {
            return Some(format!("{who} {what}"));
        }
        let themselves = || {
            let person = self.may_review_at_all(policy, who, whose, at).ok()?;
            Some(self.asks(policy, &step.from, person, whose, at))
        };
        if review.on_behalf.is_some() && themselves() == Some(true) {
            return Some(format!("{who} is asked, and speaks for somebody else"));
        }
        // Whom a step asks may always say no, once: whoever has delegated to them, and whatever was said in their place.
        if review.decision == Decision::Deny && review.on_behalf.is_none() {
            let again = earlier.iter().any(|earlier| earlier.reviewer == who);
            return again.then(|| format!("{who} says no, and was heard"));
        }
        let mut heard = earlier.iter().flat_map(Review::voices);
        let same = |other: &PersonId| {
            review.on_behalf == Some(*other) || self.are_one(policy, (who, *other), (earlier, whose), at)
        };
        let other = heard.find(same)?;
        Some(format!("{who} has one voice with {other}, who was heard"))
    }
}

#[cfg(test)]
mod tests {
    use daypass_core::time::Span;

    use super::*;

    fn who(n: u8) -> PersonId {
        PersonId::from_bytes([n; 10])
    }

    fn at(minutes: u64) -> Timestamp {
        Timestamp::EPOCH + Span::minutes(minutes)
    }

    #[test]
    fn a_hand_is_had_until_it_is_taken_away() {
        let mut standings = Standings::default();
        let token = TokenId::from_bytes([1; 10]);
        let issued = Change::TokenIssued {
            token,
            expires_at: at(60),
            key: None,
        };
        standings.note(who(1), &issued, Actor::Person(who(2)), at(5));
        standings.note(who(1), &Change::Reactivated, Actor::Person(who(1)), at(6));
        let until = |standings: &Standings| {
            let hands = standings.hands.get(&who(1)).unwrap();
            hands.iter().map(|hand| hand.until).collect::<Vec<_>>()
        };
        assert_eq!(until(&standings), [at(60)]);
        standings.note(who(1), &Change::Credentials, Actor::Person(who(1)), at(9));
        assert_eq!(until(&standings), [at(9)]);
        standings.note(who(1), &Change::Credentials, Actor::Person(who(3)), at(10));
        assert_eq!(until(&standings), [at(9), at(10)]);
    }
}
