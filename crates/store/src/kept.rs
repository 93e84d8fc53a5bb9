//! What never waits behind the reads and writes of requests: the loops that end access have connections kept for them.

tokio::task_local! {
    static IS_KEPT: ();
}

/// Runs work that has connections of its own: readers on SQLite, where one thread writes for all; any on PostgreSQL.
///
/// A task that the work starts is not part of it.
pub async fn kept<T>(work: impl Future<Output = T>) -> T {
    IS_KEPT.scope((), work).await
}

/// Whether this is such work.
pub(crate) fn is_kept() -> bool {
    IS_KEPT.try_with(|()| ()).is_ok()
}
