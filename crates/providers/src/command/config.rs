//! What policy writes for connectors, resources and roles of kind `command`. Most of it is the program's own business.

use serde_json::{Map, Value};

use crate::config::{self, Object, Problems, Read, unknown};

/// A program with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connector {
    /// A name that `server.yaml` gives a meaning; never a path.
    pub(super) program: String,
    /// Handed to the program as it is.
    pub(super) settings: Value,
}

/// What a role gives, and to how many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) one_per: OnePer,
    /// Handed to the program as it is.
    pub(super) config: Value,
}

/// What there is one opening for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnePer {
    /// A person and a role, however many grants: the last one that ends takes it away.
    Person,
    /// A role, whoever holds it: a port that is opened, a switch that is thrown.
    Role,
    /// A grant's item: the program keeps those apart that give the same.
    Grant,
}

impl Connector {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Object::read(config, "", &["program", "settings"], problems)?;
        let program = object.need_text("program", problems);
        if program.is_some_and(|program| program.contains('/')) {
            let what = "program is a name, not a path: server.yaml says which file it is, under programs";
            problems.add(&object.at("program"), what);
        }
        let settings = match object.get("settings") {
            None => Some(empty()),
            Some(settings) => mapping(settings, &object.at("settings"), problems),
        };
        Some(Self {
            program: program?.to_owned(),
            settings: settings?,
        })
    }
}

/// A resource's configuration, as the program gets it.
pub(super) fn resource(config: &Value) -> Read<Value> {
    config::read(config, |config, problems| mapping(config, "", problems))
}

impl Role {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let mut config = mapping(config, "", problems)?;
        let one_per = config.as_object_mut().and_then(|map| map.remove("one_per"));
        let one_per = match one_per.as_ref().map(|word| word.as_str().unwrap_or_default()) {
            None | Some("person") => OnePer::Person,
            Some("role") => OnePer::Role,
            Some("grant") => OnePer::Grant,
            Some(other) => {
                problems.add("/one_per", unknown("value", other, &["person", "role", "grant"]));
                return None;
            }
        };
        Some(Self { one_per, config })
    }
}

/// A mapping, whatever is in it. Nothing at all is an empty one.
fn mapping(value: &Value, pointer: &str, problems: &mut Problems) -> Option<Value> {
    match value {
        Value::Null => Some(empty()),
        Value::Object(_) => Some(value.clone()),
        _ => {
            problems.add(pointer, "this must be a mapping; the program gets it as it is");
            None
        }
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(read: Read<T>, pointer: &str, with: &str) {
        let problems = read.unwrap_err();
        assert_eq!(problems[0].pointer, pointer);
        assert!(problems[0].message.contains(with), "{problems:?}");
    }

    #[test]
    fn a_connector_names_a_program_and_no_path() {
        let read = Connector::read(&json!({"program": "badges"})).unwrap();
        assert_eq!(read.settings, json!({}));
        let path = json!({"program": "/bin/sh"});
        refused(Connector::read(&path), "/program", "not a path");
        refused(Connector::read(&json!({})), "", "program is missing");
        let more = json!({"program": "a", "args": ["-c"]});
        refused(Connector::read(&more), "/args", "there is no key");
        let list = json!({"program": "a", "settings": []});
        refused(Connector::read(&list), "/settings", "mapping");
    }

    #[test]
    fn a_role_is_the_programs_but_for_one_word() {
        let read = Role::read(&json!({"one_per": "role", "door": 3})).unwrap();
        assert_eq!((read.one_per, read.config), (OnePer::Role, json!({"door": 3})));
        assert_eq!(Role::read(&Value::Null).unwrap().one_per, OnePer::Person);
        refused(
            Role::read(&json!({"one_per": "grants"})),
            "/one_per",
            "did you mean grant",
        );
        refused(Role::read(&json!({"one_per": 1})), "/one_per", "person");
        refused(Role::read(&json!("admin")), "", "mapping");
        refused(resource(&json!(7)), "", "mapping");
    }
}
