//! What a person has asked for and had: what the limits of a policy count.
//!
//! The store reads it within a decision's transaction, the policy counts it. What could not be read is not taken for nothing:
//! [`Past::reach`] says how far it goes back, and a limit that asks for more refuses.

use std::collections::BTreeSet;

use crate::grant::{Event, Grant, Reason, State};
use crate::id::{GrantId, PersonId, RequestId};
use crate::name::{Item, Name};
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::request::{self, Request};
use crate::review::Decision;
use crate::text::Prose;
use crate::time::{Span, Timestamp};

/// How far ahead somebody may ask for a start.
pub const AHEAD: Span = Span::hours(24 * 30);

/// The longest period that a limit may name.
pub const LONGEST: Span = Span::hours(24 * 31);

/// How far back somebody looks, for what; `None`: not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// The requests that wait or were approved, by when their access begins.
    pub uses: Option<Span>,
    /// The time in which something was held.
    pub total: Option<Span>,
    /// The requests that were denied, by when they were.
    pub denials: Option<Span>,
}

impl Reach {
    /// Whether nobody looks back.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.uses.is_none() && self.total.is_none() && self.denials.is_none()
    }

    /// Whether something is counted that another decision for the same person, taken at the same time, would add to.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.uses.is_some() || self.total.is_some()
    }
}

/// A person's past, as far as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// How far back it goes.
    pub reach: Reach,
    /// What was asked for, and waits, was approved, or was denied.
    pub asked: Vec<Asked>,
    /// What is held, will be, or was.
    pub held: Vec<Held>,
}

static UNKNOWN: Past = Past {
    reach: Reach {
        uses: None,
        total: None,
        denials: None,
    },
    asked: Vec::new(),
    held: Vec::new(),
};

static NOTHING: Past = Past {
    reach: Reach {
        uses: Some(Span::MAX),
        total: Some(Span::MAX),
        denials: Some(Span::MAX),
    },
    asked: Vec::new(),
    held: Vec::new(),
};

impl Past {
    /// That of which nothing is known: no limit can be judged by it.
    #[must_use]
    pub fn unknown() -> &'static Self {
        &UNKNOWN
    }

    /// That of somebody who never asked for anything.
    #[must_use]
    pub fn nothing() -> &'static Self {
        &NOTHING
    }

    /// The same without a request and the grant that it led to: a request is not counted against itself.
    #[must_use]
    pub fn without(&self, request: RequestId) -> Self {
        let grant = GrantId::from(request);
        Self {
            reach: self.reach,
            asked: self
                .asked
                .iter()
                .filter(|one| one.request != request)
                .cloned()
                .collect(),
            held: self
                .held
                .iter()
                .filter(|held| held.grant != grant)
                .cloned()
                .collect(),
        }
    }
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub request: RequestId,
    /// The rule that was frozen into it.
    pub rule: Name,
    /// For what.
    pub items: BTreeSet<Item>,
    /// When it was made; where it asked for a later start, that.
    pub at: Timestamp,
    /// What became of it.
    pub answer: Answer,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It waits, or was approved.
    Counts,
    /// Somebody said no.
    Denied {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
        /// In which words.
        comment: Option<Prose>,
    },
}

impl Asked {
    /// What a request counts for; `None` where it was withdrawn or has lapsed.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        let answer = match &request.state {
            request::State::Approved { .. } if is(Fault::ForgetUses) => return None,
            request::State::Pending { .. } | request::State::Approved { .. } => Answer::Counts,
            request::State::Denied { reviews, at } => {
                let denial = reviews
                    .iter()
                    .rev()
                    .find(|review| review.decision == Decision::Deny)?;
                Answer::Denied {
                    by: denial.reviewer,
                    at: *at,
                    comment: denial.comment.clone(),
                }
            }
            request::State::Withdrawn { .. } | request::State::Lapsed { .. } => return None,
        };
        Some(Self {
            request: request.id,
            rule: request.path.rule.clone(),
            items: request.ask.items.clone(),
            at: begins(request),
            answer,
        })
    }
}

/// When a request counts as a use of its rule: when it was made, or at the later start that it asked for.
#[must_use]
pub fn begins(request: &Request) -> Timestamp {
    let made = request.created_at;
    request.ask.start.map_or(made, |start| start.max(made))
}

/// Something that is held, will be, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// By which grant.
    pub grant: GrantId,
    /// On what.
    pub resources: BTreeSet<Name>,
    /// When.
    pub time: Time,
}

/// When something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Its clock does not run yet.
    Ahead {
        /// When it may begin; if that has passed, at any moment.
        start: Timestamp,
        /// How long it will last.
        duration: Span,
        /// What it never outlives.
        latest_end: Timestamp,
    },
    /// It began.
    Begun {
        /// When.
        from: Timestamp,
        /// When it ended, or will at the latest.
        until: Timestamp,
    },
}

impl Held {
    /// When a grant is held; `None` where it ended before anything was done for it. `lengthened`: by how much its extensions
    /// made it longer, all together.
    #[must_use]
    pub fn of(grant: &Grant, lengthened: Span) -> Option<Self> {
        let ahead = |start| Time::Ahead {
            start,
            duration: grant.duration,
            latest_end: grant.latest_end,
        };
        let time = match &grant.state {
            State::Scheduled { start } => ahead(*start),
            State::Activating { since, .. } => ahead(*since),
            State::Active { since, expires_at } => Time::Begun {
                from: *since,
                until: *expires_at,
            },
            State::Ending { .. } | State::Ended { .. } if is(Fault::ForgetHeld) => return None,
            State::Ending {
                reason,
                since: over,
                active_since,
                set_up_since,
                ..
            }
            | State::Ended {
                reason,
                ending_since: over,
                active_since,
                set_up_since,
                ..
            } => {
                // Of what was never all there, a part may have been: all of the time that it was set up counts.
                let from = (*active_since).or(*set_up_since)?;
                // A deadline is noticed a moment after it, or hours after it where nobody was there to notice.
                let deadline = (from + grant.duration + lengthened).min(grant.latest_end);
                let until = if *reason == Reason::Expired {
                    deadline.min(*over)
                } else {
                    *over
                };
                Time::Begun { from, until }
            }
        };
        Some(Self {
            grant: grant.id,
            resources: grant
                .parts
                .iter()
                .map(|part| part.item().resource.clone())
                .collect(),
            time,
        })
    }

    /// From when until when, as it looks now. What has not begun is as long as it will be at most.
    #[must_use]
    pub fn between(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        match self.time {
            Time::Ahead {
                start,
                duration,
                latest_end,
            } => {
                let from = start.max(now);
                (from, (from + duration).min(latest_end))
            }
            Time::Begun { from, until } => (from, until),
        }
    }
}

impl Grant {
    /// What the confirmation of its last item leads to, where its access may not last beyond `until`, whatever it was granted for.
    ///
    /// # Errors
    /// As [`Self::activate`], and where that instant has passed.
    pub fn activate_until(&self, until: Timestamp, now: Timestamp) -> Result<Event, Refusal> {
        if until <= now {
            return Err(Refusal::new(Code::OverTotal, "no time is left for it"));
        }
        let mut event = self.activate(now)?;
        if let Event::Activated { expires_at, .. } = &mut event {
            *expires_at = until.min(*expires_at);
        }
        Ok(event)
    }
}
