//! What a gateway that runs apart asks the server (`daypass gateway`): its control channel, which it opens and nobody else.
//!
//! Nothing that a gateway says decides: it passes on what a client proved, and is told what it may do. Lengths of time are
//! milliseconds, counted from before the gateway asked; they are rounded down, so that they end early and not late. Bytes are
//! hexadecimal digits.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::Secret;
use crate::session::SessionCounters;

/// The most bytes of lines that one call brings, unless a single line is longer. What is left comes with the next.
pub const MOST_RECORDED: usize = 512 * 1024;

/// How often the stream of endings says something where nothing ends, in seconds. Who hears nothing for three times as long has lost it.
pub const HEARTBEAT_SECONDS: u64 = 5;

/// The header by which each call says which run of a gateway makes it: 32 bytes in hexadecimal digits, drawn when it starts and
/// told to nobody but the server. Its sessions are that run's, and no other's that has the same token.
pub const RUN_HEADER: &str = "daypass-gateway-run";

/// The version of what is said here. A server takes no gateway that may not know what it tells it to refuse.
pub const VERSION: u32 = 1;

/// The most lines that one call brings.
pub const MOST_LINES: usize = 10_000;

/// The longest that a login, a target, a program's name or what was said in a proof may be, in bytes.
pub const LONGEST_TEXT: usize = 4096;

/// `POST /gateway/register`: a gateway is there. Its name is that of the service account whose token it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterGateway {
    /// What it speaks ([`VERSION`]).
    pub version: u32,
    /// The digests of the certificates that it shows to clients (`tls-server-end-point`, RFC 5929). Proofs that are bound to
    /// another are none.
    pub end_points: Vec<String>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisteredGateway {
    /// What it is called in the log.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it may serve.
    #[schema(value_type = Vec<String>)]
    pub resources: BTreeSet<Name>,
    /// Until when its token is good.
    #[schema(value_type = String, format = DateTime)]
    pub token_expires_at: Timestamp,
    /// What the server's clock says: records have the gateway's.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
}

/// Where a client comes from, as its gateway sees it: for the record. No rule goes by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientOrigin {
    /// Its address and port.
    #[schema(value_type = String, example = "192.0.2.7:51112")]
    pub peer: SocketAddr,
    /// By which protocol.
    #[schema(example = "postgres")]
    pub protocol: String,
}

/// `POST /gateway/challenge`: somebody says who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskChallenge {
    /// The login that they claim.
    pub user: String,
    /// From where.
    pub origin: ClientOrigin,
}

/// How they are to prove it (SCRAM-SHA-256, RFC 5802). Who does not exist is asked alike.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ScramChallenge {
    /// Names this attempt; good for one proof.
    pub ticket: Secret,
    /// The server's part of the nonce.
    pub nonce: String,
    /// The salt.
    pub salt: String,
    /// How often it is hashed.
    pub iterations: u32,
}

/// `POST /gateway/prove`: what they answered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Prove {
    /// Of the challenge.
    pub ticket: Secret,
    /// All that was said, in the form that is signed.
    pub said: String,
    /// The proof.
    pub proof: Secret,
    /// From where.
    pub origin: ClientOrigin,
}

/// Whether it was a proof.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Proved {
    /// Who it is; nothing where it was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<ProvedClient>,
}

/// Somebody proved who they are.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProvedClient {
    /// To open a session with, once, soon.
    pub ticket: Secret,
    /// Their id.
    pub person: String,
    /// Their login.
    pub name: String,
    /// What proves to the client that the server knows them too.
    pub server_signature: Secret,
}

/// `POST /gateway/leases`: somebody who proved who they are wants to reach something.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// Of the proof, or of a wait.
    pub ticket: Secret,
    /// What they named: a resource, or a resource and a role.
    #[schema(example = "orders-prod/read")]
    pub target: String,
    /// From where.
    pub origin: ClientOrigin,
    /// What their program calls itself. Anybody can say anything here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// The answer to that.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum OpenedSession {
    /// The session may begin.
    Lease(Box<Lease>),
    /// Somebody is being asked.
    Waiting {
        /// To wait with.
        ticket: Secret,
        /// For the person who waits.
        lines: Vec<String>,
    },
    /// No.
    Refused(NotOpened),
}

/// No, in words for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotOpened {
    /// What and why.
    pub reason: String,
    /// What they could do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The permission to keep one session open, and what it needs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// The lease.
    pub id: String,
    /// The session.
    pub session: String,
    /// The grant.
    pub grant: String,
    /// The person.
    pub person: String,
    /// How long it holds.
    pub term: LeaseTerm,
    /// When the grant ends, for people to read.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// Where to connect to, and as whom.
    pub upstream: Upstream,
    /// What is recorded.
    pub recording: LeaseRecording,
}

/// How long a lease holds, from before it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaseTerm {
    /// Without a renewal.
    pub renew_within_ms: u64,
    /// In any case.
    pub ends_in_ms: u64,
}

/// Where a session goes, and as whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Upstream {
    /// A PostgreSQL database.
    Postgres(PostgresUpstream),
}

/// A PostgreSQL behind a gateway.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PostgresUpstream {
    /// A name or an address; the certificate must be for it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether its certificate and name are checked; otherwise there is no TLS.
    pub verify_full: bool,
    /// The CA to check it by, in PEM; the system's where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The grant's own role.
    pub user: String,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// What may not pass.
    pub statements: RefusedStatements,
}

/// Kinds of statements that are refused.
// A gateway that does not know one of them must not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedStatements {
    /// Whatever changes anything.
    pub read_only: bool,
    /// Whatever makes, changes or drops tables, roles and the like.
    pub no_ddl: bool,
    /// UPDATE and DELETE of all rows.
    pub qualified: bool,
}

/// What is recorded of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRecording {
    /// Values that are bound to statements too.
    pub values: bool,
    /// Whether the session goes on when it fails.
    pub goes_on: bool,
    /// Whether it has begun.
    pub begun: bool,
    /// The longest line that it takes, in bytes.
    pub longest_line: u64,
}

/// `POST /gateway/wait`: how did it go on?
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskWaited {
    /// Of the answer that said to wait.
    pub ticket: Secret,
}

/// How it went on for somebody who waits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum WaitedFor {
    /// Nobody has decided yet.
    Still {
        /// What there is to say that was not said.
        lines: Vec<String>,
    },
    /// Ask again to open.
    Open {
        /// With this.
        ticket: Secret,
    },
    /// No.
    Refused(NotOpened),
}

/// `POST /gateway/leases/renew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewLeases {
    /// The leases.
    pub leases: Vec<String>,
}

/// One answer for each lease, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenewedLeases {
    /// The answers.
    pub renewed: Vec<RenewedLease>,
}

/// How a lease goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum RenewedLease {
    /// For so much longer.
    Until(LeaseTerm),
    /// Not at all.
    Ended {
        /// Why.
        reason: EndReason,
    },
}

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndReason {
    /// In one word.
    pub kind: EndKind,
    /// In words for the person, where somebody gave any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Why a session ends, in one word: as the log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// The client left.
    Left,
    /// The grant's time is over.
    Expired,
    /// Somebody ended the grant early.
    Revoked,
    /// Somebody ended this session.
    Killed,
    /// The person or the resource is locked.
    Locked,
    /// The lease was not renewed in time.
    LeaseLost,
    /// It could not be recorded any more.
    RecordingFailed,
    /// The target ended the connection.
    TargetLost,
    /// The client did what the protocol does not allow.
    ProtocolViolation,
    /// The gateway stops.
    Stopping,
    /// For a reason that this version has no word for.
    #[serde(other)]
    Other,
}

/// `POST /gateway/leases/close`: a session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseLease {
    /// Its lease.
    pub lease: String,
    /// Why.
    pub reason: EndReason,
    /// What was counted.
    pub counters: SessionCounters,
    /// The number of its last record.
    pub last_record: u64,
}

/// `POST /gateway/records`: lines of a recording, in their order and without a gap. None at all asks how far it is.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverRecords {
    /// The session.
    pub session: String,
    /// The number of the first.
    pub first: u64,
    /// The lines: JSON, each with its number (`n`).
    pub lines: Vec<String>,
    /// Whether they are to be stored before there is an answer.
    pub flush: bool,
}

/// What was said in a session is nothing for a log.
impl std::fmt::Debug for DeliverRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "DeliverRecords({}, {} from {})",
            self.session,
            self.lines.len(),
            self.first
        )
    }
}

/// How far the records of a session are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordedLines {
    /// The number of the last that was taken.
    pub taken: u64,
    /// The number of the last that is stored, with all before it.
    pub stored: u64,
}

/// A line of `GET /gateway/events`: sessions end, at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaseEnding {
    /// Which.
    pub which: EndingOf,
    /// Why.
    pub reason: EndReason,
}

/// Which sessions end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndingOf {
    /// One, by its lease.
    Lease(String),
    /// All under a grant.
    Grant(String),
    /// All of a person.
    Person(String),
    /// All.
    Every,
}
