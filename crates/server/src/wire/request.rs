//! A request on the wire.

use daypass_api::{break_glass as api_glass, request as api};
use daypass_core::break_glass::Owed;
use daypass_core::id::GrantId;
use daypass_core::name::Item;
use daypass_core::request::{Request, State};
use daypass_core::review::{Silent, Step};
use daypass_core::time::Timestamp;
use daypass_engine::{Awaits, Current};

use super::{items, step, words};

/// A request as somebody sees it who may, without its effects. `awaits` says whether it waits for them.
#[must_use]
pub(crate) fn request(request: &Request, current: &Current, awaits: Awaits, now: Timestamp) -> api::Request {
    let (approved, grant) = match &request.state {
        State::Approved { approval, .. } => {
            let approved = api::Approved {
                duration: approval.duration(),
                items: items(approval.items()),
            };
            (
                Some(approved),
                Some(request.ask.extends.unwrap_or_else(|| GrantId::from(request.id))),
            )
        }
        _ => (None, None),
    };
    let steps = request.path.steps.iter().enumerate();
    api::Request {
        id: request.id,
        digest: request.digest,
        state: state(&request.state),
        requester: current.directory.login(request.ask.requester),
        owner: request.ask.owner.map(|owner| current.directory.login(owner)),
        items: items(&request.ask.items),
        reason: request.ask.reason.text().to_owned(),
        ticket: request.ask.ticket.as_ref().and_then(words),
        source: request.ask.source.as_ref().and_then(words),
        duration: request.ask.duration,
        start: request.ask.start,
        extends: request.ask.extends,
        rule: request.path.rule.clone(),
        policy_revision: request.path.policy,
        max: request.path.max,
        ends_by: request.path.ends_by,
        end_when: request.path.end_when.iter().map(ToString::to_string).collect(),
        recording: request.path.demands.recording.map(|one| one.as_str().to_owned()),
        notify: request.path.demands.notify.iter().cloned().collect(),
        steps: steps
            .map(|(index, one)| step(request, index, one, current, now))
            .collect(),
        created_at: request.created_at,
        expires_at: request.expires_at(),
        decided_at: decided_at(&request.state),
        approved,
        grant,
        reviewable: awaits.is_any(),
        reviewable_for: step::absent(awaits, current),
        effects: Vec::new(),
        break_glass: break_glass(request, current, now),
    }
}

/// What the items of a request are at their targets, by the policy in force. What that no longer has is left out.
#[must_use]
pub(crate) fn effects(request: &Request, current: &Current) -> Vec<api::Effect> {
    let effect = |(index, item): (usize, &Item)| {
        let resource = current.policy.resource(item.resource.as_str())?;
        Some(api::Effect {
            item: item.clone().into(),
            kind: resource.kind.clone(),
            connector: resource.connector.clone(),
            does: current.effect(request, index, item),
            role: resource.roles.get(&item.role)?.config.clone(),
        })
    };
    request.ask.items.iter().enumerate().filter_map(effect).collect()
}

/// What is owed for an emergency, and who may give it.
fn break_glass(request: &Request, current: &Current, now: Timestamp) -> Option<api_glass::BreakGlass> {
    let glass = request.path.break_glass.as_ref()?;
    let reviewers = || look_back(request, &glass.review, current, now);
    let review = match request.owed()? {
        Owed::Due {
            due_at,
            overdue: false,
        } => api_glass::Review::Owed {
            due_at: *due_at,
            reviewers: reviewers(),
        },
        Owed::Due { due_at, .. } => api_glass::Review::Overdue {
            due_at: *due_at,
            reviewers: reviewers(),
        },
        Owed::Reviewed {
            by,
            at,
            comment,
            late,
            on_behalf,
        } => api_glass::Review::Reviewed {
            by: current.directory.login(*by),
            at: *at,
            comment: words(comment),
            late: *late,
            r#for: on_behalf.map(|absent| current.directory.login(absent)),
        },
    };
    Some(api_glass::BreakGlass {
        page: glass.page.to_string(),
        review_by: glass.review.from.to_string(),
        review,
    })
}

const fn state(state: &State) -> api::RequestState {
    match state {
        State::Pending { .. } => api::RequestState::Pending,
        State::Approved { .. } => api::RequestState::Approved,
        State::Denied { .. } => api::RequestState::Denied,
        State::Withdrawn { .. } => api::RequestState::Withdrawn,
        State::Lapsed { .. } => api::RequestState::Lapsed,
    }
}

const fn decided_at(state: &State) -> Option<Timestamp> {
    match state {
        State::Pending { .. } => None,
        State::Approved { at, .. }
        | State::Denied { at, .. }
        | State::Withdrawn { at, .. }
        | State::Lapsed { at, .. } => Some(*at),
    }
}

fn step(request: &Request, index: usize, step: &Step, current: &Current, now: Timestamp) -> api::Step {
    let state = match request.state {
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
        State::Approved { .. } => step::State::Agreed,
        State::Lapsed {
            silent: Some(Silent { step, escalated }),
            ..
        } => step::State::Silent { step, escalated },
        State::Denied { .. } | State::Withdrawn { .. } | State::Lapsed { silent: None, .. } => {
            step::State::Over
        }
    };
    let chain = step::Chain {
        about: request.into(),
        reviews: request.reviews(),
        state,
        now,
    };
    let mfa = request.path.demands.mfa_of(step);
    // It is asked of the open step alone.
    let reviewers = |_| {
        current
            .policy
            .waiting_themselves(request, current.directory.as_ref(), now)
    };
    chain.step((index, step), mfa, reviewers, current)
}

/// Who may look back at an emergency.
fn look_back(request: &Request, step: &Step, current: &Current, now: Timestamp) -> Vec<String> {
    let directory = current.directory.as_ref();
    let asked = current.policy.reviewers(request, step, false, directory, now);
    asked.into_iter().map(|person| directory.login(person)).collect()
}
