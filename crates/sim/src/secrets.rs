//! Secrets: simulated targets need none.

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_providers::{Error, Revealed, Secrets};
use secrecy::SecretString;

pub(crate) struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, Error> {
        Err(Error::new(Fault::Misconfigured, "no secrets here"))
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), Error> {
        Err(Error::new(Fault::Misconfigured, "no secrets here"))
    }
}
