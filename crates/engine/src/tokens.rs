//! Login sessions and API tokens: issued and revoked as events, kept hashed beside the state.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::{PersonId, TokenId};
use daypass_core::person::Change;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_store::{Outcome, Scope, Side, TokenKind, TokenRow};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{Error, not_found};

/// A session or token to issue. The secret itself stays with whoever drew it; the engine gets its hash.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The SHA-256 of the secret.
    pub hash: Hash,
    /// A session, or an API token with its scopes.
    pub kind: TokenKind,
    /// What its owner calls it.
    pub name: String,
    /// How long it is taken.
    pub lifetime: Span,
}

/// A session or token that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its row.
    pub token: TokenRow,
}

impl Engine {
    /// Issues a session or token to a person who has just proved who they are, or to the caller.
    ///
    /// # Errors
    /// Where the account is switched off.
    pub async fn issue_token(&self, person: PersonId, new: NewToken) -> Result<Issued, Error> {
        let id = TokenId::from_bytes(self.random());
        let committed = self
            .store()
            .transition(Scope::Person(person), move |world, now| {
                if !world.people.get(&person).is_some_and(|person| person.active) {
                    return Err(Refusal::new(Code::NotEligible, "this account is switched off"));
                }
                let expires_at = now + new.lifetime;
                let change = Change::TokenIssued {
                    token: id,
                    expires_at,
                };
                let mut outcome = Outcome::one(
                    Actor::Person(person),
                    Subject::Person(person),
                    What::Person(change),
                );
                let NewToken { hash, kind, name, .. } = new;
                let row = TokenRow {
                    id,
                    person,
                    hash,
                    kind,
                    name,
                    created_at: now,
                    expires_at,
                    last_used: None,
                };
                outcome.side.push(Side::Token(row));
                Ok(outcome)
            })
            .await?;
        let rows = self.store().tokens_of(person).await?;
        let token = rows.into_iter().find(|row| row.id == id);
        drop(committed);
        Ok(Issued {
            token: token.ok_or_else(|| not_found("the token is gone"))?,
        })
    }

    /// Revokes a session or token: one's own, or anybody's for an administrator.
    ///
    /// # Errors
    /// Where there is none such that the caller may revoke.
    pub async fn revoke_token(&self, caller: Caller, id: TokenId) -> Result<(), Error> {
        let owner = self.store().token_owner(id).await?;
        let owner = owner.filter(|owner| *owner == caller.person || caller.administrator().is_ok());
        let owner = owner.ok_or_else(|| not_found(format!("there is no token {}", id.short())))?;
        let actor = Actor::Person(caller.person);
        self.store()
            .transition(Scope::Person(owner), move |_, _| {
                let change = Change::TokenRevoked { token: id };
                let mut outcome = Outcome::one(actor, Subject::Person(owner), What::Person(change));
                outcome.side.push(Side::EndToken { token: id });
                Ok(outcome)
            })
            .await?;
        Ok(())
    }
}
