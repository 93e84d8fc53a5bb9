//! Time that only goes forward, at the clock's own rate, over a clock that may be set back.
//!
//! A clock that goes back revives nothing: time does not follow it. Nor may it stop until the clock has caught up, for then
//! nothing would reach its deadline meanwhile. So from a jump back on, what the clock says is shifted by as much. The shift is
//! kept in the store: a server that starts while the clock is wrong does not know how long nobody was there.

use std::sync::{Arc, Mutex, PoisonError};

use daypass_core::planted::{Fault, is};
use daypass_core::time::{Span, Timestamp};

/// How far a reading may lie behind without the clock having been set back: readings that overtook each other on their way,
/// and other servers' commits. Within it time stands still for a moment; a shift for each of them would add up.
const OVERTAKEN: Span = Span::seconds(2);

/// The time that this process tells, shared by all that ask the store.
#[derive(Clone, Default)]
pub(crate) struct Floor(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last: Option<Timestamp>,
    shift: Span,
}

impl Floor {
    /// The time at a reading of the clock: not before anything that was told before or is recorded. `kept`: by how much it is
    /// known to run ahead of the clock already.
    pub(crate) fn raise(&self, clock: Timestamp, recorded: Timestamp, kept: Span) -> Timestamp {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let least = state.last.map_or(recorded, |last| last.max(recorded));
        state.shift = state.shift.max(kept);
        if is(Fault::FollowTheClock) {
            return clock;
        }
        let told = clock + state.shift;
        let behind = least.since(told);
        if behind > OVERTAKEN {
            state.shift = state.shift + behind;
            let ahead = state.shift;
            tracing::warn!(by = %behind, %ahead, "the clock was set back; time goes on from where it was");
        }
        let now = told.max(least);
        state.last = Some(now);
        now
    }

    /// By how much time runs ahead of the clock, where that is more than what is kept.
    pub(crate) fn unkept(&self, kept: Span) -> Option<Span> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(state.shift).filter(|shift| *shift > kept && !is(Fault::ForgetTheShift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_set_back_neither_turns_time_back_nor_stops_it() {
        let floor = Floor::default();
        assert_eq!(floor.raise(at(100_000), at(0), Span::ZERO), at(100_000));
        assert_eq!(
            floor.raise(at(64_000), at(0), Span::ZERO),
            at(100_000),
            "ten hours back"
        );
        assert_eq!(
            floor.raise(at(67_600), at(0), Span::ZERO),
            at(103_600),
            "an hour later it is an hour later"
        );
    }

    #[test]
    fn what_is_recorded_counts_after_a_restart() {
        let floor = Floor::default();
        assert_eq!(floor.raise(at(10), at(5_000), Span::ZERO), at(5_000));
        assert_eq!(floor.raise(at(70), at(5_000), Span::ZERO), at(5_060));
    }

    #[test]
    fn a_start_knows_how_far_the_clock_was_set_back() {
        let before = Floor::default();
        before.raise(at(100_000), at(0), Span::ZERO);
        before.raise(at(64_000), at(0), Span::ZERO);
        let shift = before.unkept(Span::ZERO).unwrap();
        // Nobody was there for an hour.
        let after = Floor::default();
        assert_eq!(after.raise(at(67_600), at(100_000), shift), at(103_600));
        assert_eq!(after.unkept(shift), None);
    }

    #[test]
    fn readings_that_overtake_each_other_do_not_add_up() {
        let floor = Floor::default();
        floor.raise(at(1_000), at(0), Span::ZERO);
        for second in 1_000..2_000 {
            floor.raise(at(second + 1), at(0), Span::ZERO);
            assert_eq!(floor.raise(at(second), at(0), Span::ZERO), at(second + 1));
        }
        assert_eq!(
            floor.raise(at(2_001), at(0), Span::ZERO),
            at(2_001),
            "time has not run ahead"
        );
    }
}
