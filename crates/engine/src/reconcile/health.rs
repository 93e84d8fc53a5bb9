//! How each connector fares: its last success, its last failure. For people and metrics; no decision reads it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use daypass_core::time::Timestamp;

/// One connector's last outcomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectorHealth {
    /// The last provisioning that was seen at the target.
    pub provisioned_at: Option<Timestamp>,
    /// The last removal that was seen at the target.
    pub revoked_at: Option<Timestamp>,
    /// When it was last asked what is there.
    pub swept_at: Option<Timestamp>,
    /// The failure since the last success, if any: when, how, and what the provider said.
    pub failing: Option<(Timestamp, Fault, String)>,
    /// How many calls failed since the start, by what was attempted.
    pub failures: BTreeMap<&'static str, u64>,
}

/// The health of all connectors.
#[derive(Debug, Default)]
pub struct Health {
    by_connector: Mutex<BTreeMap<Name, ConnectorHealth>>,
}

impl Health {
    /// A copy of what is known now.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<Name, ConnectorHealth> {
        self.by_connector
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, connector: &Name, change: impl FnOnce(&mut ConnectorHealth)) {
        let mut all = self.by_connector.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(connector.clone()).or_default());
    }

    pub(super) fn succeeded(&self, connector: &Name, doing: &str, now: Timestamp) {
        self.change(connector, |health| {
            health.failing = None;
            if doing == super::calls::PROVISION {
                health.provisioned_at = Some(now);
            } else {
                health.revoked_at = Some(now);
            }
        });
    }

    pub(super) fn failed(
        &self,
        connector: &Name,
        doing: &'static str,
        error: &daypass_providers::Error,
        now: Timestamp,
    ) {
        self.change(connector, |health| {
            let since = health.failing.as_ref().map_or(now, |(since, _, _)| *since);
            health.failing = Some((since, error.fault, error.detail.clone()));
            *health.failures.entry(doing).or_default() += 1;
        });
    }

    pub(super) fn swept(&self, connector: &Name, now: Timestamp, error: Option<&daypass_providers::Error>) {
        match error {
            Some(error) => self.failed(connector, "sweep", error, now),
            None => self.change(connector, |health| {
                health.swept_at = Some(now);
                health.failing = None;
            }),
        }
    }
}
