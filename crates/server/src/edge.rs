//! The outermost edge: the one place of this crate that reads a clock, sleeps, sets a deadline or draws randomness.
//!
//! Everything below takes `now`, ids and salts as parameters, so that it can be simulated and replayed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::time::{Span, Timestamp};
use rand::Rng as _;

/// The wall clock, in UTC.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that reads the clock for all below"
)]
pub fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// The wall clock as the store takes it.
#[must_use]
pub fn clock() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    Arc::new(now)
}

/// An instant that no change of the wall clock moves: for measuring.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that reads the clock for all below"
)]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// Waits so long.
#[expect(clippy::disallowed_methods, reason = "this is the edge where waiting happens")]
pub async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}

/// The deadline passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {0:?}")]
pub struct TimedOut(pub Duration);

/// Runs a future for so long at most; what it had not done by then is dropped.
///
/// # Errors
/// Where the time was up first.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where deadlines are set"
)]
pub async fn within<T>(span: Duration, work: impl Future<Output = T>) -> Result<T, TimedOut> {
    tokio::time::timeout(span, work).await.map_err(|_| TimedOut(span))
}

/// Random bytes from the operating system's generator, by way of a cryptographic one in this process.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that draws ids, salts and tokens"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// Fills a buffer with random bytes; see [`random`].
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that draws ids, salts and tokens"
)]
pub fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}

/// Any number, to spread what would come all at once.
#[must_use]
pub fn dice() -> u64 {
    u64::from_le_bytes(random())
}

/// How long from now until then, for a sleep.
#[must_use]
pub fn until(then: Timestamp, now: Timestamp) -> Duration {
    let left: Span = then.since(now);
    left.to_std()
}
