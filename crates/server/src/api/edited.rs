//! The answer to a command about an account: what it is now, or the change that waits for others, because the policy in force covers it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use daypass_api::Secret;
use daypass_api::change::Proposed;
use daypass_engine::{Awaits, Error};
use serde::Serialize;

use crate::app::Parts;
use crate::http::problem::Answer;
use crate::wire;

/// What came of a command.
pub(super) enum Edited<T> {
    /// It is done, and this is the answer.
    Done(StatusCode, T),
    /// It waits for others.
    Waits(Proposed),
}

impl<T: Serialize> IntoResponse for Edited<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Done(status, done) => (status, Json(done)).into_response(),
            Self::Waits(proposed) => (StatusCode::ACCEPTED, Json(proposed)).into_response(),
        }
    }
}

/// The answer to what the engine made of it. `secret`: what was drawn for it, shown this once where it waits; `show`: the answer
/// where it is done.
pub(super) async fn edited<C, T>(
    app: &Parts,
    outcome: Result<C, Error>,
    secret: Option<&Secret>,
    show: impl FnOnce(&C) -> (StatusCode, T),
) -> Answer<Edited<T>> {
    let change = match outcome {
        Ok(done) => {
            let (status, shown) = show(&done);
            return Ok(Edited::Done(status, shown));
        }
        Err(Error::Waits(change)) => change,
        Err(error) => return Err(error.into()),
    };
    let now = app.engine.store().now().await?;
    let change = wire::change(&change, &app.engine.current(), Awaits::No, now);
    Ok(Edited::Waits(Proposed {
        change: Box::new(change),
        secret: secret.cloned(),
    }))
}
