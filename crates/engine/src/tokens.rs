//! Login sessions and API tokens: issued and revoked as events, kept hashed beside the state.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::{PersonId, TokenId};
use daypass_core::person::Change;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Outcome, Scope, Side, TokenKind, TokenRow};

use crate::caller::Caller;
use crate::edits::{NewSecret, Wish};
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

/// That somebody's password was found right. It holds until another one is set, which whatever is done by it checks in its
/// own transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    pub(crate) person: PersonId,
    password: Hash,
}

impl Proof {
    /// The password of this person fits `stored`, their hash as it was read from the store.
    #[must_use]
    pub fn new(person: PersonId, stored: &str) -> Self {
        Self {
            person,
            password: Hash::of(stored.as_bytes()),
        }
    }
}

impl From<Proof> for Scope {
    fn from(Proof { person, password }: Proof) -> Self {
        Self::Proved { person, password }
    }
}

/// Why an account is not to be seen in this scope.
pub(crate) fn absent(scope: &Scope) -> Refusal {
    match scope {
        Scope::Proved { .. } => Refusal::new(Code::Stale, "another password was set at this moment"),
        _ => not_found("the account is gone"),
    }
}

impl NewToken {
    fn row(&self, id: TokenId, person: PersonId, now: Timestamp) -> TokenRow {
        TokenRow {
            id,
            person,
            hash: self.hash,
            kind: self.kind.clone(),
            name: self.name.clone(),
            created_at: now,
            expires_at: now + self.lifetime,
            last_used: None,
            // Whoever was given a session has just proved who they are.
            confirmed_at: (self.kind == TokenKind::Session).then_some(now),
        }
    }
}

impl Engine {
    /// Issues a session or token to the caller, or one for a service account to who answers for it: to nobody else, so that
    /// nobody has its tokens who may agree to what it asks for.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree to one for another account: it works from the moment on in which they have, for
    /// as long as it says. Where the caller may not, or the account is switched off.
    pub async fn issue_token(
        &self,
        caller: Caller,
        owner: PersonId,
        new: NewToken,
    ) -> Result<TokenRow, Error> {
        // A session is given also where access is only taken away: nobody could revoke or lock anything otherwise.
        if matches!(new.kind, TokenKind::Api { .. } | TokenKind::SshKey) {
            self.may_give()?;
        }
        if owner == caller.person {
            return self.issue(owner, owner, Scope::Person(owner), new).await;
        }
        caller.interactive()?;
        let TokenKind::Api { scopes } = new.kind.clone() else {
            let what = "nobody is given a session by somebody else";
            return Err(Refusal::new(Code::Forbidden, what).into());
        };
        let id = TokenId::from_bytes(self.random());
        let wish = Wish::Token(NewSecret {
            by: caller.person,
            token: id,
            hash: new.hash,
            name: self.prose(&new.name),
            scopes,
            lifetime: new.lifetime,
        });
        let committed = self.edit(caller, owner, wish).await?;
        Ok(new.row(id, owner, committed.now))
    }

    /// Issues a session to a person who has just proved who they are.
    ///
    /// # Errors
    /// [`Code::Stale`] where another password was set since; where the account is switched off.
    pub async fn log_in(&self, proof: Proof, new: NewToken) -> Result<TokenRow, Error> {
        let person = proof.person;
        self.issue(person, person, proof.into(), new).await
    }

    async fn issue(
        &self,
        by: PersonId,
        owner: PersonId,
        scope: Scope,
        new: NewToken,
    ) -> Result<TokenRow, Error> {
        let id = TokenId::from_bytes(self.random());
        let decided = new.clone();
        let committed = self
            .store()
            .transition(scope.clone(), move |world, now| {
                let account = world.people.get(&owner).ok_or_else(|| absent(&scope))?;
                if !account.active {
                    return Err(Refusal::new(Code::NotEligible, "this account is switched off"));
                }
                let row = decided.row(id, owner, now);
                let change = Change::TokenIssued {
                    token: id,
                    expires_at: row.expires_at,
                    key: (row.kind == TokenKind::SshKey).then_some(row.hash),
                };
                let mut outcome =
                    Outcome::one(Actor::Person(by), Subject::Person(owner), What::Person(change));
                outcome.side.push(Side::Token(row));
                Ok(outcome)
            })
            .await?;
        if by != owner {
            // The directory says who else could ask through an account.
            self.refresh_directory().await?;
        }
        // What was decided on, not what is there by now: a session may end at once, and was issued all the same.
        Ok(new.row(id, owner, committed.now))
    }

    /// Revokes a session or token: one's own, one of a service account that one answers for, or anybody's for an administrator.
    ///
    /// # Errors
    /// Where there is none such that the caller may revoke.
    pub async fn revoke_token(&self, caller: Caller, id: TokenId) -> Result<(), Error> {
        let owner = self.store().token_owner(id).await?;
        let directory = self.current().directory;
        let may = |owner: &PersonId| *owner == caller.person || directory.owns(caller.person, *owner);
        let owner = owner.filter(|owner| may(owner) || caller.administrator().is_ok());
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
