//! How the database's clock was turned, and what that can have done to deadlines.

use daypass_core::time::{Span, Timestamp};

/// When a server stood still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stall {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// Every turn of the clock.
#[derive(Debug, Default)]
pub(super) struct Jumps(Vec<Jump>);

#[derive(Debug)]
struct Jump {
    at: Timestamp,
    /// By how much it was turned.
    width: Span,
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
/// By how much servers may differ about the time while the store has not taken the note of a turn: as the store lets them.
const APART: Span = Span::seconds(2);

impl Jumps {
    /// The clock was turned by so many microseconds. `noted`: servers had read it just before, and the store takes the note.
    pub(super) fn turned(&mut self, by: i64, noted: bool, now: Timestamp) {
        let width = Span::millis(by.unsigned_abs() / 1000);
        let back = by < 0;
        // Clocks are read every few seconds; what passed since, nobody noticed.
        let lost = if noted { width.min(READ_WITHIN) } else { width };
        self.0.push(Jump {
            at: now,
            width,
            ahead: if back { Span::ZERO } else { width },
            lost: if back { lost } else { Span::ZERO },
            felt: now + READ_WITHIN,
            noted,
        });
    }

    /// The last server that ran has crashed; it stood still last during this. Had it not read the clock again by then, nobody has
    /// felt the turn.
    pub(super) fn alone(&mut self, stall: Option<Stall>, now: Timestamp) {
        let read_by = |jump: &Jump| {
            let still = stall.filter(|stall| stall.from <= jump.at + READ_WITHIN && stall.until > jump.at);
            still.map_or(jump.at, |stall| stall.until) + READ_WITHIN
        };
        let unread = |jump: &&mut Jump| jump.noted && now < read_by(jump);
        for jump in self.0.iter_mut().filter(unread) {
            jump.noted = false;
            if jump.ahead == Span::ZERO {
                jump.lost = jump.width;
            }
        }
    }

    /// A server starts: what the store did not take the note of, it does not know.
    pub(super) fn started(&mut self, now: Timestamp) {
        for jump in self.0.iter_mut().filter(|jump| !jump.noted) {
            jump.felt = now + READ_WITHIN;
        }
    }

    /// By how much a deadline that was set then may have come early. `unwritable`: until when the store took no notes.
    pub(super) fn ahead(&self, set: Timestamp, unwritable: Timestamp) -> Span {
        // Of several servers one may know a later time than another when the clock is set back: what is reckoned before all of
        // them go by the latest comes early by as much.
        let unsettled = |jump: &Jump| jump.ahead == Span::ZERO && jump.felt >= set;
        let ahead = self.0.iter().fold(Span::ZERO, |sum, jump| match jump {
            jump if unsettled(jump) => sum + READ_WITHIN,
            jump if jump.at >= set => sum + jump.ahead,
            _ => sum,
        });
        // Servers that start beside each other know of it by the store alone, once it takes the note.
        let unknown = |jump: &Jump| jump.ahead == Span::ZERO && !jump.noted;
        if set <= unwritable + READ_WITHIN && self.0.iter().any(unknown) {
            ahead + APART
        } else {
            ahead
        }
    }

    /// By how much a deadline that was set then may come late: time that nobody could have noticed.
    pub(super) fn lost(&self, set: Timestamp) -> Span {
        let felt = self.0.iter().filter(|jump| jump.felt >= set);
        felt.fold(Span::ZERO, |sum, jump| sum + jump.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::EPOCH + Span::minutes(minutes)
    }

    #[test]
    fn what_was_set_after_a_turn_forward_comes_in_time() {
        let mut jumps = Jumps::default();
        jumps.turned(HOUR, true, at(10));
        assert_eq!(jumps.ahead(at(10), at(0)), Span::hours(1));
        assert_eq!(jumps.ahead(at(11), at(0)), Span::ZERO);
        assert_eq!(jumps.lost(at(0)), Span::ZERO);
    }

    #[test]
    fn a_turn_back_that_somebody_noticed_costs_seconds_and_one_that_nobody_did_all_of_it() {
        let mut jumps = Jumps::default();
        jumps.turned(-HOUR, true, at(10));
        assert_eq!(jumps.lost(at(0)), READ_WITHIN);
        jumps.turned(-HOUR, false, at(20));
        assert_eq!(jumps.lost(at(0)), READ_WITHIN + Span::hours(1));
        assert_eq!(jumps.lost(at(21)), Span::ZERO);
        jumps.started(at(30));
        assert_eq!(jumps.lost(at(21)), Span::hours(1), "a start does not know of it");
        let apart = jumps.ahead(at(31), at(31));
        assert_eq!(apart, APART, "servers are as far apart as they may be");
        assert_eq!(jumps.ahead(at(32), at(31)), Span::ZERO, "the store has the note");
    }

    #[test]
    fn a_turn_back_just_before_the_last_server_crashes_is_one_that_nobody_noticed() {
        let mut jumps = Jumps::default();
        jumps.turned(-HOUR, true, at(10));
        jumps.turned(HOUR, true, at(10));
        jumps.alone(None, at(10) + READ_WITHIN);
        assert_eq!(jumps.lost(at(0)), READ_WITHIN, "it had time to read the clock");
        for (from, until) in [(8, 9), (30, 31)] {
            let [from, until] = [from, until].map(at);
            jumps.alone(
                Some(Stall { from, until }),
                until + Span::seconds(1).max(at(10).since(until) + READ_WITHIN),
            );
            assert_eq!(jumps.lost(at(0)), READ_WITHIN, "it stood still at another time");
        }
        jumps.alone(None, at(10) + Span::seconds(2));
        jumps.started(at(12));
        assert_eq!(jumps.lost(at(11)), Span::hours(1));
    }

    #[test]
    fn a_turn_back_while_the_last_server_stands_still_is_one_that_nobody_noticed() {
        let mut jumps = Jumps::default();
        jumps.turned(-HOUR, true, at(10));
        let [from, until] = [9, 12].map(at);
        jumps.alone(Some(Stall { from, until }), at(12) + Span::seconds(1));
        assert_eq!(jumps.lost(at(0)), Span::hours(1));
    }
}
