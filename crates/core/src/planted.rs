//! Faults planted on purpose: what the simulation's checkers are tested by.
//!
//! A place in the code asks [`is`] whether its fault is planted. Without the feature `planted` the answer is a constant, so
//! that nothing of it is in the product; with it, it is what the thread was told last.

/// A fault that can be planted. Each undoes one thing that the design does on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// An end counts as seen because the call returned.
    SkipReadBack,
    /// What one grant ends is taken away although another holds it.
    ForgetHolder,
    /// A worker that was overtaken writes down what it saw, and nobody waits for another's claim.
    TrustStaleFence,
    /// One person counts once for each step.
    CountTwice,
    /// A vote counts although its voter may not review any more.
    CountLostStanding,
    /// What stood there before is taken for ours.
    AdoptStanding,
    /// A deadline is counted from now on, each time that somebody looks.
    RenewFromNow,
    /// Something is provisioned before it is written down.
    CallBeforeIntent,
    /// A removal that failed three times is not tried again.
    GiveUp,
    /// Time goes back with the clock.
    FollowTheClock,
    /// A start does not know how far the clock was set back.
    ForgetTheShift,
    /// The same command makes another request.
    IgnoreKeys,
    /// Nobody asks the targets what is there.
    NoSweep,
    /// A read proves something although the change may not show yet.
    IgnoreLag,
    /// A provisioning without an answer counts as one that did nothing.
    ForgetDoubt,
    /// What was seen before a grant began counts as seen for it.
    TrustOldSight,
    /// A bundle is active when one of its items is there.
    HalfBundle,
    /// A grant that has run out is lengthened.
    ExtendTheDead,
    /// A change of state is not in the log.
    SkipEvent,
    /// A decision does not look whether the directory has changed.
    OldDirectory,
    /// What a reviewer bounded is not bounded.
    ApproveForMore,
    /// A removal waits until the store takes the note of it.
    WaitForTheStore,
    /// Nothing looks whether a person or resource is locked.
    IgnoreLocks,
    /// A rule for emergencies is taken for any request.
    AnyGlass,
}

/// Each with its name, and what it undoes.
const TOLD: &[(Fault, &str, &str)] = &[
    (
        Fault::SkipReadBack,
        "skip-read-back",
        "An end counts as seen because the call returned.",
    ),
    (
        Fault::ForgetHolder,
        "forget-a-holder",
        "What one grant ends is taken away although another holds it.",
    ),
    (
        Fault::TrustStaleFence,
        "trust-a-stale-fence",
        "A worker that was overtaken writes down what it saw, and nobody waits for another's claim.",
    ),
    (
        Fault::CountTwice,
        "count-one-person-twice",
        "One person counts once for each step.",
    ),
    (
        Fault::CountLostStanding,
        "count-lost-standing",
        "A vote counts although its voter may not review any more.",
    ),
    (
        Fault::AdoptStanding,
        "adopt-standing-access",
        "What stood there before is taken for ours.",
    ),
    (
        Fault::RenewFromNow,
        "renew-from-connect-time",
        "A deadline is counted from now on, each time that somebody looks.",
    ),
    (
        Fault::CallBeforeIntent,
        "call-before-intent",
        "Something is provisioned before it is written down.",
    ),
    (
        Fault::GiveUp,
        "give-up-revoking",
        "A removal that failed three times is not tried again.",
    ),
    (
        Fault::FollowTheClock,
        "follow-a-clock-set-back",
        "Time goes back with the clock.",
    ),
    (
        Fault::ForgetTheShift,
        "forget-the-shift",
        "A start does not know how far the clock was set back.",
    ),
    (
        Fault::IgnoreKeys,
        "ignore-idempotency-keys",
        "The same command makes another request.",
    ),
    (
        Fault::NoSweep,
        "no-sweep",
        "Nobody asks the targets what is there.",
    ),
    (
        Fault::IgnoreLag,
        "ignore-propagation",
        "A read proves something although the change may not show yet.",
    ),
    (
        Fault::ForgetDoubt,
        "forget-doubt",
        "A provisioning without an answer counts as one that did nothing.",
    ),
    (
        Fault::TrustOldSight,
        "trust-old-sight",
        "What was seen before a grant began counts as seen for it.",
    ),
    (
        Fault::HalfBundle,
        "half-a-bundle",
        "A bundle is active when one of its items is there.",
    ),
    (
        Fault::ExtendTheDead,
        "extend-after-the-deadline",
        "A grant that has run out is lengthened.",
    ),
    (
        Fault::SkipEvent,
        "skip-an-event",
        "A change of state is not in the log.",
    ),
    (
        Fault::OldDirectory,
        "decide-from-an-old-directory",
        "A decision does not look whether the directory has changed.",
    ),
    (
        Fault::ApproveForMore,
        "ignore-lesser-approvals",
        "What a reviewer bounded is not bounded.",
    ),
    (
        Fault::WaitForTheStore,
        "wait-for-the-store",
        "A removal waits until the store takes the note of it.",
    ),
    (
        Fault::IgnoreLocks,
        "ignore-locks",
        "Nothing looks whether a person or resource is locked.",
    ),
    (
        Fault::AnyGlass,
        "break-glass-by-any-verb",
        "A rule for emergencies is taken for any request.",
    ),
];

impl Fault {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TOLD.iter().map(|(fault, ..)| *fault)
    }

    /// Its name, and what it undoes.
    #[must_use]
    pub fn told(self) -> (&'static str, &'static str) {
        let found = TOLD.iter().find(|(fault, ..)| *fault == self);
        found.map_or(("unnamed", ""), |(_, name, what)| (name, what))
    }
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Plants a fault on this thread, or takes the one that is there away.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }

    /// Whether this fault is planted.
    #[must_use]
    pub fn is(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }
}

#[cfg(feature = "planted")]
pub use switch::{is, plant};

/// Whether this fault is planted: never.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is(_: Fault) -> bool {
    false
}
