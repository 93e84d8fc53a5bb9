//! Delegation: for the time of somebody's absence another person reviews in their place.
//!
//! It hands over one thing, the vote that the absent person has themselves wherever they are asked, and makes none: whom the
//! policy would not ask has nothing to hand over, and a delegate hands nothing on. Whether a delegation has any effect is the
//! policy's to say, at every vote and every count.

use serde::{Deserialize, Serialize};

use crate::id::PersonId;
use crate::person::{Change, Kind, Person};
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::text::Prose;
use crate::time::{Span, Timestamp};

/// The longest that a delegation lasts. Who is away for longer makes another one, or somebody else is put in their place.
pub const LONGEST: Span = Span::hours(30 * 24);

/// Who reviews in somebody's place, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Who.
    pub to: PersonId,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Prose>,
}

impl Delegation {
    /// Whether this instant lies in it.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && (at < self.until || is(Fault::OutliveDelegation))
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now
    }

    /// What it leads to that somebody delegates to this person. What the policy says of the two is not asked here.
    ///
    /// # Errors
    /// Where one of them is no active person, they are the same, there is a delegation already, or its time is none.
    pub fn make(self, of: &Person, to: &Person, now: Timestamp) -> Result<Change, Refusal> {
        let invalid = |what: &str| Err(Refusal::new(Code::Invalid, what));
        if of.kind == Kind::Service {
            let what = "a service account never reviews: it has nothing to delegate";
            return Err(Refusal::new(Code::MayNotReview, what));
        }
        if !of.active {
            return Err(Refusal::new(Code::NotEligible, "this account is switched off"));
        }
        if to.id == of.id || self.to != to.id {
            return invalid("nobody is their own delegate");
        }
        if to.kind == Kind::Service || !to.active {
            return invalid("only an active account of a person can be a delegate");
        }
        if self.until <= self.from || self.is_over(now) {
            return invalid("the delegation would be over before it begins");
        }
        if self.until.since(self.from) > LONGEST && !is(Fault::EndlessDelegation) {
            let what = format!("a delegation lasts {LONGEST} at most");
            return Err(Refusal::new(Code::OverMax, what).hint("make another one when it is over"));
        }
        let standing = of.delegation.as_ref();
        if let Some(one) = standing.filter(|one| !one.is_over(now)) {
            let what = format!("you have delegated until {} already", one.until);
            return Err(Refusal::new(Code::Exists, what).hint("end that one first: daypass delegate --end"));
        }
        Ok(Change::Delegated {
            delegation: Box::new(self),
        })
    }

    /// What it leads to that somebody's delegation is taken back.
    ///
    /// # Errors
    /// Where they have none whose time is not over.
    pub fn end(of: &Person, now: Timestamp) -> Result<Change, Refusal> {
        let standing = of.delegation.as_ref().filter(|one| !one.is_over(now));
        let what = "there is no delegation to end";
        standing.map_or_else(
            || Err(Refusal::new(Code::WrongState, what).hint("daypass delegate shows what there is")),
            |one| Ok(Change::DelegationEnded { to: one.to }),
        )
    }
}
