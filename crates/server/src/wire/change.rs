//! A change that waits for others, on the wire.

use daypass_api::policy::PolicyFile;
use daypass_api::{change as api, request as api_request};
use daypass_core::change::{Change, Proposal, State};
use daypass_core::review::{Decision, Review, Silence, Step};
use daypass_core::time::Timestamp;
use daypass_engine::Current;

use super::request::review;

/// A change as somebody sees it who may. `reviewable` says whether it waits for them.
#[must_use]
pub(crate) fn change(change: &Change, current: &Current, reviewable: bool, now: Timestamp) -> api::Change {
    let Proposal::Policy {
        revision, summary, ..
    } = &change.proposal;
    let lapsed_because = match &change.state {
        State::Lapsed { why, .. } => Some(why.to_string()),
        _ => None,
    };
    let steps = change.steps.iter().enumerate();
    api::Change {
        id: change.id,
        digest: change.digest,
        state: match &change.state {
            State::Pending { .. } => api::ChangeState::Pending,
            State::Applied { .. } => api::ChangeState::Applied,
            State::Denied { .. } => api::ChangeState::Denied,
            State::Withdrawn { .. } => api::ChangeState::Withdrawn,
            State::Lapsed { .. } => api::ChangeState::Lapsed,
        },
        proposer: current.directory.login(change.proposer),
        policy_revision: change.policy,
        revision: *revision,
        summary: summary.clone(),
        steps: steps
            .map(|(index, one)| step(change, index, one, current, now))
            .collect(),
        created_at: change.created_at,
        decided_at: change.decided_at(),
        lapsed_because,
        reviewable,
        before: Vec::new(),
        files: Vec::new(),
    }
}

/// The files of a policy as they are kept.
#[must_use]
pub(crate) fn files(files: impl IntoIterator<Item = (String, String)>) -> Vec<PolicyFile> {
    let file = |(name, text)| PolicyFile { name, text };
    files.into_iter().map(file).collect()
}

fn step(change: &Change, index: usize, step: &Step, current: &Current, now: Timestamp) -> api_request::Step {
    let of_it = |review: &&Review| review.step == index;
    let reviews: Vec<&Review> = change.reviews().iter().filter(of_it).collect();
    let open = match &change.state {
        State::Pending {
            step,
            due_at,
            escalated,
            ..
        } if *step == index => Some((*due_at, *escalated)),
        _ => None,
    };
    let waits = || {
        current
            .policy
            .change_waits_for(change, current.directory.as_ref(), now)
    };
    let login = |person| current.directory.login(person);
    api_request::Step {
        from: step.from.to_string(),
        count: step.count.max(1),
        state: state(change, index, step, &reviews),
        reviewers: open.map_or_else(Vec::new, |_| waits().into_iter().map(login).collect()),
        reviews: reviews.into_iter().map(|one| review(one, current)).collect(),
        within: step.within,
        mfa: step.mfa,
        guardrail: step.guardrail.clone(),
        due_at: open.map(|(due_at, _)| due_at),
        escalates: match &step.silence {
            Silence::Deny => None,
            Silence::Escalate { to, within } => Some(api_request::Escalation {
                to: to.to_string(),
                within: *within,
                happened: open.is_some_and(|(_, escalated)| escalated),
            }),
        },
    }
}

fn state(change: &Change, index: usize, step: &Step, reviews: &[&Review]) -> api_request::StepState {
    let denied = |review: &&Review| review.decision == Decision::Deny;
    let agreed = reviews.iter().filter(|review| !denied(review)).count();
    match &change.state {
        State::Applied { .. } => api_request::StepState::Approved,
        State::Pending { step, .. } if *step == index => api_request::StepState::Open,
        State::Pending { step, .. } if *step < index => api_request::StepState::Waiting,
        State::Pending { .. } => api_request::StepState::Approved,
        _ if reviews.iter().any(denied) => api_request::StepState::Denied,
        _ if usize::try_from(step.count.max(1)).is_ok_and(|count| agreed >= count) => {
            api_request::StepState::Approved
        }
        _ => api_request::StepState::Closed,
    }
}
