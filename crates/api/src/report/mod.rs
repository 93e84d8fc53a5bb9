//! Reports: what was asked for in a period, what became of it, what stands and what is late.

mod tables;

use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::item::Item;

pub use tables::{Cell, Part, Table, per_mille};

/// The query of `GET /reports`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// From when on; 30 days where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Before when; now where it is missing. At most 366 days after `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Only what has to do with resources that have this label `env` now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// The answer of `GET /reports`. Requests count by when they were made, grants by when they were opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// From when on it reports.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The environment that it is limited to, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The environments that there are: what a report can be limited to.
    pub environments: Vec<String>,
    /// What became of the requests.
    pub requests: ReportRequests,
    /// The same over time: slots that follow each other, those without a request included.
    pub over_time: Vec<ReportSlot>,
    /// How long people took to agree.
    pub time_to_approve: TimeToApprove,
    /// The resources that were asked for most, ten at most.
    pub busiest: Vec<BusyResource>,
    /// Whether grants were used.
    pub grants: GrantUse,
    /// What stands, and what just-in-time access leaves of it.
    pub standing: ReportStanding,
    /// What takes longer than it should.
    pub late: ReportLate,
}

/// What became of the requests of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportRequests {
    /// All of them, extensions included.
    pub made: u64,
    /// Approved by a rule that asks nobody.
    pub instant: u64,
    /// Approved by people.
    pub agreed: u64,
    /// Taken in an emergency.
    pub emergencies: u64,
    /// Denied.
    pub denied: u64,
    /// Taken back.
    pub withdrawn: u64,
    /// Lapsed, because nobody answered or the right to ask was lost.
    pub lapsed: u64,
    /// Still undecided.
    pub pending: u64,
}

impl ReportRequests {
    /// Those that led to access.
    #[must_use]
    pub const fn approved(&self) -> u64 {
        self.instant + self.agreed + self.emergencies
    }
}

/// A piece of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportSlot {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// What became of the requests that were made in it.
    pub requests: ReportRequests,
}

/// How long people took to agree: from the request to the last of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeToApprove {
    /// Of how many requests.
    pub count: u64,
    /// The middle one, where there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "12m")]
    pub median: Option<Span>,
    /// Nine of ten took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1h30m")]
    pub p90: Option<Span>,
    /// How they are spread.
    pub spread: Vec<ReportSpread>,
}

/// How many took so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportSpread {
    /// Shorter than this, and not shorter than the one before; the last has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "15m")]
    pub below: Option<Span>,
    /// How many.
    pub count: u64,
}

/// How often a resource was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BusyResource {
    /// Which.
    #[schema(value_type = String)]
    pub resource: Name,
    /// How many requests.
    pub requests: u64,
    /// Of how many people.
    pub people: u64,
    /// How many were denied.
    pub denied: u64,
}

/// Whether the grants of a period were used: whether anybody was given credentials, or opened a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantUse {
    /// How many were opened.
    pub opened: u64,
    /// How many of these became active.
    pub active: u64,
    /// How many of those are over, and would have shown whether they were used.
    pub over: u64,
    /// How many of those were not.
    pub unused: u64,
    /// The resources with most of them, ten at most.
    pub unused_by_resource: Vec<UnusedResource>,
    /// Resources of which Daypass cannot see whether access is used: it is there without credentials. Their grants are in
    /// neither of the two before.
    #[schema(value_type = Vec<String>)]
    pub unseen: Vec<Name>,
}

/// How many grants of a resource nobody used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnusedResource {
    /// Which.
    #[schema(value_type = String)]
    pub resource: Name,
    /// How many were active and are over.
    pub over: u64,
    /// How many of these nobody used.
    pub unused: u64,
}

/// What stands, and what just-in-time access leaves of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportStanding {
    /// Whether targets are asked who has access there beside Daypass. Where not, of standing access nothing is known.
    pub inventory: bool,
    /// What was last seen at a target, or may be there, although no grant wants it: what is on its way out, and what somebody
    /// made there by hand under a name of ours. Not said for one environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwanted: Option<u64>,
    /// How many pairs of a person and a resource had access in the period.
    pub pairs: u64,
    /// How many seconds they had it, all together.
    pub held_seconds: u64,
    /// How many seconds they would have had it if it stood all that time.
    pub standing_seconds: u64,
    /// Grants that are active now.
    pub grants_now: u64,
    /// People who hold any of these.
    pub people_now: u64,
    /// Resources that they give something on.
    pub resources_now: u64,
    /// How many of them end within the hour.
    pub soon: u64,
}

/// What takes longer than it should.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportLate {
    /// How many grants became overdue in the period: their access was not seen to be gone in time.
    pub revocations: u64,
    /// How many are overdue now, whenever that began.
    pub revocations_now: u64,
    /// Those that have been for longest, ten at most.
    pub grants: Vec<LateGrant>,
    /// How many reviews after an emergency are owed now.
    pub reviews_owed: u64,
    /// How many of these nobody gave in time.
    pub reviews_overdue: u64,
    /// Those that have been owed for longest, ten at most.
    pub reviews: Vec<LateReview>,
}

/// A grant that ought to be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LateGrant {
    /// Which.
    #[schema(value_type = String)]
    pub grant: GrantId,
    /// By which request.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// The login of who holds it.
    pub holder: String,
    /// What it gives.
    pub items: Vec<Item>,
    /// Since when it ends.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// A review that is owed after an emergency, and late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LateReview {
    /// Of which request.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// The login of who took it.
    pub requester: String,
    /// What was taken.
    pub items: Vec<Item>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}
