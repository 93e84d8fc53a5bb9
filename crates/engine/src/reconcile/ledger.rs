//! The part of a plan that changes only the ledger: grants that begin, become active, end and are concluded; requests that
//! nobody answered. Each change is decided again on the locked row, so a plan that has grown old does no harm.

use std::sync::Arc;

use daypass_core::entitlement::{Event, TargetKey};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Event as GrantEvent, Grant, Reason, State};
use daypass_core::id::{GrantId, RequestId};
use daypass_core::plan::{Action, Limits, plan};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_store::{self as store, Outcome, Scope};
use futures_util::{StreamExt as _, stream};

use crate::current::Current;
use crate::engine::Engine;
use crate::error::Error;
use crate::services::strange;

/// How many transitions are offered to the store at once, so that it can commit them as a group.
const AT_ONCE: usize = 64;

/// Carries the actions out; answers how many changed something.
pub(super) async fn carry_out(
    engine: &Arc<Engine>,
    limits: &Limits,
    actions: Vec<Action>,
) -> Result<usize, Error> {
    let outcomes: Vec<_> = stream::iter(actions)
        .map(|action| one(engine, limits, action))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    sum(outcomes)
}

/// Escalates or lapses the requests and changes that nobody answered in time; answers how many.
pub(super) async fn silence(engine: &Arc<Engine>, now: Timestamp) -> Result<usize, Error> {
    // Of an old store nobody knows whether somebody has answered since.
    if engine.only_takes_away() {
        return Ok(0);
    }
    let silent = engine
        .store()
        .silent_requests(now, engine.parts.settings.batch)
        .await?;
    let outcomes: Vec<_> = stream::iter(silent)
        .map(|id| answer_silence(engine, id))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok(sum(outcomes)? + engine.silence_of_changes(now).await?)
}

async fn answer_silence(engine: &Engine, id: RequestId) -> Result<usize, Error> {
    let transition = engine.store().transition(Scope::Request(id), move |world, now| {
        let event = world.requests.get(&id).and_then(|request| request.silence(now));
        Ok(event.map_or_else(Outcome::default, |event| {
            Outcome::one(Actor::System, Subject::Request(id), What::Request(event))
        }))
    });
    Ok(transition.await?.events.len())
}

async fn one(engine: &Engine, limits: &Limits, action: Action) -> Result<usize, Error> {
    let id = match &action {
        Action::Begin(id)
        | Action::Activate(id)
        | Action::End(id, _)
        | Action::MarkOverdue(id)
        | Action::Conclude(id, _) => *id,
        Action::Provision { .. } | Action::Revoke(_) => return Ok(0),
    };
    let limits = limits.clone();
    let begins = matches!(action, Action::Begin(_) | Action::Activate(_));
    if begins && engine.only_takes_away() {
        return Ok(0);
    }
    let request = match &action {
        // The right to it is checked again before anything is provisioned, and before its time begins.
        Action::Begin(_) | Action::Activate(_) => {
            engine.store().request(RequestId::from_bytes(id.bytes())).await?
        }
        _ => None,
    };
    let change = move |current: &Current, world: &World, now: Timestamp| {
        let Some(grant) = world.grants.get(&id) else {
            return Ok(Outcome::default());
        };
        let event = match action {
            // Nothing begins under a lock, whoever should have ended it.
            Action::Begin(_) | Action::Activate(_) if world.lock_over(grant).is_some() => {
                grant.end(Reason::Locked, now)?
            }
            Action::Begin(_) => match no_right(current, request.as_ref(), (world, grant), now) {
                Some(reason) => grant.end(reason, now)?,
                None => grant.begin(now)?,
            },
            // What the plan saw may have changed meanwhile: an opening is gone, or all of it is there after all.
            Action::Activate(_) | Action::End(_, Reason::Failed { .. })
                if !is_still_asked_for(&action, world, &limits, now) =>
            {
                return Ok(Outcome::default());
            }
            Action::Activate(_) => match no_right(current, request.as_ref(), (world, grant), now) {
                Some(reason) => grant.end(reason, now)?,
                None => activate(current, world, grant, now)?,
            },
            Action::End(_, reason) => grant.end(reason, now)?,
            Action::MarkOverdue(_) => grant.mark_overdue()?,
            Action::Conclude(..) => conclude(world, id, &limits, now)?,
            Action::Provision { .. } | Action::Revoke(_) => return Ok(Outcome::default()),
        };
        Ok(Outcome::one(
            Actor::System,
            Subject::Grant(id),
            What::Grant(event),
        ))
    };
    let changed = if begins {
        engine.decide_remembering(Scope::Grant(id), None, change).await
    } else {
        // An end asks no policy.
        let current = engine.current();
        let change = move |world: &World, now| change(&current, world, now);
        let transition = engine.store().transition(Scope::Grant(id), change);
        transition.await.map_err(Error::from)
    };
    match changed {
        Ok(committed) => Ok(committed.events.len()),
        // Somebody was faster; the next plan starts from what they made of it.
        Err(Error::Refused(refusal)) => {
            tracing::debug!(grant = %id, %refusal, "a planned change was overtaken");
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// Why a grant may not begin: it would be given to a handle that is not its holder's any more, or the right to it was lost.
fn no_right(
    current: &Current,
    request: Option<&Request>,
    (world, grant): (&World, &Grant),
    now: Timestamp,
) -> Option<Reason> {
    strange(&current.directory, grant).or_else(|| {
        let refusal = current.still_right(request, world, now).err()?;
        Some(Reason::Ineligible { why: refusal.what })
    })
}

/// A grant whose access is all there. It begins a little later than was thought when it was granted: so much may be missing at
/// its end, where the policy limits what its holder may have in total.
fn activate(current: &Current, world: &World, grant: &Grant, now: Timestamp) -> Result<GrantEvent, Refusal> {
    match current.room(grant, &world.past, now) {
        Ok(until) => grant.activate_until(until, now),
        Err(refusal) => grant.end(Reason::Ineligible { why: refusal.what }, now),
    }
}

/// Whether the rows as they are now ask for the same, whatever the reason says in detail.
fn is_still_asked_for(action: &Action, world: &World, limits: &Limits, now: Timestamp) -> bool {
    let asks = |other: &Action| match (action, other) {
        (Action::End(id, Reason::Failed { .. }), Action::End(other, Reason::Failed { .. })) => id == other,
        (action, other) => action == other,
    };
    plan(&world.grants, &world.entitlements, limits, now)
        .actions
        .iter()
        .any(asks)
}

/// The evidence is gathered again from the rows as they are now, not from the plan's older view.
fn conclude(world: &World, id: GrantId, limits: &Limits, now: Timestamp) -> Result<GrantEvent, Refusal> {
    let actions = plan(&world.grants, &world.entitlements, limits, now).actions;
    let evidence = actions.into_iter().find_map(|action| match action {
        Action::Conclude(of, evidence) if of == id => Some(evidence),
        _ => None,
    });
    let evidence = evidence.ok_or_else(|| Refusal::new(Code::WrongState, "it is not seen to be gone yet"))?;
    let grant = world
        .grants
        .get(&id)
        .ok_or_else(|| Refusal::new(Code::NotFound, "the grant is gone"))?;
    grant.conclude(evidence)
}

/// Notes that a key was removed some time ago, if somebody holds it; answers whether somebody does.
pub(super) async fn note_removed(engine: &Engine, key: &TargetKey) -> Result<usize, store::Error> {
    let key = key.clone();
    let noted = engine
        .store()
        .transition(Scope::Entitlement(key.clone()), move |world, now| {
            let mut holders = world.grants.values().filter(|grant| grant.is_on(&key));
            let held = holders.any(|grant| grant.desired_until(now).is_some());
            if !held || !world.entitlements.contains_key(&key) {
                return Ok(Outcome::default());
            }
            let event = Event::Removing { until: now };
            let subject = Subject::Entitlement(key);
            Ok(Outcome::one(Actor::System, subject, What::Entitlement(event)))
        });
    Ok(noted.await?.events.len())
}

/// Tells the log that calls for a key began to fail in this way.
pub(super) async fn note_failing(
    engine: &Engine,
    key: &TargetKey,
    doing: &str,
    error: &daypass_providers::Error,
) -> Result<(), store::Error> {
    let key = key.clone();
    let event = Event::Failing {
        fault: error.fault,
        doing: doing.to_owned(),
        detail: error.detail.clone(),
    };
    engine
        .store()
        .transition(Scope::Entitlement(key.clone()), move |world, _| {
            if !world.entitlements.contains_key(&key) {
                return Ok(Outcome::default());
            }
            Ok(Outcome::one(
                Actor::System,
                Subject::Entitlement(key),
                What::Entitlement(event),
            ))
        })
        .await?;
    Ok(())
}

/// Ends the grants that are being set up on a key that cannot be had.
pub(super) async fn end_holders(
    engine: &Engine,
    key: &TargetKey,
    reason: Reason,
) -> Result<(), store::Error> {
    let held = engine.store().held(std::slice::from_ref(key)).await?;
    for (id, grant) in held.grants {
        // What is read along with them may hold other keys, or have been there before.
        if !grant.is_on(key) || !matches!(grant.state, State::Activating { .. }) {
            continue;
        }
        let reason = reason.clone();
        let ended = engine.store().transition(Scope::Grant(id), move |world, now| {
            let Some(grant) = world.grants.get(&id) else {
                return Ok(Outcome::default());
            };
            Ok(Outcome::one(
                Actor::System,
                Subject::Grant(id),
                What::Grant(grant.end(reason, now)?),
            ))
        });
        match ended.await {
            Ok(_) | Err(store::Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn sum(outcomes: Vec<Result<usize, Error>>) -> Result<usize, Error> {
    let mut changed = 0;
    for outcome in outcomes {
        changed += outcome?;
    }
    Ok(changed)
}
