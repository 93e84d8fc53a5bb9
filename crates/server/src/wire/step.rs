//! The steps of a chain on the wire: those of a request, and those of a change of the policy.

use daypass_api::request as api;
use daypass_core::id::PersonId;
use daypass_core::review::{Decision, Review, Silence, Step};
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Awaits, Current};
use daypass_policy::Matter;

use super::{items, words};

/// How far a chain has come.
pub(super) struct Chain<'a> {
    /// What it is about: to some of it there are people who never answer.
    pub(super) about: Matter<'a>,
    /// The reviews so far.
    pub(super) reviews: &'a [Review],
    /// How it stands.
    pub(super) state: State,
    /// When that is.
    pub(super) now: Timestamp,
}

/// How a chain stands.
pub(super) enum State {
    /// It waits at a step.
    Pending {
        /// Which, counted from 0.
        step: usize,
        /// When it has been silent too long.
        due_at: Timestamp,
        /// Whether silence has already brought in the others.
        escalated: bool,
    },
    /// Every step agreed.
    Agreed,
    /// Nobody answered a step of it in time.
    Silent {
        /// Which, counted from 0.
        step: usize,
        /// Whether others had been asked as well.
        escalated: bool,
    },
    /// It came to nothing.
    Over,
}

impl Chain<'_> {
    /// One of its steps. `reviewers` says who may answer it, where it is open; the flag says whether silence has brought others in.
    pub(super) fn step(
        &self,
        (index, step): (usize, &Step),
        mfa: Option<Span>,
        reviewers: impl FnOnce(bool) -> Vec<PersonId>,
        current: &Current,
    ) -> api::Step {
        let reviews: Vec<&Review> = self
            .reviews
            .iter()
            .filter(|review| review.step == index)
            .collect();
        let open = match self.state {
            State::Pending {
                step,
                due_at,
                escalated,
            } if step == index => Some((due_at, escalated)),
            _ => None,
        };
        let reviewers = open.map_or_else(Vec::new, |(_, escalated)| reviewers(escalated));
        api::Step {
            stand_ins: self.stand_ins(&reviewers, current),
            from: step.from.to_string(),
            count: step.count.max(1),
            state: self.step_state(index, step, &reviews),
            reviewers: reviewers
                .iter()
                .map(|person| current.directory.login(*person))
                .collect(),
            reviews: reviews.into_iter().map(|one| review(one, current)).collect(),
            within: step.within,
            mfa,
            guardrail: step.guardrail.clone(),
            due_at: open.map(|(due_at, _)| due_at),
            escalates: match &step.silence {
                Silence::Deny => None,
                Silence::Escalate { to, within } => Some(api::Escalation {
                    to: to.to_string(),
                    within: *within,
                    happened: open.is_some_and(|(_, escalated)| escalated) || self.was_escalated(index),
                }),
            },
        }
    }

    /// Who may answer in the place of one of these who is away.
    fn stand_ins(&self, reviewers: &[PersonId], current: &Current) -> Vec<api::StandIn> {
        let (policy, directory) = (&current.policy, current.directory.as_ref());
        let heard = |person: PersonId| self.reviews.iter().any(|review| review.is_of(person));
        let one = |absent: &PersonId| {
            let people = [*absent].into();
            let asked = policy.instead_of(&people, self.about, directory, self.now);
            let delegate = asked.into_iter().find(|asked| asked != absent)?;
            let counts = !reviewers.contains(&delegate) && !heard(delegate);
            counts.then(|| api::StandIn {
                delegate: directory.login(delegate),
                r#for: directory.login(*absent),
            })
        };
        reviewers.iter().filter_map(one).collect()
    }

    /// Whether others were asked as well where nobody answered.
    fn was_escalated(&self, index: usize) -> bool {
        matches!(self.state, State::Silent { step, escalated: true } if step == index)
    }

    fn step_state(&self, index: usize, step: &Step, reviews: &[&Review]) -> api::StepState {
        let denied = |review: &&Review| review.decision == Decision::Deny;
        let agreed = reviews.iter().filter(|review| !denied(review)).count();
        match self.state {
            State::Agreed => api::StepState::Approved,
            State::Pending { step, .. } if step == index => api::StepState::Open,
            State::Pending { step, .. } if step < index => api::StepState::Waiting,
            State::Pending { .. } => api::StepState::Approved,
            State::Silent { step, .. } if step == index => api::StepState::Silent,
            State::Silent { step, .. } if step < index => api::StepState::Closed,
            State::Silent { .. } => api::StepState::Approved,
            State::Over if reviews.iter().any(denied) => api::StepState::Denied,
            State::Over if usize::try_from(step.count.max(1)).is_ok_and(|count| agreed >= count) => {
                api::StepState::Approved
            }
            State::Over => api::StepState::Closed,
        }
    }
}

fn review(review: &Review, current: &Current) -> api::Review {
    let (decision, duration, only) = match &review.decision {
        Decision::Approve { duration, items } => (api::Decision::Approve, *duration, items.as_ref()),
        Decision::Deny => (api::Decision::Deny, None, None),
    };
    api::Review {
        reviewer: current.directory.login(review.reviewer),
        r#for: review.on_behalf.map(|absent| current.directory.login(absent)),
        decision,
        duration,
        items: only.map(items),
        at: review.at,
        comment: review.comment.as_ref().and_then(words),
    }
}

/// The login of who is away and in whose place something waits.
pub(super) fn absent(awaits: Awaits, current: &Current) -> Option<String> {
    match awaits {
        Awaits::InPlaceOf(absent) => Some(current.directory.login(absent)),
        Awaits::Them | Awaits::No => None,
    }
}
