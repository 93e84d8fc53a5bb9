//! Requests: the rows and the queries on them.

use std::collections::BTreeSet;

use daypass_core::break_glass::Owed;
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::name::Name;
use daypass_core::request::{Request, State};
use daypass_core::time::Timestamp;
use daypass_core::world::Step;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::page::{Cursor, Page};
use crate::select::Select;
use crate::texts;
use crate::value::{Statement, Value};

/// Which requests to list. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// In this state, by name.
    pub state: Option<String>,
    /// Of this person.
    pub requester: Option<PersonId>,
    /// Only those for which a review is owed after an emergency.
    pub owing: bool,
}

/// The columns of a request's row that its events decide, as [`row`] gives their values.
pub(crate) const COLUMNS: [&str; 11] = [
    "id",
    "state",
    "requester",
    "extends",
    "created_at",
    "way",
    "answered_at",
    "due_at",
    "denied_at",
    "owing",
    "document",
];

/// What stands in them.
pub(crate) fn row(request: &Request) -> Result<[Value; 11]> {
    let due_at = match &request.state {
        State::Pending { due_at, .. } => Some(*due_at),
        State::Approved { owed, .. } => owed.as_ref().and_then(Owed::wakes_at),
        State::Denied { .. } | State::Withdrawn { .. } | State::Lapsed { .. } => None,
    };
    let denied_at = match &request.state {
        State::Denied { at, .. } => Some(*at),
        _ => None,
    };
    let ask = &request.ask;
    Ok([
        request.id.into(),
        request.state.name().into(),
        ask.requester.into(),
        ask.extends.into(),
        request.created_at.into(),
        way(request).into(),
        answered_at(&request.state).into(),
        due_at.into(),
        denied_at.into(),
        i64::from(request.owed().is_some_and(Owed::is_due)).into(),
        Value::json(request)?,
    ])
}

/// Who was to agree.
fn way(request: &Request) -> &'static str {
    match (&request.path.break_glass, request.path.steps.is_empty()) {
        (Some(_), _) => "emergency",
        (None, true) => "instant",
        (None, false) => "reviewed",
    }
}

/// When it was decided, taken back, or lapsed.
const fn answered_at(state: &State) -> Option<Timestamp> {
    match state {
        State::Pending { .. } => None,
        State::Approved { at, .. }
        | State::Denied { at, .. }
        | State::Withdrawn { at, .. }
        | State::Lapsed { at, .. } => Some(*at),
    }
}

/// The columns of an item's row, as [`items`] gives their values.
pub(crate) const ITEM_COLUMNS: [&str; 4] = ["request_id", "resource", "created_at", "requester"];

/// The resources that a request asks for something on, each once.
pub(crate) fn items(request: &Request) -> impl Iterator<Item = [Value; 4]> {
    let resources: BTreeSet<&Name> = request.ask.items.iter().map(|item| &item.resource).collect();
    let (created_at, requester) = (request.created_at, request.ask.requester);
    resources.into_iter().map(move |resource| {
        [
            request.id.into(),
            resource.into(),
            created_at.into(),
            requester.into(),
        ]
    })
}

/// What writes a request's row after an event.
pub(crate) fn write(request: Option<&Request>, step: Step) -> Result<Vec<Statement>> {
    let request = request.ok_or_else(|| Error::corrupt("an event about a request made none"))?;
    let [
        id,
        state,
        requester,
        extends,
        created_at,
        way,
        answered_at,
        due_at,
        denied_at,
        owing,
        document,
    ] = row(request)?;
    if step.from != "none" {
        let text = "UPDATE requests SET previous_state = state, state = $2, due_at = $3, owing = $4, document = $5, \
                    denied_at = $6, answered_at = $7 WHERE id = $1";
        let values = vec![id, state, due_at, owing, document, denied_at, answered_at];
        return Ok(vec![(text, values)]);
    }
    let text = "INSERT INTO requests (id, state, requester, extends, created_at, way, due_at, owing, document) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = vec![
        id, state, requester, extends, created_at, way, due_at, owing, document,
    ];
    let mut writes = vec![(text, values)];
    writes.extend(items(request).map(|item| {
        let text =
            "INSERT INTO request_items (request_id, resource, created_at, requester) VALUES ($1, $2, $3, $4)";
        (text, item.into())
    }));
    Ok(writes)
}

pub(crate) async fn by_id(link: &mut Link, id: RequestId) -> Result<Option<Request>> {
    let row = link
        .row("SELECT document FROM requests WHERE id = $1", &[id.into()])
        .await?;
    match row {
        Some(row) => texts::opened(link, row.json(0)?).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn of_ids(link: &mut Link, ids: &[RequestId]) -> Result<Vec<Request>> {
    let ids: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
    let rows = link
        .listed("SELECT document FROM requests WHERE id IN (LIST)", 1, &ids)
        .await?;
    let mut items = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Request>>>()?;
    texts::open(link, &mut items).await?;
    Ok(items)
}

pub(crate) async fn list(
    link: &mut Link,
    filter: &RequestFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Request>> {
    let mut select = Select::new("SELECT document, created_at, id FROM requests");
    select.equals("state", filter.state.as_deref());
    select.equals("requester", filter.requester);
    if filter.owing {
        select.only("owing = 1");
    }
    let (text, values) = select.newest_first(("created_at", "id"), after, limit);
    let rows = link.rows(&text, &values).await?;
    let next = Cursor::behind(&rows, limit, (1, 2))?;
    let mut items = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Request>>>()?;
    texts::open(link, &mut items).await?;
    Ok(Page { items, next })
}

/// The requests that ask to lengthen a grant, oldest first.
pub(crate) async fn extending(link: &mut Link, grant: GrantId) -> Result<Vec<Request>> {
    let text = "SELECT document FROM requests WHERE extends = $1 ORDER BY created_at, id";
    let rows = link.rows(text, &[grant.into()]).await?;
    let mut items = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Request>>>()?;
    texts::open(link, &mut items).await?;
    Ok(items)
}
