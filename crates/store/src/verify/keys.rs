//! Which keys may have signed the log, from its beginning to its end: those that a verifier was given, and those that these lead to.
//!
//! Forward, a key that is believed leads to the next one by a checkpoint of its own over the entry that announces it. Backward, a key
//! that is believed and signed the log's later part signed with that what it says of the keys before.

use daypass_core::event::{Event, Subject, What};
use daypass_core::key::{Event as KeyEvent, Key};
use daypass_tlog::Note;
use daypass_tlog::key::Verifier;
use daypass_tlog::succession::next_of;

use super::{Check, Followed};
use crate::error::Result;

/// What became of a key.
struct Withdrawn {
    key: Verifier,
    /// The place of the entry that says so.
    index: u64,
    /// Somebody else may have it.
    stolen: bool,
}

/// A checkpoint that no key which is believed so far has signed.
struct Unsigned {
    size: u64,
    note: Note,
    why: String,
}

/// The keys, as far as the log was read.
#[derive(Default)]
pub(super) struct Keys {
    given: Vec<Verifier>,
    pub(super) followed: Vec<Followed>,
    /// What was announced, its place, and whether a key that is believed signed it.
    next: Option<(String, u64)>,
    /// Each change that the log tells of: from, to.
    changes: Vec<(Verifier, Verifier)>,
    withdrawn: Vec<Withdrawn>,
    unsigned: Vec<Unsigned>,
    /// The size of the largest checkpoint of a key that is believed.
    vouched: u64,
}

impl Keys {
    pub(super) fn new(given: &[Verifier]) -> Self {
        Self {
            given: given.to_vec(),
            ..Self::default()
        }
    }

    fn believed(&self) -> impl Iterator<Item = &Verifier> {
        let followed = self.followed.iter().map(|one| &one.to);
        self.given.iter().chain(followed)
    }

    fn gone(&self, key: &Verifier) -> Option<&Withdrawn> {
        self.withdrawn.iter().find(|gone| gone.key == *key)
    }

    /// The log has come to a checkpoint, and is what it was signed over.
    pub(super) fn checkpoint(&mut self, size: u64, note: Note) -> Result<()> {
        if self.given.is_empty() {
            return Ok(());
        }
        let mut why = None;
        let mut by = None;
        for key in self.believed() {
            match (note.verify(key), self.gone(key)) {
                (Ok(_), None) => {
                    by = Some(key.clone());
                    break;
                }
                (Ok(_), Some(gone)) => {
                    let what = format!(
                        "it is signed by {}, which the log took out of use in entry {}",
                        gone.key, gone.index
                    );
                    return Err(differs(size, &what));
                }
                (Err(error), _) => why = why.or(Some(error.to_string())),
            }
        }
        let Some(by) = by else {
            let why = self.stolen().or(why).unwrap_or_default();
            self.unsigned.push(Unsigned { size, note, why });
            return Ok(());
        };
        self.vouched = self.vouched.max(size);
        if let Some((next, index)) = self.next.take_if(|(_, index)| *index < size)
            && let Ok(to) = next_of(&by, &next)
            && self.believed().all(|known| *known != to)
        {
            self.followed.push(Followed { from: by, to, index });
        }
        Ok(())
    }

    /// Why a key that was announced is not believed all the same.
    fn stolen(&self) -> Option<String> {
        let gone = self.withdrawn.iter().find(|gone| gone.stolen)?;
        Some(format!(
            "it is signed by another key, and {} is not believed about the key after it: the operator took it out of use as stolen, \
             in entry {}. Ask the operator for the log's present key",
            gone.key, gone.index
        ))
    }

    /// The log has come to this entry.
    pub(super) fn entry(&mut self, index: u64, event: &Event) {
        let (Subject::Key(Key::Log), What::Key(what)) = (&event.subject, &event.what) else {
            return;
        };
        match what {
            KeyEvent::Staged { next } => self.next = Some((next.clone(), index)),
            KeyEvent::Changed { to, from, .. } => {
                if let (Ok(from), Ok(to)) = (from.parse(), to.parse()) {
                    self.changes.push((from, to));
                }
            }
            KeyEvent::Withdrawn { old, early } => {
                if let Ok(key) = old.parse::<Verifier>() {
                    if *early {
                        self.disbelieve(&key);
                    }
                    let stolen = *early;
                    self.withdrawn.push(Withdrawn { key, index, stolen });
                }
            }
            KeyEvent::Resealed { .. } => {}
        }
    }

    /// Nothing is believed any more only because this key said so.
    fn disbelieve(&mut self, key: &Verifier) {
        if let Some(at) = self.followed.iter().position(|one| one.from == *key) {
            self.followed.truncate(at);
        }
    }

    /// The log was read whole: what none of the keys signed must be of a key that the log went on from.
    pub(super) fn end(&self) -> Result<()> {
        let mut before: Vec<&Verifier> = Vec::new();
        for (from, to) in self.changes.iter().rev() {
            if self.believed().any(|key| key == to) || before.contains(&to) {
                before.push(from);
            }
        }
        for Unsigned { size, note, why } in &self.unsigned {
            let by = before.iter().find(|key| note.verify(key).is_ok());
            let in_time = by.is_some_and(|key| self.gone(key).is_none_or(|gone| *size <= gone.index));
            if !in_time || *size > self.vouched {
                return Err(differs(*size, why));
            }
        }
        Ok(())
    }
}

fn differs(size: u64, what: &str) -> crate::error::Error {
    Check::Checkpoint.differs(format!("the checkpoint of {size}: {what}"))
}
