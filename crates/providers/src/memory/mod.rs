//! A target that lives in this process: for the demo on a machine without PostgreSQL, and for tests.
//!
//! It is honest: it keeps limits, credentials, sessions and things that are not ours, and passes the conformance suite.
//! And it has switches to fail on purpose ([`Target::fail_next`], [`Target::set_down`]). It is not in [`crate::ALL`].

mod provider;
mod target;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use daypass_core::entitlement::Fault;
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use serde_json::Value;

use crate::config::{Object, Problems};
use crate::{ConfigProblem, Error, Kind, Provider, SecretUse, Secrets};

pub use target::{Op, Refused, SessionId, Target, Trouble};

/// The kind `memory`. A connector has no configuration (`{}`), a resource neither; a role says what it may do:
/// `{can: [read, write]}`.
#[derive(Default)]
pub struct Memory {
    targets: Mutex<BTreeMap<Name, Target>>,
}

impl Memory {
    /// A kind without any target yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The target behind a connector; it is there from the first time that anybody asks.
    #[must_use]
    pub fn target(&self, connector: &Name) -> Target {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.entry(connector.clone()).or_default().clone()
    }
}

impl Kind for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        empty(config)
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        empty(config)
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        abilities(config).map(|_| ())
    }

    fn secrets(&self, _connector: &Value) -> Vec<SecretUse> {
        Vec::new()
    }

    fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, _role: &Value) -> String {
        format!("{grant}_{index}").to_ascii_lowercase()
    }

    fn connect(
        &self,
        connector: &Name,
        config: &Value,
        _secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        empty(config).map_err(|problems| misconfigured(&problems))?;
        Ok(Arc::new(provider::Connected::new(
            self.target(connector),
            installation,
        )))
    }
}

fn empty(config: &Value) -> Result<(), Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    if !config.is_null() {
        Object::read(config, "", &[], &mut problems);
    }
    problems.finish(Some(()))
}

/// What a role may do.
fn abilities(config: &Value) -> Result<Vec<String>, Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    let mut abilities = Vec::new();
    if let Some(object) = Object::read(config, "", &["can"], &mut problems) {
        for (at, item) in object.list("can", &mut problems) {
            match item.as_str() {
                Some(ability) => abilities.push(ability.to_owned()),
                None => problems.add(&at, "this must be a word such as read"),
            }
        }
    }
    problems.finish(Some(abilities))
}

fn misconfigured(problems: &[ConfigProblem]) -> Error {
    let all: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer, problem.message))
        .collect();
    Error::new(Fault::Misconfigured, all.join("; "))
}
