//! The catalogue: what there is, what the caller may ask for, and what it takes.

use axum::extract::State;
use daypass_api::catalogue::{Offer, ResourceQuery};
use daypass_api::{Page, Problem};
use daypass_core::lock;
use daypass_policy::{Offer as Core, Onlooker};

use crate::api::page;
use crate::app::App;
use crate::http::access::{Identity, Origin};
use crate::http::intake::{Json, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists every role of every resource, and what it takes the caller to have it.
#[utoipa::path(get, path = "/api/v1/resources", tag = "catalogue", params(ResourceQuery),
    responses((status = 200, body = Page<Offer>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Origin(from): Origin,
    Query(query): Query<ResourceQuery>,
) -> Answer<Json<Page<Offer>>> {
    let now = app.engine.store().now().await?;
    let current = app.engine.current();
    let (who, confirmed) = (identity.caller.person, identity.caller.confirmed_at());
    let past = app.engine.past_of(&current, who).await?;
    // Each role is a decision of the policy; with thousands of them that is work for a thread of its own.
    let offers = tokio::task::spawn_blocking(move || {
        let directory = current.directory.as_ref();
        let onlooker = Onlooker {
            who,
            past: &past,
            from,
            // Whoever can prove who they are is asked to when they ask for something.
            confirmed: confirmed.map(|_| now),
            now,
        };
        current.policy.catalogue(&onlooker, directory)
    });
    let offers = offers.await.map_err(|error| Failure::internal(&error))?;
    let locked = app.engine.locked_now().await?;
    let offers = offers
        .into_iter()
        .map(|offer| match locked.locked_for(who, [&offer.item]) {
            Some(lock) => Core {
                terms: Err(lock::refusal(lock, Some(who))),
                break_glass: false,
                ..offer
            },
            None => offer,
        });
    let wanted = |offer: &Core| {
        query
            .env
            .as_deref()
            .is_none_or(|env| offer.environment.as_ref().is_some_and(|of| of.as_str() == env))
            && query
                .resource
                .as_deref()
                .is_none_or(|resource| offer.item.resource.as_str() == resource)
            && (query.instant != Some(true) || offer.terms.as_ref().is_ok_and(|terms| terms.is_instant()))
    };
    let offers: Vec<Offer> = offers.filter(|offer| wanted(offer)).map(wire::offer).collect();
    Ok(Json(page::of(offers, query.limit, query.cursor.as_deref())?))
}
