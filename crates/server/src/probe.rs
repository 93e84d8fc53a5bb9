//! Whether connectors can do their work, asked just now and within bounds: one that hangs must not hide how the others are.

use std::time::Duration;

use daypass_core::entitlement::Fault;
use daypass_providers::{Error, Provider};

use crate::edge;

/// How long one connector may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks a connector whether it can do its work.
///
/// # Errors
/// Why it cannot, or that it has not answered within 20 s.
pub(crate) async fn probe(provider: &dyn Provider) -> Result<(), Error> {
    probe_within(LIMIT, provider).await
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
    use daypass_providers::{Capabilities, Credential, Inspection, Progress};

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

        async fn list_managed(&self) -> Result<Vec<String>, Error> {
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
