//! The kinds of notices there are.

use std::fmt;
use std::str::FromStr;

/// A kind of notice. Its name is part of what receivers are told, and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Somebody is asked to review a request.
    ReviewAsked,
    /// Half of the time for it has passed.
    ReviewReminder,
    /// A request was approved, denied, taken back, or lapsed.
    Decided,
    /// All of the access is there.
    Active,
    /// It will end soon.
    EndingSoon,
    /// Its end has begun.
    Ending,
    /// It was seen to be gone.
    Ended,
    /// It is not gone although it should be.
    Overdue,
    /// Somebody took access in an emergency.
    BreakGlass,
    /// Somebody has looked at that.
    BreakGlassReviewed,
    /// Nobody has looked at that in time.
    BreakGlassOverdue,
    /// A person or a resource was locked.
    Locked,
    /// A person or a resource was unlocked.
    Unlocked,
    /// Somebody is asked to agree to a change of the policy.
    ChangeAsked,
    /// Such a change was carried out, denied, taken back, or lapsed.
    ChangeDecided,
    /// Somebody delegated: another one reviews in their place.
    DelegationMade,
    /// That was taken back.
    DelegationEnded,
}

/// There is no notice of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no notice of this name")]
pub struct BadKind;

impl Kind {
    /// All of them, in the order of a request's life.
    pub const ALL: [Self; 17] = [
        Self::ReviewAsked,
        Self::ReviewReminder,
        Self::Decided,
        Self::Active,
        Self::EndingSoon,
        Self::Ending,
        Self::Ended,
        Self::Overdue,
        Self::BreakGlass,
        Self::BreakGlassReviewed,
        Self::BreakGlassOverdue,
        Self::Locked,
        Self::Unlocked,
        Self::ChangeAsked,
        Self::ChangeDecided,
        Self::DelegationMade,
        Self::DelegationEnded,
    ];

    /// Its name, for configuration and receivers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReviewAsked => "request.review_asked",
            Self::ReviewReminder => "request.review_reminder",
            Self::Decided => "request.decided",
            Self::Active => "grant.active",
            Self::EndingSoon => "grant.ending_soon",
            Self::Ending => "grant.ending",
            Self::Ended => "grant.ended",
            Self::Overdue => "grant.overdue",
            Self::BreakGlass => "break_glass.taken",
            Self::BreakGlassReviewed => "break_glass.reviewed",
            Self::BreakGlassOverdue => "break_glass.review_overdue",
            Self::Locked => "lock.locked",
            Self::Unlocked => "lock.unlocked",
            Self::ChangeAsked => "change.review_asked",
            Self::ChangeDecided => "change.decided",
            Self::DelegationMade => "delegation.made",
            Self::DelegationEnded => "delegation.ended",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = BadKind;

    fn from_str(text: &str) -> Result<Self, BadKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or(BadKind)
    }
}
