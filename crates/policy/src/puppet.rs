//! Whoever could ask through an account does not agree to what it asks; and whether those who agreed are still who is asked,
//! before access begins.

use daypass_core::behind::Hand;
use daypass_core::id::PersonId;
use daypass_core::person::Kind;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::{From, Silence, Step};
use daypass_core::time::Timestamp;

use crate::standing::Scene;
use crate::{Directory, Policy};

impl Policy {
    /// Whether this person has had no hand in the requester's account lately: who made it, gave it groups, set its password or
    /// issued a token to it could be the one who asks.
    ///
    /// # Errors
    /// [`Code::OwnRequest`], with what they did.
    pub(crate) fn no_puppet(&self, reviewer: PersonId, scene: Scene<'_>) -> Result<(), Refusal> {
        let requester = scene.directory.person(scene.requester);
        let hand = requester.and_then(|requester| requester.behind.hand(reviewer, scene.now));
        let hand = hand.filter(|_| !is(Fault::PuppetsAgree));
        let settle = self.document.defaults.settle;
        let what = match hand {
            Some(Hand::Token { until }) => {
                format!("a token that you issued to the account that asks is taken until {until}")
            }
            Some(Hand::Changed { at }) if scene.now.since(at) < settle => {
                let until = at + settle;
                format!(
                    "you made or changed the account that asks, or had a token to it, less than {settle} ago; \
                     you may review what it asks from {until}"
                )
            }
            Some(Hand::Changed { .. }) | None => return Ok(()),
        };
        let what = format!("nobody reviews their own request, and this counts as yours: {what}");
        Err(Refusal::new(Code::OwnRequest, what).hint("leave it to the others whom the step asks"))
    }

    /// Whether the requester's agreement of others still holds, before access begins: those who agreed are active, not locked, and
    /// still whom their step asks, first or by escalation. What has to settle is left out: it was settled when they agreed, and
    /// a new password since then is no reason to take access away.
    ///
    /// # Errors
    /// Where a step lacks somebody who agreed to it.
    pub fn still_agreed(
        &self,
        request: &Request,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let scene = Scene::of(request, directory, now);
        request.still_agreed(|step, review| {
            let whose = review.on_behalf.unwrap_or(review.reviewer);
            [review.reviewer, whose]
                .into_iter()
                .all(|who| !scene.is_own(who) && is_there(who, scene))
                && self.is_still_asked(step, whose, scene)
        })
    }

    fn is_still_asked(&self, step: &Step, who: PersonId, scene: Scene<'_>) -> bool {
        let Some(person) = scene.directory.person(who) else {
            return false;
        };
        let is_of = |from: &From| match from {
            From::Manager => scene
                .managed()
                .is_some_and(|managed| managed.manager == Some(who)),
            From::People(_) => self.is_asked(from, person, scene),
        };
        let others = match &step.silence {
            Silence::Escalate { to, .. } => Some(to),
            Silence::Deny => None,
        };
        is_of(&step.from) || others.is_some_and(is_of)
    }
}

/// Whether this is a person who could say anything at all now.
fn is_there(who: PersonId, scene: Scene<'_>) -> bool {
    let person = scene.directory.person(who);
    person.is_some_and(|person| person.active && person.kind == Kind::Person)
        && !scene.directory.is_locked(who)
}
