//! Approvals: what waits for whoever looks, by the time that is left.

use askama::Template;
use axum::response::Html;
use daypass_api::change::{ChangeKind, ChangeQuery, ChangeState};
use daypass_api::request::RequestQuery;
use daypass_core::time::Timestamp;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::request::Shown;
use super::visit::Visit;
use super::words::When;
use crate::edge;

#[derive(Template)]
#[template(path = "approvals.html")]
struct Page {
    frame: Frame,
    waiting: Vec<Shown>,
    /// Changes of Daypass itself that wait for whoever looks.
    changes: Vec<Change>,
    more: bool,
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

/// See the module.
pub(super) async fn page(visit: Visit) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Approvals, "Approvals").await?;
        let wanted = RequestQuery {
            reviewable: Some(true),
            limit: Some(Frame::MOST),
            ..RequestQuery::default()
        };
        let changes = ChangeQuery {
            state: Some(ChangeState::Pending),
            reviewable: Some(true),
            limit: Some(Frame::MOST),
            ..ChangeQuery::default()
        };
        let changes = visit.api.changes(&changes).await?.items;
        Ok::<_, Failed>((frame, visit.api.requests(&wanted).await?, changes))
    };
    let (frame, waiting, changes) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let page = Page {
        frame,
        changes: changes.into_iter().map(|one| Change::of(one, now)).collect(),
        more: waiting.next.is_some(),
        waiting: waiting
            .items
            .into_iter()
            .map(|request| Shown::of(request, now))
            .collect(),
    };
    Ok(Html(page.render()?))
}
