//! Refusals: what Daypass will not do, why, and what to try instead.
//!
//! The codes are a promise: the API's problem `type`, the policy's `expect: {refused: …}` and scripts rely on them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that Daypass refuses. Text in here was written by Daypass; a quoted part of the input is cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// The stable kind.
    pub code: Code,
    /// What is refused and why, in a sentence without a full stop.
    pub what: String,
    /// What would work instead: a command or a person to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            hint: None,
        }
    }

    /// The same with what to try instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// The stable kind of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code, for documentation and for the nearest one to a misspelt one.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it is written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

codes! {
    /// The input is not of the form that was asked for.
    Invalid = "invalid",
    /// There is no such thing, or the caller may not know of it.
    NotFound = "not-found",
    /// No resource of this name.
    UnknownResource = "unknown-resource",
    /// The resource has no role of this name.
    UnknownRole = "unknown-role",
    /// No person of this name.
    UnknownPerson = "unknown-person",
    /// No rule admits this person to this role.
    NotEligible = "not-eligible",
    /// Longer than the rule or a guardrail allows.
    OverMax = "over-max",
    /// More in total than a guardrail allows in its period.
    OverTotal = "over-total",
    /// A reason is required.
    ReasonRequired = "reason-required",
    /// A ticket is required, or the one given has the wrong form.
    Ticket = "ticket",
    /// Asked from a network that the rule does not admit.
    Source = "source",
    /// Outside the times that the rule names.
    Window = "window",
    /// A condition of the rule is not met.
    Condition = "condition",
    /// Who asks or reviews must prove freshly who they are.
    MfaRequired = "mfa-required",
    /// Access must be recorded, and this cannot be.
    Recording = "recording",
    /// The rule's uses in this period are spent.
    Uses = "uses",
    /// The same was denied a short while ago.
    CoolDown = "cool-down",
    /// This person has as many requests waiting for others, or certificates of one access valid, as anybody may have.
    TooManyOpen = "too-many-open",
    /// Nobody could complete the chain of reviews.
    NoReviewer = "no-reviewer",
    /// One rule must fit all items of a request; none does.
    NoCommonRule = "no-common-rule",
    /// The state does not allow this any more.
    WrongState = "wrong-state",
    /// The request was decided, withdrawn or has lapsed.
    AlreadyDecided = "already-decided",
    /// This person has reviewed this request already.
    AlreadyReviewed = "already-reviewed",
    /// Nobody reviews their own request.
    OwnRequest = "own-request",
    /// This person is no reviewer of the current step.
    NotReviewer = "not-reviewer",
    /// This credential or account may not review at all (API token, service account, settling account).
    MayNotReview = "may-not-review",
    /// The review names another digest than the request has.
    DigestMismatch = "digest-mismatch",
    /// A review may approve less, never more.
    ReviewForMore = "review-for-more",
    /// What the reviews agree on is nothing.
    NothingLeft = "nothing-left",
    /// Only the holder may do this.
    NotHolder = "not-holder",
    /// The grant has ended or is ending.
    GrantOver = "grant-over",
    /// The access is not there yet.
    NotActive = "not-active",
    /// An extension would pass the grant's latest end.
    OverLatestEnd = "over-latest-end",
    /// Another worker has taken over; what this one did is not recorded under its old claim.
    Stale = "stale",
    /// What should be made is there already and is not Daypass's.
    AlreadyStanding = "already-standing",
    /// The caller's role does not allow this.
    Forbidden = "forbidden",
    /// There is one of this name already.
    Exists = "exists",
    /// Something else still uses it.
    InUse = "in-use",
    /// The policy does not load.
    PolicyInvalid = "policy-invalid",
    /// The policy's own tests fail.
    PolicyTestFailed = "policy-test-failed",
    /// The person or the resource is locked.
    Locked = "locked",
    /// The directory does not say what the target calls this person.
    NoHandle = "no-handle",
    /// Nobody answers for this service account.
    Orphaned = "orphaned",
    /// The server only takes access away for now: its store does not go on from what was signed.
    OnlyTakesAway = "only-takes-away",
    /// The resource never reveals credentials; it is reached through the gateway.
    GatewayOnly = "gateway-only",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Code {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_code_is_its_json() {
        for code in Code::ALL {
            assert_eq!(
                serde_json::to_value(code).unwrap(),
                serde_json::json!(code.as_str())
            );
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
    }
}
