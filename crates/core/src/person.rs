//! People and service accounts of the local directory, as far as decisions depend on them.
//!
//! Passwords and tokens are no part of this: they are not state that the log replays, only that it tells of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::behind::Behind;
use crate::delegation::Delegation;
use crate::event::Actor;
use crate::handle::{Handle, Handles};
use crate::id::{PersonId, TokenId};
use crate::name::Name;
use crate::text::{Hash, Prose};
use crate::time::Timestamp;

/// What a person may do in Daypass itself. It says nothing about access to resources: that is policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemRole {
    /// Asks, reviews, uses.
    Member,
    /// Reads everything, changes nothing.
    Auditor,
    /// Directory, policy, early ends. Reviews like anybody else: where a rule asks for them, never their own.
    Administrator,
}

/// Who stands behind an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A human being.
    Person,
    /// A program, which a person answers for. It may ask where a rule names it, and never reviews.
    Service,
}

/// An account of the directory. Its login is the text of `login`; the log knows both names by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stays for ever: a new account of the same login is another person.
    pub id: PersonId,
    /// What the person logs in with and is called by; a [`Name`], unique among active accounts.
    pub login: Prose,
    /// The name shown beside it.
    pub display: Prose,
    /// A person or a program.
    pub kind: Kind,
    /// What they may do in Daypass.
    pub role: SystemRole,
    /// The groups they belong to.
    pub groups: BTreeSet<Name>,
    /// Whom `from: manager` means. A service account has none of its own: its owner's is meant.
    pub manager: Option<PersonId>,
    /// A deactivated account may do nothing, and what it holds ends.
    pub active: bool,
    /// When groups, manager, role or credentials last changed: a reviewer's account must have settled since (see policy).
    pub changed_at: Timestamp,
    /// Since when this one has been the manager: whoever was just made somebody's manager must not approve for them at once.
    /// Of a service account: since when this one has been its owner.
    pub manager_since: Timestamp,
    /// Where mail for them goes, if anywhere. Known to the log by hash, as the names are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Box<Prose>>,
    /// Who answers for a service account, and has its tokens. A person has no owner; a service account of an earlier version
    /// may lack one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// What targets call them, by namespace. The log holds them as they are: to whom access was given is what it is kept for.
    #[serde(default, skip_serializing_if = "Handles::is_empty")]
    pub handles: Handles,
    /// Who reviews in their place, if anybody does or did: the last one, whether or not it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Box<Delegation>>,
    /// Who else made or changed the account, or issued a token to it: they could ask through it, and do not agree to what it asks.
    #[serde(default, skip_serializing_if = "Behind::is_nothing")]
    pub behind: Behind,
}

impl Person {
    /// An account as it is when it is made, but for what whoever makes it says: switched on, a member, in no group, with nobody behind it.
    /// The event that adds it says when that was.
    #[must_use]
    pub fn new(id: PersonId, kind: Kind, login: Prose, display: Prose) -> Self {
        Self {
            id,
            login,
            display,
            kind,
            role: SystemRole::Member,
            groups: BTreeSet::new(),
            manager: None,
            active: true,
            changed_at: Timestamp::EPOCH,
            manager_since: Timestamp::EPOCH,
            mail: None,
            owner: None,
            handles: Handles::new(),
            delegation: None,
            behind: Behind::default(),
        }
    }

    /// Whether such an account ever reviews anything: a program cannot be asked why, and an auditor changes nothing.
    #[must_use]
    pub fn is_reviewer(&self) -> bool {
        self.kind == Kind::Person && self.role != SystemRole::Auditor
    }
}

/// A change of the directory. Each variant is the whole new value, so that repeating it changes nothing.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, in an event; a box would only be in the way"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The account was made.
    Added {
        /// As it was made.
        person: Person,
    },
    /// It joined or left groups.
    Groups {
        /// All of its groups now.
        groups: BTreeSet<Name>,
    },
    /// It has another manager, or none.
    Manager {
        /// The manager now.
        manager: Option<PersonId>,
    },
    /// It has another role in Daypass.
    Role {
        /// The role now.
        role: SystemRole,
    },
    /// Mail for it goes elsewhere, or nowhere.
    Mail {
        /// The address now.
        mail: Option<Prose>,
    },
    /// Targets of a namespace call it something else, or know it no more.
    Handle {
        /// The namespace.
        namespace: Name,
        /// What they call it now.
        handle: Option<Handle>,
    },
    /// Another person answers for it from now on.
    Owner {
        /// Who.
        owner: PersonId,
    },
    /// Its password was set. The password is nowhere near the log.
    Credentials,
    /// A login session or an API token was issued.
    TokenIssued {
        /// Which.
        token: TokenId,
        /// Until when it is taken.
        expires_at: Timestamp,
        /// Of a public key of their own for the gateway: its SHA-256, by which SSH's programs call it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Hash>,
    },
    /// A login session or an API token was revoked.
    TokenRevoked {
        /// Which.
        token: TokenId,
    },
    /// It delegated: somebody else reviews in its place.
    Delegated {
        /// Who, and for how long.
        delegation: Box<Delegation>,
    },
    /// That was taken back.
    DelegationEnded {
        /// From whom.
        to: PersonId,
    },
    /// It was switched off.
    Deactivated,
    /// It was switched on again.
    Reactivated,
}

impl Change {
    /// Whether what the directory says of people changes by it, whoever does it: see [`changes_directory`](crate::behind::changes_directory).
    #[must_use]
    pub(crate) const fn is_of_directory(&self) -> bool {
        !matches!(self, Self::TokenIssued { .. } | Self::TokenRevoked { .. })
    }
}

impl Person {
    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        let names = [&mut self.login, &mut self.display];
        let why = self.delegation.as_deref_mut().and_then(|one| one.why.as_mut());
        names
            .into_iter()
            .chain(self.mail.as_deref_mut())
            .chain(why)
            .collect()
    }

    /// The account after a change at `at` by `actor`. `Added` replaces it: that is how replay begins.
    #[must_use]
    pub fn evolve(mut self, change: &Change, actor: Actor, at: Timestamp) -> Self {
        if let Change::Added { person } = change {
            self = person.clone();
        }
        self.behind.note(change, self.id, actor, at);
        match change {
            Change::Added { .. } => return self,
            Change::Groups { groups } => self.groups.clone_from(groups),
            Change::Manager { manager } => {
                self.manager = *manager;
                self.manager_since = at;
            }
            // It settles as the others do: else an auditor, who reviews nothing, is made a member to agree at once.
            Change::Role { role } => self.role = *role,
            // Where somebody is written to says nothing about what they may do: nothing has to settle.
            Change::Mail { mail } => {
                self.mail = mail.clone().map(Box::new);
                return self;
            }
            // It settles: whoever is called as another gets what is given to that one.
            Change::Handle { namespace, handle } => {
                match handle {
                    Some(handle) => self.handles.insert(namespace.clone(), handle.clone()),
                    None => self.handles.remove(namespace),
                };
            }
            Change::TokenIssued { .. } | Change::TokenRevoked { .. } => return self,
            Change::Owner { owner } => {
                self.owner = Some(*owner);
                self.manager_since = at;
            }
            // Somebody who comes back from a holiday reviews at once: their groups and password are as they were.
            Change::Delegated { delegation } => {
                self.delegation = Some(delegation.clone());
                return self;
            }
            Change::DelegationEnded { .. } => {
                self.delegation = None;
                return self;
            }
            // Whoever had the account by the password before may have made it: a delegation ends with that.
            Change::Credentials => self.delegation = None,
            Change::Deactivated => {
                self.active = false;
                // Whoever switches the account on again does not bring this back with it.
                self.delegation = None;
            }
            Change::Reactivated => self.active = true,
        }
        self.changed_at = at;
        self
    }
}
