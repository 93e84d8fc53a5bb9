//! Gateways, in this server's process and apart from it: people connect to them with the tools that they have, and go through to
//! what they were granted, recorded and cut off at the deadline.
//!
//! The protocols are `daypass-gateway`'s, which decides nothing. What it asks, in process or over HTTP (`api/gateways.rs`), is answered here
//! and in one way (`control.rs`), from the engine: which gateway asks (`asker.rs`), who somebody is
//! (`proof.rs`, `ssh.rs`), what they named (`named.rs`), what they may reach and under which grant (`open.rs`, `ask.rs`), for how long (`leases.rs`), as whom
//! (`upstream.rs`), and that what they did is stored and logged (`records.rs`).

mod apart;
mod ask;
mod asker;
mod close;
mod control;
mod credential;
mod doors;
mod entrance;
mod key;
mod leases;
mod named;
mod open;
mod present;
mod proof;
mod records;
mod retention;
mod ssh;
mod start;
mod tickets;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::time::Span;
use daypass_recording::Identities;

pub use apart::{Apart, ApartError};
pub(crate) use asker::Asker;
pub(crate) use control::Desk;
pub(crate) use credential::issue;
pub(crate) use entrance::{Elsewhere, SshEntrance};
pub(crate) use records::{Records, logged, recording};
pub use start::StartError;
pub(crate) use start::open;

use ask::Wait;
use close::Unwritten;
use entrance::Entrance;
use leases::Leases;
use present::Present;
use proof::{Attempt, Entrant};
use tickets::Tickets;
use upstream::Upstreams;

/// How long somebody may take to prove who they are, then to open a session: gateways give a handshake fifteen seconds.
const PROMPT: Duration = Duration::from_secs(20);

/// The same by SSH, where people are asked something while they connect: gateways give them two minutes.
const LOGIN: Duration = Duration::from_secs(130);

/// How long it may take until it is asked again for somebody who waits: a gateway apart asks for some at a time, each for eight seconds.
const TURN: Duration = Duration::from_secs(120);

/// What the gateway's questions are answered from.
pub(crate) struct Front {
    /// What the gateway in this process is called in the log.
    pub(crate) name: Name,
    /// How long a lease holds without being renewed.
    lease: Span,
    /// How long a credential lasts that was not issued for a grant.
    pub(crate) credential_lifetime: Span,
    /// Where PostgreSQL's clients connect to the gateway in this process, if they may.
    pub(crate) own: Option<Entrance>,
    /// Where SSH's do.
    pub(crate) ssh: Option<SshEntrance>,
    /// The gateways that may run apart: who is not among them is none, whatever their token says.
    apart: Vec<Elsewhere>,
    /// Which gateways are there.
    present: Present,
    base_url: Option<String>,
    pub(crate) records: Records,
    /// How long recordings are kept; for ever where nothing is said.
    keep: Option<Span>,
    /// What opens recordings, where this server may show them.
    pub(crate) identities: Option<Arc<Identities>>,
    leases: Leases,
    upstreams: Upstreams,
    /// Who asks for something by connecting takes turns, so that a pool of connections makes one request.
    asking: tokio::sync::Mutex<()>,
    /// Ends that could not be written down yet.
    unwritten: Unwritten,
    attempts: Tickets<IpAddr, Attempt>,
    /// The same by SSH, on accounts of their own. A gateway gives back what nobody answers, and lets no address have as many connections that
    /// are nobody's yet as one may have attempts: nobody is shut out by strangers at the same address.
    logins: Tickets<IpAddr, Attempt>,
    entrants: Tickets<PersonId, Entrant>,
    waits: Tickets<PersonId, Wait>,
}
