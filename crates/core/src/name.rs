//! Names that an administrator gives: resources, roles, connectors, rules, groups; and the logins of people.
//!
//! They are plain ASCII, so that two names that look alike are alike: a second "ana" in Cyrillic must not exist.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name, in bytes.
pub const MAX_BYTES: usize = 63;

/// A name: ASCII letters, digits and `. _ - @ +`, beginning with a letter or a digit, at most 63 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: letters, digits and . _ - @ + (a letter or digit first, at most 63 in all)")]
pub struct BadName {
    text: String,
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that is nearest to whatever something is called elsewhere, to suggest it: in small letters, with `-` for what no name
    /// may hold, cut where it is too long. Two texts may lead to one name. Text with nothing of a name in it becomes `unnamed`.
    #[must_use]
    pub fn like(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().take(4 * MAX_BYTES) {
            let begun = !name.is_empty();
            if c.is_ascii_alphanumeric() || (begun && "._@+".contains(c)) {
                name.push(c.to_ascii_lowercase());
            } else if begun && !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(MAX_BYTES);
        let name = name.trim_end_matches('-');
        Self(if name.is_empty() { "unnamed" } else { name }.to_owned())
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
        let good = text.len() <= MAX_BYTES
            && text.chars().all(fits)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName {
                text: text.chars().take(80).collect(),
            })
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What is asked for: a role on a resource, written `orders-prod/write`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// The thing to reach.
    pub resource: Name,
    /// The named permission on it.
    pub role: Name,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.resource, self.role))
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no `RESOURCE/ROLE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadItem {
    /// There is no slash.
    #[error("\"{0}\" names no role; write RESOURCE/ROLE, such as orders-prod/read")]
    NoRole(String),
    /// One half is no name.
    #[error(transparent)]
    Name(#[from] BadName),
}

impl FromStr for Item {
    type Err = BadItem;

    fn from_str(text: &str) -> Result<Self, BadItem> {
        let (resource, role) = text
            .split_once('/')
            .ok_or_else(|| BadItem::NoRole(text.chars().take(80).collect()))?;
        Ok(Self {
            resource: resource.parse()?,
            role: role.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_keeps_what_it_may() {
        for (text, name) in [
            ("Orders (prod)", "orders-prod"),
            ("orders-prod", "orders-prod"),
            ("app_writer", "app_writer"),
            ("_hidden", "hidden"),
            ("caf\u{e9} x", "caf-x"),
            ("\u{2026}", "unnamed"),
            ("", "unnamed"),
        ] {
            assert_eq!(Name::like(text).as_str(), name, "{text:?}");
        }
        for text in [
            "a ".repeat(200),
            "x".repeat(200),
            format!("{}-", "x".repeat(62)),
            "a\0b".into(),
        ] {
            let near = Name::like(&text);
            assert_eq!(near.as_str().parse(), Ok(near.clone()), "{text:?}");
        }
    }

    #[test]
    fn plain_names_are_taken() {
        for text in [
            "orders-prod",
            "pg_main",
            "ana@example.com",
            "a+b",
            "7zip",
            &"x".repeat(63),
        ] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "-x",
            ".x",
            "a b",
            "a/b",
            "a\"b",
            "аna",
            "a\n",
            "a'b",
            "a;b",
            "a\0b",
            &"x".repeat(64),
        ] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
            assert!(
                serde_json::from_value::<Name>(serde_json::json!(text)).is_err(),
                "{text:?} by way of JSON"
            );
        }
    }

    #[test]
    fn an_item_needs_both_halves() {
        assert_eq!(
            "orders-prod/write".parse::<Item>().unwrap().to_string(),
            "orders-prod/write"
        );
        for text in ["orders-prod", "orders-prod/", "/write", "a/b/c"] {
            assert!(text.parse::<Item>().is_err(), "{text}");
        }
    }
}
