//! The kind `ssh`: a certificate authority for each connector, which signs a holder's own key for a few minutes at a time.
//!
//! Nothing is called at a host. A host trusts the authority; it takes a certificate until it runs out, or until it has a list
//! of the revoked that names it. So "the target is read" is here: what was issued (see [`Register`]), what has run out, and
//! what the hosts acknowledged to have in place.
//!
//! A host of a connector trusts the authority for everything that it signs. So a certificate does not say `deploy` but
//! `deploy@web-1` (the user, then the resource), and a host takes only what names its own resource.

mod authority;
mod certifier;
mod config;
mod key;
mod krl;
mod presented;
mod provider;
mod register;
mod rotation;
#[cfg(test)]
mod tests;
mod through;
mod wire;

use std::sync::Arc;

use daypass_core::entitlement::Fault;
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use serde_json::Value;

pub use certifier::{Ask, Certifier, Draft, Issued, Krl, Opens};
pub use key::own_key;
pub use presented::{Presented, Shown};
pub use register::{Acknowledged, End, LISTED_PAST_END, MOST_VALID, Register, Revoked, Standing, Told};
pub use rotation::{Fingerprints, Made, Old, Publics, Rotate, Trusted};
pub use through::{Allow, NoWay, Place, Way};

use crate::{ConfigProblem, Error, Kind, Placed, Provider, SecretUse, Secrets};

/// The kind `ssh`.
pub struct Ssh;

impl Kind for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Connector::read(config).map(|_| ())
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Resource::read(config).map(|_| ())
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Role::read(config).map(|_| ())
    }

    fn effect(&self, placed: &Placed<'_>) -> Vec<String> {
        let resource = config::Resource::read(placed.resource).ok();
        let read = resource.zip(config::Role::read(placed.role).ok());
        let Some((resource, role)) = read else {
            return Vec::new();
        };
        let mut lines: Vec<String> = resource
            .hosts
            .iter()
            .map(|host| format!("login as {} on {}", role.users.join(", "), host.name))
            .collect();
        lines.extend(
            role.force_command
                .map(|command| format!("force-command {command}")),
        );
        if !role.source_address.is_empty() {
            lines.push(format!("source-address {}", role.source_address.join(",")));
        }
        lines.extend(role.extensions);
        lines
    }

    fn check_resource_access(&self, gateway: bool, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        through::check_resource(gateway, config)
    }

    fn check_role_access(&self, gateway: bool, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        through::check_role(gateway, config)
    }

    fn check_together(&self, resources: &[(&str, &Value)]) -> Vec<(usize, ConfigProblem)> {
        config::accounts(resources)
    }

    fn secrets(&self, _connector: &Value) -> Vec<SecretUse> {
        Vec::new()
    }

    fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, _role: &Value) -> String {
        format!("{grant}_{index}").to_ascii_lowercase()
    }

    fn check_allowed(&self, _connector: &Value, operator: &dyn Secrets) -> Result<(), Vec<ConfigProblem>> {
        if operator.register().is_some() {
            return Ok(());
        }
        Err(vec![ConfigProblem {
            pointer: String::new(),
            message: NO_KEY.to_owned(),
        }])
    }

    fn connect(
        &self,
        connector: &Name,
        config: &Value,
        secrets: Arc<dyn Secrets>,
        _installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        let config = config::Connector::read(config)
            .map_err(|found| crate::config::misconfigured("connector", &found))?;
        let register = secrets.register();
        Ok(Arc::new(provider::Connected {
            connector: connector.to_string(),
            config,
            register,
        }))
    }
}

const NO_KEY: &str = "a connector of kind ssh keeps the key of its authority sealed, and server.yaml names no sealing_key; \
                      write one (head -c 32 /dev/urandom | base64 > secrets/sealing-key; chmod 600) and name it: \
                      sealing_key: {file: secrets/sealing-key}";

fn no_register() -> Error {
    Error::new(Fault::Misconfigured, NO_KEY)
}
