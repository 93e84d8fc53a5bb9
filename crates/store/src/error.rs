//! What a store can answer instead of what was asked.

use daypass_core::refusal::Refusal;
use daypass_core::world::Illegal;

use crate::verify::Check;

/// Why the store did not do it. Where it is not said otherwise, nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The decision was a refusal, or the input cannot be kept.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An event does not follow from the state. It is a bug of whoever decided it.
    #[error("refused: {0}")]
    Illegal(#[from] Illegal),
    /// There is no room left. Nothing was recorded; removing access never waits for this.
    #[error("the store has no room left, so nothing was recorded; make room on its disk and try again")]
    Full,
    /// The database did not answer, is too busy, or was lost on the way.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What is stored is not what was written, or a statement of ours is wrong.
    #[error("the store is damaged or of another version: {0}")]
    Corrupt(String),
    /// What is stored is not what was written: somebody else changed it.
    #[error("{what} (found by the check: {})", check.name())]
    Differs {
        /// Which check found it.
        check: Check,
        /// What, and where.
        what: String,
    },
    /// Another process has it.
    #[error("{0}")]
    Locked(String),
}

/// What most of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A document or row that is not as it was written.
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}
