//! Locks: shut a person or a resource at once, and end what is held under a lock.

use std::collections::BTreeMap;

use daypass_core::delegation::Delegation;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, Reason};
use daypass_core::id::PersonId;
use daypass_core::lock::{Lock, On};
use daypass_core::name::Name;
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::Directory as _;
use daypass_store::{Outcome, Scope};

use crate::caller::Caller;
use crate::current::Current;
use crate::directory::Snapshot;
use crate::engine::Engine;
use crate::error::{Error, not_found};
use crate::requests::check_text;

/// What is to be locked, as people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lockable {
    /// An account, by its login.
    Person(String),
    /// A resource, by its name.
    Resource(Name),
}

/// A person or resource that was just locked.
#[derive(Debug, Clone)]
pub struct LockedNow {
    /// The lock.
    pub lock: Lock,
    /// How many grants there were for it to end.
    pub ending: usize,
}

impl Engine {
    /// Locks a person or a resource: nothing new comes about from this instant on, and what is held begins to end. What a person
    /// has delegated ends with it, for good.
    ///
    /// # Errors
    /// Where the caller is no administrator, there is no such thing, it is locked already, or nobody could unlock anything
    /// any more.
    pub async fn lock(&self, caller: Caller, what: &Lockable, why: &str) -> Result<LockedNow, Error> {
        caller.administrator()?;
        reason(why)?;
        let on = match what {
            Lockable::Person(login) => On::Person(self.find(login)?.id),
            Lockable::Resource(name) => On::Resource(self.resource_to_lock(name).await?),
        };
        // Counted before: once it is locked, the reconciler is as quick to end them as this.
        let ending = self.live_under(&on).await?;
        let (by, why) = (caller.person, self.prose(why));
        let lock = self
            .change_lock(on.clone(), move |current, world, now| {
                if let On::Person(id) = &on {
                    somebody_left(world, &current.directory, *id)?;
                }
                let event = Lock::lock(world.locks.get(&on), by, why)?;
                let mut outcome = Outcome::default();
                if let On::Person(id) = &on
                    && let Some(Ok(ended)) = world.people.get(id).map(|of| Delegation::end(of, now))
                {
                    // Whoever has the account may have made it: unlocking must not revive it.
                    outcome.push(Actor::Person(by), Subject::Person(*id), What::Person(ended));
                }
                outcome.push(Actor::Person(by), Subject::Lock(on), What::Lock(event));
                Ok(outcome)
            })
            .await?;
        // The lock stands, whatever becomes of this: the next round of a reconciler ends what is held.
        if let Err(error) = self.end_under_locks().await {
            tracing::warn!(%error, "locked; what is held under it could not be ended yet");
        }
        Ok(LockedNow { lock, ending })
    }

    /// Unlocks a person or a resource. What ended meanwhile stays ended.
    ///
    /// # Errors
    /// Where the caller is no administrator at a keyboard, or it is not locked. Nobody who is locked unlocks anything.
    pub async fn unlock(&self, caller: Caller, what: &Lockable, why: &str) -> Result<Lock, Error> {
        caller.administrator()?;
        caller.interactive()?;
        reason(why)?;
        let on = self.find_locked(what).await?;
        let (by, why) = (caller.person, self.prose(why));
        self.change_lock(on.clone(), move |_, world, _| {
            let event = Lock::unlock(world.locks.get(&on), by, why)?;
            Ok(Outcome::one(
                Actor::Person(by),
                Subject::Lock(on),
                What::Lock(event),
            ))
        })
        .await
    }

    /// What is locked at this moment, as a world that holds nothing else: for answers that show what a lock would refuse.
    /// Whoever decides sees the locks in the transaction itself.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn locked_now(&self) -> Result<World, Error> {
        let locks = self.store().locks().await?;
        let directory = self.current().directory;
        let mut owners = BTreeMap::new();
        for lock in &locks {
            if let On::Person(owner) = lock.on {
                let services = directory.services_of(owner).iter();
                owners.extend(services.map(|service| (*service, owner)));
            }
        }
        Ok(World {
            owners,
            locks: locks.into_iter().map(|lock| (lock.on.clone(), lock)).collect(),
            ..World::default()
        })
    }

    /// Begins the end of everything held under a lock; how many grants that were. Whoever locks calls it, and so does each
    /// round of the reconciler: where a server fell half way, another, or the next start, goes on.
    pub(crate) async fn end_under_locks(&self) -> Result<usize, Error> {
        let mut ended = 0;
        loop {
            let mut held = self.store().held_under_locks(self.parts.settings.batch).await?;
            held.extend(self.held_under_owners().await?);
            let locked =
                |_: &Current, world: &World, grant: &Grant| world.lock_over(grant).map(|_| Reason::Locked);
            let changed = self.end_each(Actor::System, held, locked).await?;
            ended += changed;
            if changed == 0 {
                return Ok(ended);
            }
        }
    }

    async fn change_lock(
        &self,
        on: On,
        decide: impl FnOnce(&Current, &World, Timestamp) -> Result<Outcome, Refusal> + Clone + Send + 'static,
    ) -> Result<Lock, Error> {
        let committed = self.decide(Scope::Lock(on.clone()), decide).await?;
        // Only what is shown hangs on it; a reading that fails is made up for by the loop that follows the log.
        if let Err(error) = self.refresh_directory().await {
            tracing::warn!(%error, "who is locked could not be read anew yet");
        }
        let lock = committed.world.locks.get(&on).cloned();
        lock.ok_or_else(|| not_found("the lock is gone").into())
    }

    async fn live_under(&self, on: &On) -> Result<usize, Error> {
        Ok(match on {
            On::Person(id) => {
                let mut live = self.store().live_grants_of(*id).await?.len();
                for service in self.current().directory.services_of(*id) {
                    live += self.store().live_grants_of(*service).await?.len();
                }
                live
            }
            On::Resource(name) => self.store().live_grants_on(name).await?.len(),
        })
    }

    /// A resource of the policy, or one that a former policy had and that somebody still holds.
    async fn resource_to_lock(&self, name: &Name) -> Result<Name, Error> {
        let known = self.current().policy.resource(name.as_str()).is_some();
        if known || !self.store().live_grants_on(name).await?.is_empty() {
            return Ok(name.clone());
        }
        Err(Refusal::new(Code::UnknownResource, format!("there is no resource {name}")).into())
    }

    async fn find_locked(&self, what: &Lockable) -> Result<On, Error> {
        let people = self.current().directory;
        let meant = |lock: &Lock| match (&lock.on, what) {
            (On::Person(id), Lockable::Person(login)) => people.login(*id) == *login,
            (On::Resource(name), Lockable::Resource(meant)) => name == meant,
            _ => false,
        };
        let found = self.store().locks().await?.into_iter().find(meant);
        found.map(|lock| lock.on).ok_or_else(|| {
            let name = match what {
                Lockable::Person(login) => login.chars().take(80).collect(),
                Lockable::Resource(name) => name.to_string(),
            };
            Refusal::new(Code::WrongState, format!("{name:?} is not locked"))
                .hint("daypass locks shows what is")
                .into()
        })
    }
}

fn reason(why: &str) -> Result<(), Refusal> {
    if why.trim().is_empty() {
        return Err(
            Refusal::new(Code::ReasonRequired, "say why; it is kept in the log")
                .hint("--reason \"laptop stolen\""),
        );
    }
    check_text("reason", why)
}

/// A lock that leaves no administrator who could undo it is refused.
fn somebody_left(world: &World, directory: &Snapshot, locking: PersonId) -> Result<(), Refusal> {
    let is_administrator = |id: PersonId| {
        directory.person(id).is_some_and(|person| {
            person.active && person.role == SystemRole::Administrator && person.kind == Kind::Person
        })
    };
    if !is_administrator(locking) || others(world, directory, locking) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::InUse,
        "this is the last administrator who is not locked; nobody could unlock anything any more",
    )
    .hint("make another one first"))
}

/// Whether there is an administrator beside this one who is switched on and not locked.
pub(crate) fn others(world: &World, directory: &Snapshot, beside: PersonId) -> bool {
    directory.people().any(|other| {
        other.active
            && other.kind == Kind::Person
            && other.role == SystemRole::Administrator
            && other.id != beside
            && world.locked(&On::Person(other.id)).is_none()
    })
}
