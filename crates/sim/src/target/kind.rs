//! The kind `sim`: what a policy names, and what an engine connects to. One for each start of a server, so that its calls
//! are known to be its own.

use std::sync::{Arc, Weak};

use daypass_core::entitlement::Fault;
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_providers::{ConfigProblem, Error, Kind, Provider, SecretUse, Secrets};
use serde_json::Value;

use super::provider::Connected;
use crate::server::Process;

/// The kind, as one process has it.
pub(crate) struct Sim {
    /// Kinds live as long as the program; what they lead to must not.
    process: Weak<Process>,
}

impl Sim {
    pub(crate) fn new(process: &Arc<Process>) -> Self {
        Self {
            process: Arc::downgrade(process),
        }
    }
}

impl Kind for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn check_connector(&self, _: &Value) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }

    fn check_resource(&self, _: &Value) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }

    fn check_role(&self, _: &Value) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }

    fn secrets(&self, _: &Value) -> Vec<SecretUse> {
        Vec::new()
    }

    fn tells_sessions(&self) -> bool {
        true
    }

    /// A role that names an opening shares it with everybody; another has one of its own for each grant.
    fn target_key(&self, grant: GrantId, index: usize, _: &Value, role: &Value) -> String {
        match role.get("opening").and_then(Value::as_str) {
            Some(opening) => opening.to_owned(),
            None => format!("{grant}_{index}"),
        }
    }

    fn connect(
        &self,
        connector: &Name,
        _: &Value,
        _: Arc<dyn Secrets>,
        _: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        let gone = || Error::new(Fault::Misconfigured, "there is no such target");
        let process = self.process.upgrade().ok_or_else(gone)?;
        let target = process.world().target(connector.as_str()).ok_or_else(gone)?;
        Ok(Arc::new(Connected::new(target, process)))
    }
}
