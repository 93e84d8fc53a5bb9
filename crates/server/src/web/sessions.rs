//! Sessions: who is connected, under which grant, and how to end it.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use daypass_api::session::{Kill, Session, SessionQuery, SessionState};
use daypass_core::id::{GrantId, SessionId};
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::refused::{Refused, answer};
use super::visit::{Visit, encoded, within_this_site};
use super::words::When;
use crate::edge;

/// So many are shown at once.
const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    live: bool,
    filtered: bool,
    groups: Vec<Group>,
    /// Where it goes on.
    next: Option<String>,
    refused: Option<Refused<(SessionId, String)>>,
}

/// Those of one grant.
struct Group {
    grant: GrantId,
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
    /// Whoever looks may end it.
    endable: bool,
    /// Why, as it was typed and not taken.
    why: String,
    ended: Option<String>,
    recording: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    all: Option<String>,
    #[serde(default)]
    person: String,
    #[serde(default)]
    resource: String,
    cursor: Option<String>,
}

impl Wanted {
    fn query(&self) -> SessionQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        SessionQuery {
            live: self.all.is_none().then_some(true),
            holder: given(&self.person),
            resource: given(&self.resource),
            cursor: self.cursor.clone(),
            limit: Some(MOST),
            ..SessionQuery::default()
        }
    }

    /// The same among all, or only those that are live, or from there on.
    fn address(&self, live: bool, cursor: &str) -> String {
        let all = if live { "" } else { "1" };
        let (person, resource) = (self.person.trim(), self.resource.trim());
        let pairs = [
            ("all", all),
            ("person", person),
            ("resource", resource),
            ("cursor", cursor),
        ];
        let pairs: Vec<String> = pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        if pairs.is_empty() {
            String::from("/sessions")
        } else {
            format!("/sessions?{}", pairs.join("&"))
        }
    }
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
            endable: session.endable,
            why: String::new(),
            ended: session.reason.clone().map(|reason| reason.replace('_', " ")),
            recording: session.recording.as_ref().map(|recording| recording.lines),
        }
    }
}

/// By grant; the one with the newest session first.
fn grouped(sessions: &[Session], now: Timestamp) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for session in sessions {
        let row = Row::of(session, now);
        match groups.iter_mut().find(|group| group.grant == session.grant) {
            Some(group) => group.sessions.push(row),
            None => groups.push(Group {
                grant: session.grant,
                holder: session.holder.clone(),
                item: session.item.to_string(),
                sessions: vec![row],
            }),
        }
    }
    groups
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Failed> {
    shown(&visit, wanted, None).await
}

/// The same, and that why a session is to end was not taken.
async fn shown(
    visit: &Visit,
    wanted: Wanted,
    refused: Option<Refused<(SessionId, String)>>,
) -> Result<Response, Failed> {
    let query = wanted.query();
    let asking = async {
        let frame = visit.frame(Tab::Sessions, "Sessions").await?;
        Ok::<_, Failed>((frame, visit.api.sessions(&query).await?))
    };
    let (frame, found) = visit.from.clone().scope(asking).await?;
    let live = wanted.all.is_none();
    let mut groups = grouped(&found.items, edge::now());
    if let Some(Refused { typed: (id, why), .. }) = &refused {
        let id = id.to_string();
        let mut rows = groups.iter_mut().flat_map(|group| &mut group.sessions);
        if let Some(row) = rows.find(|row| row.id == id) {
            row.why.clone_from(why);
        }
    }
    let page = Page {
        frame,
        live,
        filtered: query.holder.is_some() || query.resource.is_some(),
        groups,
        next: found.next.as_deref().map(|cursor| wanted.address(live, cursor)),
        wanted,
        refused,
    };
    Ok(answer(page.render()?, page.refused.as_ref()))
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
    headers: HeaderMap,
    Form(why): Form<Why>,
) -> Result<Response, Failed> {
    let kill = Kill { reason: why.reason };
    let killed = visit.from.clone().scope(visit.api.kill_session(id, &kill));
    if let Err(error) = killed.await {
        let refused = Refused::beside(error, &headers, || (id, kill.reason))?;
        return shown(&visit, Wanted::default(), Some(refused)).await;
    }
    let back = why.back.as_deref().unwrap_or("/sessions");
    Ok(Redirect::to(within_this_site(Some(back))).into_response())
}
