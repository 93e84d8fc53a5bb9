//! A grant on the wire, with what is known of it at its targets.

use std::collections::BTreeMap;

use daypass_api::grant as api;
use daypass_core::entitlement::{Entitlement, Observed, TargetKey};
use daypass_core::grant::{Grant, Part, Proof, Reason, State};
use daypass_core::name::Item;
use daypass_core::time::Timestamp;
use daypass_engine::Snapshot;

use super::{items, words};

/// A grant as somebody sees it who may; that this one may end it, the caller of this says. `seen` holds the entitlements of its parts, as far as there are any.
#[must_use]
pub(crate) fn grant(
    grant: &Grant,
    seen: &BTreeMap<TargetKey, Entitlement>,
    people: &Snapshot,
    now: Timestamp,
) -> api::Grant {
    let (ending_since, ended_at, reason, overdue) = match &grant.state {
        State::Ending {
            since,
            reason,
            overdue,
            ..
        } => (Some(*since), None, Some(reason), *overdue),
        State::Ended {
            ending_since,
            at,
            reason,
            ..
        } => (Some(*ending_since), Some(*at), Some(reason), false),
        _ => (None, None, None, false),
    };
    let starts_at = match &grant.state {
        // Once its time has come it is about to be set up, and begins when that is done.
        State::Scheduled { start } if *start > now => Some(*start),
        _ => None,
    };
    api::Grant {
        id: grant.id,
        request: grant.request,
        state: state(&grant.state),
        holder: people.login(grant.holder),
        items: items(grant.parts.iter().map(Part::item)),
        duration: grant.duration,
        starts_at,
        activated_at: grant.active_since(),
        expires_at: grant.expires_at(),
        latest_end: grant.latest_end,
        end_when: grant.end_when.iter().map(ToString::to_string).collect(),
        ending_since,
        ended_at,
        ended_reason: reason.map(|reason| reason.name().to_owned()),
        ended_detail: reason.and_then(|reason| detail(reason, people)),
        overdue,
        break_glass: grant.break_glass,
        endable: false,
        entitlements: grant
            .parts
            .iter()
            .map(|part| entitlement(grant, part, seen, overdue, now))
            .collect(),
    }
}

/// A grant whose end began, with what its holder still has of the same.
#[must_use]
pub(crate) fn ending(ended: api::Grant, surviving: &[Grant]) -> api::Ending {
    let surviving = surviving.iter().map(|other| api::Surviving {
        id: other.id,
        items: items(other.parts.iter().map(Part::item))
            .into_iter()
            .filter(|item| ended.items.contains(item))
            .collect(),
        expires_at: other.expires_at(),
    });
    api::Ending {
        surviving: surviving.collect(),
        grant: ended,
    }
}

const fn state(state: &State) -> api::GrantState {
    match state {
        State::Scheduled { .. } => api::GrantState::Scheduled,
        State::Activating { .. } => api::GrantState::Activating,
        State::Active { .. } => api::GrantState::Active,
        State::Ending { .. } => api::GrantState::Ending,
        State::Ended { .. } => api::GrantState::Ended,
    }
}

fn detail(reason: &Reason, people: &Snapshot) -> Option<String> {
    match reason {
        Reason::Revoked { by, why } => {
            let by = people.login(*by);
            Some(match why.as_ref().and_then(words) {
                Some(why) => format!("by {by}: {why}"),
                None => format!("by {by}"),
            })
        }
        Reason::Ineligible { why } | Reason::Failed { why } => Some(why.clone()),
        Reason::Expired | Reason::Released | Reason::Completed | Reason::Locked | Reason::Removed => None,
    }
}

fn entitlement(
    grant: &Grant,
    part: &Part,
    seen: &BTreeMap<TargetKey, Entitlement>,
    overdue: bool,
    now: Timestamp,
) -> api::Entitlement {
    let observed = seen.get(&part.target).map(|entitlement| &entitlement.observed);
    let until = match observed {
        Some(Observed::Present { until, .. }) => *until,
        _ => None,
    };
    let desired = if grant.desired_until(now).is_some() {
        api::Desired::Present
    } else {
        api::Desired::Absent
    };
    let gone = matches!(observed, None | Some(Observed::Absent { .. }));
    api::Entitlement {
        resource: part.item().resource.clone(),
        role: part.item().role.clone(),
        kind: part.spec.kind.clone(),
        target: part.target.to_string(),
        subject: part.spec.subject.clone(),
        source: part.spec.source,
        desired,
        observed: match observed {
            None => api::Observed::Never,
            Some(Observed::Unknown { .. }) => api::Observed::Unknown,
            Some(Observed::Present { .. }) => api::Observed::Present,
            Some(Observed::Absent { .. }) => api::Observed::Absent,
        },
        observed_at: observed.map(Observed::at),
        until,
        overdue: overdue && !gone,
        evidence: evidence(grant, part.item()),
    }
}

fn evidence(grant: &Grant, item: &Item) -> Option<api::Evidence> {
    let State::Ended { evidence, .. } = &grant.state else {
        return None;
    };
    let found = evidence.iter().find(|one| one.item == *item)?;
    Some(match &found.proof {
        Proof::TargetRead { at, residue } => api::Evidence::TargetRead {
            at: *at,
            residue: residue.clone(),
        },
        Proof::Shown { at, by } => api::Evidence::Shown {
            at: *at,
            by: by.clone(),
        },
        Proof::HeldBy { grant } => api::Evidence::HeldBy { grant: *grant },
        Proof::NeverProvisioned => api::Evidence::NeverProvisioned,
    })
}
