//! Faults planted on purpose: what the simulation's checkers are tested by.
//!
//! A place in the code asks [`is`] whether its fault is planted. Without the feature `planted` the answer is a constant, so
//! that nothing of it is in the product; with it, it is what the thread was told last.

macro_rules! faults {
    ($($variant:ident, $name:literal, $what:literal;)*) => {
        /// A fault that can be planted. Each undoes one thing that the design does on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $what] $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name, and what it undoes.
            #[must_use]
            pub const fn told(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$variant => ($name, $what),)*
                }
            }
        }
    };
}

faults! {
    SkipReadBack, "skip-read-back", "An end counts as seen because the call returned.";
    ForgetHolder, "forget-a-holder", "What one grant ends is taken away although another holds it.";
    TrustStaleFence, "trust-a-stale-fence", "A worker that was overtaken writes down what it saw, and nobody waits for another's claim.";
    CountTwice, "count-one-person-twice", "One person counts once for each step.";
    CountShort, "count-short", "A step that wants several has enough with one fewer.";
    OwnRequest, "approve-ones-own", "Who asks may agree.";
    CountLostStanding, "count-lost-standing", "A vote counts although its voter may not review any more.";
    AdoptStanding, "adopt-standing-access", "What stood there before is taken for ours.";
    RenewFromNow, "renew-from-connect-time", "A deadline is counted from now on, each time that somebody looks.";
    CallBeforeIntent, "call-before-intent", "Something is provisioned before it is written down.";
    GiveUp, "give-up-revoking", "A removal that failed three times is not tried again.";
    FollowTheClock, "follow-a-clock-set-back", "Time goes back with the clock.";
    ForgetTheShift, "forget-the-shift", "A start does not know how far the clock was set back.";
    IgnoreKeys, "ignore-idempotency-keys", "The same command makes another request.";
    NoSweep, "no-sweep", "Nobody asks the targets what is there.";
    BelieveLimits, "believe-limits", "Nobody looks whether a limit was changed by hand.";
    IgnoreLag, "ignore-propagation", "A read proves something although the change may not show yet.";
    ForgetDoubt, "forget-doubt", "A provisioning without an answer counts as one that did nothing.";
    TrustOldSight, "trust-old-sight", "What was seen before a grant began counts as seen for it.";
    HalfBundle, "half-a-bundle", "A bundle is active when one of its items is there.";
    ExtendTheDead, "extend-after-the-deadline", "A grant that has run out is lengthened.";
    SkipEvent, "skip-an-event", "A change of state is not in the log.";
    OldDirectory, "decide-from-an-old-directory", "A decision does not look whether the directory has changed.";
    ApproveForMore, "ignore-lesser-approvals", "What a reviewer bounded is not bounded.";
    WaitForTheStore, "wait-for-the-store", "A removal waits until the store takes the note of it.";
    IgnoreLocks, "ignore-locks", "Nothing looks whether a person or resource is locked.";
    KeepLeavers, "keep-what-leavers-hold", "What somebody holds goes on when their account is switched off.";
    SaidEnded, "end-in-words-only", "Whoever ends a grant is told that it ends, and it goes on.";
    BeginLate, "begin-however-late", "A call is begun however long ago it was looked at.";
    AnyGlass, "break-glass-by-any-verb", "A rule for emergencies is taken for any request.";
    ForgetUses, "forget-uses", "What was approved does not count as a use.";
    ForgetHeld, "forget-what-was-held", "What has ended was never held.";
    AskAgain, "ask-again-at-once", "Who was denied something asks for it again at once.";
    OutliveWindow, "outlive-the-window", "The end of its window does not bound a grant.";
    ForbidOnlyNow, "forbid-only-now", "A forbidden window is looked at when access begins, and not when it would reach into it.";
    AnySource, "ask-from-anywhere", "A rule with sources is taken from any address.";
    ForgetGuards, "forget-whom-guardrails-ask", "Nobody is asked whom a guardrail asks.";
    PartOfEnvironment, "part-of-an-environment", "An environment stands for the first of its resources.";
    AnyTicket, "end-for-any-ticket", "A ticket that is closed ends what was granted for another.";
    ForgetTicket, "forget-what-waits", "What has yet to begin does not end with its ticket.";
    ApplyStale, "apply-what-is-stale", "A change comes in force in the place of another policy than it was proposed for.";
    AskNobody, "ask-nobody", "One person alone changes a policy that asks others.";
    HeardTwice, "hear-one-voice-twice", "Who delegated and their delegate count as two.";
    AnyDelegate, "delegate-to-anybody", "Anybody is a delegate, whomever the policy names.";
    HandOn, "hand-a-delegation-on", "What was delegated to somebody is delegated further.";
    OutliveDelegation, "outlive-a-delegation", "A delegation whose time is over goes on.";
    TakenBack, "count-what-was-taken-back", "A vote counts by a delegation that was taken back.";
    EndlessDelegation, "delegate-for-ever", "A delegation lasts as long as somebody says.";
    OwnersAgree, "owners-agree", "Who answers for a program agrees to what it asks for.";
    AnyOwner, "answered-for-by-nobody", "A program asks whose owner is switched off.";
    OrphansKeep, "orphans-keep", "What a program holds does not end when its owner is switched off.";
    EditAlone, "edit-alone", "One person alone changes accounts that the policy covers.";
    OwnEdit, "agree-to-ones-own-edit", "Whose account it is agrees to a change of it.";
    EditAnyway, "edit-what-is-another", "A change of an account is carried out although the account is another by then.";
    HalfAnEdit, "agree-and-do-nothing", "The last review of a change of an account does not carry it out.";
    PuppetsAgree, "puppets-agree", "Who made an account or has a token to it agrees to what it asks for.";
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
