//! One database server as a [`Provider`]: each call within its time, the work in the file named after it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daypass_core::entitlement::Spec;
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use tokio::sync::Mutex;

use super::config::Connector;
use super::connection::{Door, For};
use super::{activity, credential, inspect, probe, provision, revoke, roles, rotate, survey};
use crate::inventory::{Cursor, Page};
use crate::within::within;
use crate::{
    Activity, Capabilities, Credential, Error, Inspection, Limit, Listed, Progress, Provider, Secrets,
};

/// How long a call may take, once it has a place among the others (ten seconds at most) …
const CALL: Duration = Duration::from_secs(20);

/// … and how long a removal may: it has the most to wait for.
const REMOVAL: Duration = Duration::from_secs(35);

/// A place, the longest call, and what its last statement may take at the server after we have gone.
const CEILING: Span = Span::seconds(60);

pub(super) struct Server {
    pub(super) door: Door,
    pub(super) installation: String,
    /// The connector's name.
    pub(super) connector: Name,
    /// Two rotations at once would each restore what the other replaced.
    pub(super) rotating: Mutex<()>,
}

impl Server {
    pub(super) fn new(
        connector: Name,
        config: Connector,
        secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Self {
        Self {
            door: Door::new(config, secrets),
            installation: installation.to_owned(),
            connector,
            rotating: Mutex::new(()),
        }
    }

    async fn call<T>(
        &self,
        whom: For,
        limit: Duration,
        doing: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _place = self.door.enter(whom).await?;
        within(limit, doing, work).await
    }
}

#[async_trait]
impl Provider for Server {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            own_expiry: true,
            credential: true,
            shared: false,
            propagation: Span::ZERO,
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
        self.call(
            For::Reconciler,
            CALL,
            "provisioning",
            provision::provision(self, key, spec, holder, until),
        )
        .await?;
        Ok(Progress::Done)
    }

    async fn revoke(&self, key: &str, spec: Option<&Spec>) -> Result<Progress, Error> {
        self.call(
            For::Reconciler,
            REMOVAL,
            "revoking",
            revoke::revoke(self, key, spec),
        )
        .await?;
        Ok(Progress::Done)
    }

    async fn inspect(&self, key: &str, spec: Option<&Spec>) -> Result<Inspection, Error> {
        self.call(
            For::Reconciler,
            CALL,
            "inspecting",
            inspect::inspect(self, key, spec),
        )
        .await
    }

    async fn activity(&self, key: &str, _spec: &Spec) -> Result<Option<Activity>, Error> {
        self.call(
            For::Reconciler,
            CALL,
            "looking at sessions",
            activity::activity(self, key),
        )
        .await
        .map(Some)
    }

    async fn list_managed(&self) -> Result<Listed, Error> {
        let list = async {
            let session = self.door.connect(&self.door.config().database).await?;
            let managed = roles::managed(&session, &self.installation).await?;
            let ours = managed
                .into_iter()
                .filter(|(marker, _)| marker.is_of(&self.connector));
            Ok(ours
                .map(|(marker, until)| (marker.key, Limit::Told(until)))
                .collect())
        };
        self.call(For::Reconciler, CALL, "listing", list).await
    }

    async fn credential(&self, key: &str, spec: &Spec) -> Result<Credential, Error> {
        self.call(
            For::Person,
            CALL,
            "setting a password",
            credential::credential(self, key, spec),
        )
        .await
    }

    async fn rotate_admin(&self) -> Result<(), Error> {
        self.call(
            For::Person,
            CALL,
            "rotating the admin password",
            rotate::rotate(self),
        )
        .await
    }

    async fn survey(&self, from: Option<Cursor>) -> Result<Option<Page>, Error> {
        // Among the calls that people ask for: a survey takes no place from what is given or taken away.
        self.call(For::Person, CALL, "surveying", survey::survey(self, from))
            .await
            .map(Some)
    }

    async fn probe(&self) -> Result<(), Error> {
        self.call(For::Person, CALL, "probing", probe::probe(self)).await
    }
}
