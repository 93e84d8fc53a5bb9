//! This process's own clock: begins at the wall clock's time and never goes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use daypass_core::time::{Span, Timestamp};

use crate::edge;

/// By how much the wall clock must be ahead for the machine to have slept. Less is the clock being put right.
const ASLEEP: Span = Span::seconds(1);

/// Goes on with the monotonic clock, which no change of the wall clock moves, and by the time that the machine slept, which
/// only the wall clock knows of.
#[derive(Debug, Clone, Copy)]
struct Steady {
    start: Timestamp,
    began: Instant,
    slept: Span,
    last: (Timestamp, Instant),
}

impl Steady {
    const fn new(wall: Timestamp, measured: Instant) -> Self {
        Self {
            start: wall,
            began: measured,
            slept: Span::ZERO,
            last: (wall, measured),
        }
    }

    fn read(&mut self, wall: Timestamp, measured: Instant) -> Timestamp {
        let (last_wall, last_measured) = self.last;
        let ahead = wall.since(last_wall + span(measured.saturating_duration_since(last_measured)));
        if ahead > ASLEEP {
            self.slept = self.slept + ahead;
        }
        self.last = (wall, measured);
        self.start + span(measured.saturating_duration_since(self.began)) + self.slept
    }
}

fn span(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// The clock, as the engine takes it.
pub(crate) fn clock() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let steady = Mutex::new(Steady::new(edge::now(), edge::instant()));
    Arc::new(move || {
        let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
        steady.read(edge::now(), edge::instant())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_while_the_wall_clock_is_set_back_and_while_the_machine_sleeps() {
        let (start, began) = (Timestamp::EPOCH + Span::hours(5), edge::instant());
        let mut steady = Steady::new(start, began);
        let later = began + Duration::from_secs(1);
        let back = start - Span::hours(1);
        assert_eq!(steady.read(back, later), start + Span::seconds(1), "set back");
        let awake = start + Span::seconds(1) + Span::minutes(5);
        assert_eq!(steady.read(back + Span::minutes(5), later), awake, "asleep");
        assert_eq!(
            steady.read(back + Span::minutes(5) + Span::millis(900), later),
            awake,
            "put right"
        );
    }
}
