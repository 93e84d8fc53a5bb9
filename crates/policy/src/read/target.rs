//! Reads connectors and resources. What a provider reads stays free-form, with the place of every part.

use std::collections::BTreeMap;

use daypass_core::name::Name;
use serde_json::Value as Json;

use super::{Declared, declare, demand, gateway};
use crate::diagnostic::{At, Problems};
use crate::document::{Access, Connector, Drift, Places, Resource, Role};
use crate::fields::{Fields, Keys, expected, scalar};
use crate::tree::{Key, Node, Value};

const CONNECTOR: Keys = Keys {
    what: "a connector",
    known: &["name", "kind", "drift", "config"],
    later: &[],
};

const RESOURCE: Keys = Keys {
    what: "a resource",
    known: &[
        "name",
        "kind",
        "connector",
        "labels",
        "owner",
        "access",
        "recording",
        "gateway",
        "statements",
        "config",
        "roles",
    ],
    later: &[],
};

/// What selectors use for other things than labels.
const NOT_LABELS: &[&str] = &["kind", "resource", "name"];

pub(super) fn connector(
    node: &Node,
    declared: &mut Declared,
    problems: &mut Problems<'_>,
) -> Option<Connector> {
    let named = Fields::of(node, &CONNECTOR, problems).and_then(|fields| {
        let (name, at) = name(&fields, problems)?;
        Some((fields, name, at))
    });
    let Some((fields, name, at)) = named else {
        declared.connectors.torn = true;
        return None;
    };
    let fresh = declare("connector", &name, at, &mut declared.connectors, problems);
    let kind = fields.parse("kind", problems);
    let drift = drift(&fields, problems);
    let (config, places) = config("\"config\"", fields.get("config"), fields.at, problems)?;
    fresh.ok()?;
    Some(Connector {
        name,
        kind: kind?,
        drift: drift?,
        config,
        at,
        places,
    })
}

fn drift(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Drift> {
    let Some(node) = fields.get("drift") else {
        return Some(Drift::default());
    };
    match node.text() {
        Some("remove") => Some(Drift::Remove),
        Some("alarm") => Some(Drift::Alarm),
        _ => {
            expected("remove or alarm", "\"drift\"", node, problems);
            None
        }
    }
}

pub(super) fn resource(
    node: &Node,
    declared: &mut Declared,
    problems: &mut Problems<'_>,
) -> Option<Resource> {
    let before = problems.count();
    let named = Fields::of(node, &RESOURCE, problems).and_then(|fields| {
        let (name, at) = name(&fields, problems)?;
        Some((fields, name, at))
    });
    let Some((fields, name, at)) = named else {
        declared.resources.torn = true;
        return None;
    };
    let fresh = declare("resource", &name, at, &mut declared.resources, problems);
    let kind = fields.parse("kind", problems);
    let connector = fields.parse("connector", problems);
    let labels = labels(fields.get("labels"), problems);
    let owner = fields.optional("owner", problems);
    let access = match fields.get("access") {
        None => Some(Access::Direct),
        Some(node) => match node.text() {
            Some("direct") => Some(Access::Direct),
            Some("gateway") => Some(Access::Gateway),
            _ => {
                expected("direct or gateway", "\"access\"", node, problems);
                None
            }
        },
    };
    let recording = demand::recording(&fields, problems);
    let gateway = gateway::watch(fields.get("gateway"), problems);
    let statements = gateway::denied(fields.get("statements"), problems);
    let config = config("\"config\"", fields.get("config"), fields.at, problems);
    let roles = roles(&name, &fields, problems);
    fresh.ok()?;
    let (config, places) = config?;
    // With a part of it not understood (a misspelt `labels`), what rules select of it is not known.
    if problems.count() > before {
        return None;
    }
    let place = |key| fields.get(key).map_or(at, |node| node.at);
    Some(Resource {
        name,
        kind: kind?,
        connector: connector?,
        labels: labels?,
        owner: owner.ok()?,
        access: access?,
        recording: recording?,
        gateway: gateway.ok()?,
        statements: statements.ok()?,
        config,
        roles: roles?,
        at,
        connector_at: place("connector"),
        owner_at: place("owner"),
        access_at: place("access"),
        recording_at: place("recording"),
        places,
    })
}

/// The name of a thing and where it is written.
pub(super) fn name(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<(Name, At)> {
    let node = fields.required("name", problems)?;
    Some((scalar("name", node, problems)?, node.at))
}

fn labels(node: Option<&Node>, problems: &mut Problems<'_>) -> Option<BTreeMap<Name, Name>> {
    let Some(node) = node else {
        return Some(BTreeMap::new());
    };
    let Value::Map(entries) = &node.value else {
        expected("a map of labels to values", "\"labels\"", node, problems);
        return None;
    };
    let mut labels = Some(BTreeMap::new());
    for (key, value) in entries {
        let label: Option<Name> = match key.text.parse() {
            Ok(label) => Some(label),
            Err(error) => {
                problems.note(key.at, format!("labels: {error}"), "");
                None
            }
        };
        if NOT_LABELS.contains(&key.text.as_str()) {
            let what = format!("no label may be called {}", key.text);
            problems.note(key.at, what, "selectors mean something else by that word");
            labels = None;
        }
        match (label, scalar(&key.text, value, problems), &mut labels) {
            (Some(label), Some(value), Some(labels)) => {
                labels.insert(label, value);
            }
            _ => labels = None,
        }
    }
    labels
}

fn roles(resource: &Name, fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<BTreeMap<Name, Role>> {
    let none = || format!("the resource {resource} has no roles, so nothing of it could be asked for");
    let hint = "write for instance roles: {read: {…}}, with what its provider reads";
    let Some(node) = fields.get("roles") else {
        problems.note(fields.at, none(), hint);
        return None;
    };
    let Value::Map(entries) = &node.value else {
        expected(
            "a map of role names to what they give",
            "\"roles\"",
            node,
            problems,
        );
        return None;
    };
    if entries.is_empty() {
        problems.note(node.at, none(), hint);
        return None;
    }
    let mut roles = Some(BTreeMap::new());
    for (key, node) in entries {
        let name: Option<Name> = match key.text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                problems.note(key.at, format!("roles: {error}"), "");
                None
            }
        };
        match (name, role(key, node, problems), &mut roles) {
            (Some(name), Some(role), Some(roles)) => {
                roles.insert(name, role);
            }
            _ => roles = None,
        }
    }
    roles
}

/// What the provider reads of a role, and what the gateway does: no provider sees that.
fn role(key: &Key, node: &Node, problems: &mut Problems<'_>) -> Option<Role> {
    let (mut config, places) = config(&format!("the role {}", key.text), Some(node), key.at, problems)?;
    if let Some(map) = config.as_object_mut() {
        map.remove("statements");
    }
    Some(Role {
        statements: gateway::denied(node.entry("statements"), problems).ok()?,
        config,
        at: key.at,
        places,
    })
}

/// A free-form map; the empty one where there is none.
fn config(what: &str, node: Option<&Node>, at: At, problems: &mut Problems<'_>) -> Option<(Json, Places)> {
    let empty = || (Json::Object(serde_json::Map::new()), vec![(String::new(), at)]);
    let (json, places) = match node {
        None => empty(),
        Some(node) => match &node.value {
            Value::Null => empty(),
            Value::Map(_) => {
                let mut places = Vec::new();
                let json = node.to_json("", &mut places);
                (json, places)
            }
            _ => {
                expected("a map", what, node, problems);
                return None;
            }
        },
    };
    Some((json, Places::new(places)))
}
