//! Connectors: the accounts and servers that access is provisioned at, and how they are.

use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::standing::Survey;

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
    /// When access of its making was last seen to be there; since the server began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub provisioned_at: Option<Timestamp>,
    /// When access was last seen to be gone; since the server began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// How much was last seen at the target, or may be there, although no grant wants it: what is about to be taken away, and what
    /// somebody brought back by hand.
    #[serde(default)]
    pub unwanted: u64,
    /// What kept the reconciler from its work, where the last thing that it tried failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
    /// Of the kind `ssh`: the key that it signs certificates with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
    /// How the survey of what stands at its target stands at the server that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<Survey>,
}

/// A failure that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stuck {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// How it fails: `denied`, `unavailable` and so on.
    pub fault: String,
    /// What the provider says of it; no secrets.
    pub detail: String,
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
    /// How far it is on its way to another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// How far an authority is on its way to another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Rotation {
    /// Hosts are told to trust the next key, which does not sign yet.
    Staged {
        /// Its fingerprint.
        next: String,
        /// Since when.
        #[schema(value_type = String, format = DateTime)]
        since: Timestamp,
        /// The hosts that have not said that they trust it. When there are none, it signs.
        waiting: Vec<String>,
    },
    /// The next key signs. The one before is trusted while what it signed may be valid.
    Retiring {
        /// The fingerprint of the one before.
        old: String,
        /// Since when it signs no more.
        #[schema(value_type = String, format = DateTime)]
        since: Timestamp,
        /// Until when it is trusted, by the server's clock; none where that is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = DateTime)]
        until: Option<Timestamp>,
    },
}

/// `POST /connectors/{name}/rotate`; it may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Of the kind `ssh`: take the next step without waiting for hosts, or for certificates to run out.
    #[serde(default)]
    pub now: bool,
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

/// The answer of `POST /connectors/{name}/rotate`: its own admin secret is another one now, or its authority is on its way to another
/// key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotated {
    /// Which connector.
    #[schema(value_type = String)]
    pub name: Name,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub rotated_at: Timestamp,
    /// Of the kind `ssh`: how far that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
}
