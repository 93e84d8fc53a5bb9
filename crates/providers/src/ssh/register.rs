//! What the kind `ssh` must keep: its authorities, the certificates that it issued, and what hosts acknowledged. The server
//! keeps it in its store.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use daypass_core::time::{Span, Timestamp};
use zeroize::Zeroizing;

use super::rotation::{Publics, Trusted};
use crate::Error;

/// How long after its end a revoked certificate is still on the list, at least, and may still be put there: longer than any host's
/// clock is taken to be wrong.
pub const LISTED_PAST_END: Span = Span::hours(1);

/// How many certificates of one access may be valid at the same time. What asks for more is broken, or fills the list.
pub const MOST_VALID: u64 = 200;

/// One reading of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The time that decides.
    pub now: Timestamp,
    /// What the clock says. It lies behind `now` for good once it was set back, or was ahead and was put right. Hosts judge a
    /// certificate by clocks of their own, which are taken to agree with this one.
    pub clock: Timestamp,
}

impl Told {
    /// What the clock says at an instant of the time that decides.
    #[must_use]
    pub fn by_the_clock(self, at: Timestamp) -> Timestamp {
        at - self.now.since(self.clock)
    }
}

/// Durable state of the connectors of the kind `ssh`. Each call takes effect as a whole or not at all.
///
/// Every error is [`Fault::Unavailable`](daypass_core::entitlement::Fault::Unavailable) where the state cannot be reached:
/// then nothing is issued.
#[async_trait]
pub trait Register: Send + Sync {
    /// The time that decides, and the clock's.
    async fn told(&self) -> Result<Told, Error>;

    /// The private key of a connector's authority; made the first time that somebody asks.
    async fn seed(&self, connector: &str) -> Result<Zeroizing<[u8; 32]>, Error>;

    /// That key, and those beside it that hosts are to trust, all from one moment; the first is made where there is none.
    async fn trusted(&self, connector: &str) -> Result<Trusted, Error>;

    /// A private key that is kept nowhere yet, and the same sealed.
    async fn fresh(&self, connector: &str) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), Error>;

    /// A public key, sealed as the one that signed before.
    async fn seal_old(&self, connector: &str, public: &[u8; 32]) -> Result<Vec<u8>, Error>;

    /// The public keys that were kept. They are not sealed: only what nobody trusts is made with them.
    async fn publics(&self, connector: &str) -> Result<Publics, Error>;

    /// Keeps the public key of a connector's authority, unless there is one.
    async fn keep_public(&self, connector: &str, key: Vec<u8>) -> Result<(), Error>;

    /// Random bytes that go into a certificate, so that nobody knows beforehand what is signed.
    fn nonce(&self) -> [u8; 32];

    /// From now on certificates may be issued for this key, until then. Moves the limit in either direction.
    async fn open(&self, connector: &str, key: &str, until: Timestamp) -> Result<(), Error>;

    /// Keeps that a certificate is about to be issued, and answers its serial: unique and rising for each connector, also
    /// after the state was put back from a copy.
    ///
    /// # Errors
    /// [`Fault::NotFound`](daypass_core::entitlement::Fault::NotFound) where no certificate may be issued for this key (any
    /// more) for so long; [`Fault::RateLimited`](daypass_core::entitlement::Fault::RateLimited) where [`MOST_VALID`] are valid.
    async fn reserve(&self, connector: &str, key: &str, end: End) -> Result<u64, Error>;

    /// From now on none is issued for this key, and those that were are on the list of the revoked until [`LISTED_PAST_END`] past
    /// their validity at least. Whatever changes the list raises its version, also that it loses one.
    async fn close(&self, connector: &str, key: &str) -> Result<(), Error>;

    /// What is known of a key.
    async fn look(&self, connector: &str, key: &str) -> Result<Option<Standing>, Error>;

    /// The keys that are not [`Self::close`]d.
    async fn keys(&self, connector: &str) -> Result<Vec<String>, Error>;

    /// The list of the revoked.
    async fn revoked(&self, connector: &str) -> Result<Revoked, Error>;

    /// Keeps that a host is about to be given the principals of these resources.
    async fn give(&self, connector: &str, host: &str, resources: &BTreeSet<String>) -> Result<(), Error>;

    /// The hosts that were ever given the principals of a resource, whatever the policy says by now.
    async fn given(&self, connector: &str, resource: &str) -> Result<BTreeSet<String>, Error>;

    /// Keeps that a host has the list of this version in place, and trusts the keys of these fingerprints. An older version than it had
    /// before changes nothing.
    async fn acknowledge(
        &self,
        connector: &str,
        host: &str,
        version: u64,
        trusts: &BTreeSet<String>,
    ) -> Result<(), Error>;

    /// What each host acknowledged last, and when.
    async fn acknowledged(&self, connector: &str) -> Result<BTreeMap<String, Acknowledged>, Error>;
}

/// Until when a certificate is to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// By the time that decides.
    pub until: Timestamp,
    /// The same instant by the clock: what the certificate says.
    pub clock: Timestamp,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Until when certificates may be issued; `None` once it is closed.
    pub until: Option<Timestamp>,
    /// When the last certificate that was issued runs out by the clock, if any was.
    pub last_valid: Option<Timestamp>,
    /// From this version on, the list has all certificates of the key.
    pub revoked_in: u64,
}

/// The list of the revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Rises with each change.
    pub version: u64,
    /// The certificates on it.
    pub serials: Vec<u64>,
}

/// What a host acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The version.
    pub version: u64,
    /// The fingerprints of the keys that it trusts.
    pub trusts: BTreeSet<String>,
    /// When.
    pub at: Timestamp,
}
