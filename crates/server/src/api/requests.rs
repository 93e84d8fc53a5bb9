//! Requests and reviews. Who asks and who reviews is always the caller; no field of a body says so.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::preview::Preview;
use daypass_api::request::{Decision as Yes, NewRequest, NewReview, Request, RequestQuery, RequestState};
use daypass_api::{Page, Problem};
use daypass_core::break_glass::Owed;
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::request::{Request as Core, State as CoreState};
use daypass_core::review::Decision;
use daypass_core::time::Timestamp;
use daypass_engine::{Made, NewRequest as Asked, Verdict};
use daypass_store::RequestFilter;

use crate::api::page::{self, Scan};
use crate::api::people::called;
use crate::api::typed::{MOST_ALIKE, only_seen};
use crate::app::{App, Parts};
use crate::http::access::{Identity, Origin};
use crate::http::intake::{IdempotencyKey, Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// How many waiting requests are looked at for `reviewable`; nobody's inbox is longer.
const INBOX: usize = 5_000;

pub(super) fn asked(body: NewRequest) -> Asked {
    Asked {
        items: wire::wanted(body.items),
        environments: body.environments.into_iter().map(Into::into).collect(),
        duration: body.duration,
        start: body.start,
        extends: None,
        reason: body.reason.unwrap_or_default(),
        ticket: body.ticket,
    }
}

/// A request as this caller sees it.
pub(super) fn shown(app: &Parts, identity: &Identity, request: &Core, now: Timestamp) -> Request {
    let reviewable = app.engine.awaits(identity.caller.person, request, now);
    let current = app.engine.current();
    let is_told = reviewable.is_any() || identity.caller.sees_all();
    let effects = if is_told {
        wire::effects(request, &current)
    } else {
        Vec::new()
    };
    Request {
        effects,
        ..wire::request(request, &current, reviewable, now)
    }
}

/// The answer to a request that was made: 201, or 200 where the same command had made it before.
pub(super) async fn made(
    app: &Parts,
    identity: &Identity,
    made: &Made,
) -> Answer<(StatusCode, Json<Request>)> {
    let now = app.engine.store().now().await?;
    let status = if made.fresh {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(shown(app, identity, &made.request, now))))
}

/// Says what a request would lead to. Makes nothing.
#[utoipa::path(post, path = "/api/v1/preview", tag = "requests", request_body = NewRequest,
    responses((status = 200, body = Preview), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn preview(
    State(app): State<App>,
    identity: Identity,
    Origin(from): Origin,
    Json(body): Json<NewRequest>,
) -> Answer<Json<Preview>> {
    let asked = asked(body);
    let preview = app.engine.preview_from(identity.caller, &asked, from).await?;
    let mut shown = wire::preview(&preview, &app.engine.current());
    if let Preview::Allowed(path) = &mut shown
        && !path.steps.is_empty()
    {
        path.usually = app.engine.usual_wait(&preview.items).await?;
    }
    Ok(Json(shown))
}

/// Asks for access. Where the rule asks nobody, the grant is there at once.
#[utoipa::path(post, path = "/api/v1/requests", tag = "requests", request_body = NewRequest,
    responses((status = 201, body = Request), (status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add(
    State(app): State<App>,
    identity: Identity,
    Origin(from): Origin,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<NewRequest>,
) -> Answer<(StatusCode, Json<Request>)> {
    let answer = app
        .engine
        .request_from(identity.caller, asked(body), key.as_deref(), from)
        .await?;
    made(&app, &identity, &answer).await
}

/// Lists the requests that the caller may see, newest first; with `reviewable`, those that wait for them, by time left.
#[utoipa::path(get, path = "/api/v1/requests", tag = "requests", params(RequestQuery),
    responses((status = 200, body = Page<Request>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<RequestQuery>,
) -> Answer<Json<Page<Request>>> {
    if query.reviewable == Some(true) {
        return inbox(&app, &identity, &query).await;
    }
    let mine = query.mine == Some(true);
    let asked = query.requester.as_deref().map(|login| called(&app, login));
    let own = mine.then_some(identity.caller.person);
    let requester = match (own, asked) {
        (_, Some(None)) => return Ok(Json(Page::all(Vec::new()))),
        (Some(own), Some(Some(person))) if own != person => return Ok(Json(Page::all(Vec::new()))),
        (own, asked) => own.or(asked.flatten()),
    };
    let filter = RequestFilter {
        state: query.state.map(|state| state.as_str().to_owned()),
        requester,
        owing: query.owing == Some(true),
    };
    let now = app.engine.store().now().await?;
    let mut scan = Scan::new(query.limit, query.cursor.as_deref())?;
    while let Some((after, count)) = scan.next() {
        let found = app.engine.store().requests(filter.clone(), after, count).await?;
        let (app, identity) = (Arc::clone(&app), identity.clone());
        let look = move || {
            scan.take(
                found,
                |request: &Core| (request.created_at, request.id.to_string()),
                |request| {
                    let visible = mine || app.engine.may_see(identity.caller, &request, now);
                    visible.then(|| shown(&app, &identity, &request, now))
                },
            );
            scan
        };
        scan = page::aside(look).await?;
    }
    Ok(Json(scan.page()))
}

async fn inbox(app: &App, identity: &Identity, query: &RequestQuery) -> Answer<Json<Page<Request>>> {
    let asked = query.requester.as_deref().map(|login| called(app, login));
    let requester = match asked {
        Some(None) => return Ok(Json(Page::all(Vec::new()))),
        asked => asked.flatten(),
    };
    // Before the access, and after an emergency.
    let before = RequestFilter {
        state: Some(RequestState::Pending.as_str().to_owned()),
        requester,
        owing: false,
    };
    let after = RequestFilter {
        state: None,
        requester,
        owing: true,
    };
    let wanted = [
        (RequestState::Pending, before, query.owing != Some(true)),
        (RequestState::Approved, after, true),
    ];
    let now = app.engine.store().now().await?;
    let mut found = Vec::new();
    for (state, filter, wanted) in wanted {
        if wanted && query.state.is_none_or(|asked| asked == state) {
            found.extend(app.engine.store().requests(filter, None, INBOX).await?.items);
        }
    }
    let (engine, person) = (Arc::clone(&app.engine), identity.caller.person);
    let awaits = move || {
        found.retain(|request: &Core| engine.awaits(person, request, now).is_any());
        found
    };
    let mut waiting: Vec<(Timestamp, Core)> = page::aside(awaits)
        .await?
        .into_iter()
        .filter_map(|request| match &request.state {
            CoreState::Pending { due_at, .. }
            | CoreState::Approved {
                owed: Some(Owed::Due { due_at, .. }),
                ..
            } => Some((*due_at, request)),
            _ => None,
        })
        .collect();
    waiting.sort_by_key(|(due_at, request)| (*due_at, request.id));
    let key = |(due_at, request): &(Timestamp, Core)| (*due_at, request.id.to_string());
    let waiting = page::ascending(waiting, key, query.limit, query.cursor.as_deref())?;
    let items = waiting
        .items
        .iter()
        .map(|(_, request)| shown(app, identity, request, now));
    Ok(Json(Page {
        items: items.collect(),
        next: waiting.next,
    }))
}

/// Shows a request that the caller may see, by its id or the first characters of it.
#[utoipa::path(get, path = "/api/v1/requests/{id}", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(app): State<App>,
    identity: Identity,
    Path(typed): Path<String>,
) -> Answer<Json<Request>> {
    let id = match typed.parse() {
        Ok(id) => id,
        Err(_) if identity.caller.sees_all() => app.engine.store().resolve_request(&typed).await?,
        Err(_) => {
            let ids = app.engine.store().requests_like(&typed, MOST_ALIKE).await?;
            let sees = |id| {
                let seen = visible(&app, &identity, id);
                async { seen.await.is_ok() }
            };
            only_seen("request", &typed, &ids, sees).await?
        }
    };
    let request = visible(&app, &identity, id).await?;
    let now = app.engine.store().now().await?;
    Ok(Json(shown(&app, &identity, &request, now)))
}

/// The request, if the caller may see it; else what an unknown id gets.
pub(super) async fn visible(app: &Parts, identity: &Identity, id: RequestId) -> Answer<Core> {
    let request = app.engine.store().request(id).await?;
    let now = app.engine.store().now().await?;
    let request = request.filter(|request| app.engine.may_see(identity.caller, request, now));
    request.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no request {}", id.short())))
}

/// Reviews a request, as the person who is logged in. The digest says what they saw.
#[utoipa::path(post, path = "/api/v1/requests/{id}/reviews", tag = "requests", params(("id" = String, Path)),
    request_body = NewReview, responses((status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn review(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<RequestId>,
    Json(body): Json<NewReview>,
) -> Answer<Json<Request>> {
    // Who may not see it is not told that it exists.
    visible(&app, &identity, id).await?;
    let vote = match body.decision {
        Yes::Approve => Decision::Approve {
            duration: body.duration,
            items: body.items.map(wire::wanted),
        },
        Yes::Deny if body.duration.is_some() || body.items.is_some() => {
            return Err(
                Failure::new(Code::Invalid, "a denial has no bounds").hint("leave out duration and items")
            );
        }
        Yes::Deny => Decision::Deny,
    };
    let verdict = Verdict {
        vote,
        digest: body.digest,
        comment: body.comment,
    };
    let made = app.engine.review(identity.caller, id, verdict).await?;
    let now = app.engine.store().now().await?;
    Ok(Json(shown(&app, &identity, &made.request, now)))
}

/// Takes one's own request back.
#[utoipa::path(post, path = "/api/v1/requests/{id}/cancel", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = Request), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn cancel(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<RequestId>,
) -> Answer<Json<Request>> {
    visible(&app, &identity, id).await?;
    let request = app.engine.withdraw(identity.caller, id).await?;
    let now = app.engine.store().now().await?;
    Ok(Json(shown(&app, &identity, &request, now)))
}
