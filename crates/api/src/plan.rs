//! What a change of policy does to people: who gains and who loses what.

use daypass_core::name::Name;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::item::Item;
use crate::policy::Diagnostic;

/// The answer of `POST /policy/plan`. Problems of the policy are the answer, not a problem of the call.
///
/// Everybody active is asked about every role, in the policy in force and in the other. Conditions (windows, tickets, sources,
/// expressions, forbidden windows) are supposed to hold, and compared as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// The revision in force.
    #[schema(value_type = String)]
    pub from: Hash,
    /// The revision that it would be; absent where it does not load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Hash>,
    /// Why it does not load; nothing is compared then.
    pub diagnostics: Vec<Diagnostic>,
    /// What changes: what is gained first, what is lost last.
    pub changes: Vec<PlanChange>,
    /// How many people were asked about.
    pub people: usize,
    /// How many roles there are, before and after.
    pub roles: usize,
    /// How many of them were not compared, because that would have been too much work. The plan says nothing of these.
    pub left_out: usize,
}

/// One change: the same for each of these people and each of these roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanChange {
    /// What becomes of their access.
    pub effect: Effect,
    /// Whether it is about access in an emergency.
    pub break_glass: bool,
    /// The way that is taken now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Way>,
    /// The way that would be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Way>,
    /// Other ways that there would be no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Way>,
    /// Other ways that there would be besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Way>,
    /// The logins of all of them, in order.
    pub people: Vec<String>,
    /// The roles.
    pub items: Vec<Item>,
}

/// What becomes of somebody's access to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// They may ask for it.
    Gained,
    /// It takes fewer steps, or as many with fewer people.
    Easier,
    /// It takes the same, and may last longer.
    Longer,
    /// As many people must agree, and others, or in another time.
    AsksOthers,
    /// The way that is taken has other conditions, or another usual length.
    Conditions,
    /// The way that is taken is the same; of the others there are more, or fewer.
    OtherWays,
    /// It takes the same, and may not last so long.
    Shorter,
    /// It takes more steps, or as many with more people.
    Harder,
    /// They may not ask for it any more.
    Lost,
}

/// One way to a role: a rule with everything that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Way {
    /// The rule.
    #[schema(value_type = String, example = "prod-write")]
    pub rule: Name,
    /// How many steps it has; none where nobody must agree.
    pub steps: usize,
    /// How many people they ask for.
    pub people: u64,
    /// Whom they ask, in short.
    #[schema(example = "manager, then security")]
    pub asks: String,
    /// The same with who that is, how long they have, and what follows silence.
    pub asks_in_full: String,
    /// How long access lasts where the request does not say.
    #[schema(value_type = String, example = "1h")]
    pub usual: Span,
    /// How long it may last in total.
    #[schema(value_type = String, example = "2h")]
    pub max: Span,
    /// In an emergency: who must look at it afterwards, and who is told at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<String>,
    /// What must hold besides, in words. The plan supposes that it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
}
