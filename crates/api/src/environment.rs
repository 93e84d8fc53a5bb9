//! Environments on the wire: one name for roles on many resources.

use std::fmt;

use daypass_core::environment as core;
use daypass_core::name::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::catalogue::How;
use crate::item::Item;

/// A role of an environment, `env:staging/debug` in text. What it stands for, the server says from the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRole {
    /// The environment.
    #[schema(value_type = String, example = "staging")]
    pub environment: Name,
    /// Which of its roles.
    #[schema(value_type = String, example = "debug")]
    pub role: Name,
}

impl From<core::EnvironmentRole> for EnvironmentRole {
    fn from(role: core::EnvironmentRole) -> Self {
        Self {
            environment: role.environment,
            role: role.role,
        }
    }
}

impl From<EnvironmentRole> for core::EnvironmentRole {
    fn from(role: EnvironmentRole) -> Self {
        Self {
            environment: role.environment,
            role: role.role,
        }
    }
}

impl fmt::Display for EnvironmentRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::EnvironmentRole::from(self.clone()).fmt(f)
    }
}

/// A role of an environment, as it looks to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentOffer {
    /// How it is asked for.
    pub environment: EnvironmentRole,
    /// What it stands for now.
    pub items: Vec<Item>,
    /// What it takes, all of it together.
    pub how: How,
    /// Whether the caller may break the glass for it: the policy has a rule for emergencies that admits them to all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

/// The query of `GET /environments`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EnvironmentQuery {
    /// Only those that are about resources with this label `env`, and about no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Only what asking alone is enough for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
