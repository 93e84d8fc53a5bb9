//! A change of the local directory as a value: it does the same, whether it is done at once or after others agreed to it.
//!
//! An edit names what it replaces. Where the account is another by the time it is to be done, it is stale, and nothing is done:
//! whoever agreed to it agreed to something else.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::handle::{self, Handle, Handles};
use crate::id::{PersonId, TokenId};
use crate::lock::On;
use crate::name::Name;
use crate::person::{Change, Kind, Person, SystemRole};
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::text::Prose;
use crate::time::{Span, Timestamp};
use crate::world::World;

/// What others may have to agree to before it changes: the words of `covers` in a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// The policy itself.
    Policy,
    /// Accounts: adding one, its role, its manager, where its mail goes, what targets call it, switching it on again.
    People,
    /// Who belongs to which group.
    Groups,
    /// Passwords of others, and tokens of service accounts.
    Credentials,
}

impl Area {
    /// Every one, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Policy, Self::People, Self::Groups, Self::Credentials];

    /// The word that a policy has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::People => "people",
            Self::Groups => "groups",
            Self::Credentials => "credentials",
        }
    }
}

/// A change of one account. No secret is in it: a password or a token's hash is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Whose account.
    pub person: PersonId,
    /// What becomes of it, and what it was before.
    pub act: Act,
}

/// What an edit does to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// The account is made.
    Add {
        /// As it will be; its times are those of the moment in which it is made.
        person: Box<Person>,
        /// Whether it gets a first password.
        password: bool,
    },
    /// It joins groups that it is not in, and leaves groups that it is in.
    Groups {
        /// To join.
        join: BTreeSet<Name>,
        /// To leave.
        leave: BTreeSet<Name>,
    },
    /// It gets another manager, or none.
    Manager {
        /// The one that it has.
        from: Option<PersonId>,
        /// The one that it will have.
        to: Option<PersonId>,
    },
    /// Another person answers for the service account; its tokens end.
    Owner {
        /// Who does; `None` for an account of an earlier version.
        from: Option<PersonId>,
        /// Who will.
        to: PersonId,
    },
    /// It gets another role in Daypass.
    Role {
        /// The one that it has.
        from: SystemRole,
        /// The one that it will have.
        to: SystemRole,
    },
    /// Mail for it goes elsewhere, or nowhere.
    Mail {
        /// Where it goes.
        from: Option<Prose>,
        /// Where it will go.
        to: Option<Prose>,
    },
    /// Targets of a namespace call it something else, or know it no more.
    Handle {
        /// The namespace.
        namespace: Name,
        /// What they call it.
        from: Option<Handle>,
        /// What they will call it.
        to: Option<Handle>,
    },
    /// It is switched on again, with what it had.
    Reactivate {
        /// Its role.
        role: SystemRole,
        /// Its groups.
        groups: BTreeSet<Name>,
        /// Its handles.
        #[serde(default, skip_serializing_if = "Handles::is_empty")]
        handles: Handles,
    },
    /// It gets another password; its sessions and tokens end.
    Password,
    /// It gets an API token.
    Token {
        /// Who answers for it, and has the token.
        owner: PersonId,
        /// Which.
        token: TokenId,
        /// What it is called.
        name: Prose,
        /// What it may do.
        scopes: BTreeSet<String>,
        /// How long it is taken, from the moment on in which it is issued.
        lifetime: Span,
    },
}

impl Edit {
    /// What others may have to agree to before this is done.
    #[must_use]
    pub fn areas(&self) -> BTreeSet<Area> {
        let with = |area: Area, groups: &BTreeSet<Name>| {
            let groups = (!groups.is_empty()).then_some(Area::Groups);
            [area].into_iter().chain(groups).collect()
        };
        match &self.act {
            // Whoever is made, or comes back, as a member of a group has joined it.
            Act::Add { person, .. } => with(Area::People, &person.groups),
            Act::Reactivate { groups, .. } => with(Area::People, groups),
            // Whoever loses one gets less; nobody need agree to that.
            Act::Handle { to: None, .. } => BTreeSet::new(),
            Act::Handle { to: Some(_), .. } => [Area::People].into(),
            Act::Groups { .. } => [Area::Groups].into(),
            Act::Manager { .. } | Act::Owner { .. } | Act::Role { .. } | Act::Mail { .. } => {
                [Area::People].into()
            }
            Act::Password | Act::Token { .. } => [Area::Credentials].into(),
        }
    }

    /// Who has something of their own in it: whose account it is, who answers for it before and after, and its new manager.
    pub fn concerned(&self) -> impl Iterator<Item = PersonId> + use<> {
        let others = match &self.act {
            Act::Add { person, .. } => [person.owner, person.manager],
            Act::Owner { from, to } => [*from, Some(*to)],
            Act::Manager { to, .. } => [*to, None],
            Act::Token { owner, .. } => [Some(*owner), None],
            Act::Groups { .. }
            | Act::Role { .. }
            | Act::Mail { .. }
            | Act::Handle { .. }
            | Act::Reactivate { .. }
            | Act::Password => [None, None],
        };
        std::iter::once(self.person).chain(others.into_iter().flatten())
    }

    /// Whether something secret belongs to it, which is kept beside it.
    #[must_use]
    pub const fn has_secret(&self) -> bool {
        matches!(
            self.act,
            Act::Add { password: true, .. } | Act::Password | Act::Token { .. }
        )
    }

    /// The event that it leads to now. `world` holds the account, every active one of its login and of the handles that it will
    /// have, and where it is an administrator, all others that are active.
    ///
    /// # Errors
    /// [`Code::Stale`] where the account is not what it replaces; the reason why it cannot be done else.
    pub fn follows(&self, world: &World, now: Timestamp) -> Result<Change, Refusal> {
        let id = self.person;
        let account = || -> Result<&Person, Refusal> {
            let account = world.people.get(&id).ok_or_else(overtaken)?;
            self.replaces(account)?;
            Ok(account)
        };
        Ok(match &self.act {
            Act::Add { person, .. } => {
                free(world, id, person.login.text())?;
                handle::free(world, id, &person.handles)?;
                let mut person = person.as_ref().clone();
                (person.changed_at, person.manager_since) = (now, now);
                Change::Added { person }
            }
            Act::Groups { join, leave } => {
                let mut groups = account()?.groups.clone();
                groups.retain(|group| !leave.contains(group));
                groups.extend(join.iter().cloned());
                Change::Groups { groups }
            }
            Act::Manager { to, .. } => {
                account()?;
                if *to == Some(id) {
                    return Err(Refusal::new(Code::Invalid, "nobody is their own manager"));
                }
                Change::Manager { manager: *to }
            }
            Act::Owner { to, .. } => account().map(|_| Change::Owner { owner: *to })?,
            Act::Role { to, .. } => {
                account()?;
                if *to != SystemRole::Administrator {
                    not_the_last_administrator(world, id)?;
                }
                Change::Role { role: *to }
            }
            Act::Mail { to, .. } => account().map(|_| Change::Mail { mail: to.clone() })?,
            Act::Handle { namespace, to, .. } => {
                let account = account()?;
                if let Some(to) = to {
                    handle::free(world, id, [(namespace, to)])?;
                    few_handles(account, namespace)?;
                }
                Change::Handle {
                    namespace: namespace.clone(),
                    handle: to.clone(),
                }
            }
            Act::Reactivate { .. } => {
                let account = account()?;
                free(world, id, account.login.text())?;
                handle::free(world, id, &account.handles)?;
                Change::Reactivated
            }
            Act::Password => account().map(|_| Change::Credentials)?,
            Act::Token { token, lifetime, .. } => {
                account()?;
                Change::TokenIssued {
                    token: *token,
                    expires_at: now + *lifetime,
                    key: None,
                }
            }
        })
    }

    /// Whether the account is still what this replaces.
    ///
    /// # Errors
    /// [`Code::Stale`] where it is not.
    pub fn replaces(&self, account: &Person) -> Result<(), Refusal> {
        let still = match &self.act {
            Act::Add { .. } => false,
            Act::Groups { join, leave } => {
                account.active && join.is_disjoint(&account.groups) && leave.is_subset(&account.groups)
            }
            Act::Manager { from, .. } => account.active && account.manager == *from,
            Act::Owner { from, .. } => account.active && account.owner == *from,
            Act::Role { from, .. } => account.active && account.role == *from,
            Act::Mail { from, .. } => {
                let (is, was) = (account.mail.as_deref(), from.as_ref());
                account.active && is.map(Prose::hash) == was.map(Prose::hash)
            }
            Act::Handle { namespace, from, .. } => {
                account.active && account.handles.get(namespace) == from.as_ref()
            }
            Act::Reactivate {
                role,
                groups,
                handles,
            } => {
                let same = account.groups == *groups && account.handles == *handles;
                !account.active && account.role == *role && same
            }
            Act::Password => account.active,
            Act::Token { owner, .. } => account.active && account.owner == Some(*owner),
        };
        if still || is(Fault::EditAnyway) {
            Ok(())
        } else {
            Err(overtaken())
        }
    }

    /// Whether another one would do the same, or cannot be done beside it: there can be one account of a login.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        match (&self.act, &other.act) {
            (Act::Add { person, .. }, Act::Add { person: another, .. }) => {
                person.login.text().eq_ignore_ascii_case(another.login.text())
            }
            // Whichever is agreed to first, the other account could not have it.
            (
                Act::Handle {
                    namespace,
                    to: Some(to),
                    ..
                },
                Act::Handle {
                    namespace: theirs,
                    to: Some(other),
                    ..
                },
            ) => namespace == theirs && to.is_like(other),
            // One token at a time for an account: each is another one, and whoever is no administrator may propose them.
            (Act::Token { .. }, Act::Token { .. }) => self.person == other.person,
            _ => self.is_same(other),
        }
    }

    /// Whether another one would do the same to the same account.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let words = |mail: &Option<Prose>| mail.as_ref().map(|mail| mail.text().to_owned());
        match (&self.act, &other.act) {
            (
                Act::Add { person, password },
                Act::Add {
                    person: another,
                    password: theirs,
                },
            ) => alike(person, another) && password == theirs,
            (Act::Mail { from, to }, Act::Mail { from: was, to: then }) => {
                self.person == other.person && words(from) == words(was) && words(to) == words(then)
            }
            (Act::Token { .. }, _) => false,
            (one, another) => self.person == other.person && one == another,
        }
    }

    /// Every free text in it.
    #[must_use]
    pub fn prose(&self) -> Vec<&Prose> {
        match &self.act {
            Act::Add { person, .. } => {
                let names = [&person.login, &person.display].into_iter();
                names.chain(person.mail.as_deref()).collect()
            }
            Act::Mail { from, to } => from.iter().chain(to).collect(),
            Act::Token { name, .. } => vec![name],
            Act::Groups { .. }
            | Act::Manager { .. }
            | Act::Owner { .. }
            | Act::Role { .. }
            | Act::Handle { .. }
            | Act::Reactivate { .. }
            | Act::Password => Vec::new(),
        }
    }

    /// The same, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        match &mut self.act {
            Act::Add { person, .. } => person.prose_mut(),
            Act::Mail { from, to } => from.iter_mut().chain(to).collect(),
            Act::Token { name, .. } => vec![name],
            Act::Groups { .. }
            | Act::Manager { .. }
            | Act::Owner { .. }
            | Act::Role { .. }
            | Act::Handle { .. }
            | Act::Reactivate { .. }
            | Act::Password => Vec::new(),
        }
    }
}

/// Whether two accounts that are to be made are the same but for their ids, and for the salts of their names.
fn alike(one: &Person, other: &Person) -> bool {
    let words = |person: &Person| {
        let mail = person.mail.as_deref().map(|mail| mail.text().to_owned());
        (
            person.login.text().to_owned(),
            person.display.text().to_owned(),
            mail,
        )
    };
    let renamed = Person {
        id: one.id,
        login: one.login.clone(),
        display: one.display.clone(),
        mail: one.mail.clone(),
        ..other.clone()
    };
    words(one) == words(other) && renamed == *one
}

/// Refuses where this is the only active administrator. One who is locked counts for none: they could do nothing; nor does a
/// program, which may no more than who answers for it. `world` holds all of them, where this is one.
///
/// # Errors
/// [`Code::InUse`].
pub fn not_the_last_administrator(world: &World, id: PersonId) -> Result<(), Refusal> {
    let is_one = |person: &&Person| {
        person.active && person.kind == Kind::Person && person.role == SystemRole::Administrator
    };
    let mut administrators = world.people.values().filter(is_one);
    // One that is not among them takes nobody away.
    let leaves = administrators.clone().any(|one| one.id == id);
    if leaves && !administrators.any(|one| one.id != id && world.locked(&On::Person(one.id)).is_none()) {
        return Err(
            Refusal::new(Code::InUse, "this is the last administrator").hint("make another one first")
        );
    }
    Ok(())
}

/// An account is known under few names, whatever writes them.
fn few_handles(account: &Person, namespace: &Name) -> Result<(), Refusal> {
    if account.handles.contains_key(namespace) || account.handles.len() < handle::MOST {
        return Ok(());
    }
    let what = format!("an account has handles in {} namespaces at most", handle::MOST);
    Err(Refusal::new(Code::Invalid, what))
}

/// Two logins that look alike are alike.
fn free(world: &World, id: PersonId, login: &str) -> Result<(), Refusal> {
    let taken =
        |other: &Person| other.active && (other.id == id || other.login.text().eq_ignore_ascii_case(login));
    if world.people.values().any(taken) {
        return Err(Refusal::new(Code::Exists, format!("there is a {login} already")));
    }
    Ok(())
}

fn overtaken() -> Refusal {
    Refusal::new(Code::Stale, "the account is no longer what this would change").hint("propose it anew")
}
