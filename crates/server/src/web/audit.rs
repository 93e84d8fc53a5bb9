//! Audit: what happened, newest first, as whoever may read all of it sees it.

use std::io;

use askama::Template;
use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::event::{AuditEvent, AuditQuery};
use daypass_api::page::MAX_LIMIT;
use daypass_core::id::{GrantId, RequestId};
use daypass_core::time::Timestamp;
use futures_util::stream;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::words::{When, day_over, midnight};
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
    /// All of it in a file.
    export: String,
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
    /// The last day.
    #[serde(default)]
    until: String,
    cursor: Option<String>,
}

impl Line {
    fn of(event: AuditEvent, now: Timestamp) -> Self {
        let about = about(&event);
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

/// The page of what an event is about.
fn about(event: &AuditEvent) -> Option<String> {
    let id = &event.subject.id;
    match event.subject.kind.as_str() {
        "request" => Some(format!("/requests/{id}")),
        // A grant has the bytes of its request's id, and is shown with it.
        "grant" => {
            let grant: GrantId = id.parse().ok()?;
            Some(format!("/requests/{}", RequestId::from_bytes(grant.bytes())))
        }
        "session" => Some(format!("/sessions/{id}")),
        "change" => Some(format!("/changes/{id}")),
        _ => None,
    }
}

impl Wanted {
    fn query(&self) -> Result<AuditQuery, Failed> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(AuditQuery {
            name: given(&self.name),
            actor: given(&self.by),
            subject: given(&self.about),
            since: given(&self.since).map(|day| midnight(&day)).transpose()?,
            until: given(&self.until).map(|day| day_over(&day)).transpose()?,
            newest: Some(true),
            cursor: self.cursor.clone(),
            limit: Some(MOST),
        })
    }

    /// The same, as a query has it.
    fn pairs(&self, cursor: Option<&str>) -> String {
        let Self {
            name,
            by,
            about,
            since,
            until,
            ..
        } = self;
        let pairs = [
            ("name", name.as_str()),
            ("by", by),
            ("about", about),
            ("since", since),
            ("until", until),
            ("cursor", cursor.unwrap_or_default()),
        ];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty());
        let pairs: Vec<String> = pairs
            .map(|(key, value)| format!("{key}={}", encoded(value.trim())))
            .collect();
        pairs.join("&")
    }
}

/// A file of all that the form finds, oldest first: a JSON document a line, as the API has them. It is read while it is sent.
pub(super) async fn export(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Failed> {
    let query = AuditQuery {
        newest: None,
        cursor: None,
        limit: Some(MAX_LIMIT),
        ..wanted.query()?
    };
    // Whoever may not read it, or asks for what there is not, is told so on a page and not in a file.
    let first = visit.from.clone().scope(visit.api.audit_events(&query)).await?;
    let lines = stream::try_unfold(Some(first), move |found| {
        let (api, from, query) = (visit.api.clone(), visit.from.clone(), query.clone());
        async move {
            let Some(found) = found else { return Ok(None) };
            let mut text = String::new();
            for event in &found.items {
                text.push_str(&serde_json::to_string(event).map_err(io::Error::other)?);
                text.push('\n');
            }
            let next = match found.next {
                None => None,
                cursor => {
                    let query = AuditQuery { cursor, ..query };
                    let more = from.scope(api.audit_events(&query)).await;
                    Some(more.map_err(io::Error::other)?)
                }
            };
            Ok::<_, io::Error>(Some((text, next)))
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"daypass-audit.ndjson\"",
        ),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
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
        next: found
            .next
            .as_deref()
            .map(|cursor| format!("/audit?{}", wanted.pairs(Some(cursor)))),
        events: found
            .items
            .into_iter()
            .map(|event| Line::of(event, now))
            .collect(),
        export: format!("/audit/events.ndjson?{}", wanted.pairs(None)),
        wanted,
    };
    Ok(Html(page.render()?))
}
