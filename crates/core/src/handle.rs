//! Handles: what targets call an account, by namespace; such as the object id of a person in Entra.
//!
//! A handle decides to whom a target gives access. So it comes from the directory and never from who asks, and no two active
//! accounts have the same: a target would count them as one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::PersonId;
use crate::name::Name;
use crate::refusal::{Code, Refusal};
use crate::text::is_hostile;
use crate::world::World;

/// The longest handle, in characters. Longer than any that is known: a principal name of Entra has 113 at most (Microsoft, "Entra
/// service limits"), a Kubernetes user or an ARN of AWS a few dozen more.
pub const MAX_CHARS: usize = 256;

/// How many namespaces one account may have handles in.
pub const MOST: usize = 32;

/// What a target calls an account: 1 to 256 characters, none of which could make a reader take it for another, with no space at
/// either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(String);

/// The handles of an account, by namespace.
pub type Handles = BTreeMap<Name, Handle>;

/// The text is no handle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a handle: 1 to 256 visible characters, with no space at either end")]
pub struct BadHandle {
    text: String,
}

impl Handle {
    /// The handle as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a target could take the two for one: many do not tell upper from lower case.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for Handle {
    type Err = BadHandle;

    fn from_str(text: &str) -> Result<Self, BadHandle> {
        // Any other white space than a plain one looks like it.
        let hidden = |c: char| is_hostile(c) || (c.is_whitespace() && c != ' ');
        let good = !text.is_empty()
            && text.chars().nth(MAX_CHARS).is_none()
            && text.trim() == text
            && !text.chars().any(hidden);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadHandle {
                text: text.chars().filter(|c| !is_hostile(*c)).take(80).collect(),
            })
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Refuses handles that another active account has. `world` holds every one that could have them.
///
/// # Errors
/// [`Code::Exists`], with whose it is.
pub(crate) fn free<'h>(
    world: &World,
    of: PersonId,
    handles: impl IntoIterator<Item = (&'h Name, &'h Handle)>,
) -> Result<(), Refusal> {
    for (namespace, handle) in handles {
        let has = |other: &&crate::person::Person| {
            let theirs = other.handles.get(namespace);
            other.active && other.id != of && theirs.is_some_and(|theirs| theirs.is_like(handle))
        };
        if let Some(other) = world.people.values().find(has) {
            let login = other.login.text();
            let what = format!("{login} has the handle {handle} in {namespace} already");
            return Err(Refusal::new(Code::Exists, what).hint(format!(
                "each belongs to one account; take it from theirs first: daypass user handle {login} {namespace} --none"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_call_people_is_taken() {
        for text in [
            "7f1c9c5e-0a0d-4a7e-9a0e-3c1d2b4f5a6b",
            "ana@example.com",
            "arn:aws:iam::123456789012:user/ana",
            "CN=Ana Ruiz, OU=Engineering",
            "Zoë",
            &"x".repeat(MAX_CHARS),
        ] {
            let handle: Handle = text.parse().unwrap();
            assert_eq!(handle.as_str(), text);
            let json = serde_json::to_string(&handle).unwrap();
            assert_eq!(serde_json::from_str::<Handle>(&json).unwrap(), handle);
        }
    }

    #[test]
    fn hostile_text_is_none() {
        for text in [
            "",
            " ana",
            "ana ",
            "a\nb",
            "a\tb",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{a0}b",
            "a\u{0}b",
            &"x".repeat(MAX_CHARS + 1),
        ] {
            let refused = text.parse::<Handle>().unwrap_err();
            assert!(!refused.to_string().chars().any(is_hostile), "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<Handle>(&json).is_err(), "{text:?}");
        }
    }

    #[test]
    fn case_makes_no_other_handle() {
        let [one, other] = ["7F1C-ana", "7f1c-ANA"].map(|text| text.parse::<Handle>().unwrap());
        assert!(one.is_like(&other));
        assert_ne!(one, other);
    }
}
