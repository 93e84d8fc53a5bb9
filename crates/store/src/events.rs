//! Events: each row is one leaf of the log, in the outbox until the sequencer has given it its place there.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::grant::{Grant, State};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_core::world::Step;
use daypass_tlog::tile::LONGEST_ENTRY;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::select::Select;
use crate::texts;
use crate::transition::leaf;
use crate::value::{Row, Statement, Value};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, counted from 0 without gaps.
    pub index: u64,
    /// The hash of its leaf (RFC 6962).
    pub leaf: Hash,
    /// The canonical bytes that the leaf is the hash of.
    pub bytes: Vec<u8>,
    /// What they say, with the words of its free texts unless they were erased.
    pub event: Event,
}

/// Which entries to list. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// About this.
    pub subject: Option<Subject>,
    /// About things of this kind: `request`, `grant`, `entitlement`, `session`, `person`, `lock`, `key` or `policy`.
    pub kind: Option<String>,
    /// Caused by this person, or by Daypass itself.
    pub actor: Option<Actor>,
    /// With one of these names, such as `grant.ended`; none said: with any.
    pub names: Vec<String>,
    /// Not before this instant.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

/// Where a new event goes, and from which state to which it leads.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) id: i64,
    pub(crate) step: Step,
}

/// Who, as the tables have it.
pub(crate) fn actor(actor: Actor) -> String {
    match actor {
        Actor::Person(person) => person.to_string(),
        Actor::System => String::from("system"),
    }
}

/// The longest form of a request, in bytes: what it leads to repeats each of its items, with what became of it.
const LONGEST_REQUEST: usize = 8 * 1024;

/// Whether an event of so many bytes can be recorded: one that no bundle of entries could hold would break the log for whoever
/// reads it. What Daypass itself tells of a target is cut before; what a person asks for is refused here.
pub(crate) fn fits(event: &Event, length: usize) -> Result<()> {
    let most = match &event.what {
        What::Request(request::Event::Created { .. }) => LONGEST_REQUEST,
        _ => LONGEST_ENTRY,
    };
    if length <= most {
        return Ok(());
    }
    let what = format!(
        "{} would be recorded in {length} bytes, and an entry of the log has {most} at most",
        event.what.name()
    );
    Err(Refusal::new(Code::Invalid, what)
        .hint("do it in several parts: fewer items in one request, fewer files in one policy")
        .into())
}

/// What records an event: the row with its leaf, and the outbox.
pub(crate) fn insert(place: Place, event: &Event, bytes: Vec<u8>) -> Vec<Statement> {
    let text = "INSERT INTO events (id, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let hash = leaf(&bytes);
    let values = vec![
        place.id.into(),
        event.at.into(),
        actor(event.actor).into(),
        event.subject.kind().into(),
        event.subject.id().into(),
        event.what.name().into(),
        place.step.from.into(),
        place.step.to.into(),
        bytes.into(),
        hash.into(),
    ];
    vec![
        (text, values),
        ("INSERT INTO outbox (event_id) VALUES ($1)", vec![place.id.into()]),
    ]
}

/// The entry in a row of `leaf_index, leaf_hash, bytes`. Its free texts are closed.
pub(crate) fn read(row: &Row) -> Result<Entry> {
    let bytes = row.bytes(2)?.to_vec();
    let event = serde_json::from_slice(&bytes).map_err(Error::corrupt)?;
    Ok(Entry {
        index: row.count(0)?,
        leaf: row.hash(1)?,
        bytes,
        event,
    })
}

async fn open(link: &mut Link, rows: &[Row]) -> Result<Vec<Entry>> {
    let mut entries = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    texts::open(link, &mut entries).await?;
    Ok(entries)
}

/// In which direction to go through the log, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Upwards from the entry after this one.
    After(u64),
    /// Upwards from the first entry.
    First,
    /// Downwards from the entry before this one.
    Before(u64),
    /// Downwards from the last entry.
    Last,
}

pub(crate) async fn list(
    link: &mut Link,
    from: From,
    filter: &EventFilter,
    limit: usize,
) -> Result<Vec<Entry>> {
    let mut select = Select::new("SELECT leaf_index, leaf_hash, bytes FROM events");
    select.only("leaf_index IS NOT NULL");
    select.equals("kind", filter.kind.as_deref());
    if let Some(subject) = &filter.subject {
        select.equals("kind", Some(subject.kind()));
        select.equals("subject", Some(subject.id()));
    }
    select.equals("actor", filter.actor.map(actor));
    select.among("name", &filter.names);
    select.compares("at", ">=", filter.since);
    select.compares("at", "<", filter.until);
    let order = match from {
        From::After(index) => {
            select.compares("leaf_index", ">", Some(index));
            "leaf_index"
        }
        From::First => "leaf_index",
        From::Before(index) => {
            select.compares("leaf_index", "<", Some(index));
            "leaf_index DESC"
        }
        From::Last => "leaf_index DESC",
    };
    let (text, values) = select.finish(order, limit);
    let rows = link.rows(&text, &values).await?;
    open(link, &rows).await
}

/// All that happened to a request, to the grant that it led to, to what was provisioned for it while it lasted, and to the
/// requests that lengthened it; in the order of the log.
pub(crate) async fn timeline(link: &mut Link, id: RequestId) -> Result<Vec<Entry>> {
    let grant_id = GrantId::from(id);
    let mut subjects = vec![Subject::Request(id), Subject::Grant(grant_id)];
    let extending = link
        .rows("SELECT id FROM requests WHERE extends = $1", &[grant_id.into()])
        .await?;
    for row in &extending {
        subjects.push(Subject::Request(row.parse(0)?));
    }
    let mut entries = about(link, &subjects, None).await?;
    let text = "SELECT opened_at, document FROM grants WHERE id = $1";
    if let Some(row) = link.row(text, &[grant_id.into()]).await? {
        let grant: Grant = row.json(1)?;
        let end = match &grant.state {
            State::Ended { at, .. } => *at,
            _ => Timestamp::MAX,
        };
        let targets = grant.parts.into_iter();
        let targets: Vec<_> = targets.map(|part| Subject::Entitlement(part.target)).collect();
        // Others may have held the same opening before and after.
        entries.append(&mut about(link, &targets, Some(row.time(0)?..=end)).await?);
    }
    entries.sort_by_key(|entry| entry.index);
    entries.dedup_by_key(|entry| entry.index);
    Ok(entries)
}

/// The entries about these, of this time.
async fn about(
    link: &mut Link,
    subjects: &[Subject],
    during: Option<RangeInclusive<Timestamp>>,
) -> Result<Vec<Entry>> {
    let named: Vec<Value> = subjects
        .iter()
        .flat_map(|of| [of.kind().into(), of.id().into()])
        .collect();
    let mut text = String::from(
        "WITH wanted (kind, subject) AS (VALUES LIST) SELECT leaf_index, leaf_hash, bytes \
         FROM wanted JOIN events USING (kind, subject) WHERE leaf_index IS NOT NULL",
    );
    if let Some(during) = during {
        let (from, to) = (during.start().micros(), during.end().micros());
        write!(text, " AND at >= {from} AND at <= {to}").map_err(Error::corrupt)?;
    }
    let rows = link.listed(&text, 2, &named).await?;
    open(link, &rows).await
}

/// The number of the latest event.
pub(crate) async fn last(link: &mut Link) -> Result<u64> {
    let row = link.row("SELECT coalesce(max(id), 0) FROM events", &[]).await?;
    row.ok_or_else(|| Error::corrupt("a query without a row"))?
        .count(0)
}
