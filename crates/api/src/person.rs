//! People and groups of the local directory.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::secret::Secret;

/// An account of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Its id, which stays for ever.
    #[schema(value_type = String)]
    pub id: PersonId,
    /// What they log in with and are called by.
    #[schema(example = "ana")]
    pub login: String,
    /// The name shown beside it.
    #[schema(example = "Ana Ruiz")]
    pub display: String,
    /// A person or a program.
    pub kind: Kind,
    /// What they may do in Daypass.
    pub role: SystemRole,
    /// The groups they belong to.
    #[schema(value_type = Vec<String>)]
    pub groups: BTreeSet<Name>,
    /// The login of their manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Of a service account: the login of who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "bo")]
    pub owner: Option<String>,
    /// Of a service account that nobody answers for: why. It gets nothing until it has another owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned: Option<String>,
    /// The logins of the active service accounts that they answer for. Those are orphaned when they are switched off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owns: Vec<String>,
    /// Where mail for them goes. Only administrators and auditors are told, and whoever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ana@example.com")]
    pub mail: Option<String>,
    /// What targets call them, by namespace: there access is given to whoever has that handle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>, example = json!({"entra": "7f1c9c5e-0a0d-4a7e-9a0e-3c1d2b4f5a6b"}))]
    pub handles: BTreeMap<Name, String>,
    /// Whether the account is switched on.
    pub active: bool,
    /// When groups, manager, role, handles or credentials last changed. A reviewer's account must have settled since.
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
}

/// A person or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A human being.
    Person,
    /// A program, which a person answers for. It never reviews.
    Service,
}

/// What somebody may do in Daypass itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SystemRole {
    /// Asks, reviews, uses.
    Member,
    /// Reads everything, changes nothing.
    Auditor,
    /// Directory, policy, early ends.
    Administrator,
}

impl SystemRole {
    /// The role as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

impl From<person::Kind> for Kind {
    fn from(kind: person::Kind) -> Self {
        match kind {
            person::Kind::Person => Self::Person,
            person::Kind::Service => Self::Service,
        }
    }
}

impl From<Kind> for person::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Person => Self::Person,
            Kind::Service => Self::Service,
        }
    }
}

impl From<person::SystemRole> for SystemRole {
    fn from(role: person::SystemRole) -> Self {
        match role {
            person::SystemRole::Member => Self::Member,
            person::SystemRole::Auditor => Self::Auditor,
            person::SystemRole::Administrator => Self::Administrator,
        }
    }
}

impl From<SystemRole> for person::SystemRole {
    fn from(role: SystemRole) -> Self {
        match role {
            SystemRole::Member => Self::Member,
            SystemRole::Auditor => Self::Auditor,
            SystemRole::Administrator => Self::Administrator,
        }
    }
}

/// `POST /people`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// What they log in with.
    #[schema(value_type = String, example = "ana")]
    pub login: Name,
    /// The name shown beside it; the login where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// A person or a program.
    #[serde(default = "a_person")]
    pub kind: Kind,
    /// What they may do in Daypass.
    #[serde(default = "a_member")]
    pub role: SystemRole,
    /// The groups they belong to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub groups: BTreeSet<Name>,
    /// The login of their manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub manager: Option<Name>,
    /// Of a service account, which needs one: the login of who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Name>,
    /// Where mail for them goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ana@example.com")]
    pub mail: Option<String>,
    /// Their first password. Without one they cannot log in yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

const fn a_person() -> Kind {
    Kind::Person
}

const fn a_member() -> SystemRole {
    SystemRole::Member
}

/// `POST /people/{login}/groups`: what changes, so that two changes at a time do not undo each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeGroups {
    /// To join.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub add: BTreeSet<Name>,
    /// To leave.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub remove: BTreeSet<Name>,
}

/// `POST /people/{login}/manager`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetManager {
    /// The manager's login; `null` for none.
    #[schema(value_type = Option<String>)]
    pub manager: Option<Name>,
}

/// `POST /people/{login}/owner`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOwner {
    /// The login of who answers for the service account from now on.
    #[schema(value_type = String, example = "bo")]
    pub owner: Name,
}

/// `POST /people/{login}/role`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// The role from now on.
    pub role: SystemRole,
}

/// `POST /people/{login}/mail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMail {
    /// The address from now on; `null` for none.
    #[schema(example = "ana@example.com")]
    pub mail: Option<String>,
}

/// `POST /people/{login}/handle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHandle {
    /// The namespace, as connectors name it.
    #[schema(value_type = String, example = "entra")]
    pub namespace: Name,
    /// What its targets call the account from now on: 1 to 256 characters, no control characters; `null` for nothing. It has to be
    /// said.
    #[schema(example = "7f1c9c5e-0a0d-4a7e-9a0e-3c1d2b4f5a6b", required = true)]
    #[serde(deserialize_with = "Option::deserialize")]
    pub id: Option<String>,
}

/// `POST /people/{login}/password`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    /// The present password; required for one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Secret>,
    /// The password from now on.
    pub password: Secret,
}

/// A group, as far as people of the directory belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its name.
    #[schema(value_type = String, example = "engineering")]
    pub name: Name,
    /// The logins of its active members.
    pub members: Vec<String>,
}

/// The query of `GET /people`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PersonQuery {
    /// Only members of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only people, or only service accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Also accounts that were switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactive: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
