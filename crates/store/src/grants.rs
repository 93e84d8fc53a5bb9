//! Grants: their rows, which of them want what at which target, and the queries on them.

use std::collections::BTreeSet;

use daypass_core::entitlement::TargetKey;
use daypass_core::event::What;
use daypass_core::grant::{Event, Grant, State};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::time::Timestamp;
use daypass_core::world::Step;

use crate::entitlements;
use crate::error::{Error, Result};
use crate::link::Link;
use crate::page::{Cursor, Page};
use crate::select::Select;
use crate::texts;
use crate::value::{Row, Statement, Value};

/// Which grants to list. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Of this person.
    pub holder: Option<PersonId>,
    /// In one of these states, by name; none said: in any.
    pub states: Vec<String>,
    /// Only those that have not ended.
    pub open: bool,
}

/// When there is something to do for a grant, and when time alone changes it.
fn times(state: &State, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    match state {
        State::Scheduled { start } => (Some(*start), Some(*start)),
        State::Activating { window_ends, .. } => (Some(now), Some(*window_ends)),
        State::Active { expires_at, .. } => (Some(*expires_at), Some(*expires_at)),
        State::Ending { since, .. } => (Some(*since), None),
        State::Ended { .. } => (None, None),
    }
}

/// When its end began.
const fn over_at(state: &State) -> Option<Timestamp> {
    match state {
        State::Ending { since, .. } => Some(*since),
        State::Ended { ending_since, .. } => Some(*ending_since),
        State::Scheduled { .. } | State::Activating { .. } | State::Active { .. } => None,
    }
}

/// The columns of a grant's row that its events decide, as [`row`] gives their values.
pub(crate) const COLUMNS: [&str; 12] = [
    "id",
    "state",
    "request",
    "holder",
    "opened_at",
    "active_at",
    "used_at",
    "due_at",
    "wakes_at",
    "over_at",
    "telling",
    "document",
];

/// What is known of when things happened to a grant, beside its state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// Its first event.
    pub(crate) opened: Timestamp,
    /// When its holder was first given credentials.
    pub(crate) used: Option<Timestamp>,
    /// Its last event.
    pub(crate) now: Timestamp,
}

/// What stands in them after its event of `now`.
pub(crate) fn row(grant: &Grant, When { opened, used, now }: When) -> Result<[Value; 12]> {
    let (due_at, wakes_at) = times(&grant.state, now);
    Ok([
        grant.id.into(),
        grant.state.name().into(),
        grant.request.into(),
        grant.holder.into(),
        opened.into(),
        grant.active_since().into(),
        used.into(),
        due_at.into(),
        wakes_at.into(),
        over_at(&grant.state).into(),
        i64::from(!grant.untold().is_empty()).into(),
        Value::json(grant)?,
    ])
}

/// The columns of a part's row, as [`parts`] gives their values.
pub(crate) const PART_COLUMNS: [&str; 8] = [
    "grant_id",
    "position",
    "resource",
    "role",
    "connector",
    "target_key",
    "wanted_until",
    "ended",
];

/// What stands in the rows of its parts after its event of `now`.
pub(crate) fn parts(grant: &Grant, now: Timestamp) -> impl Iterator<Item = [Value; 8]> {
    let (wanted_until, ended) = wanted(grant, now);
    grant.parts.iter().enumerate().map(move |(position, part)| {
        [
            grant.id.into(),
            position.into(),
            (&part.item().resource).into(),
            (&part.item().role).into(),
            (&part.target.connector).into(),
            part.target.key.as_str().into(),
            wanted_until.into(),
            i64::from(ended).into(),
        ]
    })
}

/// Until when its parts want to be there, and whether they are over and done with.
pub(crate) fn wanted(grant: &Grant, now: Timestamp) -> (Option<Timestamp>, bool) {
    let ended = matches!(grant.state, State::Ended { .. });
    (grant.desired_until(now), ended)
}

/// Whether its holder is given credentials by this event.
pub(crate) const fn gives_credentials(what: &What) -> bool {
    matches!(what, What::Grant(Event::CredentialIssued { .. }))
}

/// What writes a grant's row, its parts and what they want after an event.
pub(crate) fn write(
    grant: Option<&Grant>,
    what: &What,
    step: Step,
    now: Timestamp,
) -> Result<Vec<Statement>> {
    let grant = grant.ok_or_else(|| Error::corrupt("an event about a grant made none"))?;
    let at = When {
        opened: now,
        used: gives_credentials(what).then_some(now),
        now,
    };
    let [
        id,
        state,
        request,
        holder,
        opened_at,
        active_at,
        used_at,
        due_at,
        wakes_at,
        over_at,
        telling,
        document,
    ] = row(grant, at)?;
    if step.from == "none" {
        let text = "INSERT INTO grants (id, state, request, holder, opened_at, due_at, wakes_at, document) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let values = vec![id, state, request, holder, opened_at, due_at, wakes_at, document];
        let mut writes = vec![(text, values)];
        writes.extend(parts(grant, now).map(|[grant, position, resource, role, connector, key, _, _]| {
            let text =
                "INSERT INTO grant_parts (grant_id, position, connector, target_key, resource, role) VALUES ($1, $2, $3, $4, $5, $6)";
            (text, vec![grant, position, connector, key, resource, role])
        }));
        return Ok(writes);
    }
    let text = "UPDATE grants SET previous_state = state, state = $2, due_at = $3, wakes_at = $4, document = $5, \
                over_at = $6, active_at = $7, used_at = coalesce(used_at, $8), telling = $9 WHERE id = $1";
    let values = vec![
        id.clone(),
        state,
        due_at,
        wakes_at,
        document,
        over_at,
        active_at,
        used_at,
        telling,
    ];
    let mut writes = vec![(text, values)];
    let text = "UPDATE grant_parts SET wanted_until = $2, ended = $3 WHERE grant_id = $1";
    let (until, ended) = wanted(grant, now);
    writes.push((text, vec![id, until.into(), i64::from(ended).into()]));
    // In one order everywhere, as the rows are locked.
    let targets: BTreeSet<&TargetKey> = grant.parts.iter().map(|part| &part.target).collect();
    writes.extend(targets.into_iter().map(entitlements::want));
    Ok(writes)
}

async fn open(link: &mut Link, rows: &[Row]) -> Result<Vec<Grant>> {
    let mut grants = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Grant>>>()?;
    texts::open(link, &mut grants).await?;
    Ok(grants)
}

pub(crate) async fn by_id(link: &mut Link, id: GrantId) -> Result<Option<Grant>> {
    let rows = link
        .rows("SELECT document FROM grants WHERE id = $1", &[id.into()])
        .await?;
    Ok(open(link, &rows).await?.pop())
}

pub(crate) async fn of_request(link: &mut Link, id: RequestId) -> Result<Option<Grant>> {
    let rows = link
        .rows("SELECT document FROM grants WHERE request = $1", &[id.into()])
        .await?;
    Ok(open(link, &rows).await?.pop())
}

pub(crate) async fn list(
    link: &mut Link,
    filter: &GrantFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Grant>> {
    let mut select = Select::new("SELECT document, opened_at, id FROM grants");
    select.equals("holder", filter.holder);
    select.among("state", &filter.states);
    if filter.open {
        select.only("state <> 'ended'");
    }
    let (text, values) = select.newest_first(("opened_at", "id"), after, limit);
    let rows = link.rows(&text, &values).await?;
    let next = Cursor::behind(&rows, limit, (1, 2))?;
    Ok(Page {
        items: open(link, &rows).await?,
        next,
    })
}

/// Those of these that there are.
pub(crate) async fn of_ids(link: &mut Link, ids: &[GrantId]) -> Result<Vec<Grant>> {
    let ids: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
    let rows = link
        .listed("SELECT document FROM grants WHERE id IN (LIST)", 1, &ids)
        .await?;
    open(link, &rows).await
}

/// What somebody holds and has not begun to end.
pub(crate) async fn live_of(link: &mut Link, holder: PersonId) -> Result<Vec<Grant>> {
    let text = "SELECT document FROM grants WHERE holder = $1 AND state IN ('scheduled', 'activating', 'active') \
                ORDER BY opened_at, id";
    let rows = link.rows(text, &[holder.into()]).await?;
    open(link, &rows).await
}

/// Those that have not begun to end and give something to a handle of their holder; by id, after this one. What they are like may
/// be like others too: a resource's configuration has words of its own.
pub(crate) async fn live_given(link: &mut Link, after: Option<GrantId>, limit: usize) -> Result<Vec<Grant>> {
    let text = "SELECT document FROM grants WHERE state IN ('scheduled', 'activating', 'active') \
                AND document LIKE '%\"subject\":%' AND id > $1 ORDER BY id LIMIT $2";
    let after = after.map_or_else(String::new, |id| id.to_string());
    let rows = link.rows(text, &[after.into(), limit.into()]).await?;
    open(link, &rows).await
}

/// The active ones that something beside their deadline may end. A document names what, where there is something; no free
/// text is in it.
pub(crate) async fn watched(link: &mut Link) -> Result<Vec<Grant>> {
    let text = "SELECT document FROM grants WHERE state = 'active' AND document LIKE '%\"end_when\":[%' \
                ORDER BY opened_at, id";
    let rows = link.rows(text, &[]).await?;
    open(link, &rows).await
}

/// Those whose targets have more to tell of what was done with them, the oldest first.
pub(crate) async fn telling(link: &mut Link, limit: usize) -> Result<Vec<Grant>> {
    let text = "SELECT document FROM grants WHERE telling = 1 ORDER BY opened_at, id LIMIT $1";
    let rows = link.rows(text, &[limit.into()]).await?;
    open(link, &rows).await
}

/// The grants that have not ended and want one of these keys.
pub(crate) async fn sharing(link: &mut Link, keys: &[TargetKey]) -> Result<Vec<Grant>> {
    let text = "WITH wanted (connector, target_key) AS (VALUES LIST) SELECT document FROM grants WHERE id IN \
                (SELECT grant_id FROM wanted JOIN grant_parts USING (connector, target_key) WHERE ended = 0)";
    let rows = link.listed(text, 2, &entitlements::keys(keys)).await?;
    open(link, &rows).await
}
