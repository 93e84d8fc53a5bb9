//! Audit: what happened, newest first, as whoever may read all of it sees it.

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::event::{AuditEvent, AuditQuery};
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::words::When;
use crate::edge;

/// So much is shown at once.
const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    events: Vec<Line>,
    /// Where it goes on.
    next: Option<String>,
}

struct Line {
    seq: u64,
    at: When,
    name: String,
    actor: String,
    summary: String,
    /// The page of what it is about, where that has one.
    about: Option<String>,
    leaf: String,
    data: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    name: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    since: String,
    cursor: Option<String>,
}

impl Line {
    fn of(event: AuditEvent, now: Timestamp) -> Self {
        let about = (event.subject.kind == "request").then(|| format!("/requests/{}", event.subject.id));
        Self {
            seq: event.seq,
            at: When::new(event.at, now),
            name: event.name,
            actor: event
                .actor
                .unwrap_or_else(|| daypass_api::event::ITSELF.to_owned()),
            summary: event.summary,
            about,
            leaf: event.leaf.to_string(),
            data: serde_json::to_string_pretty(&event.data).unwrap_or_default(),
        }
    }
}

impl Wanted {
    fn query(&self) -> Result<AuditQuery, Failed> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let since = given(&self.since).map(|day| format!("{day}T00:00:00Z").parse());
        Ok(AuditQuery {
            name: given(&self.name),
            actor: given(&self.by),
            subject: given(&self.about),
            since: since
                .transpose()
                .map_err(|_| Failed::invalid("a day is written as 2026-11-22"))?,
            until: None,
            newest: Some(true),
            cursor: self.cursor.clone(),
            limit: Some(MOST),
        })
    }

    /// The same, from there on.
    fn going_on(&self, cursor: &str) -> String {
        let Self {
            name,
            by,
            about,
            since,
            ..
        } = self;
        let pairs = [("name", name), ("by", by), ("about", about), ("since", since)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let before: String = pairs
            .map(|(key, value)| format!("{key}={}&", encoded(value)))
            .collect();
        format!("/audit?{before}cursor={}", encoded(cursor))
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let query = wanted.query()?;
    let asking = async {
        let frame = visit.frame(Tab::Audit, "Audit").await?;
        Ok::<_, Failed>((frame, visit.api.audit_events(&query).await?))
    };
    let (frame, found) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let page = Page {
        frame,
        next: found.next.as_deref().map(|cursor| wanted.going_on(cursor)),
        events: found
            .items
            .into_iter()
            .map(|event| Line::of(event, now))
            .collect(),
        wanted,
    };
    Ok(Html(page.render()?))
}
