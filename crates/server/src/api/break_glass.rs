//! Emergencies: the one way to take access that nobody agreed to before, and the look back that is owed for it.

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::Problem;
use daypass_api::break_glass::Acknowledge;
use daypass_api::preview::Preview;
use daypass_api::request::{NewRequest, Request};
use daypass_core::id::RequestId;
use daypass_engine::LookBack;

use crate::api::requests::{asked, made, shown, visible};
use crate::app::App;
use crate::http::access::{Identity, Origin};
use crate::http::intake::{IdempotencyKey, Json, Path};
use crate::http::problem::Answer;
use crate::wire;

/// Takes access in an emergency. It is there at once, and a review is owed for it.
#[utoipa::path(post, path = "/api/v1/break-glass", tag = "break-glass", request_body = NewRequest,
    responses((status = 201, body = Request), (status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn take(
    State(app): State<App>,
    identity: Identity,
    Origin(from): Origin,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<NewRequest>,
) -> Answer<(StatusCode, Json<Request>)> {
    let answer = app
        .engine
        .break_glass_from(identity.caller, asked(body), key.as_deref(), from)
        .await?;
    made(&app, &identity, &answer).await
}

/// Says what breaking the glass would lead to. Makes nothing.
#[utoipa::path(post, path = "/api/v1/break-glass/preview", tag = "break-glass", request_body = NewRequest,
    responses((status = 200, body = Preview), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn preview(
    State(app): State<App>,
    identity: Identity,
    Origin(from): Origin,
    Json(body): Json<NewRequest>,
) -> Answer<Json<Preview>> {
    let preview = app
        .engine
        .preview_break_glass(identity.caller, &asked(body), from)
        .await?;
    Ok(Json(wire::preview(&preview, &app.engine.current())))
}

/// Records that somebody looked at what was done in an emergency, as the person who is logged in.
#[utoipa::path(post, path = "/api/v1/requests/{id}/acknowledge", tag = "break-glass", params(("id" = String, Path)),
    request_body = Acknowledge, responses((status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn acknowledge(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<RequestId>,
    Json(body): Json<Acknowledge>,
) -> Answer<Json<Request>> {
    // Who may not see it is not told that it exists.
    visible(&app, &identity, id).await?;
    let look = LookBack {
        digest: body.digest,
        comment: body.comment,
        revoke: body.revoke,
    };
    let made = app.engine.acknowledge(identity.caller, id, look).await?;
    let now = app.engine.store().now().await?;
    Ok(Json(shown(&app, &identity, &made.request, now)))
}
