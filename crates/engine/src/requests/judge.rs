//! The one decision behind preview and request: locks, the policy, and what the grant that is lengthened still allows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::environment::EnvironmentRole;
use daypass_core::grant::Grant;
use daypass_core::id::PersonId;
use daypass_core::name::Item;
use daypass_core::past::AHEAD;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Request};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::{Allowed, Decision, Policy};
use daypass_store::{MOST_HELD, MOST_OPEN};

use super::{NewRequest, Verb};
use crate::caller::Caller;
use crate::connectors::{Holder, may_be_given};
use crate::current::Current;
use crate::error::not_found;
use crate::services::locked;

/// The items of an ask: those it names and those that its environments stand for by this policy, or those of the grant that it
/// lengthens.
pub(super) fn items(
    policy: &Policy,
    who: PersonId,
    asked: &NewRequest,
    extended: Option<&Grant>,
) -> Result<BTreeSet<Item>, Refusal> {
    match (asked.extends, extended) {
        (None, _) if asked.items.is_empty() && asked.environments.is_empty() => {
            Err(Refusal::new(Code::Invalid, "nothing is asked for")
                .hint("name RESOURCE/ROLE, such as orders-prod/read"))
        }
        (None, _) => {
            let mut items = policy.expand(&asked.environments)?;
            items.extend(asked.items.iter().cloned());
            Ok(items)
        }
        (Some(_), Some(grant)) if grant.holder == who => {
            if asked.start.is_some() {
                return Err(Refusal::new(
                    Code::Invalid,
                    "an extension has no start of its own",
                ));
            }
            Ok(grant.parts.iter().map(|part| part.item().clone()).collect())
        }
        (Some(id), _) => Err(not_found(format!("you hold no grant {}", id.short()))),
    }
}

/// The one decision behind preview and request.
pub(super) fn decide(
    current: &Current,
    world: &World,
    (caller, from): (Caller, Option<IpAddr>),
    (asked, verb): (&NewRequest, Verb),
    items: &BTreeSet<Item>,
    extended: Option<&Grant>,
    now: Timestamp,
) -> Result<Allowed, Refusal> {
    let who = caller.person;
    if let Some(lock) = world.locked_for(who, items) {
        let refusal = locked(current, lock, who);
        return Err(in_the_way_of(&asked.environments, refusal));
    }
    let ask = daypass_policy::Ask {
        duration: asked.duration,
        has_reason: !asked.reason.trim().is_empty(),
        ticket: asked.ticket.as_deref(),
        extends: asked.extends.is_some(),
        break_glass: verb == Verb::BreakGlass,
        start: asked.start,
        deadline: extended.and_then(Grant::expires_at),
        since: extended.and_then(Grant::active_since),
        past: &world.past,
        from,
        environments: &asked.environments,
        confirmed: caller.confirmed_at(),
        reads_policy: caller.sees_all(),
        ..daypass_policy::Ask::new(who, items, now)
    };
    let allowed = match current.policy.decide(&ask, current.directory.as_ref()) {
        Decision::Allowed(allowed) => *allowed,
        Decision::Refused(refusal) => return Err(refusal),
    };
    let holder = Holder {
        id: who,
        source: from.filter(|_| allowed.by_source),
        directory: &current.directory,
    };
    may_be_given(&current.policy, &current.kinds, items, holder, extended)
        .map_err(|refusal| in_the_way_of(&asked.environments, refusal))?;
    if verb == Verb::Ask && !allowed.path.steps.is_empty() {
        few_wait(world, who)?;
    }
    if verb == Verb::Ask && extended.is_none() {
        few_are_held(world)?;
    }
    if let Some(grant) = extended {
        grant.may_extend(allowed.duration, allowed.path.ends_by, now)?;
        within_the_days_maximum(grant, &allowed)?;
    }
    if verb == Verb::BreakGlass && asked.start.is_some() {
        let what = "an emergency is now; it has no start of its own";
        return Err(Refusal::new(Code::Invalid, what));
    }
    if let Some(start) = asked.start
        && start > now + AHEAD
    {
        return Err(Refusal::new(
            Code::Invalid,
            "a start more than 30 days ahead is too far: nobody can judge it now",
        ));
    }
    Ok(allowed)
}

/// A refusal with the environments that were asked for, where there are some.
fn in_the_way_of(environments: &[EnvironmentRole], refusal: Refusal) -> Refusal {
    let names: Vec<String> = environments.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return refusal;
    }
    Refusal {
        what: format!("{}: {}", names.join(" and "), refusal.what),
        ..refusal
    }
}

/// Each request that waits asks people. An emergency is never held up by it.
fn few_wait(world: &World, who: PersonId) -> Result<(), Refusal> {
    let waits = |request: &&Request| {
        request.ask.requester == who && matches!(request.state, request::State::Pending { .. })
    };
    if world.requests.values().filter(waits).count() < MOST_OPEN {
        return Ok(());
    }
    let what = format!("{MOST_OPEN} of your requests wait for others already, and nobody may have more");
    Err(Refusal::new(Code::TooManyOpen, what).hint("take back those that are not needed: daypass cancel ID"))
}

/// Each grant is work at a target, now and when it ends: those of one person must not stand before the end of others'. An
/// emergency is never held up by it.
fn few_are_held(world: &World) -> Result<(), Refusal> {
    if world.holds < MOST_HELD {
        return Ok(());
    }
    let what = format!("{MOST_HELD} grants of yours have not ended yet, and nobody may have more");
    Err(Refusal::new(Code::TooManyOpen, what).hint("give back those that are not needed: daypass release ID"))
}

/// What a grant may last in total was frozen into it; a policy that allows less by now does not lengthen it beyond that.
fn within_the_days_maximum(grant: &Grant, allowed: &Allowed) -> Result<(), Refusal> {
    let max = allowed.path.max;
    match (grant.active_since(), grant.expires_at()) {
        (Some(since), Some(expires_at)) if expires_at + allowed.duration > since + max => {
            let what = format!(
                "the grant can last until {} at most ({max} in total)",
                since + max
            );
            Err(Refusal::new(Code::OverLatestEnd, what).hint(grant.instead(since + max)))
        }
        _ => Ok(()),
    }
}
