//! One request: what is asked for, who answered and who is asked, and what became of it. Who may answer does it here.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::{Html, Redirect};
use daypass_api::break_glass::{Acknowledge, BreakGlass, Review as Looked};
use daypass_api::grant::GrantState;
use daypass_api::request::{Decision, NewReview, Request, RequestState, StepState};
use daypass_core::id::RequestId;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::access::listed;
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, within_this_site};
use super::words::{When, length};
use crate::edge;

#[derive(Template)]
#[template(path = "request.html")]
struct Page {
    frame: Frame,
    one: Shown,
    grant: Option<Access>,
    /// It is the visitor's own, and not decided.
    can_cancel: bool,
}

/// A request, as pages show it.
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) digest: String,
    pub(super) requester: String,
    pub(super) items: String,
    pub(super) reason: String,
    pub(super) ticket: Option<String>,
    pub(super) length: String,
    pub(super) rule: String,
    pub(super) state: &'static str,
    pub(super) reviewable: bool,
    pub(super) stands_in_for: Option<String>,
    /// When the step that is open falls silent.
    pub(super) due: Option<When>,
    pub(super) asked: When,
    pub(super) steps: Vec<Step>,
    pub(super) emergency: bool,
    /// What was done in an emergency: how others look back at it.
    pub(super) look_back: Option<LookBack>,
}

/// How the look back at an emergency stands.
pub(super) struct LookBack {
    /// Until when somebody should, or should have; nothing once somebody has.
    pub(super) due: Option<When>,
    pub(super) overdue: bool,
    /// Who did, what they make of it, and whether it was late.
    pub(super) done: Option<(String, String, bool)>,
}

impl LookBack {
    fn of(glass: &BreakGlass, now: Timestamp) -> Self {
        Self {
            due: glass.review.due_at().map(|at| When::new(at, now)),
            overdue: matches!(glass.review, Looked::Overdue { .. }),
            done: match &glass.review {
                Looked::Reviewed {
                    by, comment, late, ..
                } => Some((by.clone(), comment.clone().unwrap_or_default(), *late)),
                _ => None,
            },
        }
    }
}

/// A step of it.
pub(super) struct Step {
    pub(super) from: String,
    pub(super) state: &'static str,
    pub(super) who: Vec<String>,
    pub(super) said: Vec<Said>,
}

/// What somebody answered.
pub(super) struct Said {
    pub(super) by: String,
    pub(super) approves: bool,
    pub(super) less: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) at: When,
}

/// What it led to.
struct Access {
    id: String,
    state: &'static str,
    ends: Option<When>,
    /// Who looks may end it.
    is_live: bool,
    connect: Vec<String>,
}

const fn state(step: StepState) -> &'static str {
    match step {
        StepState::Waiting => "waiting",
        StepState::Open => "open",
        StepState::Approved => "approved",
        StepState::Denied => "denied",
        StepState::Closed => "closed",
        StepState::Silent => "silent",
    }
}

/// Who was asked, and who answered.
pub(super) fn steps(steps: &[daypass_api::request::Step], now: Timestamp) -> Vec<Step> {
    let said = |review: &daypass_api::request::Review| Said {
        by: review.by(),
        approves: review.decision == Decision::Approve,
        less: review.duration.map(length),
        comment: review.comment.clone(),
        at: When::new(review.at, now),
    };
    let shown = steps.iter().map(|step| Step {
        from: step.from.clone(),
        state: state(step.state),
        who: step.answerers(),
        said: step.reviews.iter().map(said).collect(),
    });
    shown.collect()
}

impl Shown {
    pub(super) fn of(request: Request, now: Timestamp) -> Self {
        let due = request
            .steps
            .iter()
            .find(|step| step.state == StepState::Open)
            .and_then(|step| step.due_at);
        Self {
            id: request.id.to_string(),
            digest: request.digest.to_string(),
            items: listed(&request.items),
            length: length(request.duration),
            rule: request.rule.to_string(),
            state: request.state.as_str(),
            reviewable: request.reviewable,
            due: due.map(|at| When::new(at, now)),
            asked: When::new(request.created_at, now),
            emergency: request.break_glass.is_some(),
            look_back: request.break_glass.as_ref().map(|glass| LookBack::of(glass, now)),
            steps: steps(&request.steps, now),
            requester: request.requester,
            reason: request.reason,
            ticket: request.ticket,
            stands_in_for: request.reviewable_for,
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Result<Html<String>, Failed> {
    let asking = async {
        let request = visit.api.request(&id).await?;
        let grant = match request.grant {
            Some(grant) => Some(visit.api.grant(&grant.to_string()).await?),
            None => None,
        };
        let tab = if request.requester == visit.me.person.login.as_str() {
            Tab::Access
        } else {
            Tab::Approvals
        };
        let frame = visit
            .frame(tab, &format!("Request {}", request.id.short()))
            .await?;
        Ok::<_, Failed>((frame, request, grant))
    };
    let (frame, request, grant) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let is_mine = request.requester == visit.me.person.login.as_str();
    let grant = grant.map(|grant| Access {
        id: grant.id.to_string(),
        state: grant.state.as_str(),
        ends: grant.expires_at.or(grant.ended_at).map(|at| When::new(at, now)),
        is_live: !grant.state.is_over(),
        connect: if is_mine && grant.state == GrantState::Active {
            grant
                .items
                .iter()
                .map(|item| format!("daypass connect {item}"))
                .collect()
        } else {
            Vec::new()
        },
    });
    let page = Page {
        can_cancel: is_mine && request.state == RequestState::Pending,
        frame,
        grant,
        one: Shown::of(request, now),
    };
    Ok(Html(page.render()?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    decision: Decision,
    digest: Hash,
    #[serde(default, rename = "for")]
    less: String,
    #[serde(default)]
    comment: String,
    back: Option<String>,
}

/// Answers it.
pub(super) async fn review(
    visit: Visit,
    Path(id): Path<RequestId>,
    Form(answer): Form<Answer>,
) -> Result<Redirect, Failed> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let duration = given(&answer.less).map(|text| text.parse()).transpose();
    let review = NewReview {
        decision: answer.decision,
        digest: answer.digest,
        duration: duration
            .map_err(|_| Failed::invalid("a length is a number and a unit, such as 30m or 2h"))?,
        items: None,
        comment: given(&answer.comment),
    };
    visit.from.clone().scope(visit.api.review(id, &review)).await?;
    Ok(Redirect::to(within_this_site(answer.back.as_deref())))
}

#[derive(Debug, Deserialize)]
pub(super) struct Look {
    digest: Hash,
    comment: String,
    /// The access ends now.
    #[serde(default)]
    end: String,
    back: Option<String>,
}

/// Says that somebody looked at what was done in an emergency.
pub(super) async fn acknowledge(
    visit: Visit,
    Path(id): Path<RequestId>,
    Form(look): Form<Look>,
) -> Result<Redirect, Failed> {
    let seen = Acknowledge {
        digest: look.digest,
        comment: look.comment,
        revoke: !look.end.is_empty(),
    };
    visit.from.clone().scope(visit.api.acknowledge(id, &seen)).await?;
    Ok(Redirect::to(within_this_site(look.back.as_deref())))
}

/// Withdraws it.
pub(super) async fn cancel(visit: Visit, Path(id): Path<RequestId>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.cancel(id)).await?;
    Ok(Redirect::to("/"))
}
