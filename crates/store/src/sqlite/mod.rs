//! SQLite: one durable file with one process on it, or nothing but memory for tests and simulation.

#[cfg(test)]
mod full;
mod link;
mod lock;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub(crate) use self::link::Link;
use self::link::failure;
use self::lock::Lock;
pub(crate) use self::readers::Readers;
use self::writer::{Work, Write, Writer};
use crate::Clock;
use crate::error::{Error, Result};
use crate::link::{self as any, Running, ready};

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// What the connection that writes is told. `synchronous=FULL`: what was answered survives a power cut. What a savepoint may
/// have to take back is kept in memory (it was a sixth of all time in a file), with 32 MiB of pages. The log of pages is brought
/// into the file every 16 MiB (4,096 pages) and not every 4: each time costs two or three syncs.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 67108864; \
     PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4096;";

/// A database in a file.
pub(crate) struct File {
    queue: Option<Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    readers: Readers,
    // Last: it is let go when the connections are closed.
    _lock: Lock,
}

impl File {
    /// Opens or makes the database, and keeps every other process off it.
    pub(crate) fn open(path: &Path, clock: Clock, commits: Arc<AtomicU64>) -> Result<Self> {
        let lock = Lock::take(path)?;
        lock::create_private(path)?;
        let mut connection = Connection::open(path).map_err(failure)?;
        prepare(&mut connection)?;
        let writer = Writer::new(any::Link::Sqlite(Link::new(connection, clock.clone())), commits);
        let (queue, waiting) = channel();
        let thread = std::thread::Builder::new().name(String::from("store"));
        let thread = thread.spawn(move || writer.serve(&waiting));
        let thread =
            thread.map_err(|error| Error::Unavailable(format!("no thread to write with: {error}")))?;
        let readers = Readers::new(path, clock);
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            readers,
            _lock: lock,
        })
    }

    pub(crate) async fn write<T, F, D>(&self, action: F, done: D) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut any::Link) -> Running<'a, T> + Send + 'static,
        D: FnOnce(&T) + Send + 'static,
    {
        let (work, reply) = Write::new(action, done);
        let gone = || Error::Unavailable(String::from("its writing thread has ended; restart the server"));
        self.queue
            .as_ref()
            .ok_or_else(gone)?
            .send(Box::new(work))
            .map_err(|_| gone())?;
        reply.await.map_err(|_| gone())?
    }

    pub(crate) async fn read<T, F>(&self, action: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut any::Link) -> Running<'a, T> + Send + 'static,
    {
        self.readers.read(action).await
    }
}

impl Drop for File {
    /// Waits for what is being written, so that the file can be opened again as soon as the store is gone.
    fn drop(&mut self) {
        // First those that only read: the last connection brings all of it into the file, and they cannot.
        self.readers.close();
        drop(self.queue.take());
        let thread = self.thread.take();
        // The last handle may be dropped by a decision, on that very thread.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the store's writing thread failed");
        }
    }
}

/// A database in memory: one connection, and everything happens on the thread that asks, in the order of asking.
pub(crate) struct Memory {
    writer: Mutex<Writer>,
}

impl Memory {
    pub(crate) fn open(clock: Clock, commits: Arc<AtomicU64>) -> Result<Self> {
        let mut connection = Connection::open_in_memory().map_err(failure)?;
        prepare(&mut connection)?;
        let writer = Writer::new(any::Link::Sqlite(Link::new(connection, clock)), commits);
        Ok(Self {
            writer: Mutex::new(writer),
        })
    }

    pub(crate) async fn write<T, F, D>(&self, action: F, done: D) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut any::Link) -> Running<'a, T> + Send + 'static,
        D: FnOnce(&T) + Send + 'static,
    {
        let (work, reply) = Write::new(action, done);
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .commit(vec![Box::new(work)]);
        reply
            .await
            .map_err(|_| Error::corrupt("a write was not answered"))?
    }

    pub(crate) fn read<T, F>(&self, action: F) -> Result<T>
    where
        F: for<'a> FnOnce(&'a mut any::Link) -> Running<'a, T>,
    {
        ready(action(
            &mut self.writer.lock().unwrap_or_else(PoisonError::into_inner).link,
        ))
    }
}

fn prepare(connection: &mut Connection) -> Result<()> {
    connection.execute_batch(PRAGMAS).map_err(failure)?;
    plan_once(connection)?;
    let done = steps().run(connection);
    done.map(drop)
        .map_err(|error| Error::Corrupt(format!("its tables are not those of this version: {error}")))
}

/// One plan for each statement, whatever is bound to it. Without this, SQLite compiles a statement anew for each new value
/// (<https://www.sqlite.org/c3ref/c_dbconfig_defensive.html>, `SQLITE_DBCONFIG_ENABLE_QPSG`): a fifth of all time here.
fn plan_once(connection: &Connection) -> Result<()> {
    let set = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    set.map(drop).map_err(failure)
}

/// Where SQLite keeps what is not in the database's file yet.
pub(crate) fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// What makes the tables of this version, step by step.
pub(crate) fn steps() -> refinery::Runner {
    migrations::migrations::runner()
}

/// A connection that cannot write, whatever it is told. `nobody`: nobody else uses the file meanwhile, and SQLite takes it as it
/// lies there. Otherwise it would make files beside it.
fn open_reader(path: &Path, clock: Clock, nobody: bool) -> Result<any::Link> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = if nobody {
        Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    };
    let connection = opened.map_err(failure)?;
    connection
        .execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")
        .map_err(failure)?;
    plan_once(&connection)?;
    Ok(any::Link::Sqlite(Link::new(connection, clock)))
}

/// The URI of a file that nobody changes (<https://www.sqlite.org/uri.html>).
fn immutable(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}
