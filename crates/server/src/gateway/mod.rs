//! The gateway in this server's process: people connect to it with the tools that they have, and go through to what they were
//! granted, recorded and cut off at the deadline.
//!
//! The protocols are `daypass-gateway`'s, which decides nothing. What it asks is answered here, from the engine: who somebody is
//! (`proof.rs`), what they may reach and under which grant (`open.rs`, `ask.rs`), for how long (`leases.rs`), as whom
//! (`upstream.rs`), and that what they did is stored and logged (`records.rs`).

mod ask;
mod close;
mod control;
mod credential;
mod key;
mod leases;
mod open;
mod proof;
mod records;
mod retention;
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

pub(crate) use credential::issue;
pub(crate) use records::{Records, logged, recording};
pub use start::StartError;
pub(crate) use start::open;

use ask::Wait;
use close::Unwritten;
use leases::Leases;
use proof::{Attempt, Entrant};
use tickets::Tickets;
use upstream::Upstreams;

/// How long somebody may take to prove who they are, then to open a session, and then to ask again how it stands: gateways
/// give a handshake fifteen seconds, and ask every few.
const PROMPT: Duration = Duration::from_secs(20);

/// What the gateway's questions are answered from.
pub(crate) struct Front {
    /// What it is called in the log.
    name: Name,
    protocol: Name,
    /// How long a lease holds without being renewed.
    lease: Span,
    /// How long a credential lasts that was not issued for a grant.
    pub(crate) credential_lifetime: Span,
    /// What clients are told to connect to.
    pub(crate) address: (String, u16),
    /// What clients are told to trust: none means that there is no TLS.
    pub(crate) trust: Trust,
    /// The digest of its certificate, which proofs are bound to.
    end_point: Option<Vec<u8>>,
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
    entrants: Tickets<PersonId, Entrant>,
    waits: Tickets<PersonId, Wait>,
}

/// How clients know the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// There is no TLS: it listens on this machine alone.
    Plain,
    /// By their system's certificates.
    System,
    /// By these certificates, in PEM.
    Certificates(String),
}
