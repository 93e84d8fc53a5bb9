//! Requests and their reviews.

use std::collections::BTreeSet;

use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Name;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::break_glass::BreakGlass;
use crate::environment::EnvironmentRole;
use crate::item::Item;

/// `POST /requests` and `POST /preview`. Who asks is the caller, never a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// Roles on resources. All that is asked for is granted and ended as one.
    #[serde(default)]
    #[schema(value_type = Vec<Item>)]
    pub items: BTreeSet<Item>,
    /// Roles of environments: each stands for roles on many resources, which the policy in force says. The request is for those
    /// items, and for no others that the environment may come to stand for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<EnvironmentRole>)]
    pub environments: BTreeSet<EnvironmentRole>,
    /// For how long; the rule's usual length where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1h")]
    pub duration: Option<Span>,
    /// Not before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub start: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A ticket's name. It is not looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "PAY-7")]
    pub ticket: Option<String>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Request {
    /// Its id.
    #[schema(value_type = String)]
    pub id: RequestId,
    /// What a review must name: the SHA-256 of all of it that never changes.
    #[schema(value_type = String)]
    pub digest: Hash,
    /// How far it has come.
    pub state: RequestState,
    /// The login of who asks.
    #[schema(example = "ana")]
    pub requester: String,
    /// The login of who answered for the requester, a service account, when it asked. They do not review it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "bo")]
    pub owner: Option<String>,
    /// What is asked for.
    pub items: Vec<Item>,
    /// Why, in the requester's words.
    pub reason: String,
    /// A ticket's name, as given: nobody verified it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The address that it was asked from, where its rule asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.9")]
    pub source: Option<String>,
    /// For how long it was asked.
    #[schema(value_type = String, example = "1h")]
    pub duration: Span,
    /// Not before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub start: Option<Timestamp>,
    /// The grant that it would lengthen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub extends: Option<GrantId>,
    /// The rule that it goes by.
    #[schema(value_type = String, example = "prod-write")]
    pub rule: Name,
    /// The policy revision that chose the rule.
    #[schema(value_type = String)]
    pub policy_revision: Hash,
    /// The longest that the access may last in total, extensions included.
    #[schema(value_type = String, example = "2h")]
    pub max: Span,
    /// When the access is over at the latest, where the policy named a time: a window that closes, or a forbidden one that opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_by: Option<Timestamp>,
    /// What ends the access early, as policy writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["idle 30m"]))]
    pub end_when: Vec<String>,
    /// Whether what is done with the access is recorded: `required` or `best-effort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// The sets of people that hear when the access is there, and when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub notify: Vec<Name>,
    /// Who must agree, in order, and who did.
    pub steps: Vec<Step>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When nobody may decide it any more.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was decided, withdrawn or lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// What all reviews agree on, once approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// The grant that it led to, or lengthened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub grant: Option<GrantId>,
    /// Whether it waits for the caller, among others.
    pub reviewable: bool,
    /// The login of who is away and in whose place it waits for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewable_for: Option<String>,
    /// What each item is at its target, by the policy in force: for those for whom it waits, and for who may read the policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// For access that was taken in an emergency: the review that is owed for it, or was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

/// What an item is at its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ItemEffect)]
pub struct Effect {
    /// Which.
    pub item: Item,
    /// The provider's kind, such as `postgres`.
    #[schema(value_type = String, example = "postgres")]
    pub kind: Name,
    /// The connector that sets it up.
    #[schema(value_type = String, example = "pg-main")]
    pub connector: Name,
    /// What giving it does at the target, in the words of what is there: statements, rules, assignments. Empty where the policy's own
    /// words say it best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["GRANT \"app_writer\" TO \"daypass_g7k2m9x0v3n5q8tzb_0\""]))]
    pub does: Vec<String>,
    /// What the provider reads about the role, as the policy writes it.
    #[schema(value_type = Object, example = json!({"grants": ["SELECT ON ALL TABLES IN SCHEMA public"]}))]
    pub role: serde_json::Value,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestState {
    /// Waiting for people.
    Pending,
    /// Every step agreed.
    Approved,
    /// Somebody said no.
    Denied,
    /// The requester took it back.
    Withdrawn,
    /// Nobody answered in time, or the right to ask was lost meanwhile.
    Lapsed,
}

impl RequestState {
    /// The state as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }
}

/// What the reviews of an approved request agree on: never more than was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approved {
    /// For how long.
    #[schema(value_type = String, example = "30m")]
    pub duration: Span,
    /// What.
    pub items: Vec<Item>,
}

/// One stage of an approval chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Whom it asks: `manager`, or a set of people that the policy names.
    #[schema(example = "security")]
    pub from: String,
    /// How many different people must agree.
    pub count: u32,
    /// How far it has come.
    pub state: StepState,
    /// The logins of who may answer now; for the open step only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<String>,
    /// Who may answer in the place of one of these who is away; for the open step only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<StandIn>,
    /// The reviews so far.
    pub reviews: Vec<Review>,
    /// How long its people have, from when it opens.
    #[schema(value_type = String, example = "30m")]
    pub within: Span,
    /// Within how long before their review they must have proved who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10m")]
    pub mfa: Option<Span>,
    /// The guardrail that brought this step, where the rule did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub guardrail: Option<Name>,
    /// When it has been silent too long; for the open step only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// Who else is asked after silence; without it silence lets the request lapse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalates: Option<Escalation>,
}

/// Somebody who may answer in the place of somebody who is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandIn {
    /// The login of the delegate.
    #[schema(example = "bo")]
    pub delegate: String,
    /// The login of who is away.
    #[schema(example = "ana")]
    pub r#for: String,
}

impl Step {
    /// Who may answer now, in words: `ana`, `bo for ana`.
    #[must_use]
    pub fn answerers(&self) -> Vec<String> {
        let stand_ins = self.stand_ins.iter();
        let stand_ins = stand_ins.map(|one| format!("{} for {}", one.delegate, one.r#for));
        self.reviewers.iter().cloned().chain(stand_ins).collect()
    }
}

impl Review {
    /// Who decided, and in whose place: `bo for ana`.
    #[must_use]
    pub fn by(&self) -> String {
        in_whose_place(&self.reviewer, self.r#for.as_deref())
    }
}

/// Who did something, and in whose place: `bo for ana`.
#[must_use]
pub fn in_whose_place(who: &str, absent: Option<&str>) -> String {
    absent.map_or_else(|| who.to_owned(), |absent| format!("{who} for {absent}"))
}

/// Who else is asked where a step stays silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Escalation {
    /// Whom.
    pub to: String,
    /// How long they have.
    #[schema(value_type = String, example = "15m")]
    pub within: Span,
    /// Whether that has happened.
    pub happened: bool,
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// An earlier step is open.
    Waiting,
    /// Its people are being asked.
    Open,
    /// Enough people agreed.
    Approved,
    /// Somebody said no.
    Denied,
    /// The request ended before it was answered.
    Closed,
    /// Nobody answered in time, or too few did: the request lapsed here.
    Silent,
}

/// One person's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// The login of who decided.
    pub reviewer: String,
    /// The login of who is away and in whose place they decided; absent where they did in their own right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#for: Option<String>,
    /// What they decided.
    pub decision: Decision,
    /// At most so long, where they approved for less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub duration: Option<Span>,
    /// Only these items, where they approved fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Yes, within the bounds given.
    Approve,
    /// No.
    Deny,
}

/// `POST /requests/{id}/reviews`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// Yes or no.
    pub decision: Decision,
    /// The digest of the request that the reviewer saw.
    #[schema(value_type = String)]
    pub digest: Hash,
    /// At most so long; never longer than was asked. Not for a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "30m")]
    pub duration: Option<Span>,
    /// Only these; never other than was asked. Not for a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Item>>)]
    pub items: Option<BTreeSet<Item>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The query of `GET /requests`: what the caller may see, newest first; `reviewable` ones by time left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<RequestState>)]
    pub state: Option<RequestState>,
    /// Only the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// Only those of the person of this login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// Only those that wait for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewable: Option<bool>,
    /// Only those for which a review is owed after an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owing: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
