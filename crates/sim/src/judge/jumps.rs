//! How the database's clock was turned, and what that can have done to deadlines.

use daypass_core::time::{Span, Timestamp};

/// Every turn of the clock.
#[derive(Debug, Default)]
pub(super) struct Jumps(Vec<Jump>);

#[derive(Debug)]
struct Jump {
    at: Timestamp,
    /// By how much time went on of itself.
    ahead: Span,
    /// By how much it may have stood still.
    lost: Span,
    /// The last instant at which a deadline may have been set by somebody who did not know of it yet.
    felt: Timestamp,
    /// It is in the store: whoever starts later knows.
    noted: bool,
}

/// How long whoever runs may take to read the clock again.
const READ_WITHIN: Span = Span::seconds(10);

impl Jumps {
    /// The clock was turned by so many microseconds. `noted`: servers had read it just before, and the store takes the note.
    pub(super) fn turned(&mut self, by: i64, noted: bool, now: Timestamp) {
        let width = Span::millis(by.unsigned_abs() / 1000);
        let back = by < 0;
        // Clocks are read every few seconds; what passed since, nobody noticed.
        let lost = if noted { width.min(READ_WITHIN) } else { width };
        self.0.push(Jump {
            at: now,
            ahead: if back { Span::ZERO } else { width },
            lost: if back { lost } else { Span::ZERO },
            felt: now + READ_WITHIN,
            noted,
        });
    }

    /// A server starts: what the store did not take the note of, it does not know.
    pub(super) fn started(&mut self, now: Timestamp) {
        for jump in self.0.iter_mut().filter(|jump| !jump.noted) {
            jump.felt = now + READ_WITHIN;
        }
    }

    /// By how much a deadline that was set then may have come early.
    pub(super) fn ahead(&self, set: Timestamp) -> Span {
        let since = self.0.iter().filter(|jump| jump.at >= set);
        since.fold(Span::ZERO, |sum, jump| sum + jump.ahead)
    }

    /// By how much a deadline that was set then may come late: time that nobody could have noticed.
    pub(super) fn lost(&self, set: Timestamp) -> Span {
        let felt = self.0.iter().filter(|jump| jump.felt >= set);
        felt.fold(Span::ZERO, |sum, jump| sum + jump.lost)
    }
}
