//! The key that seals what the server keeps.

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::doctor::Check;
use daypass_api::key::{OtherKey, Sealing};
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Current, Rotation};

use crate::app::{App, Parts};
use crate::http::access::Identity;
use crate::http::intake::Json;
use crate::http::problem::Answer;
use crate::reseal;

/// A rotation that waits for hosts for longer than this is worth a look.
const SLOW: Span = Span::hours(1);

/// Shows by which keys the server seals what it keeps. Ids alone: no key is ever shown.
#[utoipa::path(get, path = "/api/v1/keys/sealing", tag = "keys",
    responses((status = 200, body = Sealing), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn sealing(State(app): State<App>) -> Answer<Json<Sealing>> {
    Ok(Json(reseal::look(&app).await?))
}

/// Seals everything that the server keeps by another key, or goes on where that was cut short.
#[utoipa::path(post, path = "/api/v1/keys/sealing/rotate", tag = "keys",
    responses((status = 200, body = Sealing), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate_sealing(State(app): State<App>, identity: Identity) -> Answer<Json<Sealing>> {
    identity.caller.administrator()?;
    let _turn = app.rotation_turn.lock().await;
    Ok(Json(reseal::rotate(&app, identity.caller.person).await?))
}

/// What there is to say of the keys: the one that seals, and rotations of authorities that are under way.
pub(super) async fn looked_over(app: &Parts, current: &Current, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    if app.sealing.is_some() {
        checks.push(match reseal::look(app).await {
            Ok(sealing) => sealed(&sealing),
            Err(_) => Check::failing(
                "sealing key",
                "its file or the store cannot be read",
                "see the server's log; nothing that is sealed can be opened meanwhile",
            ),
        });
    }
    for (name, provider) in current.connectors.iter() {
        if provider.certifier().is_none() {
            continue;
        }
        // An authority that cannot be opened is told as its connector's health.
        let authority = app.engine.authority(name).await.ok();
        if let Some(rotation) = authority.and_then(|authority| authority.rotation) {
            checks.push(under_way(name.as_str(), &rotation, now));
        }
    }
    checks
}

fn sealed(sealing: &Sealing) -> Check {
    let about = "sealing key";
    let named = |other: &OtherKey| {
        other
            .id
            .clone()
            .unwrap_or_else(|| String::from("a key without an id"))
    };
    let all = |those: fn(&OtherKey) -> bool| {
        let names: Vec<_> = sealing
            .others
            .iter()
            .filter(|one| those(one))
            .map(named)
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(lacks) = all(|other| !other.here) {
        let found = format!("some of what is sealed needs {lacks}, which the file does not have");
        return Check::failing(about, found, "put that line back into the file of sealing_key");
    }
    if let Some(old) = all(|other| other.values > 0) {
        let found = format!("some of what is sealed is not sealed by the file's first key but by {old}");
        return Check::warning(about, found, "daypass keys rotate sealing");
    }
    if let Some(old) = all(|_| true) {
        let found = format!("the file still has {old}, which seals nothing any more");
        let advice =
            "take that line out, on every server: who finds the old key can open old copies of the store";
        return Check::warning(about, found, advice);
    }
    Check::good(
        about,
        format!(
            "{} seals everything that is kept sealed ({})",
            sealing.id, sealing.values
        ),
    )
}

fn under_way(name: &str, rotation: &Rotation, now: Timestamp) -> Check {
    let about = format!("authority {name}");
    match rotation {
        Rotation::Staged { next, since, waiting } => {
            let found = format!(
                "waits to sign with {next} until these hosts say that they trust it: {}",
                waiting.join(", ")
            );
            if now.since(*since) > SLOW {
                let advice = format!(
                    "daypass ssh-host sync on each of them; daypass keys rotate {name} --now does not wait"
                );
                return Check::warning(about, found, advice);
            }
            Check::good(about, found)
        }
        Rotation::Retiring { old, .. } => Check::good(
            about,
            format!("signs with its new key; hosts trust {old} until what it signed has run out"),
        ),
    }
}
