//! Delegation for absence: who reviews in whose place.

use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A delegation whose time is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delegation {
    /// The login of who is away.
    #[schema(example = "ana")]
    pub of: String,
    /// The login of who reviews in their place.
    #[schema(example = "bo")]
    pub to: String,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it has an effect now.
    pub state: DelegationState,
}

/// Whether a delegation has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DelegationState {
    /// Its time has not come.
    Planned,
    /// It has.
    Active,
    /// It would, but for the policy in force (which does not let its delegate be one), a lock, or an account that is switched off.
    Void,
}

impl DelegationState {
    /// The state as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Active => "active",
            Self::Void => "void",
        }
    }
}

/// `POST /delegations`. Whose it is, is who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDelegation {
    /// The login of who is to review.
    #[schema(example = "bo")]
    pub to: String,
    /// From when on; from now where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Until when; 30 days after it begins at the latest.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Why; the delegate reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to `POST /delegations/{login}/end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationEnded {
    /// The login of whose delegation it was.
    pub of: String,
}

/// The query of `GET /delegations`: those that the caller made or is the delegate of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DelegationQuery {
    /// Everybody's; for auditors and administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}
