//! The client's edge: the one place in this crate that reads clocks and waits.

use std::time::{Duration, Instant};

use daypass_core::time::{Span, Timestamp};

/// What this machine's clock says. For countdowns and "ago": what counts is decided by the server's.
#[expect(
    clippy::disallowed_methods,
    reason = "a command begins here; everything below takes `now`"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// The future's outcome, or `None` where it took longer than that.
#[expect(
    clippy::disallowed_methods,
    reason = "the client's own waiting, bounded by what the user said"
)]
pub(crate) async fn at_most<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Waits.
#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks where no event stream is to be had"
)]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// An instant to measure from.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a command took, for whoever typed it"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// When to stop waiting. Monotonic: the wall clock may jump meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// So long from now; never, where nothing is said.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command's own patience, measured where it begins"
    )]
    pub(crate) fn after(limit: Option<Span>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit.to_std())))
    }

    /// How much of it is left, but no more than `most`.
    #[expect(clippy::disallowed_methods, reason = "as above")]
    pub(crate) fn left(self, most: Duration) -> Duration {
        self.0.map_or(most, |ends| {
            ends.saturating_duration_since(Instant::now()).min(most)
        })
    }
}
