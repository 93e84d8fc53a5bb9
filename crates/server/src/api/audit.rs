//! The audit trail: every event, in the log's own order.

use std::str::FromStr as _;

use axum::extract::State;
use daypass_api::event::{AuditEvent, AuditQuery, ITSELF};
use daypass_api::{Page, Problem};
use daypass_core::entitlement::TargetKey;
use daypass_core::event::{Actor, Subject};
use daypass_core::id::{ChangeId, GrantId, PersonId, RequestId, SessionId};
use daypass_core::refusal::Code;
use daypass_policy::Directory as _;
use daypass_store::{Entry, EventFilter, From};

use crate::api::page;
use crate::app::{App, Parts};
use crate::http::intake::{Json, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// What the trail is asked about.
enum About {
    /// Everything, or one thing's own events.
    Filter(Option<Subject>),
    /// A request with its grant and what was provisioned for it.
    Request(RequestId),
}

/// Lists events, oldest first, unless `newest` says otherwise.
#[utoipa::path(get, path = "/api/v1/audit/events", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditEvent>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<Page<AuditEvent>>> {
    let limit = page::limit(query.limit)?;
    let place = place(query.cursor.as_deref())?;
    let about = about(&app, query.subject.as_deref()).await?;
    let mut filter = filter(&app, &query)?;
    let newest = query.newest == Some(true);
    let mut entries = match about {
        About::Filter(subject) => {
            filter.subject = subject;
            let from = match (place, newest) {
                (None, false) => From::First,
                (None, true) => From::Last,
                (Some(place), false) => From::After(place),
                (Some(place), true) => From::Before(place),
            };
            app.engine.store().events(from, filter, limit + 1).await?
        }
        About::Request(request) => {
            let mut entries = app.engine.store().timeline(request).await?;
            entries.retain(|entry| fits(entry, &filter));
            entries.sort_by_key(|entry| entry.index);
            if newest {
                entries.reverse();
            }
            entries.retain(|entry| {
                place.is_none_or(|place| {
                    if newest {
                        entry.index < place
                    } else {
                        entry.index > place
                    }
                })
            });
            entries
        }
    };
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|last| last.index.to_string());
    let people = app.engine.current().directory;
    let items = entries
        .iter()
        .map(|entry| wire::audit(entry, &people))
        .collect::<Answer<Vec<_>>>()?;
    Ok(Json(Page { items, next }))
}

fn place(cursor: Option<&str>) -> Answer<Option<u64>> {
    let place = cursor.map(str::parse).transpose();
    place.map_err(|_| Failure::new(Code::Invalid, "this is not a cursor that an earlier page gave"))
}

/// What a full id, or the first characters of a request's or grant's, is about.
async fn about(app: &Parts, subject: Option<&str>) -> Answer<About> {
    let Some(text) = subject else {
        return Ok(About::Filter(None));
    };
    if let Some((connector, key)) = text.split_once(':') {
        let unknown = |bad: daypass_core::name::BadName| Failure::new(Code::Invalid, bad.to_string());
        let target = TargetKey {
            connector: connector.parse().map_err(unknown)?,
            key: key.to_owned(),
        };
        return Ok(About::Filter(Some(Subject::Entitlement(target))));
    }
    if text == "policy" {
        return Ok(About::Filter(Some(Subject::Policy)));
    }
    if text == "log" {
        return Ok(About::Filter(Some(Subject::Log)));
    }
    if let Ok(key) = text.parse() {
        return Ok(About::Filter(Some(Subject::Key(key))));
    }
    if let Ok(person) = PersonId::from_str(text) {
        return Ok(About::Filter(Some(Subject::Person(person))));
    }
    if text.starts_with([ChangeId::LETTER, ChangeId::LETTER.to_ascii_lowercase()]) {
        let change = app.engine.store().resolve_change(text).await?;
        return Ok(About::Filter(Some(Subject::Change(change))));
    }
    if text.starts_with([SessionId::LETTER, SessionId::LETTER.to_ascii_lowercase()]) {
        let session = app.engine.store().resolve_session(text).await?;
        return Ok(About::Filter(Some(Subject::Session(session))));
    }
    if text.starts_with([GrantId::LETTER, GrantId::LETTER.to_ascii_lowercase()]) {
        let grant = app.engine.store().resolve_grant(text).await?;
        return Ok(About::Request(RequestId::from_bytes(grant.bytes())));
    }
    Ok(About::Request(app.engine.store().resolve_request(text).await?))
}

fn filter(app: &Parts, query: &AuditQuery) -> Answer<EventFilter> {
    let actor = match query.actor.as_deref() {
        None => None,
        Some(login) => Some(somebody(app, login)?),
    };
    let (kind, names) = match query.name.as_deref() {
        None => (None, Vec::new()),
        Some(name) if name.contains('.') => (None, vec![name.to_owned()]),
        Some(kind) => (Some(kind.to_owned()), Vec::new()),
    };
    Ok(EventFilter {
        subject: None,
        kind,
        actor,
        names,
        since: query.since,
        until: query.until,
    })
}

/// The account of a login, whether or not it is still switched on; where nobody is called so, Daypass itself by its name.
fn somebody(app: &Parts, login: &str) -> Answer<Actor> {
    let people = app.engine.current().directory;
    let active = people.by_login(login).map(|person| person.id);
    let any = || {
        people
            .people()
            .find(|person| person.login.text() == login)
            .map(|person| person.id)
    };
    let itself = || (login == ITSELF).then_some(Actor::System);
    let found = active.or_else(any).map(Actor::Person).or_else(itself);
    found.ok_or_else(|| Failure::new(Code::UnknownPerson, "there is nobody of this login"))
}

fn fits(entry: &Entry, filter: &EventFilter) -> bool {
    let event = &entry.event;
    filter
        .kind
        .as_deref()
        .is_none_or(|kind| event.subject.kind() == kind)
        && (filter.names.is_empty() || filter.names.iter().any(|name| name == event.what.name()))
        && filter.actor.is_none_or(|actor| event.actor == actor)
        && filter.since.is_none_or(|since| event.at >= since)
        && filter.until.is_none_or(|until| event.at < until)
}
