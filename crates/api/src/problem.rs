//! Problem details (RFC 9457): what went wrong, why, and what to try, with a type that scripts may rely on.

use std::fmt;
use std::str::FromStr;

use daypass_core::refusal::{Code, Refusal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::policy::{Diagnostic, TestOutcome};

/// What every problem's `type` begins with; its code follows.
pub const TYPE_PREFIX: &str = "urn:daypass:";

/// Why a call did not do what was asked, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// The stable kind, as a URI.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:daypass:over-max")]
    pub code: ProblemCode,
    /// The kind in words; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is refused and why, in a sentence without a full stop.
    pub detail: String,
    /// What would work instead: a command or a person to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The request's id in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What is wrong in a policy's files (`policy-invalid`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// The policy's tests that failed (`policy-test-failed`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestOutcome>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: impl Into<ProblemCode>, detail: impl Into<String>) -> Self {
        let code = code.into();
        Self {
            title: code.title(),
            status: code.status(),
            code,
            detail: detail.into(),
            hint: None,
            instance: None,
            diagnostics: Vec::new(),
            tests: Vec::new(),
        }
    }

    /// The same with what to try instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            hint: refusal.hint,
            ..Self::new(refusal.code, refusal.what)
        }
    }
}

/// The stable kind of a problem: a refusal of the rules, or a failure of the call itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemCode {
    /// Daypass refuses it.
    Refusal(Code),
    /// Nobody is logged in, or the token is not taken (any more).
    Unauthenticated,
    /// The login or password is wrong; which of them is not said.
    LoginFailed,
    /// The idempotency key was used for another call before.
    IdempotencyMismatch,
    /// The call that used this idempotency key is still under way.
    IdempotencyInProgress,
    /// Too many calls.
    RateLimited,
    /// The body is larger than is taken.
    TooLarge,
    /// The target did not do its part.
    TargetFailed,
    /// The server or its store is not reached or not ready.
    Unavailable,
    /// The store's disk is full.
    StoreFull,
    /// Anything else. The server's log says more.
    Internal,
}

impl ProblemCode {
    /// The kinds beside the refusals.
    pub const OTHERS: &[Self] = &[
        Self::Unauthenticated,
        Self::LoginFailed,
        Self::IdempotencyMismatch,
        Self::IdempotencyInProgress,
        Self::RateLimited,
        Self::TooLarge,
        Self::TargetFailed,
        Self::Unavailable,
        Self::StoreFull,
        Self::Internal,
    ];

    /// The code as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refusal(code) => code.as_str(),
            Self::Unauthenticated => "unauthenticated",
            Self::LoginFailed => "login-failed",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::IdempotencyInProgress => "idempotency-in-progress",
            Self::RateLimited => "rate-limited",
            Self::TooLarge => "too-large",
            Self::TargetFailed => "target-failed",
            Self::Unavailable => "unavailable",
            Self::StoreFull => "store-full",
            Self::Internal => "internal",
        }
    }

    /// The kind in words.
    #[must_use]
    pub fn title(self) -> String {
        let mut title = self.as_str().replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        title
    }

    /// The HTTP status. Source: RFC 9110, section 15; 429 is RFC 6585; 507 is RFC 4918.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Refusal(code) => status(code),
            Self::Unauthenticated | Self::LoginFailed => 401,
            Self::IdempotencyMismatch => 422,
            Self::IdempotencyInProgress => 409,
            Self::RateLimited => 429,
            Self::TooLarge => 413,
            Self::TargetFailed => 502,
            Self::Unavailable => 503,
            Self::StoreFull => 507,
            Self::Internal => 500,
        }
    }
}

const fn status(code: Code) -> u16 {
    match code {
        Code::Invalid => 400,
        // As RFC 9470 has it: whoever calls is known, and has to prove it once more.
        Code::MfaRequired => 401,
        Code::NotFound | Code::UnknownPerson => 404,
        Code::NotEligible
        | Code::Source
        | Code::OwnRequest
        | Code::NotReviewer
        | Code::MayNotReview
        | Code::NotHolder
        | Code::Locked
        | Code::NoHandle
        | Code::Orphaned
        | Code::Forbidden
        | Code::GatewayOnly => 403,
        Code::WrongState
        | Code::AlreadyDecided
        | Code::AlreadyReviewed
        | Code::DigestMismatch
        | Code::GrantOver
        | Code::NotActive
        | Code::Stale
        | Code::AlreadyStanding
        | Code::Exists
        | Code::InUse => 409,
        Code::UnknownResource
        | Code::UnknownRole
        | Code::OverMax
        | Code::OverTotal
        | Code::ReasonRequired
        | Code::Ticket
        | Code::Window
        | Code::Condition
        | Code::Recording
        | Code::Uses
        | Code::CoolDown
        | Code::TooManyOpen
        | Code::NoReviewer
        | Code::NoCommonRule
        | Code::ReviewForMore
        | Code::NothingLeft
        | Code::OverLatestEnd
        | Code::PolicyInvalid
        | Code::PolicyTestFailed => 422,
        // What the moment decides: once the operator has looked, the same call may be taken.
        Code::OnlyTakesAway => 503,
    }
}

impl From<Code> for ProblemCode {
    fn from(code: Code) -> Self {
        Self::Refusal(code)
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ProblemCode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let other = Self::OTHERS.iter().copied().find(|other| other.as_str() == text);
        other.map_or_else(|| text.parse().map(Self::Refusal), Ok)
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{TYPE_PREFIX}{}", self.as_str()))
    }
}

impl<'de> Deserialize<'de> for ProblemCode {
    /// A code that this version does not know is `internal`: its detail still says what happened.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let code = text.strip_prefix(TYPE_PREFIX).and_then(|code| code.parse().ok());
        Ok(code.unwrap_or(Self::Internal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_uri_and_no_two_are_the_same() {
        let all = Code::ALL
            .iter()
            .copied()
            .map(ProblemCode::Refusal)
            .chain(ProblemCode::OTHERS.iter().copied());
        let mut seen = std::collections::BTreeSet::new();
        for code in all {
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(serde_json::from_str::<ProblemCode>(&json).unwrap(), code);
            assert!(seen.insert(code.as_str()), "{code} is there twice");
            assert!((400..600).contains(&code.status()), "{code}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_words_and_hint() {
        let problem =
            Problem::from(Refusal::new(Code::OverMax, "3h is over the limit of 2h").hint("ask for 2h"));
        let json = serde_json::to_value(&problem).unwrap();
        let expect = serde_json::json!({
            "type": "urn:daypass:over-max", "title": "Over max", "status": 422,
            "detail": "3h is over the limit of 2h", "hint": "ask for 2h",
        });
        assert_eq!(json, expect);
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    #[test]
    fn a_kind_from_a_newer_server_is_still_read() {
        let json = r#"{"type":"urn:daypass:brand-new","title":"t","status":418,"detail":"d","more":1}"#;
        let problem: Problem = serde_json::from_str(json).unwrap();
        assert_eq!(
            (problem.code, problem.detail.as_str()),
            (ProblemCode::Internal, "d")
        );
    }
}
