//! A few read-only connections. A reader sees one moment, and neither waits for the writer nor holds it up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::open_reader;
use crate::Clock;
use crate::error::{Error, Result};
use crate::kept::is_kept;
use crate::link::{Link, Running, ready};
use crate::store::apart;

/// How many read at the same time: more would only compete for the same cores.
const READERS: usize = 4;

/// How many more read of what has readers kept for it, see [`mod@crate::kept`].
const KEPT: usize = 2;

pub(crate) struct Readers {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

struct Shared {
    path: PathBuf,
    clock: Clock,
    nobody: bool,
    idle: Mutex<Vec<Link>>,
}

impl Readers {
    pub(crate) fn new(path: &Path, clock: Clock) -> Self {
        Self::with(path, clock, false)
    }

    /// Those of a file that nobody uses meanwhile: nothing is made beside it.
    pub(crate) fn of_nobody(path: &Path, clock: Clock) -> Self {
        Self::with(path, clock, true)
    }

    fn with(path: &Path, clock: Clock, nobody: bool) -> Self {
        let shared = Shared {
            path: path.to_owned(),
            clock,
            nobody,
            idle: Mutex::new(Vec::new()),
        };
        Self {
            shared: Arc::new(shared),
            permits: Arc::new(Semaphore::new(READERS)),
            kept: Arc::new(Semaphore::new(KEPT)),
        }
    }

    /// Closes those that read nothing at the moment.
    pub(crate) fn close(&self) {
        self.shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Reads on a thread that may wait for the disk.
    pub(crate) async fn read<T, F>(&self, action: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Link) -> Running<'a, T> + Send + 'static,
    {
        let gone = || Error::Unavailable(String::from("it is being closed"));
        let permits = if is_kept() { &self.kept } else { &self.permits };
        let (permits, shared) = (permits.clone(), self.shared.clone());
        let read = move |permit| {
            tokio::task::spawn_blocking(move || {
                let result = shared.read(action);
                drop(permit);
                result
            })
        };
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            return read(permit).await.map_err(|_| gone())?;
        }
        // A place in the queue is nothing that a caller may have: while they are not looked at, it would be kept for them.
        apart(async move {
            let permit = permits.acquire_owned().await.map_err(|_| gone())?;
            read(permit).await.map_err(|_| gone())?
        })
        .await
    }
}

impl Shared {
    fn read<T>(&self, action: impl for<'a> FnOnce(&'a mut Link) -> Running<'a, T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut link = idle.map_or_else(|| open_reader(&self.path, self.clock.clone(), self.nobody), Ok)?;
        // All statements of one read see the same moment.
        control(&mut link, "BEGIN")?;
        let result = ready(action(&mut link));
        // A connection that does not end its transaction is not used again: it would keep seeing the past.
        if control(&mut link, "COMMIT").is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(link);
        }
        result
    }
}

fn control(link: &mut Link, text: &str) -> Result<()> {
    match link {
        Link::Sqlite(link) => link.control(text),
        Link::Postgres(_) => Err(Error::corrupt("these readers are for SQLite")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use daypass_core::time::Timestamp;

    use super::*;
    use crate::kept;

    /// The reconciler waits for a read of its own while it does not look at the calls that it made, which read too.
    #[tokio::test]
    async fn who_is_not_looked_at_keeps_nobody_from_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        rusqlite::Connection::open(&path).unwrap();
        let readers = Readers::new(&path, Arc::new(|| Timestamp::EPOCH));
        let all: Vec<_> = (0..READERS)
            .map(|_| readers.permits.clone().try_acquire_owned().unwrap())
            .collect();
        let mut waiting: Vec<_> = (0..READERS + 1)
            .map(|_| Box::pin(readers.read(|_| Box::pin(async { Ok(()) }))))
            .collect();
        for read in &mut waiting {
            assert!(futures_util::FutureExt::now_or_never(read).is_none());
        }
        // Each has its place in the queue.
        tokio::task::yield_now().await;
        drop(all);
        let last = readers.read(|_| Box::pin(async { Ok(7) }));
        assert_eq!(last.await.unwrap(), 7, "though nobody looks at those before it");
        for read in waiting {
            read.await.unwrap();
        }
    }

    #[tokio::test]
    async fn however_many_read_the_loops_that_end_access_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        rusqlite::Connection::open(&path).unwrap();
        let readers = Arc::new(Readers::new(&path, Arc::new(|| Timestamp::EPOCH)));
        let all: Vec<_> = (0..READERS)
            .map(|_| readers.permits.clone().try_acquire_owned().unwrap())
            .collect();
        let read = kept(readers.read(|_| Box::pin(async { Ok(7) })));
        assert_eq!(read.await.unwrap(), 7);
        let mut other = Box::pin(readers.read(|_| Box::pin(async { Ok(8) })));
        assert!(futures_util::FutureExt::now_or_never(&mut other).is_none());
        drop(all);
        assert_eq!(other.await.unwrap(), 8);
    }
}
