//! Reading a provider's configuration: a tree of JSON, with a pointer to each thing that is wrong.

use daypass_core::entitlement::Fault;
use serde_json::{Map, Value};

use crate::Error;

/// Something wrong in a provider's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where: a JSON pointer (RFC 6901) inside the configuration, `""` for all of it.
    pub pointer: String,
    /// What, why, and what would be right.
    pub message: String,
}

/// Collects what is wrong while a configuration is read.
#[derive(Default)]
pub(crate) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(crate) fn add(&mut self, pointer: &str, message: impl Into<String>) {
        self.0.push(ConfigProblem {
            pointer: pointer.to_owned(),
            message: message.into(),
        });
    }

    /// What was read, unless something was wrong with it.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Vec<ConfigProblem>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => Err(self.0),
        }
    }
}

/// What was read, or all that is wrong with it.
pub(crate) type Read<T> = Result<T, Vec<ConfigProblem>>;

/// Reads a part of the configuration, and collects on the way what is wrong with it.
pub(crate) fn read<T>(config: &Value, parse: impl FnOnce(&Value, &mut Problems) -> Option<T>) -> Read<T> {
    let mut problems = Problems::default();
    let read = parse(config, &mut problems);
    problems.finish(read)
}

/// What is wrong with the configuration of `what`, as an error of the provider.
pub(crate) fn misconfigured(what: &str, problems: &[ConfigProblem]) -> Error {
    let all: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer, problem.message))
        .collect();
    Error::new(
        Fault::Misconfigured,
        format!("the {what}'s configuration: {}", all.join("; ")),
    )
}

/// One object of the configuration.
pub(crate) struct Object<'a> {
    map: &'a Map<String, Value>,
    pointer: String,
}

impl<'a> Object<'a> {
    /// Reads an object that has no other keys than these.
    pub(crate) fn read(
        value: &'a Value,
        pointer: &str,
        keys: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(map) = value.as_object() else {
            problems.add(
                pointer,
                format!("this must be a mapping with the keys {}", keys.join(", ")),
            );
            return None;
        };
        let object = Self {
            map,
            pointer: pointer.to_owned(),
        };
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            problems.add(&object.at(key), unknown("key", key, keys));
        }
        Some(object)
    }

    /// The pointer to one of its keys.
    pub(crate) fn at(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, key.replace('~', "~0").replace('/', "~1"))
    }

    /// The value of a key. `null` is what YAML makes of `key:` without a value, and counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether a key is there and has no value: `key:`, for YAML.
    pub(crate) fn is_empty(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, key: &str, problems: &mut Problems) -> Option<&'a Value> {
        let value = self.get(key);
        if value.is_none() {
            problems.add(&self.pointer, format!("the key {key} is missing"));
        }
        value
    }

    /// The text of a key, if it is there.
    pub(crate) fn text(&self, key: &str, problems: &mut Problems) -> Option<&'a str> {
        let value = self.get(key)?;
        let text = value.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            problems.add(&self.at(key), format!("{key} must be text, and not empty"));
        }
        text
    }

    /// The text of a key that must be there.
    pub(crate) fn need_text(&self, key: &str, problems: &mut Problems) -> Option<&'a str> {
        self.need(key, problems)?;
        self.text(key, problems)
    }

    /// The TCP port under `port`, or the usual one where it is not said.
    pub(crate) fn port(&self, usual: u16, problems: &mut Problems) -> Option<u16> {
        let Some(value) = self.get("port") else {
            return Some(usual);
        };
        let port = value
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0);
        if port.is_none() {
            problems.add(&self.at("port"), "port must be a number from 1 to 65535");
        }
        port
    }

    /// The items of a list, each with its pointer; an absent key is an empty list.
    pub(crate) fn list(&self, key: &str, problems: &mut Problems) -> Vec<(String, &'a Value)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("{}/{index}", self.at(key)), item))
                .collect(),
            Some(_) => {
                problems.add(&self.at(key), format!("{key} must be a list"));
                Vec::new()
            }
        }
    }
}

/// Says that a word is not known, and which known one is nearest to it.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let shown: String = word.chars().take(80).collect();
    let nearest = known
        .iter()
        .min_by_key(|known| strsim::damerau_levenshtein(known, &shown));
    match nearest {
        Some(nearest) if strsim::damerau_levenshtein(nearest, &shown) <= 2.max(nearest.len() / 3) => {
            format!("there is no {what} {shown:?}; did you mean {nearest}?")
        }
        _ => format!("there is no {what} {shown:?}; known are {}", known.join(", ")),
    }
}
