//! Grants: what became of access, ending it early, asking for more time, and the credentials for it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::grant::{AskCredential, Credential, Ending, Extend, Grant, GrantQuery, Revoke};
use daypass_api::request::Request;
use daypass_api::{Page, Problem, Scope};
use daypass_core::grant::Grant as Core;
use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_engine::{Ended, NewRequest as Asked};
use daypass_store::GrantFilter;

use crate::api::typed::{MOST_ALIKE, only_seen};
use crate::api::{page, requests, through};
use crate::app::{App, Parts};
use crate::http::access::{self, Identity, Origin};
use crate::http::intake::{IdempotencyKey, Json, MaybeJson, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Those of these grants that the caller may end, as [`revoke`] decides it.
pub(super) async fn endable(app: &Parts, identity: &Identity, grants: &[Core]) -> Answer<BTreeSet<GrantId>> {
    let manages = access::scoped(identity, Scope::Manage).is_ok();
    let asked = grants
        .iter()
        .filter(|grant| grant.is_live() && (manages || grant.holder == identity.caller.person));
    let asked: Vec<Core> = asked.cloned().collect();
    Ok(app.engine.endable(identity.caller, &asked).await?)
}

/// Grants as the caller sees them, with what is known of them at their targets, read together.
pub(super) async fn shown(
    app: &Parts,
    identity: &Identity,
    grants: &[Core],
    now: Timestamp,
) -> Answer<Vec<Grant>> {
    let keys: BTreeSet<_> = grants
        .iter()
        .flat_map(|grant| &grant.parts)
        .map(|part| part.target.clone())
        .collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let seen = if keys.is_empty() {
        BTreeMap::new()
    } else {
        app.engine.store().held(&keys).await?.entitlements
    };
    let endable = endable(app, identity, grants).await?;
    let people = app.engine.current().directory;
    Ok(grants
        .iter()
        .map(|grant| Grant {
            endable: endable.contains(&grant.id),
            ..wire::grant(grant, &seen, &people, now)
        })
        .collect())
}

async fn one(app: &Parts, identity: &Identity, grant: Core) -> Answer<Grant> {
    let now = app.engine.store().now().await?;
    let shown = shown(app, identity, std::slice::from_ref(&grant), now)
        .await?
        .into_iter()
        .next();
    shown.ok_or_else(|| Failure::internal(&"a grant was lost on its way out"))
}

/// Whether somebody may look at a grant: its holder, who may see its request, and who sees everything.
pub(super) async fn may_see(app: &Parts, identity: &Identity, grant: &Core) -> Answer<bool> {
    if grant.holder == identity.caller.person || identity.caller.sees_all() {
        return Ok(true);
    }
    let request = app.engine.store().request(grant.request).await?;
    let now = app.engine.store().now().await?;
    Ok(request.is_some_and(|request| app.engine.may_see(identity.caller, &request, now)))
}

/// The grant, if the caller may see it; else what an unknown id gets.
pub(super) async fn visible(app: &Parts, identity: &Identity, id: GrantId) -> Answer<Core> {
    let unknown = || Failure::new(Code::NotFound, format!("there is no grant {}", id.short()));
    let grant = app.engine.store().grant(id).await?.ok_or_else(unknown)?;
    if may_see(app, identity, &grant).await? {
        Ok(grant)
    } else {
        Err(unknown())
    }
}

/// Lists the grants that the caller may see, newest first.
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", params(GrantQuery),
    responses((status = 200, body = Page<Grant>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<GrantQuery>,
) -> Answer<Json<Page<Grant>>> {
    // Others' grants are listed for who sees everything; whoever approved one finds it through its request.
    let own = query.mine == Some(true) || !identity.caller.sees_all();
    let filter = GrantFilter {
        holder: own.then_some(identity.caller.person),
        states: query
            .state
            .iter()
            .map(|state| state.as_str().to_owned())
            .collect(),
        open: query.live == Some(true),
    };
    let (limit, after) = (page::limit(query.limit)?, page::cursor(query.cursor.as_deref())?);
    let now = app.engine.store().now().await?;
    let found = app.engine.store().grants(filter, after, limit).await?;
    let items = shown(&app, &identity, &found.items, now).await?;
    Ok(Json(Page {
        items,
        next: found.next.map(|next| next.to_string()),
    }))
}

/// Shows a grant that the caller may see, by its id or the first characters of it.
#[utoipa::path(get, path = "/api/v1/grants/{id}", tag = "grants", params(("id" = String, Path)),
    responses((status = 200, body = Grant), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(app): State<App>,
    identity: Identity,
    Path(typed): Path<String>,
) -> Answer<Json<Grant>> {
    let grant = named(&app, &identity, &typed).await?;
    Ok(Json(one(&app, &identity, grant).await?))
}

/// The grant that is meant by an id or the first characters of one, if the caller may see it.
pub(super) async fn named(app: &Parts, identity: &Identity, typed: &str) -> Answer<Core> {
    let id = match typed.parse() {
        Ok(id) => id,
        Err(_) if identity.caller.sees_all() => app.engine.store().resolve_grant(typed).await?,
        Err(_) => {
            let ids = app.engine.store().grants_like(typed, MOST_ALIKE).await?;
            let sees = |id| {
                let seen = visible(app, identity, id);
                async { seen.await.is_ok() }
            };
            only_seen("grant", typed, &ids, sees).await?
        }
    };
    visible(app, identity, id).await
}

async fn ended(app: &Parts, identity: &Identity, ended: Ended) -> Answer<Json<Ending>> {
    let mut surviving = Vec::new();
    for id in ended.surviving {
        surviving.extend(app.engine.store().grant(id).await?);
    }
    Ok(Json(wire::ending(
        one(app, identity, ended.grant).await?,
        &surviving,
    )))
}

/// Ends a grant early. It has ended once its targets were seen without it.
#[utoipa::path(post, path = "/api/v1/grants/{id}/revoke", tag = "grants", params(("id" = String, Path)),
    request_body = Option<Revoke>, responses((status = 200, body = Ending), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<GrantId>,
    MaybeJson(body): MaybeJson<Revoke>,
) -> Answer<Json<Ending>> {
    // To end others' access is to manage; one's own, whoever may ask for it may end. What the caller may not see is not there.
    if let Some(grant) = app.engine.store().grant(id).await?
        && grant.holder != identity.caller.person
        && may_see(&app, &identity, &grant).await?
    {
        access::scoped(&identity, Scope::Manage)?;
    }
    let end = app
        .engine
        .revoke(identity.caller, id, body.reason.as_deref())
        .await?;
    ended(&app, &identity, end).await
}

/// Gives one's own grant back.
#[utoipa::path(post, path = "/api/v1/grants/{id}/release", tag = "grants", params(("id" = String, Path)),
    responses((status = 200, body = Ending), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn release(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<GrantId>,
) -> Answer<Json<Ending>> {
    visible(&app, &identity, id).await?;
    let end = app.engine.release(identity.caller, id).await?;
    ended(&app, &identity, end).await
}

/// Asks for more time on one's own grant. The answer is a request, which may need reviews.
#[utoipa::path(post, path = "/api/v1/grants/{id}/extend", tag = "grants", params(("id" = String, Path)),
    request_body = Extend,
    responses((status = 201, body = Request), (status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn extend(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<GrantId>,
    Origin(from): Origin,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<Extend>,
) -> Answer<(StatusCode, Json<Request>)> {
    visible(&app, &identity, id).await?;
    let asked = Asked {
        items: BTreeSet::new(),
        environments: Vec::new(),
        duration: Some(body.duration),
        start: None,
        extends: Some(id),
        reason: body.reason.unwrap_or_default(),
        ticket: body.ticket,
    };
    let made = app
        .engine
        .request_from(identity.caller, asked, key.as_deref(), from)
        .await?;
    requests::made(&app, &identity, &made).await
}

/// Sets fresh credentials at the target and shows them this once, to the holder only. Those of before no longer work. Where the
/// resource is reached through the gateway, they are for the gateway alone: its address, the holder's login there and a password.
#[utoipa::path(post, path = "/api/v1/grants/{id}/credentials", tag = "grants", params(("id" = String, Path)),
    request_body = Option<AskCredential>,
    responses((status = 200, body = Credential), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn credentials(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<GrantId>,
    MaybeJson(body): MaybeJson<AskCredential>,
) -> Answer<Json<Credential>> {
    let grant = visible(&app, &identity, id).await?;
    if let Some(item) = through::item(&app, &grant, body.item.as_ref()) {
        return through::credential(&app, &identity, &grant, item).await.map(Json);
    }
    // Each call is work for the target, which is also the one that takes access away.
    let _places = app.places.credentials(identity.caller.person, id)?;
    let (item, credential) = app
        .engine
        .credential(identity.caller, id, body.item.map(Into::into))
        .await?;
    let part = grant.part(&item);
    let kind = part.map(|part| part.spec.kind.clone());
    let kind =
        kind.ok_or_else(|| Failure::internal(&"credentials for an item that the grant does not have"))?;
    Ok(Json(Credential {
        item: item.into(),
        kind,
        fields: credential.fields,
        secret: credential.secret.into(),
        expires_at: grant.expires_at(),
    }))
}
