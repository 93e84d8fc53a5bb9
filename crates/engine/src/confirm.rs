//! Proving anew who one is, where the policy wants a fresh proof. It is noted on the session that was used for it, and serves
//! no other session and nobody else.

use daypass_core::id::TokenId;
use daypass_core::lock::{self, On};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use daypass_store::{Outcome, Scope, Side};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Error;
use crate::tokens::{Proof, absent};

impl Engine {
    /// Notes that the caller has just proved, by their password, who they are. `session` is the one that they came with.
    ///
    /// It is no event: what it was good for is one, and says what the policy wanted.
    ///
    /// # Errors
    /// [`Code::Stale`] where another password was set since; where the caller came with an API token, the proof is somebody
    /// else's, or the account is locked or switched off.
    pub async fn confirm(&self, caller: Caller, session: TokenId, proof: Proof) -> Result<Timestamp, Error> {
        caller.interactive()?;
        let person = caller.person;
        if proof.person != person {
            return Err(Refusal::new(Code::Forbidden, "nobody proves who somebody else is").into());
        }
        let scope = Scope::from(proof);
        let committed = self
            .store()
            .transition(scope.clone(), move |world, now| {
                let account = world.people.get(&person).ok_or_else(|| absent(&scope))?;
                if !account.active {
                    return Err(Refusal::new(Code::NotEligible, "this account is switched off"));
                }
                if let Some(lock) = world.locked(&On::Person(person)) {
                    return Err(lock::refusal(lock, Some(person)));
                }
                let at = now;
                Ok(Outcome {
                    events: Vec::new(),
                    side: vec![Side::Confirmed {
                        token: session,
                        person,
                        at,
                    }],
                })
            })
            .await?;
        Ok(committed.now)
    }
}
