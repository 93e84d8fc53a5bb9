//! A role of an environment: one name for roles on many resources, written `env:staging/debug`. What it stands for, the policy
//! in force says, and only it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{BadItem, BadName, Item, Name};

/// What stands before the name of an environment. No name holds a colon, so that no resource can be called so.
const PREFIX: &str = "env:";

/// A named role of a named environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnvironmentRole {
    /// The environment.
    pub environment: Name,
    /// Which of its roles.
    pub role: Name,
}

impl fmt::Display for EnvironmentRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}/{}", self.environment, self.role))
    }
}

/// What somebody types to say what they ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// A role on a resource.
    Item(Item),
    /// A role of an environment.
    Environment(EnvironmentRole),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(item) => item.fmt(f),
            Self::Environment(role) => role.fmt(f),
        }
    }
}

/// The text says nothing that could be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWanted {
    /// It is no `RESOURCE/ROLE`.
    #[error(transparent)]
    Item(#[from] BadItem),
    /// It begins as an environment does, and names no role of it.
    #[error("\"{0}\" names no role; write env:NAME/ROLE, such as env:staging/debug")]
    NoRole(String),
    /// One half of what names an environment is no name.
    #[error(transparent)]
    Name(#[from] BadName),
}

impl FromStr for Wanted {
    type Err = BadWanted;

    fn from_str(text: &str) -> Result<Self, BadWanted> {
        let Some(of) = text.strip_prefix(PREFIX) else {
            return Ok(Self::Item(text.parse()?));
        };
        let (environment, role) = of
            .split_once('/')
            .ok_or_else(|| BadWanted::NoRole(text.chars().take(80).collect()))?;
        Ok(Self::Environment(EnvironmentRole {
            environment: environment.parse()?,
            role: role.parse()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_told_again() {
        for text in ["orders-prod/write", "env:staging/debug"] {
            assert_eq!(text.parse::<Wanted>().unwrap().to_string(), text);
        }
        let environment = |text: &str| matches!(text.parse(), Ok(Wanted::Environment(_)));
        assert!(environment("env:staging/debug"));
        assert!(!environment("env/debug"), "a resource may be called env");
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in [
            "",
            "env:",
            "env:staging",
            "env:/debug",
            "env:staging/",
            "env:a/b/c",
            "env:env:a/b",
            "ENV:staging/debug",
            "env:sta ging/debug",
            "env:staging/de\u{202e}bug",
            "env:../debug",
            "orders",
        ] {
            assert!(text.parse::<Wanted>().is_err(), "{text:?}");
        }
    }
}
