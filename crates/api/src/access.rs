//! Who has what just now: as a list, and as a matrix of people and resources.

use std::collections::BTreeSet;

use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::grant::GrantState;
use crate::item::Item;

/// The most rows, and the most columns, that a part of the matrix ever has.
pub const MAX_SIDE: u32 = 200;
/// How many rows a part of the matrix has where nobody says.
pub const DEFAULT_ROWS: u32 = 50;
/// How many columns.
pub const DEFAULT_COLUMNS: u32 = 40;

/// A role on a resource that somebody has, is about to have, or has not been seen to have lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holding {
    /// The login of who has it.
    pub holder: String,
    /// What.
    pub item: Item,
    /// The label `env` of the resource, where it has one now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// How and until when.
    #[serde(flatten)]
    pub by: HeldBy,
}

/// By which grant somebody has something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldBy {
    /// Which.
    #[schema(value_type = String)]
    pub grant: GrantId,
    /// By which request.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// How far the grant has come; never `ended`.
    pub state: GrantState,
    /// Who was to agree.
    pub way: Way,
    /// Since when all of it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Its deadline, once it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Who was to agree to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = access::Way)]
pub enum Way {
    /// Nobody: the rule says `approval: none`.
    Instant,
    /// People.
    Reviewed,
    /// Nobody before, because of an emergency.
    Emergency,
}

impl Way {
    /// The word as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Reviewed => "reviewed",
            Self::Emergency => "emergency",
        }
    }
}

/// The query of `GET /access`: what the caller may see, by login, resource and role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccessQuery {
    /// Only of this person, by login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Only of people in this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only on this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only on resources with this label `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Only on resources with this label: `name`, or `name=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "team=payments")]
    pub label: Option<String>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The query of `GET /access/matrix`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MatrixQuery {
    /// Only of this person, by login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Only of people in this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only on this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only on resources with this label `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Only on resources with this label: `name`, or `name=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "team=payments")]
    pub label: Option<String>,
    /// Whether what people have at targets without Daypass is in it too, as far as surveys told it and it is about resources of the
    /// policy. For auditors and administrators; for others it makes no difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<bool>,
    /// Whether what people could ask for is in it too: then everybody and every resource is, as far as the caller may see, which for
    /// others than auditors and administrators is themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible: Option<bool>,
    /// Whether people stand together by group. Who is in several stands in the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_group: Option<bool>,
    /// The first row to answer with, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
    /// How many rows; up to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// The first column to answer with, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// How many columns; up to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<u32>,
}

/// A part of the matrix of who has what. Only people who have something, and resources that somebody has something on, are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matrix {
    /// The rows of this part.
    pub people: Vec<MatrixPerson>,
    /// The columns of this part.
    pub resources: Vec<MatrixResource>,
    /// What is in them; nothing is said of those that are empty. By row and column.
    pub cells: Vec<MatrixCell>,
    /// How many rows the whole has.
    pub all_people: u32,
    /// How many columns the whole has.
    pub all_resources: u32,
    /// How many roles on resources people have in the whole.
    pub all_held: u32,
    /// Whether that is all that the caller may see.
    pub complete: bool,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatrixPerson {
    /// The login; of who is not in the directory, what they are called at the target.
    pub login: String,
    /// The connector at whose target they have something, where they are not in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub outside: Option<Name>,
    /// The groups that they belong to.
    #[schema(value_type = Vec<String>)]
    pub groups: BTreeSet<Name>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatrixResource {
    /// The resource.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its label `env`, where it has one now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Whether the policy in force still has it.
    pub known: bool,
}

/// A cell in which there is something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatrixCell {
    /// Its row in this part, from 0.
    pub person: u32,
    /// Its column in this part, from 0.
    pub resource: u32,
    /// What that person has there, by role.
    pub held: Vec<MatrixHeld>,
    /// What they have there without Daypass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<MatrixStanding>,
    /// The roles that they could ask for, and do not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub eligible: Vec<Name>,
}

/// What somebody has on a resource without Daypass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatrixStanding {
    /// The role of the policy that gives the same, or else more; none where no role does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub role: Option<Name>,
    /// What it is, where, and by what, in the target's words.
    pub told: String,
    /// When that was seen.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}

/// What somebody has on a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatrixHeld {
    /// The role.
    #[schema(value_type = String)]
    pub role: Name,
    /// How and until when.
    #[serde(flatten)]
    pub by: HeldBy,
}
