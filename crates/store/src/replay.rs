//! From the log to the state: all events applied to an empty world, with the tree over them.

use std::collections::HashMap;

use daypass_core::event::{Actor, Event, OVERTAKEN, PolicyEvent, Subject, What};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_core::world::{Step, World};
use daypass_tlog::Tree;
use daypass_tlog::proof::Subtree;

use crate::error::Result;
use crate::events::actor;
use crate::grants::gives_credentials;
use crate::link::Link;
use crate::scope::{take_entitlements, take_grants, take_people, take_requests};
use crate::transition::leaf;
use crate::value::{Row, Value};
use crate::verify::Check;
use crate::{changes, keys, locks, people, sessions, tiles};

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
    /// The steps of each thing's row.
    pub(crate) steps: HashMap<Subject, Steps>,
    /// Each policy that was put in force, in the order in which that was recorded.
    pub(crate) policies: Vec<Applied>,
    /// The hashes of all free texts, in no order.
    pub(crate) texts: Vec<Hash>,
    /// What is known of the time.
    pub(crate) times: Times,
}

/// The first and the last step of a row.
pub(crate) struct Steps {
    /// When it was made.
    pub(crate) first: Timestamp,
    /// When it was last written.
    pub(crate) last: Timestamp,
    /// From which state that led.
    pub(crate) from: &'static str,
    /// When credentials were first given for it, where it is a grant.
    pub(crate) used: Option<Timestamp>,
}

/// A policy that was put in force.
pub(crate) struct Applied {
    /// The number of the event.
    pub(crate) event: i64,
    pub(crate) revision: Hash,
    pub(crate) files: Vec<(String, Hash)>,
    pub(crate) at: Timestamp,
    pub(crate) actor: Actor,
}

/// What is known of the time.
#[derive(Default)]
pub(crate) struct Times {
    /// That of the newest event.
    pub(crate) newest: Option<Timestamp>,
    /// That of the last entry that is signed.
    pub(crate) signed: Option<Timestamp>,
    /// That of the oldest event that is not signed.
    pub(crate) unsigned: Option<Timestamp>,
}

/// Replays those in the log, in order, then those on their way there. `signed`: how many entries are. `grown` looks at the tree as
/// it is before each entry and after the last, and at each entry's event while the tree is as before it.
///
/// # Errors
/// Where an event is missing, is not what its leaf is the hash of, or does not follow; and what `grown` answers.
pub(crate) async fn replay(
    link: &mut Link,
    signed: u64,
    mut grown: impl FnMut(&Tree, Option<&Event>) -> Result<()> + Send,
) -> Result<Replay> {
    let mut replay = Replay::default();
    placed(link).await?;
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
            let place = format!("entry {size}");
            let (hash, event) = replay
                .apply(row, &place)
                .map_err(|error| Check::Entry.at(&place, error))?;
            grown(&replay.tree, Some(&event))?;
            let at = event.at;
            tiles::push(&mut replay.tree, *hash.bytes(), &mut replay.nodes);
            if size < signed {
                replay.times.signed = Some(at);
            } else {
                replay.times.waits(at);
            }
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
            let place = format!("event {}, without its place yet", row.int(1)?);
            let (_, event) = replay
                .apply(row, &place)
                .map_err(|error| Check::Entry.at(&place, error))?;
            replay.times.waits(event.at);
            replay.waiting += 1;
        }
    }
    Ok(replay)
}

/// Each event has a place that the log can have, or waits for one: what is neither stands in no log and still counts, for the time
/// goes on from the newest event wherever that stands.
async fn placed(link: &mut Link) -> Result<()> {
    let row = link
        .row(
            "SELECT id, leaf_index FROM events WHERE leaf_index < 0 LIMIT 1",
            &[],
        )
        .await?;
    if let Some(row) = row {
        let (id, place) = (row.int(0)?, row.int(1)?);
        let what = format!("event {id} has the place {place}, which no log has: it is kept out of this one");
        return Err(Check::Place.differs(what));
    }
    let text = "SELECT events.id FROM events LEFT JOIN outbox ON outbox.event_id = events.id \
                WHERE events.leaf_index IS NULL AND outbox.event_id IS NULL ORDER BY events.id LIMIT 1";
    if let Some(row) = link.row(text, &[]).await? {
        let id = row.int(0)?;
        let what =
            format!("event {id} has no place and does not wait for one in outbox: it is kept out of the log");
        return Err(Check::Place.differs(what));
    }
    let text = "SELECT outbox.event_id FROM outbox LEFT JOIN events ON events.id = outbox.event_id \
                WHERE events.id IS NULL OR events.leaf_index IS NOT NULL ORDER BY outbox.event_id LIMIT 1";
    if let Some(row) = link.row(text, &[]).await? {
        let id = row.int(0)?;
        let what = format!(
            "event {id} waits for a place in outbox, and there is no such event or it has one: it would get two"
        );
        return Err(Check::Place.differs(what));
    }
    Ok(())
}

impl Times {
    fn waits(&mut self, at: Timestamp) {
        self.unsigned = Some(self.unsigned.map_or(at, |oldest| oldest.min(at)));
    }
}

impl Replay {
    fn apply(&mut self, row: &Row, place: &str) -> Result<(Hash, Event)> {
        let (hash, bytes) = (row.hash(2)?, row.bytes(3)?);
        if leaf(bytes) != hash {
            let what = format!("{place} is not what its leaf is the hash of: its bytes were changed");
            return Err(Check::Entry.differs(what));
        }
        let event = Event::read(bytes).map_err(|error| Check::Entry.differs(format!("{place}: {error}")))?;
        let told = || {
            let (name, subject) = (event.what.name(), event.subject.id());
            format!("{place} ({name} of {subject} at {})", event.at)
        };
        let step = self
            .world
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
        let newest = self.times.newest.unwrap_or(event.at);
        if newest.since(event.at) > OVERTAKEN {
            let what = format!(
                "{} comes after an event of {newest}: the store's time does not go back, so it was dated back",
                told()
            );
            return Err(Check::Replay.differs(what));
        }
        self.times.newest = Some(newest.max(event.at));
        self.remember(row.int(1)?, &event, step);
        Ok((hash, event))
    }

    /// What the tables are compared with beside the state.
    fn remember(&mut self, id: i64, event: &Event, step: Step) {
        self.texts
            .extend(event.what.prose().iter().map(|prose| prose.hash()));
        if let What::Policy(PolicyEvent::Applied { revision, files, .. }) = &event.what {
            self.policies.push(Applied {
                event: id,
                revision: *revision,
                files: files.clone(),
                at: event.at,
                actor: event.actor,
            });
        }
        let steps = self.steps.entry(event.subject.clone()).or_insert(Steps {
            first: event.at,
            last: event.at,
            from: step.from,
            used: None,
        });
        if steps.used.is_none() && gives_credentials(&event.what) {
            steps.used = Some(event.at);
        }
        (steps.last, steps.from) = (event.at, step.from);
    }
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
    sessions::take(
        &mut world,
        &link.rows("SELECT document FROM sessions", &[]).await?,
    )?;
    world.directory = people::changes(link).await?;
    let policy = link.row("SELECT revision FROM policy_state", &[]).await?;
    world.policy = policy.map(|row| row.parse(0)).transpose()?;
    Ok(world)
}
