//! Changes of accounts: done at once, or proposed where the policy in force covers them, and then done by the last review.
//!
//! There is one way from what somebody wants to what happens: a [`Wish`] becomes an [`Edit`] by the account's row, and
//! [`carry_out`] turns that into the event and what is kept beside it. Whether others must agree decides only when.

mod effects;
mod wish;
mod words;

use daypass_core::change::{Change, Event, Lapse, Proposal};
use daypass_core::edit::{Act, Edit};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::person::{Change as Happened, Person};
use daypass_core::planted::{self, Fault};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::Directory as _;
use daypass_store::{Committed, Outcome, Scope, Side, TokenKind, TokenRow};

pub use self::effects::Effects;
pub(crate) use self::wish::{NewSecret, Wish};
pub use self::words::told;
use crate::caller::Caller;
use crate::changes::{may_still_propose, proposed};
use crate::current::Current;
use crate::engine::{Basis, Engine};
use crate::error::{Error, not_found};
use crate::services::may_own;

/// When something is decided, by what, and in whose name.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) actor: Actor,
    pub(crate) current: &'a Current,
    pub(crate) world: &'a World,
    pub(crate) now: Timestamp,
}

impl Engine {
    /// Changes an account, or makes one. Where the policy in force covers that, it is proposed, and nothing else has happened.
    ///
    /// # Errors
    /// [`Error::Waits`] where it was proposed; where it cannot be done.
    pub(crate) async fn edit(&self, caller: Caller, id: PersonId, wish: Wish) -> Result<Committed, Error> {
        let change = ChangeId::from_bytes(self.random());
        let (for_scope, decided) = (wish.clone(), wish.clone());
        let covered = move |wish: &Wish, current: &Current| {
            let edit = wish.edit(id, current.directory.person(id));
            matches!(edit, Ok(Some(edit)) if current.policy.covers(&edit.areas()))
        };
        let scope = |current: &Current| {
            if covered(&for_scope, current) {
                let (login, handle) = (for_scope.login(), for_scope.handle());
                let scope = Scope::Edit {
                    change,
                    person: id,
                    login,
                    handle,
                };
                return (scope, Basis::PolicyAndDirectory);
            }
            // Whether who issues a token is who they say is asked of the owner's account, which is not in the scope.
            let basis = match for_scope {
                Wish::Token(_) => Basis::PolicyAndDirectory,
                _ => Basis::Policy,
            };
            (for_scope.scope(id), basis)
        };
        let committed = self
            .decide_by(scope, move |current, world, now| {
                let Some(edit) = decided.edit(id, world.people.get(&id))? else {
                    return Ok(Outcome::default());
                };
                let moment = Moment {
                    actor: Actor::Person(caller.person),
                    current,
                    world,
                    now,
                };
                if !current.policy.covers(&edit.areas()) {
                    return carry_out(&edit, decided.secret(), moment);
                }
                if !covered(&decided, current) {
                    // The account is another than the one that this process knows: it is read, and looked at anew.
                    return Err(Refusal::new(Code::Stale, "the account changed at this moment"));
                }
                propose((caller, change), edit, decided.secret(), moment)
            })
            .await?;
        self.refresh_directory().await?;
        match waits(&committed, (caller, change), id, &wish) {
            Some(waits) => Err(Error::Waits(Box::new(waits))),
            None => Ok(committed),
        }
    }

    /// The same for an account that there is, answered with what it is then.
    pub(crate) async fn edited(&self, caller: Caller, id: PersonId, wish: Wish) -> Result<Person, Error> {
        let committed = self.edit(caller, id, wish).await?;
        Ok(person(&committed, id)?)
    }
}

/// The account as it was committed.
pub(crate) fn person(committed: &Committed, id: PersonId) -> Result<Person, Refusal> {
    let person = committed.world.people.get(&id).cloned();
    person.ok_or_else(|| not_found("the account is gone"))
}

/// The change that waits now, where that is what came of it: the new one, or the one that says the same already.
fn waits(
    committed: &Committed,
    (caller, id): (Caller, ChangeId),
    about: PersonId,
    wish: &Wish,
) -> Option<Change> {
    let changes = &committed.world.changes;
    if let Some(change) = changes.get(&id) {
        return Some(change.clone());
    }
    if !committed.events.is_empty() {
        return None;
    }
    let edit = wish.edit(about, committed.world.people.get(&about)).ok()??;
    let met = met(&committed.world, &edit).filter(|change| said_again(change, &edit, caller));
    met.cloned()
}

/// The change that waits and would do the same, or could not be done beside this.
fn met<'w>(world: &'w World, edit: &Edit) -> Option<&'w Change> {
    let meets = |change: &&Change| match &change.proposal {
        Proposal::Directory { edit: other } => change.is_pending() && edit.meets(other),
        Proposal::Policy { .. } => false,
    };
    world.changes.values().find(meets)
}

/// Whether the same person says the same again. With a secret it is not the same: it would be the first one's.
fn said_again(change: &Change, edit: &Edit, caller: Caller) -> bool {
    let same = matches!(&change.proposal, Proposal::Directory { edit: other } if edit.is_same(other));
    same && change.proposer == caller.person && !edit.has_secret()
}

/// What proposes an edit: only what could be done now, and only once.
fn propose(
    (caller, id): (Caller, ChangeId),
    edit: Edit,
    secret: Option<String>,
    moment: Moment<'_>,
) -> Result<Outcome, Refusal> {
    carry_out(&edit, secret.clone(), moment)?;
    if let Some(met) = met(moment.world, &edit) {
        if said_again(met, &edit, caller) {
            return Ok(Outcome::default());
        }
        let short = met.id.short();
        let what = format!("the same account waits for such a change already, as {short}");
        return Err(Refusal::new(Code::Exists, what).hint(format!("daypass change show {short}")));
    }
    let side = secret.map(|secret| Side::Withheld { change: id, secret });
    let proposal = Proposal::Directory { edit: Box::new(edit) };
    proposed(
        (caller, id),
        proposal,
        side,
        (moment.current, moment.world),
        moment.now,
    )
}

/// What an edit does, now: the one way in which an account changes, whether others had to agree or not.
pub(crate) fn carry_out(edit: &Edit, secret: Option<String>, moment: Moment<'_>) -> Result<Outcome, Refusal> {
    let event = event(edit, moment)?;
    let mut outcome = Outcome::one(moment.actor, Subject::Person(edit.person), What::Person(event));
    outcome.side = beside(edit, secret, moment.now)?;
    Ok(outcome)
}

/// The event that an edit leads to now, where it could be done.
fn event(edit: &Edit, moment: Moment<'_>) -> Result<Happened, Refusal> {
    let Moment {
        current, world, now, ..
    } = moment;
    let manager = match &edit.act {
        Act::Add { person, .. } => person.manager,
        Act::Manager { to, .. } => *to,
        _ => None,
    };
    if let Some(manager) = manager
        && current
            .directory
            .person(manager)
            .is_none_or(|known| !known.active)
    {
        return Err(Refusal::new(
            Code::UnknownPerson,
            "whoever is to be the manager is switched off",
        ));
    }
    let owner = match &edit.act {
        Act::Add { person, .. } => person.owner,
        Act::Owner { to, .. } => Some(*to),
        _ => None,
    };
    if let Some(owner) = owner {
        may_own(owner, current, world)?;
    }
    if let Act::Token { owner, .. } = &edit.act
        && let Some(owner) = current.directory.person(*owner)
    {
        // Whoever has borrowed the owner's account would keep the token when that one has it back.
        current.policy.not_borrowed(owner, now)?;
    }
    edit.follows(world, now)
}

/// Whether an active person proposes a token of a service account that they answer for. For that nobody need be an administrator.
fn proposes_for_their_own(edit: &Edit, proposer: PersonId, current: &Current) -> bool {
    let theirs = matches!(&edit.act, Act::Token { owner, .. } if *owner == proposer);
    theirs
        && current
            .directory
            .person(proposer)
            .is_some_and(|person| person.active)
}

/// What is kept beside the state by it.
fn beside(edit: &Edit, secret: Option<String>, now: Timestamp) -> Result<Vec<Side>, Refusal> {
    let person = edit.person;
    if matches!(edit.act, Act::Owner { .. }) {
        // Who answered for it until now knows them, and does not count as the requester any more.
        return Ok(vec![Side::EndTokens { person }]);
    }
    if !edit.has_secret() {
        return Ok(Vec::new());
    }
    let lost = || Refusal::new(Code::WrongState, "the secret of this change is not kept any more");
    let hash = secret.ok_or_else(lost)?;
    Ok(match &edit.act {
        Act::Password => vec![Side::Password { person, hash }, Side::EndTokens { person }],
        Act::Token {
            token,
            name,
            scopes,
            lifetime,
            ..
        } => vec![Side::Token(TokenRow {
            id: *token,
            person,
            hash: hash.parse().map_err(|_| lost())?,
            kind: TokenKind::Api {
                scopes: scopes.clone(),
            },
            name: name.text().to_owned(),
            created_at: now,
            expires_at: now + *lifetime,
            last_used: None,
            confirmed_at: None,
        })],
        _ => vec![Side::Password { person, hash }],
    })
}

/// What a review of a change of an account leads to: where it was the last, the account changes with it. Each agreement looks
/// whether it could be done now. Where the account is another than the one that was to be changed, nothing comes of it.
pub(crate) fn follow(
    change: &Change,
    edit: &Edit,
    event: Event,
    secret: Option<String>,
    moment: Moment<'_>,
) -> Result<Outcome, Refusal> {
    let on = |event| Outcome::one(moment.actor, Subject::Change(change.id), What::Change(event));
    if matches!(event, Event::Denied { .. }) {
        return Ok(on(event));
    }
    if !proposes_for_their_own(edit, change.proposer, moment.current) {
        may_still_propose(moment.current, moment.world, change.proposer)?;
    }
    // Who wanted it is who did it: those who agreed stand beside the change.
    let theirs = Moment {
        actor: Actor::Person(change.proposer),
        ..moment
    };
    let done = match carry_out(edit, secret, theirs) {
        Ok(done) => done,
        Err(refusal) if refusal.code == Code::Stale => {
            return Ok(on(Event::Lapsed {
                why: Lapse::Overtaken,
            }));
        }
        Err(refusal) => return Err(refusal),
    };
    let last = matches!(event, Event::Applied { .. }) && !planted::is(Fault::HalfAnEdit);
    let mut outcome = on(event);
    if last {
        let others = overtaken(change, edit, &done, moment);
        outcome.append(done);
        for other in others {
            let why = Lapse::Overtaken;
            outcome.push(
                moment.actor,
                Subject::Change(other),
                What::Change(Event::Lapsed { why }),
            );
        }
    }
    Ok(outcome)
}

/// The other changes of this account that wait and, once this is done, are about an account that is no more as they say.
fn overtaken(change: &Change, edit: &Edit, done: &Outcome, moment: Moment<'_>) -> Vec<ChangeId> {
    let account = moment.world.people.get(&edit.person);
    let (Some(account), Some((_, _, What::Person(event)))) = (account, done.events.first()) else {
        return Vec::new();
    };
    let after = account.clone().evolve(event, moment.actor, moment.now);
    let is_overtaken = |other: &&Change| match &other.proposal {
        Proposal::Directory { edit: theirs } => {
            theirs.person == edit.person
                && theirs.replaces(account).is_ok()
                && theirs.replaces(&after).is_err()
        }
        Proposal::Policy { .. } => false,
    };
    let others = moment.world.changes.values();
    let others = others.filter(|other| other.id != change.id && other.is_pending());
    others.filter(is_overtaken).map(|other| other.id).collect()
}
