//! What ends access before its time: the work that it was for is over. It only ever shortens; the deadline stands beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Something that ends a grant as completed once it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum EndWhen {
    /// None of its sessions did anything for so long, or there was none.
    Idle {
        /// For how long.
        after: Span,
    },
    /// There were sessions, and none is left.
    LastSessionClosed,
    /// Somebody who may said that the ticket of its request is closed.
    TicketClosed,
}

impl EndWhen {
    /// Whether the target must be looked at to know.
    #[must_use]
    pub const fn is_about_sessions(&self) -> bool {
        matches!(self, Self::Idle { .. } | Self::LastSessionClosed)
    }

    /// Whether what was seen of the sessions says so.
    #[must_use]
    pub fn is_so(&self, seen: &Watched) -> bool {
        match self {
            Self::Idle { after } => seen.quiet_for.is_some_and(|quiet| quiet >= *after),
            Self::LastSessionClosed => seen.closed,
            Self::TicketClosed => false,
        }
    }
}

impl fmt::Display for EndWhen {
    /// As policy writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle { after } => write!(f, "idle {after}"),
            Self::LastSessionClosed => f.write_str("last_session_closed"),
            Self::TicketClosed => f.write_str("ticket_closed"),
        }
    }
}

/// What looks at a grant's sessions came to, all of its items together. What could not be told is not in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watched {
    /// For how long at least no session has done anything, up to the last look.
    pub quiet_for: Option<Span>,
    /// At least one session was seen, and none at two looks since.
    pub closed: bool,
}
