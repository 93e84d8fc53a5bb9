//! A program of the operator's own: asked in JSON on its standard input, answering in JSON on its standard output.
//!
//! Users' page: `docs/providers/command.md`. Where to read:
//!
//! | file | what |
//! | --- | --- |
//! | `config`, `keys` | what policy writes, and how keys and logins are spelled for programs |
//! | `program` | what `server.yaml` says of a program, and whether its file is safe to run |
//! | `message` | the contract: what is asked, what may be answered |
//! | `run`, `tail` | one process, from its start to its certain end |
//! | `answer` | from output and exit code to an answer or a fault |
//! | `redact` | no secret in what is shown |
//! | `provider` | the verbs |
//!
//! Policy names a program and never says what one is: whoever may edit policy could otherwise run what they like on the
//! server. There is no shell anywhere.

mod answer;
mod config;
pub(crate) mod keys;
mod message;
mod program;
mod provider;
mod redact;
mod run;
mod tail;

use std::collections::BTreeSet;
use std::sync::Arc;

use daypass_core::id::GrantId;
use daypass_core::name::Name;
use serde_json::Value;

use crate::config::unknown;
use crate::{ConfigProblem, Error, Kind, Placed, Provider, SecretUse, Secrets};

pub use program::Program;

/// The kind `command`.
#[derive(Debug, Clone, Copy)]
pub struct Command;

impl Kind for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Connector::read(config).map(drop)
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::resource(config).map(drop)
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        config::Role::read(config).map(drop)
    }

    /// None: which secrets a program gets is said in `server.yaml`, and no policy has a say in it.
    fn secrets(&self, _connector: &Value) -> Vec<SecretUse> {
        Vec::new()
    }

    fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, _role: &Value) -> String {
        keys::of_grant(grant, index)
    }

    fn key(&self, placed: &Placed<'_>) -> String {
        keys::of(placed)
    }

    fn check_allowed(&self, connector: &Value, operator: &dyn Secrets) -> Result<(), Vec<ConfigProblem>> {
        let connector = config::Connector::read(connector)?;
        if operator.program(&connector.program).is_some() {
            return Ok(());
        }
        let known = operator.programs();
        let message = if known.is_empty() {
            "server.yaml names no programs; the operator adds this one under programs".to_owned()
        } else {
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            format!(
                "{} (server.yaml says which there are)",
                unknown("program", &connector.program, &known)
            )
        };
        Err(vec![ConfigProblem {
            pointer: "/program".to_owned(),
            message,
        }])
    }

    fn reaches(&self, connector: &Value) -> BTreeSet<String> {
        let read = config::Connector::read(connector).into_iter();
        // What the settings mean only the program knows; others may mean another target.
        read.map(|read| format!("{} {}", read.program, read.settings))
            .collect()
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
        Ok(Arc::new(provider::Connected::new(
            connector,
            secrets,
            keys::asker(installation, name)?,
        )))
    }
}
