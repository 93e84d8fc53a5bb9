//! Why the policy answers as it does: each rule, and whether it fits.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::name::Name;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::environment::EnvironmentRole;
use crate::item::Item;
use crate::policy::PolicyFile;
use crate::preview::{Preview, Refused};

/// `POST /policy/explain`: a question to the policy. Nothing is asked of anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Whose access it is about, by login; the caller's own where it is missing. About others only auditors and administrators
    /// may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ana")]
    pub subject: Option<String>,
    /// One or more roles on resources, as one request.
    #[serde(default)]
    #[schema(value_type = Vec<Item>)]
    pub items: BTreeSet<Item>,
    /// Roles of environments: each stands for roles on many resources, which the policy that is asked says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<EnvironmentRole>)]
    pub environments: BTreeSet<EnvironmentRole>,
    /// For how long; the rule's usual length where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1h")]
    pub duration: Option<Span>,
    /// When it is asked; now where it is missing. The directory is always that of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// From when on the access is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub start: Option<Timestamp>,
    /// The address that it is asked from. Where it is missing: the caller's own, as the server sees it, where it is about them; else
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "203.0.113.9")]
    pub from: Option<IpAddr>,
    /// A ticket's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "PAY-7")]
    pub ticket: Option<String>,
    /// Whether it is asked as in an emergency.
    #[serde(default)]
    pub break_glass: bool,
    /// The files of a policy to ask instead of the one in force; for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<PolicyFile>>,
}

/// The answer: the decision, and what every rule said to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The login of whose access it is about.
    pub subject: String,
    /// What was asked for.
    pub items: Vec<Item>,
    /// When it was asked.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The revision of the policy that was asked.
    #[schema(value_type = String)]
    pub policy_revision: Hash,
    /// Where the person or a resource is locked: nothing is granted then, whatever the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Refused>,
    /// Whether what the person has had already was not counted against the policy's limits, because it is about another time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limits_left_out: bool,
    /// Whether one of the rules asks from where it is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_source: bool,
    /// The address that it was taken to be asked from; missing where there is none that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "203.0.113.9")]
    pub from: Option<IpAddr>,
    /// What the policy decides.
    pub decision: Preview,
    /// Each rule that is about all of what was asked for, in file order.
    pub rules: Vec<Verdict>,
}

/// What one rule said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RuleVerdict)]
pub struct Verdict {
    /// The rule.
    #[schema(value_type = String, example = "prod-write")]
    pub rule: Name,
    /// Where it stands in the policy's files, such as `policy/db.yaml:19`.
    pub location: String,
    /// Whether it fits.
    pub fit: Fit,
    /// How, or why not, in words.
    pub detail: String,
    /// The code of the refusal, where something stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "over-max")]
    pub code: Option<String>,
}

/// Whether a rule fits a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// It does, and is taken.
    Taken,
    /// It does, and another asks for less.
    Fits,
    /// It admits others.
    AdmitsOthers,
    /// It is for emergencies and this is none, or the other way round.
    OtherVerb,
    /// It admits the person, and something else stands in the way.
    Obstructed,
}
