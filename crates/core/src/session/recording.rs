//! How far the log follows the recording of a session: chunk after chunk, each once it is stored.

use serde::{Deserialize, Serialize};

use super::MOST;
use crate::text::Hash;
use crate::time::Timestamp;

/// The recording of a session, as far as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// What is recorded.
    #[serde(flatten)]
    pub mode: Mode,
    /// How many chunks the log has. The number of the next.
    #[serde(default)]
    pub chunks: u64,
    /// How many lines they have.
    #[serde(default)]
    pub lines: u64,
    /// How many bytes of them are stored.
    #[serde(default)]
    pub bytes: u64,
    /// The chain's value of the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Hash>,
    /// The last of them says that it is the end. Without, the recording goes on or was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_complete: bool,
    /// When it was to be removed, its time being over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

/// What is recorded of a session, and what becomes of one that can no longer be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// The values that are bound to statements too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub values: bool,
    /// When it fails.
    pub on_failure: OnFailure,
}

/// What becomes of a session that can no longer be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It ends.
    End,
    /// It goes on, and is marked: [`super::Counters::unrecorded`].
    GoOn,
}

/// One chunk of a recording, once it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Counted from 0. Chunk 0 has no lines: it is stored before the session begins, to see that it can be.
    pub number: u64,
    /// The number of its first line; lines are counted from 1.
    pub first: u64,
    /// The number of its last line: `first - 1` where it has none.
    pub last: u64,
    /// SHA-256 of the bytes that are stored.
    pub sealed: Hash,
    /// SHA-256 of the chain's value before and of what the chunk says.
    pub chain: Hash,
    /// How many bytes are stored.
    pub bytes: u64,
    /// The recording is finished with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_last: bool,
}

impl Recording {
    /// One of which nothing is stored yet.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            chunks: 0,
            lines: 0,
            bytes: 0,
            chain: None,
            is_complete: false,
            removed_at: None,
        }
    }

    /// The recording with this chunk, or `None` where that does not follow.
    pub(super) fn with(mut self, chunk: &Chunk) -> Option<Self> {
        let follows = !self.is_complete
            && self.removed_at.is_none()
            && chunk.number == self.chunks
            && chunk.first == self.lines + 1
            && chunk.last >= self.lines
            && chunk.last <= MOST
            && chunk.bytes <= MOST
            && self.chain != Some(chunk.chain);
        // Nothing is said before it is known that it can be stored.
        let begins = chunk.number > 0 || chunk.last == 0;
        if !follows || !begins {
            return None;
        }
        self.chunks += 1;
        self.lines = chunk.last;
        self.bytes = self.bytes.saturating_add(chunk.bytes).min(MOST);
        self.chain = Some(chunk.chain);
        self.is_complete = chunk.is_last;
        Some(self)
    }
}
