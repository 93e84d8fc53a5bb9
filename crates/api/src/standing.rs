//! The inventory: what people have at targets without Daypass, what a policy could name there, and where targets and grants differ.
//!
//! Each server surveys its connectors by itself and keeps what it saw in memory, so each answer says how the surveys stand.

use std::collections::BTreeMap;

use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::connector::Stuck;
use crate::item::Item;

/// How the survey of a connector stands at the server that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Survey {
    /// The connector.
    #[schema(value_type = String, example = "pg-main")]
    pub connector: Name,
    /// Since when the last survey that was through has looked: nothing that it told is older. Absent where this server has made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen_at: Option<Timestamp>,
    /// How many entries of standing access it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<u64>,
    /// How many things it found that a policy could name, whether or not it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
    /// What it could not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<String>,
    /// The kind of this connector cannot tell what stands at its target.
    #[serde(default)]
    pub cannot_tell: bool,
    /// One that was asked for and has not begun.
    #[serde(default)]
    pub asked_for: bool,
    /// The one that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<UnderWay>,
    /// Why it does not go on; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Stuck>,
}

/// A survey that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = survey::UnderWay)]
pub struct UnderWay {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// How much has been looked at, in whatever the kind counts …
    pub done: u64,
    /// … and of how much, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

/// Access that somebody has at a target without Daypass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = standing::Entry)]
pub struct Standing {
    /// At which connector.
    #[schema(value_type = String, example = "pg-main")]
    pub connector: Name,
    /// Nothing that is said here is older than this.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    /// Who has it.
    pub subject: Subject,
    /// What, in the target's words.
    #[schema(example = "member of app_writer")]
    pub right: String,
    /// Where, in the target's words.
    #[schema(example = "database orders")]
    pub on: String,
    /// Where it comes from, where it is no entry for the subject itself: a role, a group, a scope above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was last used, where the target tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    /// Its end, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The login of whom it is in the directory, where somebody is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Whether that is a guess, because they are called the same.
    #[serde(default)]
    pub guessed: bool,
    /// The roles of the policy that give the same just in time, or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_by: Vec<GivenBy>,
    /// The resource of the policy that it is about, whether or not a role of it gives this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub place: Option<Name>,
    /// The same in the words of policy, where Daypass could give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

/// Who has something at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = standing::Subject)]
pub struct Subject {
    /// What the target knows them by.
    pub id: String,
    /// What people call them there.
    pub name: String,
    /// What they are: `person`, `group`, `program` or `everybody`, as far as the target tells.
    #[schema(example = "person")]
    pub kind: String,
}

/// A role of the policy that gives what somebody has for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = standing::GivenBy)]
pub struct GivenBy {
    /// The role on the resource.
    pub item: Item,
    /// Whether it gives more than that.
    pub more: bool,
    /// Whether they could ask for it now; absent where nobody of the directory is known to be them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible: Option<bool>,
}

/// Access in the words of policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = standing::Offer)]
pub struct Offer {
    /// The kind of the resource.
    #[schema(example = "postgres")]
    pub kind: String,
    /// What the resource could be called.
    #[schema(value_type = String)]
    pub resource_name: Name,
    /// Its configuration.
    #[schema(value_type = Object, example = json!({"database": "orders"}))]
    pub resource: Value,
    /// What the role could be called.
    #[schema(value_type = String)]
    pub role_name: Name,
    /// What the role gives.
    #[schema(value_type = Object, example = json!({"member_of": ["app_writer"]}))]
    pub role: Value,
}

/// The query of `GET /access/standing`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StandingQuery {
    /// Only at this connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// Only on this resource of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only of who is called so at the target, or has this login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The query of lists that have no filter of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InventoryQuery {
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Some of an inventory, how to go on, and how the surveys stand that it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = survey::Listed)]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; absent on the last. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How the surveys stand: of what was not surveyed, nothing is known.
    pub surveys: Vec<Survey>,
    /// Whether that is all that there is to list.
    pub complete: bool,
}

/// Where a target and the grants differ, or somebody has for good what the policy gives just in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = drift::Entry)]
pub struct Drift {
    /// How.
    pub drift: DriftKind,
    /// At which connector.
    #[schema(value_type = String)]
    pub connector: Name,
    /// What is so, in words.
    pub what: String,
    /// What is to be done, and by whom.
    pub todo: String,
    /// The role on the resource, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// The login of whom it is about, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The key at the target, of what Daypass made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When that was seen.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}

/// A kind of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = drift::Kind)]
pub enum DriftKind {
    /// It stands, or may, and no grant holds it; Daypass takes it away.
    Unwanted,
    /// The same, where the connector says that people take it away.
    LeftToPeople,
    /// A grant holds it, and somebody took it away by hand.
    Missing,
    /// Somebody has for good what a role of the policy gives just in time.
    Standing,
}

impl DriftKind {
    /// The word as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::LeftToPeople => "left-to-people",
            Self::Missing => "missing",
            Self::Standing => "standing",
        }
    }
}

/// Something at a target that no resource of the policy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = survey::Found)]
pub struct Found {
    /// The connector that reaches it.
    #[schema(value_type = String)]
    pub connector: Name,
    /// Its kind.
    #[schema(example = "postgres")]
    pub kind: String,
    /// What it could be called; another name than any resource of the policy and any other one that was found.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is, in the target's words.
    pub told: String,
    /// Its configuration.
    #[schema(value_type = Object, example = json!({"database": "orders"}))]
    pub resource: Value,
    /// Roles that make sense there.
    #[schema(value_type = Object)]
    pub roles: BTreeMap<Name, Value>,
    /// Labels that follow from what the target says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub labels: BTreeMap<Name, Name>,
}
