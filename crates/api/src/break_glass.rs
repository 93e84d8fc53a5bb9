//! Break-glass: what is owed for access that was taken in an emergency.

use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a rule for emergencies would ask for: nobody agrees before, somebody looks after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Terms {
    /// The set of people that is to be told at once.
    #[schema(example = "security")]
    pub page: String,
    /// The set of people of whom one must look at it afterwards.
    #[schema(example = "security")]
    pub review_by: String,
    /// The logins of who could do that now.
    pub reviewers: Vec<String>,
    /// Within how long.
    #[schema(value_type = String, example = "24h")]
    pub within: Span,
}

/// The review that is owed for a request, or was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakGlass {
    /// The set of people that is to be told at once.
    #[schema(example = "security")]
    pub page: String,
    /// The set of people of whom one must look at it afterwards.
    #[schema(example = "security")]
    pub review_by: String,
    /// How that stands.
    #[serde(flatten)]
    pub review: Review,
}

/// How the review of an emergency stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "review", rename_all = "lowercase")]
#[schema(as = EmergencyReview)]
pub enum Review {
    /// Nobody has looked at it yet, and there is time.
    Owed {
        /// Until when somebody should.
        #[schema(value_type = String, format = DateTime)]
        due_at: Timestamp,
        /// The logins of who may.
        reviewers: Vec<String>,
    },
    /// Nobody has looked at it in time. It goes on being owed.
    Overdue {
        /// Since when.
        #[schema(value_type = String, format = DateTime)]
        due_at: Timestamp,
        /// The logins of who may.
        reviewers: Vec<String>,
    },
    /// Somebody has looked at it.
    Reviewed {
        /// The login of who.
        by: String,
        /// When.
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        /// What they make of it, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// Whether that was later than it should have been.
        late: bool,
        /// The login of who is away and in whose place they looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        r#for: Option<String>,
    },
}

impl Review {
    /// Until when somebody should look at it, or should have; `None` once somebody has.
    #[must_use]
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Owed { due_at, .. } | Self::Overdue { due_at, .. } => Some(*due_at),
            Self::Reviewed { .. } => None,
        }
    }
}

/// `POST /requests/{id}/acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// The digest of the request that the reviewer saw.
    #[schema(value_type = String)]
    pub digest: Hash,
    /// What they make of it; required.
    pub comment: String,
    /// Whether the access ends now, if it has not.
    #[serde(default)]
    pub revoke: bool,
}
