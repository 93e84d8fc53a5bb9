//! The real clock and the real machine, for progress and for running on all of its cores. Nothing in a run sees them.

use std::num::NonZero;
use std::time::{Duration, Instant};

/// A clock that was started.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "only to tell people how fast it goes")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How many runs go on at the same time where nobody says.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
