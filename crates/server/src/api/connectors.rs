//! Connectors: whether each can do its work, and another admin secret for one.

use axum::extract::State;
use daypass_api::connector::{Connector, Rotate, Rotated};
use daypass_api::{Page, Problem};
use daypass_core::name::Name;
use futures_util::future::join_all;

use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::{Json, MaybeJson, Path};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists connectors, and whether each can do its work, as it said within the last seconds.
#[utoipa::path(get, path = "/api/v1/connectors", tag = "connectors",
    responses((status = 200, body = Page<Connector>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<App>, identity: Identity) -> Answer<Json<Page<Connector>>> {
    let current = app.engine.current();
    let now = app.engine.store().now().await?;
    let (work, unwanted) = (app.health.snapshot(), app.engine.store().unwanted().await?);
    let surveys = app.engine.surveys(identity.caller)?;
    let (work, unwanted, surveys) = (&work, &unwanted, &surveys);
    let (probes, app) = (&app.probes, &app);
    let asked = current.connectors.iter().map(|(name, provider)| {
        let kind = current
            .policy
            .connector(name.as_str())
            .map(|connector| connector.kind.clone());
        async move {
            let probed = probes.ask(name, provider).await;
            // What cannot be told is told as the connector's health.
            let authority = match provider.certifier() {
                Some(_) if probed.is_ok() => app.engine.authority(name).await.ok(),
                _ => None,
            };
            let found = wire::Found {
                probed,
                authority,
                work: work.get(name).cloned().unwrap_or_default(),
                unwanted: unwanted.get(name).copied().unwrap_or_default(),
                survey: surveys
                    .iter()
                    .find(|one| one.connector == *name)
                    .map(wire::survey),
            };
            kind.map(|kind| wire::connector(name, &kind, found, now))
        }
    });
    let items = join_all(asked).await.into_iter().flatten().collect();
    Ok(Json(Page::all(items)))
}

/// Gives a connector another admin secret, at the target and where the server keeps it; or its authority another key, in steps.
#[utoipa::path(post, path = "/api/v1/connectors/{name}/rotate", tag = "connectors", params(("name" = String, Path)),
    request_body = Option<Rotate>,
    responses((status = 200, body = Rotated), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<Name>,
    MaybeJson(how): MaybeJson<Rotate>,
) -> Answer<Json<Rotated>> {
    identity.caller.administrator()?;
    let current = app.engine.current();
    let Some(provider) = current.connectors.get(&name) else {
        return Err(Failure::new(
            daypass_core::refusal::Code::NotFound,
            format!("there is no connector {name}"),
        ));
    };
    // Two rotations at a time could each stage a secret over the other's.
    let _turn = app.rotation_turn.lock().await;
    let mut authority = None;
    if provider.certifier().is_some() {
        let rotated = app.engine.rotate_authority(identity.caller, &name, how.now);
        authority = Some(wire::authority(rotated.await?));
    } else {
        provider
            .rotate_admin()
            .await
            .map_err(|error| Failure::rotation(&error))?;
        tracing::info!(connector = %name, by = %identity.caller.person, "the admin secret was rotated");
    }
    Ok(Json(Rotated {
        name,
        rotated_at: app.engine.store().now().await?,
        authority,
    }))
}
