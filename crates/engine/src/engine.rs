//! The engine: what use cases share. The use cases themselves are beside it, one file each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use daypass_core::id::PersonId;
use daypass_core::past::Past;
use daypass_core::planted::{self, Fault};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::text::Prose;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_policy::{Policy, Source};
use daypass_providers::Secrets;
use daypass_store::{Clock, Committed, Outcome, Revision, Scope, Store};

use crate::connectors::{Connectors, Kinds};
use crate::current::Current;
use crate::directory::Snapshot;
use crate::error::Error;
use crate::inventory::Inventory;

/// How often a decision is made anew because the policy changed under it.
const ATTEMPTS: u32 = 5;

/// What must be as it was known where a decision was prepared, or the decision is prepared anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The policy and the whole directory.
    PolicyAndDirectory,
    /// The policy: what it is about is decided by its own rows.
    Policy,
}

/// Where random bytes come from. The server hands in the system's, a simulation its seed's.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// How the reconciler behaves. From `server.yaml`; lengths of time.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A removal that takes longer is overdue.
    pub overdue_after: Span,
    /// How often each connector is asked what is there, to find drift.
    pub sweep_every: Span,
    /// How often each connector is surveyed for what stands there without Daypass; zero: only where somebody asks.
    pub survey_every: Span,
    /// The longest pause between two attempts at a call that fails.
    pub backoff_max: Span,
    /// How many calls one connector gets at the same time.
    pub calls_per_connector: usize,
    /// How many due rows the reconciler reads at once. Mass expiry is worked in such batches, so that nobody else waits long.
    pub batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            overdue_after: Span::minutes(2),
            sweep_every: Span::minutes(1),
            survey_every: Span::hours(1),
            backoff_max: Span::seconds(30),
            calls_per_connector: 8,
            batch: 500,
        }
    }
}

/// What an engine stands on.
pub struct Parts {
    /// State and log.
    pub store: Store,
    /// The target kinds that this server knows.
    pub kinds: Kinds,
    /// Where connectors get their secrets from.
    pub secrets: Arc<dyn Secrets>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// This process's own clock: for pauses between calls, and for what must end while the store does not answer. It never
    /// goes back, whatever becomes of the wall clock. Everything that is recorded has the store's time.
    pub clock: Clock,
    /// How the reconciler behaves.
    pub settings: Settings,
}

/// Use cases over one store. Cheap to share behind an [`Arc`].
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) installation: String,
    current: RwLock<Current>,
    pub(crate) inventory: Inventory,
    /// How many readings of the directory have begun, and which of them is the one in use.
    readings: AtomicU64,
    reading_in_use: AtomicU64,
}

impl Engine {
    /// An engine over what the store holds: its directory and the policy revision in force.
    ///
    /// # Errors
    /// Where the store fails, or holds a policy that this version cannot load.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let installation = parts.store.installation().to_owned();
        let directory = Arc::new(snapshot(&parts.store).await?);
        let policy = match parts.store.policy_in_force().await? {
            Some(revision) => {
                Policy::load(&sources(&revision)).map_err(|found| Error::Policy(Box::new(found)))?
            }
            None => Policy::empty(),
        };
        let connectors = Connectors::new(&policy, &parts.kinds, &parts.secrets, &installation)?;
        let current = RwLock::new(Current {
            policy: Arc::new(policy),
            directory,
            connectors: Arc::new(connectors),
            kinds: Arc::new(parts.kinds.clone()),
        });
        Ok(Self {
            parts,
            installation,
            current,
            inventory: Inventory::default(),
            readings: AtomicU64::new(0),
            reading_in_use: AtomicU64::new(0),
        })
    }

    /// The store, for reads that need no decision.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.parts.store
    }

    /// The time that decides; this process's own where the store does not answer.
    pub(crate) async fn now(&self) -> Timestamp {
        self.store().now().await.unwrap_or_else(|_| (self.parts.clock)())
    }

    /// This process's own clock, for lengths of time within it.
    #[must_use]
    pub fn uptime(&self) -> Timestamp {
        (self.parts.clock)()
    }

    /// What decisions are made from at this moment.
    #[must_use]
    pub fn current(&self) -> Current {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the directory anew, after a change by this process or another.
    ///
    /// # Errors
    /// Where the store fails; the old snapshot then stays.
    pub async fn refresh_directory(&self) -> Result<(), Error> {
        let reading = self.readings.fetch_add(1, Ordering::SeqCst) + 1;
        let directory = Arc::new(snapshot(self.store()).await?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Of two at the same time, the one that began first may come back last: what it read is the older state. The other
        // began after the change that this one is for, so it has that too.
        if self.reading_in_use.load(Ordering::SeqCst) < reading {
            self.reading_in_use.store(reading, Ordering::SeqCst);
            current.directory = directory;
        }
        Ok(())
    }

    /// Reads the policy anew if another process has put another revision in force.
    ///
    /// # Errors
    /// Where the store fails or the revision does not load here; the old one then stays in force in this process.
    pub async fn refresh_policy(&self) -> Result<(), Error> {
        let Some(revision) = self.store().policy_in_force().await? else {
            return Ok(());
        };
        if revision.revision == self.current().policy.revision() {
            return Ok(());
        }
        let policy = Policy::load(&sources(&revision)).map_err(|found| Error::Policy(Box::new(found)))?;
        self.install(policy)
    }

    /// Changes state by what policy and directory say. Where they are not those that this process knows (another server has
    /// just changed one), they are read, and it is decided anew.
    pub(crate) async fn decide(
        &self,
        scope: Scope,
        decide: impl FnOnce(&Current, &World, Timestamp) -> Result<Outcome, Refusal> + Clone + Send + 'static,
    ) -> Result<Committed, Error> {
        self.decide_by(|_| (scope.clone(), Basis::PolicyAndDirectory), decide)
            .await
    }

    /// The same with what a person has had, as far back as the policy's limits look (`World::past`). `who`: whose, where the
    /// scope's request or grant does not say.
    pub(crate) async fn decide_remembering(
        &self,
        scope: Scope,
        who: Option<PersonId>,
        decide: impl FnOnce(&Current, &World, Timestamp) -> Result<Outcome, Refusal> + Clone + Send + 'static,
    ) -> Result<Committed, Error> {
        let remembering = |current: &Current| match current.policy.reach() {
            reach if reach.is_nothing() => (scope.clone(), Basis::PolicyAndDirectory),
            reach => {
                let scope = Scope::Remembering {
                    about: Box::new(scope.clone()),
                    who,
                    reach,
                };
                (scope, Basis::PolicyAndDirectory)
            }
        };
        self.decide_by(remembering, decide).await
    }

    /// What a person has had, as far back as the policy's limits look. A decision asks within its transaction.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn past_of(&self, current: &Current, who: PersonId) -> Result<Past, Error> {
        Ok(self.store().past(who, current.policy.reach()).await?)
    }

    /// The same in a scope that policy and directory say, by as much of them as it says.
    pub(crate) async fn decide_by(
        &self,
        scope: impl Fn(&Current) -> (Scope, Basis),
        decide: impl FnOnce(&Current, &World, Timestamp) -> Result<Outcome, Refusal> + Clone + Send + 'static,
    ) -> Result<Committed, Error> {
        let mut attempt = 1;
        loop {
            let (current, decide) = (self.current(), decide.clone());
            let (scope, basis) = scope(&current);
            let decided = self.store().transition(scope, move |world, now| {
                let other_policy = world.policy.is_some_and(|one| one != current.policy.revision());
                let other_directory = basis == Basis::PolicyAndDirectory
                    && world.directory != current.directory.changes()
                    && !planted::is(Fault::OldDirectory);
                if other_policy || other_directory {
                    let what = "the policy or the directory was changed at this moment; try again";
                    return Err(Refusal::new(Code::Stale, what));
                }
                decide(&current.under(world), world, now)
            });
            match decided.await {
                Err(daypass_store::Error::Refused(refusal))
                    if refusal.code == Code::Stale && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    self.refresh_policy().await?;
                    self.refresh_directory().await?;
                }
                decided => return Ok(decided?),
            }
        }
    }

    /// Puts a loaded policy in force in this process.
    pub(crate) fn install(&self, policy: Policy) -> Result<(), Error> {
        let connectors = Connectors::new(
            &policy,
            &self.parts.kinds,
            &self.parts.secrets,
            &self.installation,
        )?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.policy = Arc::new(policy);
        current.connectors = Arc::new(connectors);
        Ok(())
    }

    /// Binds a free text of a person with a fresh salt.
    pub(crate) fn prose(&self, text: &str) -> Prose {
        Prose::new(self.random(), text)
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.parts.entropy.fill(&mut bytes);
        bytes
    }
}

/// The directory, and who is locked. Whoever decides sees the locks in the transaction itself.
async fn snapshot(store: &Store) -> Result<Snapshot, Error> {
    let (people, changes) = store.directory().await?;
    Ok(Snapshot::new(people, changes).under(&store.locks().await?))
}

pub(crate) fn sources(revision: &Revision) -> Vec<Source> {
    let source = |(name, text): &(String, String)| Source {
        name: name.clone(),
        text: text.clone(),
    };
    revision.sources.iter().map(source).collect()
}
