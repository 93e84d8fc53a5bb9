//! Invariants about delegation: who is away has said so themselves, by a session with a fresh proof, for so long at most, and names
//! somebody whom the policy lets be a delegate.

use daypass_core::delegation::Delegation;
use daypass_core::event::Actor;
use daypass_core::id::PersonId;
use daypass_core::lock::On;
use daypass_core::person::{Change, Kind, SystemRole};
use daypass_core::time::{Span, Timestamp};

use super::{Invariant, Judge};

/// The longest that a delegation lasts.
const LONGEST: Span = Span::hours(30 * 24);

/// A delegation that somebody sends.
pub(super) struct Sent {
    by: PersonId,
    to: String,
    until: Timestamp,
    proved: bool,
}

impl Judge {
    /// Somebody says who reviews in their place until then. `proved`: they have just proved who they are.
    pub(crate) fn delegates(&mut self, by: PersonId, to: &str, until: Timestamp, proved: bool) {
        let to = to.to_owned();
        self.delegated.push(Sent {
            by,
            to,
            until,
            proved,
        });
    }

    /// Looks at what is recorded of a delegation, before it is taken in.
    pub(super) fn check_delegation(&mut self, id: PersonId, change: &Change, actor: Actor, at: Timestamp) {
        let wrong = match change {
            Change::Delegated { delegation } => self.wrong_to_delegate(id, delegation, actor, at),
            Change::DelegationEnded { to } => self.wrong_to_end(id, *to, actor, at),
            _ => None,
        };
        if let Some(what) = wrong {
            self.accuse(Invariant::Delegated, format!("{id}: {change:?}: {what}"));
        }
    }

    fn wrong_to_delegate(
        &self,
        id: PersonId,
        new: &Delegation,
        actor: Actor,
        at: Timestamp,
    ) -> Option<&'static str> {
        let is_person = |id: PersonId| {
            let known = self.ledger.people.get(&id);
            known.is_some_and(|known| known.active && known.kind == Kind::Person)
        };
        let login = |id: PersonId| self.ledger.people.get(&id).map(|known| known.login.text());
        let mut sent = self.delegated.iter();
        let said = sent.any(|one| {
            one.by == id && one.proved && one.until == new.until && Some(one.to.as_str()) == login(new.to)
        });
        let standing = self.ledger.standings.absence(id);
        let policy = self.policy(self.ledger.policy);
        if actor != Actor::Person(id) || !said {
            Some("they never said so, or proved nothing")
        } else if !is_person(id) || !is_person(new.to) || new.to == id {
            Some("these are no two active people")
        } else if self.ledger.locked.contains(&On::Person(new.to)) {
            Some("the delegate is locked")
        } else if !policy.is_some_and(|policy| self.may_be_delegate(policy, new.to)) {
            Some("the policy in force does not let them be a delegate")
        } else if new.until.since(new.from) > LONGEST || new.until <= at || new.from < at {
            Some("that is too long, or over")
        } else if standing.is_some_and(|standing| at < standing.until) {
            Some("there is another one")
        } else {
            None
        }
    }

    fn wrong_to_end(&self, id: PersonId, to: PersonId, actor: Actor, at: Timestamp) -> Option<&'static str> {
        let standing = self.ledger.standings.absence(id);
        let administers = |by: PersonId| {
            let known = self.ledger.people.get(&by);
            known.is_some_and(|known| known.role == SystemRole::Administrator)
        };
        let may = |by: PersonId| by == id || administers(by) || self.ledger.administered.contains(&by);
        if !standing.is_some_and(|standing| standing.to == to && at < standing.until) {
            Some("there is none such that is not over")
        } else if !matches!(actor, Actor::Person(by) if may(by)) {
            Some("it is somebody else's")
        } else {
            None
        }
    }
}
