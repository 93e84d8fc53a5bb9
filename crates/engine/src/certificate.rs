//! Certificates for a holder's own key, and what the hosts that take them are to have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daypass_core::entitlement::Fault;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{self, Certificate, Grant};
use daypass_core::id::GrantId;
use daypass_core::name::{Item, Name};
use daypass_core::refusal::{Code, Refusal};
use daypass_providers::Provider;
use daypass_providers::ssh::{Ask, Certifier, Draft, Issued, Krl, Opens};
use daypass_store::{Outcome, Scope};

use crate::access::{held, one_item};
use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::passage::{goes_through, part};
use crate::reveal::may_reveal;
use crate::services::may_use;

/// What a host is to have in place.
#[derive(Debug, Clone)]
pub struct HostFiles {
    /// The lines for `TrustedUserCAKeys`, the key that signs first; none where the authority's key cannot be opened: then what a host
    /// has is left as it is.
    pub authorities: Vec<String>,
    /// The list of the revoked.
    pub krl: Krl,
    /// For each user of the host, the principals that open it.
    pub principals: BTreeMap<String, BTreeSet<String>>,
}

/// How what a certificate opens is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Past any gateway; and whether what is done under the grant is to be recorded, which nobody does there.
    Directly { recorded: bool },
    /// Through one, and not otherwise.
    Gateway,
}

impl Reached {
    /// Whether the policy in force has it so.
    fn allows(self, current: &Current, item: &Item) -> Result<(), Refusal> {
        match self {
            Self::Directly { recorded } => may_reveal(current, item, recorded),
            Self::Gateway => goes_through(current, item),
        }
    }
}

impl Engine {
    /// A certificate for the holder's own key, for one item of an active grant, valid for a few minutes and never beyond the
    /// grant's deadline. The log has its serial before it is signed.
    ///
    /// # Errors
    /// Where somebody else asks, the access is not there, the key is not one to certify, or the store does not answer.
    pub async fn certificate(
        &self,
        caller: Caller,
        id: GrantId,
        item: Option<Item>,
        public_key: &str,
    ) -> Result<(Item, Draft, Issued), Error> {
        let (grant, item) = self.own(caller, id, item).await?;
        let recorded = self.is_to_be_recorded(id).await?;
        let what = (public_key, Opens::Hosts, Reached::Directly { recorded });
        self.certify(caller, &grant, &item, what).await
    }

    /// A grant that is the caller's own and active, and the item of it that is meant. It is decided again where it is recorded.
    pub(crate) async fn own(
        &self,
        caller: Caller,
        id: GrantId,
        item: Option<Item>,
    ) -> Result<(Grant, Item), Error> {
        let now = self.store().now().await?;
        let found = self.store().grant(id).await?;
        let grant = found.ok_or_else(|| not_found(format!("there is no grant {}", id.short())))?;
        let item = one_item(&grant, item)?;
        // Ownership first: who is not the holder learns nothing.
        grant.issue_credential(caller.person, &item, now)?;
        Ok((grant, item))
    }

    /// A certificate for this key that opens this, written down before it is signed.
    pub(crate) async fn certify(
        &self,
        caller: Caller,
        grant: &Grant,
        item: &Item,
        (public_key, opens, reached): (&str, Opens<'_>, Reached),
    ) -> Result<(Item, Draft, Issued), Error> {
        let current = self.current();
        let part = part(grant, item)?;
        reached.allows(&current, item)?;
        let provider = current.connectors.get(&part.target.connector).map(Arc::clone);
        let provider =
            provider.ok_or_else(|| not_found(format!("the connector {} is gone", part.target.connector)))?;
        let certifier = provider.certifier().ok_or_else(|| {
            Refusal::new(Code::Invalid, format!("{item} is not reached with a certificate"))
                .hint(format!("daypass connect {item}"))
        })?;
        certifier.check_key(public_key).map_err(|what| {
            Refusal::new(Code::Invalid, what)
                .hint("ssh-keygen -t ed25519 makes one; daypass ssh does it for you")
        })?;
        let until = grant
            .expires_at()
            .ok_or_else(|| Refusal::new(Code::NotActive, "the access is not there yet"))?;
        let kind = match opens {
            Opens::Hosts => "",
            Opens::Gateway(_) => " (gateway)",
            Opens::Session(_) => " (session)",
        };
        let holder = current.directory.login(grant.holder);
        let key_id = format!("{} {holder} {item}{kind}", grant.id.short());
        let ask = Ask {
            public_key,
            key_id: &key_id,
            until,
            opens,
        };
        let draft = certifier.draft(&part.target.key, &part.spec, &ask).await;
        let draft = draft.map_err(at_most_so_many)?;
        self.note(caller, (grant, reached), item, &draft).await?;
        let issued = certifier.sign(&draft).await?;
        Ok((item.clone(), draft, issued))
    }

    /// Writes down what is about to be signed, if the grant is still there and the policy in force lets it be handed out.
    async fn note(
        &self,
        caller: Caller,
        (of, reached): (&Grant, Reached),
        item: &Item,
        draft: &Draft,
    ) -> Result<(), Error> {
        let (id, behind) = (of.id, self.behind(of.id, of.holder).await?);
        let (item, signed) = (
            item.clone(),
            Certificate {
                serial: draft.serial,
                key: draft.fingerprint.clone(),
                principals: draft.principals.clone(),
                valid_after: draft.valid_after,
                valid_before: draft.valid_before,
            },
        );
        let noted = self.decide(Scope::Grant(id), move |current, world, now| {
            let grant = held(world, id)?;
            let event = grant.issue_credential(caller.person, &item, now)?;
            may_use(current, world, grant, &behind)?;
            reached.allows(current, &item)?;
            let event = match event {
                grant::Event::CredentialIssued { item, .. } => grant::Event::CredentialIssued {
                    item,
                    certificate: Some(Box::new(signed)),
                },
                other => other,
            };
            Ok(Outcome::one(
                Actor::Person(caller.person),
                Subject::Grant(id),
                What::Grant(event),
            ))
        });
        noted.await?;
        Ok(())
    }

    /// The lines for `TrustedUserCAKeys` of a connector, one for each key that hosts are to trust.
    ///
    /// # Errors
    /// Where it has no authority, or the store does not answer.
    pub async fn ssh_authority(&self, connector: &Name) -> Result<String, Error> {
        Ok(certifier(&self.ssh(connector)?, connector)?
            .authority()
            .await?
            .concat())
    }

    /// The list of the revoked of a connector.
    ///
    /// # Errors
    /// As [`ssh_authority`](Self::ssh_authority).
    pub async fn ssh_krl(&self, connector: &Name) -> Result<Krl, Error> {
        Ok(certifier(&self.ssh(connector)?, connector)?.krl().await?)
    }

    /// What a host is to have in place. Only the account that the policy names for the host is told.
    ///
    /// # Errors
    /// Where the caller does not speak for the host: as if it were not there.
    pub async fn ssh_host(&self, caller: Caller, connector: &Name, host: &str) -> Result<HostFiles, Error> {
        let provider = self.ssh(connector)?;
        let certifier = certifier(&provider, connector)?;
        let host = self.speaks_for(caller, (connector, certifier), host)?;
        let mut resources = BTreeSet::new();
        let mut principals: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let policy = self.current().policy;
        for resource in policy
            .resources()
            .iter()
            .filter(|resource| resource.connector == *connector)
        {
            if certifier.host(&resource.config, &host).is_none() {
                continue;
            }
            resources.insert(resource.name.to_string());
            for user in resource
                .roles
                .values()
                .flat_map(|role| certifier.users(&role.config))
            {
                let principal = certifier.principal(&user, resource.name.as_str());
                principals.entry(user).or_default().insert(principal);
            }
        }
        // Before it has them; and the list is read after that, so that it has whatever was revoked while nobody knew of it.
        certifier.give(&host, &resources).await?;
        // What is revoked must reach hosts also while nothing can be signed. An old store may name keys that were withdrawn since: a
        // host that is told none keeps those that it has.
        let authorities = match self.may_give() {
            Ok(()) => certifier.authority().await,
            Err(_) => Ok(Vec::new()),
        };
        Ok(HostFiles {
            authorities: authorities
                .inspect_err(|error| tracing::warn!(%error, "hosts are sent no authority"))
                .unwrap_or_default(),
            krl: certifier.krl().await?,
            principals,
        })
    }

    /// A host has this version of the list in place, and these lines for `TrustedUserCAKeys`.
    ///
    /// # Errors
    /// As [`ssh_host`](Self::ssh_host); also where there is no such version yet.
    pub async fn ssh_acknowledge(
        &self,
        caller: Caller,
        connector: &Name,
        host: &str,
        (version, authorities): (u64, &[String]),
    ) -> Result<(), Error> {
        let provider = self.ssh(connector)?;
        let certifier = certifier(&provider, connector)?;
        let host = self.speaks_for(caller, (connector, certifier), host)?;
        let kept = certifier.acknowledge(&host, version, authorities).await;
        kept.map_err(|error| {
            if error.fault != Fault::NotFound {
                return error.into();
            }
            let what = format!("there is no version {version} of the list yet");
            Refusal::new(Code::Invalid, what).into()
        })
    }

    pub(crate) fn ssh(&self, connector: &Name) -> Result<Arc<dyn Provider>, Refusal> {
        let current = self.current();
        current
            .connectors
            .get(connector)
            .map(Arc::clone)
            .ok_or_else(|| no_authority(connector))
    }

    /// Whether the policy in force names the caller's account for this host; the host as it is written there.
    fn speaks_for(
        &self,
        caller: Caller,
        (connector, certifier): (&Name, &dyn Certifier),
        host: &str,
    ) -> Result<String, Refusal> {
        let current = self.current();
        let login = current.directory.login(caller.person);
        let here = current
            .policy
            .resources()
            .iter()
            .filter(|resource| resource.connector == *connector);
        let mut named = here.filter_map(|resource| certifier.host(&resource.config, host));
        let found = named.find(|(_, account)| account.as_deref() == Some(login.as_str()));
        found.map(|(host, _)| host).ok_or_else(|| {
            not_found(format!(
                "{connector} has no host {host} that this account speaks for"
            ))
            .hint("the policy names it: resources: [{…, config: {host: …, account: …}}]")
        })
    }
}

pub(crate) fn certifier<'a>(
    provider: &'a Arc<dyn Provider>,
    connector: &Name,
) -> Result<&'a dyn Certifier, Refusal> {
    provider.certifier().ok_or_else(|| no_authority(connector))
}

fn at_most_so_many(error: daypass_providers::Error) -> Error {
    if error.fault != Fault::RateLimited {
        return error.into();
    }
    let hint = "use the one that you have; each lasts for minutes";
    Refusal::new(Code::TooManyOpen, error.detail).hint(hint).into()
}

fn no_authority(connector: &Name) -> Refusal {
    not_found(format!("there is no certificate authority {connector}"))
}
