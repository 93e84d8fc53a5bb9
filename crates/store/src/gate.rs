//! What stands between a process and a database in memory, so that a simulation can put a network and a disk there.
//!
//! A database in memory answers at once and never fails. Behind a [`Gate`] an access can be made to wait (others come
//! first), to fail before anything happened, to lose its answer after it did, or never to come back, as in a crash.

use futures_util::future::BoxFuture;

use crate::error::Result;

/// What is about to be done, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only rows are read.
    Read,
    /// A transaction that may change something.
    Write,
}

/// Passed twice by every access of one handle to a database in memory.
pub trait Gate: Send + Sync {
    /// Passed before the access; an error keeps it from happening.
    ///
    /// # Errors
    /// What the database would answer: full, or not there.
    fn before(&self, access: Access) -> BoxFuture<'_, Result<()>>;

    /// Passed after the access; an error loses its answer, not its effect.
    ///
    /// # Errors
    /// That the database does not answer.
    fn after(&self, access: Access) -> BoxFuture<'_, Result<()>>;
}
