//! Checkpoints against the tree: each must be the head of the first so many entries, and what happened is signed soon.

use daypass_core::event::UNSIGNED;
use daypass_tlog::key::Verifier;
use daypass_tlog::{Checkpoint, Marks, Note, Tree};

use super::keys::Keys;
use super::{Check, Expect, PAGE};
use crate::checkpoints::{self, KeptCheckpoint};
use crate::error::Result;
use crate::link::Link;
use crate::replay::Replay;

/// Where a checkpoint is from.
struct From {
    check: Check,
    /// Whose signatures are still to be looked at.
    note: Option<Note>,
}

/// The checkpoints that the log has yet to come by.
#[derive(Default)]
pub(super) struct Marked {
    ahead: Marks<From>,
    pub(super) keys: Keys,
    pub(super) count: u64,
    /// How many entries the newest covers.
    pub(super) newest: Option<u64>,
}

impl Marked {
    /// Those that are kept, and those that were seen.
    pub(super) async fn read(link: &mut Link, expect: &Expect) -> Result<Self> {
        let mut marked = Self {
            keys: Keys::new(&expect.keys),
            ..Self::default()
        };
        let mut after = -1;
        loop {
            let page = checkpoints::page(link, after, PAGE)
                .await
                .map_err(|error| Check::Checkpoint.at("a checkpoint", error))?;
            let Some(last) = page.last() else { break };
            after = i64::try_from(last.size).unwrap_or(i64::MAX);
            for kept in &page {
                let (checkpoint, note) = read(kept, expect)?;
                marked.add(&checkpoint, Check::Checkpoint, Some(note))?;
                marked.count += 1;
                marked.newest = Some(kept.size);
            }
        }
        for seen in &expect.seen {
            marked.add(seen, Check::Seen, None)?;
        }
        Ok(marked)
    }

    fn add(&mut self, checkpoint: &Checkpoint, check: Check, note: Option<Note>) -> Result<()> {
        self.ahead
            .add(checkpoint.size, checkpoint.head, From { check, note })
            .map_err(|two| check.differs(two.to_string()))
    }

    /// The log has come to this tree.
    pub(super) fn pass(&mut self, tree: &Tree) -> Result<()> {
        let size = tree.size();
        match self.ahead.pass(tree) {
            Ok(passed) => match passed.and_then(|from| from.note) {
                Some(note) => self.keys.checkpoint(size, note),
                None => Ok(()),
            },
            Err(From { check, .. }) => {
                let what = match check {
                    Check::Seen => format!(
                        "the first {size} entries are not those of the checkpoint that was seen: the log was rewritten, or it is another one"
                    ),
                    _ => format!(
                        "the first {size} entries are not those that the checkpoint of {size} was signed over"
                    ),
                };
                Err(check.differs(what))
            }
        }
    }

    /// The log ends with this.
    pub(super) fn end(&self, replay: &Replay, expect: &Expect) -> Result<()> {
        let size = replay.tree.size();
        if let Some((ahead, From { check, .. })) = self.ahead.ahead() {
            let what = format!(
                "a checkpoint of {ahead} entries was signed, and the log has {size}: entries were taken away, or the store was \
                 put back from a copy"
            );
            return Err(check.differs(what));
        }
        if expect.keys.is_empty() {
            return Ok(());
        }
        if size > 0 && self.count == 0 {
            let what = format!(
                "nothing of the log's {size} entries was ever signed, or the checkpoints were taken away"
            );
            return Err(Check::Checkpoint.differs(what));
        }
        self.keys.end()?;
        if let (Some(newest), Some(oldest)) = (replay.times.newest, replay.times.unsigned)
            && newest.since(oldest) > UNSIGNED
        {
            let signed = self.newest.unwrap_or_default();
            let what = format!(
                "an event of {oldest} is not signed although there are events of {newest}, and a server signs each second: \
                 the newest checkpoint is of {signed} entries. The server signs no more, or somebody keeps events out of the log; \
                 where a server was started this minute, look again"
            );
            return Err(Check::Checkpoint.differs(what));
        }
        Ok(())
    }
}

/// A checkpoint that is kept, of one of the logs whose keys are asked for.
fn read(kept: &KeptCheckpoint, expect: &Expect) -> Result<(Checkpoint, Note)> {
    let wrong = |what: &dyn std::fmt::Display| {
        Check::Checkpoint.differs(format!("the checkpoint of {}: {what}", kept.size))
    };
    let note = Note::parse(kept.note.as_bytes()).map_err(|error| wrong(&error))?;
    let checkpoint: Checkpoint = note.text().parse().map_err(|error| wrong(&error))?;
    if checkpoint.size != kept.size {
        return Err(wrong(&format!("it says {} entries", checkpoint.size)));
    }
    let ours = |key: &Verifier| checkpoint.origin == key.name().as_str();
    if !expect.keys.is_empty() && !expect.keys.iter().any(ours) {
        // Whoever has another key is told that it did not sign, before they wonder about the name.
        let mut keys = expect.keys.iter();
        let why = keys
            .find_map(|key| note.verify(key).err())
            .map(|error| error.to_string());
        let other = format!("it is one of another log, {}", checkpoint.origin);
        return Err(wrong(&why.unwrap_or(other)));
    }
    Ok((checkpoint, note))
}
