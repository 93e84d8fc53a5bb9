//! From the log to the state: all events applied to an empty world, with the tree over them.

use daypass_core::event::Event;
use daypass_core::text::Hash;
use daypass_core::world::World;
use daypass_tlog::Tree;
use daypass_tlog::proof::Subtree;

use crate::error::Result;
use crate::events::actor;
use crate::link::Link;
use crate::scope::{take_entitlements, take_grants, take_people, take_requests};
use crate::transition::leaf;
use crate::value::{Row, Value};
use crate::verify::Check;
use crate::{changes, keys, locks, people, tiles};

/// How many events are read at once.
const PAGE: i64 = 1000;
/// What is read of each.
const COLUMNS: &str = "SELECT leaf_index, id, leaf_hash, bytes, from_state, to_state, at, actor, kind, subject, name FROM events";

/// What all events lead to.
#[derive(Default)]
pub(crate) struct Replay {
    /// The state. Free texts are closed.
    pub(crate) world: World,
    /// The tree over those in the log.
    pub(crate) tree: Tree,
    /// The nodes that are kept of it.
    pub(crate) nodes: Vec<(Subtree, daypass_tlog::Hash)>,
    /// How many events were committed and have no place in the log yet.
    pub(crate) waiting: u64,
}

/// Replays those in the log, in order, then those on their way there. `grown` looks at the tree as it is before each entry and
/// after the last, and at each entry's event while the tree is as before it.
///
/// # Errors
/// Where an event is missing, is not what its leaf is the hash of, or does not follow; and what `grown` answers.
pub(crate) async fn replay(
    link: &mut Link,
    mut grown: impl FnMut(&Tree, Option<&Event>) -> Result<()> + Send,
) -> Result<Replay> {
    let mut replay = Replay::default();
    loop {
        let text = format!("{COLUMNS} WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2");
        let size = replay.tree.size();
        let rows = link.rows(&text, &[size.into(), PAGE.into()]).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let size = replay.tree.size();
            if row.count(0)? != size {
                let what = format!("entry {size} is missing");
                return Err(Check::Place.differs(what));
            }
            grown(&replay.tree, None)?;
            let (hash, event) = apply(&mut replay.world, row, &format!("entry {size}"))?;
            grown(&replay.tree, Some(&event))?;
            tiles::push(&mut replay.tree, *hash.bytes(), &mut replay.nodes);
        }
    }
    grown(&replay.tree, None)?;
    let mut last = Value::Int(i64::MIN);
    loop {
        let text = format!("{COLUMNS} WHERE leaf_index IS NULL AND id > $1 ORDER BY id LIMIT $2");
        let rows = link.rows(&text, &[last.clone(), PAGE.into()]).await?;
        let Some(end) = rows.last() else { break };
        last = Value::Int(end.int(1)?);
        for row in &rows {
            apply(&mut replay.world, row, "an event without its place yet")?;
            replay.waiting += 1;
        }
    }
    Ok(replay)
}

fn apply(world: &mut World, row: &Row, place: &str) -> Result<(Hash, Event)> {
    let (hash, bytes) = (row.hash(2)?, row.bytes(3)?);
    if leaf(bytes) != hash {
        let what = format!("{place} is not what its leaf is the hash of: its bytes were changed");
        return Err(Check::Entry.differs(what));
    }
    let event: Event = serde_json::from_slice(bytes)
        .map_err(|error| Check::Entry.differs(format!("{place} is no event: {error}")))?;
    let told = || {
        let (name, subject) = (event.what.name(), event.subject.id());
        format!("{place} ({name} of {subject} at {})", event.at)
    };
    let step = world
        .apply(&event)
        .map_err(|illegal| Check::Replay.differs(format!("{}: {illegal}", told())))?;
    if (step.from, step.to) != (row.text(4)?, row.text(5)?) {
        let what = format!(
            "{} leads from {} to {}, and beside it stands from {} to {}",
            told(),
            step.from,
            step.to,
            row.text(4)?,
            row.text(5)?
        );
        return Err(Check::Replay.differs(what));
    }
    beside(row, &event, &told)?;
    Ok((hash, event))
}

/// What lists and filters go by stands beside the bytes.
fn beside(row: &Row, event: &Event, told: &impl Fn() -> String) -> Result<()> {
    let differs =
        |column: &str| Check::Entry.differs(format!("{}: its column {column} says something else", told()));
    if row.time(6)? != event.at {
        return Err(differs("at"));
    }
    for (column, nth, said) in [
        ("actor", 7, actor(event.actor)),
        ("kind", 8, event.subject.kind().to_owned()),
        ("subject", 9, event.subject.id()),
        ("name", 10, event.what.name().to_owned()),
    ] {
        if row.text(nth)? != said {
            return Err(differs(column));
        }
    }
    Ok(())
}

/// The state that the tables hold. Free texts are closed.
pub(crate) async fn load(link: &mut Link) -> Result<World> {
    let mut world = World::default();
    take_requests(
        &mut world,
        &link.rows("SELECT document FROM requests", &[]).await?,
    )?;
    take_grants(&mut world, &link.rows("SELECT document FROM grants", &[]).await?)?;
    take_entitlements(
        &mut world,
        &link.rows("SELECT document FROM entitlements", &[]).await?,
    )?;
    take_people(&mut world, &link.rows("SELECT document FROM people", &[]).await?)?;
    locks::take(&mut world, &link.rows("SELECT document FROM locks", &[]).await?)?;
    changes::take(&mut world, &link.rows("SELECT document FROM changes", &[]).await?)?;
    keys::take(
        &mut world,
        &link.rows("SELECT document FROM key_states", &[]).await?,
    )?;
    world.directory = people::changes(link).await?;
    let policy = link.row("SELECT revision FROM policy_state", &[]).await?;
    world.policy = policy.map(|row| row.parse(0)).transpose()?;
    Ok(world)
}
