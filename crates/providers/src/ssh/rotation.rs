//! The keys of an authority beside the one that signs: the next one, which hosts are to trust first, and the one before, while what it
//! signed may be valid.
//!
//! What hosts are told to trust never comes from a public key that lies open in the store: whoever could write there would open all
//! hosts. It is derived from a private key, or was sealed.

use std::collections::BTreeSet;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::time::Timestamp;
use zeroize::Zeroizing;

use super::authority::Authority;
use super::key::PublicKey;
use super::provider::{CLOCK_SKEW, Connected};
use super::wire::Writer;
use crate::Error;

/// What hosts are to trust, from one moment.
pub struct Trusted {
    /// The private key that signs.
    pub current: Zeroizing<[u8; 32]>,
    /// Since when it does.
    pub since: Option<Timestamp>,
    /// The private key that does not sign yet.
    pub next: Option<Zeroizing<[u8; 32]>>,
    /// The public key that signed before.
    pub old: Option<Old>,
}

/// A key that signs no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Old {
    /// The public key: that of Ed25519, as it was sealed.
    pub public: [u8; 32],
    /// When the last certificate of its time runs out by the clock.
    pub last_valid: Option<Timestamp>,
}

/// The public keys of an authority in SSH's encoding, from one moment. They are not sealed: the list of the revoked is made with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publics {
    /// Those that certificates may be signed with that are still valid.
    pub signing: Vec<Vec<u8>>,
    /// Those that nobody is to trust any more.
    pub withdrawn: Vec<Vec<u8>>,
}

/// A key that was made just now and is kept nowhere yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The private key, sealed.
    pub sealed: Vec<u8>,
    /// The public key in SSH's encoding.
    pub public: Vec<u8>,
    /// The public key that signs meanwhile.
    pub current: Vec<u8>,
}

/// The keys of an authority, as everybody may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of the one that signs.
    pub current: String,
    /// Since when it does.
    pub since: Option<Timestamp>,
    /// Of the one that will.
    pub next: Option<String>,
    /// Of the one that did, and when no host takes a certificate of its time any more, by the clock.
    pub old: Option<(String, Option<Timestamp>)>,
}

/// An authority that can get another key.
#[async_trait]
pub trait Rotate: Send + Sync {
    /// Its keys.
    ///
    /// # Errors
    /// Where they cannot be had.
    async fn fingerprints(&self) -> Result<Fingerprints, Error>;

    /// Makes a key and keeps it nowhere.
    ///
    /// # Errors
    /// Where it cannot be sealed, or the present one cannot be had.
    async fn make(&self) -> Result<Made, Error>;

    /// The public key that signs, sealed as the one that did. With its fingerprint.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    async fn retire(&self) -> Result<(String, Vec<u8>), Error>;

    /// Which of the keys that hosts are to trust these lines hold, by their fingerprints. Everything else in them is passed over.
    ///
    /// # Errors
    /// As [`fingerprints`](Self::fingerprints).
    async fn known(&self, lines: &[String]) -> Result<BTreeSet<String>, Error>;
}

/// SSH's encoding of a public key of Ed25519.
fn blob(public: &[u8; 32]) -> Vec<u8> {
    let mut out = Writer::default();
    out.string("ssh-ed25519");
    out.string(public);
    out.0
}

impl Connected {
    /// The public keys that a certificate which is valid at this instant of the clock may be signed with.
    pub(super) async fn signing(&self, clock: Timestamp) -> Result<Vec<Vec<u8>>, Error> {
        let trusted = self.register()?.trusted(&self.connector).await?;
        let mut keys = vec![Authority::new(&trusted.current)?.blob()];
        let old = trusted
            .old
            .filter(|old| old.last_valid.is_some_and(|last| clock < last));
        keys.extend(old.map(|old| blob(&old.public)));
        Ok(keys)
    }

    /// The lines for `TrustedUserCAKeys`.
    pub(super) async fn lines(&self) -> Result<Vec<String>, Error> {
        let name = &self.connector;
        let trusted = self.register()?.trusted(name).await?;
        let mut lines = vec![Authority::new(&trusted.current)?.line(&format!("daypass {name}"))];
        if let Some(next) = &trusted.next {
            lines.push(Authority::new(next)?.line(&format!("daypass {name} next")));
        }
        if let Some(old) = &trusted.old {
            let encoded = STANDARD.encode(blob(&old.public));
            lines.push(format!("ssh-ed25519 {encoded} daypass {name} before\n"));
        }
        Ok(lines)
    }
}

#[async_trait]
impl Rotate for Connected {
    async fn fingerprints(&self) -> Result<Fingerprints, Error> {
        let trusted = self.register()?.trusted(&self.connector).await?;
        let next = trusted.next.as_deref().map(Authority::new).transpose()?;
        Ok(Fingerprints {
            current: Authority::new(&trusted.current)?.fingerprint(),
            since: trusted.since,
            next: next.map(|next| next.fingerprint()),
            old: trusted.old.map(|old| {
                (
                    super::key::fingerprint(&blob(&old.public)),
                    old.last_valid.map(|last| last + CLOCK_SKEW),
                )
            }),
        })
    }

    async fn make(&self) -> Result<Made, Error> {
        let register = self.register()?;
        let current = Authority::new(&register.trusted(&self.connector).await?.current)?.blob();
        let (seed, sealed) = register.fresh(&self.connector).await?;
        let made = Authority::new(&seed)?;
        Ok(Made {
            fingerprint: made.fingerprint(),
            sealed,
            public: made.blob(),
            current,
        })
    }

    async fn retire(&self) -> Result<(String, Vec<u8>), Error> {
        let register = self.register()?;
        let current = Authority::new(&register.trusted(&self.connector).await?.current)?;
        let sealed = register.seal_old(&self.connector, &current.public()?).await?;
        Ok((current.fingerprint(), sealed))
    }

    async fn known(&self, lines: &[String]) -> Result<BTreeSet<String>, Error> {
        let ours = self.fingerprints().await?;
        let ours = [Some(ours.current), ours.next, ours.old.map(|(old, _)| old)];
        let read = lines.iter().filter_map(|line| PublicKey::read(line).ok());
        let said: BTreeSet<String> = read.map(|key| key.fingerprint).collect();
        Ok(ours
            .into_iter()
            .flatten()
            .filter(|one| said.contains(one))
            .collect())
    }
}
