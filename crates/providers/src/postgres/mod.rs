//! PostgreSQL: each item of a grant is a login role of its own, which exists for as long as the access does.
//!
//! Users' page: `docs/providers/postgres.md`. Where to read:
//!
//! | file | what |
//! | --- | --- |
//! | `config`, `grants` | what policy writes |
//! | `names` | the role of a key, and the comment that marks it as ours |
//! | `quote` | how a name becomes part of a statement: only there |
//! | `connection`, `tls`, `fault` | connections as the admin, and what errors mean |
//! | `provision`, `credential` | the beginning |
//! | `effect` | the beginning, told before it is |
//! | `revoke`: `lockout`, then `cleanup` | the end |
//! | `inspect`, `activity`, `roles`, `privileges` | reading |
//! | `survey`, `people` | what stands there without Daypass |
//! | `rotate`, `probe` | the admin role itself |
//!
//! What decides the end, in one place: a role with login, or a session whose user number is the role's, is access. A
//! session is found by number, never by name: `DROP ROLE` of a connected role succeeds, and its session lives on.

mod activity;
mod cleanup;
mod config;
mod connection;
mod credential;
mod effect;
mod fault;
mod grants;
mod inspect;
mod lockout;
mod names;
mod people;
mod privileges;
mod probe;
mod provision;
mod quote;
mod revoke;
mod roles;
mod rotate;
mod server;
mod survey;
mod tls;

use std::sync::Arc;

use daypass_core::id::GrantId;
use daypass_core::name::Name;
use serde_json::Value;

use crate::inventory::Fit;
use crate::{ConfigProblem, Error, Kind, Placed, Provider, SecretUse, Secrets};

/// The kind `postgres`.
#[derive(Debug, Clone, Copy)]
pub struct Postgres;

impl Kind for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Connector::read(config).map(drop)
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Resource::read(config).map(drop)
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Role::read(config).map(drop)
    }

    fn secrets(&self, connector: &Value) -> Vec<SecretUse> {
        let read = config::Connector::read(connector).into_iter();
        read.map(|read| SecretUse {
            name: read.secret,
            host: read.host,
            port: read.port,
        })
        .collect()
    }

    fn tells_sessions(&self) -> bool {
        true
    }

    fn is_place(&self, resource: &Value, offered: &Value) -> bool {
        let database = |config| config::Resource::read(config).ok().map(|read| read.database);
        database(resource).is_some_and(|named| database(offered) == Some(named))
    }

    fn fits(&self, role: &Value, offered: &Value) -> Option<Fit> {
        survey::fits(
            &config::Role::read(role).ok()?,
            &config::Role::read(offered).ok()?,
        )
    }

    fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, _role: &Value) -> String {
        names::target_key(grant, index)
    }

    fn effect(&self, placed: &Placed<'_>) -> Vec<String> {
        let read = config::Resource::read(placed.resource).ok();
        let read = read.zip(config::Role::read(placed.role).ok());
        let told = read.and_then(|(resource, role)| effect::effect(&self.key(placed), &resource, &role).ok());
        told.unwrap_or_default()
    }

    fn connect(
        &self,
        name: &Name,
        config: &Value,
        secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        let connector = config::Connector::read(config)
            .map_err(|problems| crate::config::misconfigured("connector", &problems))?;
        Ok(Arc::new(server::Server::new(
            name.clone(),
            connector,
            secrets,
            installation,
        )))
    }
}
