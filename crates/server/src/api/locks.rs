//! Locks: shut a person or a resource, open it again, and list what is shut.

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::lock::{ChangeLock, Lock, LockOn, Locked, Unlocked};
use daypass_api::{Page, Problem};
use daypass_core::name::BadName;
use daypass_core::refusal::Code;
use daypass_engine::Lockable;

use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::Json;
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists what is locked, by whom, since when and why.
#[utoipa::path(get, path = "/api/v1/locks", tag = "locks",
    responses((status = 200, body = Page<Lock>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Page<Lock>>> {
    let people = app.engine.current().directory;
    let mut items: Vec<Lock> = app
        .engine
        .store()
        .locks()
        .await?
        .iter()
        .map(|lock| wire::lock(lock, &people))
        .collect();
    items.sort_by(|one, other| one.on.cmp(&other.on));
    Ok(Json(Page::all(items)))
}

/// Locks a person or a resource. What is held begins to end at once.
#[utoipa::path(post, path = "/api/v1/locks", tag = "locks", request_body = ChangeLock,
    responses((status = 201, body = Locked), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn lock(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<ChangeLock>,
) -> Answer<(StatusCode, Json<Locked>)> {
    let what = lockable(body.on)?;
    let locked = app.engine.lock(identity.caller, &what, &body.reason).await?;
    let lock = wire::lock(&locked.lock, &app.engine.current().directory);
    let ending = locked.ending;
    Ok((StatusCode::CREATED, Json(Locked { lock, ending })))
}

/// Unlocks a person or a resource. What ended meanwhile stays ended.
#[utoipa::path(post, path = "/api/v1/locks/unlock", tag = "locks", request_body = ChangeLock,
    responses((status = 200, body = Unlocked), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unlock(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<ChangeLock>,
) -> Answer<Json<Unlocked>> {
    let what = lockable(body.on.clone())?;
    let lock = app.engine.unlock(identity.caller, &what, &body.reason).await?;
    Ok(Json(Unlocked {
        on: body.on,
        at: lock.at,
    }))
}

fn lockable(on: LockOn) -> Answer<Lockable> {
    Ok(match on {
        LockOn::Person(login) => Lockable::Person(login),
        LockOn::Resource(name) => {
            let bad = |bad: BadName| Failure::new(Code::UnknownResource, bad.to_string());
            Lockable::Resource(name.parse().map_err(bad)?)
        }
    })
}
