//! What the server finds when it looks itself over.

use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the server looks at, by the first words of [`Check::about`]: what whoever may not have it looked over is not told.
pub const LOOKED_AT: &[&str] = &[
    "reconciler",
    "policy",
    "people",
    "connector",
    "gateway",
    "sealing key",
    "authority",
    "log key",
    "overdue",
    "emergencies",
    "notices",
    "administrators",
    "service accounts",
    "transport",
    "log",
];

/// The answer of `GET /doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkup {
    /// What was looked at, in the order in which it matters.
    pub checks: Vec<Check>,
    /// The server's time meanwhile.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What: `policy`, `connector pg-main` and so on.
    #[schema(example = "connector pg-main")]
    pub about: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it, where something is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Warning,
    /// Something does not work.
    Failing,
}

impl Check {
    /// As it should be.
    #[must_use]
    pub fn good(about: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            about: about.into(),
            verdict: Verdict::Good,
            found: found.into(),
            advice: None,
        }
    }

    /// It works, and this should be done.
    #[must_use]
    pub fn warning(about: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            advice: Some(advice.into()),
            ..Self::good(about, found)
        }
    }

    /// It does not work, and this should be done.
    #[must_use]
    pub fn failing(about: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failing,
            ..Self::warning(about, found, advice)
        }
    }
}
