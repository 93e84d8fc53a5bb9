//! The one decision behind preview and request: locks, the policy, and what the grant that is lengthened still allows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::grant::Grant;
use daypass_core::id::PersonId;
use daypass_core::lock;
use daypass_core::name::Item;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_policy::{Allowed, Decision};

use super::{NewRequest, Verb};
use crate::caller::Caller;
use crate::current::Current;
use crate::error::not_found;

/// The items of an ask: those it names, or those of the grant that it lengthens.
pub(super) fn items(
    who: PersonId,
    asked: &NewRequest,
    extended: Option<&Grant>,
) -> Result<BTreeSet<Item>, Refusal> {
    match (asked.extends, extended) {
        (None, _) if asked.items.is_empty() => Err(Refusal::new(Code::Invalid, "nothing is asked for")
            .hint("name RESOURCE/ROLE, such as orders-prod/read")),
        (None, _) => Ok(asked.items.clone()),
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
        return Err(lock::refusal(lock, Some(who)));
    }
    let ask = daypass_policy::Ask {
        duration: asked.duration,
        has_reason: !asked.reason.trim().is_empty(),
        ticket: asked.ticket.as_deref(),
        extends: asked.extends.is_some(),
        break_glass: verb == Verb::BreakGlass,
        start: asked.start,
        from,
        confirmed: caller.confirmed_at(),
        ..daypass_policy::Ask::new(who, items, now)
    };
    let allowed = match current.policy.decide(&ask, current.directory.as_ref()) {
        Decision::Allowed(allowed) => *allowed,
        Decision::Refused(refusal) => return Err(refusal),
    };
    if let Some(grant) = extended {
        grant.may_extend(allowed.duration, allowed.path.ends_by, now)?;
        within_the_days_maximum(grant, &allowed)?;
    }
    if verb == Verb::BreakGlass && asked.start.is_some() {
        let what = "an emergency is now; it has no start of its own";
        return Err(Refusal::new(Code::Invalid, what));
    }
    if let Some(start) = asked.start
        && start > now + Span::hours(24 * 30)
    {
        return Err(Refusal::new(
            Code::Invalid,
            "a start more than 30 days ahead is too far: nobody can judge it now",
        ));
    }
    Ok(allowed)
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
            Err(Refusal::new(Code::OverLatestEnd, what))
        }
        _ => Ok(()),
    }
}
