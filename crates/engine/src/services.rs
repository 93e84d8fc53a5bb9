//! Service accounts: who answers for them, and what they lose when nobody does.
//!
//! The rules about reviewing are the policy's (`daypass_policy::cared_for`, `Policy::may_review`). What is here is what changes
//! an owner, and what the engine asks besides: whether the owner is locked, and what an orphan still holds.

use daypass_core::event::Actor;
use daypass_core::grant::{Grant, Reason};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::lock::{self, Lock, On};
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::planted::{self, Fault};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Request, State};
use daypass_core::world::World;
use daypass_policy::{Directory as _, cared_for, owner_of};

use crate::caller::Caller;
use crate::current::Current;
use crate::directory::Snapshot;
use crate::edits::Wish;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::people::NewPerson;

impl Engine {
    /// Gives a service account another owner. All of its tokens end: who answered for it until now knows them, and does not
    /// count as the requester any more. What it holds stays.
    ///
    /// # Errors
    /// [`Error::Waits`] where others must agree; where the caller is no administrator, the account is no service account, or the
    /// owner no active person.
    pub async fn set_owner(&self, caller: Caller, login: &str, owner: &str) -> Result<Person, Error> {
        caller.administrator()?;
        let id = self.find(login)?.id;
        let owner = eligible(&self.current().directory, owner)?;
        self.edited(caller, id, Wish::Owner(owner)).await
    }

    /// Begins the end of what the service accounts of somebody hold whose account was switched off; how many grants that were.
    pub(crate) async fn end_all_of_services(&self, actor: Actor, owner: PersonId) -> Result<usize, Error> {
        let mut ended = 0;
        for service in self.current().directory.services_of(owner) {
            ended += self.end_all_of(actor, *service).await?;
        }
        Ok(ended)
    }

    /// What is held by service accounts whose owner is locked.
    pub(crate) async fn held_under_owners(&self) -> Result<Vec<GrantId>, Error> {
        let directory = self.current().directory;
        let mut held = Vec::new();
        if !directory.has_services() {
            return Ok(held);
        }
        for lock in self.store().locks().await? {
            if let On::Person(owner) = lock.on {
                for service in directory.services_of(owner) {
                    let grants = self.store().live_grants_of(*service).await?;
                    held.extend(
                        grants
                            .iter()
                            .filter(|grant| grant.is_live())
                            .map(|grant| grant.id),
                    );
                }
            }
        }
        Ok(held)
    }

    /// The requests behind a grant, those by which it was lengthened among them, where whoever takes its credentials now may be
    /// somebody else than when they were agreed to: where its holder is a service account.
    pub(crate) async fn behind(&self, grant: GrantId, holder: PersonId) -> Result<Vec<Request>, Error> {
        let current = self.current();
        let account = current.directory.person(holder);
        if account.is_none_or(|account| account.kind == Kind::Person) {
            return Ok(Vec::new());
        }
        let mut behind = self.store().requests_extending(grant).await?;
        // What nobody agreed to in the end lengthened nothing.
        behind.retain(|request| matches!(request.state, State::Approved { .. }));
        behind.extend(self.store().request(RequestId::from_bytes(grant.bytes())).await?);
        Ok(behind)
    }
}

/// The owner of an account that is to be made: none for a person, an active person for a service account.
///
/// # Errors
/// Where that is not what was said.
pub(crate) fn owner_of_new(directory: &Snapshot, new: &NewPerson) -> Result<Option<PersonId>, Refusal> {
    match (new.kind, &new.owner) {
        (Kind::Person, None) => Ok(None),
        (Kind::Person, Some(_)) => Err(Refusal::new(
            Code::Invalid,
            "a person answers for themselves; only a service account has an owner",
        )),
        (Kind::Service, None) => Err(Refusal::new(
            Code::Invalid,
            "a service account needs an owner: a person who answers for it",
        )
        .hint(format!("daypass service add {} --owner PERSON", new.login))),
        (Kind::Service, Some(_)) if new.manager.is_some() || new.password.is_some() => Err(Refusal::new(
            Code::Invalid,
            "a service account has no manager of its own, and no password",
        )),
        (Kind::Service, Some(owner)) => eligible(directory, owner.as_str()).map(Some),
    }
}

/// Who may own a service account: an active person.
fn eligible(directory: &Snapshot, login: &str) -> Result<PersonId, Refusal> {
    let shown: String = login.chars().take(80).collect();
    let owner = directory.by_login(login).ok_or_else(|| {
        Refusal::new(
            Code::UnknownPerson,
            format!("there is no {shown:?} in the directory"),
        )
    })?;
    if owner.kind == Kind::Service {
        let what = format!("{shown} is a service account itself; a person has to answer for one");
        return Err(Refusal::new(Code::Invalid, what));
    }
    Ok(owner.id)
}

/// Refuses whoever cannot answer for a service account now.
///
/// # Errors
/// For a program, and for an account that is switched off or locked.
pub(crate) fn may_own(owner: PersonId, current: &Current, world: &World) -> Result<(), Refusal> {
    if let Some(lock) = world.locked(&On::Person(owner)) {
        return Err(lock::refusal(lock, None));
    }
    let account = current.directory.person(owner);
    if account.is_some_and(|account| account.active && account.kind == Kind::Person) {
        return Ok(());
    }
    let what = "whoever is to answer for the service account is switched off";
    Err(Refusal::new(Code::UnknownPerson, what))
}

/// Refuses what means nothing to a service account, with who to turn to instead.
///
/// # Errors
/// For a service account.
pub(crate) fn not_of_services(directory: &Snapshot, account: &Person, what: &str) -> Result<(), Refusal> {
    if account.kind == Kind::Person {
        return Ok(());
    }
    let login = account.login.text();
    let refusal = Refusal::new(
        Code::Invalid,
        format!("the service account {login} has no {what} of its own; its owner's is meant"),
    );
    Err(match owner_of(account, directory) {
        Some(owner) => refusal.hint(format!("its owner is {}", owner.login.text())),
        None => refusal.hint(format!("name one: daypass service owner {login} PERSON")),
    })
}

/// What an account may do in Daypass now, as `daypass_policy::role_of` says.
#[must_use]
pub fn role_of(account: &Person, directory: &Snapshot) -> SystemRole {
    daypass_policy::role_of(account, directory)
}

/// What somebody is told who meets that lock.
pub(crate) fn locked(current: &Current, lock: &Lock, who: PersonId) -> Refusal {
    let owned = |account: &&Person| account.owner.is_some_and(|owner| lock.on == On::Person(owner));
    let Some(account) = current.directory.person(who).filter(owned) else {
        return lock::refusal(lock, Some(who));
    };
    let login = account.login.text();
    let what = format!(
        "who answers for the service account {login} is locked since {}",
        lock.at
    );
    Refusal::new(Code::Locked, what).hint(format!(
        "an administrator can unlock them, or name another: daypass service owner {login} PERSON"
    ))
}

/// Why a service account may bring nothing about at this moment although it is not locked itself: who answers for it is.
#[must_use]
pub fn owner_locked(current: &Current, locks: &World, who: PersonId) -> Option<Refusal> {
    let owner = current.directory.person(who)?.owner?;
    let lock = locks.locked(&On::Person(owner))?;
    Some(locked(current, lock, who))
}

/// Why what an account holds ends, whoever agreed to it: it is switched off, or nobody answers for it.
pub(crate) fn lost(directory: &Snapshot, account: PersonId) -> Option<Reason> {
    let why = match directory.person(account) {
        Some(person) if person.active => {
            let orphaned = cared_for(person, directory).err();
            orphaned.filter(|_| !planted::is(Fault::OrphansKeep))?.what
        }
        _ => String::from("the account was switched off"),
    };
    Some(Reason::Ineligible { why })
}

/// Why a grant ends whose holder targets call something else now: what it gives is given to whom they were called before.
pub(crate) fn strange(directory: &Snapshot, grant: &Grant) -> Option<Reason> {
    let holder = directory.person(grant.holder)?;
    if grant.is_given_to(holder) {
        return None;
    }
    let login = holder.login.text();
    let why = format!("it was given to a handle that is not {login}'s any more");
    Some(Reason::Ineligible { why })
}

/// Whether the holder of a grant may take its credentials now. `behind`: the requests that led to it and lengthened it, for a
/// service account.
///
/// # Errors
/// Where nobody answers for the holder, whoever does is locked, or agreed to this access when it was another who did: whoever
/// has the tokens of the account would have agreed to their own.
pub(crate) fn may_use(
    current: &Current,
    world: &World,
    grant: &Grant,
    behind: &[Request],
) -> Result<(), Refusal> {
    let Some(account) = current.directory.person(grant.holder) else {
        return Err(gone());
    };
    cared_for(account, current.directory.as_ref())?;
    if let Some(lock) = world.lock_over(grant) {
        return Err(locked(current, lock, grant.holder));
    }
    let agreed = |owner: &PersonId| {
        let mut reviews = behind.iter().flat_map(Request::reviews);
        reviews.any(|review| review.is_of(*owner))
    };
    if account.owner.as_ref().is_some_and(agreed) {
        let what = format!(
            "who answers for {} now agreed to this access when somebody else did, or their delegate did for them",
            account.login.text()
        );
        return Err(Refusal::new(Code::OwnRequest, what).hint("end it and ask again; others must agree"));
    }
    Ok(())
}

fn gone() -> Refusal {
    not_found("the account is gone")
}
