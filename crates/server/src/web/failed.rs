//! A page that is not to be had, or a command that was refused: what, why, and what next.

use std::any::Any;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use daypass_api::client::Error;

use super::proof;
use crate::http::problem::{self, Failure};

/// See the module.
#[derive(Debug)]
pub(crate) struct Failed {
    status: StatusCode,
    pub(super) title: String,
    pub(super) what: String,
    pub(super) hint: Option<String>,
    /// It is only a fresh proof that is missing; see `proof.rs`.
    wants_proof: bool,
}

#[derive(Template)]
#[template(path = "failed.html")]
struct Page<'a> {
    failed: &'a Failed,
}

impl Failed {
    /// What HTTP says of it.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Something nobody foresaw. What it was goes to the log, and to nobody else.
    pub(super) fn internal(detail: &dyn std::fmt::Display) -> Self {
        tracing::error!(%detail, "a page failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: String::from("This did not work"),
            what: String::from("something went wrong inside the server; its log says more"),
            hint: None,
            wants_proof: false,
        }
    }

    /// There is no such page.
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: String::from("Not here"),
            what: what.into(),
            hint: None,
            wants_proof: false,
        }
    }

    /// It is not for whoever asks.
    pub(super) fn forbidden(what: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: String::from("Not allowed"),
            what: what.into(),
            hint: None,
            wants_proof: false,
        }
    }

    /// What was typed is none of what is asked for.
    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: String::from("Not taken"),
            what: what.into(),
            hint: None,
            wants_proof: false,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::Problem(problem) => Self {
                wants_proof: proof::is_wanted(Some(problem.code)),
                status: StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                title: problem.title.clone(),
                what: problem.detail.clone(),
                hint: problem.hint.clone(),
            },
            Error::Waits(proposed) => Self {
                status: StatusCode::ACCEPTED,
                title: String::from("Others must agree"),
                what: format!("it waits for them, as change {}", proposed.change.id.short()),
                hint: None,
                wants_proof: false,
            },
            other => Self::internal(&other),
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Error::Problem(Box::new(failure.into())).into()
    }
}

impl From<askama::Error> for Failed {
    fn from(error: askama::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let page = Page { failed: &self }.render();
        let mut answer = page.map_or_else(
            |_| self.status.into_response(),
            |page| (self.status, Html(page)).into_response(),
        );
        if self.wants_proof {
            answer.extensions_mut().insert(proof::Wanted);
        }
        answer
    }
}

/// The answer where a page panicked.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    Failed::from(problem::defect(panic)).into_response()
}
