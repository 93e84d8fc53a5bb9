//! How long a database may take to answer. A decision takes its time from the store; what is measured here is whether anybody
//! is still there.

use std::time::Duration;

use crate::error::{Error, Result};

/// Runs a call for so long at most. What is then not answered may have been carried out.
///
/// # Errors
/// [`Error::Unavailable`] where the time was up first.
#[expect(
    clippy::disallowed_methods,
    reason = "a deadline of the code that owns the connection"
)]
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T> {
    let late = |_| Error::Unavailable(format!("no answer came within {} ms", limit.as_millis()));
    tokio::time::timeout(limit, call).await.map_err(late)
}
