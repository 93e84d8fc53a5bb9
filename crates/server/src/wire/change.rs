//! A change that waits for others, on the wire.

use daypass_api::policy::PolicyFile;
use daypass_api::{change as api, request as api_request};
use daypass_core::change::{Change, Proposal, State};
use daypass_core::review::{Step, Voter};
use daypass_core::time::Timestamp;
use daypass_engine::{Awaits, Current, Effects, Planned, told};

use super::step;

/// A change as somebody sees it who may. `awaits` says whether it waits for them.
#[must_use]
pub(crate) fn change(change: &Change, current: &Current, awaits: Awaits, now: Timestamp) -> api::Change {
    let (kind, revision, summary) = match &change.proposal {
        Proposal::Policy {
            revision, summary, ..
        } => (api::ChangeKind::Policy, Some(*revision), summary.clone()),
        Proposal::Directory { edit } => {
            let lines = told(edit, &current.directory, true);
            (api::ChangeKind::Account, None, lines)
        }
    };
    let lapsed_because = match &change.state {
        State::Lapsed { why, .. } => Some(why.to_string()),
        _ => None,
    };
    let steps = change.steps.iter().enumerate();
    api::Change {
        id: change.id,
        kind,
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
        revision,
        summary,
        steps: steps
            .map(|(index, one)| step(change, index, one, current, now))
            .collect(),
        created_at: change.created_at,
        decided_at: change.decided_at(),
        lapsed_because,
        reviewable: awaits.is_any(),
        reviewable_for: step::absent(awaits, current),
        before: Vec::new(),
        files: Vec::new(),
        plan: None,
        reviews: Vec::new(),
        obstacle: None,
    }
}

/// Puts what a change of an account would do now beside it.
pub(crate) fn put_effects(
    shown: &mut api::Change,
    effects: Result<Effects, String>,
    whose: &str,
    current: &Current,
) {
    let Effects { plan, reviews } = match effects {
        Ok(effects) => effects,
        Err(why) => {
            shown.obstacle = Some(why);
            return;
        }
    };
    let revision = current.policy.revision();
    let planned = Planned {
        from: revision,
        to: revision,
        plan,
    };
    let mut plan = super::plan(planned, current);
    for change in &mut plan.changes {
        // It is about nobody else, and an account that is to be made is not in the directory yet.
        change.people = vec![whose.to_owned()];
    }
    shown.plan = Some(plan);
    shown.reviews = reviews;
}

/// The files of a policy as they are kept.
#[must_use]
pub(crate) fn files(files: impl IntoIterator<Item = (String, String)>) -> Vec<PolicyFile> {
    let file = |(name, text)| PolicyFile { name, text };
    files.into_iter().map(file).collect()
}

fn step(change: &Change, index: usize, step: &Step, current: &Current, now: Timestamp) -> api_request::Step {
    let state = match change.state {
        State::Pending {
            step,
            due_at,
            escalated,
            ..
        } => step::State::Pending {
            step,
            due_at,
            escalated,
        },
        State::Applied { .. } => step::State::Agreed,
        State::Denied { .. } | State::Withdrawn { .. } | State::Lapsed { .. } => step::State::Over,
    };
    let chain = step::Chain {
        about: change.into(),
        reviews: change.reviews(),
        state,
        now,
    };
    let reviewers = |escalated| {
        let (policy, directory) = (&current.policy, current.directory.as_ref());
        let asked = (step, escalated);
        let own = |person: &daypass_core::id::PersonId| {
            let right = policy.may_review_change(change, asked, Voter::Would(*person), directory, now);
            matches!(right, Ok(None))
        };
        let waits = policy.change_waits_for(change, directory, now);
        waits.into_iter().filter(own).collect()
    };
    chain.step((index, step), step.mfa, reviewers, current)
}
