//! Grants: access, from its schedule to the evidence that it is gone.

use std::collections::BTreeMap;

use daypass_core::id::{GrantId, RequestId};
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::item::Item;
use crate::secret::Secret;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Its id.
    #[schema(value_type = String)]
    pub id: GrantId,
    /// The request that led to it.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// How far it has come.
    pub state: GrantState,
    /// The login of who holds it.
    pub holder: String,
    /// What it gives.
    pub items: Vec<Item>,
    /// For how long, from when all of it is there.
    #[schema(value_type = String, example = "1h")]
    pub duration: Span,
    /// When it may begin, while that is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// When all of its access was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub activated_at: Option<Timestamp>,
    /// Its deadline; while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// What it never outlives, extensions included.
    #[schema(value_type = String, format = DateTime)]
    pub latest_end: Timestamp,
    /// What ends it early, as policy writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["idle 30m"]))]
    pub end_when: Vec<String>,
    /// When its end began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ending_since: Option<Timestamp>,
    /// When it was seen to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Why it ends or ended: `expired`, `revoked`, `released`, `completed`, `locked`, `ineligible`, `removed` or `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "expired")]
    pub ended_reason: Option<String>,
    /// More on that: who revoked it and why, what stood in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_detail: Option<String>,
    /// Whether its removal takes longer than it should.
    pub overdue: bool,
    /// Whether it was taken in an emergency, without anybody's agreement.
    #[serde(default)]
    pub break_glass: bool,
    /// Whether the caller may end it now.
    #[serde(default)]
    pub endable: bool,
    /// What is or was at the targets, item by item.
    pub entitlements: Vec<Entitlement>,
}

/// How far a grant has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// Approved; its time has not come.
    Scheduled,
    /// Being provisioned.
    Activating,
    /// All of it is there; its clock runs.
    Active,
    /// Being taken away.
    Ending,
    /// Seen to be gone.
    Ended,
}

impl GrantState {
    /// The state as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }

    /// Whether it has begun to end, or has ended.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ending | Self::Ended)
    }
}

/// One item of a grant at its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlement {
    /// The thing to reach.
    #[schema(value_type = String)]
    pub resource: Name,
    /// The named permission on it.
    #[schema(value_type = String)]
    pub role: Name,
    /// The provider's kind, such as `postgres`.
    #[schema(value_type = String, example = "postgres")]
    pub kind: Name,
    /// The connector, and what the provider calls it there.
    #[schema(example = "pg-main:daypass_r7k2m9x0v3n5q8tz_0")]
    pub target: String,
    /// What the target calls whom it is given to, where it is given to somebody whom the target knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "7f1c9c5e-0a0d-4a7e-9a0e-3c1d2b4f5a6b")]
    pub subject: Option<String>,
    /// The address that it is opened to, where it is opened to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "203.0.113.7")]
    pub source: Option<std::net::IpAddr>,
    /// What should be.
    pub desired: Desired,
    /// What was last seen.
    pub observed: Observed,
    /// When that was; absent where nothing was ever provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub observed_at: Option<Timestamp>,
    /// The target's own limit, where it keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Whether its removal takes longer than it should.
    pub overdue: bool,
    /// What shows that it is gone, once the grant has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// What should be at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// The access should be there.
    Present,
    /// It should not.
    Absent,
}

/// What a target showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// Nothing was ever provisioned.
    Never,
    /// A call was made, and nobody has looked since.
    Unknown,
    /// It is there.
    Present,
    /// It is not usable there.
    Absent,
}

/// How the end of an item is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Evidence {
    /// Something else than a look at the target shows that it is not usable.
    Shown {
        /// When that was known.
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        /// What shows it: which hosts acknowledged which revocation list, or what ran out when.
        by: String,
    },
    /// The target was read, and it is not usable there.
    TargetRead {
        /// When.
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        /// What was left behind; no access.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        residue: Vec<String>,
    },
    /// Another grant holds the same opening; it goes with that one.
    HeldBy {
        /// Which.
        #[schema(value_type = String)]
        grant: GrantId,
    },
    /// No call to provision it was ever intended.
    NeverProvisioned,
}

/// `POST /grants/{id}/extend`. The answer is a request, which may need reviews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// By how much.
    #[schema(value_type = String, example = "30m")]
    pub duration: Span,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A ticket's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// `POST /grants/{id}/revoke`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to a revocation or release. The grant is then ending; it has ended once the targets were seen without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ending {
    /// The grant.
    pub grant: Grant,
    /// The holder's other grants that still give some of the same items.
    pub surviving: Vec<Surviving>,
}

/// A grant that goes on giving what another gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Surviving {
    /// Which.
    #[schema(value_type = String)]
    pub id: GrantId,
    /// What it still gives of the same.
    pub items: Vec<Item>,
    /// Its deadline, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// `POST /grants/{id}/credentials`: for which item. It may be left out where the grant has one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskCredential {
    /// Which item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
}

/// Credentials of one item, set at the target just now. They are shown this once; those before no longer work.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// For which item.
    pub item: Item,
    /// The provider's kind, which says how to read `fields`.
    #[schema(value_type = String, example = "postgres")]
    pub kind: Name,
    /// What is no secret; for `postgres` in libpq's words: `host`, `port`, `user`, `dbname`, `sslmode`, and perhaps
    /// `sslrootcert_pem` (a CA to trust).
    pub fields: BTreeMap<String, String>,
    /// The secret itself.
    pub secret: Secret,
    /// The grant's deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// The query of `GET /grants`: what the caller may see, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrantQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GrantState>)]
    pub state: Option<GrantState>,
    /// Only the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// Only those that have not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
