//! Whether connectors can do their work, asked within bounds: one that hangs must not hide how the others are, and whoever asks
//! often does not keep a target busy. Each connector is asked once at a time, and its answer is everybody's for some seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use daypass_providers::{Error, Provider};
use tokio::sync::Mutex as Turn;

use crate::edge;

/// How long one connector may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// How long an answer is everybody's.
const FRESH: Duration = Duration::from_secs(5);

/// What connectors answered lately.
#[derive(Default)]
pub(crate) struct Probes(Mutex<HashMap<Name, Arc<Turn<Option<Answered>>>>>);

struct Answered {
    /// Which provider that was: another policy may give the name another one.
    by: Weak<dyn Provider>,
    at: Instant,
    outcome: Result<(), Error>,
}

impl Probes {
    /// Whether a connector can do its work, as it says now or said some seconds ago.
    ///
    /// # Errors
    /// Why it cannot, or that it has not answered within 20 s.
    pub(crate) async fn ask(&self, name: &Name, provider: &Arc<dyn Provider>) -> Result<(), Error> {
        let turn = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(name.clone()).or_default())
        };
        let mut last = turn.lock().await;
        let same = |by: &Weak<dyn Provider>| std::ptr::addr_eq(by.as_ptr(), Arc::as_ptr(provider));
        if let Some(last) = last.as_ref()
            && same(&last.by)
            && edge::instant().saturating_duration_since(last.at) < FRESH
        {
            return last.outcome.clone();
        }
        let outcome = probe_within(LIMIT, provider.as_ref()).await;
        *last = Some(Answered {
            by: Arc::downgrade(provider),
            at: edge::instant(),
            outcome: outcome.clone(),
        });
        outcome
    }
}

async fn probe_within(limit: Duration, provider: &dyn Provider) -> Result<(), Error> {
    match edge::within(limit, provider.probe()).await {
        Ok(probed) => probed,
        Err(late) => Err(Error::new(Fault::Unavailable, format!("probing: {late}"))),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use daypass_core::entitlement::Spec;
    use daypass_core::time::{Span, Timestamp};
    use daypass_providers::{Capabilities, Credential, Inspection, Listed, Progress};

    use super::*;

    /// One that never answers.
    struct Hangs;

    #[async_trait]
    impl Provider for Hangs {
        fn capabilities(&self) -> Capabilities {
            Capabilities {
                own_expiry: false,
                credential: false,
                shared: false,
                propagation: Span::ZERO,
                ceiling: Span::ZERO,
            }
        }

        async fn provision(&self, _: &str, _: &Spec, _: &str, _: Timestamp) -> Result<Progress, Error> {
            std::future::pending().await
        }

        async fn revoke(&self, _: &str, _: Option<&Spec>) -> Result<Progress, Error> {
            std::future::pending().await
        }

        async fn inspect(&self, _: &str, _: Option<&Spec>) -> Result<Inspection, Error> {
            std::future::pending().await
        }

        async fn list_managed(&self) -> Result<Listed, Error> {
            std::future::pending().await
        }

        async fn credential(&self, _: &str, _: &Spec) -> Result<Credential, Error> {
            std::future::pending().await
        }

        async fn rotate_admin(&self) -> Result<(), Error> {
            std::future::pending().await
        }

        async fn probe(&self) -> Result<(), Error> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn one_that_hangs_is_told_as_failing() {
        let failed = probe_within(Duration::from_millis(20), &Hangs).await.unwrap_err();
        assert_eq!(failed.fault, Fault::Unavailable);
        assert!(failed.detail.contains("no answer within 20ms"), "{failed}");
    }
}
