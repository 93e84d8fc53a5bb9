//! Sessions: connections that were used under a grant, through a gateway.

use std::collections::BTreeMap;

use daypass_core::id::{GrantId, SessionId, TokenId};
use daypass_core::name::Name;
use daypass_core::session::Counters;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::item::Item;
use crate::secret::Secret;
use crate::ssh::SshGateway;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// The grant that it is used under.
    #[schema(value_type = String)]
    pub grant: GrantId,
    /// The login of who holds that.
    pub holder: String,
    /// For which item of it.
    pub item: Item,
    /// By which protocol.
    #[schema(value_type = String, example = "postgres")]
    pub protocol: Name,
    /// Where there, as which user, where an item may be several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "root@web-2.internal")]
    pub place: Option<String>,
    /// What they came in with, by its id in the list of tokens, where it is one of those: a password, or a key of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub credential: Option<TokenId>,
    /// Which gateway has it.
    #[schema(value_type = String)]
    pub gateway: Name,
    /// From which address; unless that was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "192.0.2.7:51112")]
    pub source: Option<String>,
    /// What the client's program calls itself. Anybody can say anything here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "psql")]
    pub program: Option<String>,
    /// Whether it is over.
    pub state: SessionState,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// When it was known to be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
    /// Why it is over: `left`, `expired`, `revoked`, `killed`, `locked`, `lease_lost`, `recording_failed`, `target_lost`,
    /// `protocol_violation`, `stopping`, or `lost` where its gateway is gone and nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "left")]
    pub reason: Option<String>,
    /// Who asked that it ends, where somebody did. It may have ended for another reason first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<Killed>,
    /// Whether the caller may end it now.
    #[serde(default)]
    pub endable: bool,
    /// What its gateway counted; once it is over, and where the gateway could say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<SessionCounters>,
    /// Its recording, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<SessionRecording>,
    /// Whether the caller may look into it: see its recording, and watch it. Said of one session, not in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_look: Option<bool>,
}

/// Whether a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// It is not.
    Open,
    /// Somebody asked that it ends; its gateway has not said yet that it did.
    Ending,
    /// It is.
    Closed,
}

impl SessionState {
    /// The state as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ending => "ending",
            Self::Closed => "closed",
        }
    }
}

/// Somebody asked that a session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Killed {
    /// The login of who did.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, in their words; unless they were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was counted in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCounters {
    /// Bytes from the client to the target.
    pub bytes_up: u64,
    /// Bytes from the target to the client.
    pub bytes_down: u64,
    /// Records that were delivered.
    pub recorded: u64,
    /// Records that could not be delivered: something happened that its recording does not show.
    pub unrecorded: u64,
    /// Statements that a guardrail refused.
    pub refused: u64,
    /// The target may still be working on what the session began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_work: bool,
}

impl From<Counters> for SessionCounters {
    fn from(counters: Counters) -> Self {
        let Counters {
            bytes_up,
            bytes_down,
            recorded,
            unrecorded,
            refused,
            may_work,
        } = counters;
        Self {
            bytes_up,
            bytes_down,
            recorded,
            unrecorded,
            refused,
            may_work,
        }
    }
}

impl From<SessionCounters> for Counters {
    fn from(counters: SessionCounters) -> Self {
        let SessionCounters {
            bytes_up,
            bytes_down,
            recorded,
            unrecorded,
            refused,
            may_work,
        } = counters;
        Self {
            bytes_up,
            bytes_down,
            recorded,
            unrecorded,
            refused,
            may_work,
        }
    }
}

/// The recording of a session, as far as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionRecording {
    /// How many chunks are stored.
    pub chunks: u64,
    /// How many lines they have.
    pub lines: u64,
    /// Whether they go to the end. Of a session that is over, one that does not was cut.
    pub complete: bool,
    /// When its time was over and it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub removed_at: Option<Timestamp>,
}

/// `POST /sessions/{id}/kill`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Why. The person whose session it is reads it.
    pub reason: String,
}

/// The query of `GET /sessions`: what the caller may see, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Only those under this grant, by its id or the first characters of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Only those of the person of this login. Whoever may not see theirs is shown none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Only those on this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// Only those that are not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `POST /gateway/credential`: what somebody connects to the gateway with. It is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GatewayCredential {
    /// What is no secret, in libpq's words: `host`, `port`, `user`, `sslmode`, and perhaps `sslrootcert_pem` (a CA to trust). The
    /// database is what one wants to reach: a resource, or a role on it. Without `host` where PostgreSQL's clients are not taken.
    pub fields: BTreeMap<String, String>,
    /// Where SSH's clients connect to. The user there is what one wants to reach; with a password, the login and a colon come
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshGateway>,
    /// The password.
    pub secret: Secret,
    /// Until when it is taken. Sessions that are open do not end by it.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}
