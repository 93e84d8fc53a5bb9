//! Where the kind `ssh` keeps its authorities: in the store, each private key sealed under the operator's own key.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use daypass_core::entitlement::Fault;
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_providers::Error as TargetError;
use daypass_providers::ssh::{
    Acknowledged, End, LISTED_PAST_END, MOST_VALID, Register, Revoked, Standing, Told,
};
use daypass_store::{Error as StoreError, SshEnd, SshKeep, Store};
use zeroize::Zeroizing;

use crate::edge;

/// How much the store keeps of certificates.
const KEEP: SshKeep = SshKeep {
    past_end: LISTED_PAST_END,
    most: MOST_VALID,
};
/// Bytes of a nonce of AES-GCM.
const NONCE: usize = 12;

/// What seals. It has no `Debug`.
pub(crate) struct Sealing(LessSafeKey);

impl Sealing {
    /// A key of 32 bytes; `None` where it has another length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?)))
    }

    /// A fresh nonce, then what it became. `about` must be the same to open it: no row can be put in another's place.
    fn seal(&self, about: &str, plain: &[u8; 32]) -> Result<Vec<u8>, TargetError> {
        let nonce: [u8; NONCE] = edge::random();
        let mut sealed = Zeroizing::new(plain.to_vec());
        let into = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about),
            &mut *sealed,
        );
        into.map_err(|_| TargetError::new(Fault::Bug, "a key could not be sealed"))?;
        Ok([&nonce[..], &sealed[..]].concat())
    }

    fn open(&self, about: &str, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, TargetError> {
        let wrong = || {
            let what = "the authority's key cannot be opened: sealing_key in server.yaml is not the one that it was \
                        sealed with, or the store was tampered with";
            TargetError::new(Fault::Misconfigured, what)
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let opened = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), &mut plain);
        let opened: [u8; 32] = (*opened.map_err(|_| wrong())?).try_into().map_err(|_| wrong())?;
        Ok(Zeroizing::new(opened))
    }
}

/// The register over a store.
pub(crate) struct Authorities {
    pub(crate) store: Store,
    pub(crate) sealing: Sealing,
}

impl Authorities {
    fn about(&self, connector: &str) -> String {
        format!("daypass ssh authority {} {connector}", self.store.installation())
    }
}

fn failed(error: StoreError) -> TargetError {
    match error {
        StoreError::Refused(refusal) if refusal.code == Code::NotActive => {
            TargetError::new(Fault::NotFound, refusal.to_string())
        }
        StoreError::Refused(refusal) if refusal.code == Code::TooManyOpen => {
            TargetError::new(Fault::RateLimited, refusal.to_string())
        }
        StoreError::Refused(refusal) => TargetError::new(Fault::Misconfigured, refusal.to_string()),
        StoreError::Full | StoreError::Unavailable(_) => {
            TargetError::new(Fault::Unavailable, "the server's store does not answer")
        }
        other => {
            tracing::error!(%other, "the store failed");
            TargetError::new(Fault::Bug, "the server's store failed; its log says more")
        }
    }
}

#[async_trait]
impl Register for Authorities {
    async fn told(&self) -> Result<Told, TargetError> {
        let told = self.store.told().await.map_err(failed)?;
        Ok(Told {
            now: told.now,
            clock: told.clock,
        })
    }

    async fn seed(&self, connector: &str) -> Result<Zeroizing<[u8; 32]>, TargetError> {
        let about = self.about(connector);
        if let Some(sealed) = self.store.ssh_sealed(connector).await.map_err(failed)? {
            return self.sealing.open(&about, &sealed);
        }
        let fresh = Zeroizing::new(edge::random());
        let sealed = self.sealing.seal(&about, &fresh)?;
        let kept = self
            .store
            .ssh_keep_sealed(connector, sealed)
            .await
            .map_err(failed)?;
        self.sealing.open(&about, &kept)
    }

    async fn since(&self, connector: &str) -> Result<Option<Timestamp>, TargetError> {
        self.store.ssh_since(connector).await.map_err(failed)
    }

    async fn public(&self, connector: &str) -> Result<Option<Vec<u8>>, TargetError> {
        self.store.ssh_public(connector).await.map_err(failed)
    }

    async fn keep_public(&self, connector: &str, key: Vec<u8>) -> Result<(), TargetError> {
        self.store.ssh_keep_public(connector, key).await.map_err(failed)
    }

    fn nonce(&self) -> [u8; 32] {
        edge::random()
    }

    async fn open(&self, connector: &str, key: &str, until: Timestamp) -> Result<(), TargetError> {
        self.store.ssh_open(connector, key, until).await.map_err(failed)
    }

    async fn reserve(&self, connector: &str, key: &str, end: End) -> Result<u64, TargetError> {
        let end = SshEnd {
            until: end.until,
            clock: end.clock,
        };
        let issued = self.store.ssh_issue(connector, key, end, KEEP).await;
        issued.map_err(failed)
    }

    async fn close(&self, connector: &str, key: &str) -> Result<(), TargetError> {
        self.store.ssh_close(connector, key, KEEP).await.map_err(failed)
    }

    async fn look(&self, connector: &str, key: &str) -> Result<Option<Standing>, TargetError> {
        let found = self.store.ssh_access(connector, key).await.map_err(failed)?;
        Ok(found.map(|access| Standing {
            until: access.open_until,
            last_valid: access.last_valid,
            revoked_in: access.revoked_in,
        }))
    }

    async fn keys(&self, connector: &str) -> Result<Vec<String>, TargetError> {
        self.store.ssh_open_targets(connector).await.map_err(failed)
    }

    async fn revoked(&self, connector: &str) -> Result<Revoked, TargetError> {
        let (version, serials) = self.store.ssh_revoked(connector).await.map_err(failed)?;
        Ok(Revoked { version, serials })
    }

    async fn give(
        &self,
        connector: &str,
        host: &str,
        resources: &BTreeSet<String>,
    ) -> Result<(), TargetError> {
        let kept = self.store.ssh_give(connector, host, resources).await;
        kept.map_err(failed)
    }

    async fn given(&self, connector: &str, resource: &str) -> Result<BTreeSet<String>, TargetError> {
        self.store.ssh_given(connector, resource).await.map_err(failed)
    }

    async fn acknowledge(&self, connector: &str, host: &str, version: u64) -> Result<(), TargetError> {
        self.store
            .ssh_acknowledge(connector, host, version)
            .await
            .map_err(failed)
    }

    async fn acknowledged(&self, connector: &str) -> Result<BTreeMap<String, Acknowledged>, TargetError> {
        let hosts = self.store.ssh_hosts(connector).await.map_err(failed)?;
        Ok(hosts
            .into_iter()
            .map(|(name, host)| {
                (
                    name,
                    Acknowledged {
                        version: host.version,
                        at: host.at,
                    },
                )
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_for_its_own_row_only() {
        let (ours, other) = (Sealing::new(&[7; 32]).unwrap(), Sealing::new(&[8; 32]).unwrap());
        let sealed = ours.seal("fleet", &[1; 32]).unwrap();
        assert!(
            !sealed.windows(8).any(|part| part == [1; 8]),
            "nothing of it can be read"
        );
        assert_ne!(
            sealed,
            ours.seal("fleet", &[1; 32]).unwrap(),
            "each is sealed anew"
        );
        assert_eq!(*ours.open("fleet", &sealed).unwrap(), [1; 32]);
        assert!(other.open("fleet", &sealed).is_err());
        assert!(ours.open("other", &sealed).is_err(), "as another connector's");
        let mut broken = sealed.clone();
        broken[20] ^= 1;
        assert!(ours.open("fleet", &broken).is_err());
        for length in [0, 5, 12, 30] {
            assert!(ours.open("fleet", &sealed[..length]).is_err());
        }
        assert!(Sealing::new(&[7; 31]).is_none());
    }
}
