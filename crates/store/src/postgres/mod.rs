//! PostgreSQL: several servers on one database, whose clock decides.

mod edge;
mod link;
mod tls;

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

pub(crate) use self::link::Link;
use self::link::failure;
use crate::error::{Error, Result};
use crate::kept::is_kept;

mod migrations {
    refinery::embed_migrations!("migrations/postgres");
}

/// The advisory lock under which the tables are made, so that of several servers that start at once one makes them.
const MIGRATING: i64 = 0x6461_7970_6173_7301;

/// The advisory lock that every decision shares, and that those which all others depend on have to themselves.
const DECIDING: i64 = 0x6461_7970_6173_7302;

/// How a decision begins: with its share of that lock, or with all of it. The statements behind it see what others committed
/// until then.
pub(crate) fn deciding(exclusive: bool) -> String {
    let share = if exclusive { "" } else { "_shared" };
    format!("BEGIN; SELECT pg_advisory_xact_lock{share}({DECIDING})")
}

/// How to reach a PostgreSQL store.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Its host, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database. Its tables are made in the role's first schema.
    pub database: String,
    /// The role, which owns the tables.
    pub user: String,
    /// The role's password, where it has one.
    pub password: Option<SecretString>,
    /// How the connection is protected.
    pub tls: PostgresTls,
    /// How many connections at most, beside the four that are kept for the loops which end access; at least two are used.
    pub connections: usize,
    /// How long one statement may take, a minute as a rule. Those of the loops which end access have a third of it: without an
    /// answer, they take away what they last read as running out.
    pub patience: Duration,
}

/// How the connection to a PostgreSQL store is protected. There is no "if possible": anybody on the way could say no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresTls {
    /// TLS, with the certificate's chain and name checked.
    VerifyFull {
        /// Certificates that are trusted beside the system's own, in PEM.
        ca_pem: Option<String>,
    },
    /// None. For a server on this machine.
    Disabled,
}

/// How many connections are kept for the loops that end access, see [`mod@crate::kept`].
const KEPT: usize = 4;

/// Connections, and how long is waited for an answer on one.
#[derive(Clone)]
pub(crate) struct Line {
    pool: Pool,
    patience: Duration,
}

/// The connections to a store: those for everybody, and those that are kept.
pub(crate) struct Pools {
    all: Line,
    kept: Line,
}

impl Pools {
    /// Those that this work may use. To be asked before it goes on in a task of its own.
    pub(crate) fn mine(&self) -> &Line {
        if is_kept() { &self.kept } else { &self.all }
    }
}

/// Connects, and makes the tables where they are missing.
pub(crate) async fn open(options: &PostgresOptions) -> Result<Pools> {
    let kept = line(options, KEPT, options.patience / 3)?;
    let all = line(options, options.connections.max(2), options.patience)?;
    let mut client = all.pool.get().await.map_err(unavailable)?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&MIGRATING])
        .await
        .map_err(failure)?;
    let migrated = steps().run_async(&mut **client).await;
    client
        .execute("SELECT pg_advisory_unlock($1)", &[&MIGRATING])
        .await
        .map_err(failure)?;
    migrated.map_err(|error| Error::Corrupt(format!("its tables are not those of this version: {error}")))?;
    drop(client);
    Ok(Pools { all, kept })
}

/// A connection that only reads, whatever it is told. Nothing is asked of it yet.
pub(crate) fn open_reading(options: &PostgresOptions) -> Result<Line> {
    let patience = options.patience;
    let pool = pool(options, 1, patience, " -c default_transaction_read_only=on")?;
    Ok(Line { pool, patience })
}

/// What makes the tables of this version, step by step.
pub(crate) fn steps() -> refinery::Runner {
    migrations::migrations::runner()
}

fn line(options: &PostgresOptions, size: usize, patience: Duration) -> Result<Line> {
    let pool = pool(options, size, patience, "")?;
    // The server gives up first, and says so; this is for one that is not there any more.
    let patience = patience + patience / 4;
    Ok(Line { pool, patience })
}

fn pool(options: &PostgresOptions, size: usize, patience: Duration, more: &str) -> Result<Pool> {
    let mut config = Config::new();
    config
        .host(&options.host)
        .port(options.port)
        .dbname(&options.database)
        .user(&options.user);
    if let Some(password) = &options.password {
        config.password(password.expose_secret());
    }
    config.application_name("daypass");
    // No server of ours waits for ever for a row, and none that hangs keeps one for ever. What is asked is about a few rows: to
    // compile it takes longer than to do it.
    config.options(format!(
        "-c jit=off -c lock_timeout=10s -c statement_timeout={} -c idle_in_transaction_session_timeout=60s{more}",
        patience.as_millis()
    ));
    // One that vanishes without a word, with its machine or behind a firewall that forgot, is found out by ours: what was sent
    // and is not acknowledged counts as lost, and who says nothing is asked.
    config
        .connect_timeout(Duration::from_secs(10))
        .tcp_user_timeout(Duration::from_secs(15))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    let manage = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = match &options.tls {
        PostgresTls::VerifyFull { ca_pem } => {
            config.ssl_mode(SslMode::Require);
            Manager::from_config(config, tls::verified(ca_pem.as_deref())?, manage)
        }
        PostgresTls::Disabled => {
            config.ssl_mode(SslMode::Disable);
            Manager::from_config(config, NoTls, manage)
        }
    };
    let soon = Some(Duration::from_secs(10));
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: soon,
            create: soon,
            recycle: soon,
        })
        .build()
        .map_err(Error::corrupt)
}

/// A connection from the pool.
pub(crate) async fn link(line: &Line) -> Result<Link> {
    let client = line.pool.get().await.map_err(unavailable)?;
    Ok(Link::new(client, line.patience))
}

fn unavailable(error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) => failure(error),
        PoolError::Timeout(_) => {
            Error::Unavailable(String::from("no connection to it came free within 10 seconds"))
        }
        other => Error::Unavailable(other.to_string()),
    }
}
