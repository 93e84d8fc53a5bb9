//! Who asks for a use case, as the server established it. Nothing in here comes from the request's body.

use daypass_core::id::PersonId;
use daypass_core::person::SystemRole;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;

/// By what kind of credential somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A person logged in.
    Session {
        /// When they last proved who they are, by this session: by logging in, or again since.
        confirmed_at: Timestamp,
    },
    /// A program holds an API token of theirs. It may ask and end; it never reviews.
    Token,
}

/// An authenticated caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub person: PersonId,
    /// What they may do in Daypass.
    pub role: SystemRole,
    /// How they came in.
    pub via: Via,
}

impl Caller {
    /// Whether they may see what is not their own.
    #[must_use]
    pub const fn sees_all(&self) -> bool {
        matches!(self.role, SystemRole::Auditor | SystemRole::Administrator)
    }

    /// For what only administrators may do.
    ///
    /// # Errors
    /// For everybody else.
    pub fn administrator(&self) -> Result<(), Refusal> {
        match self.role {
            SystemRole::Administrator => Ok(()),
            SystemRole::Auditor | SystemRole::Member => {
                Err(Refusal::new(Code::Forbidden, "only an administrator may do this"))
            }
        }
    }

    /// When they last proved who they are; `None` where they came by what cannot prove it.
    #[must_use]
    pub const fn confirmed_at(&self) -> Option<Timestamp> {
        match self.via {
            Via::Session { confirmed_at } => Some(confirmed_at),
            Via::Token => None,
        }
    }

    /// The same as if they had just proved who they are, where they can: a preview tells what would be possible.
    #[must_use]
    pub(crate) const fn as_if_confirmed(self, now: Timestamp) -> Self {
        let via = match self.via {
            Via::Session { .. } => Via::Session { confirmed_at: now },
            Via::Token => Via::Token,
        };
        Self { via, ..self }
    }

    /// For what takes a person at a keyboard.
    ///
    /// # Errors
    /// For a program with a token.
    pub fn interactive(&self) -> Result<(), Refusal> {
        match self.via {
            Via::Session { .. } => Ok(()),
            Via::Token => Err(Refusal::new(
                Code::MayNotReview,
                "an API token may not do this; a person must",
            )
            .hint("log in with: daypass login")),
        }
    }
}
