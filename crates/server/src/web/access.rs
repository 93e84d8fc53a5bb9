//! My access: what one holds and for how long, what one waits for, and how to give back.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use daypass_api::grant::{Extend, Grant, GrantQuery, GrantState, Revoke};
use daypass_api::request::{Request, RequestQuery, RequestState, StepState};
use daypass_core::id::{GrantId, RequestId};
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::refused::{Refusal, Refused, answer};
use super::request::{self, Typed};
use super::visit::Visit;
use super::words::{When, length};
use crate::edge;

/// So much is shown of each kind.
const MOST: u32 = 100;
/// Among so many of the newest, those are looked for that are over.
const LATELY: u32 = 25;

#[derive(Template)]
#[template(path = "access.html")]
struct Page {
    frame: Frame,
    grants: Vec<Card>,
    waiting: Vec<Waiting>,
    past: Vec<Past>,
    refused: Option<Refused<(GrantId, Longer)>>,
}

/// A grant that is not over.
struct Card {
    id: GrantId,
    items: Vec<String>,
    state: &'static str,
    ends: Option<When>,
    starts: Option<When>,
    /// Why it ends, while it does.
    why: Option<String>,
    overdue: bool,
    emergency: bool,
    /// What was typed to lengthen it, and not taken.
    longer: Option<Longer>,
    /// What to type to connect; nothing where it is not there.
    connect: Vec<String>,
}

struct Waiting {
    id: String,
    items: String,
    length: String,
    /// Who is being waited for.
    on: Vec<String>,
    until: When,
}

struct Past {
    request: String,
    items: String,
    why: String,
    ended: When,
}

impl Card {
    fn of(grant: Grant, now: daypass_core::time::Timestamp) -> Self {
        let items: Vec<String> = grant.items.iter().map(ToString::to_string).collect();
        let connects = grant.state == GrantState::Active;
        Self {
            id: grant.id,
            why: why_over(&grant),
            state: grant.state.as_str(),
            ends: grant.expires_at.map(|at| When::new(at, now)),
            starts: grant
                .starts_at
                .filter(|_| grant.state == GrantState::Scheduled)
                .map(|at| When::new(at, now)),
            overdue: grant.overdue,
            emergency: grant.break_glass,
            longer: None,
            connect: if connects {
                items
                    .iter()
                    .map(|item| format!("daypass connect {item}"))
                    .collect()
            } else {
                Vec::new()
            },
            items,
        }
    }
}

/// Why a grant ends or ended, and by whom where it was somebody.
pub(super) fn why_over(grant: &Grant) -> Option<String> {
    let reason = match grant.ended_reason.as_deref()? {
        "released" => "given back",
        "ineligible" => "no longer eligible",
        "removed" => "removed from the policy",
        reason => reason,
    };
    Some(match grant.ended_detail.as_deref() {
        // By whom, and why in their words.
        Some(detail) if reason == "revoked" => format!("revoked {detail}"),
        Some(detail) => format!("{reason}: {detail}"),
        None => reason.to_owned(),
    })
}

/// Items, one after the other.
pub(super) fn listed(items: &[daypass_api::item::Item]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

/// Who is asked just now, by step.
pub(super) fn asked_now(request: &Request) -> Vec<String> {
    let open = request.steps.iter().filter(|step| step.state == StepState::Open);
    open.map(|step| {
        let who = step.answerers();
        if who.is_empty() {
            step.from.clone()
        } else {
            format!("{} ({})", step.from, who.join(", "))
        }
    })
    .collect()
}

/// See the module.
pub(super) async fn page(visit: Visit) -> Result<Response, Failed> {
    shown(&visit, None).await
}

/// The same, and that what was typed to lengthen a grant was not taken.
async fn shown(visit: &Visit, refused: Option<Refused<(GrantId, Longer)>>) -> Result<Response, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Access, "My access").await?;
        let mine = |live: Option<bool>, limit: u32| GrantQuery {
            mine: Some(true),
            live,
            limit: Some(limit),
            ..GrantQuery::default()
        };
        let requests = RequestQuery {
            mine: Some(true),
            state: Some(RequestState::Pending),
            limit: Some(MOST),
            ..RequestQuery::default()
        };
        // One that lasts is not to be lost behind many that are over.
        let held = visit.api.grants(&mine(Some(true), MOST)).await?.items;
        let lately = visit.api.grants(&mine(None, LATELY)).await?.items;
        let requests = visit.api.requests(&requests).await?.items;
        Ok::<_, Failed>((frame, held, lately, requests))
    };
    let (frame, held, lately, requests) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let over = lately
        .into_iter()
        .filter(|grant| grant.state == GrantState::Ended);
    let past = over.take(8).filter_map(|grant| {
        Some(Past {
            request: grant.request.to_string(),
            items: listed(&grant.items),
            why: why_over(&grant)?,
            ended: When::new(grant.ended_at?, now),
        })
    });
    let waiting = requests.into_iter().map(|request| Waiting {
        id: request.id.to_string(),
        items: listed(&request.items),
        length: length(request.duration),
        on: asked_now(&request),
        until: When::new(request.expires_at, now),
    });
    let page = Page {
        frame,
        grants: held
            .into_iter()
            .map(|grant| {
                let typed = refused.as_ref().map(|one| &one.typed);
                let typed = typed.filter(|(id, _)| *id == grant.id);
                Card {
                    longer: typed.map(|(_, longer)| longer.clone()),
                    ..Card::of(grant, now)
                }
            })
            .collect(),
        waiting: waiting.collect(),
        past: past.collect(),
        refused,
    };
    Ok(answer(page.render()?, page.refused.as_ref()))
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Longer {
    #[serde(rename = "for")]
    duration: String,
    #[serde(default)]
    reason: String,
}

impl Longer {
    /// As the API takes it.
    fn asked(&self) -> Result<Extend, Failed> {
        let duration = self.duration.trim().parse();
        Ok(Extend {
            duration: duration
                .map_err(|_| Failed::invalid("a length is a number and a unit, such as 30m or 1h"))?,
            reason: Some(self.reason.clone()).filter(|reason| !reason.trim().is_empty()),
            ticket: None,
        })
    }
}

/// Asks for more time.
pub(super) async fn extend(
    visit: Visit,
    Path(id): Path<GrantId>,
    headers: HeaderMap,
    Form(longer): Form<Longer>,
) -> Result<Response, Failed> {
    let made: Result<Request, Refusal> = async {
        let asked = longer.asked()?;
        Ok(visit.from.clone().scope(visit.api.extend(id, &asked)).await?)
    }
    .await;
    match made {
        Ok(made) => Ok(Redirect::to(&format!("/requests/{}", made.id)).into_response()),
        Err(refusal) => {
            let refused = Refused::beside(refusal, &headers, || (id, longer))?;
            shown(&visit, Some(refused)).await
        }
    }
}

/// Gives a grant back.
pub(super) async fn release(visit: Visit, Path(id): Path<GrantId>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.release(id)).await?;
    Ok(Redirect::to("/"))
}

#[derive(Debug, Deserialize)]
pub(super) struct Why {
    reason: String,
    /// Where to go on.
    back: Option<String>,
}

/// Ends somebody's grant.
pub(super) async fn revoke(
    visit: Visit,
    Path(id): Path<GrantId>,
    headers: HeaderMap,
    Form(why): Form<Why>,
) -> Result<Response, Failed> {
    let reason = Some(why.reason.clone()).filter(|reason| !reason.trim().is_empty());
    let revoke = Revoke { reason };
    let ended = visit.from.clone().scope(visit.api.revoke(id, &revoke)).await;
    if let Err(error) = ended {
        let typed = || Typed {
            why: why.reason,
            ..Typed::default()
        };
        let refused = Refused::beside(error, &headers, typed)?;
        // A grant has the bytes of its request's id, and is shown with it.
        let request = RequestId::from_bytes(id.bytes()).to_string();
        return request::shown(&visit, &request, Some(refused)).await;
    }
    Ok(Redirect::to(super::visit::within_this_site(why.back.as_deref())).into_response())
}
