//! Break-glass: access in an emergency, granted at once, and the review that it owes afterwards.
//!
//! It is an outcome of the policy like any other: the grant goes the way of every grant. What is different stands here: nobody
//! agrees before, so somebody must look after, and that somebody did (or did not in time) is state.

use serde::{Deserialize, Serialize};

use crate::id::PersonId;
use crate::name::Name;
use crate::refusal::{Code, Refusal};
use crate::request::{Event, Request, Standing, State};
use crate::review::{Step, Voter};
use crate::text::{Hash, Prose};
use crate::time::Timestamp;

/// What a rule for emergencies asks for, frozen into the path of a request that took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// The set of people that is to be told at once.
    pub page: Name,
    /// Who must look at it afterwards, and within how long. One of them.
    pub review: Step,
}

/// The review that is owed for access that was taken in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "review", rename_all = "lowercase")]
pub enum Owed {
    /// Nobody has looked at it yet.
    Due {
        /// Until when somebody should.
        due_at: Timestamp,
        /// Whether nobody did in time: somebody has been told.
        overdue: bool,
    },
    /// Somebody has looked at it.
    Reviewed {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
        /// What they make of it, in their words.
        comment: Prose,
        /// Whether that was later than it should have been.
        late: bool,
        /// In whose place, where they are away and delegated to who looked.
        #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
        on_behalf: Option<PersonId>,
    },
}

impl Owed {
    /// What is owed from this instant on, if the path owes anything.
    pub(crate) fn from(glass: Option<&BreakGlass>, at: Timestamp) -> Option<Self> {
        glass.map(|glass| Self::Due {
            due_at: at + glass.review.within,
            overdue: false,
        })
    }

    /// When time alone changes it.
    #[must_use]
    pub const fn wakes_at(&self) -> Option<Timestamp> {
        match self {
            Self::Due {
                due_at,
                overdue: false,
            } => Some(*due_at),
            Self::Due { .. } | Self::Reviewed { .. } => None,
        }
    }

    /// Whether somebody must still look at it.
    #[must_use]
    pub const fn is_due(&self) -> bool {
        matches!(self, Self::Due { .. })
    }

    /// What silence leads to, where it has lasted long enough. It goes on being owed.
    pub(crate) fn silence(&self, now: Timestamp) -> Option<Event> {
        self.wakes_at()
            .filter(|due_at| *due_at <= now)
            .map(|_| Event::ReviewOverdue)
    }

    /// What is owed after an event, or `None` where the event does not follow.
    pub(crate) fn evolve(&self, event: &Event, at: Timestamp) -> Option<Self> {
        match (self, event) {
            (
                Self::Due {
                    due_at,
                    overdue: false,
                },
                Event::ReviewOverdue,
            ) => Some(Self::Due {
                due_at: *due_at,
                overdue: true,
            }),
            (
                Self::Due { due_at, .. },
                Event::Acknowledged {
                    by,
                    comment,
                    on_behalf,
                    ..
                },
            ) => Some(Self::Reviewed {
                by: *by,
                at,
                comment: comment.clone(),
                late: at >= *due_at,
                on_behalf: *on_behalf,
            }),
            _ => None,
        }
    }
}

impl Request {
    /// The review that is owed for it, or was given.
    #[must_use]
    pub const fn owed(&self) -> Option<&Owed> {
        match &self.state {
            State::Approved { owed, .. } => owed.as_ref(),
            _ => None,
        }
    }

    /// What it leads to that somebody has looked at what was done in an emergency. `digest` is that of the request they saw.
    ///
    /// # Errors
    /// Where no review is owed (any more), it is their own, the rule does not ask them, or they saw another request.
    pub fn acknowledge(
        &self,
        by: PersonId,
        digest: Hash,
        comment: Prose,
        standing: &dyn Standing,
    ) -> Result<Event, Refusal> {
        let (Some(glass), Some(owed)) = (&self.path.break_glass, self.owed()) else {
            return Err(Refusal::new(
                Code::WrongState,
                "no review is owed for this request: nobody broke the glass",
            ));
        };
        if let Owed::Reviewed { at, .. } = owed {
            return Err(Refusal::new(
                Code::AlreadyReviewed,
                format!("somebody reviewed it at {at}; one review is enough"),
            ));
        }
        if by == self.ask.requester {
            return Err(Refusal::new(
                Code::OwnRequest,
                "nobody reviews what they did themselves",
            ));
        }
        let on_behalf = standing.may_review(self, &glass.review, false, Voter::Would(by))?;
        if digest != self.digest {
            return Err(Refusal::new(
                Code::DigestMismatch,
                "the request that you saw is not the one that stands here",
            )
            .hint("look at it again, then decide"));
        }
        Ok(Event::Acknowledged {
            by,
            digest,
            comment,
            on_behalf,
        })
    }
}
