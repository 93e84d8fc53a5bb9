//! Locks: their rows, and what is still held under one.

use daypass_core::id::GrantId;
use daypass_core::lock::{Lock, On};
use daypass_core::name::Name;
use daypass_core::world::{Step, World};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::texts;
use crate::value::{Row, Statement, Value};

/// The columns of a lock's row that its events decide, as [`row`] gives their values.
pub(crate) const COLUMNS: [&str; 5] = ["id", "state", "person", "resource", "document"];

/// What stands in them.
pub(crate) fn row(lock: &Lock) -> Result<[Value; 5]> {
    let (person, resource) = match &lock.on {
        On::Person(person) => (Some(person.to_string()), None),
        On::Resource(name) => (None, Some(name.to_string())),
    };
    Ok([
        lock.on.to_string().into(),
        lock.state.name().into(),
        person.into(),
        resource.into(),
        Value::json(lock)?,
    ])
}

/// What writes a lock's row after an event.
pub(crate) fn write(lock: Option<&Lock>, step: Step) -> Result<Vec<Statement>> {
    let lock = lock.ok_or_else(|| Error::corrupt("an event about a lock made none"))?;
    let [id, state, person, resource, document] = row(lock)?;
    if step.from != "none" {
        let text = "UPDATE locks SET previous_state = state, state = $2, document = $3 WHERE id = $1";
        return Ok(vec![(text, vec![id, state, document])]);
    }
    let text = "INSERT INTO locks (id, state, person, resource, document) VALUES ($1, $2, $3, $4, $5)";
    Ok(vec![(text, vec![id, state, person, resource, document])])
}

pub(crate) fn take(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let lock: Lock = row.json(0)?;
        world.locks.insert(lock.on.clone(), lock);
    }
    Ok(())
}

/// What is locked.
pub(crate) async fn shut(link: &mut Link) -> Result<Vec<Lock>> {
    let text = "SELECT document FROM locks WHERE state = 'locked' ORDER BY id";
    let rows = link.rows(text, &[]).await?;
    let mut locks = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Lock>>>()?;
    texts::open(link, &mut locks).await?;
    Ok(locks)
}

/// What has not begun to end although its holder, or a resource of it, is locked.
pub(crate) async fn held_under(link: &mut Link, limit: usize) -> Result<Vec<GrantId>> {
    // From the few locks to the grants, in this order on SQLite too (`CROSS JOIN`), and never through all grants.
    let text = "SELECT grants.id FROM locks CROSS JOIN grants WHERE locks.state = 'locked' \
                AND grants.holder = locks.person AND grants.state IN ('scheduled', 'activating', 'active') \
                UNION SELECT grants.id FROM locks CROSS JOIN grant_parts CROSS JOIN grants \
                WHERE locks.state = 'locked' AND grant_parts.resource = locks.resource AND grant_parts.ended = 0 \
                AND grants.id = grant_parts.grant_id AND grants.state IN ('scheduled', 'activating', 'active') \
                LIMIT $1";
    link.rows(text, &[limit.into()])
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}

/// What gives something on this resource and has not begun to end.
pub(crate) async fn live_on(link: &mut Link, resource: &Name) -> Result<Vec<GrantId>> {
    let text = "SELECT DISTINCT grants.id FROM grant_parts CROSS JOIN grants WHERE grant_parts.resource = $1 \
                AND grant_parts.ended = 0 AND grants.id = grant_parts.grant_id \
                AND grants.state IN ('scheduled', 'activating', 'active')";
    link.rows(text, &[resource.into()])
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}
