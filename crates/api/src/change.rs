//! Changes of Daypass itself that others must agree to.

use daypass_core::id::ChangeId;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::plan::Plan;
use crate::policy::PolicyFile;
use crate::request::{Decision, Step};
use crate::secret::Secret;

/// A change that somebody proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ChangeId,
    /// What it is about.
    #[serde(default)]
    pub kind: ChangeKind,
    /// What a review must name: the SHA-256 of all of it that never changes, the files' hashes among it.
    #[schema(value_type = String)]
    pub digest: Hash,
    /// How far it has come.
    pub state: ChangeState,
    /// The login of who proposed it.
    #[schema(example = "root")]
    pub proposer: String,
    /// The policy revision that it was proposed for. Under another one it is stale.
    #[schema(value_type = String)]
    pub policy_revision: Hash,
    /// The policy revision that it would put in force; of a change of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub revision: Option<Hash>,
    /// What would change, line by line, such as `+ rule prod-write` or `+ ana joins security`.
    pub summary: Vec<String>,
    /// Who must agree, in order, and who did.
    pub steps: Vec<Step>,
    /// When it was proposed.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was decided, taken back or lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// Why it lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapsed_because: Option<String>,
    /// Whether it waits for the caller, among others.
    pub reviewable: bool,
    /// The login of who is away and in whose place it waits for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewable_for: Option<String>,
    /// The files in force that it would replace; only where one change is shown, and while it waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<PolicyFile>,
    /// The files that it proposes; only where one change is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PolicyFile>,
    /// What the person would gain and lose by it under the policy in force, of a change of an account; only where one change is
    /// shown, and while it waits. What others gain and lose because of them is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What the person would be asked to review, or no more, line by line; as `plan`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<String>,
    /// Why it could not be done as things are now; as `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
}

/// What a change is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Another policy.
    #[default]
    Policy,
    /// An account of the local directory: it is made or changed, or gets a credential.
    Account,
}

/// The answer (202) to a command that was not carried out, because others must agree to it first. The change waits for them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Proposed {
    /// The change.
    pub change: Box<Change>,
    /// The secret of a token that was asked for, shown this once. It works from the moment on in which the change is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeState {
    /// Waiting for people.
    Pending,
    /// Every step agreed, and it was carried out in the same moment.
    Applied,
    /// Somebody said no.
    Denied,
    /// The proposer took it back.
    Withdrawn,
    /// Nobody answered in time, another policy came in force, or the account is no longer what it would change.
    Lapsed,
}

impl ChangeState {
    /// The state as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }
}

/// `POST /changes/{id}/reviews`. A change is agreed to as it stands, or denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChangeReview {
    /// Yes or no.
    pub decision: Decision,
    /// The digest of the change that the reviewer saw.
    #[schema(value_type = String)]
    pub digest: Hash,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The query of `GET /changes`: what the caller may see, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangeQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<ChangeState>)]
    pub state: Option<ChangeState>,
    /// Only the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// Only those that wait for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewable: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
