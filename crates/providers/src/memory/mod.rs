//! A target that lives in this process: for the demo on a machine without PostgreSQL, and for tests.
//!
//! It is honest: it keeps limits, credentials, sessions and things that are not ours, and passes the conformance suite.
//! And it has switches to fail on purpose ([`Target::fail_next`], [`Target::set_down`]). It is not in [`crate::ALL`].

mod provider;
mod survey;
mod target;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use daypass_core::entitlement::Fault;
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use serde_json::Value;

use crate::config::{Object, Problems};
use crate::inventory::Fit;
use crate::{ConfigProblem, Error, Kind, Provider, SecretUse, Secrets};

pub use target::{Op, Refused, SessionId, Target, Trouble};

/// The kind `memory`. A connector has no configuration (`{}`), a resource neither, unless it is one of several places of its target
/// (`{place: attic}`), which makes a difference to surveys alone; a role says what it may do:
/// `{can: [read, write]}`. A connector `{shared: true}` also takes roles with one opening for all who hold them, as a port in a
/// firewall is: `{can: [read], opening: door}`.
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
        shared(config).map(|_| ())
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        place(config).map(|_| ())
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        role(config).map(|_| ())
    }

    fn secrets(&self, _connector: &Value) -> Vec<SecretUse> {
        Vec::new()
    }

    fn tells_sessions(&self) -> bool {
        true
    }

    fn is_place(&self, resource: &Value, offered: &Value) -> bool {
        place(resource).is_ok_and(|named| place(offered) == Ok(named))
    }

    fn fits(&self, one: &Value, offered: &Value) -> Option<Fit> {
        let (one, offered) = (role(one).ok()?, role(offered).ok()?);
        let gives = |can: &String| one.can.contains(can);
        match offered.can.iter().all(gives) {
            true if one.can.len() == offered.can.len() => Some(Fit::Same),
            true => Some(Fit::More),
            false => None,
        }
    }

    fn target_key(&self, grant: GrantId, index: usize, _resource: &Value, config: &Value) -> String {
        match role(config).ok().and_then(|role| role.opening) {
            Some(opening) => format!("opening_{opening}"),
            None => format!("{grant}_{index}").to_ascii_lowercase(),
        }
    }

    fn connect(
        &self,
        connector: &Name,
        config: &Value,
        _secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        let shared = shared(config).map_err(|problems| misconfigured(&problems))?;
        Ok(Arc::new(provider::Connected {
            target: self.target(connector),
            installation: installation.to_owned(),
            shared,
        }))
    }
}

/// Which place of its target a resource is.
fn place(config: &Value) -> Result<Option<String>, Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    let mut place = None;
    if !config.is_null()
        && let Some(object) = Object::read(config, "", &["place"], &mut problems)
    {
        place = object.text("place", &mut problems).map(str::to_owned);
    }
    problems.finish(Some(place))
}

/// Whether a connector takes roles with one opening for all.
fn shared(config: &Value) -> Result<bool, Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    let mut shared = false;
    if !config.is_null()
        && let Some(object) = Object::read(config, "", &["shared"], &mut problems)
        && let Some(value) = object.get("shared")
    {
        match value.as_bool() {
            Some(value) => shared = value,
            None => problems.add(&object.at("shared"), "shared must be true or false"),
        }
    }
    problems.finish(Some(shared))
}

/// What a role may do, and what it opens for all who hold it.
struct Role {
    can: Vec<String>,
    opening: Option<String>,
}

fn role(config: &Value) -> Result<Role, Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    let (mut can, mut opening) = (Vec::new(), None);
    if let Some(object) = Object::read(config, "", &["can", "opening"], &mut problems) {
        for (at, item) in object.list("can", &mut problems) {
            match item.as_str() {
                Some(ability) => can.push(ability.to_owned()),
                None => problems.add(&at, "this must be a word such as read"),
            }
        }
        opening = object.text("opening", &mut problems).map(str::to_owned);
    }
    problems.finish(Some(Role { can, opening }))
}

fn misconfigured(problems: &[ConfigProblem]) -> Error {
    let all: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer, problem.message))
        .collect();
    Error::new(Fault::Misconfigured, all.join("; "))
}
