//! A request: the ask with its reason, and its way through the approval chain that its rule froze into it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::break_glass::{BreakGlass, Owed};
use crate::canonical::{self, NotCanonical};
use crate::demand::Demands;
use crate::end_when::EndWhen;
use crate::id::{GrantId, PersonId, RequestId};
use crate::name::{Item, Name};
use crate::refusal::{Code, Refusal};
use crate::review::{Approval, Decision, Review, Silence, Silent, Step, Tally, Voter, tally};
use crate::text::{Hash, Prose};
use crate::time::{Span, Timestamp};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who asks, and who will hold the access.
    pub requester: PersonId,
    /// One or more roles on resources, granted and ended as one.
    pub items: BTreeSet<Item>,
    /// For how long, from when the access is really there.
    pub duration: Span,
    /// Not before this instant.
    pub start: Option<Timestamp>,
    /// The grant that this one lengthens.
    pub extends: Option<GrantId>,
    /// Why.
    pub reason: Prose,
    /// A ticket's name, as given; unverified.
    pub ticket: Option<Prose>,
    /// The address that it was asked from, where the rule asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Prose>,
    /// Who answered for the requester, a service account, when it asked. They do not review it, whoever does by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
}

/// The path that the policy chose for a request, frozen when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The rule's name.
    pub rule: Name,
    /// The hash of the policy revision that decided.
    pub policy: Hash,
    /// Who must agree, in order; empty where the rule says `approval: none`.
    pub steps: Vec<Step>,
    /// The longest that access may last in total, extensions included.
    pub max: Span,
    /// How long the request may stay undecided.
    pub pending: Span,
    /// How long its access may take to become real, once it may start.
    pub activation: Span,
    /// What is owed afterwards, where the rule is one for emergencies: nobody agrees before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Box<BreakGlass>>,
    /// When its access is over at the latest, where a time is named: the window of the rule closes, or one that a guardrail
    /// forbids opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<Timestamp>,
    /// What ends it before its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub end_when: Vec<EndWhen>,
    /// What is demanded beside the agreement of others.
    #[serde(default, skip_serializing_if = "Demands::is_nothing")]
    pub demands: Demands,
}

impl Path {
    /// Every step that asks somebody: those before the access, and the review after it.
    pub fn asks(&self) -> impl Iterator<Item = &Step> {
        let after = self.break_glass.as_ref().map(|glass| &glass.review);
        self.steps.iter().chain(after)
    }
}

/// A request. All but its state is immutable, and bound by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What is asked.
    pub ask: Ask,
    /// The path that was chosen.
    pub path: Path,
    /// When it was made.
    pub created_at: Timestamp,
    /// What reviewers name: the SHA-256 of all of the above in canonical form.
    pub digest: Hash,
    /// How far it has come.
    pub state: State,
}

/// How far a request has come.
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
    /// Every step agreed. It led to one grant, or lengthened one.
    Approved {
        /// Who agreed to what.
        approval: Approval,
        /// When the last one did.
        at: Timestamp,
        /// The review that is owed for it, where nobody had to agree because of an emergency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owed: Option<Owed>,
    },
    /// Somebody said no.
    Denied {
        /// The reviews, the denial last.
        reviews: Vec<Review>,
        /// When.
        at: Timestamp,
    },
    /// The requester took it back.
    Withdrawn {
        /// The reviews until then.
        reviews: Vec<Review>,
        /// When.
        at: Timestamp,
    },
    /// Nobody answered in time, or the right to ask was lost meanwhile.
    Lapsed {
        /// The reviews until then.
        reviews: Vec<Review>,
        /// When.
        at: Timestamp,
        /// Where nobody answered; what lapsed before that was kept says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silent: Option<Silent>,
    },
}

impl State {
    /// The state's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Lapsed { .. } => "lapsed",
        }
    }
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It was made.
    Created {
        /// As it was made.
        request: Box<Request>,
    },
    /// Somebody reviewed it, and it still waits.
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
    /// The last review that was needed came (or none was needed).
    Approved {
        /// That review.
        review: Option<Review>,
        /// What it led to.
        approval: Approval,
    },
    /// Somebody said no.
    Denied {
        /// The denial.
        review: Review,
    },
    /// The requester took it back.
    Withdrawn,
    /// Time ran out.
    Lapsed {
        /// Where nobody answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silent: Option<Silent>,
    },
    /// Somebody looked at what was done in an emergency.
    Acknowledged {
        /// Who.
        by: PersonId,
        /// The digest of the request that they saw.
        digest: Hash,
        /// What they make of it, in their words.
        comment: Prose,
        /// In whose place, where they are away and delegated to who looked.
        #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
        on_behalf: Option<PersonId>,
    },
    /// Nobody looked at it in time; it goes on being owed.
    ReviewOverdue,
}

/// What the policy in force says about a request now. The engine answers; a frozen path never outlives the right to use it.
pub trait Standing {
    /// Whether this person may review this step of it, or still may who did: a member of whom it asks, active, settled, not
    /// the requester. `Some`: in the place of one of those, who is away and delegated to them.
    ///
    /// # Errors
    /// The refusal that the person is shown.
    fn may_review(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        voter: Voter<'_>,
    ) -> Result<Option<PersonId>, Refusal>;

    /// Whether the requester may still have what they asked for.
    ///
    /// # Errors
    /// The refusal that the person is shown.
    fn may_hold(&self, request: &Request) -> Result<(), Refusal>;
}

impl Request {
    /// A new request, waiting for its first step.
    ///
    /// # Errors
    /// Where it has no canonical form, which its types rule out.
    pub fn new(id: RequestId, ask: Ask, path: Path, now: Timestamp) -> Result<Self, NotCanonical> {
        let digest = canonical::digest(&(1, id, &ask, &path, now))?;
        let due_at = path
            .steps
            .first()
            .map_or(now, |step| now + step.within)
            .min(now + path.pending);
        let state = State::Pending {
            reviews: Vec::new(),
            step: 0,
            due_at,
            escalated: false,
        };
        Ok(Self {
            id,
            ask,
            path,
            created_at: now,
            digest,
            state,
        })
    }

    /// When nobody may decide it any more.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.created_at + self.path.pending
    }

    /// The reviews so far, whatever became of it.
    #[must_use]
    pub fn reviews(&self) -> &[Review] {
        match &self.state {
            State::Approved { approval, .. } => approval.reviews(),
            State::Pending { reviews, .. }
            | State::Denied { reviews, .. }
            | State::Withdrawn { reviews, .. }
            | State::Lapsed { reviews, .. } => reviews,
        }
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        let mut all = vec![&mut self.ask.reason];
        all.extend(&mut self.ask.ticket);
        all.extend(&mut self.ask.source);
        match &mut self.state {
            State::Approved { approval, owed, .. } => {
                all.extend(approval.prose_mut());
                if let Some(Owed::Reviewed { comment, .. }) = owed {
                    all.push(comment);
                }
            }
            State::Pending { reviews, .. }
            | State::Denied { reviews, .. }
            | State::Withdrawn { reviews, .. }
            | State::Lapsed { reviews, .. } => {
                all.extend(reviews.iter_mut().filter_map(|review| review.comment.as_mut()));
            }
        }
        all
    }

    /// The step that waits for people, with its number.
    #[must_use]
    pub fn open_step(&self) -> Option<(usize, &Step)> {
        match &self.state {
            State::Pending { step, .. } => self.path.steps.get(*step).map(|open| (*step, open)),
            _ => None,
        }
    }

    /// What approves a request whose rule asks nobody.
    ///
    /// # Errors
    /// Where its rule asks somebody, or it is decided already.
    pub fn approve_at_once(&self) -> Result<Event, Refusal> {
        self.pending()?;
        match self.count(&[], &|_| true) {
            Tally::Approved(approval) => Ok(Event::Approved {
                review: None,
                approval,
            }),
            Tally::Waiting { .. } | Tally::Nothing => Err(Refusal::new(
                Code::WrongState,
                "this request needs the agreement of others",
            )),
        }
    }

    /// What a review by `review.reviewer` leads to. Its `step` is set here, from the request's own state.
    ///
    /// # Errors
    /// Where the request is decided, the person may not review it or did already, saw another digest, or approves more than was asked.
    pub fn review(
        &self,
        mut review: Review,
        standing: &dyn Standing,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        let (step, _, due_at, escalated) = self.pending()?;
        let ballot = Ballot {
            what: "request",
            owner: self.ask.requester,
            digest: self.digest,
            reviews: self.reviews(),
        };
        ballot.open(due_at, now)?;
        let open = self
            .path
            .steps
            .get(step)
            .ok_or_else(|| Refusal::new(Code::WrongState, "no step is open"))?;
        let voter = review.cast();
        ballot.admit(&mut review, || standing.may_review(self, open, escalated, voter))?;
        review.step = step;
        review.at = now;
        let Decision::Approve { duration, items } = &review.decision else {
            return Ok(Event::Denied { review });
        };
        self.not_more(*duration, items.as_ref())?;
        standing.may_hold(&self.bounded(*duration, items.as_ref()))?;
        let mut reviews = self.reviews().to_vec();
        reviews.push(review.clone());
        // The escalation is the open step's own; votes in it came from either set of people.
        let counts = |earlier: &Review| {
            let of = self.path.steps.get(earlier.step);
            of.is_some_and(|of| standing.may_review(self, of, true, Voter::Did(earlier)).is_ok())
        };
        match self.count(&reviews, &counts) {
            Tally::Approved(approval) => {
                standing.may_hold(&self.agreed(&approval))?;
                Ok(Event::Approved {
                    review: Some(review),
                    approval,
                })
            }
            Tally::Nothing => Err(Refusal::new(
                Code::NothingLeft,
                "what the reviewers agree on is nothing",
            )),
            Tally::Waiting { step: next, .. } => {
                let due_at = if next == step { due_at } else { self.due(next, now) };
                Ok(Event::Reviewed {
                    review,
                    step: next,
                    due_at,
                })
            }
        }
    }

    /// What the requester taking it back leads to.
    ///
    /// # Errors
    /// Where it is decided, or is somebody else's.
    pub fn withdraw(&self, by: PersonId) -> Result<Event, Refusal> {
        if let (Err(refusal), State::Approved { .. }) = (self.pending(), &self.state)
            && by == self.ask.requester
        {
            let grant = self.ask.extends.unwrap_or_else(|| GrantId::from(self.id));
            return Err(refusal.hint(format!(
                "what it gave is given back with: daypass release {}",
                grant.short()
            )));
        }
        self.pending()?;
        if by != self.ask.requester {
            return Err(Refusal::new(
                Code::NotHolder,
                "only the requester can take a request back",
            ));
        }
        Ok(Event::Withdrawn)
    }

    /// What silence leads to, where it has lasted long enough.
    #[must_use]
    pub fn silence(&self, now: Timestamp) -> Option<Event> {
        if let Some(owed) = self.owed() {
            return owed.silence(now);
        }
        let (step, _, due_at, escalated) = self.pending().ok()?;
        if now < due_at {
            return None;
        }
        match self.path.steps.get(step).map(|open| &open.silence) {
            Some(Silence::Escalate { within, .. }) if !escalated && now < self.expires_at() => {
                Some(Event::Escalated {
                    due_at: (now + *within).min(self.expires_at()),
                })
            }
            _ => Some(Event::Lapsed {
                silent: Some(Silent { step, escalated }),
            }),
        }
    }

    /// The request after an event, or `None` where the event does not follow from its state.
    #[must_use]
    pub fn evolve(mut self, event: &Event, at: Timestamp) -> Option<Self> {
        if let State::Approved { owed, .. } = &mut self.state {
            let next = owed.as_ref()?.evolve(event, at)?;
            *owed = Some(next);
            return Some(self);
        }
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
            Event::Created { .. } | Event::Acknowledged { .. } | Event::ReviewOverdue => return None,
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
            Event::Approved { approval, .. } => State::Approved {
                approval: approval.clone(),
                at,
                owed: Owed::from(self.path.break_glass.as_deref(), at),
            },
            Event::Denied { review } => State::Denied {
                reviews: with(review),
                at,
            },
            Event::Withdrawn => State::Withdrawn {
                reviews: reviews.clone(),
                at,
            },
            Event::Lapsed { silent } => State::Lapsed {
                reviews: reviews.clone(),
                at,
                silent: *silent,
            },
        };
        Some(self)
    }

    fn pending(&self) -> Result<(usize, &[Review], Timestamp, bool), Refusal> {
        match &self.state {
            State::Pending {
                reviews,
                step,
                due_at,
                escalated,
            } => Ok((*step, reviews, *due_at, *escalated)),
            other => Err(Refusal::new(
                Code::AlreadyDecided,
                format!("the request is {} already", other.name()),
            )),
        }
    }

    fn count(&self, reviews: &[Review], counts: &dyn Fn(&Review) -> bool) -> Tally {
        tally(
            &self.path.steps,
            reviews,
            (self.ask.duration, &self.ask.items),
            counts,
        )
    }

    fn due(&self, step: usize, now: Timestamp) -> Timestamp {
        let within = self.path.steps.get(step).map_or(Span::ZERO, |step| step.within);
        (now + within).min(self.expires_at())
    }

    /// Exactly what is agreed on: a review that had shortened it may not count any more.
    fn agreed(&self, approval: &Approval) -> Self {
        let mut agreed = self.clone();
        agreed.ask.duration = approval.duration();
        agreed.ask.items.clone_from(approval.items());
        agreed
    }

    /// As it would be approved with this review: for no longer, and for no more, than all who agreed so far. What a reviewer
    /// leaves out need not be possible any more.
    fn bounded(&self, duration: Option<Span>, items: Option<&BTreeSet<Item>>) -> Self {
        let mut bounded = self.clone();
        let earlier = self.reviews().iter().filter_map(|review| match &review.decision {
            Decision::Approve { duration, items } => Some((*duration, items.as_ref())),
            Decision::Deny => None,
        });
        for (duration, items) in earlier.chain([(duration, items)]) {
            let ask = &mut bounded.ask;
            ask.duration = duration.map_or(ask.duration, |most| most.min(ask.duration));
            let fewer = items.map(|items| ask.items.intersection(items).cloned().collect::<BTreeSet<_>>());
            // Where nothing is left, the tally says so.
            if let Some(fewer) = fewer.filter(|fewer| !fewer.is_empty()) {
                ask.items = fewer;
            }
        }
        bounded
    }

    fn not_more(&self, duration: Option<Span>, items: Option<&BTreeSet<Item>>) -> Result<(), Refusal> {
        if let Some(most) = duration.filter(|most| *most > self.ask.duration) {
            let what = format!(
                "{most} is more than the {} that were asked for; a review may only approve less",
                self.ask.duration
            );
            return Err(Refusal::new(Code::ReviewForMore, what));
        }
        if let Some(extra) = items.and_then(|items| items.iter().find(|item| !self.ask.items.contains(item)))
        {
            return Err(Refusal::new(
                Code::ReviewForMore,
                format!("{extra} was not asked for; a review may only approve less"),
            ));
        }
        if items.is_some_and(BTreeSet::is_empty) || duration == Some(Span::ZERO) {
            return Err(Refusal::new(
                Code::NothingLeft,
                "an approval for nothing is a denial; deny it instead",
            ));
        }
        // A grant has one deadline: some of its items cannot be lengthened without the others.
        if self.ask.extends.is_some() && items.is_some_and(|items| *items != self.ask.items) {
            return Err(Refusal::new(
                Code::Invalid,
                "an extension is for all items of its grant or for none",
            )
            .hint("approve all of it for a shorter time, or deny it"));
        }
        Ok(())
    }
}
