//! Events: the live stream that wakes clients, and the audit trail.

use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What Daypass itself is called among those who cause events: by deadlines, the reconciler, the first start. Where somebody's login is
/// that, it is theirs.
pub const ITSELF: &str = "daypass";

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subject {
    /// `request`, `grant`, `entitlement`, `person` or `policy`.
    #[schema(example = "request")]
    pub kind: String,
    /// The id within the kind.
    pub id: String,
}

/// One message of `GET /events` (server-sent events): its `id` is `seq`, its `event` is `name`, its `data` is this.
///
/// It says that something happened, to whoever may see the subject; what the subject is now is to be read there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place among all events. A client that comes back sends the last one as `Last-Event-ID`.
    pub seq: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened, such as `request.approved`.
    #[schema(example = "request.approved")]
    pub name: String,
    /// What it is about.
    pub subject: Subject,
    /// The login of who caused it; absent for Daypass itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// One entry of `GET /audit/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Its place among all events, which is its leaf's index in the log.
    pub seq: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened, such as `request.approved`.
    #[schema(example = "request.approved")]
    pub name: String,
    /// What it is about.
    pub subject: Subject,
    /// The login of who caused it; absent for Daypass itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What happened in one line, for people.
    pub summary: String,
    /// The event as it was recorded. Personal text is in it by salted hash only.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    /// The hash of its leaf in the log.
    #[schema(value_type = String)]
    pub leaf: Hash,
}

/// The query of `GET /audit/events`: oldest first, unless `newest` says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only events of this name, or all of a kind: `request.approved`, or `request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only what this person (login) caused, or `daypass` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only what this id (full) is the subject of. A request also brings what happened to its grant and entitlements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Not before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// Before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub until: Option<Timestamp>,
    /// The newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
