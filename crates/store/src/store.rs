//! The store itself: how it is opened, and how reads, writes and transitions get to either database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use daypass_core::event::What;
use daypass_core::only_take_away;
use daypass_core::refusal::Refusal;
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::floor::Floor;
use crate::gate::{Access, Gate};
use crate::link::{Link, Running};
use crate::postgres::{self, Line, PostgresOptions};
use crate::scope::Scope;
use crate::transition::{self, Committed, Decide, Outcome, Told};
use crate::{Clock, sqlite};

/// How often a transition is begun anew because others changed the same rows.
const ATTEMPTS: u32 = 5;

/// State and log, on SQLite or PostgreSQL. Clones are handles to the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    installation: String,
    floor: Floor,
    changes: watch::Sender<u64>,
    duties: watch::Sender<u64>,
    commits: Arc<AtomicU64>,
    only_takes_away: Arc<AtomicBool>,
}

enum Engine {
    Memory {
        memory: Arc<sqlite::Memory>,
        gate: Option<Arc<dyn Gate>>,
    },
    File(sqlite::File),
    Postgres(postgres::Pools),
}

impl Store {
    /// A database in one durable file, which is made where there is none. `installation` is the random id that a new store
    /// gets; one that exists keeps its own.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process has it; where the file cannot be opened or is no store of this version.
    pub async fn open_sqlite(path: &Path, clock: Clock, installation: &str) -> Result<Self> {
        let (path, commits) = (path.to_owned(), Arc::default());
        let counted = Arc::clone(&commits);
        let opening = tokio::task::spawn_blocking(move || sqlite::File::open(&path, clock, counted));
        let file = opening
            .await
            .map_err(|_| Error::Unavailable(String::from("it could not be opened")))??;
        Self::new(Engine::File(file), commits, installation).await
    }

    /// A database in memory, for tests, simulation and the demo: everything happens on the thread that asks.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub async fn memory(clock: Clock, installation: &str) -> Result<Self> {
        let commits = Arc::default();
        let memory = Arc::new(sqlite::Memory::open(clock, Arc::clone(&commits))?);
        Self::new(Engine::Memory { memory, gate: None }, commits, installation).await
    }

    /// Another process's handle to the same database in memory, behind a gate of its own: as several servers share one
    /// PostgreSQL. What this process remembers (the time that it told, what it committed) the other does not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where this database is not in memory.
    pub fn beside(&self, gate: Arc<dyn Gate>) -> Result<Self> {
        let Engine::Memory { memory, .. } = &self.inner.engine else {
            return Err(Error::Unavailable(String::from(
                "only a database in memory is shared like this",
            )));
        };
        let inner = Inner {
            engine: Engine::Memory {
                memory: Arc::clone(memory),
                gate: Some(gate),
            },
            installation: self.inner.installation.clone(),
            floor: Floor::default(),
            changes: watch::Sender::new(0),
            duties: watch::Sender::new(0),
            commits: Arc::default(),
            only_takes_away: Arc::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A PostgreSQL database, whose own clock decides. Several servers may share it.
    ///
    /// # Errors
    /// Where it cannot be reached, or holds tables of another version.
    pub async fn open_postgres(options: &PostgresOptions, installation: &str) -> Result<Self> {
        Self::new(
            Engine::Postgres(postgres::open(options).await?),
            Arc::default(),
            installation,
        )
        .await
    }

    async fn new(engine: Engine, commits: Arc<AtomicU64>, installation: &str) -> Result<Self> {
        let (floor, changes) = (Floor::default(), watch::Sender::new(0));
        let inner = Inner {
            engine,
            installation: String::new(),
            floor,
            changes,
            duties: watch::Sender::new(0),
            commits,
            only_takes_away: Arc::default(),
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        let given = installation.to_owned();
        let kept = store.write(move |link| {
            Box::pin(async move {
                let text = "INSERT INTO meta (name, value) VALUES ('installation', $1) ON CONFLICT (name) DO NOTHING";
                link.run(text, &[given.into()]).await?;
                let row = link.row("SELECT value FROM meta WHERE name = 'installation'", &[]).await?;
                Ok(row.ok_or_else(|| Error::corrupt("it has no id"))?.text(0)?.to_owned())
            })
        });
        let installation = kept.await?;
        let inner =
            Arc::into_inner(store.inner).ok_or_else(|| Error::corrupt("it was shared before it was open"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                installation,
                ..inner
            }),
        })
    }

    /// The random id that this store was given when it was made. Names at targets carry it.
    #[must_use]
    pub fn installation(&self) -> &str {
        &self.inner.installation
    }

    /// The time that decides: that of the database, and never earlier than what is recorded or was told before.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn now(&self) -> Result<Timestamp> {
        Ok(self.told().await?.now)
    }

    /// The time that decides, and what the clock said at that moment: for what other machines judge by their own clocks.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn told(&self) -> Result<Told> {
        let floor = self.inner.floor.clone();
        let reading = self.read(move |link| Box::pin(async move { transition::told(link, &floor).await }));
        let (told, unkept) = reading.await?;
        if let Some(shift) = unkept {
            let (text, values) = transition::keep_shift(shift);
            let kept =
                self.write(move |link| Box::pin(async move { link.run(text, &values).await.map(drop) }));
            if let Err(error) = kept.await {
                tracing::warn!(%error, %shift, "the clock was set back, and the store could not take the note of it yet");
            }
        }
        Ok(told)
    }

    /// Changes state. Loads and locks the scope, calls `decide` (once, with what is there now), and records all of what it
    /// says or nothing. What waits together is committed together. Once begun it runs to its end, whoever stops waiting.
    ///
    /// # Errors
    /// [`Error::Refused`] with the decision's refusal, [`Error::Illegal`] where an event does not follow, [`Error::Full`] and
    /// [`Error::Unavailable`] where it could not be recorded.
    pub async fn transition(
        &self,
        scope: Scope,
        decide: impl FnOnce(&World, Timestamp) -> Result<Outcome, Refusal> + Send + 'static,
    ) -> Result<Committed> {
        let floor = self.inner.floor.clone();
        let restrained = Arc::clone(&self.inner.only_takes_away);
        let mut decide: Option<Decide> = Some(Box::new(move |world: &World, now: Timestamp| {
            let outcome = decide(world, now)?;
            if restrained.load(Ordering::SeqCst) {
                let mut events = outcome.events.iter();
                events.try_for_each(|(_, _, what)| only_take_away::check(what))?;
            }
            Ok(outcome)
        }));
        let (changes, duties) = (self.inner.changes.clone(), self.inner.duties.clone());
        let done = move |committed: &Committed| {
            if !committed.events.is_empty() {
                changes.send_modify(|count| *count += 1);
            }
            // Nothing at any target hangs on what is told of sessions.
            if !committed
                .events
                .iter()
                .all(|event| matches!(event.what, What::Session(_)))
            {
                duties.send_modify(|count| *count += 1);
            }
        };
        let Engine::Postgres(pools) = &self.inner.engine else {
            return self
                .write_then(
                    |link| Box::pin(async move { transition::run(link, &scope, &mut decide, &floor).await }),
                    done,
                )
                .await;
        };
        let line = pools.mine().clone();
        self.spawn(
            async move { attempts(&line, &scope, &mut decide, &floor).await },
            done,
        )
        .await
    }

    /// From here on this process records what takes access away and what was seen, and nothing else, until it ends: see
    /// [`only_take_away`]. A decision that is being committed at this moment still is.
    pub fn only_take_away(&self) {
        self.inner.only_takes_away.store(true, Ordering::SeqCst);
    }

    /// Whether this process only takes away.
    #[must_use]
    pub fn only_takes_away(&self) -> bool {
        self.inner.only_takes_away.load(Ordering::SeqCst)
    }

    /// The same for events after which something may have to be done at a target: what wakes the reconciler.
    #[must_use]
    pub fn duties(&self) -> watch::Receiver<u64> {
        self.inner.duties.subscribe()
    }

    /// Changes whenever this process has committed events: what wakes the sequencer. It tells nothing of other processes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// How many commits there were, for metrics.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn floor(&self) -> &Floor {
        &self.inner.floor
    }

    /// Reads. On PostgreSQL each statement sees its own moment.
    pub(crate) async fn read<T, F>(&self, action: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send + 'static,
    {
        match &self.inner.engine {
            Engine::Memory { memory, gate: None } => memory.read(action),
            Engine::Memory {
                memory,
                gate: Some(gate),
            } => {
                gate.before(Access::Read).await?;
                let answer = memory.read(action);
                gate.after(Access::Read).await?;
                answer
            }
            Engine::File(file) => file.read(action).await,
            Engine::Postgres(pools) => {
                let line = pools.mine().clone();
                apart(async move { action(&mut Link::Postgres(postgres::link(&line).await?)).await }).await
            }
        }
    }

    /// Reads with all statements at the same moment.
    pub(crate) async fn snapshot<T, F>(&self, action: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send + 'static,
    {
        match &self.inner.engine {
            Engine::Memory { .. } | Engine::File(_) => self.read(action).await,
            Engine::Postgres(pools) => {
                let line = pools.mine().clone();
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                apart(async move { within(&line, begin, action).await }).await
            }
        }
    }

    /// Writes, all or nothing. Once begun it runs to its end.
    pub(crate) async fn write<T, F>(&self, action: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send + 'static,
    {
        self.write_then(action, |_: &T| ()).await
    }

    /// The same; `done` is called with what was committed, also where nobody waits for it any more.
    async fn write_then<T, F, D>(&self, action: F, done: D) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send + 'static,
        D: FnOnce(&T) + Send + 'static,
    {
        match &self.inner.engine {
            Engine::Memory { memory, gate: None } => memory.write(action, done).await,
            Engine::Memory {
                memory,
                gate: Some(gate),
            } => {
                gate.before(Access::Write).await?;
                let answer = memory.write(action, done).await;
                gate.after(Access::Write).await?;
                answer
            }
            Engine::File(file) => file.write(action, done).await,
            Engine::Postgres(pools) => {
                let line = pools.mine().clone();
                self.spawn(async move { within(&line, "BEGIN", action).await }, done)
                    .await
            }
        }
    }

    /// Runs a transaction on a task of its own: it does not end half way where its caller does.
    async fn spawn<T: Send + 'static>(
        &self,
        transaction: impl Future<Output = Result<T>> + Send + 'static,
        done: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        let commits = Arc::clone(&self.inner.commits);
        let running = tokio::spawn(async move {
            transaction.await.inspect(|committed| {
                commits.fetch_add(1, Ordering::Relaxed);
                done(committed);
            })
        });
        let failed = |_| Error::corrupt("deciding it failed unexpectedly; nothing was recorded");
        running.await.map_err(failed)?
    }
}

/// Reads on a task of its own. Whoever asks may look at something else for a while, as the reconciler does at the calls that it made
/// before; what waits for a connection or has one must go on meanwhile, or it holds up who is being looked at, for ever.
pub(crate) async fn apart<T: Send + 'static>(
    reading: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let failed = |_| Error::corrupt("reading failed unexpectedly");
    tokio::spawn(reading).await.map_err(failed)?
}

/// One transaction on PostgreSQL.
pub(crate) async fn within<T, F>(line: &Line, begin: &str, action: F) -> Result<T>
where
    F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send,
{
    let mut link = postgres::link(line).await?;
    link.begin(begin);
    let mut any = Link::Postgres(link);
    let result = action(&mut any).await;
    end(any, result).await
}

/// A transition on PostgreSQL: where others stood in its way before anything was decided, it begins anew.
async fn attempts(
    line: &Line,
    scope: &Scope,
    decide: &mut Option<Decide>,
    floor: &Floor,
) -> Result<Committed> {
    let mut attempt = 1;
    loop {
        let mut link = postgres::link(line).await?;
        link.begin(&postgres::deciding(scope.is_exclusive()));
        let mut any = Link::Postgres(link);
        let result = transition::run(&mut any, scope, decide, floor).await;
        let contended = matches!(&any, Link::Postgres(link) if link.is_contended());
        let result = end(any, result).await;
        if result.is_ok() || !contended || decide.is_none() || attempt >= ATTEMPTS {
            return result;
        }
        attempt += 1;
    }
}

async fn end<T>(link: Link, result: Result<T>) -> Result<T> {
    let Link::Postgres(mut link) = link else {
        return result;
    };
    match result {
        Ok(value) => link.commit().await.map(|()| value),
        Err(error) => {
            // Where the connection is lost, so is the transaction; the cause is what matters.
            if let Err(lost) = link.rollback().await {
                tracing::debug!(%lost, "a transaction was given up with its connection");
            }
            Err(error)
        }
    }
}
