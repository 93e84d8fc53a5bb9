//! Where connectors note what they made at targets that bear no mark: in the store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_providers::{Error as TargetError, Notebook};
use daypass_store::{Error as StoreError, Store};

/// The notebook over a store.
pub(crate) struct Notes {
    pub(crate) store: Store,
}

fn failed(error: &StoreError) -> TargetError {
    tracing::warn!(%error, "a note of a connector could not be read or kept");
    TargetError::new(Fault::Unavailable, "the server's store does not answer")
}

#[async_trait]
impl Notebook for Notes {
    async fn notes(&self, prefix: &str) -> Result<BTreeMap<String, String>, TargetError> {
        self.store.notes(prefix).await.map_err(|error| failed(&error))
    }

    async fn write(&self, name: &str, text: &str) -> Result<(), TargetError> {
        self.store
            .write_note(name, text)
            .await
            .map_err(|error| failed(&error))
    }

    async fn strike(&self, name: &str) -> Result<(), TargetError> {
        self.store.strike_note(name).await.map_err(|error| failed(&error))
    }
}
