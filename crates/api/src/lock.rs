//! Locks: a person or a resource that is shut.

use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is locked: `{"person": "ana"}` or `{"resource": "orders-prod"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LockOn {
    /// An account, by its login.
    Person(String),
    /// A resource, by its name.
    Resource(String),
}

impl LockOn {
    /// `person` or `resource`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Resource(_) => "resource",
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person(login) => login,
            Self::Resource(name) => name,
        }
    }
}

/// A lock that is shut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lock {
    /// What is locked.
    pub on: LockOn,
    /// The login of who locked it.
    #[schema(example = "root")]
    pub by: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why, in their words; absent where these were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /locks` and `POST /locks/unlock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeLock {
    /// What.
    pub on: LockOn,
    /// Why; required.
    pub reason: String,
}

/// The answer to `POST /locks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Locked {
    /// The lock.
    pub lock: Lock,
    /// How many grants there were for it to end. They have ended once the targets were seen without them.
    pub ending: usize,
}

/// The answer to `POST /locks/unlock`. What ended under the lock stays ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unlocked {
    /// What is open again.
    pub on: LockOn,
    /// When it was unlocked.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
