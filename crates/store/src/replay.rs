//! The log against the tables: all events applied to an empty world must give the state that the tables hold.

use daypass_core::event::Event;
use daypass_core::text::Hash;
use daypass_core::world::World;
use daypass_tlog::Tree;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::log::{self, Head};
use crate::people;
use crate::scope::{take_entitlements, take_grants, take_people, take_requests};
use crate::transition::leaf;
use crate::value::{Row, Value};
use crate::{changes, keys, locks};

/// How many events are read at once.
const PAGE: i64 = 1000;

/// What a check of log and tables found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The log's head, computed anew from the events.
    pub head: Head,
    /// How many events were committed and have no place in the log yet.
    pub waiting: u64,
}

/// The state that the events make, in order: those in the log, then those on their way there. Free texts are closed.
pub(crate) async fn replay(link: &mut Link) -> Result<(World, Verified)> {
    let mut world = World::default();
    let mut tree = Tree::default();
    let columns = "SELECT leaf_hash, bytes, from_state, to_state, leaf_index, id FROM events";
    loop {
        let text = format!("{columns} WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2");
        let rows = link.rows(&text, &[tree.size().into(), PAGE.into()]).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            if row.count(4)? != tree.size() {
                return Err(Error::Corrupt(format!(
                    "entry {} of the log is missing",
                    tree.size()
                )));
            }
            tree.push(*apply(&mut world, row)?.bytes());
        }
    }
    let mut waiting = 0;
    let mut last = Value::Int(i64::MIN);
    loop {
        let text = format!("{columns} WHERE leaf_index IS NULL AND id > $1 ORDER BY id LIMIT $2");
        let rows = link.rows(&text, &[last.clone(), PAGE.into()]).await?;
        let Some(end) = rows.last() else { break };
        last = Value::Int(end.int(5)?);
        for row in &rows {
            apply(&mut world, row)?;
            waiting += 1;
        }
    }
    let head = Head {
        size: tree.size(),
        root: Hash::from_bytes(tree.head()),
    };
    Ok((world, Verified { head, waiting }))
}

fn apply(world: &mut World, row: &Row) -> Result<Hash> {
    let bytes = row.bytes(1)?;
    let event: Event = serde_json::from_slice(bytes).map_err(Error::corrupt)?;
    let what = || {
        format!(
            "the event {} of {} at {}",
            event.what.name(),
            event.subject.id(),
            event.at
        )
    };
    let hash = row.hash(0)?;
    if leaf(bytes) != hash {
        return Err(Error::Corrupt(format!(
            "{} is not what its leaf is the hash of",
            what()
        )));
    }
    let step = world.apply(&event)?;
    if (step.from, step.to) != (row.text(2)?, row.text(3)?) {
        return Err(Error::Corrupt(format!(
            "{} leads elsewhere than was recorded",
            what()
        )));
    }
    Ok(hash)
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

/// Compares the two, and the log's head with its leaves.
pub(crate) async fn verify(link: &mut Link) -> Result<Verified> {
    let (replayed, verified) = replay(link).await?;
    let differs =
        |what: &str| Error::Corrupt(format!("{what} in the tables are not what the log made of them"));
    let World {
        requests,
        grants,
        entitlements,
        people,
        locks,
        changes,
        keys,
        directory,
        policy,
        // Made from the others.
        past: _,
        holds: _,
    } = load(link).await?;
    if requests != replayed.requests {
        return Err(differs("the requests"));
    }
    if grants != replayed.grants {
        return Err(differs("the grants"));
    }
    if entitlements != replayed.entitlements {
        return Err(differs("the entitlements"));
    }
    if people != replayed.people {
        return Err(differs("the people"));
    }
    if locks != replayed.locks {
        return Err(differs("the locks"));
    }
    if changes != replayed.changes {
        return Err(differs("the changes that wait for others"));
    }
    if keys != replayed.keys {
        return Err(differs("the keys"));
    }
    if directory != replayed.directory {
        return Err(differs("the changes of the directory"));
    }
    if policy != replayed.policy {
        return Err(differs("the policy revisions"));
    }
    if log::head(link).await? != verified.head {
        return Err(Error::corrupt("the log's head is not that of its entries"));
    }
    Ok(verified)
}
