//! Reading a map of the tree key by key: what is unknown, missing or of the wrong kind is noted, and reading goes on.

use std::fmt::Display;
use std::str::FromStr;

use crate::diagnostic::{At, Problems};
use crate::nearest::{did_you_mean, list, nearest, quote};
use crate::tree::{Node, Value};

/// The keys that a map may have.
pub(crate) struct Keys {
    /// What the map is, with its article: `a rule`.
    pub(crate) what: &'static str,
    /// What is read.
    pub(crate) known: &'static [&'static str],
    /// What the language has and this version does not act on. Ignoring it would grant more than the author wrote.
    pub(crate) later: &'static [&'static str],
}

/// A map whose keys were compared with what it may have.
pub(crate) struct Fields<'n> {
    pub(crate) at: At,
    what: &'static str,
    entries: &'n [(crate::tree::Key, Node)],
    /// What the unknown keys were probably meant to be; empty where there are none.
    meant: Vec<Option<&'static str>>,
}

impl<'n> Fields<'n> {
    /// The map, where the node is one.
    pub(crate) fn of(node: &'n Node, keys: &Keys, problems: &mut Problems<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            expected("a map of keys", keys.what, node, problems);
            return None;
        };
        let mut meant = Vec::new();
        for (key, _) in entries {
            let text = key.text.as_str();
            if keys.later.contains(&text) {
                let what = format!("\"{text}\" in {} is not supported in this version", keys.what);
                let hint = "remove it: a policy that says more than is done does not load";
                problems.note(key.at, what, hint);
            } else if !keys.known.contains(&text) && problems.is_full() {
                meant.push(None);
                problems.note(key.at, "", "");
            } else if !keys.known.contains(&text) {
                let words = || keys.known.iter().chain(keys.later).copied();
                meant.push(nearest(text, words()));
                let otherwise = format!("it may have {}", list(keys.known.iter().copied()));
                problems.note(
                    key.at,
                    format!("unknown key {} in {}", quote(text), keys.what),
                    did_you_mean(text, words(), otherwise),
                );
            }
        }
        let at = entries.first().map_or(node.at, |(key, _)| At {
            len: key.at.len,
            ..key.at
        });
        Some(Self {
            at,
            what: keys.what,
            entries,
            meant,
        })
    }

    /// Whether something in the map could not be understood that may have been this key.
    pub(crate) fn misspelt(&self, key: &'static str) -> bool {
        self.meant.contains(&Some(key))
    }

    /// Whether all keys of the map are known.
    pub(crate) const fn is_understood(&self) -> bool {
        self.meant.is_empty()
    }

    /// The value of a key that may be missing.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|(name, _)| name.text == key)
            .map(|(_, node)| node)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &'static str, problems: &mut Problems<'_>) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() && !self.misspelt(key) {
            problems.note(self.at, format!("{} needs the key \"{key}\"", self.what), "");
        }
        found
    }

    /// The parsed scalar of a key that may be missing. `Err` where it is there and cannot be read.
    pub(crate) fn optional<T>(&self, key: &str, problems: &mut Problems<'_>) -> Result<Option<T>, Noted>
    where
        T: FromStr<Err: Display>,
    {
        match self.get(key) {
            None => Ok(None),
            Some(node) => scalar(key, node, problems).map(Some).ok_or(Noted),
        }
    }

    /// The parsed scalar of a key that must be there.
    pub(crate) fn parse<T>(&self, key: &'static str, problems: &mut Problems<'_>) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        scalar(key, self.required(key, problems)?, problems)
    }
}

/// A problem was noted; what it was about is missing from what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted;

/// A scalar by its type's own reading.
pub(crate) fn scalar<T>(what: &str, node: &Node, problems: &mut Problems<'_>) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    let Some(text) = node.text() else {
        expected("one value", &format!("\"{what}\""), node, problems);
        return None;
    };
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            problems.note(node.at, format!("{what}: {error}"), "");
            None
        }
    }
}

/// The items of a list, or the one item that stands in its place.
pub(crate) fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// The items of what must be a list.
pub(crate) fn items<'n>(what: &str, node: &'n Node, problems: &mut Problems<'_>) -> &'n [Node] {
    match &node.value {
        Value::List(items) => items,
        _ => {
            expected("a list", what, node, problems);
            &[]
        }
    }
}

/// Notes that something else was expected.
pub(crate) fn expected(wanted: &str, what: &str, node: &Node, problems: &mut Problems<'_>) {
    problems.note(
        node.at,
        format!("{what} must be {wanted}; this is {}", node.kind()),
        "",
    );
}
