//! Emergencies: taking access at once by the one verb that says so, and the review that is owed for it afterwards.
//!
//! The decision, the request and the grant are those of `requests`; what is here is the other door, and the look back.

use std::net::IpAddr;

use daypass_core::break_glass::Owed;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::Reason;
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::Voter;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_store::{Outcome, Scope};

use crate::caller::Caller;
use crate::delegations::Awaits;
use crate::engine::Engine;
use crate::error::Error;
use crate::requests::{Made, NewRequest, Preview, Verb, check_text, made, visible};

/// What somebody makes of access that was taken in an emergency.
#[derive(Debug, Clone)]
pub struct LookBack {
    /// The digest of the request that they saw.
    pub digest: Hash,
    /// What they make of it; required.
    pub comment: String,
    /// Whether the access ends now, if it has not.
    pub revoke: bool,
}

impl Engine {
    /// Takes access in an emergency: by a rule that is for that, at once, and to be reviewed by others afterwards. It is a
    /// request like any other, which its rule approves; `key` is as in [`Self::request`].
    ///
    /// # Errors
    /// The refusal of the policy, where it comes by a token, or where the ask is malformed.
    pub async fn break_glass(
        &self,
        caller: Caller,
        asked: NewRequest,
        key: Option<&str>,
    ) -> Result<Made, Error> {
        self.break_glass_from(caller, asked, key, None).await
    }

    /// The same for somebody who asks from this address; `None` where it is not certain.
    ///
    /// # Errors
    /// As [`Self::break_glass`].
    pub async fn break_glass_from(
        &self,
        caller: Caller,
        asked: NewRequest,
        key: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Made, Error> {
        caller.interactive()?;
        self.make(caller, asked, key, Verb::BreakGlass, from).await
    }

    /// What [`Self::break_glass_from`] would lead to. Makes nothing.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn preview_break_glass(
        &self,
        caller: Caller,
        asked: &NewRequest,
        from: Option<IpAddr>,
    ) -> Result<Preview, Error> {
        self.look_ahead(caller, asked, Verb::BreakGlass, from).await
    }

    /// Records that somebody looked at what was done in an emergency; with `revoke`, its access ends in the same transaction.
    ///
    /// # Errors
    /// Where no review is owed (any more), the caller may not give it, or saw another request.
    pub async fn acknowledge(&self, caller: Caller, id: RequestId, look: LookBack) -> Result<Made, Error> {
        caller.interactive()?;
        if look.comment.trim().is_empty() {
            return Err(
                Refusal::new(Code::ReasonRequired, "say what you make of it; auditors read it")
                    .hint("--comment \"agreed with on-call; the row is back\"")
                    .into(),
            );
        }
        check_text("comment", &look.comment)?;
        let comment = self.prose(&look.comment);
        let (actor, by) = (Actor::Person(caller.person), caller.person);
        let committed = self
            .decide(Scope::Request(id), move |current, world, now| {
                let request = visible(world, id)?;
                let event =
                    request.acknowledge(by, look.digest, comment.clone(), &current.standing(world, now))?;
                if let Some(glass) = &request.path.break_glass {
                    current
                        .policy
                        .proved(request, &glass.review, caller.confirmed_at(), now)?;
                }
                let mut outcome = Outcome::one(actor, Subject::Request(id), What::Request(event));
                let held = world.grants.get(&GrantId::from(id));
                if let Some(grant) = held.filter(|grant| look.revoke && grant.is_live()) {
                    let why = Some(comment);
                    let event = grant.end(Reason::Revoked { by, why }, now)?;
                    outcome.push(actor, Subject::Grant(grant.id), What::Grant(event));
                }
                Ok(outcome)
            })
            .await?;
        made(&committed, id)
    }

    /// Whether a review is owed for this request that this person may give.
    pub(crate) fn owes_to(&self, person: PersonId, request: &Request, now: Timestamp) -> Awaits {
        let due = request.owed().is_some_and(Owed::is_due);
        let Some(glass) = request.path.break_glass.as_ref().filter(|_| due) else {
            return Awaits::No;
        };
        let current = self.current();
        Awaits::of(current.policy.may_review(
            request,
            &glass.review,
            false,
            Voter::Would(person),
            current.directory.as_ref(),
            now,
        ))
    }
}
