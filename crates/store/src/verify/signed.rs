//! Checkpoints against the tree: each must be the head of the first so many entries.

use std::collections::BTreeMap;

use daypass_core::time::Timestamp;
use daypass_tlog::key::Verifier;
use daypass_tlog::{Checkpoint, Hash, Note, Tree};

use super::keys::Keys;
use super::{Check, Expect, PAGE};
use crate::checkpoints::{self, KeptCheckpoint};
use crate::error::Result;
use crate::link::Link;

/// What the tree must have been at a size.
struct Mark {
    head: Hash,
    check: Check,
    /// Whose signatures are still to be looked at.
    note: Option<Note>,
}

/// The marks that the log has yet to come by.
#[derive(Default)]
pub(super) struct Marks {
    ahead: BTreeMap<u64, Vec<Mark>>,
    pub(super) keys: Keys,
    pub(super) count: u64,
    pub(super) newest: Option<(u64, Timestamp)>,
}

impl Marks {
    /// Those that are kept, and those that were seen.
    pub(super) async fn read(link: &mut Link, expect: &Expect) -> Result<Self> {
        let mut marks = Self {
            keys: Keys::new(&expect.keys),
            ..Self::default()
        };
        let mut after = -1;
        loop {
            let page = checkpoints::page(link, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = i64::try_from(last.size).unwrap_or(i64::MAX);
            for kept in &page {
                let (checkpoint, note) = read(kept, expect)?;
                marks.add(&checkpoint, Check::Checkpoint, Some(note));
                marks.count += 1;
                marks.newest = Some((kept.size, kept.at));
            }
        }
        for seen in &expect.seen {
            marks.add(seen, Check::Seen, None);
        }
        Ok(marks)
    }

    fn add(&mut self, checkpoint: &Checkpoint, check: Check, note: Option<Note>) {
        let head = checkpoint.head;
        self.ahead
            .entry(checkpoint.size)
            .or_default()
            .push(Mark { head, check, note });
    }

    /// The log has come to this tree.
    pub(super) fn pass(&mut self, tree: &Tree) -> Result<()> {
        let Some(marks) = self.ahead.remove(&tree.size()) else {
            return Ok(());
        };
        let head = tree.head();
        let size = tree.size();
        let Some(other) = marks.iter().find(|mark| mark.head != head) else {
            let mut notes = marks.into_iter().filter_map(|mark| mark.note);
            return notes.try_for_each(|note| self.keys.checkpoint(size, note));
        };
        let what = match other.check {
            Check::Seen => format!(
                "the first {size} entries are not those of the checkpoint that was seen: the log was rewritten, or it is another one"
            ),
            _ => format!(
                "the first {size} entries are not those that the checkpoint of {size} was signed over"
            ),
        };
        Err(other.check.differs(what))
    }

    /// The log ends with this tree.
    pub(super) fn end(&self, tree: &Tree, expect: &Expect) -> Result<()> {
        let size = tree.size();
        if let Some((ahead, marks)) = self.ahead.first_key_value() {
            let check = marks.first().map_or(Check::Checkpoint, |mark| mark.check);
            let what = format!(
                "a checkpoint of {ahead} entries was signed, and the log has {size}: entries were taken away, or the store was \
                 put back from a copy"
            );
            return Err(check.differs(what));
        }
        if !expect.keys.is_empty() && size > 0 && self.count == 0 {
            let what = format!(
                "nothing of the log's {size} entries was ever signed, or the checkpoints were taken away"
            );
            return Err(Check::Checkpoint.differs(what));
        }
        self.keys.end()
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
