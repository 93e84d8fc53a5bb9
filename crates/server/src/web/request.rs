//! One request: what is asked for, who answered and who is asked, and what became of it. Who may answer does it here.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Path;
use axum::response::{Redirect, Response};
use daypass_api::break_glass::{BreakGlass, Review};
use daypass_api::client::Client;
use daypass_api::grant::{Grant, GrantState};
use daypass_api::item::Item;
use daypass_api::request::{Decision, Request, RequestQuery, RequestState, StepState};
use daypass_core::id::RequestId;
use daypass_core::time::Timestamp;
use serde_json::Value;

use super::access::{listed, why_over};
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::refused::{Refused, answer};
use super::visit::{Visit, encoded};
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
    /// What was typed here, and not taken.
    refused: Option<Refused<Typed>>,
}

/// What was typed into a form on this page.
#[derive(Debug, Clone, Default)]
pub(super) struct Typed {
    /// What is said to the requester, or made of an emergency.
    pub(super) comment: String,
    /// For how long at most.
    pub(super) less: String,
    /// Why access ends.
    pub(super) why: String,
    /// Which parts of what is asked for, where not all.
    pub(super) parts: Option<BTreeSet<Item>>,
}

/// A request, as pages show it.
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) digest: String,
    pub(super) requester: String,
    pub(super) items: String,
    /// What can still be agreed to of it, one by one, where that can be some of several.
    pub(super) parts: Vec<Item>,
    /// Who agreed to some of it only, and to what.
    pub(super) narrowed: Vec<(String, String)>,
    /// When it begins, where that is not as soon as it is agreed to.
    pub(super) start: Option<When>,
    pub(super) reason: String,
    pub(super) ticket: Option<String>,
    pub(super) length: String,
    /// The same as it is typed.
    pub(super) span: String,
    pub(super) rule: String,
    pub(super) state: &'static str,
    pub(super) reviewable: bool,
    pub(super) stands_in_for: Option<String>,
    /// When the step that is open is to be answered.
    pub(super) due: Option<When>,
    pub(super) asked: When,
    pub(super) steps: Vec<Step>,
    /// Of an emergency: the review that is owed for it, or was given.
    pub(super) look_back: Option<LookBack>,
    /// What its items are at their targets, where whoever looks is told.
    pub(super) effects: Vec<Effect>,
    /// What else its requester asked for, where it waits for whoever looks.
    pub(super) lately: Vec<Lately>,
    /// What was typed about it, and not taken.
    pub(super) typed: Typed,
    /// What asks for the same again, where whoever looks asked.
    pub(super) again: Option<String>,
}

/// What an item is at its target.
pub(super) struct Effect {
    pub(super) item: String,
    /// By which connector.
    pub(super) at: String,
    /// As the policy writes it.
    pub(super) lines: Vec<String>,
}

impl Effect {
    fn of(effect: daypass_api::request::Effect) -> Self {
        let lines = match &effect.role {
            _ if !effect.does.is_empty() => effect.does,
            Value::Object(parts) => parts
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect(),
            Value::Null => Vec::new(),
            other => vec![other.to_string()],
        };
        Self {
            item: effect.item.to_string(),
            at: format!("{} by {}", effect.kind, effect.connector),
            lines,
        }
    }
}

/// Another request of the same person.
pub(super) struct Lately {
    pub(super) id: String,
    pub(super) items: String,
    pub(super) state: &'static str,
    pub(super) length: String,
    pub(super) asked: When,
}

/// So many others are shown.
const MOST_LATELY: u32 = 3;

/// The newest requests of somebody, as far as whoever looks may see them: among them may be the one that is looked at.
pub(super) async fn lately(api: &Client, login: &str) -> Result<Vec<Request>, Failed> {
    let theirs = RequestQuery {
        requester: Some(login.to_owned()),
        limit: Some(MOST_LATELY + 1),
        ..RequestQuery::default()
    };
    Ok(api.requests(&theirs).await?.items)
}

impl Lately {
    /// Those of [`lately`] beside this one.
    pub(super) fn all(found: &[Request], beside: &Request, now: Timestamp) -> Vec<Self> {
        let others = found.iter().filter(|other| other.id != beside.id);
        let others = others.take(usize::try_from(MOST_LATELY).unwrap_or(usize::MAX));
        let shown = others.map(|other| Self {
            id: other.id.to_string(),
            items: listed(&other.items),
            state: other.state.as_str(),
            length: length(other.duration),
            asked: When::new(other.created_at, now),
        });
        shown.collect()
    }
}

/// How the review of an emergency stands.
pub(super) enum LookBack {
    Owed {
        by: String,
        who: Vec<String>,
        due: When,
        overdue: bool,
    },
    Given {
        by: String,
        at: When,
        comment: Option<String>,
        late: bool,
    },
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
    /// The parts that they agreed to, where not all.
    pub(super) only: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) at: When,
}

/// What it led to.
struct Access {
    id: String,
    state: &'static str,
    ends: Option<When>,
    is_live: bool,
    /// Whoever looks may end it.
    endable: bool,
    /// Why it ends or ended, and by whom.
    why: Option<String>,
    connect: Vec<String>,
}

impl Access {
    fn of(grant: &Grant, is_mine: bool, now: Timestamp) -> Self {
        let line = |item: &Item| format!("daypass connect {item}");
        Self {
            id: grant.id.to_string(),
            state: grant.state.as_str(),
            ends: grant.expires_at.or(grant.ended_at).map(|at| When::new(at, now)),
            is_live: !grant.state.is_over(),
            endable: grant.endable,
            why: why_over(grant),
            connect: if is_mine && grant.state == GrantState::Active {
                grant.items.iter().map(line).collect()
            } else {
                Vec::new()
            },
        }
    }
}

const fn state(step: StepState) -> &'static str {
    match step {
        StepState::Waiting => "waiting",
        StepState::Open => "open",
        StepState::Approved => "approved",
        StepState::Denied => "denied",
        StepState::Closed => "closed",
        StepState::Silent => "unanswered",
    }
}

impl LookBack {
    fn of(glass: BreakGlass, now: Timestamp) -> Self {
        let (due_at, who, overdue) = match glass.review {
            Review::Owed { due_at, reviewers } => (due_at, reviewers, false),
            Review::Overdue { due_at, reviewers } => (due_at, reviewers, true),
            Review::Reviewed {
                by,
                at,
                comment,
                late,
                r#for: absent,
            } => {
                let by = absent.map_or(by.clone(), |absent| format!("{by}, for {absent}"));
                let at = When::new(at, now);
                return Self::Given {
                    by,
                    at,
                    comment,
                    late,
                };
            }
        };
        Self::Owed {
            by: glass.review_by,
            who,
            due: When::new(due_at, now),
            overdue,
        }
    }
}

/// Who agreed to some of it only.
fn narrowing(request: &Request) -> impl Iterator<Item = (String, &[Item])> {
    let reviews = request.steps.iter().flat_map(|step| &step.reviews);
    let some = reviews.filter(|review| review.decision == Decision::Approve);
    some.filter_map(|review| {
        let items = review.items.as_deref()?;
        (items.len() < request.items.len()).then(|| (review.by(), items))
    })
}

/// What can still be agreed to, one by one: what somebody left out is not given, whoever agrees to it. Nothing where there is no choice: a
/// single role, or more time for what is held, which is for all of it.
fn left(request: &Request) -> Vec<Item> {
    if request.items.len() < 2 || request.extends.is_some() {
        return Vec::new();
    }
    let stands = |item: &&Item| narrowing(request).all(|(_, items)| items.contains(item));
    request.items.iter().filter(stands).cloned().collect()
}

/// What asks for the same again, in the same words.
fn again(request: &Request) -> Option<String> {
    let (first, rest) = request.items.split_first()?;
    let with: Vec<String> = rest.iter().map(ToString::to_string).collect();
    let mut path = format!(
        "/ask/{first}?for={}&reason={}",
        encoded(&request.duration.to_string()),
        encoded(&request.reason)
    );
    if let Some(ticket) = &request.ticket {
        path.push_str(&format!("&ticket={}", encoded(ticket)));
    }
    if !with.is_empty() {
        path.push_str(&format!("&with={}", encoded(&with.join(" "))));
    }
    Some(path)
}

/// Who was asked, and who answered.
pub(super) fn steps(steps: &[daypass_api::request::Step], items: &[Item], now: Timestamp) -> Vec<Step> {
    let said = |review: &daypass_api::request::Review| Said {
        by: review.by(),
        approves: review.decision == Decision::Approve,
        less: review.duration.map(length),
        only: review
            .items
            .as_deref()
            .filter(|only| only.len() < items.len())
            .map(listed),
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
    /// A review is owed for it.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.look_back, Some(LookBack::Owed { .. }))
    }

    /// And should have been given by now.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(self.look_back, Some(LookBack::Owed { overdue: true, .. }))
    }

    /// Whether a part is to be agreed to, as it was typed: all of them where nobody chose.
    pub(super) fn takes(&self, part: &Item) -> bool {
        self.typed.parts.as_ref().is_none_or(|parts| parts.contains(part))
    }

    pub(super) fn of(request: Request, now: Timestamp) -> Self {
        let due = request
            .steps
            .iter()
            .find(|step| step.state == StepState::Open)
            .and_then(|step| step.due_at)
            .or(request
                .break_glass
                .as_ref()
                .and_then(|glass| glass.review.due_at()));
        Self {
            id: request.id.to_string(),
            digest: request.digest.to_string(),
            items: listed(&request.items),
            parts: left(&request),
            narrowed: narrowing(&request)
                .map(|(by, items)| (by, listed(items)))
                .collect(),
            start: request.start.map(|at| When::new(at, now)),
            length: length(request.duration),
            span: request.duration.to_string(),
            rule: request.rule.to_string(),
            state: request.state.as_str(),
            reviewable: request.reviewable,
            due: due.map(|at| When::new(at, now)),
            asked: When::new(request.created_at, now),
            look_back: request.break_glass.map(|glass| LookBack::of(glass, now)),
            again: None,
            typed: Typed::default(),
            lately: Vec::new(),
            effects: request.effects.into_iter().map(Effect::of).collect(),
            steps: steps(&request.steps, &request.items, now),
            requester: request.requester,
            reason: request.reason,
            ticket: request.ticket,
            stands_in_for: request.reviewable_for,
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Result<Response, Failed> {
    shown(&visit, &id, None).await
}

/// The same, and that what was typed there was not taken.
pub(super) async fn shown(
    visit: &Visit,
    id: &str,
    refused: Option<Refused<Typed>>,
) -> Result<Response, Failed> {
    let asking = async {
        let request = visit.api.request(id).await?;
        let grant = match request.grant {
            Some(grant) => Some(visit.api.grant(&grant.to_string()).await?),
            None => None,
        };
        let before = if request.reviewable {
            lately(&visit.api, &request.requester).await?
        } else {
            Vec::new()
        };
        let tab = if request.requester == visit.me.person.login.as_str() {
            Tab::Access
        } else {
            Tab::Approvals
        };
        let frame = visit
            .frame(tab, &format!("Request {}", request.id.short()))
            .await?;
        Ok::<_, Failed>((frame, request, grant, before))
    };
    let (frame, request, grant, before) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let is_mine = request.requester == visit.me.person.login.as_str();
    let grant = grant.map(|grant| Access::of(&grant, is_mine, now));
    let is_pending = request.state == RequestState::Pending;
    let is_held = grant.as_ref().is_some_and(|grant| grant.is_live);
    // For what is asked, or held, there is no need to ask again.
    let again = if is_mine && !is_pending && !is_held {
        again(&request)
    } else {
        None
    };
    let page = Page {
        can_cancel: is_mine && is_pending,
        frame,
        grant,
        one: Shown {
            again,
            lately: Lately::all(&before, &request, now),
            typed: refused.as_ref().map(|one| one.typed.clone()).unwrap_or_default(),
            ..Shown::of(request, now)
        },
        refused,
    };
    Ok(answer(page.render()?, page.refused.as_ref()))
}

/// Withdraws it.
pub(super) async fn cancel(visit: Visit, Path(id): Path<RequestId>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.cancel(id)).await?;
    Ok(Redirect::to("/"))
}
