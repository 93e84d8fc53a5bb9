//! Where the kind `ssh` keeps its authorities: in the store, each private key sealed under the operator's own key.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_providers::Error as TargetError;
use daypass_providers::ssh::{
    Acknowledged, End, LISTED_PAST_END, MOST_VALID, Old, Publics, Register, Revoked, Standing, Told, Trusted,
};
use daypass_store::{Error as StoreError, Sealed, SshEnd, SshKeep, SshSlot, Store};
use zeroize::Zeroizing;

use crate::edge;
use crate::sealing::{KeyFile, KeyId, Keyring, sealed_by};

/// How much the store keeps of certificates.
const KEEP: SshKeep = SshKeep {
    past_end: LISTED_PAST_END,
    most: MOST_VALID,
};

/// The register over a store.
pub(crate) struct Authorities {
    pub(crate) store: Store,
    pub(crate) file: KeyFile,
}

/// What a value of an authority is bound to: a private key that does not sign yet is of the same kind as the one that does, and the
/// public key that did is none.
pub(crate) fn about(store: &Store, slot: SshSlot, connector: &str) -> String {
    let installation = store.installation();
    match slot {
        SshSlot::Current | SshSlot::Next => format!("daypass ssh authority {installation} {connector}"),
        SshSlot::Old => format!("daypass ssh authority before {installation} {connector}"),
    }
}

impl Authorities {
    fn about(&self, slot: SshSlot, connector: &str) -> String {
        about(&self.store, slot, connector)
    }

    /// By which key to seal something new: the one that everything else is sealed by. Another server of this store may not have the
    /// first line of our file yet; it has that one.
    async fn usual(&self, ring: &Keyring) -> Result<Option<KeyId>, TargetError> {
        let all = self.store.sealed().await.map_err(failed)?;
        let last = all
            .iter()
            .filter_map(|one: &Sealed| sealed_by(&one.bytes))
            .next_back();
        Ok(last.filter(|last| ring.ids().any(|id| id == *last)))
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
        let about = self.about(SshSlot::Current, connector);
        let ring = self.file.read().await?;
        if let Some(sealed) = self.store.ssh_sealed(connector).await.map_err(failed)? {
            return ring.open(&about, &sealed);
        }
        let fresh = Zeroizing::new(edge::random());
        let sealed = ring.seal(self.usual(&ring).await?, &about, &fresh)?;
        let kept = self
            .store
            .ssh_keep_sealed(connector, sealed)
            .await
            .map_err(failed)?;
        ring.open(&about, &kept)
    }

    async fn trusted(&self, connector: &str) -> Result<Trusted, TargetError> {
        let mut keys = self.store.ssh_keys(connector).await.map_err(failed)?;
        if keys.sealed.is_none() {
            self.seed(connector).await?;
            keys = self.store.ssh_keys(connector).await.map_err(failed)?;
        }
        let ring = self.file.read().await?;
        let open = |slot, sealed: &[u8]| ring.open(&self.about(slot, connector), sealed);
        let current = keys
            .sealed
            .ok_or_else(|| TargetError::new(Fault::Bug, "an authority was lost"))?;
        let old = match keys.old {
            Some(old) => Some(Old {
                public: *open(SshSlot::Old, &old.sealed)?,
                last_valid: old.last_valid,
            }),
            None => None,
        };
        Ok(Trusted {
            current: open(SshSlot::Current, &current)?,
            since: keys.since,
            next: keys
                .next
                .map(|next| open(SshSlot::Next, &next.sealed))
                .transpose()?,
            old,
        })
    }

    async fn fresh(&self, connector: &str) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), TargetError> {
        let ring = self.file.read().await?;
        let fresh = Zeroizing::new(edge::random());
        let about = self.about(SshSlot::Next, connector);
        let sealed = ring.seal(self.usual(&ring).await?, &about, &fresh)?;
        Ok((fresh, sealed))
    }

    async fn seal_old(&self, connector: &str, public: &[u8; 32]) -> Result<Vec<u8>, TargetError> {
        let ring = self.file.read().await?;
        let about = self.about(SshSlot::Old, connector);
        ring.seal(self.usual(&ring).await?, &about, public)
    }

    async fn publics(&self, connector: &str) -> Result<Publics, TargetError> {
        let keys = self.store.ssh_keys(connector).await.map_err(failed)?;
        let mut signing = Vec::new();
        // Without the one that signs it is not whole.
        if let Some(current) = keys.public {
            signing.push(current);
            signing.extend(keys.next.map(|next| next.public));
            signing.extend(keys.old.map(|old| old.public));
        }
        Ok(Publics {
            signing,
            withdrawn: keys.withdrawn,
        })
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

    async fn acknowledge(
        &self,
        connector: &str,
        host: &str,
        version: u64,
        trusts: &BTreeSet<String>,
    ) -> Result<(), TargetError> {
        self.store
            .ssh_acknowledge(connector, host, version, trusts)
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
                        trusts: host.trusts,
                        at: host.at,
                    },
                )
            })
            .collect())
    }
}
