//! The provider: what may be issued, and what of it can still be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};

use super::certifier::Certifier;
use super::config::{Connector, Resource, Role};
use super::no_register;
use super::register::{Register, Standing};
use crate::config::misconfigured;
use crate::{Capabilities, Credential, Error, Inspection, Limit, Listed, Progress, Provider};

/// How far a host's clock may be behind ours: for so long after its end a certificate counts as usable.
pub(super) const CLOCK_SKEW: Span = Span::seconds(30);

/// How soon to look again whether the hosts have the list.
const LOOK_AGAIN: Span = Span::seconds(1);

pub(super) struct Connected {
    pub(super) connector: String,
    pub(super) config: Connector,
    pub(super) register: Option<Arc<dyn Register>>,
}

impl Connected {
    pub(super) fn register(&self) -> Result<&dyn Register, Error> {
        self.register.as_deref().ok_or_else(no_register)
    }

    /// Why no host takes a certificate of this key any more; `None` where one may.
    async fn shown_gone(
        &self,
        standing: Standing,
        last: Timestamp,
        clock: Timestamp,
        spec: Option<&Spec>,
    ) -> Result<Option<String>, Error> {
        if clock >= last + CLOCK_SKEW {
            return Ok(Some(format!(
                "the last certificate ran out at {last}, and {CLOCK_SKEW} more passed"
            )));
        }
        let Some(spec) = spec else {
            return Ok(None);
        };
        let Ok(resource) = Resource::read(&spec.resource) else {
            return Ok(None);
        };
        // The hosts of the time when it was granted, and those that came to the resource since: each lets in.
        let named = resource.hosts.into_iter().map(|host| host.name);
        let mut hosts: BTreeSet<String> = named.collect();
        let item = spec.item.resource.as_str();
        hosts.extend(self.register()?.given(&self.connector, item).await?);
        let acknowledged = self.register()?.acknowledged(&self.connector).await?;
        let has = |name: &str| {
            acknowledged
                .get(name)
                .is_some_and(|has| has.version >= standing.revoked_in)
        };
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        let all = !hosts.is_empty() && hosts.iter().all(|host| has(host));
        Ok(all.then(|| {
            let version = standing.revoked_in;
            format!(
                "{} acknowledged version {version} of the revocation list",
                hosts.join(", ")
            )
        }))
    }
}

#[async_trait]
impl Provider for Connected {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            own_expiry: true,
            credential: false,
            shared: false,
            propagation: Span::ZERO,
            ceiling: Span::seconds(30),
        }
    }

    async fn provision(
        &self,
        key: &str,
        spec: &Spec,
        _holder: &str,
        until: Timestamp,
    ) -> Result<Progress, Error> {
        Resource::read(&spec.resource).map_err(|found| misconfigured("resource", &found))?;
        Role::read(&spec.role).map_err(|found| misconfigured("role", &found))?;
        // So that hosts can be set up, and a key that cannot be opened is known, before anybody needs a certificate.
        self.register()?.seed(&self.connector).await?;
        self.register()?.open(&self.connector, key, until).await?;
        Ok(Progress::Done)
    }

    async fn revoke(&self, key: &str, spec: Option<&Spec>) -> Result<Progress, Error> {
        let register = self.register()?;
        let standing = register.look(&self.connector, key).await?;
        if standing.is_some_and(|standing| standing.until.is_some()) {
            register.close(&self.connector, key).await?;
        }
        // On the list at once; not gone before hosts have the list, or time has passed.
        Ok(match self.inspect(key, spec).await? {
            Inspection::Present { .. } => Progress::Pending {
                poll_after: LOOK_AGAIN,
            },
            _ => Progress::Done,
        })
    }

    async fn inspect(&self, key: &str, spec: Option<&Spec>) -> Result<Inspection, Error> {
        let register = self.register()?;
        let Some(standing) = register.look(&self.connector, key).await? else {
            return Ok(Inspection::Absent { residue: Vec::new() });
        };
        if standing.until.is_some() {
            return Ok(Inspection::Present {
                until: standing.until,
                residue: Vec::new(),
            });
        }
        let Some(last) = standing.last_valid else {
            return Ok(Inspection::Absent { residue: Vec::new() });
        };
        let clock = register.told().await?.clock;
        Ok(match self.shown_gone(standing, last, clock, spec).await? {
            Some(shown_by) => Inspection::Gone { shown_by },
            None => Inspection::Present {
                until: Some(last),
                residue: Vec::new(),
            },
        })
    }

    /// A certificate's end is nobody's to change by hand.
    async fn list_managed(&self) -> Result<Listed, Error> {
        let keys = self.register()?.keys(&self.connector).await?;
        Ok(keys.into_iter().map(|key| (key, Limit::Untold)).collect())
    }

    async fn credential(&self, _key: &str, _spec: &Spec) -> Result<Credential, Error> {
        let what = "ssh has no credentials to hand out: the holder's own key is certified";
        Err(Error::new(Fault::Misconfigured, what))
    }

    fn certifier(&self) -> Option<&dyn Certifier> {
        Some(self)
    }

    async fn rotate_admin(&self) -> Result<(), Error> {
        let what =
            "ssh has no admin secret; the key of its authority is rotated in steps (docs/providers/ssh.md)";
        Err(Error::new(Fault::Misconfigured, what))
    }

    async fn probe(&self) -> Result<(), Error> {
        self.register()?.seed(&self.connector).await.map(drop)
    }
}
