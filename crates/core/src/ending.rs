//! Why a grant ends: a deadline, somebody, a lock, a right that was lost, a target that would not.

use serde::{Deserialize, Serialize};

use crate::id::PersonId;
use crate::text::Prose;

/// Why a grant ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "lowercase")]
pub enum Reason {
    /// Its deadline came.
    Expired,
    /// Somebody ended it early.
    Revoked {
        /// Who.
        by: PersonId,
        /// Why, in their words.
        why: Option<Prose>,
    },
    /// The holder gave it back.
    Released,
    /// Its `end_when` came true.
    Completed,
    /// The holder or a resource was locked.
    Locked,
    /// The right to it was lost.
    Ineligible {
        /// Which check says so.
        why: String,
    },
    /// It was taken away by hand at the target.
    Removed,
    /// It could not be provisioned in time.
    Failed {
        /// What stood in the way.
        why: String,
    },
}

impl Reason {
    /// The reason's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked { .. } => "revoked",
            Self::Released => "released",
            Self::Completed => "completed",
            Self::Locked => "locked",
            Self::Ineligible { .. } => "ineligible",
            Self::Removed => "removed",
            Self::Failed { .. } => "failed",
        }
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        match self {
            Self::Revoked { why, .. } => why.iter_mut().collect(),
            Self::Expired
            | Self::Released
            | Self::Completed
            | Self::Locked
            | Self::Ineligible { .. }
            | Self::Removed
            | Self::Failed { .. } => Vec::new(),
        }
    }
}
