//! Sessions through a gateway: which there are and were, and ending one early.

use std::collections::BTreeSet;

use axum::extract::State as Held;
use daypass_api::session::{Kill, Session, SessionQuery};
use daypass_api::{Page, Problem, Scope};
use daypass_core::id::{GrantId, SessionId};
use daypass_core::session::{Session as Core, State};
use daypass_store::SessionFilter;

use crate::api::grants;
use crate::api::page::Scan;
use crate::api::people::called;
use crate::api::typed::{MOST_ALIKE, only_seen};
use crate::app::{App, Parts};
use crate::http::access::{self, Identity};
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists the sessions that the caller may see, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(SessionQuery),
    responses((status = 200, body = Page<Session>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    Held(app): Held<App>,
    identity: Identity,
    Query(query): Query<SessionQuery>,
) -> Answer<Json<Page<Session>>> {
    let grant = match query.grant.as_deref() {
        Some(typed) => Some(grants::named(&app, &identity, typed).await?.id),
        None => None,
    };
    // As with grants: others' are listed for who sees everything, and for who may see the grant that they name.
    let own = query.mine == Some(true) || !(identity.caller.sees_all() || grant.is_some());
    let asked = query.holder.as_deref().map(|login| called(&app, login));
    let own = own.then_some(identity.caller.person);
    let holder = match (own, asked) {
        (_, Some(None)) => return Ok(Json(Page::all(Vec::new()))),
        (Some(own), Some(Some(person))) if own != person => return Ok(Json(Page::all(Vec::new()))),
        (own, asked) => own.or(asked.flatten()),
    };
    let filter = SessionFilter {
        grant,
        holder,
        live: query.live == Some(true),
    };
    let on = |session: &Core| {
        let resource = session.item.resource.as_str();
        query.resource.as_deref().is_none_or(|asked| asked == resource)
    };
    let mut scan = Scan::new(query.limit, query.cursor.as_deref())?;
    while let Some((after, count)) = scan.next() {
        let found = app.engine.store().sessions(filter.clone(), after, count).await?;
        let key = |session: &Core| (session.opened_at, session.id.to_string());
        scan.take(found, key, |session| on(&session).then_some(session));
    }
    let found = scan.page();
    Ok(Json(Page {
        items: shown(&app, &identity, &found.items).await?,
        next: found.next,
    }))
}

/// Sessions as the caller sees them, who may end some of them, as [`kill`] decides it.
async fn shown(app: &Parts, identity: &Identity, sessions: &[Core]) -> Answer<Vec<Session>> {
    let manages = access::scoped(identity, Scope::Manage).is_ok();
    let is_mine = |session: &Core| session.holder == identity.caller.person;
    let open = |session: &&Core| matches!(session.state, State::Open);
    let asked = sessions
        .iter()
        .filter(open)
        .filter(|one| manages && !is_mine(one));
    let grants: BTreeSet<GrantId> = asked.map(|session| session.grant).collect();
    let grants = if grants.is_empty() {
        Vec::new()
    } else {
        let grants: Vec<GrantId> = grants.into_iter().collect();
        app.engine.store().grants_of_ids(&grants).await?
    };
    let endable = app.engine.endable(identity.caller, &grants).await?;
    let people = app.engine.current().directory;
    let shown = sessions.iter().map(|session| Session {
        endable: open(&session) && (is_mine(session) || endable.contains(&session.grant)),
        ..wire::session(session, &people)
    });
    Ok(shown.collect())
}

async fn one(app: &Parts, identity: &Identity, session: Core) -> Answer<Json<Session>> {
    let shown = shown(app, identity, &[session]).await?.into_iter().next();
    let lost = || Failure::internal(&"a session was lost on its way out");
    shown.map(Json).ok_or_else(lost)
}

/// Shows a session that the caller may see, by its id or the first characters of it.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = Session), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    Held(app): Held<App>,
    identity: Identity,
    Path(typed): Path<String>,
) -> Answer<Json<Session>> {
    let id = match typed.parse() {
        Ok(id) => id,
        Err(_) if identity.caller.sees_all() => app.engine.store().resolve_session(&typed).await?,
        Err(_) => {
            let ids = app.engine.store().sessions_like(&typed, MOST_ALIKE).await?;
            let sees = |id| {
                let seen = app.engine.session_seen(identity.caller, id);
                async { seen.await.is_ok() }
            };
            only_seen("session", &typed, &ids, sees).await?
        }
    };
    let (session, _) = app.engine.session_seen(identity.caller, id).await?;
    let may_look = app.engine.looks_into(identity.caller, id).await?;
    let Json(shown) = one(&app, &identity, session).await?;
    Ok(Json(Session {
        may_look: Some(may_look),
        ..shown
    }))
}

/// Ends a session early. It is over once its gateway says so, which takes a moment.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/kill", tag = "sessions", params(("id" = String, Path)), request_body = Kill,
    responses((status = 200, body = Session), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn kill(
    Held(app): Held<App>,
    identity: Identity,
    Path(id): Path<SessionId>,
    Json(body): Json<Kill>,
) -> Answer<Json<Session>> {
    // As with grants: to end others' is to manage. What the caller may not see is not there.
    let (session, _) = app.engine.session_seen(identity.caller, id).await?;
    if session.holder != identity.caller.person {
        access::scoped(&identity, Scope::Manage)?;
    }
    let killed = app.engine.kill_session(identity.caller, id, &body.reason).await?;
    one(&app, &identity, killed).await
}
