//! The one place of the stand-in that reads the machine's clock and waits on it.
#![expect(
    clippy::disallowed_methods,
    reason = "the stand-in's clock is the machine's, and what a test moved it by"
)]

use std::time::Duration;

use jiff::Timestamp;

/// What the machine's clock says.
pub(super) fn machine_now() -> Timestamp {
    Timestamp::now()
}

/// Holds an answer back, for a fault that asks for it.
pub(super) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
