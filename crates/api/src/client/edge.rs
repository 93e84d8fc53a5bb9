//! The client's edge: the one place in this crate that draws randomness and waits.

use std::time::Duration;

use rand::RngExt as _;

/// A key that no other command has: 128 random bits as hexadecimal digits.
#[expect(
    clippy::disallowed_methods,
    reason = "a client is the outermost edge: its commands begin here"
)]
pub(super) fn fresh_key() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// Waits before another attempt.
#[expect(
    clippy::disallowed_methods,
    reason = "the wait between two attempts of one call is bounded and the client's own"
)]
pub(super) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
