//! Every error as problem details (RFC 9457): refusals of the engine, rejections of axum, and what nobody foresaw.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use daypass_api::policy::Diagnostic;
use daypass_api::{PROBLEM_JSON, Problem, ProblemCode};
use daypass_core::entitlement::Fault;
use daypass_core::refusal::{Code, Refusal};

use crate::identity::limit::TooFast;
use crate::identity::password;

/// A problem on its way out. What a handler returns as its error.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Box<Problem>,
    retry_after: Option<Duration>,
}

/// What a handler returns.
pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    /// A problem of this kind.
    pub(crate) fn new(code: impl Into<ProblemCode>, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// The same with another status: where HTTP has one for what is a plain "invalid" to everybody else.
    #[must_use]
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.problem.status = status.as_u16();
        self
    }

    /// The same with what to try instead.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    /// The same with when to come back.
    #[must_use]
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Nobody is logged in.
    #[must_use]
    pub(crate) fn unauthenticated(detail: &str) -> Self {
        Self::new(ProblemCode::Unauthenticated, detail).hint("log in with: daypass login")
    }

    /// A target did not do its part. What exactly it said may name files and settings of this server: that is for the log, and
    /// for callers to whom all is shown.
    pub(crate) fn target(error: &daypass_providers::Error, all: bool) -> Self {
        tracing::warn!(fault = %error.fault, detail = error.detail, "a target did not do its part");
        let said = if all {
            error.to_string()
        } else {
            error.fault.to_string()
        };
        Self::new(
            ProblemCode::TargetFailed,
            format!("the target did not do its part: {said}"),
        )
        .hint("try again; daypass status shows how the grant fares, and the server's log says more")
    }

    /// A connector's secret was not rotated. Of a kind that has none, or whose is not Daypass's to change, no target failed.
    pub(crate) fn rotation(error: &daypass_providers::Error) -> Self {
        if error.fault == Fault::Misconfigured {
            return Self::new(Code::WrongState, error.detail.clone());
        }
        Self::target(error, true)
    }

    /// Something nobody foresaw. The detail goes to the log, and to nobody else.
    pub(crate) fn internal(detail: &dyn std::fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(
            ProblemCode::Internal,
            "something went wrong inside the server; its log says more",
        )
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        *failure.problem
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            retry_after: None,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        // serde's words name the field and what was expected there; they quote at most the value that the client sent.
        let detail: String = rejection.body_text().chars().take(300).collect();
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(ProblemCode::TooLarge, "the body is larger than is taken")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(Code::Invalid, "the body is not JSON")
                .hint("send Content-Type: application/json")
                .status(status),
            status => Self::new(Code::Invalid, detail).status(status),
        }
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            Code::Invalid,
            rejection.body_text().chars().take(300).collect::<String>(),
        )
    }
}

impl From<PathRejection> for Failure {
    /// An id that cannot be one names nothing: the answer that an unknown id gets.
    fn from(rejection: PathRejection) -> Self {
        Self::new(
            Code::NotFound,
            rejection.body_text().chars().take(300).collect::<String>(),
        )
    }
}

impl From<daypass_engine::Error> for Failure {
    fn from(error: daypass_engine::Error) -> Self {
        match error {
            daypass_engine::Error::Refused(refusal) => refusal.into(),
            // Whoever can be answered with the change has told so; to others it was not done.
            error @ daypass_engine::Error::Waits(_) => {
                Self::new(Code::WrongState, error.to_string()).hint("daypass change ls shows what waits")
            }
            daypass_engine::Error::Policy(found) => {
                let diagnostics = diagnostics(&found);
                let detail = diagnostics
                    .first()
                    .map_or_else(|| "the policy does not load".to_owned(), ToString::to_string);
                Problem {
                    diagnostics,
                    ..Problem::new(Code::PolicyInvalid, detail)
                }
                .into()
            }
            daypass_engine::Error::Store(error) => error.into(),
            daypass_engine::Error::Target(error) => Self::target(&error, false),
        }
    }
}

impl From<daypass_store::Error> for Failure {
    fn from(error: daypass_store::Error) -> Self {
        use daypass_store::Error as E;
        match error {
            E::Refused(refusal) => refusal.into(),
            E::Full => {
                tracing::error!("the store's disk is full");
                Self::new(
                    ProblemCode::StoreFull,
                    "the server's disk is full; nothing was recorded",
                )
            }
            E::Unavailable(why) => {
                tracing::error!(%why, "the store is not reached");
                Self::new(
                    ProblemCode::Unavailable,
                    "the server's store is not reached; nothing was recorded",
                )
                .retry_after(Duration::from_secs(2))
            }
            other => Self::internal(&other),
        }
    }
}

impl From<TooFast> for Failure {
    fn from(too_fast: TooFast) -> Self {
        Self::new(ProblemCode::RateLimited, too_fast.to_string()).retry_after(too_fast.after)
    }
}

impl From<password::Error> for Failure {
    fn from(error: password::Error) -> Self {
        match error {
            password::Error::Busy => {
                Self::new(ProblemCode::Unavailable, error.to_string()).retry_after(Duration::from_secs(2))
            }
            password::Error::Broken(_) => Self::internal(&error),
        }
    }
}

/// What is wrong with a policy, as the API shows it.
pub(crate) fn diagnostics(found: &daypass_policy::Diagnostics) -> Vec<Diagnostic> {
    found
        .all()
        .iter()
        .map(|one| Diagnostic {
            file: one.location.file.clone(),
            line: usize::try_from(one.location.line).unwrap_or(0),
            column: usize::try_from(one.location.column).unwrap_or(0),
            message: one.message.clone(),
            help: one.hint.clone(),
        })
        .collect()
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.problem)).into_response();
        // `observe` puts the request's id into it.
        response.extensions_mut().insert(Arc::new(*self.problem));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"daypass\""),
            );
        }
        response
    }
}

/// The answer where no route has this path.
pub(crate) fn no_route() -> Failure {
    Failure::new(Code::NotFound, "there is nothing at this path")
        .hint("GET /openapi.json lists what there is")
}

/// The answer where the path has no such method.
pub(crate) fn no_method() -> Failure {
    Failure::new(Code::Invalid, "this path does not take this method").status(StatusCode::METHOD_NOT_ALLOWED)
}

/// The answer where a handler panicked. What it said goes to the log.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    defect(panic).into_response()
}

/// The same, for who answers in words of their own.
pub(crate) fn defect(panic: Box<dyn Any + Send>) -> Failure {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no words)");
    Failure::internal(&format!("a handler panicked: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_to_the_log_and_to_nobody_else() {
        for panic in [
            Box::new("secret words") as Box<dyn Any + Send>,
            Box::new(String::from("secret words")),
            Box::new(7),
        ] {
            let response = panicked(panic);
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(
                body.contains("urn:daypass:internal") && !body.contains("secret words"),
                "{body}"
            );
        }
    }

    #[test]
    fn what_a_target_said_is_for_the_log() {
        let error = daypass_providers::Error::new(
            Fault::Misconfigured,
            "/etc/daypass/secrets/pg-main cannot be read",
        );
        let shown = |failure: Failure| failure.problem.detail;
        let members = shown(daypass_engine::Error::from(error.clone()).into());
        assert_eq!(members, "the target did not do its part: misconfigured");
        assert!(shown(Failure::target(&error, true)).contains("/etc/daypass"));
    }

    #[test]
    fn a_connector_that_has_nothing_to_rotate_is_no_target_that_failed() {
        let of = |fault| {
            let error = daypass_providers::Error::new(fault, "this kind has no admin secret");
            Failure::rotation(&error).problem
        };
        let nothing = of(Fault::Misconfigured);
        assert_eq!(
            (nothing.status, nothing.detail.as_str()),
            (409, "this kind has no admin secret")
        );
        assert_eq!(of(Fault::Denied).status, 502);
    }

    #[test]
    fn the_store_being_away_or_full_is_said_as_such() {
        let of = |error: daypass_store::Error| Failure::from(error).problem.status;
        assert_eq!(of(daypass_store::Error::Full), 507);
        assert_eq!(of(daypass_store::Error::Unavailable("gone".into())), 503);
        assert_eq!(of(daypass_store::Error::Corrupt("row 7".into())), 500);
        let corrupt = Failure::from(daypass_store::Error::Corrupt("row 7".into()));
        assert!(
            !corrupt.problem.detail.contains("row 7"),
            "what is inside stays inside"
        );
    }
}
