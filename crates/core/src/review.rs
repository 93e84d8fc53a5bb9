//! Reviews: one person's decision on one step, and the tally that alone can make an approval of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::PersonId;
use crate::name::{Item, Name};
use crate::planted::{Fault, is};
use crate::text::{Hash, Prose};
use crate::time::{Span, Timestamp};

/// Whom a step asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The requester's manager.
    Manager,
    /// A set of people that the policy names.
    People(Name),
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manager => f.pad("manager"),
            Self::People(name) => f.pad(name.as_str()),
        }
    }
}

/// Where a request stood when nobody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// The step that was open, counted from 0.
    pub step: usize,
    /// Whether others had been asked as well.
    pub escalated: bool,
}

/// What follows when a step stays unanswered. There is no variant that approves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Silence {
    /// The request lapses.
    Deny,
    /// Others are asked as well, once, for so long.
    Escalate {
        /// Whom.
        to: From,
        /// How long they have; then the request lapses.
        within: Span,
    },
}

/// One stage of an approval chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Whom it asks.
    pub from: From,
    /// How many different people must agree; at least one.
    pub count: u32,
    /// How long they have, from when the step opens.
    pub within: Span,
    /// What follows silence.
    pub silence: Silence,
    /// Within how long before it whoever reviews this step must have proved who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa: Option<Span>,
    /// The guardrail that brought it, where the rule did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Name>,
}

/// What a reviewer decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
pub enum Decision {
    /// Yes, within these bounds.
    Approve {
        /// At most so long; `None` leaves the length as asked.
        duration: Option<Span>,
        /// Only these items; `None` leaves all that were asked for.
        items: Option<BTreeSet<Item>>,
    },
    /// No.
    Deny,
}

/// One person's decision on one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who decided.
    pub reviewer: PersonId,
    /// In whose place, where they are away and delegated to the reviewer; `None` where that one decided in their own right.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub on_behalf: Option<PersonId>,
    /// The step, counted from 0, that was open when they did.
    pub step: usize,
    /// What they decided.
    pub decision: Decision,
    /// The digest of the request that they saw.
    pub digest: Hash,
    /// Why, in their words.
    pub comment: Option<Prose>,
    /// When.
    pub at: Timestamp,
}

impl Review {
    /// Whose voice it is: the reviewer's, and that of the one in whose place they decided. Neither has another one.
    pub fn voices(&self) -> impl Iterator<Item = PersonId> + use<> {
        std::iter::once(self.reviewer).chain(self.on_behalf)
    }

    /// Whether it is this person's voice.
    #[must_use]
    pub fn is_of(&self, person: PersonId) -> bool {
        self.voices().any(|one| one == person)
    }

    /// The question whether this one, which is not cast yet, may be.
    pub(crate) const fn cast(&self) -> Voter<'static> {
        match self.decision {
            Decision::Approve { .. } => Voter::Would(self.reviewer),
            Decision::Deny => Voter::WouldDeny(self.reviewer),
        }
    }
}

/// Of whom it is asked whether they may review.
#[derive(Debug, Clone, Copy)]
pub enum Voter<'a> {
    /// Of somebody who would agree.
    Would(PersonId),
    /// Of somebody who would say no. That is not counted, so that in their own right nobody else's vote keeps them from it.
    WouldDeny(PersonId),
    /// Of somebody who did: whether it still counts.
    Did(&'a Review),
}

impl Voter<'_> {
    /// Who.
    #[must_use]
    pub const fn person(self) -> PersonId {
        match self {
            Self::Would(person) | Self::WouldDeny(person) => person,
            Self::Did(review) => review.reviewer,
        }
    }
}

/// The outcome "threshold met" of a whole chain. Only [`tally`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    reviews: Vec<Review>,
    duration: Span,
    items: BTreeSet<Item>,
}

impl Approval {
    /// The reviews that count, in the order they came.
    #[must_use]
    pub fn reviews(&self) -> &[Review] {
        &self.reviews
    }

    /// The length that all of them agree on.
    #[must_use]
    pub const fn duration(&self) -> Span {
        self.duration
    }

    /// The items that all of them agree on; never empty.
    #[must_use]
    pub const fn items(&self) -> &BTreeSet<Item> {
        &self.items
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> impl Iterator<Item = &mut Prose> {
        self.reviews
            .iter_mut()
            .filter_map(|review| review.comment.as_mut())
    }
}

/// How far a chain has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tally {
    /// This step, counted from 0, still lacks so many people.
    Waiting {
        /// The open step.
        step: usize,
        /// How many more.
        missing: u32,
    },
    /// Every step has its people, but what they agree on is nothing.
    Nothing,
    /// Every step has its people.
    Approved(Approval),
}

/// A step that lacks people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Which, counted from 0.
    pub step: usize,
    /// How many more.
    pub missing: u32,
}

/// Counts the reviews against the steps, in order: those that count, where every step has its people.
///
/// `counts` says whether a review still has standing now (the reviewer may have lost it since). One person counts once in
/// the whole chain, whichever steps they voted in.
///
/// # Errors
/// The first step that lacks somebody.
pub fn counted<'r>(
    steps: &[Step],
    reviews: &'r [Review],
    counts: impl Fn(&Review) -> bool,
) -> Result<Vec<&'r Review>, Missing> {
    let mut people = BTreeSet::new();
    let mut all = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut have = 0;
        for review in reviews.iter().filter(|review| review.step == index) {
            if review.decision == Decision::Deny {
                continue;
            }
            let heard = review.voices().any(|voice| people.contains(&voice));
            people.extend(review.voices());
            let twice = heard && !is(Fault::CountTwice);
            if twice || !(counts(review) || is(Fault::CountLostStanding)) {
                continue;
            }
            have += 1;
            all.push(review);
        }
        let short = u32::from(step.count > 1 && is(Fault::CountShort));
        let wanted = step.count.max(1) - short;
        if have < wanted {
            return Err(Missing {
                step: index,
                missing: wanted - have,
            });
        }
    }
    Ok(all)
}

/// What the reviews make of a request: [`counted`], and the intersection of the bounds of those that count.
pub fn tally(
    steps: &[Step],
    reviews: &[Review],
    asked: (Span, &BTreeSet<Item>),
    counts: impl Fn(&Review) -> bool,
) -> Tally {
    let reviews = match counted(steps, reviews, counts) {
        Ok(reviews) => reviews,
        Err(Missing { step, missing }) => return Tally::Waiting { step, missing },
    };
    let mut approval = Approval {
        reviews: Vec::new(),
        duration: asked.0,
        items: asked.1.clone(),
    };
    for review in reviews {
        let Decision::Approve { duration, items } = &review.decision else {
            continue;
        };
        let duration = duration.filter(|_| !is(Fault::ApproveForMore));
        approval.duration = duration.map_or(approval.duration, |most| most.min(approval.duration));
        if let Some(items) = items {
            approval.items.retain(|item| items.contains(item));
        }
        approval.reviews.push(review.clone());
    }
    if approval.items.is_empty() || approval.duration == Span::ZERO {
        return Tally::Nothing;
    }
    Tally::Approved(approval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(count: u32) -> Step {
        Step {
            from: From::People("leads".parse().unwrap()),
            count,
            within: Span::hours(1),
            silence: Silence::Deny,
            mfa: None,
            guardrail: None,
        }
    }

    fn review(who: u8, step: usize) -> Review {
        Review {
            reviewer: PersonId::from_bytes([who; 10]),
            on_behalf: None,
            step,
            decision: Decision::Approve {
                duration: None,
                items: None,
            },
            digest: Hash::of(b"x"),
            comment: None,
            at: Timestamp::EPOCH,
        }
    }

    fn items(names: &[&str]) -> BTreeSet<Item> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(steps: &[Step], reviews: &[Review], expect: Result<usize, usize>) {
        match (
            tally(steps, reviews, (Span::hours(1), &items(&["a/b"])), |_| true),
            expect,
        ) {
            (Tally::Approved(approval), Ok(count)) => assert_eq!(approval.reviews().len(), count),
            (Tally::Waiting { step, .. }, Err(at)) => assert_eq!(step, at),
            (got, expect) => panic!("{got:?} where {expect:?} was expected"),
        }
    }

    #[test]
    fn steps_fill_in_order() {
        check(&[step(1), step(1)], &[], Err(0));
        check(&[step(1), step(1)], &[review(1, 0)], Err(1));
        check(&[step(1), step(1)], &[review(2, 1)], Err(0));
        check(&[step(1), step(1)], &[review(1, 0), review(2, 1)], Ok(2));
        check(&[], &[], Ok(0));
    }

    #[test]
    fn one_person_counts_once_in_the_whole_chain() {
        check(&[step(2)], &[review(1, 0), review(1, 0)], Err(0));
        check(&[step(1), step(1)], &[review(1, 0), review(1, 1)], Err(1));
    }

    #[test]
    fn a_delegate_and_who_delegated_count_once() {
        let instead = |who, of: u8, step| Review {
            on_behalf: Some(PersonId::from_bytes([of; 10])),
            ..review(who, step)
        };
        check(&[step(1)], &[instead(2, 1, 0)], Ok(1));
        check(&[step(2)], &[instead(2, 1, 0), review(3, 0)], Ok(2));
        check(&[step(2)], &[instead(2, 1, 0), review(1, 0)], Err(0));
        check(&[step(2)], &[review(1, 0), instead(2, 1, 0)], Err(0));
        check(&[step(2)], &[instead(2, 1, 0), instead(2, 3, 0)], Err(0));
        check(&[step(2)], &[instead(2, 1, 0), instead(3, 1, 0)], Err(0));
        check(&[step(1), step(1)], &[instead(2, 1, 0), instead(3, 2, 1)], Err(1));
    }

    #[test]
    fn a_step_that_asks_for_nobody_still_asks_for_one() {
        check(&[step(0)], &[], Err(0));
    }

    #[test]
    fn a_denial_never_counts_as_agreement() {
        let denial = Review {
            decision: Decision::Deny,
            ..review(1, 0)
        };
        check(&[step(1)], &[denial], Err(0));
    }

    #[test]
    fn a_review_that_lost_its_standing_is_not_counted() {
        let reviews = [review(1, 0), review(2, 0)];
        let lost = PersonId::from_bytes([1; 10]);
        let tally = tally(&[step(2)], &reviews, (Span::hours(1), &items(&["a/b"])), |r| {
            r.reviewer != lost
        });
        assert_eq!(tally, Tally::Waiting { step: 0, missing: 1 });
    }

    #[test]
    fn the_approval_is_what_all_agree_on() {
        let bounded = |who, step, minutes, names: &[&str]| Review {
            decision: Decision::Approve {
                duration: Some(Span::minutes(minutes)),
                items: Some(items(names)),
            },
            ..review(who, step)
        };
        let asked = items(&["a/r", "b/r", "c/r"]);
        let steps = [step(1), step(1)];
        let reviews = [
            bounded(1, 0, 30, &["a/r", "b/r"]),
            bounded(2, 1, 45, &["b/r", "c/r"]),
        ];
        let Tally::Approved(approval) = tally(&steps, &reviews, (Span::hours(1), &asked), |_| true) else {
            panic!("both steps have their person")
        };
        assert_eq!(approval.duration(), Span::minutes(30));
        assert_eq!(approval.items(), &items(&["b/r"]));
        let reviews = [bounded(1, 0, 30, &["a/r"]), bounded(2, 1, 45, &["c/r"])];
        assert_eq!(
            tally(&steps, &reviews, (Span::hours(1), &asked), |_| true),
            Tally::Nothing
        );
    }
}
