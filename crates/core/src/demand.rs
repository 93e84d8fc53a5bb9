//! What a path demands beside the agreement of others: a fresh proof of who somebody is, a recording, and who hears of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::review::Step;
use crate::time::{Span, Timestamp};

/// What the policy demands of a request beside its steps, frozen into its path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demands {
    /// Within how long before asking, and before each review, somebody must have proved who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa: Option<Span>,
    /// Whether what is done with the access is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// The sets of people that hear when the access is there, and when it has ended.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub notify: BTreeSet<Name>,
}

impl Demands {
    /// Whether nothing is demanded: then it is not written, so that events keep the bytes that they always had.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Within how long somebody must have proved who they are who reviews this step.
    #[must_use]
    pub fn mfa_of(&self, step: &Step) -> Option<Span> {
        shorter(self.mfa, step.mfa)
    }
}

/// Whether what is done with an access is recorded. The later one demands more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recording {
    /// Where that can be.
    BestEffort,
    /// Nothing is opened unrecorded.
    Required,
}

impl Recording {
    /// As the policy writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BestEffort => "best-effort",
            Self::Required => "required",
        }
    }
}

/// The more demanding of two lengths of time within which something must have been done.
#[must_use]
pub fn shorter(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether somebody who proved who they are at that instant (`None`: never, or by something that cannot) did so within this
/// length before `now`. As with every deadline, at the very end of it it is over. What lies ahead of `now` proves nothing:
/// a clock that was set back must not make a proof last longer.
#[must_use]
pub fn is_fresh(proved_at: Option<Timestamp>, within: Span, now: Timestamp) -> bool {
    proved_at.is_some_and(|at| at <= now && now < at + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_fresh_until_its_time_is_over() {
        let at = Timestamp::EPOCH + Span::hours(1);
        let ten = Span::minutes(10);
        let fresh = |now| is_fresh(Some(at), ten, now);
        assert!(fresh(at) && fresh(at + Span::minutes(9)));
        assert!(fresh(at + ten - Span::from_micros(1)));
        assert!(!fresh(at + ten), "at the very end it is over");
        assert!(!fresh(at + ten + Span::seconds(1)));
        assert!(!fresh(at - Span::from_micros(1)), "from the future");
        assert!(!is_fresh(None, ten, at));
        assert!(!is_fresh(Some(at), Span::ZERO, at));
    }

    #[test]
    fn the_shorter_time_wins() {
        let span = |minutes| Some(Span::minutes(minutes));
        assert_eq!(shorter(span(5), span(10)), span(5));
        assert_eq!(shorter(None, span(10)), span(10));
        assert_eq!(shorter(span(5), None), span(5));
        assert_eq!(shorter(None, None), None);
    }

    #[test]
    fn what_demands_nothing_is_not_written() {
        assert!(Demands::default().is_nothing());
        let json = serde_json::to_value(Demands::default()).unwrap();
        assert_eq!(json, serde_json::json!({}));
        let demands = Demands {
            mfa: Some(Span::minutes(10)),
            recording: Some(Recording::Required),
            notify: ["security".parse().unwrap()].into(),
        };
        let json = serde_json::to_value(&demands).unwrap();
        assert_eq!(json["recording"], "required");
        assert_eq!(serde_json::from_value::<Demands>(json).unwrap(), demands);
    }
}
