//! The clock, for the one thing here that carries a time of its own: the assertion by which a certificate is shown to Entra.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "an assertion that does not say when it was made is refused by Entra"
)]
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
