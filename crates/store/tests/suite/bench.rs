//! One store to test, with its database at hand for what only hand-written SQL can do.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use daypass_core::time::{Span, Timestamp};
use daypass_store::{Access, Clock, Error, Gate, PostgresOptions, PostgresTls, Store};
use daypass_testbed::Postgres;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

/// The time at which every test on SQLite begins: 2026-03-07T12:00:00Z.
const NOON: i64 = 1_772_884_800_000_000;

/// Runs each of these on all three.
macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        mod memory { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(crate::bench::Bench::memory().await).await;
        })* }
        mod file { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(crate::bench::Bench::file().await).await;
        })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(crate::bench::Bench::postgres().await).await;
        })* }
    };
}
pub(crate) use on_every_engine;

/// A store, and what it stands on.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) on: On,
    hands: Arc<AtomicI64>,
}

pub(crate) enum On {
    Memory,
    File { path: PathBuf, _folder: TempDir },
    Postgres { database: String },
}

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start().unwrap())
}

pub(crate) fn clock(hands: &Arc<AtomicI64>) -> Clock {
    let hands = hands.clone();
    Arc::new(move || Timestamp::from_micros(hands.load(Ordering::Relaxed)))
}

/// A gate that lets everything through.
struct Open;

impl Gate for Open {
    fn before(&self, _: Access) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn after(&self, _: Access) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

impl Bench {
    pub(crate) async fn memory() -> Self {
        let hands = Arc::new(AtomicI64::new(NOON));
        let store = Store::memory(clock(&hands), "test").await.unwrap();
        Self {
            store,
            on: On::Memory,
            hands,
        }
    }

    pub(crate) async fn file() -> Self {
        let hands = Arc::new(AtomicI64::new(NOON));
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.sqlite");
        let store = Store::open_sqlite(&path, clock(&hands), "test").await.unwrap();
        Self {
            store,
            on: On::File {
                path,
                _folder: folder,
            },
            hands,
        }
    }

    pub(crate) async fn postgres() -> Self {
        let database = tokio::task::spawn_blocking(|| server().create_database("store").unwrap())
            .await
            .unwrap();
        let store = Store::open_postgres(&options(&database), "test").await.unwrap();
        Self {
            store,
            on: On::Postgres { database },
            hands: Arc::default(),
        }
    }

    /// Lets time pass, where the time is ours. A database's clock goes as it goes.
    pub(crate) fn advance(&self, by: Span) {
        self.hands
            .fetch_add(i64::try_from(by.micros()).unwrap(), Ordering::Relaxed);
    }

    /// Sets the clock, where it is ours.
    pub(crate) fn set_clock(&self, to: Timestamp) {
        self.hands.store(to.micros(), Ordering::Relaxed);
    }

    /// The same database and clock in another process, after the end of this one; with nobody there for so long.
    pub(crate) async fn restart(self, after: Span) -> Self {
        self.advance(after);
        let Self { store, on, hands } = self;
        let store = match &on {
            On::Memory => store.beside(Arc::new(Open)).unwrap(),
            On::File { path, .. } => {
                drop(store);
                Store::open_sqlite(path, clock(&hands), "other").await.unwrap()
            }
            On::Postgres { database } => Store::open_postgres(&options(database), "other").await.unwrap(),
        };
        Self { store, on, hands }
    }

    /// Another store on the same database, as a second server would be.
    pub(crate) async fn second(&self) -> Option<Store> {
        match &self.on {
            On::Postgres { database } => {
                Some(Store::open_postgres(&options(database), "other").await.unwrap())
            }
            On::Memory | On::File { .. } => None,
        }
    }

    /// Runs SQL by hand, past the store. `None`: nobody else gets at a database in memory.
    pub(crate) async fn by_hand(&self, sql: &str) -> Option<Result<String, String>> {
        match &self.on {
            On::Memory => None,
            On::File { path, .. } => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
                Some(
                    connection
                        .execute_batch(sql)
                        .map(|()| String::new())
                        .map_err(|error| error.to_string()),
                )
            }
            On::Postgres { database } => {
                let (database, sql) = (database.clone(), sql.to_owned());
                let done = tokio::task::spawn_blocking(move || server().psql(&database, &sql));
                Some(done.await.unwrap().map_err(|error| error.to_string()))
            }
        }
    }
}

pub(crate) fn options(database: &str) -> PostgresOptions {
    PostgresOptions {
        host: String::from("127.0.0.1"),
        port: server().port(),
        database: database.to_owned(),
        user: String::from("postgres"),
        password: Some(server().password().into()),
        tls: PostgresTls::Disabled,
        connections: 16,
        patience: Duration::from_secs(60),
    }
}
