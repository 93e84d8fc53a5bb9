//! Delegations on the wire.

use daypass_api::delegation as api;
use daypass_core::delegation::Delegation;
use daypass_core::lock::On;
use daypass_core::person::Person;
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_engine::Current;

use super::words;

/// A delegation of this person. `locked`: what is locked.
#[must_use]
pub(crate) fn delegation(
    of: &Person,
    delegation: &Delegation,
    current: &Current,
    locked: &World,
    now: Timestamp,
) -> api::Delegation {
    let to = delegation.to;
    let directory = current.directory.as_ref();
    let shut = [of.id, to]
        .into_iter()
        .any(|person| locked.locked(&On::Person(person)).is_some());
    let begins = delegation.from.max(now);
    let counts = of.active && !shut && current.policy.delegate_of(of.id, directory, begins) == Some(to);
    api::Delegation {
        of: directory.login(of.id),
        to: directory.login(to),
        from: delegation.from,
        until: delegation.until,
        reason: delegation.why.as_ref().and_then(words),
        state: match (counts, now < delegation.from) {
            (false, _) => api::DelegationState::Void,
            (true, true) => api::DelegationState::Planned,
            (true, false) => api::DelegationState::Active,
        },
    }
}
