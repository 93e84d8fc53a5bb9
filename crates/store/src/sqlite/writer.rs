//! Group commit: one thread owns the connection that writes, and commits together what waited together.
//!
//! Each piece of work runs in its own savepoint, so that a refusal takes back its own changes only. All of a batch is
//! answered after the one commit: what was answered is on the disk, what could not be committed never happened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::link::{Link, Running, ready};

/// How much is committed at once. More would make the first wait for the last.
const BATCH: usize = 512;

/// A piece of work on the connection that writes.
pub(crate) trait Work: Send {
    /// Does it, inside a savepoint. Where it fails, its changes are taken back.
    fn run(&mut self, link: &mut Link) -> Result<()>;
    /// Tells whoever waits what became of it.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// Work that is a closure, with somebody waiting for what it returns.
pub(crate) struct Write<T, F, D> {
    action: Option<F>,
    done: D,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F, D> Write<T, F, D> {
    /// `done` is called with what was committed, also where nobody waits for it any more.
    pub(crate) fn new(action: F, done: D) -> (Self, oneshot::Receiver<Result<T>>) {
        let (reply, receiver) = oneshot::channel();
        (
            Self {
                action: Some(action),
                done,
                outcome: None,
                reply,
            },
            receiver,
        )
    }
}

impl<T, F, D> Work for Write<T, F, D>
where
    T: Send,
    F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send,
    D: FnOnce(&T) + Send,
{
    fn run(&mut self, link: &mut Link) -> Result<()> {
        let Some(action) = self.action.take() else {
            return Ok(());
        };
        // Whoever decides may have a bug; the thread that everybody's writes depend on outlives it.
        let outcome = catch_unwind(AssertUnwindSafe(|| ready(action(link))));
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Error::corrupt(
                "deciding it failed unexpectedly; nothing was recorded",
            ))
        });
        self.outcome
            .insert(outcome)
            .as_ref()
            .map(|_| ())
            .map_err(Clone::clone)
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let answer = match (self.outcome, committed) {
            (Some(Ok(value)), Ok(())) => {
                (self.done)(&value);
                Ok(value)
            }
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(Error::corrupt("a write was not run")),
        };
        // Whoever asked may have gone away; what is committed stays.
        let _ = self.reply.send(answer);
    }
}

/// The connection that writes.
pub(crate) struct Writer {
    pub(crate) link: Link,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) const fn new(link: Link, commits: Arc<AtomicU64>) -> Self {
        Self { link, commits }
    }

    /// Works until nobody can send work any more.
    pub(crate) fn serve(mut self, queue: &Receiver<Box<dyn Work>>) {
        while let Ok(first) = queue.recv() {
            let batch = std::iter::once(first)
                .chain(queue.try_iter().take(BATCH - 1))
                .collect();
            self.commit(batch);
        }
    }

    /// Runs and commits these together, then answers them.
    pub(crate) fn commit(&mut self, mut batch: Vec<Box<dyn Work>>) {
        let result = self.attempt(&mut batch);
        for work in batch {
            work.answer(result.clone());
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Work>]) -> Result<()> {
        self.control("BEGIN IMMEDIATE")?;
        let done = batch
            .iter_mut()
            .try_for_each(|work| self.one(work.as_mut()))
            .and_then(|()| self.control("COMMIT"));
        if done.is_err() && !self.is_idle() {
            // Where even this fails, the next BEGIN does too, and says so.
            self.control("ROLLBACK")?;
        }
        if done.is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    fn one(&mut self, work: &mut dyn Work) -> Result<()> {
        self.control("SAVEPOINT one")?;
        if let Err(error) = work.run(&mut self.link) {
            if self.is_idle() {
                // SQLite gave up the whole transaction, as it may on a full disk: what ran before is gone with it.
                return Err(error);
            }
            self.control("ROLLBACK TO one")?;
        }
        self.control("RELEASE one")
    }

    fn control(&mut self, text: &str) -> Result<()> {
        match &mut self.link {
            Link::Sqlite(link) => link.control(text),
            Link::Postgres(_) => Err(Error::corrupt("group commit is for SQLite")),
        }
    }

    fn is_idle(&self) -> bool {
        matches!(&self.link, Link::Sqlite(link) if link.is_idle())
    }
}
