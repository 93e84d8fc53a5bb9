//! The policy: which revision is in force, and every one that was.

use daypass_core::event::Actor;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_core::world::Step;

use crate::error::{Error, Result};
use crate::events;
use crate::link::Link;
use crate::side::Side;
use crate::value::{Row, Statement, Value};

/// A revision that was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The SHA-256 of its files.
    pub revision: Hash,
    /// The name and text of each file.
    pub sources: Vec<(String, String)>,
    /// Since when.
    pub applied_at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// That a revision was put in force, without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedPolicy {
    /// Its place among all that were: a later one has a higher.
    pub place: i64,
    /// The SHA-256 of its files.
    pub revision: Hash,
    /// Since when.
    pub applied_at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// What puts a revision in force. Its files are part of the same transition: a revision without them could not be loaded.
pub(crate) fn write(
    revision: Option<Hash>,
    step: Step,
    (event, by, now): (i64, Actor, Timestamp),
    side: &[Side],
) -> Result<Vec<Statement>> {
    let revision = revision.ok_or_else(|| Error::corrupt("an event about the policy made none"))?;
    let files = side.iter().find_map(|side| match side {
        Side::PolicySource {
            revision: of,
            sources,
        } if *of == revision => Some(sources),
        _ => None,
    });
    let files = files.ok_or_else(|| Error::corrupt("a policy was put in force without its files"))?;
    let text = if step.from == "none" {
        "INSERT INTO policy_state (id, state, revision) VALUES (1, $1, $2)"
    } else {
        "UPDATE policy_state SET previous_state = state, state = $1, revision = $2 WHERE id = 1"
    };
    let state = (text, vec![step.to.into(), revision.to_string().into()]);
    let text =
        "INSERT INTO policies (event_id, revision, sources, applied_at, actor) VALUES ($1, $2, $3, $4, $5)";
    let actor = events::actor(by).into();
    let history = vec![
        event.into(),
        revision.to_string().into(),
        Value::json(files)?,
        now.into(),
        actor,
    ];
    Ok(vec![state, (text, history)])
}

fn actor(row: &Row, column: usize) -> Result<Actor> {
    Ok(match row.text(column)? {
        "system" => Actor::System,
        _ => Actor::Person(row.parse(column)?),
    })
}

fn read(row: &Row) -> Result<Revision> {
    let by = actor(row, 3)?;
    Ok(Revision {
        revision: row.parse(0)?,
        sources: row.json(1)?,
        applied_at: row.time(2)?,
        by,
    })
}

pub(crate) async fn in_force(link: &mut Link) -> Result<Option<Revision>> {
    let text = "SELECT revision, sources, applied_at, actor FROM policies ORDER BY event_id DESC LIMIT 1";
    link.row(text, &[]).await?.map(|row| read(&row)).transpose()
}

/// The revision with this hash; the last time that it was put in force.
pub(crate) async fn by_revision(link: &mut Link, revision: Hash) -> Result<Option<Revision>> {
    let text = "SELECT revision, sources, applied_at, actor FROM policies WHERE revision = $1 \
                ORDER BY event_id DESC LIMIT 1";
    let row = link.row(text, &[revision.to_string().into()]).await?;
    row.map(|row| read(&row)).transpose()
}

/// The last revisions, newest first.
pub(crate) async fn history(link: &mut Link, limit: usize) -> Result<Vec<Revision>> {
    let text = "SELECT revision, sources, applied_at, actor FROM policies ORDER BY event_id DESC LIMIT $1";
    link.rows(text, &[limit.into()]).await?.iter().map(read).collect()
}

/// Which were put in force before this place, newest first.
pub(crate) async fn applied(
    link: &mut Link,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AppliedPolicy>> {
    let text = "SELECT event_id, revision, applied_at, actor FROM policies WHERE event_id < $1 \
                ORDER BY event_id DESC LIMIT $2";
    let rows = link
        .rows(text, &[before.unwrap_or(i64::MAX).into(), limit.into()])
        .await?;
    let read = |row: &Row| {
        Ok(AppliedPolicy {
            place: row.int(0)?,
            revision: row.parse(1)?,
            applied_at: row.time(2)?,
            by: actor(row, 3)?,
        })
    };
    rows.iter().map(read).collect()
}
