//! The connector as a [`Provider`]: which part of Azure a spec is about, and a bound on every call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daypass_core::deed::Telling;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};

use super::client::{Api, Client};
use super::config::{Connector, Via};
use super::group::Membership;
use super::ids::text;
use super::ports::Opening;
use super::role::Assignment;
use super::survey_roles::UNLICENSED;
use super::{GROUP, ROLE, VM};
use crate::inventory::{Cursor, Page};
use crate::within::within;
use crate::{Capabilities, Credential, Error, Inspection, Limit, Listed, Notebook, Progress, Provider};

/// After so long every call has returned. Several calls to ARM make one of ours, and the list of a large tenant has many pages.
const CEILING: Span = Span::minutes(2);

/// How long what was changed may take to show when it is read back. ARM and Graph answer from copies; Microsoft promises no number for
/// that. (That a role *takes effect* may take ten minutes, "Troubleshoot Azure RBAC": what is confirmed is what ARM says.)
const PROPAGATION: Span = Span::minutes(1);

/// A tenant, reached as one identity.
pub(super) struct Connected {
    /// How it is reached.
    pub(super) client: Client,
    /// Who made a thing: this installation by this connector, as marks have it.
    pub(super) asker: String,
    /// What policy says of the connector.
    pub(super) connector: Connector,
    /// Where it is noted whom we put into groups.
    pub(super) notebook: Option<Arc<dyn Notebook>>,
    /// Held while a rule is changed: Azure refuses a second change of a group.
    pub(super) changes: tokio::sync::Mutex<()>,
    /// Held while it is decided by what means a port is opened: a request to Defender would end another one for the same port.
    pub(super) deciding: tokio::sync::Mutex<()>,
}

/// What a spec is about.
enum Thing {
    Role(Assignment),
    Pim(Assignment),
    Group(Membership),
    GroupPim(Membership),
    Rules(Opening),
    Jit(Opening),
}

impl Thing {
    fn read(spec: &Spec) -> Result<Self, Error> {
        match spec.kind.as_str() {
            ROLE => Assignment::read(spec).map(|wanted| match wanted.pim {
                true => Self::Pim(wanted),
                false => Self::Role(wanted),
            }),
            GROUP => Membership::read(spec).map(|wanted| match wanted.pim {
                true => Self::GroupPim(wanted),
                false => Self::Group(wanted),
            }),
            VM => Opening::read(spec).map(|wanted| match wanted.vms.via {
                Via::Nsg => Self::Rules(wanted),
                Via::Jit => Self::Jit(wanted),
            }),
            other => Err(Error::new(
                Fault::Misconfigured,
                format!("a resource of kind {other} is not reached through a connector of kind azure"),
            )),
        }
    }
}

/// What an inspection shows of something that leaves nothing behind.
pub(super) fn seen(there: bool, until: Option<Timestamp>) -> Inspection {
    let residue = Vec::new();
    match there {
        true => Inspection::Present { until, residue },
        false => Inspection::Absent { residue },
    }
}

impl Connected {
    /// The subscriptions that this identity sees, as `/subscriptions/GUID`.
    pub(super) async fn subscriptions(&self) -> Result<Vec<String>, Error> {
        let doing = "reading the subscriptions";
        let all = self
            .client
            .list(Api::Arm, "/subscriptions?api-version=2022-12-01", doing)
            .await?;
        let mut ids: Vec<_> = all
            .iter()
            .map(|one| {
                format!(
                    "/subscriptions/{}",
                    text(one, "/subscriptionId").to_ascii_lowercase()
                )
            })
            .filter(|id| super::scope::is_scope(id))
            .collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        // What was sent shortly before may still take effect within the ceiling.
        let limit = CEILING.to_std().saturating_sub(Duration::from_secs(10));
        within(limit, "Azure", call).await
    }

    /// Removes whatever bears this key, wherever it is.
    async fn remove_unknown(&self, key: &str) -> Result<Progress, Error> {
        let mut progress = Progress::Done;
        for part in parts(key) {
            let done = match part {
                Part::Roles => self.unassign(key, None).await?,
                Part::Rules => self.close(key, None).await?,
                Part::Groups => self.remove_member(key).await?,
                Part::Pim => self.unschedule(key, None).await?,
                Part::Jit => self.end_jit(key, None).await?,
                Part::GroupPim => self.unschedule_member(key, None).await?,
            };
            if done != Progress::Done {
                progress = done;
            }
        }
        Ok(progress)
    }

    /// Looks for whatever bears this key, wherever it is.
    async fn look_unknown(&self, key: &str) -> Result<Inspection, Error> {
        for part in parts(key) {
            let seen = match part {
                Part::Roles => self.is_assigned(key, None).await?,
                Part::Rules => self.is_ruled(key, None).await?,
                Part::Groups => self.is_member(key).await?,
                Part::Pim => self.is_scheduled(key, None).await?,
                Part::Jit => self.is_jit(key, None).await?,
                Part::GroupPim => self.is_scheduled_member(key, None).await?,
            };
            if !matches!(seen, Inspection::Absent { .. }) {
                return Ok(seen);
            }
        }
        Ok(seen(false, None))
    }
}

/// A part of Azure in which something may bear a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Roles,
    Rules,
    Groups,
    Pim,
    GroupPim,
    Jit,
}

/// Where a key may be: our own keys say it.
fn parts(key: &str) -> &'static [Part] {
    match key.split_once('-').map(|(kind, _)| kind) {
        Some("role") => &[Part::Roles],
        Some("ports") => &[Part::Rules],
        Some("group") => &[Part::Groups],
        Some("pim") => &[Part::Pim],
        Some("jit") => &[Part::Jit],
        Some("grouppim") => &[Part::GroupPim],
        _ => &[
            Part::Roles,
            Part::Rules,
            Part::Groups,
            Part::Pim,
            Part::GroupPim,
            Part::Jit,
        ],
    }
}

/// What was listed; nothing where this identity may not read it, for then it may not write it either. (Access that it was given while
/// it could is looked at one by one, by the ledger, and told as out of reach.)
fn if_allowed<T: Default>(listed: Result<T, Error>) -> Result<T, Error> {
    match listed {
        Err(error) if error.fault == Fault::Denied => Ok(T::default()),
        // A tenant without PIM has nothing of ours in it, and all else is to be found all the same.
        Err(error) if error.detail.contains(UNLICENSED) => Ok(T::default()),
        listed => listed,
    }
}

#[async_trait]
impl Provider for Connected {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // What PIM gives ends by itself; what it is not asked for does not, and a connector has one word for both.
            own_expiry: false,
            credential: false,
            shared: true,
            propagation: PROPAGATION,
            ceiling: CEILING,
        }
    }

    async fn provision(
        &self,
        key: &str,
        spec: &Spec,
        holder: &str,
        until: Timestamp,
    ) -> Result<Progress, Error> {
        let thing = Thing::read(spec)?;
        self.bounded(async {
            match &thing {
                Thing::Role(wanted) => self.assign(key, wanted, holder).await,
                Thing::Pim(wanted) => self.schedule(key, wanted, holder, until, spec).await,
                Thing::Group(wanted) => self.add_member(key, wanted).await,
                Thing::GroupPim(wanted) => self.schedule_member(key, wanted, holder, until, spec).await,
                Thing::Rules(wanted) => self.open(key, wanted, holder).await,
                Thing::Jit(wanted) => self.initiate(key, wanted, holder, until).await,
            }
        })
        .await
    }

    async fn revoke(&self, key: &str, spec: Option<&Spec>) -> Result<Progress, Error> {
        // What cannot be read must not stand in the way of a removal: then all that bears the key goes.
        let thing = spec.and_then(|spec| Thing::read(spec).ok());
        self.bounded(async {
            match &thing {
                Some(Thing::Role(wanted)) => self.unassign(key, Some(wanted)).await,
                Some(Thing::Pim(wanted)) => self.unschedule(key, Some(wanted)).await,
                Some(Thing::Group(_)) => self.remove_member(key).await,
                Some(Thing::GroupPim(wanted)) => self.unschedule_member(key, Some(wanted)).await,
                Some(Thing::Rules(wanted)) => self.close(key, Some(wanted)).await,
                Some(Thing::Jit(wanted)) => self.end_jit(key, Some(wanted)).await,
                None => self.remove_unknown(key).await,
            }
        })
        .await
    }

    async fn inspect(&self, key: &str, spec: Option<&Spec>) -> Result<Inspection, Error> {
        let thing = spec.and_then(|spec| Thing::read(spec).ok());
        self.bounded(async {
            match &thing {
                Some(Thing::Role(wanted)) => self.is_assigned(key, Some(wanted)).await,
                Some(Thing::Pim(wanted)) => self.is_scheduled(key, Some(wanted)).await,
                Some(Thing::Group(_)) => self.is_member(key).await,
                Some(Thing::GroupPim(wanted)) => self.is_scheduled_member(key, Some(wanted)).await,
                Some(Thing::Rules(wanted)) => self.is_ruled(key, Some(wanted)).await,
                Some(Thing::Jit(wanted)) => self.is_jit(key, Some(wanted)).await,
                None => self.look_unknown(key).await,
            }
        })
        .await
    }

    fn tells_deeds(&self) -> Option<Span> {
        self.connector.activity_log.then_some(super::activity::LATE)
    }

    async fn deeds(&self, _key: &str, spec: &Spec, from: Timestamp, to: Timestamp) -> Result<Telling, Error> {
        match Thing::read(spec)? {
            Thing::Role(wanted) | Thing::Pim(wanted) => self.bounded(self.done(&wanted, from, to)).await,
            // An address and a group are nobody whom the log names.
            _ => Ok(Telling::default()),
        }
    }

    async fn list_managed(&self) -> Result<Listed, Error> {
        self.bounded(async {
            let mut listed = Listed::new();
            for key in if_allowed(self.assigned().await)? {
                listed.insert(key, Limit::Told(None));
            }
            for key in if_allowed(self.ruled().await)? {
                listed.insert(key, Limit::Told(None));
            }
            for key in if_allowed(self.members_noted().await)? {
                listed.insert(key, Limit::Told(None));
            }
            let scheduled = if_allowed(self.scheduled().await)?;
            for (key, until) in scheduled
                .into_iter()
                .chain(if_allowed(self.scheduled_members().await)?)
            {
                listed.insert(key, Limit::Told(until));
            }
            for (key, until) in if_allowed(self.jitted().await)? {
                listed.insert(key, Limit::Told(until));
            }
            Ok(listed)
        })
        .await
    }

    async fn credential(&self, _key: &str, _spec: &Spec) -> Result<Credential, Error> {
        let what = "Azure has no credentials to hand out: people log in to it as themselves";
        Err(Error::new(Fault::Misconfigured, what))
    }

    async fn rotate_admin(&self) -> Result<(), Error> {
        let what = "Daypass does not change its own identity at Entra; replace its certificate there, and the file that \
                    server.yaml names";
        Err(Error::new(Fault::Misconfigured, what))
    }

    async fn survey(&self, from: Option<Cursor>) -> Result<Option<Page>, Error> {
        let page = self.bounded(self.survey_page(from.as_ref())).await?;
        Ok(Some(page))
    }

    async fn probe(&self) -> Result<(), Error> {
        self.bounded(self.examine()).await
    }
}
