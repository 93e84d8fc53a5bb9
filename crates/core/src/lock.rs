//! Locks: a person or a resource is shut, at once and until somebody unlocks it.
//!
//! A lock is state of its own in the log. It takes nothing away by itself: what is held under it ends with the reason
//! `locked`, and [`check`] keeps anything new from coming about. Unlocking revives nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::change;
use crate::event::{Actor, Subject, What};
use crate::grant::{self, Grant, Part, Reason};
use crate::id::PersonId;
use crate::name::{Item, Name};
use crate::person::Change;
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::request::{self, Request};
use crate::session;
use crate::text::Prose;
use crate::time::Timestamp;
use crate::world::World;

/// What is locked. As text, which is also its id in the log: `person/P…` or `resource/orders-prod`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum On {
    /// A person or service account: whatever they would ask, review or hold.
    Person(PersonId),
    /// A resource: whoever would have any of its roles.
    Resource(Name),
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person/{id}"),
            Self::Resource(name) => write!(f, "resource/{name}"),
        }
    }
}

/// The text does not say what is locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a lock is on person/ID or resource/NAME")]
pub struct BadLock;

impl FromStr for On {
    type Err = BadLock;

    fn from_str(text: &str) -> Result<Self, BadLock> {
        match text.split_once('/') {
            Some(("person", id)) => id.parse().map(Self::Person).map_err(|_| BadLock),
            Some(("resource", name)) => name.parse().map(Self::Resource).map_err(|_| BadLock),
            _ => Err(BadLock),
        }
    }
}

impl Serialize for On {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether something is locked, and who saw to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// What.
    pub on: On,
    /// Locked, or not any more.
    pub state: State,
    /// Who locked or unlocked it.
    pub by: PersonId,
    /// When they did.
    pub at: Timestamp,
    /// Why, in their words.
    pub why: Prose,
}

/// Whether a lock is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Locked,
    /// Not any more.
    Unlocked,
}

impl State {
    /// The state's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Unlocked => "unlocked",
        }
    }
}

/// What happened to a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was shut.
    Locked {
        /// By whom.
        by: PersonId,
        /// Why, in their words.
        why: Prose,
    },
    /// It was opened.
    Unlocked {
        /// By whom.
        by: PersonId,
        /// Why, in their words.
        why: Prose,
    },
}

impl Event {
    /// The free text in it.
    #[must_use]
    pub const fn prose(&self) -> &Prose {
        match self {
            Self::Locked { why, .. } | Self::Unlocked { why, .. } => why,
        }
    }

    /// The same, for the store to put the words back.
    pub const fn prose_mut(&mut self) -> &mut Prose {
        match self {
            Self::Locked { why, .. } | Self::Unlocked { why, .. } => why,
        }
    }
}

impl Lock {
    /// Whether it is shut.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state == State::Locked
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        vec![&mut self.why]
    }

    /// What locking leads to, given the lock as it stands, if there ever was one.
    ///
    /// # Errors
    /// Where it is locked already.
    pub fn lock(existing: Option<&Self>, by: PersonId, why: Prose) -> Result<Event, Refusal> {
        match existing {
            Some(lock) if lock.is_locked() => Err(Refusal::new(
                Code::Exists,
                format!("it is locked already, since {}", lock.at),
            )),
            _ => Ok(Event::Locked { by, why }),
        }
    }

    /// What unlocking leads to.
    ///
    /// # Errors
    /// Where it is not locked.
    pub fn unlock(existing: Option<&Self>, by: PersonId, why: Prose) -> Result<Event, Refusal> {
        match existing {
            Some(lock) if lock.is_locked() => Ok(Event::Unlocked { by, why }),
            _ => Err(Refusal::new(Code::WrongState, "it is not locked")),
        }
    }

    /// The lock after an event, or `None` where the event does not follow.
    #[must_use]
    pub fn evolve(existing: Option<&Self>, on: On, event: &Event, at: Timestamp) -> Option<Self> {
        let locked = existing.is_some_and(Self::is_locked);
        let (state, by, why) = match event {
            Event::Locked { by, why } if !locked => (State::Locked, *by, why.clone()),
            Event::Unlocked { by, why } if locked => (State::Unlocked, *by, why.clone()),
            Event::Locked { .. } | Event::Unlocked { .. } => return None,
        };
        Some(Self {
            on,
            state,
            by,
            at,
            why,
        })
    }
}

impl World {
    /// The lock on this, while it is shut.
    #[must_use]
    pub fn locked(&self, on: &On) -> Option<&Lock> {
        let locked = |lock: &&Lock| lock.is_locked() && !is(Fault::IgnoreLocks);
        self.locks.get(on).filter(locked)
    }

    /// The lock on this account, or on who answers for it, while it is shut: whoever has the laptop has their tokens.
    #[must_use]
    pub fn locked_account(&self, who: PersonId) -> Option<&Lock> {
        let owner = || self.locked(&On::Person(*self.owners.get(&who)?));
        self.locked(&On::Person(who)).or_else(owner)
    }

    /// The lock that keeps somebody from holding these items, if one does: theirs, that of who answers for them, or that of a
    /// resource.
    #[must_use]
    pub fn locked_for<'a>(&self, who: PersonId, items: impl IntoIterator<Item = &'a Item>) -> Option<&Lock> {
        if self.locks.is_empty() {
            return None;
        }
        let resources: BTreeSet<_> = items.into_iter().map(|item| item.resource.clone()).collect();
        let mut on = resources.into_iter().map(On::Resource);
        self.locked_account(who)
            .or_else(|| on.find_map(|on| self.locked(&on)))
    }

    /// The lock under which a grant may not go on, if there is one.
    #[must_use]
    pub fn lock_over(&self, grant: &Grant) -> Option<&Lock> {
        self.locked_for(grant.holder, grant.parts.iter().map(Part::item))
    }
}

/// Whether an event may come about under the locks of this world. The store asks it of every event, in the transaction that
/// would record it: no use case can forget to.
///
/// # Errors
/// Where whoever causes it, or who answers for that account, is locked (they may still take back, give back, log in and out), and where it would bring access
/// nearer for a person or on a resource that is.
pub fn check(world: &World, actor: Actor, subject: &Subject, what: &What) -> Result<(), Refusal> {
    if world.locks.is_empty() {
        return Ok(());
    }
    if let Actor::Person(person) = actor
        && let Some(lock) = world.locked_account(person)
        && !may_still(world, person, subject, what)
    {
        return Err(refusal(lock, Some(person)));
    }
    if let Some(lock) = absent(what).and_then(|person| world.locked(&On::Person(person))) {
        return Err(refusal(lock, author(actor)));
    }
    match nearer(world, subject, what) {
        Some(lock) => Err(refusal(lock, author(actor))),
        None => Ok(()),
    }
}

const fn author(actor: Actor) -> Option<PersonId> {
    match actor {
        Actor::Person(person) => Some(person),
        Actor::System => None,
    }
}

/// In whose place a vote is cast, or who is to cast such: while they are locked, nothing is delegated.
fn absent(what: &What) -> Option<PersonId> {
    match what {
        What::Request(
            request::Event::Reviewed { review, .. }
            | request::Event::Denied { review }
            | request::Event::Approved {
                review: Some(review), ..
            },
        )
        | What::Change(
            change::Event::Reviewed { review, .. }
            | change::Event::Denied { review }
            | change::Event::Applied { review },
        ) => review.on_behalf,
        What::Request(request::Event::Acknowledged { on_behalf, .. }) => *on_behalf,
        What::Person(Change::Delegated { delegation }) => Some(delegation.to),
        _ => None,
    }
}

/// What somebody may do while they are locked: nothing that opens anything.
fn may_still(world: &World, person: PersonId, subject: &Subject, what: &What) -> bool {
    match (subject, what) {
        (_, What::Request(request::Event::Withdrawn) | What::Change(change::Event::Withdrawn)) => true,
        // What a program whose owner is locked tells of ends is taken all the same.
        (
            _,
            What::Grant(grant::Event::Ending {
                reason: Reason::Completed,
            }),
        ) if world.locked(&On::Person(person)).is_none() => true,
        (Subject::Grant(id), What::Grant(grant::Event::Ending { .. })) => {
            world.grants.get(id).is_some_and(|grant| grant.holder == person)
        }
        (Subject::Session(id), What::Session(session::Event::Killed { .. })) => {
            let session = world.sessions.get(id);
            session.is_some_and(|session| session.holder == person)
        }
        (Subject::Person(id), What::Person(Change::TokenIssued { .. } | Change::TokenRevoked { .. })) => {
            *id == person
        }
        _ => false,
    }
}

/// The lock that stands in the way of an event which brings access nearer. Ends, denials and what was seen at a target are
/// never held up.
fn nearer<'a>(world: &'a World, subject: &Subject, what: &What) -> Option<&'a Lock> {
    let of_request = |request: &Request| world.locked_for(request.ask.requester, &request.ask.items);
    match (subject, what) {
        (_, What::Request(request::Event::Created { request })) => of_request(request),
        (
            Subject::Request(id),
            What::Request(request::Event::Reviewed { .. } | request::Event::Approved { .. }),
        ) => world.requests.get(id).and_then(of_request),
        // What a locked person proposed is not carried out.
        (
            Subject::Change(id),
            What::Change(change::Event::Reviewed { .. } | change::Event::Applied { .. }),
        ) => {
            let change = world.changes.get(id);
            change.and_then(|change| world.locked_account(change.proposer))
        }
        (_, What::Grant(grant::Event::Opened { grant })) => world.lock_over(grant),
        (
            Subject::Grant(id),
            What::Grant(
                grant::Event::Begun { .. }
                | grant::Event::Activated { .. }
                | grant::Event::Extended { .. }
                | grant::Event::CredentialIssued { .. },
            ),
        ) => world.grants.get(id).and_then(|grant| world.lock_over(grant)),
        (_, What::Session(session::Event::Opened { session })) => {
            let grant = world.grants.get(&session.grant);
            grant.and_then(|grant| world.lock_over(grant))
        }
        _ => None,
    }
}

/// What somebody is told who meets a lock. Its reason is not: that is for administrators and auditors.
#[must_use]
pub fn refusal(lock: &Lock, to: Option<PersonId>) -> Refusal {
    let since = lock.at;
    match &lock.on {
        On::Person(person) if to == Some(*person) => {
            Refusal::new(Code::Locked, format!("your account is locked since {since}")).hint(
                "you may still read, take requests back and give access back; an administrator can unlock you",
            )
        }
        On::Person(_) => Refusal::new(
            Code::Locked,
            format!("the account that this is for, or who answers for it, is locked since {since}"),
        )
        .hint("an administrator can unlock it; daypass locks shows who did it and why"),
        On::Resource(name) => {
            Refusal::new(Code::Locked, format!("{name} is locked since {since}")).hint(
                "nobody gets access to it until an administrator unlocks it; daypass locks shows who did it and why",
            )
        }
    }
}
