//! What would happen, were it asked now. The answer of the function that also enforces.

use daypass_core::name::Name;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::break_glass::Terms;
use crate::environment::EnvironmentRole;
use crate::item::Item;

/// The answer of `POST /preview`. A refusal is an answer here, not a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Preview {
    /// The request would be made.
    Allowed(Box<Path>),
    /// It would be refused.
    Refused(Refused),
}

/// The path that a request would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Path {
    /// What would be asked for.
    pub items: Vec<Item>,
    /// The roles of environments that were named, which stand for some of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentRole>,
    /// The rule that it would go by.
    #[schema(value_type = String, example = "prod-write")]
    pub rule: Name,
    /// Where the rule stands in the policy's files, such as `policy/db.yaml:19`.
    pub location: String,
    /// The policy revision in force.
    #[schema(value_type = String)]
    pub policy_revision: Hash,
    /// Who would be asked, in order; empty where access is instant.
    pub steps: Vec<StepPreview>,
    /// Half of the requests for any role on the same resources that people agreed to within thirty days took no longer, in whole
    /// minutes. Nothing where nobody is asked, or they were fewer than five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "12m")]
    pub usually: Option<Span>,
    /// For how long.
    #[schema(value_type = String, example = "1h")]
    pub duration: Span,
    /// The longest that the access may last in total, extensions included.
    #[schema(value_type = String, example = "2h")]
    pub max: Span,
    /// When the access is over at the latest, where the policy names a time: a window that closes, or a forbidden one that opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_by: Option<Timestamp>,
    /// What the policy says about that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_because: Option<String>,
    /// What ends the access early, as policy writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["idle 30m"]))]
    pub end_when: Vec<String>,
    /// Within how long before asking, and before each review, people must have proved who they are: by logging in, or by
    /// `POST /session/confirm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10m")]
    pub mfa: Option<Span>,
    /// Whether what is done with the access is recorded: `required` or `best-effort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// The sets of people that hear when the access is there, and when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub notify: Vec<Name>,
    /// How long the request may stay undecided.
    #[schema(value_type = String, example = "2h")]
    pub pending: Span,
    /// For an emergency: what is owed afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Terms>,
    /// The other rules that fit, more demanding than this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherRule>,
}

/// A step that would be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepPreview {
    /// Whom it asks.
    #[schema(example = "manager")]
    pub from: String,
    /// How many different people must agree.
    pub count: u32,
    /// The logins of who could answer now.
    pub reviewers: Vec<String>,
    /// How long they have.
    #[schema(value_type = String, example = "15m")]
    pub within: Span,
    /// Within how long before their review they must have proved who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10m")]
    pub mfa: Option<Span>,
    /// The guardrail that brought this step, where the rule did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub guardrail: Option<Name>,
    /// Who else is asked after silence; without it silence lets the request lapse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalates_to: Option<String>,
}

/// Another rule that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherRule {
    /// Its name.
    #[schema(value_type = String)]
    pub rule: Name,
    /// How many steps it has.
    pub steps: usize,
    /// The longest that it allows.
    #[schema(value_type = String)]
    pub max: Span,
}

/// Why a request would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// The stable code, such as `over-max`.
    pub code: String,
    /// What is refused and why.
    pub detail: String,
    /// What would work instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
