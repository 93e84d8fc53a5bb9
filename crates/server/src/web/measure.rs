//! How much of a recording is read for one page: sessions are as long as their holders make them, and whoever reads them for others has a limit.

use std::time::{Duration, Instant};

use crate::edge;

/// So many bytes of records, and for so long.
const BYTES: usize = 512 * 1024 * 1024;
const TIME: Duration = Duration::from_secs(30);

/// What is left of it.
pub(super) struct Measure {
    bytes: usize,
    began: Instant,
}

impl Measure {
    pub(super) fn begin() -> Self {
        Self {
            bytes: BYTES,
            began: edge::instant(),
        }
    }

    /// Whether a line may still be read.
    pub(super) fn bears(&mut self, line: &str) -> bool {
        let left = self.bytes.checked_sub(line.len());
        self.bytes = left.unwrap_or_default();
        left.is_some() && self.began.elapsed() < TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_is_not_read() {
        let mut measure = Measure::begin();
        let line = "x".repeat(BYTES / 4);
        assert!((0..4).all(|_| measure.bears(&line)));
        assert!(!measure.bears("x"));
        let late = Measure {
            began: edge::instant().checked_sub(TIME).unwrap(),
            ..Measure::begin()
        };
        assert!(!{ late }.bears("x"));
    }
}
