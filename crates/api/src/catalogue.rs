//! The catalogue: what there is, what the caller may ask for, and what it takes.

use std::collections::BTreeMap;

use daypass_core::name::Name;
use daypass_core::time::Span;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::item::Item;

/// One role on one resource, as it looks to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// The role on the resource.
    pub item: Item,
    /// The target's kind, such as `postgres`.
    #[schema(value_type = String, example = "postgres")]
    pub kind: Name,
    /// The resource's labels.
    pub labels: BTreeMap<String, String>,
    /// The set of people whom the policy names as the resource's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "payments")]
    pub owner: Option<Name>,
    /// What it takes.
    pub how: How,
    /// Whether the caller may break the glass for it: the policy has a rule for emergencies that admits them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

impl Offer {
    /// The label `env`, where there is one.
    #[must_use]
    pub fn env(&self) -> Option<&str> {
        self.labels.get("env").map(String::as_str)
    }
}

/// What it takes to get a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "how", rename_all = "lowercase")]
pub enum How {
    /// Asking is enough.
    Instant {
        /// The rule that says so.
        #[schema(value_type = String)]
        rule: Name,
        /// The longest that it would be given for now.
        #[schema(value_type = String, example = "8h")]
        max: Span,
        /// What a request must still say, where it depends on that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        depends: Option<Depends>,
    },
    /// Others must agree.
    Reviewed {
        /// The rule that says so.
        #[schema(value_type = String)]
        rule: Name,
        /// The longest that it would be given for now.
        #[schema(value_type = String, example = "2h")]
        max: Span,
        /// Whom its steps ask, in order, such as `manager` or `2 of security`.
        steps: Vec<String>,
        /// What a request must still say, where it depends on that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        depends: Option<Depends>,
    },
    /// No rule gives it to the caller.
    Closed {
        /// The stable code of why not.
        code: String,
        /// Why not.
        detail: String,
        /// Who owns it, or what would make it pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// On what a request must still say, or say otherwise, it depends whether a role is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Depends {
    /// The fields of a request that decide: `duration`, `start` or `ticket`.
    #[schema(example = json!(["duration"]))]
    pub on: Vec<String>,
    /// What the rule asks for, or what stands in the way where it is not said.
    pub detail: String,
    /// What to ask for now, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The query of `GET /resources`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResourceQuery {
    /// Only resources with this label `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Only roles that these words find, in any order and either case: each is in the role as `resource/role`, in the kind, or in
    /// one of the resource's labels, `name=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Only this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only what asking alone is enough for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant: Option<bool>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most entries to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
