//! Environments: what they stand for, and what it takes the caller to have all of that at once.

use axum::extract::State;
use daypass_api::environment::{EnvironmentOffer, EnvironmentQuery};
use daypass_api::{Page, Problem};
use daypass_core::lock;
use daypass_policy::{EnvironmentOffer as Core, Onlooker, Policy};

use crate::api::page;
use crate::app::App;
use crate::http::access::{Identity, Origin};
use crate::http::intake::{Json, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists every role of every environment, what it stands for, and what it takes the caller to have it.
#[utoipa::path(get, path = "/api/v1/environments", tag = "catalogue", params(EnvironmentQuery),
    responses((status = 200, body = Page<EnvironmentOffer>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Origin(from): Origin,
    Query(query): Query<EnvironmentQuery>,
) -> Answer<Json<Page<EnvironmentOffer>>> {
    let now = app.engine.store().now().await?;
    let current = app.engine.current();
    let (who, confirmed) = (identity.caller.person, identity.caller.confirmed_at());
    let policy = current.policy.clone();
    let past = app.engine.past_of(&current, who).await?;
    // Each is a decision of the policy about many items; that is work for a thread of its own.
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
        current.policy.environments(&onlooker, directory)
    });
    let offers = offers.await.map_err(|error| Failure::internal(&error))?;
    let locked = app.engine.locked_now().await?;
    let offers = offers
        .into_iter()
        .map(|offer| match locked.locked_for(who, &offer.items) {
            Some(lock) => Core {
                terms: Err(lock::refusal(lock, Some(who))),
                break_glass: false,
                ..offer
            },
            None => offer,
        });
    let wanted = |offer: &Core| {
        let instant =
            query.instant != Some(true) || offer.terms.as_ref().is_ok_and(|terms| terms.is_instant());
        instant
            && query
                .env
                .as_deref()
                .is_none_or(|env| is_within(&policy, offer, env))
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
