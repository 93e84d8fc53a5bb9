//! Which keys sign the log, as its own entries say: the present one, the next one that was announced, and the one before.

use daypass_core::event::{Event, Subject, What};
use daypass_core::key::{Event as KeyEvent, Key};
use daypass_store::{Error as StoreError, EventFilter, From as Place, Store};
use daypass_tlog::key::Verifier;
use daypass_tlog::proof::Proof;
use daypass_tlog::succession::{Announcement, next_of, successor};
use daypass_tlog::{Note, leaf};

/// The beginning of the subject of an event about the log's key, in the canonical bytes of an entry.
const ABOUT: &[u8] = br#"{"id":"log","kind":"key"}"#;
/// How many checkpoints after an announcement are looked at for a signature: the first has it, where nobody meddled.
const LOOKED_AT: i64 = 8;
/// More entries about its key than a log will have.
const MOST: usize = 10_000;

/// How far the log's key is on its way to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is one key.
    Settled,
    /// The next one was announced.
    Staged {
        /// It.
        next: Verifier,
    },
    /// The next one is the log's, and the one before signs beside it.
    Retiring {
        /// The one before.
        old: Verifier,
    },
}

/// The log's keys up to one of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The log's key.
    pub(crate) current: Verifier,
    /// How far it is on its way to another.
    pub(crate) turn: Turn,
    /// Those before, the oldest first.
    pub(crate) former: Vec<Verifier>,
}

impl Line {
    pub(crate) const fn new(current: Verifier) -> Self {
        Self {
            current,
            turn: Turn::Settled,
            former: Vec::new(),
        }
    }

    /// Goes on by an event; what does not follow from it is said.
    pub(crate) fn take(&mut self, event: &KeyEvent) -> Result<(), String> {
        match (&self.turn, event) {
            (Turn::Settled, KeyEvent::Staged { next }) => {
                let next = next_of(&self.current, next)
                    .map_err(|why| format!("it announces what is no key of this log: {why}"))?;
                if self.former.contains(&next) {
                    return Err("it announces a key that was taken out of use".to_owned());
                }
                self.turn = Turn::Staged { next };
            }
            (Turn::Staged { next }, KeyEvent::Changed { to, from, .. })
                if *to == next.to_string() && *from == self.current.to_string() =>
            {
                let old = std::mem::replace(&mut self.current, next.clone());
                self.former.push(old.clone());
                self.turn = Turn::Retiring { old };
            }
            (Turn::Retiring { old }, KeyEvent::Withdrawn { old: gone, .. }) if *gone == old.to_string() => {
                self.turn = Turn::Settled;
            }
            _ => return Err("it changes the log's key to what was not announced".to_owned()),
        }
        Ok(())
    }

    /// Who signs, the one that a verifier knows longest first.
    pub(crate) fn signers(&self) -> Vec<&Verifier> {
        match &self.turn {
            Turn::Settled => vec![&self.current],
            Turn::Staged { next } => vec![&self.current, next],
            Turn::Retiring { old } => vec![old, &self.current],
        }
    }

    /// Whose signature makes a checkpoint one of this log: the next key's alone does not.
    pub(crate) fn heads(&self) -> Vec<&Verifier> {
        match &self.turn {
            Turn::Settled | Turn::Staged { .. } => vec![&self.current],
            Turn::Retiring { old } => vec![old, &self.current],
        }
    }

    /// Its phase, as the tables have it.
    pub(crate) const fn phase(&self) -> &'static str {
        match self.turn {
            Turn::Settled => "settled",
            Turn::Staged { .. } => "staged",
            Turn::Retiring { .. } => "retiring",
        }
    }
}

/// What an entry says of the log's key; `None` where it is about anything else.
pub(crate) fn said(entry: &[u8]) -> Option<KeyEvent> {
    // Most entries are not, and are not parsed.
    if !entry.windows(ABOUT.len()).any(|part| part == ABOUT) {
        return None;
    }
    let event: Event = serde_json::from_slice(entry).ok()?;
    match (event.subject, event.what) {
        (Subject::Key(Key::Log), What::Key(said)) => Some(said),
        _ => None,
    }
}

/// An entry about the log's key.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) said: KeyEvent,
}

/// All entries about the log's key, in their order, as the tables have them.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn all(store: &Store) -> Result<Vec<Told>, StoreError> {
    let filter = EventFilter {
        subject: Some(Subject::Key(Key::Log)),
        ..EventFilter::default()
    };
    let entries = store.events(Place::First, filter, MOST).await?;
    let told = entries.into_iter().filter_map(|entry| match entry.event.what {
        What::Key(said) => Some(Told {
            index: entry.index,
            bytes: entry.bytes,
            said,
        }),
        _ => None,
    });
    Ok(told.collect())
}

/// The key that the log began with: the one that its first change came from. `None` where it never changed.
pub(crate) fn first(told: &[Told]) -> Option<Verifier> {
    told.iter().find_map(|one| match &one.said {
        KeyEvent::Changed { from, .. } => from.parse().ok(),
        _ => None,
    })
}

/// That this key announced the next one in this entry, as a checkpoint that it signed shows; `None` while it did not sign that.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn announcement(
    store: &Store,
    (index, entry): (u64, &[u8]),
    key: &Verifier,
) -> Result<Option<Announcement>, StoreError> {
    for kept in store.checkpoints_after(index, LOOKED_AT).await? {
        let note = Note::parse(kept.note.as_bytes()).ok();
        if note.is_none_or(|note| note.verify(key).is_err()) {
            continue;
        }
        let Ok(proof) = Proof::of_inclusion(index, kept.size) else {
            continue;
        };
        let proof = match store.log_proof(proof, kept.size).await {
            Ok(proof) => proof,
            // It has not so many entries, or lost some of them.
            Err(StoreError::Corrupt(_)) => continue,
            Err(other) => return Err(other),
        };
        let shown = Announcement {
            note: kept.note.into_bytes(),
            index,
            entry: entry.to_vec(),
            proof,
        };
        if successor(key, &shown).is_ok() {
            return Ok(Some(shown));
        }
    }
    Ok(None)
}

/// All announcements of this log that somebody may go by, the oldest first. One of a key that was stolen is none.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn announcements(
    store: &Store,
    current: &Verifier,
) -> Result<Vec<Announcement>, StoreError> {
    let told = all(store).await?;
    let mut line = Line::new(first(&told).unwrap_or_else(|| current.clone()));
    let mut shown = Vec::new();
    for one in &told {
        let announces = line.current.clone();
        if line.take(&one.said).is_err() {
            break;
        }
        match &one.said {
            KeyEvent::Staged { .. } => {
                let place = (one.index, one.bytes.as_slice());
                shown.extend(announcement(store, place, &announces).await?);
            }
            KeyEvent::Withdrawn { early: true, .. } => shown.clear(),
            _ => {}
        }
    }
    Ok(shown)
}

/// Whether an entry stands in the tree that a checkpoint is about.
///
/// # Errors
/// Where the store does not answer.
pub(crate) async fn stands(
    store: &Store,
    one: &Told,
    (size, head): (u64, &daypass_tlog::Hash),
) -> Result<bool, StoreError> {
    let Ok(proof) = Proof::of_inclusion(one.index, size) else {
        return Ok(false);
    };
    let proof = store.log_proof(proof, size).await?;
    let place = (one.index, &leaf(&one.bytes));
    Ok(daypass_tlog::proof::verify_inclusion(place, (size, head), &proof).is_ok())
}
