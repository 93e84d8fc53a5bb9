//! Environments: what they stand for, and what it takes the caller to have all of that at once.

use axum::extract::State;
use daypass_api::environment::{EnvironmentOffer, EnvironmentQuery};
use daypass_api::{Page, Problem};
use daypass_core::lock;
use daypass_policy::{EnvironmentOffer as Core, Policy};

use crate::api::onlooker::offers;
use crate::api::page;
use crate::app::App;
use crate::http::access::{Identity, Origin};
use crate::http::intake::{Json, Query};
use crate::http::problem::Answer;
use crate::wire;

/// Lists every role of every environment, what it stands for, and what it takes the caller to have it.
#[utoipa::path(get, path = "/api/v1/environments", tag = "catalogue", params(EnvironmentQuery),
    responses((status = 200, body = Page<EnvironmentOffer>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    origin: Origin,
    Query(query): Query<EnvironmentQuery>,
) -> Answer<Json<Page<EnvironmentOffer>>> {
    let current = app.engine.current();
    let offers = offers(&app, &current, (&identity, origin), Policy::environments).await?;
    let locked = app.engine.locked_now().await?;
    let offers =
        offers.into_iter().map(
            |offer| match locked.locked_for(identity.caller.person, &offer.items) {
                Some(lock) => Core {
                    terms: Err(lock::refusal(lock, Some(identity.caller.person))),
                    break_glass: false,
                    ..offer
                },
                None => offer,
            },
        );
    let wanted = |offer: &Core| {
        let instant =
            query.instant != Some(true) || offer.terms.as_ref().is_ok_and(|terms| terms.is_instant());
        instant
            && query
                .env
                .as_deref()
                .is_none_or(|env| is_within(&current.policy, offer, env))
    };
    let offers: Vec<EnvironmentOffer> = offers
        .filter(|offer| wanted(offer))
        .map(wire::environment)
        .collect();
    Ok(Json(page::of(offers, query.limit, query.cursor.as_deref())?))
}

/// Whether all that it stands for has this label `env`.
fn is_within(policy: &Policy, offer: &Core, env: &str) -> bool {
    offer.items.iter().all(|item| {
        let resource = policy.resource(item.resource.as_str());
        let of = resource.and_then(|resource| resource.environment());
        of.is_some_and(|of| of.as_str() == env)
    })
}
