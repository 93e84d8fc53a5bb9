//! A change of Daypass itself that waits for others: another policy, or a change of the local directory, where the policy in
//! force says that one person alone may not make it.
//!
//! It goes the way of a request: steps in order, one person counts once, silence never agrees. What is different stands here:
//! what is proposed holds for one policy in force only, and what the last review leads to is not a grant.

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::canonical::{self, NotCanonical};
use crate::edit::Edit;
use crate::id::{ChangeId, PersonId};
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::review::{Decision, Missing, Review, Silence, Step, Voter, counted};
use crate::text::{Hash, Prose};
use crate::time::{Span, Timestamp};

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proposal", rename_all = "snake_case")]
pub enum Proposal {
    /// That another policy comes in force.
    Policy {
        /// The SHA-256 of its files.
        revision: Hash,
        /// The names of the files, with the hash of each.
        files: Vec<(String, Hash)>,
        /// What would change, for people: lines such as `+ rule prod-write`.
        summary: Vec<String>,
    },
    /// That an account of the local directory is changed, or made.
    Directory {
        /// What exactly, and what it replaces.
        edit: Box<Edit>,
    },
}

/// A proposed change. All but its state is immutable, and bound by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// Who proposes it. They never review it.
    pub proposer: PersonId,
    /// What.
    pub proposal: Proposal,
    /// The policy revision in force, which asks for the reviews. Under another one the change is stale.
    pub policy: Hash,
    /// Who must agree, in order; never empty.
    pub steps: Vec<Step>,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// What reviewers name: the SHA-256 of all of the above in canonical form.
    pub digest: Hash,
    /// How far it has come.
    pub state: State,
}

/// How far a change has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Waiting for people.
    Pending {
        /// The reviews so far.
        reviews: Vec<Review>,
        /// The open step, counted from 0.
        step: usize,
        /// When that step has been silent too long.
        due_at: Timestamp,
        /// Whether silence has already brought in the others.
        escalated: bool,
    },
    /// Every step agreed, and it was carried out in the same moment.
    Applied {
        /// The reviews.
        reviews: Vec<Review>,
        /// When.
        at: Timestamp,
    },
    /// Somebody said no.
    Denied {
        /// The reviews, the denial last.
        reviews: Vec<Review>,
        /// When.
        at: Timestamp,
    },
    /// The proposer took it back.
    Withdrawn {
        /// The reviews until then.
        reviews: Vec<Review>,
        /// When.
        at: Timestamp,
    },
    /// Nothing came of it.
    Lapsed {
        /// The reviews until then.
        reviews: Vec<Review>,
        /// Why.
        why: Lapse,
        /// When.
        at: Timestamp,
    },
}

/// Why nothing came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lapse {
    /// Nobody answered in time.
    Silence,
    /// Another policy came in force meanwhile: what the reviewers were shown is not what would have changed.
    Stale,
    /// The account is no longer what it would change.
    Overtaken,
}

impl std::fmt::Display for Lapse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Silence => "nobody answered in time",
            Self::Stale => "another policy came in force meanwhile",
            Self::Overtaken => "the account is no longer what it would change",
        })
    }
}

impl State {
    /// The state's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Applied { .. } => "applied",
            Self::Denied { .. } => "denied",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Lapsed { .. } => "lapsed",
        }
    }
}

/// What happened to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was proposed.
    Proposed {
        /// As it was proposed.
        change: Box<Change>,
    },
    /// Somebody agreed, and it still waits.
    Reviewed {
        /// The review.
        review: Review,
        /// The step that is open now.
        step: usize,
        /// When that step is due.
        due_at: Timestamp,
    },
    /// A step was silent; others are asked as well.
    Escalated {
        /// Until when.
        due_at: Timestamp,
    },
    /// The last review that was needed came. What was proposed is carried out by an event of its own beside this one.
    Applied {
        /// That review.
        review: Review,
    },
    /// Somebody said no.
    Denied {
        /// The denial.
        review: Review,
    },
    /// The proposer took it back.
    Withdrawn,
    /// Nothing came of it.
    Lapsed {
        /// Why.
        why: Lapse,
    },
}

/// Whether this person may review this step of the change now, or still may who did; the flag says whether silence has brought
/// others in. `Some`: in the place of somebody who delegated to them. The engine answers, by the policy in force.
pub type MayReview<'a> = dyn Fn(&Step, bool, Voter<'_>) -> Result<Option<PersonId>, Refusal> + 'a;

/// What somebody is told who has something of their own in a change.
pub const CONCERNED: &str = "nobody reviews a change of their own account, nor one by which they answer for an account or become \
                             somebody's manager";

impl Change {
    /// A change that waits for its first step.
    ///
    /// # Errors
    /// Where it has no canonical form, which its types rule out.
    pub fn new(
        id: ChangeId,
        proposer: PersonId,
        proposal: Proposal,
        policy: Hash,
        steps: Vec<Step>,
        now: Timestamp,
    ) -> Result<Self, NotCanonical> {
        let digest = canonical::digest(&(1, id, proposer, &proposal, policy, &steps, now))?;
        let state = State::Pending {
            reviews: Vec::new(),
            step: 0,
            due_at: due(&steps, 0, now),
            escalated: false,
        };
        Ok(Self {
            id,
            proposer,
            proposal,
            policy,
            steps,
            created_at: now,
            digest,
            state,
        })
    }

    /// Whose account it changes, where it does. Like the proposer, they never review it.
    #[must_use]
    pub const fn about(&self) -> Option<PersonId> {
        match &self.proposal {
            Proposal::Policy { .. } => None,
            Proposal::Directory { edit } => Some(edit.person),
        }
    }

    /// Whether somebody has something of their own in it: it is their account, or they would answer for it, do so now, or would
    /// be its manager. They never agree to it.
    #[must_use]
    pub fn concerns(&self, person: PersonId) -> bool {
        match &self.proposal {
            Proposal::Policy { .. } => false,
            Proposal::Directory { edit } => edit.concerned().any(|one| one == person),
        }
    }

    /// The reviews so far, whatever became of it.
    #[must_use]
    pub fn reviews(&self) -> &[Review] {
        match &self.state {
            State::Pending { reviews, .. }
            | State::Applied { reviews, .. }
            | State::Denied { reviews, .. }
            | State::Withdrawn { reviews, .. }
            | State::Lapsed { reviews, .. } => reviews,
        }
    }

    /// Whether it waits for people.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    /// The step that waits for people, with its number.
    #[must_use]
    pub fn open_step(&self) -> Option<(usize, &Step)> {
        match &self.state {
            State::Pending { step, .. } => self.steps.get(*step).map(|open| (*step, open)),
            _ => None,
        }
    }

    /// When time alone changes it.
    #[must_use]
    pub const fn due_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pending { due_at, .. } => Some(*due_at),
            _ => None,
        }
    }

    /// When it was decided, taken back or lapsed.
    #[must_use]
    pub const fn decided_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pending { .. } => None,
            State::Applied { at, .. }
            | State::Denied { at, .. }
            | State::Withdrawn { at, .. }
            | State::Lapsed { at, .. } => Some(*at),
        }
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        let edit = match &mut self.proposal {
            Proposal::Policy { .. } => Vec::new(),
            Proposal::Directory { edit } => edit.prose_mut(),
        };
        match &mut self.state {
            State::Pending { reviews, .. }
            | State::Applied { reviews, .. }
            | State::Denied { reviews, .. }
            | State::Withdrawn { reviews, .. }
            | State::Lapsed { reviews, .. } => reviews
                .iter_mut()
                .filter_map(|review| review.comment.as_mut())
                .chain(edit)
                .collect(),
        }
    }

    /// What a review by `review.reviewer` leads to. Its `step` is set here, from the change's own state. `policy` is the
    /// revision in force.
    ///
    /// # Errors
    /// Where the change is decided or stale, the person may not review it or did already, or saw another one.
    pub fn review(
        &self,
        mut review: Review,
        policy: Option<Hash>,
        may: &MayReview<'_>,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        let (step, due_at, escalated) = self.pending()?;
        let ballot = Ballot {
            what: "change",
            owner: self.proposer,
            digest: self.digest,
            reviews: self.reviews(),
        };
        ballot.open(due_at, now)?;
        if policy != Some(self.policy) && !is(Fault::ApplyStale) {
            let what = "another policy came in force since this was proposed";
            return Err(Refusal::new(Code::Stale, what).hint(self.anew()));
        }
        let open = self
            .steps
            .get(step)
            .ok_or_else(|| Refusal::new(Code::WrongState, "no step is open"))?;
        // Nobody says yes to a change of their own account, whoever proposed it, and whatever the policy would let them do.
        let concerned = self.concerns(review.reviewer) && !is(Fault::OwnEdit);
        if concerned && review.reviewer != self.proposer {
            return Err(Refusal::new(Code::OwnRequest, CONCERNED));
        }
        let voter = review.cast();
        ballot.admit(&mut review, || may(open, escalated, voter))?;
        if review.on_behalf.is_some_and(|absent| self.concerns(absent)) {
            let what = "nobody reviews a change of an account in the place of whose it is";
            return Err(Refusal::new(Code::OwnRequest, what));
        }
        review.step = step;
        review.at = now;
        match &review.decision {
            Decision::Deny => return Ok(Event::Denied { review }),
            Decision::Approve {
                duration: None,
                items: None,
            } => {}
            Decision::Approve { .. } => {
                let what = "a change is agreed to as it stands, or denied";
                return Err(Refusal::new(Code::Invalid, what));
            }
        }
        let mut reviews = self.reviews().to_vec();
        reviews.push(review.clone());
        let stands = |earlier: &Review| {
            let of = self.steps.get(earlier.step);
            of.is_some_and(|of| may(of, true, Voter::Did(earlier)).is_ok())
        };
        Ok(match counted(&self.steps, &reviews, stands) {
            Ok(_) => Event::Applied { review },
            Err(Missing { step: next, .. }) => Event::Reviewed {
                review,
                step: next,
                due_at: if next == step {
                    due_at
                } else {
                    due(&self.steps, next, now)
                },
            },
        })
    }

    /// What the proposer taking it back leads to.
    ///
    /// # Errors
    /// Where it is decided, or is somebody else's.
    pub fn withdraw(&self, by: PersonId) -> Result<Event, Refusal> {
        self.pending()?;
        if by != self.proposer {
            let what = "only who proposed a change can take it back";
            return Err(Refusal::new(Code::NotHolder, what).hint("a reviewer can deny it"));
        }
        Ok(Event::Withdrawn)
    }

    /// What another policy in force leads to.
    #[must_use]
    pub fn outdated(&self, policy: Hash) -> Option<Event> {
        let stale = self.is_pending() && self.policy != policy && !is(Fault::ApplyStale);
        stale.then_some(Event::Lapsed { why: Lapse::Stale })
    }

    /// What silence leads to, where it has lasted long enough.
    #[must_use]
    pub fn silence(&self, now: Timestamp) -> Option<Event> {
        let (step, due_at, escalated) = self.pending().ok()?;
        if now < due_at {
            return None;
        }
        match self.steps.get(step).map(|open| &open.silence) {
            Some(Silence::Escalate { within, .. }) if !escalated => Some(Event::Escalated {
                due_at: now + *within,
            }),
            _ => Some(Event::Lapsed { why: Lapse::Silence }),
        }
    }

    /// The change after an event, or `None` where the event does not follow from its state.
    #[must_use]
    pub fn evolve(mut self, event: &Event, at: Timestamp) -> Option<Self> {
        let State::Pending {
            reviews,
            escalated,
            step,
            ..
        } = &self.state
        else {
            return None;
        };
        let with = |review: &Review| reviews.iter().chain([review]).cloned().collect::<Vec<_>>();
        self.state = match event {
            Event::Proposed { .. } => return None,
            Event::Reviewed {
                review,
                step: next,
                due_at,
            } => State::Pending {
                reviews: with(review),
                step: *next,
                due_at: *due_at,
                escalated: *escalated && next == step,
            },
            Event::Escalated { due_at } => State::Pending {
                reviews: reviews.clone(),
                step: *step,
                due_at: *due_at,
                escalated: true,
            },
            Event::Applied { review } => State::Applied {
                reviews: with(review),
                at,
            },
            Event::Denied { review } => State::Denied {
                reviews: with(review),
                at,
            },
            Event::Withdrawn => State::Withdrawn {
                reviews: reviews.clone(),
                at,
            },
            Event::Lapsed { why } => State::Lapsed {
                reviews: reviews.clone(),
                why: *why,
                at,
            },
        };
        Some(self)
    }

    const fn anew(&self) -> &'static str {
        match &self.proposal {
            Proposal::Policy { .. } => "propose it anew: daypass policy apply",
            Proposal::Directory { .. } => "propose it anew",
        }
    }

    fn pending(&self) -> Result<(usize, Timestamp, bool), Refusal> {
        match &self.state {
            State::Pending {
                step,
                due_at,
                escalated,
                ..
            } => Ok((*step, *due_at, *escalated)),
            State::Lapsed { why, .. } => {
                let what = format!("the change has lapsed: {why}");
                Err(Refusal::new(Code::AlreadyDecided, what).hint(self.anew()))
            }
            other => Err(Refusal::new(
                Code::AlreadyDecided,
                format!("the change is {} already", other.name()),
            )),
        }
    }
}

fn due(steps: &[Step], step: usize, now: Timestamp) -> Timestamp {
    now + steps.get(step).map_or(Span::ZERO, |step| step.within)
}
