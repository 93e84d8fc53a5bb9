//! Sessions: who is connected, under which grant, and how to end it.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::response::{Html, Redirect};
use daypass_api::session::{Kill, Session, SessionQuery, SessionState};
use daypass_core::id::SessionId;
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, within_this_site};
use super::words::When;
use crate::edge;

/// So many are shown at once.
const MOST: u32 = 200;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Page {
    frame: Frame,
    live: bool,
    groups: Vec<Group>,
    more: bool,
}

/// Those of one grant.
struct Group {
    holder: String,
    item: String,
    sessions: Vec<Row>,
}

struct Row {
    id: String,
    short: String,
    program: String,
    source: String,
    opened: When,
    is_live: bool,
    ended: Option<String>,
    recording: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    all: Option<String>,
}

impl Row {
    fn of(session: &Session, now: Timestamp) -> Self {
        Self {
            id: session.id.to_string(),
            short: session.id.short().to_string(),
            program: session
                .program
                .clone()
                .unwrap_or_else(|| session.protocol.to_string()),
            source: session.source.clone().unwrap_or_default(),
            opened: When::new(session.opened_at, now),
            is_live: session.state == SessionState::Open,
            ended: session.reason.clone().map(|reason| reason.replace('_', " ")),
            recording: session.recording.as_ref().map(|recording| recording.lines),
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let live = wanted.all.is_none();
    let asking = async {
        let frame = visit.frame(Tab::Sessions, "Sessions").await?;
        let query = SessionQuery {
            live: live.then_some(true),
            limit: Some(MOST),
            ..SessionQuery::default()
        };
        Ok::<_, Failed>((frame, visit.api.sessions(&query).await?))
    };
    let (frame, found) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    for session in &found.items {
        let key = (session.holder.clone(), session.grant.to_string());
        let group = groups.entry(key).or_insert_with(|| Group {
            holder: session.holder.clone(),
            item: session.item.to_string(),
            sessions: Vec::new(),
        });
        group.sessions.push(Row::of(session, now));
    }
    let page = Page {
        frame,
        live,
        groups: groups.into_values().collect(),
        more: found.next.is_some(),
    };
    Ok(Html(page.render()?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Why {
    reason: String,
    /// Where to go on.
    back: Option<String>,
}

/// Ends one.
pub(super) async fn kill(
    visit: Visit,
    Path(id): Path<SessionId>,
    Form(why): Form<Why>,
) -> Result<Redirect, Failed> {
    let kill = Kill { reason: why.reason };
    visit
        .from
        .clone()
        .scope(visit.api.kill_session(id, &kill))
        .await?;
    let back = why.back.as_deref().unwrap_or("/sessions");
    Ok(Redirect::to(within_this_site(Some(back))))
}
