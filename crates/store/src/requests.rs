//! Requests: the rows and the queries on them.

use daypass_core::break_glass::Owed;
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::request::{Request, State};
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
pub(crate) const COLUMNS: [&str; 9] = [
    "id",
    "state",
    "requester",
    "extends",
    "created_at",
    "due_at",
    "denied_at",
    "owing",
    "document",
];

/// What stands in them.
pub(crate) fn row(request: &Request) -> Result<[Value; 9]> {
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
        due_at.into(),
        denied_at.into(),
        i64::from(request.owed().is_some_and(Owed::is_due)).into(),
        Value::json(request)?,
    ])
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
        due_at,
        denied_at,
        owing,
        document,
    ] = row(request)?;
    if step.from != "none" {
        let text = "UPDATE requests SET previous_state = state, state = $2, due_at = $3, owing = $4, document = $5, \
                    denied_at = $6 WHERE id = $1";
        return Ok(vec![(text, vec![id, state, due_at, owing, document, denied_at])]);
    }
    let text = "INSERT INTO requests (id, state, requester, extends, created_at, due_at, owing, document) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![id, state, requester, extends, created_at, due_at, owing, document];
    Ok(vec![(text, values)])
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
