//! What the log says of a chunk, once it is stored.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::RecordingId;

/// A chunk that is stored: the caller writes it to the log, and from then on it cannot change or go unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Of which recording.
    pub recording: RecordingId,
    /// Counted from 0. Chunk 0 has no lines: it is stored before the session begins, to see that it can be.
    pub number: u64,
    /// The number of its first line; lines are counted from 1.
    pub first: u64,
    /// The number of its last line: `first - 1` where it has none.
    pub last: u64,
    /// SHA-256 of the bytes that are stored.
    pub sealed: Digest,
    /// SHA-256 of this value of the chunk before and of what this one says ([`Digest::chain`]). Each chunk's text has a salt, so
    /// that nobody who reads the log can try guesses.
    pub chain: Digest,
    /// How many bytes are stored.
    pub bytes: u64,
    /// The recording was finished with this chunk. Where no chunk says so, it was cut.
    pub is_last: bool,
}
