//! Checkpoints against the tree: each must be the head of the first so many entries, and what happened is signed soon.

use daypass_core::time::Span;
use daypass_tlog::{Checkpoint, Hash, Marks, Note, Tree, signed};

use super::{Check, Expect, PAGE};
use crate::checkpoints::{self, KeptCheckpoint};
use crate::error::Result;
use crate::link::Link;
use crate::replay::Replay;

/// How much may happen after an event before it is signed. A server signs each second.
const SOON: Span = Span::minutes(1);

/// The checkpoints that the log has yet to come by.
#[derive(Default)]
pub(super) struct Marked {
    ahead: Marks<Check>,
    pub(super) count: u64,
    /// How many entries the newest covers.
    pub(super) newest: Option<u64>,
}

impl Marked {
    /// Those that are kept, with their signatures checked, and those that were seen.
    pub(super) async fn read(link: &mut Link, expect: &Expect) -> Result<Self> {
        let mut marked = Self::default();
        let mut after = -1;
        loop {
            let page = checkpoints::page(link, after, PAGE)
                .await
                .map_err(|error| Check::Checkpoint.at("a checkpoint", error))?;
            let Some(last) = page.last() else { break };
            after = i64::try_from(last.size).unwrap_or(i64::MAX);
            for kept in &page {
                let checkpoint = read(kept, expect)?;
                marked.add((checkpoint.size, checkpoint.head), Check::Checkpoint)?;
                marked.count += 1;
                marked.newest = Some(kept.size);
            }
        }
        for seen in &expect.seen {
            marked.add((seen.size, seen.head), Check::Seen)?;
        }
        Ok(marked)
    }

    fn add(&mut self, (size, head): (u64, Hash), check: Check) -> Result<()> {
        self.ahead
            .add(size, head, check)
            .map_err(|two| check.differs(two.to_string()))
    }

    /// The log has come to this tree.
    pub(super) fn pass(&mut self, tree: &Tree) -> Result<()> {
        let size = tree.size();
        self.ahead.pass(tree).map_err(|check| {
            let what = match check {
                Check::Seen => format!(
                    "the first {size} entries are not those of the checkpoint that was seen: the log was rewritten, or it is another one"
                ),
                _ => format!(
                    "the first {size} entries are not those that the checkpoint of {size} was signed over"
                ),
            };
            check.differs(what)
        })
    }

    /// The log ends with this.
    pub(super) fn end(&self, replay: &Replay, expect: &Expect) -> Result<()> {
        let size = replay.tree.size();
        if let Some((ahead, check)) = self.ahead.ahead() {
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
        if let (Some(newest), Some(oldest)) = (replay.times.newest, replay.times.unsigned)
            && newest.since(oldest) > SOON
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

/// A checkpoint that is kept, signed by one of the keys that may.
fn read(kept: &KeptCheckpoint, expect: &Expect) -> Result<Checkpoint> {
    let wrong = |what: &dyn std::fmt::Display| {
        Check::Checkpoint.differs(format!("the checkpoint of {}: {what}", kept.size))
    };
    let note = kept.note.as_bytes();
    let checkpoint = if expect.keys.is_empty() {
        let note = Note::parse(note).map_err(|error| wrong(&error))?;
        note.text().parse::<Checkpoint>().map_err(|error| wrong(&error))?
    } else {
        signed(note, &expect.keys).map_err(|error| wrong(&error))?.0
    };
    if checkpoint.size != kept.size {
        return Err(wrong(&format!("it says {} entries", checkpoint.size)));
    }
    Ok(checkpoint)
}
