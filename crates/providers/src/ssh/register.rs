//! What the kind `ssh` must keep: its authorities, the certificates that it issued, and what hosts acknowledged. The server
//! keeps it in its store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use daypass_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::Error;

/// Durable state of the connectors of the kind `ssh`. Each call takes effect as a whole or not at all.
///
/// Every error is [`Fault::Unavailable`](daypass_core::entitlement::Fault::Unavailable) where the state cannot be reached:
/// then nothing is issued.
#[async_trait]
pub trait Register: Send + Sync {
    /// The time that decides.
    async fn now(&self) -> Result<Timestamp, Error>;

    /// The private key of a connector's authority; made the first time that somebody asks.
    async fn seed(&self, connector: &str) -> Result<Zeroizing<[u8; 32]>, Error>;

    /// Since when that key is kept; nothing where nobody asked for it yet.
    async fn since(&self, connector: &str) -> Result<Option<Timestamp>, Error>;

    /// Random bytes that go into a certificate, so that nobody knows beforehand what is signed.
    fn nonce(&self) -> [u8; 32];

    /// From now on certificates may be issued for this key, until then. Moves the limit in either direction.
    async fn open(&self, connector: &str, key: &str, until: Timestamp) -> Result<(), Error>;

    /// Keeps that a certificate is about to be issued, and answers its serial: unique and rising for each connector, from 1.
    ///
    /// # Errors
    /// [`Fault::NotFound`](daypass_core::entitlement::Fault::NotFound) where no certificate may be issued for this key (any
    /// more) for so long.
    async fn reserve(&self, connector: &str, key: &str, valid_before: Timestamp) -> Result<u64, Error>;

    /// From now on none is issued for this key, and those that were are on the list of the revoked until `forget_after` past
    /// their validity. Where that changes the list, its version rises by one.
    async fn close(&self, connector: &str, key: &str) -> Result<(), Error>;

    /// What is known of a key.
    async fn look(&self, connector: &str, key: &str) -> Result<Option<Standing>, Error>;

    /// The keys that are not [`Self::close`]d.
    async fn keys(&self, connector: &str) -> Result<Vec<String>, Error>;

    /// The list of the revoked: its version, and the serials whose validity ends after this instant.
    async fn revoked(&self, connector: &str, after: Timestamp) -> Result<Revoked, Error>;

    /// Keeps that a host has the list of this version in place. An older one than it had before changes nothing.
    async fn acknowledge(&self, connector: &str, host: &str, version: u64) -> Result<(), Error>;

    /// What each host acknowledged last, and when.
    async fn acknowledged(&self, connector: &str) -> Result<BTreeMap<String, Acknowledged>, Error>;
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Until when certificates may be issued; `None` once it is closed.
    pub until: Option<Timestamp>,
    /// When the last certificate that was issued runs out, if any was.
    pub last_valid: Option<Timestamp>,
    /// From this version on, the list has all certificates of the key.
    pub revoked_in: u64,
}

/// The list of the revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Rises by one with each change.
    pub version: u64,
    /// The certificates on it.
    pub serials: Vec<u64>,
}

/// What a host acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// The version.
    pub version: u64,
    /// When.
    pub at: Timestamp,
}
