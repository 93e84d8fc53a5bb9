//! From a key of a log to the one that comes after it.
//!
//! A log is signed with another key one day. Who has only the key of before may go over to the next by what the log itself says: an
//! entry that announces the next key, under a checkpoint that the key of before signed. Whether that is so is decided here, for
//! verifiers, for clients that keep a key, and for the server alike.

use serde::Deserialize;

use crate::checkpoint::{self, Checkpoint};
use crate::key::{NoKey, Use, Verifier};
use crate::note::{self, Note, Unverified};
use crate::proof::{Invalid, verify_inclusion};
use crate::tree::{Hash, leaf};

/// The most keys that are gone over at once. A log that had more gives its present key to who asks its operator.
pub const MOST: usize = 100;

/// What somebody shows who says that a key announced another one. Nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// A checkpoint, signed by the key that announces.
    pub note: Vec<u8>,
    /// The place of the entry that announces, counted from 0.
    pub index: u64,
    /// Its bytes.
    pub entry: Vec<u8>,
    /// That it is in the tree of the checkpoint.
    pub proof: Vec<Hash>,
}

/// A key that another one announced, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// The key that announced.
    pub from: Verifier,
    /// The one that it announced.
    pub key: Verifier,
    /// The place of the entry that says so.
    pub index: u64,
    /// What the key that announced had signed: whoever has the log sees whether it goes on from this.
    pub checkpoint: Checkpoint,
}

/// Why a key is not the next one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unannounced {
    /// The checkpoint is no note.
    #[error(transparent)]
    Note(#[from] note::Malformed),
    /// The note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Malformed),
    /// The key that is to have announced another one did not sign it.
    #[error(transparent)]
    Signature(#[from] Unverified),
    /// The checkpoint is one of another log.
    #[error("it is a checkpoint of another log, {0:?}")]
    Origin(String),
    /// The entry is not in what was signed.
    #[error("entry {index} is not in the log that was signed: {why}")]
    Entry {
        /// Its place.
        index: u64,
        /// Why not.
        why: Invalid,
    },
    /// The entry announces no key.
    #[error("entry {0} announces no key of this log")]
    Nothing(u64),
    /// What it announces is no key.
    #[error("entry {index} announces what is no key of a log: {why}")]
    NoKey {
        /// Its place.
        index: u64,
        /// Why not.
        why: NoKey,
    },
}

/// An event as far as it matters here. Whatever else is in it is whatever else happened.
#[derive(Deserialize)]
struct Entry {
    subject: Subject,
    what: What,
}

#[derive(Deserialize)]
struct Subject {
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct What {
    key: Option<KeyEvent>,
}

#[derive(Deserialize)]
struct KeyEvent {
    event: String,
    next: Option<String>,
}

/// The key that an entry announces, as it stands there; `None` where it is about anything else.
#[must_use]
pub fn announced(entry: &[u8]) -> Option<String> {
    let Entry { subject, what } = serde_json::from_slice(entry).ok()?;
    let event = what
        .key
        .filter(|_| subject.kind == "key" && subject.id == "log")?;
    event.next.filter(|_| event.event == "staged")
}

/// The next key, as an entry has it: one that signs logs, of the same name, and another one.
///
/// # Errors
/// Where it is none.
pub fn next_of(key: &Verifier, text: &str) -> Result<Verifier, NoKey> {
    let next: Verifier = text.parse()?;
    if next.what() != Use::Note {
        return Err(NoKey::Kind);
    }
    if next.name() != key.name() || next == *key {
        return Err(NoKey::Name);
    }
    Ok(next)
}

/// The key that this one announced: it signed a checkpoint of its log, and in the tree of that stands the entry which names the next.
///
/// # Errors
/// Where that is not so.
pub fn successor(key: &Verifier, shown: &Announcement) -> Result<Successor, Unannounced> {
    let note = Note::parse(&shown.note)?;
    note.verify(key)?;
    let checkpoint: Checkpoint = note.text().parse()?;
    if checkpoint.origin != key.name().as_str() {
        return Err(Unannounced::Origin(checkpoint.origin));
    }
    let index = shown.index;
    let place = (index, &leaf(&shown.entry));
    verify_inclusion(place, (checkpoint.size, &checkpoint.head), &shown.proof)
        .map_err(|why| Unannounced::Entry { index, why })?;
    let text = announced(&shown.entry).ok_or(Unannounced::Nothing(index))?;
    let next = next_of(key, &text).map_err(|why| Unannounced::NoKey { index, why })?;
    Ok(Successor {
        from: key.clone(),
        key: next,
        index,
        checkpoint,
    })
}

/// The keys that come after this one, each announced by the one before it. What is shown of other keys is passed over: the list
/// begins with the log's first key, and who asks may have any.
#[must_use]
pub fn successors(key: &Verifier, shown: &[Announcement]) -> Vec<Successor> {
    let mut found: Vec<Successor> = Vec::new();
    for one in shown.iter().take(MOST) {
        let now = found.last().map_or(key, |last| &last.key);
        if let Ok(next) = successor(now, one)
            && next.key != *key
            && found.iter().all(|known| known.key != next.key)
        {
            found.push(next);
        }
    }
    found
}
