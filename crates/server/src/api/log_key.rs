//! The keys that the log is signed with, and their rotation.

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::doctor::Check;
use daypass_api::key::{LogKey, LogRotation, RotateLog};

use crate::app::{App, Parts};
use crate::http::access::Identity;
use crate::http::intake::{Json, MaybeJson};
use crate::http::problem::Answer;
use crate::signing::rotate as steps;

/// Shows with which keys the log is signed, how far a rotation is, and which server has which key. Public halves alone.
#[utoipa::path(get, path = "/api/v1/keys/log", tag = "keys",
    responses((status = 200, body = LogKey), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn look(State(app): State<App>) -> Answer<Json<LogKey>> {
    Ok(Json(steps::look(&app).await?))
}

/// Begins to give the log another key, or goes on with what was begun; docs/audit.md has the steps.
#[utoipa::path(post, path = "/api/v1/keys/log/rotate", tag = "keys", request_body = Option<RotateLog>,
    responses((status = 200, body = LogKey), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(
    State(app): State<App>,
    identity: Identity,
    MaybeJson(how): MaybeJson<RotateLog>,
) -> Answer<Json<LogKey>> {
    identity.caller.administrator()?;
    let _turn = app.rotation_turn.lock().await;
    Ok(Json(steps::rotate(&app, identity.caller.person, how).await?))
}

/// What there is to say of the log's keys, where there is anything.
pub(super) async fn looked_over(app: &Parts) -> Option<Check> {
    let about = "log key";
    let LogKey {
        key,
        rotation,
        servers,
        ..
    } = steps::look(app).await.ok()?;
    match rotation {
        Some(LogRotation::Staged { next, waiting }) if !waiting.is_empty() => {
            let found = format!(
                "{next} is announced, and these servers do not have it: {}",
                waiting.join(", ")
            );
            let advice = "copy the file of signing_key of a server that has it to each; or daypass keys rotate log --now";
            return Some(Check::warning(about, found, advice));
        }
        Some(LogRotation::Staged { next, .. }) => {
            return Some(Check::good(
                about,
                format!("{next} is announced and becomes the log's key in a moment"),
            ));
        }
        Some(LogRotation::Retiring { behind, .. }) if !behind.is_empty() => {
            let found = format!(
                "these servers do not have the log's key {key}: {}",
                behind.join(", ")
            );
            let advice = "copy the file of signing_key of a server that has it to each";
            return Some(Check::warning(about, found, advice));
        }
        Some(LogRotation::Retiring { old, .. }) => {
            let found = format!("{key} signs, and {old} beside it until you end that");
            let advice = "give the new log-key.pub to whoever verifies, then: daypass keys rotate log --now";
            return Some(Check::warning(about, found, advice));
        }
        None => {}
    }
    let spare = servers.iter().filter(|server| !server.spare.is_empty());
    let spare: Vec<_> = spare
        .map(|server| format!("{} has {}", server.name, server.spare.join(" and ")))
        .collect();
    if spare.is_empty() {
        return None;
    }
    let found = format!("keys that sign nothing are kept: {}", spare.join("; "));
    let advice = "take the line of a former key out of that file (keep a copy as long as you may put a store of its time back); one that is to \
                  come next: daypass keys rotate log";
    Some(Check::warning(about, found, advice))
}
