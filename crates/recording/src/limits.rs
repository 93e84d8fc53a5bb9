//! How large and how old a chunk may become: what a recording costs in memory, and how much waits to be stored.

use daypass_core::time::Span;

use crate::error::Error;

/// The longest chunk or line that can be configured, in bytes.
const MOST: usize = 8 << 20;

/// The largest stored chunk that is read. Twice what can be written: the heading, and what sealing adds, are far less.
pub(crate) const LARGEST_STORED: u64 = 16 << 20;

/// When a chunk is cut, and what a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A chunk is cut before it gets longer, in bytes. One line that is longer has a chunk to itself.
    pub chunk_bytes: usize,
    /// A chunk has no more lines.
    pub chunk_lines: usize,
    /// A chunk is cut when its first line has waited for so long.
    pub chunk_age: Span,
    /// A longer line is refused, in bytes: whoever sends it cuts it, and says so in the line.
    pub line_bytes: usize,
}

impl Default for Limits {
    /// 256 KiB, 10,000 lines, 5 s; lines of 1 MiB.
    fn default() -> Self {
        Self {
            chunk_bytes: 256 << 10,
            chunk_lines: 10_000,
            chunk_age: Span::seconds(5),
            line_bytes: 1 << 20,
        }
    }
}

impl Limits {
    pub(crate) fn check(self) -> Result<Self, Error> {
        let in_range = |value: usize| (1..=MOST).contains(&value);
        if in_range(self.chunk_bytes) && in_range(self.line_bytes) && self.chunk_lines > 0 {
            Ok(self)
        } else {
            Err(Error::Limits { most: MOST })
        }
    }
}
