//! Delegation for absence: make one's own, take one back, and list them.

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::delegation::{Delegation, DelegationEnded, DelegationQuery, NewDelegation};
use daypass_api::{Page, Problem};
use daypass_core::delegation::Delegation as Core;
use daypass_core::person::Person;
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_engine::NewDelegation as New;

use crate::app::{App, Parts};
use crate::http::access::Identity;
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists the delegations that the caller made or is the delegate of; everybody's for auditors and administrators.
#[utoipa::path(get, path = "/api/v1/delegations", tag = "delegations", params(DelegationQuery),
    responses((status = 200, body = Page<Delegation>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<DelegationQuery>,
) -> Answer<Json<Page<Delegation>>> {
    let all = query.all == Some(true);
    if all && !identity.caller.sees_all() {
        let what = "only auditors and administrators see everybody's delegations";
        return Err(Failure::new(Code::Forbidden, what).hint("leave out all"));
    }
    let now = app.engine.store().now().await?;
    let found = app.engine.delegations(identity.caller.person, all, now);
    let mut items = Vec::with_capacity(found.len());
    for (of, delegation) in &found {
        items.push(shown(&app, of, delegation, now).await?);
    }
    Ok(Json(Page::all(items)))
}

/// Delegates: somebody else reviews in the caller's place for so long.
#[utoipa::path(post, path = "/api/v1/delegations", tag = "delegations", request_body = NewDelegation,
    responses((status = 201, body = Delegation), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<NewDelegation>,
) -> Answer<(StatusCode, Json<Delegation>)> {
    let new = New {
        to: body.to,
        from: body.from,
        until: body.until,
        why: body.reason,
    };
    let of = app.engine.delegate(identity.caller, new).await?;
    let now = app.engine.store().now().await?;
    let gone = || Failure::internal(&"a delegation was lost on its way out");
    let delegation = of.delegation.as_deref().ok_or_else(gone)?;
    Ok((
        StatusCode::CREATED,
        Json(shown(&app, &of, delegation, now).await?),
    ))
}

/// Takes a delegation back: one's own, or anybody's as an administrator.
#[utoipa::path(post, path = "/api/v1/delegations/{login}/end", tag = "delegations", params(("login" = String, Path)),
    responses((status = 200, body = DelegationEnded), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
) -> Answer<Json<DelegationEnded>> {
    let of = app.engine.end_delegation(identity.caller, &login).await?;
    let of = app.engine.current().directory.login(of.id);
    Ok(Json(DelegationEnded { of }))
}

async fn shown(app: &Parts, of: &Person, delegation: &Core, now: Timestamp) -> Answer<Delegation> {
    let locked = app.engine.locked_now().await?;
    Ok(wire::delegation(
        of,
        delegation,
        &app.engine.current(),
        &locked,
        now,
    ))
}
