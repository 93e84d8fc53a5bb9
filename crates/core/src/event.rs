//! Events: each is at once the audit record, the timeline, the notice and what wakes the reconciler.
//!
//! An event's canonical bytes are one leaf of the log. [`World::apply`](crate::world::World::apply) is the only reader that
//! turns events into state, for live writes and for replay alike.

use serde::{Deserialize, Serialize};

use crate::canonical::{self, NotCanonical};
use crate::entitlement::TargetKey;
use crate::id::{ChangeId, GrantId, PersonId, RequestId, SessionId};
use crate::text::{Hash, Prose};
use crate::time::{Span, Timestamp};
use crate::{change, entitlement, grant, key, lock, person, request, session};

/// The version of the canonical form. It changes when the bytes of an event would.
pub const VERSION: u32 = 1;

/// How far an entry of the log may lie behind the latest one before it. Each decision takes its time before it is recorded, and
/// those of several servers on one PostgreSQL overtake each other on their way; a transaction that takes longer than this is
/// given up by its database.
pub const OVERTAKEN: Span = Span::minutes(10);

/// How much may happen after an event before it is signed, where the log is signed at all: a server signs each second.
pub const UNSIGNED: Span = Span::minutes(1);

/// Why bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEvent {
    /// They cannot be read as one.
    #[error("it is no event of this version: {0}")]
    Unread(String),
    /// They say that they are of another version.
    #[error("it is an event of version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// They say more than was read, or say it in another way than every event is written.
    #[error("its bytes are not the canonical ones of what they say: something else wrote it")]
    NotCanonical,
}

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// A person or service account.
    Person(PersonId),
    /// Daypass itself: a deadline, the reconciler, the first start.
    System,
}

/// What an event is about. It names the row whose state changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "lowercase")]
pub enum Subject {
    /// A request.
    Request(RequestId),
    /// A grant.
    Grant(GrantId),
    /// An entitlement.
    Entitlement(TargetKey),
    /// An account of the directory.
    Person(PersonId),
    /// A lock, by what is locked.
    Lock(lock::On),
    /// A change that waits for others.
    Change(ChangeId),
    /// The policy. There is one.
    Policy,
    /// The log itself.
    Log,
    /// A key of Daypass's own.
    Key(key::Key),
    /// A session.
    Session(SessionId),
}

impl Subject {
    /// The kind's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Grant(_) => "grant",
            Self::Entitlement(_) => "entitlement",
            Self::Person(_) => "person",
            Self::Lock(_) => "lock",
            Self::Change(_) => "change",
            Self::Policy => "policy",
            Self::Log => "log",
            Self::Key(_) => "key",
            Self::Session(_) => "session",
        }
    }

    /// The id within the kind, as text.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Request(id) => id.to_string(),
            Self::Grant(id) => id.to_string(),
            Self::Entitlement(key) => key.to_string(),
            Self::Person(id) => id.to_string(),
            Self::Lock(on) => on.to_string(),
            Self::Change(id) => id.to_string(),
            Self::Policy => String::from("policy"),
            Self::Log => String::from("log"),
            Self::Key(key) => key.to_string(),
            Self::Session(id) => id.to_string(),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// To a request.
    Request(request::Event),
    /// To a grant.
    Grant(grant::Event),
    /// To an entitlement.
    Entitlement(entitlement::Event),
    /// To an account.
    Person(person::Change),
    /// To a lock.
    Lock(lock::Event),
    /// To a change that waits for others.
    Change(change::Event),
    /// To the policy.
    Policy(PolicyEvent),
    /// To the log itself.
    Log(LogEvent),
    /// To a key of Daypass's own.
    Key(key::Event),
    /// To a session.
    Session(session::Event),
}

/// What happened to the log itself. It changes no state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogEvent {
    /// The server had signed something that the store does not go on from, and the operator told it to sign on all the same:
    /// as a rule, the store was put back from a copy, and what was recorded since is lost.
    Continued {
        /// The size of the log that was signed last.
        signed_size: u64,
        /// The head of its tree.
        signed_head: Hash,
        /// The size of the log that the store holds instead.
        kept_size: u64,
        /// The head of its tree.
        kept_head: Hash,
    },
}

/// What happened to the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PolicyEvent {
    /// Another revision is in force.
    Applied {
        /// The SHA-256 of its files.
        revision: Hash,
        /// The names of the files, with the hash of each.
        files: Vec<(String, Hash)>,
        /// What changed, for people: lines such as `+ rule prod-write`.
        summary: Vec<String>,
        /// The change that others agreed to, where the policy before it asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<ChangeId>,
    },
}

impl What {
    /// The event's name for people and filters, such as `request.approved`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        use change::Event as C;
        use entitlement::Event as E;
        use grant::Event as G;
        use key::Event as K;
        use lock::Event as L;
        use request::Event as R;
        use session::Event as S;
        match self {
            Self::Request(R::Created { .. }) => "request.created",
            Self::Request(R::Reviewed { .. }) => "request.reviewed",
            Self::Request(R::Escalated { .. }) => "request.escalated",
            Self::Request(R::Approved { .. }) => "request.approved",
            Self::Request(R::Denied { .. }) => "request.denied",
            Self::Request(R::Withdrawn) => "request.withdrawn",
            Self::Request(R::Lapsed { .. }) => "request.lapsed",
            Self::Request(R::Acknowledged { .. }) => "request.acknowledged",
            Self::Request(R::ReviewOverdue) => "request.review_overdue",
            Self::Grant(G::Opened { .. }) => "grant.opened",
            Self::Grant(G::Begun { .. }) => "grant.begun",
            Self::Grant(G::Activated { .. }) => "grant.activated",
            Self::Grant(G::Extended { .. }) => "grant.extended",
            Self::Grant(G::CredentialIssued { .. }) => "grant.credential_issued",
            Self::Grant(G::Ending { .. }) => "grant.ending",
            Self::Grant(G::Overdue) => "grant.overdue",
            Self::Grant(G::Told { .. }) => "grant.told",
            Self::Grant(G::Ended { .. }) => "grant.ended",
            Self::Entitlement(E::Intended { .. }) => "entitlement.intended",
            Self::Entitlement(E::Removing { .. }) => "entitlement.removing",
            Self::Entitlement(E::Provisioned { .. }) => "entitlement.provisioned",
            Self::Entitlement(E::Revoked) => "entitlement.revoked",
            Self::Entitlement(E::VerifiedAbsent { .. }) => "entitlement.verified_absent",
            Self::Entitlement(E::Failing { .. }) => "entitlement.failing",
            Self::Entitlement(E::DriftFound { .. }) => "entitlement.drift_found",
            Self::Person(change) => of_person(change),
            Self::Lock(L::Locked { .. }) => "lock.locked",
            Self::Lock(L::Unlocked { .. }) => "lock.unlocked",
            Self::Change(C::Proposed { .. }) => "change.proposed",
            Self::Change(C::Reviewed { .. }) => "change.reviewed",
            Self::Change(C::Escalated { .. }) => "change.escalated",
            Self::Change(C::Applied { .. }) => "change.applied",
            Self::Change(C::Denied { .. }) => "change.denied",
            Self::Change(C::Withdrawn) => "change.withdrawn",
            Self::Change(C::Lapsed { .. }) => "change.lapsed",
            Self::Policy(PolicyEvent::Applied { .. }) => "policy.applied",
            Self::Log(LogEvent::Continued { .. }) => "log.continued",
            Self::Key(K::Resealed { .. }) => "key.resealed",
            Self::Key(K::Staged { .. }) => "key.staged",
            Self::Key(K::Changed { .. }) => "key.changed",
            Self::Key(K::Withdrawn { .. }) => "key.withdrawn",
            Self::Session(S::Opened { .. }) => "session.opened",
            Self::Session(S::Recorded { .. }) => "session.recorded",
            Self::Session(S::Killed { .. }) => "session.killed",
            Self::Session(S::Closed { .. }) => "session.closed",
            Self::Session(S::Watched) => "session.watched",
            Self::Session(S::Replayed) => "session.replayed",
            Self::Session(S::RecordingRemoved) => "session.recording_removed",
        }
    }

    /// The free texts in it, for the store to keep beside the log.
    #[must_use]
    pub fn prose(&self) -> Vec<&Prose> {
        match self {
            Self::Request(request::Event::Created { request }) => {
                let mut all = vec![&request.ask.reason];
                all.extend(&request.ask.ticket);
                all.extend(&request.ask.source);
                all
            }
            Self::Request(
                request::Event::Reviewed { review, .. }
                | request::Event::Denied { review }
                | request::Event::Approved {
                    review: Some(review), ..
                },
            )
            | Self::Change(
                change::Event::Reviewed { review, .. }
                | change::Event::Denied { review }
                | change::Event::Applied { review },
            ) => review.comment.iter().collect(),
            Self::Change(change::Event::Proposed { change }) => match &change.proposal {
                change::Proposal::Policy { .. } => Vec::new(),
                change::Proposal::Directory { edit } => edit.prose(),
            },
            Self::Request(request::Event::Acknowledged { comment, .. }) => vec![comment],
            Self::Grant(grant::Event::Ending {
                reason: grant::Reason::Revoked { why, .. },
            }) => why.iter().collect(),
            Self::Person(person::Change::Added { person }) => [&person.login, &person.display]
                .into_iter()
                .chain(person.mail.as_deref())
                .collect(),
            Self::Person(person::Change::Mail { mail }) => mail.iter().collect(),
            Self::Person(person::Change::Delegated { delegation }) => delegation.why.iter().collect(),
            Self::Lock(event) => vec![event.prose()],
            Self::Session(session::Event::Opened { session }) => {
                std::iter::once(&session.source).chain(&session.program).collect()
            }
            Self::Session(session::Event::Killed { why, .. }) => vec![why],
            _ => Vec::new(),
        }
    }
}

/// The name of what happened to an account.
const fn of_person(change: &person::Change) -> &'static str {
    use person::Change as P;
    match change {
        P::Added { .. } => "person.added",
        P::Groups { .. } => "person.groups",
        P::Manager { .. } => "person.manager",
        P::Role { .. } => "person.role",
        P::Mail { .. } => "person.mail",
        P::Handle { .. } => "person.handle",
        P::Owner { .. } => "person.owner",
        P::Credentials => "person.credentials",
        P::TokenIssued { .. } => "person.token_issued",
        P::TokenRevoked { .. } => "person.token_revoked",
        P::Delegated { .. } => "person.delegated",
        P::DelegationEnded { .. } => "person.delegation_ended",
        P::Deactivated => "person.deactivated",
        P::Reactivated => "person.reactivated",
    }
}

impl What {
    /// Every free text in it, for the store to put the words back. Beside those of [`Self::prose`], which are new with
    /// the event, an approval repeats the comments of the reviews before it.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        use request::Event as R;
        match self {
            Self::Request(R::Created { request }) => request.prose_mut(),
            Self::Request(R::Reviewed { review, .. } | R::Denied { review }) => {
                review.comment.iter_mut().collect()
            }
            Self::Request(R::Approved { review, approval }) => {
                let last = review.iter_mut().filter_map(|review| review.comment.as_mut());
                last.chain(approval.prose_mut()).collect()
            }
            Self::Change(change::Event::Proposed { change }) => change.prose_mut(),
            Self::Change(
                change::Event::Reviewed { review, .. }
                | change::Event::Denied { review }
                | change::Event::Applied { review },
            ) => review.comment.iter_mut().collect(),
            Self::Request(R::Acknowledged { comment, .. }) => vec![comment],
            Self::Grant(grant::Event::Opened { grant }) => grant.prose_mut(),
            Self::Grant(grant::Event::Ending { reason }) => reason.prose_mut(),
            Self::Person(person::Change::Added { person }) => person.prose_mut(),
            Self::Person(person::Change::Mail { mail }) => mail.iter_mut().collect(),
            Self::Person(person::Change::Delegated { delegation }) => delegation.why.iter_mut().collect(),
            Self::Lock(event) => vec![event.prose_mut()],
            Self::Session(session::Event::Opened { session }) => session.prose_mut(),
            Self::Session(session::Event::Killed { why, .. }) => vec![why],
            Self::Request(R::Escalated { .. } | R::Withdrawn | R::Lapsed { .. } | R::ReviewOverdue)
            | Self::Grant(_)
            | Self::Entitlement(_)
            | Self::Person(_)
            | Self::Change(_)
            | Self::Policy(_)
            | Self::Log(_)
            | Self::Key(_)
            | Self::Session(_) => Vec::new(),
        }
    }
}

/// One event as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this form.
    pub v: u32,
    /// When it happened.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub what: What,
}

impl Event {
    /// An event of the present version.
    #[must_use]
    pub const fn new(at: Timestamp, actor: Actor, subject: Subject, what: What) -> Self {
        Self {
            v: VERSION,
            at,
            actor,
            subject,
            what,
        }
    }

    /// Reads one from its canonical bytes. What says more, or says it in another way, is none: two verifiers must not read
    /// different things out of the same entry.
    ///
    /// # Errors
    /// Where the bytes are no event, of another version, or not the canonical ones of what they say.
    pub fn read(bytes: &[u8]) -> Result<Self, NoEvent> {
        let event: Self =
            serde_json::from_slice(bytes).map_err(|error| NoEvent::Unread(error.to_string()))?;
        if event.v != VERSION {
            return Err(NoEvent::Version(event.v));
        }
        match event.canonical() {
            Ok(canonical) if canonical == bytes => Ok(event),
            _ => Err(NoEvent::NotCanonical),
        }
    }

    /// The canonical bytes: what a leaf of the log is the hash of.
    ///
    /// # Errors
    /// Where it has no JSON form, which its types rule out.
    pub fn canonical(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical::bytes(self)
    }
}
