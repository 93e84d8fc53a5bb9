//! The catalogue: what there is, what the caller may ask for, and what it takes.

use axum::extract::State;
use daypass_api::catalogue::{Offer, ResourceQuery};
use daypass_api::{Page, Problem};
use daypass_core::lock;
use daypass_policy::{Offer as Core, Policy};

use crate::api::onlooker::offers;
use crate::api::page;
use crate::app::App;
use crate::http::access::{Identity, Origin};
use crate::http::intake::{Json, Query};
use crate::http::problem::Answer;
use crate::wire;

/// Lists every role of every resource, and what it takes the caller to have it.
#[utoipa::path(get, path = "/api/v1/resources", tag = "catalogue", params(ResourceQuery),
    responses((status = 200, body = Page<Offer>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    origin: Origin,
    Query(query): Query<ResourceQuery>,
) -> Answer<Json<Page<Offer>>> {
    let current = app.engine.current();
    let offers = offers(&app, &current, (&identity, origin), Policy::catalogue).await?;
    let locked = app.engine.locked_now().await?;
    let offers =
        offers.into_iter().map(
            |offer| match locked.locked_for(identity.caller.person, [&offer.item]) {
                Some(lock) => Core {
                    terms: Err(lock::refusal(lock, Some(identity.caller.person))),
                    break_glass: false,
                    ..offer
                },
                None => offer,
            },
        );
    let words = query.q.as_deref().map(str::to_lowercase).unwrap_or_default();
    let words: Vec<&str> = words.split_whitespace().collect();
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
    let offers: Vec<Offer> = offers
        .filter(|offer| wanted(offer))
        .map(wire::offer)
        .filter(|offer| fits(offer, &words))
        .collect();
    Ok(Json(page::of(offers, query.limit, query.cursor.as_deref())?))
}

/// Whether each of these words, in small letters, is somewhere in what somebody knows a role by.
fn fits(offer: &Offer, words: &[&str]) -> bool {
    if words.is_empty() {
        return true;
    }
    let labels = offer.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let known: Vec<String> = [offer.item.to_string(), offer.kind.to_string()]
        .into_iter()
        .chain(labels)
        .map(|text| text.to_lowercase())
        .collect();
    words
        .iter()
        .all(|word| known.iter().any(|text| text.contains(word)))
}
