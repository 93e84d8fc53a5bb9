//! What a gateway asks of whoever decides: the trait [`Control`], and the words that both speak.
//!
//! The server implements it twice, in process and over HTTP. **It derives the person and their rights; nothing that a client or
//! a gateway says decides.** A gateway passes on what a client proved: it holds no secret of people, so that a stolen one can
//! open no session for anybody who does not connect to it just then.
//!
//! Time crosses this border as *spans*, not as instants: "so much longer from when you asked". A gateway counts them by its own
//! monotonic clock from before it asked, so that they end a little early, never late, and no change of a clock prolongs them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
pub use daypass_core::session::{Counters, OnFailure};
use daypass_core::time::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::postgres::target::PostgresTarget;
use crate::record::Record;
use crate::scram;
use crate::ssh::proof::Signed;
use crate::ssh::target::SshTarget;

/// An opaque name that [`Control`] made. Gateways compare it and give it back.
macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Arc<str>);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    };
}

opaque! {
    /// A session, as people and the log name it.
    SessionId
}
opaque! {
    /// The permission to keep one session open.
    LeaseId
}
opaque! {
    /// The grant under which a session runs.
    GrantId
}
opaque! {
    /// A person or service account, as `Control` names them.
    PersonId
}

/// A ticket: names something that `Control` remembers for a moment. Whoever has it may go on from there, so it is not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ticket(pub Arc<str>);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// Whoever decides cannot be asked, or failed. Nothing is allowed then.
#[derive(Debug, Clone, thiserror::Error)]
#[error("whoever decides cannot be asked: {0}")]
pub struct Unavailable(pub String);

/// Why records were not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotTaken {
    /// Not now: they are sent again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Nobody was reached: they are sent again, for longer. Leases say how long a session goes on without anybody.
    #[error(transparent)]
    Unreached(Unavailable),
    /// Never: there is no such session, or these are no records. They are not sent again, and the session ends.
    #[error("records are not taken: {0}")]
    Never(String),
}

/// Where a client comes from and by which protocol: for the record, and for rules about networks.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its address, as this gateway sees it.
    pub peer: SocketAddr,
    /// The protocol's name ([`crate::Protocol::name`]).
    pub protocol: &'static str,
}

/// What a client must answer to prove who they are.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Names this attempt; good for one proof.
    pub ticket: Ticket,
    /// How the proof is made.
    pub scram: scram::Challenge,
}

/// What a client answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Proof {
    /// To the challenge of the ticket (RFC 5802).
    Scram {
        /// Of the challenge.
        ticket: Ticket,
        /// What was said and proved.
        answer: scram::Answer,
    },
    /// By a key, and SSH's rules. Whoever decides checks all of it ([`Signed::check`]). Whose the key is, is theirs to know too; and of a
    /// certificate, whether it is good: who signed it, for whom, for how long, and what it demands.
    Key {
        /// Of a challenge for nobody in particular, which the gateway asked for when the client connected. It is good until one proof was
        /// good: a client may come with one key after another.
        ticket: Ticket,
        /// What was signed.
        signed: Signed,
    },
    /// The personal credential itself, as SSH hands it over, where the operator wants that. It goes to the server's own gateway only: one that runs
    /// apart never has it.
    Password {
        /// Whom they say they are.
        user: String,
        /// What they say.
        secret: SecretString,
    },
}

/// Somebody proved who they are.
#[derive(Debug, Clone)]
pub struct Proved {
    /// To open a session with, once, soon.
    pub ticket: Ticket,
    /// Who it is: for limits per person.
    pub person: PersonId,
    /// Their name, for people to read.
    pub name: String,
    /// What proves to the client that we know them too (SCRAM).
    pub server_signature: Vec<u8>,
}

/// What a person who proved who they are wants to reach.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Of [`Proved`].
    pub ticket: Ticket,
    /// What they named: a resource, or a resource and a role (`orders-prod/read`).
    pub target: String,
    /// From where.
    pub origin: Origin,
    /// What their program calls itself. Anybody can say anything here.
    pub program: Option<String>,
    /// A public key that was drawn for this session alone, as a line of OpenSSH's: a certificate for it leads to a target of SSH's.
    pub key: Option<String>,
}

/// The answer to an opening.
#[derive(Debug)]
pub enum Opened {
    /// The session may begin.
    Lease(Box<Lease>),
    /// Somebody is being asked.
    Waiting(Waiting),
    /// No.
    Refused(Refusal),
}

/// Somebody is being asked; [`Control::waited`] says how it went on.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// To wait with.
    pub ticket: Ticket,
    /// For the person who waits: who is asked, and where they can look. New lines only.
    pub lines: Vec<String>,
}

/// How it went on for somebody who waits.
#[derive(Debug)]
pub enum Waited {
    /// Nobody has decided yet; perhaps there is something new to say.
    Still(Vec<String>),
    /// Ask again to open, with this ticket. (A lease is not given here: its time counts from before it was asked for.)
    Open(Ticket),
    /// No.
    Refused(Refusal),
}

/// No, in words for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What and why, in one line.
    pub reason: String,
    /// What they could do next.
    pub hint: Option<String>,
}

/// The permission to keep one session open, and what it needs.
#[derive(Debug)]
pub struct Lease {
    /// The lease. It is never given twice: a gateway refuses the second, and the first goes on.
    pub id: LeaseId,
    /// The session, and its recording. It is never given twice either.
    pub session: SessionId,
    /// The grant.
    pub grant: GrantId,
    /// The person.
    pub person: PersonId,
    /// How long it holds.
    pub term: Term,
    /// When the grant ends, for people to read. Deadlines follow `term`.
    pub ends_at: Timestamp,
    /// Where to connect to, and as whom.
    pub target: Target,
    /// What is recorded.
    pub recording: Recording,
}

/// How long a lease holds, counted from before it was asked for. Any span will do, `Duration::MAX` too; gateways shorten those beyond
/// all measure, and renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Without a renewal.
    pub renew_within: Duration,
    /// In any case: the rest of the grant.
    pub ends_in: Duration,
}

/// What is behind the gateway; one variant for each protocol.
#[derive(Debug)]
#[non_exhaustive]
pub enum Target {
    /// A PostgreSQL database.
    Postgres(PostgresTarget),
    /// A host.
    Ssh(SshTarget),
}

impl Target {
    /// Where it leads, as which user, for the record, where what was granted does not say it.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Postgres(_) => None,
            Self::Ssh(target) => Some(format!("{}@{}", target.user, target.host)),
        }
    }
}

/// What is recorded of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    /// Values that are bound to statements too.
    pub values: bool,
    /// When it fails.
    pub on_failure: OnFailure,
    /// The recording has begun, and its storage has shown that it works. `Control` begins it before it gives the lease. Where it
    /// cannot, it refuses the session; or, where sessions go on without a record ([`OnFailure::GoOn`]), it gives a lease that
    /// says so here, and the session is marked from its beginning. A gateway connects to no target without one of the two.
    pub begun: bool,
    /// The longest line that the recording takes, in bytes; each record is one line ([`Record::line`]). What is longer is cut and
    /// says so. Below 4 KiB it is taken to be 4 KiB.
    pub longest_line: usize,
}

/// How a lease goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// For so much longer.
    Until(Term),
    /// Not at all.
    Ended(Reason),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The client left.
    Left,
    /// The grant's time is over.
    Expired,
    /// Somebody ended the grant early; in words for the person.
    Revoked(String),
    /// Somebody ended this session; in words for the person.
    Killed(String),
    /// The person or the resource was locked; in words for the person.
    Locked(String),
    /// The lease could not be renewed in time.
    LeaseLost,
    /// What happens could not be recorded.
    RecordingFailed,
    /// The target ended the connection, cannot be reached or does not answer as it should.
    TargetLost,
    /// The client did what the protocol does not allow.
    ProtocolViolation,
    /// The gateway stops.
    Stopping,
}

impl Reason {
    /// Without the words that somebody gave for it: for logs that nobody can take words out of.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Expired => "expired",
            Self::Revoked(_) => "revoked",
            Self::Killed(_) => "killed",
            Self::Locked(_) => "locked",
            Self::LeaseLost => "lease lost",
            Self::RecordingFailed => "recording failed",
            Self::TargetLost => "target lost",
            Self::ProtocolViolation => "protocol violation",
            Self::Stopping => "stopping",
        }
    }

    /// For the person whose session it was.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Left => "the client left".to_owned(),
            Self::Expired => "the time of the grant is over".to_owned(),
            Self::Revoked(why) => format!("the grant was ended: {why}"),
            Self::Killed(why) => format!("the session was ended: {why}"),
            Self::Locked(why) => format!("access is locked: {why}"),
            Self::LeaseLost => "its permission could not be renewed in time".to_owned(),
            Self::RecordingFailed => "it could not be recorded any more".to_owned(),
            Self::TargetLost => "the target ended the connection".to_owned(),
            Self::ProtocolViolation => "the client did what the protocol does not allow".to_owned(),
            Self::Stopping => "the gateway stops".to_owned(),
        }
    }
}

/// Which sessions end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One.
    Lease(LeaseId),
    /// All under a grant.
    Grant(GrantId),
    /// All of a person.
    Person(PersonId),
    /// All.
    Every,
}

/// Sessions end, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which.
    pub which: Which,
    /// Why.
    pub reason: Reason,
}

/// A session is over.
#[derive(Debug, Clone)]
pub struct Closing {
    /// Its lease.
    pub lease: LeaseId,
    /// Why.
    pub reason: Reason,
    /// What was counted.
    pub counters: Counters,
    /// The number of the last record that there is, gaps included: a recording that ends before it is not whole.
    pub last_record: u64,
}

/// Records of a session, on their way.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Whose they are.
    pub session: &'a SessionId,
    /// In their order, without a gap between them. None at all is a question: how far is it?
    pub records: &'a [Record],
    /// Somebody waits for room, or the session is over: what was taken is to be stored now, however little it is. The answer comes
    /// once it is, or says why not.
    pub flush: bool,
}

/// How far the records of a session are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of the last record that was taken. It may be lower than what was delivered, and lower than it was: what was taken and
    /// not stored may be lost with whoever took it. The gateway goes on after it.
    pub taken: u64,
    /// The number of the last record before and with which all is stored. It never gets lower. Until then the gateway keeps
    /// records, and until then they count against what a session may be ahead of its records.
    pub stored: u64,
}

/// Whoever decides. Every method fails closed: an error allows nothing. A gateway waits for an answer for so long and no longer
/// (`bounded.rs` beside this), and takes none for [`Unavailable`].
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// How somebody who calls themselves `user` is to prove it. Somebody who does not exist gets a challenge too, the same at
    /// each attempt ([`scram::Challenge::decoy`]), so that asking tells nothing.
    async fn challenge(&self, user: &str, origin: &Origin) -> Result<Challenge, Unavailable>;

    /// Nobody answers this challenge any more: its connection is gone. Whoever decides may keep it to its end all the same.
    fn forget(&self, _ticket: &Ticket) {}

    /// Checks a proof; `None` where it is none. A ticket is good for one; of keys, until one was good ([`Proof::Key`]).
    async fn prove(&self, proof: Proof, origin: &Origin) -> Result<Option<Proved>, Unavailable>;

    /// Asks for a session. The ticket is good for one.
    async fn open(&self, opening: Opening) -> Result<Opened, Unavailable>;

    /// Waits for how it went on; answers when there is something new, or after some seconds in any case.
    async fn waited(&self, ticket: &Ticket) -> Result<Waited, Unavailable>;

    /// Renews leases: one answer for each, in this order.
    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable>;

    /// A session is over: its recording ends, whole where `last_record` is stored and cut otherwise. Closing twice is closing once.
    async fn close(&self, closing: Closing) -> Result<(), Unavailable>;

    /// Takes records of a session, in their order; the answer says how far they are taken and how far stored. It need not wait for
    /// storage unless it is asked to ([`Delivery::flush`]): the gateway asks again, each second while anything is not stored.
    ///
    /// Numbers begin at 1 and have no gap; what could not be delivered is a record of its own ([`crate::record::What::Lost`]). Records
    /// whose numbers were taken before are passed over: the gateway sends again what it heard no answer to, and never something else
    /// under a number that it sent once. Records after a gap are not taken, and the answer says so.
    async fn record(&self, delivery: Delivery<'_>) -> Result<Progress, NotTaken>;

    /// What ends from now on. When the channel closes the gateway asks for another and, once it has it, renews everything at once, so
    /// that nothing between the two is missed for longer than that.
    fn endings(&self) -> mpsc::UnboundedReceiver<Ending>;
}
