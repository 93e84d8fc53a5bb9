//! Connectors: the accounts and servers that access is provisioned at, and how they are.

use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A connector and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connector {
    /// Its name in the policy.
    #[schema(value_type = String, example = "pg-main")]
    pub name: Name,
    /// Its kind.
    #[schema(value_type = String, example = "postgres")]
    pub kind: Name,
    /// How it is.
    #[serde(flatten)]
    pub health: Health,
    /// When that was found out.
    #[schema(value_type = String, format = DateTime)]
    pub checked_at: Timestamp,
}

/// How a connector is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "health", rename_all = "lowercase")]
pub enum Health {
    /// It can do its work.
    Healthy,
    /// It cannot.
    Failing {
        /// How it fails: `denied`, `unavailable` and so on.
        fault: String,
        /// What the provider says of it; no secrets.
        detail: String,
    },
}

/// The answer of `POST /connectors/{name}/rotate`: its own admin secret is another one now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotated {
    /// Which connector.
    #[schema(value_type = String)]
    pub name: Name,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub rotated_at: Timestamp,
}
