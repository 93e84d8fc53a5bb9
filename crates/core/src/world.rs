//! The part of the state that a transition reads and changes, and the one function that events change it by.
//!
//! A live write applies events to the rows that it locked; a replay applies all events to an empty world. Both call
//! [`World::apply`], so what the log says and what the tables say cannot come apart unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use crate::behind::changes_directory;
use crate::change::{self, Change as Proposed};
use crate::entitlement::{Entitlement, TargetKey};
use crate::event::{Event, PolicyEvent, Subject, What};
use crate::grant::{self, Grant};
use crate::id::{ChangeId, GrantId, PersonId, RequestId, SessionId};
use crate::key::{self, Key, Standing};
use crate::lock::{Lock, On};
use crate::name::Name;
use crate::past::Past;
use crate::person::{Change, Person};
use crate::request::{self, Request};
use crate::session::{self, Session};
use crate::text::Hash;
use crate::time::Timestamp;

/// Some or all of the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// Requests.
    pub requests: BTreeMap<RequestId, Request>,
    /// Grants.
    pub grants: BTreeMap<GrantId, Grant>,
    /// Entitlements.
    pub entitlements: BTreeMap<TargetKey, Entitlement>,
    /// Accounts of the directory.
    pub people: BTreeMap<PersonId, Person>,
    /// What is locked, or was. A transition sees those that are shut, and the one that it is about.
    pub locks: BTreeMap<On, Lock>,
    /// Changes that wait for others, or did. A transition that may put a policy in force sees all that wait.
    pub changes: BTreeMap<ChangeId, Proposed>,
    /// Keys of Daypass's own that were ever rotated. A transition sees the one that it is about.
    pub keys: BTreeMap<Key, Standing>,
    /// Sessions. A transition sees the one that it is about.
    pub sessions: BTreeMap<SessionId, Session>,
    /// How often the directory changed.
    pub directory: u64,
    /// The policy revision in force.
    pub policy: Option<Hash>,
    /// What the person whom a decision is about has had; known only where the decision asked for it.
    pub past: Past,
    /// How many grants they have that have not ended; known only where the decision asked for it.
    pub holds: u64,
    /// The service accounts whose owner is locked, with who that is. Made from the accounts, and seen by a transition beside the
    /// locks that are shut.
    pub owners: BTreeMap<PersonId, PersonId>,
    /// The connectors with access that is not seen to be gone, or on its way. Made from the others, and seen by a transition that
    /// may put a policy in force.
    pub connectors: BTreeSet<Name>,
}

/// From which state to which an event led; each pair must be in the table of legal transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The state before; `none` where the row was made.
    pub from: &'static str,
    /// The state after.
    pub to: &'static str,
}

/// The event does not follow from the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not follow for {kind} {id}, which is {from}")]
pub struct Illegal {
    event: &'static str,
    kind: &'static str,
    id: String,
    from: &'static str,
}

/// Every legal transition: (kind, from, to). The store keeps the same rows behind a foreign key.
pub const LEGAL: &[(&str, &str, &str)] = &[
    ("request", "none", "pending"),
    ("request", "pending", "pending"),
    ("request", "pending", "approved"),
    ("request", "approved", "approved"),
    ("request", "pending", "denied"),
    ("request", "pending", "withdrawn"),
    ("request", "pending", "lapsed"),
    ("grant", "none", "scheduled"),
    ("grant", "scheduled", "activating"),
    ("grant", "scheduled", "ending"),
    ("grant", "activating", "active"),
    ("grant", "activating", "ending"),
    ("grant", "active", "active"),
    ("grant", "active", "ending"),
    ("grant", "ending", "ending"),
    ("grant", "ending", "ended"),
    ("grant", "ended", "ended"),
    ("entitlement", "none", "unknown"),
    ("entitlement", "unknown", "unknown"),
    ("entitlement", "unknown", "present"),
    ("entitlement", "unknown", "absent"),
    ("entitlement", "present", "present"),
    ("entitlement", "present", "unknown"),
    ("entitlement", "present", "absent"),
    ("entitlement", "absent", "absent"),
    ("entitlement", "absent", "unknown"),
    ("person", "none", "active"),
    ("person", "active", "active"),
    ("person", "active", "inactive"),
    ("person", "inactive", "inactive"),
    ("person", "inactive", "active"),
    ("lock", "none", "locked"),
    ("lock", "locked", "unlocked"),
    ("lock", "unlocked", "locked"),
    ("change", "none", "pending"),
    ("change", "pending", "pending"),
    ("change", "pending", "applied"),
    ("change", "pending", "denied"),
    ("change", "pending", "withdrawn"),
    ("change", "pending", "lapsed"),
    ("policy", "none", "applied"),
    ("policy", "applied", "applied"),
    ("log", "kept", "kept"),
    ("key", "none", "settled"),
    ("key", "settled", "settled"),
    ("key", "none", "staged"),
    ("key", "settled", "staged"),
    ("key", "staged", "retiring"),
    ("key", "retiring", "settled"),
    ("session", "none", "open"),
    ("session", "open", "open"),
    ("session", "open", "ending"),
    ("session", "ending", "ending"),
    ("session", "open", "closed"),
    ("session", "ending", "closed"),
    ("session", "closed", "closed"),
];

impl World {
    /// Changes the state by one event.
    ///
    /// # Errors
    /// Where the event does not follow; the world is then as before.
    pub fn apply(&mut self, event: &Event) -> Result<Step, Illegal> {
        let from = self.state_of(&event.subject);
        let to = self.next(event);
        let legal = to.and_then(|to| {
            let step = (event.subject.kind(), from, to);
            LEGAL.contains(&step).then_some(Step { from, to })
        });
        legal.ok_or_else(|| Illegal {
            event: event.what.name(),
            kind: event.subject.kind(),
            id: event.subject.id(),
            from,
        })
    }

    /// The name of a row's state; `none` where there is no such row.
    #[must_use]
    pub fn state_of(&self, subject: &Subject) -> &'static str {
        let state = match subject {
            Subject::Request(id) => self.requests.get(id).map(|request| request.state.name()),
            Subject::Grant(id) => self.grants.get(id).map(|grant| grant.state.name()),
            Subject::Entitlement(key) => self
                .entitlements
                .get(key)
                .map(|entitlement| entitlement.observed.name()),
            Subject::Person(id) => self.people.get(id).map(person_state),
            Subject::Lock(on) => self.locks.get(on).map(|lock| lock.state.name()),
            Subject::Change(id) => self.changes.get(id).map(|change| change.state.name()),
            Subject::Policy => self.policy.map(|_| "applied"),
            // It has no state of its own.
            Subject::Log => Some("kept"),
            Subject::Key(key) => self.keys.get(key).map(|standing| standing.phase.name()),
            Subject::Session(id) => self.sessions.get(id).map(|session| session.state.name()),
        };
        state.unwrap_or("none")
    }

    fn next(&mut self, event: &Event) -> Option<&'static str> {
        match (&event.subject, &event.what) {
            (Subject::Request(id), What::Request(what)) => {
                let next = match (self.requests.get(id), what) {
                    (None, request::Event::Created { request }) if request.id == *id => {
                        request.as_ref().clone()
                    }
                    (Some(request), what) => request.clone().evolve(what, event.at)?,
                    (None, _) => return None,
                };
                let name = next.state.name();
                self.requests.insert(*id, next);
                Some(name)
            }
            (Subject::Grant(id), What::Grant(what)) => {
                let next = match (self.grants.get(id), what) {
                    (None, grant::Event::Opened { grant }) if grant.id == *id => grant.as_ref().clone(),
                    (Some(grant), what) => grant.clone().evolve(what, event.at)?,
                    (None, _) => return None,
                };
                let name = next.state.name();
                self.grants.insert(*id, next);
                Some(name)
            }
            (Subject::Entitlement(key), What::Entitlement(what)) => {
                let next = Entitlement::evolve(self.entitlements.get(key).cloned(), what, event.at)?;
                if next.key != *key {
                    return None;
                }
                let name = next.observed.name();
                self.entitlements.insert(key.clone(), next);
                Some(name)
            }
            (Subject::Person(id), What::Person(change)) => {
                let next = match (self.people.get(id), change) {
                    (None, Change::Added { person }) if person.id == *id => {
                        person.clone().evolve(change, event.actor, event.at)
                    }
                    (None, _) | (Some(_), Change::Added { .. }) => return None,
                    (Some(person), change) => person.clone().evolve(change, event.actor, event.at),
                };
                let name = person_state(&next);
                self.directory += u64::from(changes_directory(event));
                self.people.insert(*id, next);
                Some(name)
            }
            (Subject::Lock(on), What::Lock(what)) => {
                let next = Lock::evolve(self.locks.get(on), on.clone(), what, event.at)?;
                let name = next.state.name();
                self.locks.insert(on.clone(), next);
                Some(name)
            }
            (Subject::Change(id), What::Change(what)) => {
                let next = match (self.changes.get(id), what) {
                    (None, change::Event::Proposed { change }) if change.id == *id => change.as_ref().clone(),
                    (Some(change), what) => change.clone().evolve(what, event.at)?,
                    (None, _) => return None,
                };
                let name = next.state.name();
                self.changes.insert(*id, next);
                Some(name)
            }
            (Subject::Policy, What::Policy(PolicyEvent::Applied { revision, .. })) => {
                self.policy = Some(*revision);
                Some("applied")
            }
            (Subject::Log, What::Log(_)) => Some("kept"),
            (Subject::Key(key), What::Key(what)) => self.rotate(key, what, event.at),
            (Subject::Session(id), What::Session(what)) => self.connect(*id, what, event.at),
            _ => None,
        }
    }

    fn rotate(&mut self, key: &Key, what: &key::Event, at: Timestamp) -> Option<&'static str> {
        let next = Standing::evolve(self.keys.get(key), key, what, at)?;
        let name = next.phase.name();
        self.keys.insert(key.clone(), next);
        Some(name)
    }

    fn connect(&mut self, id: SessionId, what: &session::Event, at: Timestamp) -> Option<&'static str> {
        let next = match (self.sessions.get(&id), what) {
            (None, session::Event::Opened { session }) if session.id == id => {
                let grant = self.grants.get(&session.grant);
                session.begins(grant, at).then(|| session.as_ref().clone())?
            }
            (Some(session), what) => session.clone().evolve(what, at)?,
            (None, _) => return None,
        };
        let name = next.state.name();
        self.sessions.insert(id, next);
        Some(name)
    }
}

const fn person_state(person: &Person) -> &'static str {
    if person.active { "active" } else { "inactive" }
}
