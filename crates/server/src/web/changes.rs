//! A change of Daypass itself that waits for others, or did: what it would change, for whom, and who agreed.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::{Html, Redirect};
use daypass_api::change::{ChangeKind, ChangeState, NewChangeReview};
use daypass_api::person::SystemRole;
use daypass_api::policy::{FileDiff, PolicyFiles};
use daypass_api::request::Decision;
use daypass_core::id::ChangeId;
use daypass_core::text::Hash;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::policy::Gains;
use super::request::{Step, steps};
use super::visit::Visit;
use super::words::When;
use crate::{edge, heavy};

#[derive(Template)]
#[template(path = "change.html")]
struct Page {
    frame: Frame,
    id: String,
    about: &'static str,
    digest: String,
    proposer: String,
    state: &'static str,
    asked: When,
    decided: Option<When>,
    lapsed: Option<String>,
    summary: Vec<String>,
    steps: Vec<Step>,
    /// What the person would be asked to review, or no more.
    reviews: Vec<String>,
    obstacle: Option<String>,
    diff: Vec<FileDiff>,
    plan: Option<Gains>,
    reviewable: bool,
    stands_in_for: Option<String>,
    can_withdraw: bool,
}

/// See the module.
pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Result<Html<String>, Failed> {
    let asking = async {
        let mut change = visit.api.change(&id).await?;
        let waits = change.state == ChangeState::Pending;
        // Of a change of an account the API tells it; of one of the policy, to whom it may tell that.
        let sees = visit.me.person.role != SystemRole::Member;
        if change.plan.is_none() && sees && waits && change.kind == ChangeKind::Policy {
            let files = PolicyFiles {
                files: change.files.clone(),
                replaces: None,
            };
            change.plan = Some(visit.api.plan_policy(&files).await?);
        }
        let title = format!("Change {}", change.id.short());
        let frame = visit.frame(Tab::Approvals, &title).await?;
        Ok::<_, Failed>((frame, change))
    };
    let (frame, change) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let waits = change.state == ChangeState::Pending;
    let (before, after) = (change.before, change.files);
    let diff = if waits && !before.is_empty() {
        heavy::aside(async move { crate::wire::diff(&before, &after) }).await
    } else {
        Vec::new()
    };
    let page = Page {
        frame,
        id: change.id.to_string(),
        about: match change.kind {
            ChangeKind::Policy => "the policy",
            ChangeKind::Account => "an account",
        },
        digest: change.digest.to_string(),
        state: change.state.as_str(),
        asked: When::new(change.created_at, now),
        decided: change.decided_at.map(|at| When::new(at, now)),
        lapsed: change.lapsed_because,
        summary: change.summary,
        steps: steps(&change.steps, &[], now),
        reviews: change.reviews,
        obstacle: change.obstacle,
        diff,
        plan: change.plan.map(Gains::of),
        reviewable: change.reviewable,
        stands_in_for: change.reviewable_for,
        can_withdraw: waits && change.proposer == visit.me.person.login.as_str(),
        proposer: change.proposer,
    };
    Ok(Html(page.render()?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    decision: Decision,
    digest: Hash,
    #[serde(default)]
    comment: String,
}

/// Answers it.
pub(super) async fn review(
    visit: Visit,
    Path(id): Path<ChangeId>,
    Form(answer): Form<Answer>,
) -> Result<Redirect, Failed> {
    let review = NewChangeReview {
        decision: answer.decision,
        digest: answer.digest,
        comment: Some(answer.comment).filter(|comment| !comment.trim().is_empty()),
    };
    visit
        .from
        .clone()
        .scope(visit.api.review_change(id, &review))
        .await?;
    Ok(Redirect::to(&format!("/changes/{id}")))
}

/// Takes it back.
pub(super) async fn withdraw(visit: Visit, Path(id): Path<ChangeId>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.withdraw_change(id)).await?;
    Ok(Redirect::to(&format!("/changes/{id}")))
}
