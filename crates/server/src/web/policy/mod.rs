//! The policy: what is in force, another one being written, what that would do, and putting it in force.
//!
//! Nothing is read by the pages themselves: whether a text is a policy, what its tests say, who gains and who loses, and whom a question
//! leads to is the API's answer, from the function that also decides. A draft lives in the browser's form and nowhere else.

mod draft;
mod findings;
mod gains;
mod outcome;
mod question;
mod revisions;
mod simulate;

use askama::Template;
use axum::Router;
use axum::extract::{Query, Request};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use daypass_api::change::{ChangeKind, ChangeQuery, ChangeState};
use daypass_api::person::SystemRole;
use daypass_api::policy::{FileDiff, Policy};
use daypass_core::text::Hash;
use serde::Deserialize;

use self::draft::Draft;
use self::findings::Findings;
pub(super) use self::gains::Gains;
use self::outcome::Outcome;
use super::Web;
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::proof;
use super::visit::Visit;
use super::words::When;
use crate::{edge, heavy};

/// So many changes that wait are shown.
const MOST_WAITING: u32 = 20;

/// The pages about the policy.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/policy", get(page))
        .route("/policy/check", get(back).post(check))
        .route("/policy/plan", get(back).post(plan))
        .route("/policy/apply", get(back).post(apply))
        .route("/policy/simulate", get(simulate::page))
        .route("/policy/revisions", get(revisions::page))
}

/// The editor.
#[derive(Template)]
#[template(path = "policy/editor.html")]
struct Editor {
    frame: Frame,
    view: &'static str,
    draft: Draft,
    in_force: String,
    /// Whom a change asks.
    approval: Vec<String>,
    may_apply: bool,
    findings: Option<Findings>,
    outcome: Option<Outcome>,
    /// Why it was not taken.
    failed: Option<Failed>,
    waiting: Vec<Waiting>,
    /// Another revision has come in force since this draft was begun.
    stale: bool,
    /// It is nowhere but on this page.
    dirty: bool,
}

/// What a draft would do, before it is put in force.
#[derive(Template)]
#[template(path = "policy/plan.html")]
struct Review {
    frame: Frame,
    view: &'static str,
    draft: Draft,
    approval: Vec<String>,
    may_apply: bool,
    /// What it means, line by line.
    summary: Vec<String>,
    tests: usize,
    diff: Vec<FileDiff>,
    plan: Gains,
    /// It is nowhere but on this page.
    dirty: bool,
}

/// A change of the policy that waits for others.
struct Waiting {
    id: String,
    proposer: String,
    asked: When,
}

/// Where a draft begins.
#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    /// With the files of a former revision.
    revision: Option<Hash>,
}

/// A revision, as far as it is shown.
fn short(revision: Hash) -> String {
    revision.to_string().chars().take(12).collect()
}

/// There is nothing to look at where a form is sent to.
async fn back() -> Redirect {
    Redirect::to("/policy")
}

/// The policy in force, to be looked at or changed.
async fn page(visit: Visit, Query(from): Query<From>) -> Result<Response, Failed> {
    let asking = async {
        let policy = visit.api.policy().await?;
        let files = match from.revision {
            Some(revision) => visit.api.policy_revision(revision).await?.files,
            None => policy.files.clone(),
        };
        let draft = Draft::of(files, policy.revision);
        Ok::<_, Failed>((policy, draft))
    };
    let (policy, draft) = visit.from.clone().scope(asking).await?;
    editor(&visit, policy, draft, Found::default()).await
}

/// What was found out about a draft.
#[derive(Default)]
struct Found {
    /// The draft is one that was sent: it is nowhere else.
    sent: bool,
    findings: Option<Findings>,
    outcome: Option<Outcome>,
    failed: Option<Failed>,
}

async fn editor(visit: &Visit, policy: Policy, draft: Draft, found: Found) -> Result<Response, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Policy, "Policy").await?;
        let query = ChangeQuery {
            state: Some(ChangeState::Pending),
            limit: Some(MOST_WAITING),
            ..ChangeQuery::default()
        };
        Ok::<_, Failed>((frame, visit.api.changes(&query).await?.items))
    };
    let (frame, changes) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let of_policy = changes.into_iter().filter(|one| one.kind == ChangeKind::Policy);
    let waiting = of_policy.map(|one| Waiting {
        id: one.id.to_string(),
        proposer: one.proposer,
        asked: When::new(one.created_at, now),
    });
    let status = found.failed.as_ref().map_or(StatusCode::OK, Failed::status);
    let page = Editor {
        frame,
        view: "editor",
        dirty: found.sent && draft.files().files != policy.files,
        stale: draft.replaces.is_some_and(|meant| meant != policy.revision),
        in_force: short(policy.revision),
        approval: policy.approval,
        may_apply: visit.me.person.role == SystemRole::Administrator,
        waiting: waiting.collect(),
        findings: found.findings,
        outcome: found.outcome,
        failed: found.failed,
        draft,
    };
    Ok((status, Html(page.render()?)).into_response())
}

/// The policy in force, and the draft in this form. Whoever may not see a policy may send none either.
async fn sent(visit: &Visit, request: Request) -> Result<(Policy, Draft), Failed> {
    let policy = visit.from.clone().scope(visit.api.policy()).await?;
    let draft = Draft::read(request, &policy).await?;
    Ok((policy, draft))
}

/// What is wrong with a draft, what its tests say, and how it would decide what was asked.
async fn check(visit: Visit, request: Request) -> Result<Response, Failed> {
    let (policy, draft) = sent(&visit, request).await?;
    let asking = async {
        let checked = visit.api.check_policy(&draft.files()).await?;
        let sound = checked.revision.is_some();
        let findings = Findings::of(checked, &draft);
        let outcome = match draft.question.explain(draft.files().files) {
            Some(Ok(question)) if sound => Some(Outcome::of(
                visit.api.explain_policy(&question).await.map_err(Failed::from),
            )),
            Some(Err(failed)) => Some(Outcome::of(Err(failed))),
            _ => None,
        };
        Ok::<_, Failed>((findings, outcome))
    };
    let found = match visit.from.clone().scope(asking).await {
        Ok((findings, outcome)) => Found {
            sent: true,
            findings: Some(findings),
            outcome,
            failed: None,
        },
        Err(failed) => Found {
            sent: true,
            failed: Some(failed),
            ..Found::default()
        },
    };
    editor(&visit, policy, draft, found).await
}

/// What a draft would do to whom; one with faults goes back to where it is written.
async fn plan(visit: Visit, request: Request) -> Result<Response, Failed> {
    let (policy, draft) = sent(&visit, request).await?;
    let asking = async {
        let checked = visit.api.check_policy(&draft.files()).await?;
        if !checked.is_sound() {
            return Ok(Err(checked));
        }
        let plan = visit.api.plan_policy(&draft.files()).await?;
        let frame = visit.frame(Tab::Policy, "Review a change of the policy").await?;
        Ok::<_, Failed>(Ok((checked, plan, frame)))
    };
    let (checked, plan, frame) = match visit.from.clone().scope(asking).await {
        Ok(Ok(all)) => all,
        Ok(Err(checked)) => {
            let found = Found {
                sent: true,
                findings: Some(Findings::of(checked, &draft)),
                outcome: None,
                failed: Some(Failed::invalid("it has faults, and nothing was changed")),
            };
            return editor(&visit, policy, draft, found).await;
        }
        Err(failed) => {
            let found = Found {
                sent: true,
                failed: Some(failed),
                ..Found::default()
            };
            return editor(&visit, policy, draft, found).await;
        }
    };
    let (before, after) = (policy.files, draft.files().files);
    let page = Review {
        frame,
        view: "editor",
        approval: policy.approval,
        may_apply: visit.me.person.role == SystemRole::Administrator,
        summary: checked.summary,
        tests: checked.tests.len(),
        dirty: before != after,
        diff: heavy::aside(async move { crate::wire::diff(&before, &after) }).await,
        plan: Gains::of(plan),
        draft,
    };
    Ok(Html(page.render()?).into_response())
}

/// Puts a draft in force, or proposes it where others must agree.
async fn apply(visit: Visit, request: Request) -> Result<Response, Failed> {
    let (policy, draft) = sent(&visit, request).await?;
    let before = draft.replaces.unwrap_or(policy.revision);
    let files = draft.files();
    match visit.from.clone().scope(visit.api.apply_policy(&files)).await {
        Ok(applied) => Ok(match applied.change {
            Some(change) => Redirect::to(&format!("/changes/{}", change.id)),
            None if applied.changed => Redirect::to(&format!(
                "/policy/revisions?from={before}&to={}",
                applied.revision
            )),
            None => Redirect::to("/policy"),
        }
        .into_response()),
        Err(error) if proof::is_wanted(error.code()) => Err(error.into()),
        Err(error) => {
            let found = Found {
                sent: true,
                failed: Some(error.into()),
                ..Found::default()
            };
            editor(&visit, policy, draft, found).await
        }
    }
}
