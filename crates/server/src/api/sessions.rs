//! Sessions through a gateway: which there are and were, and ending one early.

use axum::extract::State;
use daypass_api::session::{Kill, Session, SessionQuery};
use daypass_api::{Page, Problem, Scope};
use daypass_core::id::SessionId;
use daypass_store::SessionFilter;

use crate::api::grants;
use crate::api::page;
use crate::api::typed::{MOST_ALIKE, only_seen};
use crate::app::App;
use crate::http::access::{self, Identity};
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::Answer;
use crate::wire;

/// Lists the sessions that the caller may see, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(SessionQuery),
    responses((status = 200, body = Page<Session>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<SessionQuery>,
) -> Answer<Json<Page<Session>>> {
    let grant = match query.grant.as_deref() {
        Some(typed) => Some(grants::named(&app, &identity, typed).await?.id),
        None => None,
    };
    // As with grants: others' are listed for who sees everything, and for who may see the grant that they name.
    let own = query.mine == Some(true) || !(identity.caller.sees_all() || grant.is_some());
    let filter = SessionFilter {
        grant,
        holder: own.then_some(identity.caller.person),
        live: query.live == Some(true),
    };
    let (limit, after) = (page::limit(query.limit)?, page::cursor(query.cursor.as_deref())?);
    let found = app.engine.store().sessions(filter, after, limit).await?;
    let people = app.engine.current().directory;
    Ok(Json(Page {
        items: found
            .items
            .iter()
            .map(|session| wire::session(session, &people))
            .collect(),
        next: found.next.map(|next| next.to_string()),
    }))
}

/// Shows a session that the caller may see, by its id or the first characters of it.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = Session), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(app): State<App>,
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
    let (may_look, may_end) = app.engine.session_open_to(identity.caller, id).await?;
    Ok(Json(Session {
        may_look: Some(may_look),
        may_end: Some(may_end),
        ..wire::session(&session, &app.engine.current().directory)
    }))
}

/// Ends a session early. It is over once its gateway says so, which takes a moment.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/kill", tag = "sessions", params(("id" = String, Path)), request_body = Kill,
    responses((status = 200, body = Session), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn kill(
    State(app): State<App>,
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
    Ok(Json(wire::session(&killed, &app.engine.current().directory)))
}
