//! The timers of this crate: a bound on every call, and the pause between two looks at a target.

use std::future::Future;
use std::time::Duration;

use daypass_core::entitlement::Fault;

use crate::Error;

/// Runs a call to a target, and gives it up after `limit`. Giving up drops the call: what it holds is closed.
#[expect(
    clippy::disallowed_methods,
    reason = "a provider owns its connections, and bounds them in time"
)]
pub(crate) async fn within<T>(
    limit: Duration,
    doing: &str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => {
            let detail = format!("{doing}: no answer within {} s", limit.as_secs());
            Err(Error::new(Fault::Unavailable, detail))
        }
    }
}

/// Waits before the next look at something that tells nobody when it changes.
#[expect(
    clippy::disallowed_methods,
    reason = "a target's process table has no event to wait for"
)]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
