//! What can go wrong in a use case: a refusal that a person is shown, or a failure of what the engine stands on.

use daypass_core::change::Change;
use daypass_core::refusal::{Code, Refusal};
use daypass_policy::Diagnostics;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Refused, with a reason and often a hint.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not done: it was proposed, and waits for those whom the policy in force asks.
    #[error("this waits for others, as change {}", .0.id.short())]
    Waits(Box<Change>),
    /// The policy does not load; each diagnostic says where and why.
    #[error("the policy does not load")]
    Policy(Box<Diagnostics>),
    /// The store did not take or give it.
    #[error(transparent)]
    Store(daypass_store::Error),
    /// The target did not do its part. The text holds no secrets.
    #[error(transparent)]
    Target(#[from] daypass_providers::Error),
}

impl From<daypass_store::Error> for Error {
    fn from(error: daypass_store::Error) -> Self {
        match error {
            daypass_store::Error::Refused(refusal) => Self::Refused(refusal),
            other => Self::Store(other),
        }
    }
}

/// The refusal for something that is not there, or that the caller may not know of. The two are one on purpose.
pub(crate) fn not_found(what: impl Into<String>) -> Refusal {
    Refusal::new(Code::NotFound, what)
}
