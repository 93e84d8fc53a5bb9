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
use crate::{ConfigProblem, Error, Kind, Needs, Placed, Provider, SecretUse, Secrets};

pub use target::{Op, Refused, SessionId, Target, Trouble};

/// The kind `memory`. A connector has no configuration (`{}`), a resource neither, unless it is one of several places of its target
/// (`{place: attic}`), which makes a difference to surveys alone; a role says what it may do:
/// `{can: [read, write]}`. A connector `{shared: true}` also takes roles with one opening for all who hold them, as a port in a
/// firewall is: `{can: [read], opening: door}`; with `to: address` one for each address that it is asked from, and with `to: person`
/// one for each handle, in the namespace that the connector names: `{shared: true, subjects: entra}`. A connector
/// `{tells: true}` tells what was done ([`Target::did`]).
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
        connector(config).map(|_| ())
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

    fn tells_deeds(&self, connector: &Value) -> bool {
        self::connector(connector).is_ok_and(|connector| connector.tells)
    }

    fn subjects(&self, config: &Value) -> Option<Name> {
        connector(config).ok()?.subjects
    }

    fn needs(&self, _resource: &Value, config: &Value) -> Needs {
        let to = role(config).ok().and_then(|role| role.to);
        Needs {
            subject: to == Some(To::Person),
            source: to == Some(To::Address),
        }
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

    fn key(&self, placed: &Placed<'_>) -> String {
        let to = role(placed.role).ok().and_then(|role| role.to);
        let whom = match to {
            Some(To::Person) => placed.subject.map(str::to_ascii_lowercase),
            Some(To::Address) => placed.source.map(|source| source.to_string()),
            None => None,
        };
        let shared = self.target_key(placed.grant, placed.index, placed.resource, placed.role);
        whom.map_or(shared.clone(), |whom| format!("{shared}_to_{whom}"))
    }

    fn connect(
        &self,
        name: &Name,
        config: &Value,
        _secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        let settings = connector(config).map_err(|problems| misconfigured(&problems))?;
        Ok(Arc::new(provider::Connected {
            target: self.target(name),
            installation: installation.to_owned(),
            settings,
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

/// What a connector says.
struct Connector {
    /// Whether it takes roles with one opening for several.
    shared: bool,
    /// In which namespace it looks for handles.
    subjects: Option<Name>,
    /// Whether it tells what was done.
    tells: bool,
}

fn connector(config: &Value) -> Result<Connector, Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    let (mut shared, mut tells, mut subjects) = (false, false, None);
    if !config.is_null()
        && let Some(object) = Object::read(config, "", &["shared", "subjects", "tells"], &mut problems)
    {
        for (key, set) in [("shared", &mut shared), ("tells", &mut tells)] {
            match object.get(key).map(Value::as_bool) {
                None => {}
                Some(Some(value)) => *set = value,
                Some(None) => problems.add(&object.at(key), format!("{key} must be true or false")),
            }
        }
        if let Some(text) = object.text("subjects", &mut problems) {
            match text.parse::<Name>() {
                Ok(name) => subjects = Some(name),
                Err(bad) => problems.add(&object.at("subjects"), bad.to_string()),
            }
        }
    }
    problems.finish(Some(Connector {
        shared,
        subjects,
        tells,
    }))
}

/// What a role may do, and what it opens for all who hold it.
struct Role {
    can: Vec<String>,
    opening: Option<String>,
    /// Whom it opens that to; to everybody who holds it, where it does not say.
    to: Option<To>,
}

/// Whom something is opened to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// The address that it was asked from.
    Address,
    /// Who is called so at the target.
    Person,
}

fn role(config: &Value) -> Result<Role, Vec<ConfigProblem>> {
    let mut problems = Problems::default();
    let (mut can, mut opening, mut to) = (Vec::new(), None, None);
    if let Some(object) = Object::read(config, "", &["can", "opening", "to"], &mut problems) {
        for (at, item) in object.list("can", &mut problems) {
            match item.as_str() {
                Some(ability) => can.push(ability.to_owned()),
                None => problems.add(&at, "this must be a word such as read"),
            }
        }
        opening = object.text("opening", &mut problems).map(str::to_owned);
        match object.text("to", &mut problems) {
            None => {}
            Some("address") => to = Some(To::Address),
            Some("person") => to = Some(To::Person),
            Some(_) => problems.add(&object.at("to"), "to must be address or person"),
        }
        if to.is_some() && opening.is_none() {
            problems.add(&object.at("to"), "what is opened to somebody needs an opening");
        }
    }
    problems.finish(Some(Role { can, opening, to }))
}

fn misconfigured(problems: &[ConfigProblem]) -> Error {
    let all: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer, problem.message))
        .collect();
    Error::new(Fault::Misconfigured, all.join("; "))
}
