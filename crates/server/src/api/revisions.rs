//! The revisions of the policy: which there were, what each said, and what differs between two.

use axum::extract::State;
use daypass_api::event::ITSELF;
use daypass_api::policy::{DiffQuery, PolicyDiff, PolicyFile, PolicyRevision, RevisionQuery};
use daypass_api::{Page, Problem};
use daypass_core::event::Actor;
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_engine::Current;
use daypass_policy::{Policy, Source};
use daypass_store::Revision;

use crate::api::page::{aside, limit};
use crate::api::policies::turn;
use crate::app::{App, Parts};
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists the revisions that were put in force, newest first. One that was put in force several times is there as often.
#[utoipa::path(get, path = "/api/v1/policy/revisions", tag = "policy", params(RevisionQuery),
    responses((status = 200, body = Page<PolicyRevision>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<RevisionQuery>,
) -> Answer<Json<Page<PolicyRevision>>> {
    let limit = limit(query.limit)?;
    let before = query.cursor.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| Failure::new(Code::Invalid, "there is no such cursor"))?;
    // One more than is told, to know whether it goes on.
    let mut found = app.engine.store().policies_applied(before, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.place.to_string());
    let current = app.engine.current();
    let items = found.into_iter().map(|one| PolicyRevision {
        revision: one.revision,
        applied_at: one.applied_at,
        by: by(one.by, &current),
        in_force: one.revision == current.policy.revision(),
        files: Vec::new(),
    });
    Ok(Json(Page {
        items: items.collect(),
        next,
    }))
}

/// Shows a revision that is in force or was, with its files.
#[utoipa::path(get, path = "/api/v1/policy/revisions/{revision}", tag = "policy", params(("revision" = String, Path)),
    responses((status = 200, body = PolicyRevision), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(State(app): State<App>, Path(typed): Path<String>) -> Answer<Json<PolicyRevision>> {
    let revision = typed.parse().map_err(|_| absent(&typed))?;
    let kept = kept(&app, revision).await?;
    let current = app.engine.current();
    Ok(Json(PolicyRevision {
        revision,
        applied_at: kept.applied_at,
        by: by(kept.by, &current),
        in_force: revision == current.policy.revision(),
        files: wire::files(kept.sources),
    }))
}

/// Says what differs between two revisions that are in force or were: what it means, and line by line.
#[utoipa::path(get, path = "/api/v1/policy/diff", tag = "policy", params(DiffQuery),
    responses((status = 200, body = PolicyDiff), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn diff(
    State(app): State<App>,
    Query(DiffQuery { from, to }): Query<DiffQuery>,
) -> Answer<Json<PolicyDiff>> {
    let (old, new) = (kept(&app, from).await?, kept(&app, to).await?);
    let turn = turn(&app.policy_checks)?;
    let compared = aside(move || {
        let (old, new) = (wire::files(old.sources), wire::files(new.sources));
        let meaning = (loaded(&old), loaded(&new));
        let summary = match &meaning {
            (Some(old), Some(new)) => Some(Policy::diff(Some(old), new)),
            _ => None,
        };
        let files = wire::diff(&old, &new);
        drop(turn);
        PolicyDiff {
            from,
            to,
            summary,
            files,
        }
    });
    Ok(Json(compared.await?))
}

/// What an older version of Daypass took may not load any more.
fn loaded(files: &[PolicyFile]) -> Option<Policy> {
    let source = |file: &PolicyFile| Source {
        name: file.name.clone(),
        text: file.text.clone(),
    };
    Policy::load(&files.iter().map(source).collect::<Vec<_>>()).ok()
}

async fn kept(app: &Parts, revision: Hash) -> Answer<Revision> {
    let kept = app.engine.store().policy_revision(revision).await?;
    kept.ok_or_else(|| absent(&revision.to_string()))
}

fn absent(typed: &str) -> Failure {
    let short: String = typed.chars().take(12).collect();
    Failure::new(Code::NotFound, format!("no revision {short} was ever in force"))
        .hint("daypass policy log lists those that were")
}

fn by(actor: Actor, current: &Current) -> String {
    match actor {
        Actor::Person(person) => current.directory.login(person),
        Actor::System => ITSELF.to_owned(),
    }
}
