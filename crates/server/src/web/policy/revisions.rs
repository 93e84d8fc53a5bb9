//! Which policies were in force, and what differs between any two.

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::policy::{DiffQuery, FileDiff, RevisionQuery};
use daypass_core::text::Hash;
use serde::Deserialize;

use super::short;
use crate::edge;
use crate::web::failed::Failed;
use crate::web::frame::{Frame, Tab};
use crate::web::visit::{Visit, encoded};
use crate::web::words::When;

/// So many are shown at once.
const MOST: u32 = 30;

#[derive(Template)]
#[template(path = "policy/revisions.html")]
struct Page {
    frame: Frame,
    view: &'static str,
    revisions: Vec<Row>,
    next: Option<String>,
    compared: Option<Compared>,
}

struct Row {
    revision: String,
    short: String,
    by: String,
    at: When,
    in_force: bool,
    /// The one before it, where that is known here.
    before: Option<String>,
    is_from: bool,
    is_to: bool,
}

struct Compared {
    from: String,
    to: String,
    /// What it means; nothing where one of them does not load any more.
    summary: Option<Vec<String>>,
    diff: Vec<FileDiff>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    from: Option<Hash>,
    to: Option<Hash>,
    cursor: Option<String>,
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let query = RevisionQuery {
        cursor: wanted.cursor.clone(),
        limit: Some(MOST),
    };
    let asking = async {
        let frame = visit.frame(Tab::Policy, "Policy").await?;
        let found = visit.api.policy_revisions(&query).await?;
        let diff = match (wanted.from, wanted.to) {
            (Some(from), Some(to)) => Some(visit.api.policy_diff(&DiffQuery { from, to }).await?),
            _ => None,
        };
        Ok::<_, Failed>((frame, found, diff))
    };
    let (frame, found, diff) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let all = found.items;
    // Where nothing is chosen: what the last change changed.
    let to = wanted.to.or_else(|| all.first().map(|one| one.revision));
    let from = wanted.from.or_else(|| all.get(1).map(|one| one.revision));
    let rows = all.iter().enumerate().map(|(at, one)| {
        let before = all.get(at + 1).map(|before| before.revision.to_string());
        // One that was in force twice is chosen once.
        let first = all.iter().position(|other| other.revision == one.revision) == Some(at);
        Row {
            revision: one.revision.to_string(),
            short: short(one.revision),
            by: one.by.clone(),
            at: When::new(one.applied_at, now),
            in_force: one.in_force && at == 0 && wanted.cursor.is_none(),
            before,
            is_from: first && from == Some(one.revision),
            is_to: first && to == Some(one.revision),
        }
    });
    let page = Page {
        frame,
        view: "revisions",
        revisions: rows.collect(),
        next: found
            .next
            .map(|cursor| format!("/policy/revisions?cursor={}", encoded(&cursor))),
        compared: diff.map(|diff| Compared {
            from: short(diff.from),
            to: short(diff.to),
            summary: diff.summary,
            diff: diff.files,
        }),
    };
    Ok(Html(page.render()?))
}
