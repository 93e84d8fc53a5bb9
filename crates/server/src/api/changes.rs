//! Changes that wait for others: who proposes and who reviews is always the caller; no field of a body says so.

use std::sync::Arc;

use axum::extract::State;
use daypass_api::change::{Change, ChangeQuery, NewChangeReview};
use daypass_api::request::Decision;
use daypass_api::{Page, Problem};
use daypass_core::change::{Change as Core, Proposal};
use daypass_core::edit::Act;
use daypass_core::id::ChangeId;
use daypass_core::refusal::Code;
use daypass_engine::{ChangeVerdict, Current, Effects};
use daypass_store::ChangeFilter;

use crate::api::page::Scan;
use crate::api::policies::turn;
use crate::api::typed::{MOST_ALIKE, only_seen};
use crate::app::{App, Parts};
use crate::heavy::aside;
use crate::http::access::Identity;
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists the changes that the caller may see, newest first; with `reviewable`, those that wait for them.
#[utoipa::path(get, path = "/api/v1/changes", tag = "changes", params(ChangeQuery),
    responses((status = 200, body = Page<Change>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<ChangeQuery>,
) -> Answer<Json<Page<Change>>> {
    let (mine, waiting) = (query.mine == Some(true), query.reviewable == Some(true));
    let filter = ChangeFilter {
        state: query.state.map(|state| state.as_str().to_owned()),
        proposer: mine.then_some(identity.caller.person),
    };
    let now = app.engine.store().now().await?;
    let mut scan = Scan::new(query.limit, query.cursor.as_deref())?;
    while let Some((after, count)) = scan.next() {
        let found = app
            .engine
            .store()
            .change_list(filter.clone(), after, count)
            .await?;
        scan.take(
            found,
            |change: &Core| (change.created_at, change.id.to_string()),
            |change| {
                let awaited = app.engine.change_awaits(identity.caller.person, &change, now);
                let may = || app.engine.may_see_change(identity.caller, &change, now);
                let visible = awaited.is_any() || (!waiting && may());
                visible.then(|| wire::change(&change, &app.engine.current(), awaited, now))
            },
        );
    }
    Ok(Json(scan.page()))
}

/// Shows a change that the caller may see, by its id or the first characters of it: one of the policy with the files that it
/// proposes and those that it would replace, one of an account with what the person would gain and lose.
#[utoipa::path(get, path = "/api/v1/changes/{id}", tag = "changes", params(("id" = String, Path)),
    responses((status = 200, body = Change), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(app): State<App>,
    identity: Identity,
    Path(typed): Path<String>,
) -> Answer<Json<Change>> {
    let id = match typed.parse() {
        Ok(id) => id,
        Err(_) if identity.caller.sees_all() => app.engine.store().resolve_change(&typed).await?,
        Err(_) => {
            let ids = app.engine.store().changes_like(&typed, MOST_ALIKE).await?;
            let sees = |id| {
                let seen = visible(&app, &identity, id);
                async { seen.await.is_ok() }
            };
            only_seen("change", &typed, &ids, sees).await?
        }
    };
    let change = visible(&app, &identity, id).await?;
    let mut shown = shown(&app, &identity, &change).await?;
    shown.files = wire::files(app.engine.store().change_files(id).await?.unwrap_or_default());
    let current = app.engine.current();
    if let Proposal::Directory { edit } = &change.proposal
        && change.is_pending()
    {
        let whose = match &edit.act {
            Act::Add { person, .. } => person.login.text().to_owned(),
            _ => current.directory.login(edit.person),
        };
        if let Some(effects) = effects(&app, &current, &change).await? {
            wire::put_effects(&mut shown, effects, &whose, &current);
        }
    }
    let policy = current.policy;
    if change.is_pending() && policy.revision() == change.policy {
        let files = policy.sources().iter();
        shown.before = wire::files(files.map(|file| (file.name.clone(), file.text.clone())));
    }
    Ok(Json(shown))
}

/// It asks the policy about every role, which takes a while where there are many: in the same few turns as other plans.
async fn effects(app: &Parts, current: &Current, change: &Core) -> Answer<Option<Result<Effects, String>>> {
    let now = app.engine.store().now().await?;
    let turn = turn(&app.policy_checks)?;
    let (current, change) = (current.clone(), change.clone());
    let effects = tokio::task::spawn_blocking(move || {
        let effects = current.effects(&change, now);
        drop(turn);
        effects
    });
    let effects = effects.await;
    effects.map_err(|error| Failure::internal(&error))
}

async fn shown(app: &Parts, identity: &Identity, change: &Core) -> Answer<Change> {
    let now = app.engine.store().now().await?;
    let awaited = app.engine.change_awaits(identity.caller.person, change, now);
    Ok(wire::change(change, &app.engine.current(), awaited, now))
}

/// The change, if the caller may see it; else what an unknown id gets.
async fn visible(app: &Parts, identity: &Identity, id: ChangeId) -> Answer<Core> {
    let change = app.engine.store().change(id).await?;
    let now = app.engine.store().now().await?;
    let change = change.filter(|change| app.engine.may_see_change(identity.caller, change, now));
    change.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no change {}", id.short())))
}

/// Reviews a change, as the person who is logged in. The digest says what they saw. The last review that was needed carries
/// it out.
#[utoipa::path(post, path = "/api/v1/changes/{id}/reviews", tag = "changes", params(("id" = String, Path)),
    request_body = NewChangeReview, responses((status = 200, body = Change), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn review(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<ChangeId>,
    Json(body): Json<NewChangeReview>,
) -> Answer<Json<Change>> {
    visible(&app, &identity, id).await?;
    // It may put a policy in force: one at a time within this process.
    let _turn = app.policy_turn.lock().await;
    let verdict = ChangeVerdict {
        agrees: body.decision == Decision::Approve,
        digest: body.digest,
        comment: body.comment,
    };
    let (engine, caller) = (Arc::clone(&app.engine), identity.caller);
    let reviewed = aside(async move { engine.review_change(caller, id, verdict).await });
    let change = reviewed.await?;
    Ok(Json(shown(&app, &identity, &change).await?))
}

/// Takes one's own change back.
#[utoipa::path(post, path = "/api/v1/changes/{id}/withdraw", tag = "changes", params(("id" = String, Path)),
    responses((status = 200, body = Change), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn withdraw(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<ChangeId>,
) -> Answer<Json<Change>> {
    visible(&app, &identity, id).await?;
    let change = app.engine.withdraw_change(identity.caller, id).await?;
    Ok(Json(shown(&app, &identity, &change).await?))
}
