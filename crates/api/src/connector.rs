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
    /// Of the kind `ssh`: the key that it signs certificates with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
}

/// The public key of a certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authority {
    /// As `ssh-keygen -lf /etc/ssh/daypass/ca.pub` shows it on a host.
    #[schema(example = "SHA256:njhNJkWL9nggJGr1SwZZMuBA0T4He3NI511ySpxQxww")]
    pub fingerprint: String,
    /// Since when the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
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
