//! Locks on the wire.

use daypass_api::lock as api;
use daypass_core::lock::{Lock, On};
use daypass_engine::Snapshot;

use super::words;

/// A lock as administrators and auditors see it.
#[must_use]
pub(crate) fn lock(lock: &Lock, people: &Snapshot) -> api::Lock {
    api::Lock {
        on: on(&lock.on, people),
        by: people.login(lock.by),
        since: lock.at,
        reason: words(&lock.why),
    }
}

/// What is locked, as people call it.
#[must_use]
pub(crate) fn on(on: &On, people: &Snapshot) -> api::LockOn {
    match on {
        On::Person(id) => api::LockOn::Person(people.login(*id)),
        On::Resource(name) => api::LockOn::Resource(name.to_string()),
    }
}
