//! The outermost edge: the one place of this crate that reads a clock, sleeps, sets a deadline or draws randomness.

use std::future::Future;
use std::time::{Duration, Instant};

use daypass_core::time::Timestamp;
use rand::Rng as _;

/// The wall clock, in UTC: for records, never for deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// An instant that no change of the wall clock moves: for deadlines and for measuring.
#[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
pub(crate) fn instant() -> Instant {
    // Through tokio, so that a test that stops its clock stops this one.
    tokio::time::Instant::now().into_std()
}

/// Waits until then.
#[expect(clippy::disallowed_methods, reason = "this is the edge where waiting happens")]
pub(crate) async fn sleep_until(then: Instant) {
    tokio::time::sleep_until(then.into()).await;
}

/// Waits so long.
#[expect(clippy::disallowed_methods, reason = "this is the edge where waiting happens")]
pub(crate) async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}

/// The deadline passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct TimedOut(pub(crate) Duration);

/// Runs a future for so long at most; what it had not done by then is dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where deadlines are set"
)]
pub(crate) async fn within<T>(span: Duration, work: impl Future<Output = T>) -> Result<T, TimedOut> {
    tokio::time::timeout(span, work).await.map_err(|_| TimedOut(span))
}

/// Random bytes from a cryptographic generator.
#[expect(clippy::disallowed_methods, reason = "this is the edge that draws randomness")]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
