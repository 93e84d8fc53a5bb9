//! The place of a chunk: of which recording, which number, which lines, after what. It stands in clear in the chunk's envelope and
//! sealed in the first line of its text.

use crate::digest::Digest;
use crate::id::RecordingId;

/// How many words a place has.
pub(crate) const WORDS: usize = 6;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) recording: RecordingId,
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The chain's value of the chunk before.
    pub(crate) before: Digest,
    pub(crate) is_last: bool,
}

impl Place {
    /// As words without spaces, the same each time: they are hashed.
    pub(crate) fn words(&self) -> [String; WORDS] {
        [
            self.recording.to_string(),
            self.number.to_string(),
            self.first.to_string(),
            self.last.to_string(),
            self.before.to_string(),
            if self.is_last { "last" } else { "more" }.to_owned(),
        ]
    }

    pub(crate) fn read(words: &[&str]) -> Option<Self> {
        let &[recording, number, first, last, before, more] = words else {
            return None;
        };
        Some(Self {
            recording: recording.parse().ok()?,
            number: number.parse().ok()?,
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            before: before.parse().ok()?,
            is_last: match more {
                "last" => true,
                "more" => false,
                _ => return None,
            },
        })
    }

    /// How many lines it has; nothing where the numbers make no sense.
    pub(crate) fn lines(&self) -> Option<u64> {
        self.last.checked_add(1)?.checked_sub(self.first)
    }
}
