//! Reads a whole log and believes nothing of it: each entry into a tree of our own and into a world of our own.

use std::collections::BTreeMap;

use daypass_core::event::{Event, OVERTAKEN};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_tlog::key::Verifier;
use daypass_tlog::succession::Successor;
use daypass_tlog::tile::{HEIGHT, Kind, Tile};
use daypass_tlog::{Checkpoint, Hash, Marks, Tree, leaf};

use super::chain::{self, Told};
use super::source::Source;
use super::trust::Whose;
use crate::failure::Failure;

/// A log that was read whole and is in order.
pub(super) struct Sound {
    /// The checkpoint, as it was signed.
    pub(super) note: Vec<u8>,
    /// Its size and head, as they were signed.
    pub(super) checkpoint: Checkpoint,
    /// By whom.
    pub(super) key: Verifier,
    /// How one came to that key from one that was given.
    pub(super) followed: Vec<Successor>,
    /// The key that comes next, and the place of the entry that says so.
    pub(super) next: Option<(String, u64)>,
    /// What its events lead to.
    pub(super) world: World,
    /// When the newest of them happened.
    pub(super) last: Option<Timestamp>,
    /// When the first of them happened after what the witnesses signed, where there is one.
    pub(super) unwitnessed: Option<Timestamp>,
}

/// What a log is held against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    /// The keys that may have signed it.
    pub(super) keys: &'a [Verifier],
    /// What somebody saw.
    pub(super) seen: &'a [Checkpoint],
    /// What witnesses signed.
    pub(super) witnessed: Option<&'a Checkpoint>,
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    tree: Tree,
    world: World,
    last: Option<Timestamp>,
    unwitnessed: Option<Timestamp>,
    keys: Told,
    /// The nodes that tiles are made of, by their level.
    nodes: BTreeMap<u8, Vec<Hash>>,
}

/// Reads all of it. `took` is called with the bytes of each tile.
///
/// # Errors
/// The first thing that is not as it was signed, with its place.
pub(super) async fn read(
    source: &Source,
    against: Against<'_>,
    mut took: impl FnMut(&Tile, &[u8]) -> Result<(), Failure>,
) -> Result<Sound, Failure> {
    let note = source.checkpoint().await?;
    let believed = chain::believed(source, &note, against.keys).await?;
    let checkpoint = believed.checkpoint.clone();
    let size = checkpoint.size;
    let mut seen = chain::seen(against.seen, against.witnessed, &believed)?;
    let mut reading = Reading::default();
    reading.pass(&mut seen)?;
    for tile in Tile::all(Kind::Entries, size) {
        let bytes = source.tile(tile).await?;
        took(&tile, &bytes)?;
        let entries = tile
            .entries(&bytes)
            .map_err(|error| unsound(&format!("{tile}: {error}")))?;
        for entry in entries {
            let at = reading.take(entry)?;
            if against
                .witnessed
                .is_some_and(|witnessed| witnessed.size + 1 == reading.tree.size())
            {
                reading.unwitnessed = Some(at);
            }
            reading.pass(&mut seen)?;
        }
    }
    if reading.tree.head() != checkpoint.head {
        return Err(unsound(&format!(
            "the {size} entries are not those that the checkpoint was signed over: an entry was changed, taken away, put in or moved"
        )));
    }
    if let Some((ahead, whose)) = seen.ahead() {
        return Err(unsound(&format!(
            "the checkpoint that {} has {ahead} entries, and the log has {size}: entries were taken away, or it was put back from a copy",
            whose.that()
        )));
    }
    reading.tiles(source, size, &mut took).await?;
    reading.keys.check(&believed)?;
    let Reading {
        world,
        last,
        unwitnessed,
        keys,
        ..
    } = reading;
    Ok(Sound {
        note,
        checkpoint,
        key: believed.key,
        followed: believed.followed,
        next: keys.next,
        world,
        last,
        unwitnessed,
    })
}

impl Reading {
    /// The next entry; when it happened.
    fn take(&mut self, bytes: &[u8]) -> Result<Timestamp, Failure> {
        let index = self.tree.size();
        let nodes = &mut self.nodes;
        self.tree.push_telling(leaf(bytes), |subtree, hash| {
            if subtree.level.is_multiple_of(HEIGHT) {
                nodes.entry(subtree.level).or_default().push(hash);
            }
        });
        let event = Event::read(bytes).map_err(|error| unsound(&format!("entry {index}: {error}")))?;
        self.world.apply(&event).map_err(|illegal| {
            let (name, subject) = (event.what.name(), event.subject.id());
            unsound(&format!(
                "entry {index} ({name} of {subject} at {}): {illegal}",
                event.at
            ))
        })?;
        self.keys.take(index, &event);
        let latest = self.last.unwrap_or(event.at);
        if latest.since(event.at) > OVERTAKEN {
            let (name, subject) = (event.what.name(), event.subject.id());
            return Err(unsound(&format!(
                "entry {index} ({name} of {subject} at {}) comes after one of {latest}: a store's time does not go back, so it was dated back",
                event.at
            )));
        }
        self.last = Some(latest.max(event.at));
        Ok(event.at)
    }

    /// The tiles of hashes are those of the entries that were read.
    async fn tiles(
        &self,
        source: &Source,
        size: u64,
        took: &mut impl FnMut(&Tile, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for (level, nodes) in &self.nodes {
            for tile in Tile::all(
                Kind::Hashes {
                    level: level / HEIGHT,
                },
                size,
            ) {
                let bytes = source.tile(tile).await?;
                took(&tile, &bytes)?;
                let told = tile
                    .hashes(&bytes)
                    .map_err(|error| unsound(&format!("{tile}: {error}")))?;
                let ours = nodes
                    .iter()
                    .skip(usize::try_from(tile.nodes().start).unwrap_or(usize::MAX));
                if let Some(nth) = told.iter().zip(ours).position(|(told, ours)| told != ours) {
                    return Err(unsound(&format!(
                        "{tile}: hash {nth} is not that of the entries below it"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether the log, as far as it was read, is what was seen.
    fn pass(&self, seen: &mut Marks<Whose>) -> Result<(), Failure> {
        let size = self.tree.size();
        let passed = seen.pass(&self.tree).map_err(|whose| {
            unsound(&format!(
                "the first {size} entries are not those of the checkpoint that {}: the log was rewritten, or it is another one",
                whose.that()
            ))
        });
        passed.map(|_mark| ())
    }
}

/// Something is not as it was signed.
pub(super) fn unsound(what: &str) -> Failure {
    Failure::error(format!("the log is not sound: {what}"))
        .hint("keep what you have (daypass audit export --dir) and ask the operator; docs/audit.md says what each finding means")
}
