//! Invariants about accounts: where the policy in force covers what is changed of one, it changes only by what others agreed to,
//! and as they were shown it.

use std::collections::BTreeSet;

use daypass_core::change::{Change as Proposed, Proposal};
use daypass_core::edit::{Act, Edit};
use daypass_core::event::Actor;
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::{Change, Person, SystemRole};
use daypass_core::time::{Span, Timestamp};

use super::{Invariant, Judge};
use crate::scenario::policy::Area;

/// What somebody wants of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// To be made, with these groups.
    Add(BTreeSet<Name>),
    /// To join these, and leave those.
    Groups(BTreeSet<Name>, BTreeSet<Name>),
    Manager(Option<String>),
    Owner(String),
    Role(SystemRole),
    Reactivate,
    Password,
    Token(Span),
}

/// What somebody sent about an account.
pub(super) struct Sent {
    by: PersonId,
    login: String,
    wanted: Wanted,
}

impl Judge {
    /// Somebody sends that an account is to be changed.
    pub(crate) fn wants(&mut self, by: PersonId, login: &str, wanted: Wanted) {
        let login = login.to_owned();
        self.changes.wanted.push(Sent { by, login, wanted });
    }

    /// Whether who proposes an edit sent it.
    pub(super) fn was_wanted(&self, by: PersonId, edit: &Edit) -> bool {
        let login = |id: &PersonId| self.ledger.people.get(id).map(|known| known.login.text());
        let of = match &edit.act {
            Act::Add { person, .. } => Some(person.login.text()),
            _ => login(&edit.person),
        };
        let same = |wanted: &Wanted| match (&edit.act, wanted) {
            (Act::Add { person, .. }, Wanted::Add(groups)) => person.groups == *groups,
            (Act::Groups { join, leave }, Wanted::Groups(joins, leaves)) => {
                join.is_subset(joins) && leave.is_subset(leaves)
            }
            (Act::Manager { to, .. }, Wanted::Manager(manager)) => {
                to.as_ref().and_then(login) == manager.as_deref()
            }
            (Act::Owner { to, .. }, Wanted::Owner(owner)) => login(to) == Some(owner.as_str()),
            (Act::Role { to, .. }, Wanted::Role(role)) => to == role,
            (Act::Reactivate { .. }, Wanted::Reactivate) | (Act::Password, Wanted::Password) => true,
            (Act::Token { lifetime, owner, .. }, Wanted::Token(long)) => lifetime == long && *owner == by,
            _ => false,
        };
        let mut sent = self.changes.wanted.iter();
        sent.any(|one| one.by == by && Some(one.login.as_str()) == of && same(&one.wanted))
    }

    /// Whether who proposed something could do it alone where nobody need agree: they administer, or it is a token of their own
    /// program.
    pub(super) fn could_do(&self, proposed: &Proposed) -> bool {
        let by = proposed.proposer;
        let owns = match &proposed.proposal {
            Proposal::Directory { edit } => matches!(&edit.act, Act::Token { owner, .. } if *owner == by),
            Proposal::Policy { .. } => false,
        };
        let active = || self.ledger.people.get(&by).is_some_and(|known| known.active);
        self.administers(by) || (owns && active())
    }

    /// An account changes: by a change that was carried out just now, or by something that nobody need agree to. Looked at
    /// before it is taken in.
    pub(super) fn check_account(&mut self, id: PersonId, change: &Change, actor: Actor, at: Timestamp) {
        let carried = self.changes.carried_out.and_then(|carried| {
            let proposed = self.changes.proposed(carried)?;
            let Proposal::Directory { edit } = &proposed.proposal else {
                return None;
            };
            (edit.person == id).then(|| (proposed.proposer, edit.as_ref().clone()))
        });
        let wrong = match &carried {
            Some((proposer, edit)) => {
                self.changes.carried_out = None;
                let before = self.ledger.people.get(&id);
                let done = as_agreed(edit, before, change, at) && self.is_free(edit);
                let theirs = actor == Actor::Person(*proposer);
                (!done || !theirs).then_some("that is not what was agreed to")
            }
            None => {
                let areas = areas(id, self.ledger.people.get(&id), change, actor);
                let policy = self.policy(self.ledger.policy);
                let covered = policy.is_some_and(|policy| policy.is_covered(&areas));
                (covered && self.changes.is_policy_in_force()).then_some("others must agree to that")
            }
        };
        if let Some(what) = wrong {
            self.accuse(Invariant::Agreed, format!("{id}: {change:?}: {what}"));
        }
    }

    /// Whether no other active account has the login of one that is made or switched on.
    fn is_free(&self, edit: &Edit) -> bool {
        let login = match &edit.act {
            Act::Add { person, .. } => person.login.text(),
            Act::Reactivate { .. } => match self.ledger.people.get(&edit.person) {
                Some(person) => person.login.text(),
                None => return false,
            },
            _ => return true,
        };
        let mut people = self.ledger.people.values();
        !people.any(|other| other.active && other.login.text() == login)
    }

    /// Whether an account is what an edit would change.
    pub(super) fn is_as_it_was(&self, edit: &Edit) -> bool {
        let account = self.ledger.people.get(&edit.person);
        match (&edit.act, account) {
            (Act::Add { .. }, account) => account.is_none(),
            (_, None) => false,
            (act, Some(account)) => replaces(act, account),
        }
    }
}

/// Whether an account is what this would change.
fn replaces(act: &Act, account: &Person) -> bool {
    let same = match act {
        Act::Add { .. } => return false,
        Act::Reactivate {
            role,
            groups,
            handles,
        } => {
            let same = account.groups == *groups && account.handles == *handles;
            return !account.active && account.role == *role && same;
        }
        Act::Groups { join, leave } => {
            let in_it = |group: &Name| account.groups.contains(group);
            !join.iter().any(in_it) && leave.iter().all(in_it)
        }
        Act::Manager { from, .. } => account.manager == *from,
        Act::Owner { from, .. } => account.owner == *from,
        Act::Role { from, .. } => account.role == *from,
        Act::Token { owner, .. } => account.owner == Some(*owner),
        Act::Handle { namespace, from, .. } => account.handles.get(namespace) == from.as_ref(),
        Act::Mail { .. } | Act::Password => true,
    };
    same && account.active
}

/// Whether this is what becomes of an account by an edit that others agreed to.
fn as_agreed(edit: &Edit, before: Option<&Person>, change: &Change, at: Timestamp) -> bool {
    let Some(before) = before else {
        let (Act::Add { person, .. }, Change::Added { person: made }) = (&edit.act, change) else {
            return false;
        };
        return made.login.text() == person.login.text()
            && made.groups == person.groups
            && made.role == person.role
            && made.kind == person.kind
            && made.manager == person.manager;
    };
    let so = match (&edit.act, change) {
        (Act::Groups { join, leave }, Change::Groups { groups }) => {
            let stays = before.groups.iter().filter(|group| !leave.contains(*group));
            stays.chain(join).cloned().collect::<BTreeSet<_>>() == *groups
        }
        (Act::Manager { to, .. }, Change::Manager { manager }) => to == manager,
        (Act::Owner { to, .. }, Change::Owner { owner }) => to == owner,
        (Act::Role { to, .. }, Change::Role { role }) => to == role,
        (
            Act::Handle { namespace, to, .. },
            Change::Handle {
                namespace: of,
                handle,
            },
        ) => namespace == of && to == handle,
        (
            Act::Token { token, lifetime, .. },
            Change::TokenIssued {
                token: of,
                expires_at,
                key: None,
            },
        ) => token == of && *expires_at == at + *lifetime,
        (Act::Reactivate { .. }, Change::Reactivated) | (Act::Password, Change::Credentials) => true,
        _ => false,
    };
    so && replaces(&edit.act, before)
}

/// To what others may have to agree before an account changes so. What only takes something away, and what is one's own, waits for
/// nobody.
fn areas(id: PersonId, before: Option<&Person>, change: &Change, actor: Actor) -> Vec<Area> {
    let of_groups = |groups: &BTreeSet<Name>| (!groups.is_empty()).then_some(Area::Groups);
    let own = actor == Actor::Person(id);
    match change {
        Change::Added { person } => [Area::People]
            .into_iter()
            .chain(of_groups(&person.groups))
            .collect(),
        Change::Reactivated => {
            let groups = before.and_then(|before| of_groups(&before.groups));
            [Area::People].into_iter().chain(groups).collect()
        }
        Change::Groups { .. } => vec![Area::Groups],
        Change::Handle { handle: None, .. } => Vec::new(),
        Change::Handle { .. } => vec![Area::People],
        Change::Manager { .. } | Change::Role { .. } | Change::Owner { .. } | Change::Mail { .. } => {
            vec![Area::People]
        }
        Change::Credentials | Change::TokenIssued { .. } if !own => vec![Area::Credentials],
        Change::Credentials
        | Change::TokenIssued { .. }
        | Change::TokenRevoked { .. }
        | Change::Delegated { .. }
        | Change::DelegationEnded { .. }
        | Change::Deactivated => Vec::new(),
    }
}

#[cfg(test)]
mod tests {

    use daypass_core::person::Kind;
    use daypass_core::text::Prose;

    use super::*;

    fn person(groups: &[&str]) -> Person {
        Person {
            groups: names(groups),
            ..Person::new(
                PersonId::from_bytes([1; 10]),
                Kind::Person,
                Prose::new([0; 16], "ana"),
                Prose::new([0; 16], "Ana"),
            )
        }
    }

    fn names(all: &[&str]) -> BTreeSet<Name> {
        all.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_agreed_to_is_done_to_the_account_as_it_was() {
        let before = person(&["a", "b"]);
        let edit = Edit {
            person: before.id,
            act: Act::Groups {
                join: names(&["c"]),
                leave: names(&["a"]),
            },
        };
        let done = |before: &Person, groups: &[&str]| {
            let change = Change::Groups {
                groups: names(groups),
            };
            as_agreed(&edit, Some(before), &change, Timestamp::EPOCH)
        };
        assert!(done(&before, &["b", "c"]));
        assert!(!done(&before, &["b"]), "nothing was joined");
        assert!(!done(&before, &["a", "b", "c"]), "nothing was left");
        assert!(!done(&person(&["b"]), &["b", "c"]), "it had left already");
    }

    #[test]
    fn who_comes_back_into_groups_joins_them() {
        let (ana, other) = (person(&["a"]), PersonId::from_bytes([2; 10]));
        let areas = |change: &Change, by| areas(ana.id, Some(&ana), change, Actor::Person(by));
        assert_eq!(areas(&Change::Reactivated, other), [Area::People, Area::Groups]);
        assert_eq!(areas(&Change::Credentials, other), [Area::Credentials]);
        assert_eq!(areas(&Change::Credentials, ana.id), []);
        assert_eq!(areas(&Change::Deactivated, other), []);
    }
}
