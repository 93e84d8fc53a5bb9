//! What can go wrong with a call.

use crate::change::Proposed;
use crate::problem::{Problem, ProblemCode};

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server said no, and why.
    #[error(transparent)]
    Problem(#[from] Box<Problem>),
    /// It was not done: others must agree first, and it waits for them.
    #[error("it waits for others, as change {}", .0.change.id.short())]
    Waits(Box<Proposed>),
    /// No answer came. Whether the command took effect is not known; repeating it with the same key is safe.
    #[error("{server} was not reached: {detail}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What stood in the way.
        detail: String,
    },
    /// The certificate of whoever answered is not one that is trusted: another machine, or a CA that is not known here.
    #[error("the certificate of {server} is not trusted: {detail}")]
    Untrusted {
        /// The server's address.
        server: String,
        /// Why not.
        detail: String,
    },
    /// An answer came that is not of this API: another program listens there, or another version.
    #[error("{server} gave an answer that is not Daypass's: {detail}")]
    NotDaypass {
        /// The server's address.
        server: String,
        /// What was wrong with it.
        detail: String,
    },
    /// The server's log is not the one that was seen before, so it is not asked anything.
    #[error("{}", .0.what)]
    Distrusted(Box<Distrusted>),
    /// The address or certificate given to the client is unusable.
    #[error("{0}")]
    Setup(String),
}

/// Why a server is not asked anything; see [`super::Guard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrusted {
    /// What is wrong with it.
    pub what: String,
    /// What was seen before and what is shown now, a line each.
    pub details: Vec<String>,
    /// What to do.
    pub hint: String,
}

impl Error {
    /// The stable kind of the server's refusal, where it is one.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            Self::Waits(_)
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::NotDaypass { .. }
            | Self::Distrusted(_)
            | Self::Setup(_) => None,
        }
    }

    /// The status of the server's refusal, where it is one: not of what a proxy said in its place.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }

    /// Whether asking again would bring the same until somebody changes something: the server refuses, or is not the one that was meant.
    /// What was not reached, is not ready or has too much to do may answer soon; so may what is behind a proxy's page.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Problem(problem) => {
                let for_now = [ProblemCode::RateLimited, ProblemCode::IdempotencyInProgress];
                (400..500).contains(&problem.status) && !for_now.contains(&problem.code)
            }
            Self::Waits(_) | Self::Untrusted { .. } | Self::Distrusted(_) | Self::Setup(_) => true,
            Self::Unreachable { .. } | Self::NotDaypass { .. } => false,
        }
    }
}

/// Why a certificate was not trusted, where that is what went wrong.
pub(super) fn untrusted(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return Some(error.to_string());
        }
        // Such an error does not name what it carries as its source.
        let carried = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

/// The whole chain of an error: reqwest's own text leaves out what matters.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
