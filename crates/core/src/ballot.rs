//! Who may cast a vote on something that waits for reviews: a request, or a change of the policy. What a vote leads to is theirs.

use crate::id::PersonId;
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::review::{Decision, Review};
use crate::text::Hash;
use crate::time::Timestamp;

/// What is voted on.
pub(crate) struct Ballot<'a> {
    /// In a word: `request`, `change`.
    pub(crate) what: &'static str,
    /// Whose it is. They never vote on it.
    pub(crate) owner: PersonId,
    /// What voters name, so that they vote on what they saw.
    pub(crate) digest: Hash,
    /// The votes so far.
    pub(crate) reviews: &'a [Review],
}

impl Ballot<'_> {
    /// Whether it is still open.
    pub(crate) fn open(&self, due_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if now < due_at {
            return Ok(());
        }
        let what = format!("the {} lapsed at {due_at}: nobody answered in time", self.what);
        Err(Refusal::new(Code::AlreadyDecided, what))
    }

    /// Whether this vote may be cast; it is noted in it in whose place. `may`: whether the open step asks this person, or one
    /// who delegated to them.
    pub(crate) fn admit(
        &self,
        review: &mut Review,
        may: impl FnOnce() -> Result<Option<PersonId>, Refusal>,
    ) -> Result<(), Refusal> {
        let what = self.what;
        if review.reviewer == self.owner && !is(Fault::OwnRequest) {
            let what = format!("nobody reviews their own {what}");
            return Err(Refusal::new(Code::OwnRequest, what));
        }
        // Before the question whether they may: the next step asks others, and "not you" would not say why.
        let heard = |who: PersonId| {
            let found = self.reviews.iter().find(|earlier| earlier.is_of(who));
            found.filter(|_| !is(Fault::CountTwice))
        };
        // Who was heard through their delegate alone may still say no: that is not counted.
        let themselves =
            |earlier: &&Review| review.decision != Decision::Deny || earlier.reviewer == review.reviewer;
        if let Some(earlier) = heard(review.reviewer).filter(themselves) {
            let what = if earlier.reviewer == review.reviewer {
                format!("you reviewed this {what} already; one person counts once")
            } else {
                format!("your delegate reviewed this {what} in your place; together you count once")
            };
            return Err(Refusal::new(Code::AlreadyReviewed, what));
        }
        review.on_behalf = may()?;
        if review.on_behalf == Some(self.owner) {
            let what = format!("nobody reviews a {what} in its owner's place");
            return Err(Refusal::new(Code::OwnRequest, what));
        }
        if review.on_behalf.and_then(heard).is_some() {
            let what = format!("the one in whose place you would review has reviewed this {what} already");
            return Err(Refusal::new(Code::AlreadyReviewed, what));
        }
        if review.digest != self.digest {
            let what = format!("the {what} that you saw is not the one that stands here");
            return Err(Refusal::new(Code::DigestMismatch, what).hint("look at it again, then decide"));
        }
        Ok(())
    }
}
