//! Who has what, on the wire.

use daypass_api::access::{self as api, HeldBy, Way};
use daypass_api::grant::GrantState;
use daypass_core::name::Name;
use daypass_engine::Current;
use daypass_store::Holding;

/// One entry of the list.
#[must_use]
pub(crate) fn holding(one: &Holding, current: &Current) -> api::Holding {
    api::Holding {
        holder: current.directory.login(one.holder),
        item: one.item.clone().into(),
        env: env(current, &one.item.resource),
        by: by(one),
    }
}

pub(super) fn env(current: &Current, resource: &Name) -> Option<String> {
    let known = current.policy.resource(resource.as_str())?;
    known.environment().map(ToString::to_string)
}

pub(super) fn by(one: &Holding) -> HeldBy {
    // What the store says of one that has not ended.
    let state = match one.state.as_str() {
        "scheduled" => GrantState::Scheduled,
        "activating" => GrantState::Activating,
        "active" => GrantState::Active,
        _ => GrantState::Ending,
    };
    HeldBy {
        grant: one.grant,
        request: one.request,
        state,
        way: match one.way.as_str() {
            "instant" => Way::Instant,
            "emergency" => Way::Emergency,
            _ => Way::Reviewed,
        },
        since: one.since,
        until: one.until.filter(|_| state == GrantState::Active),
    }
}
