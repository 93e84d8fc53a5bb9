//! Whoever could ask through an account does not agree to what it asks; and whether those who agreed are still who is asked,
//! before access begins.

use std::collections::BTreeSet;

use daypass_core::behind::Hand;
use daypass_core::id::PersonId;
use daypass_core::person::Person;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::Voter;
use daypass_core::time::Timestamp;

use crate::scene::Scene;
use crate::{Directory, Policy};

impl Policy {
    /// Whether this person has had no hand lately in an account that is near to it: the requester's, that of who answers for it, or
    /// the one that a change is about. Who made it, gave it groups, set its password or issued a token to it could be the one who
    /// asks, or is asked for.
    ///
    /// # Errors
    /// [`Code::OwnRequest`], with what they did.
    pub(crate) fn no_puppet(&self, reviewer: PersonId, scene: Scene<'_>) -> Result<(), Refusal> {
        let did = |account: PersonId| {
            let account = scene.directory.person(account)?;
            self.hand_in(account, reviewer, scene.now)
        };
        let Some(hand) = scene.near().find_map(did).filter(|_| !is(Fault::PuppetsAgree)) else {
            return Ok(());
        };
        let what = match hand {
            Hand::Token { until } => {
                format!(
                    "a token that you issued to the account that asks, or to one that this is about, is taken until {until}"
                )
            }
            Hand::Changed { at } => {
                let settle = self.document.defaults.settle;
                let until = at + settle;
                format!(
                    "you made or changed the account that asks, that of who answers for it, or one that this is about, or had a \
                     token to it, less than {settle} ago; you may review this from {until}"
                )
            }
        };
        let what = format!("nobody reviews their own request, and this counts as yours: {what}");
        Err(Refusal::new(Code::OwnRequest, what).hint("leave it to the others whom the step asks"))
    }

    /// Whether nobody else could be the one who acts by this account: nobody else has made it, changed it or had a token to it
    /// within the settling time. What it hands out would be theirs, and outlive that its owner takes it back.
    ///
    /// # Errors
    /// [`Code::Forbidden`], with until when.
    pub fn not_borrowed(&self, account: &Person, now: Timestamp) -> Result<(), Refusal> {
        let hands = account.behind.people();
        let until = hands.filter_map(|who| match self.hand_in(account, who, now)? {
            Hand::Token { until } => Some(until),
            Hand::Changed { at } => Some(at + self.document.defaults.settle),
        });
        let Some(until) = until.max() else {
            return Ok(());
        };
        let what = format!(
            "somebody else made or changed the account {}, and could be the one who asks for this",
            account.login.text()
        );
        let hint = format!("it may from {until} on, once it was left alone for as long as `settle` says");
        Err(Refusal::new(Code::Forbidden, what).hint(hint))
    }

    /// In which way somebody else has had a hand in this account lately, if they have.
    fn hand_in(&self, account: &Person, who: PersonId, now: Timestamp) -> Option<Hand> {
        let settle = self.document.defaults.settle;
        account.behind.hand(who, now).filter(|hand| match hand {
            Hand::Token { .. } => true,
            Hand::Changed { at } => now.since(*at) < settle,
        })
    }

    /// Whether the requester's agreement of others still holds, before access begins: it is counted as at a vote, but that nothing
    /// need have settled. It was settled when they agreed, and a new password since then is no reason to take access away.
    ///
    /// # Errors
    /// Where a step lacks somebody who agreed to it.
    pub fn still_agreed(
        &self,
        request: &Request,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene::new(request, directory, now).settled();
        request.still_agreed(|step, review| {
            // Votes came from those whom the step asks first, or from those whom silence brought in.
            let voter = Voter::Did(review);
            self.right((step, true), voter, &BTreeSet::new(), scene).is_ok()
        })
    }
}
