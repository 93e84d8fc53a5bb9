//! Approvals: what waits for whoever looks, by the time that is left.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::change::{ChangeKind, ChangeQuery, ChangeState};
use daypass_api::request::{Request, RequestQuery};
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::request::{Lately, Shown, lately};
use super::visit::{Visit, encoded};
use super::words::When;
use crate::edge;

/// So many of each kind are shown at once: what stands behind each is read for it.
const MOST: u32 = 20;

#[derive(Template)]
#[template(path = "approvals.html")]
struct Page {
    frame: Frame,
    waiting: Vec<Shown>,
    /// Changes of Daypass itself that wait for whoever looks.
    changes: Vec<Change>,
    /// Where each goes on.
    next: Option<String>,
    next_changes: Option<String>,
    /// It is not the first page.
    is_later: bool,
}

struct Change {
    id: String,
    proposer: String,
    about: &'static str,
    summary: Vec<String>,
    asked: When,
}

impl Change {
    fn of(change: daypass_api::change::Change, now: Timestamp) -> Self {
        Self {
            id: change.id.to_string(),
            about: match change.kind {
                ChangeKind::Policy => "the policy",
                ChangeKind::Account => "an account",
            },
            // The rest is on its own page.
            summary: change.summary.into_iter().take(5).collect(),
            asked: When::new(change.created_at, now),
            proposer: change.proposer,
        }
    }
}

/// From where on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    cursor: Option<String>,
    changes: Option<String>,
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let is_later = wanted.cursor.is_some() || wanted.changes.is_some();
    let asking = async {
        let frame = visit.frame(Tab::Approvals, "Approvals").await?;
        let requests = RequestQuery {
            reviewable: Some(true),
            cursor: wanted.cursor,
            limit: Some(MOST),
            ..RequestQuery::default()
        };
        let changes = ChangeQuery {
            state: Some(ChangeState::Pending),
            reviewable: Some(true),
            cursor: wanted.changes,
            limit: Some(MOST),
            ..ChangeQuery::default()
        };
        let changes = visit.api.changes(&changes).await?;
        let waiting = visit.api.requests(&requests).await?;
        let mut before: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        for request in &waiting.items {
            if !before.contains_key(&request.requester) {
                let requests = lately(&visit.api, &request.requester).await?;
                before.insert(request.requester.clone(), requests);
            }
        }
        Ok::<_, Failed>((frame, waiting, changes, before))
    };
    let (frame, waiting, changes, before) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let on = |name: &str, cursor: String| format!("/approvals?{name}={}", encoded(&cursor));
    let shown = |request: Request| {
        let before = before.get(&request.requester).map_or(&[][..], Vec::as_slice);
        Shown {
            lately: Lately::all(before, &request, now),
            ..Shown::of(request, now)
        }
    };
    let page = Page {
        frame,
        is_later,
        changes: changes
            .items
            .into_iter()
            .map(|one| Change::of(one, now))
            .collect(),
        next: waiting.next.map(|cursor| on("cursor", cursor)),
        next_changes: changes.next.map(|cursor| on("changes", cursor)),
        waiting: waiting.items.into_iter().map(shown).collect(),
    };
    Ok(Html(page.render()?))
}
