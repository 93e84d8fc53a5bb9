//! Connections to the target as its admin: one for each call, with everything that protects it set before the first
//! statement.
//!
//! There is no pool. A call has a handful of statements, and a connection kept for later would be the one that broke in
//! the meantime, hold a database against being dropped, and outlive a changed password.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daypass_core::entitlement::Fault;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, NoTls, Row};

use super::config::Connector;
use super::{fault, tls};
use crate::within::within;
use crate::{Error, Secrets, Tls};

/// How long to wait for the target to take a connection, and for the login after that, each.
const CONNECT: Duration = Duration::from_secs(5);

/// How many of the reconciler's calls may be under way at one target at once. The others wait: a mass expiry must leave
/// connections to others.
const CALLS: usize = 16;

/// How many calls that people ask for may be under way at once, beside those.
const ASKED: usize = 8;

/// Set at the start of each session; these win over what is set for the database or the role.
///
/// `search_path`: nothing in a schema that a holder can write to is ever found by our statements. `role`: a database's
/// owner could set another one for all who connect. The timeouts bound every statement, lock and forgotten transaction at
/// the target; `synchronous_commit`: a removal that was answered is not lost in a crash.
const SETTINGS: [(&str, &str); 13] = [
    ("search_path", "pg_catalog"),
    ("role", "none"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("default_transaction_isolation", "read\\ committed"),
    ("default_transaction_read_only", "off"),
    ("standard_conforming_strings", "on"),
    ("client_min_messages", "warning"),
    ("synchronous_commit", "on"),
    ("row_security", "off"),
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
];

/// The way to a target.
pub(super) struct Door {
    config: Connector,
    secrets: Arc<dyn Secrets>,
    calls: Semaphore,
    asked: Semaphore,
}

/// Who waits for a call. The two never wait for each other: whoever asks for credentials or for a connector's health as often
/// as they can must not hold up the end of anybody's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The reconciler: what is due is given, looked at and taken away.
    Reconciler,
    /// Somebody at the other end of a request.
    Person,
}

/// One connection, in one database. Dropping it closes the connection, whatever is under way on it.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    warnings: Arc<Mutex<Vec<DbError>>>,
    /// The server's major version, such as 15.
    pub(super) major: u32,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Door {
    pub(super) fn new(config: Connector, secrets: Arc<dyn Secrets>) -> Self {
        Self {
            config,
            secrets,
            calls: Semaphore::new(CALLS),
            asked: Semaphore::new(ASKED),
        }
    }

    /// What the connector is configured with.
    pub(super) const fn config(&self) -> &Connector {
        &self.config
    }

    /// Where its secret comes from.
    pub(super) fn secrets(&self) -> &dyn Secrets {
        self.secrets.as_ref()
    }

    /// Waits for a place among the calls of its kind that may be under way at once. Held for the whole call.
    pub(super) async fn enter(&self, whom: For) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        let places = match whom {
            For::Reconciler => &self.calls,
            For::Person => &self.asked,
        };
        let entered = async {
            places
                .acquire()
                .await
                .map_err(|_| Error::new(Fault::Bug, "the connector is closed"))
        };
        let entered = within(
            Duration::from_secs(10),
            "waiting for other calls to this server",
            entered,
        )
        .await;
        entered.map_err(|error| Error::new(Fault::RateLimited, error.detail))
    }

    /// Connects to a database, with the secret or, where the target refuses that, with the one that a rotation staged.
    pub(super) async fn connect(&self, database: &str) -> Result<Session, Error> {
        let Connector {
            host, port, secret, ..
        } = &self.config;
        let revealed = self.secrets.reveal(secret, host, *port).await?;
        let refused = match self.login(database, &revealed.value, &revealed.tls).await {
            Err(error) if error.fault == Fault::Denied => error,
            other => return other,
        };
        // A rotation was cut short after the target had taken the new password, and before it was made the value.
        let Some(staged) = self.secrets.staged(secret, host, *port).await? else {
            return Err(refused);
        };
        let Ok(session) = self.login(database, &staged, &revealed.tls).await else {
            return Err(refused);
        };
        if let Err(error) = self.secrets.replace(secret, &staged).await {
            tracing::warn!(secret = %secret, %error, "the staged admin password is in force and could not be made the value");
        }
        Ok(session)
    }

    /// Connects with a given password.
    pub(super) async fn login(
        &self,
        database: &str,
        password: &SecretString,
        tls: &Tls,
    ) -> Result<Session, Error> {
        let Connector { host, port, user, .. } = &self.config;
        let doing = format!("connecting to {host}:{port}/{database} as {user}");
        let address = (host.as_str(), *port);
        let stream = within(CONNECT, &doing, async {
            let unreachable = |error| Error::new(Fault::Unavailable, format!("{doing}: {error}"));
            let stream = TcpStream::connect(address).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            Ok(stream)
        });
        let stream = stream.await?;
        let mut config = tokio_postgres::Config::new();
        let options: Vec<_> = SETTINGS
            .iter()
            .map(|(name, value)| format!("-c {name}={value}"))
            .collect();
        config
            .user(user)
            .dbname(database)
            .password(password.expose_secret())
            .application_name("daypass")
            .options(options.join(" "));
        let session = async {
            match tls {
                Tls::Disabled => {
                    config.ssl_mode(SslMode::Disable);
                    let connected = config.connect_raw(stream, NoTls).await;
                    let (client, connection) = connected.map_err(|error| fault::from(&error, &doing))?;
                    Session::drive(client, connection)
                }
                Tls::VerifyFull { ca_pem } => {
                    config.ssl_mode(SslMode::Require);
                    let mut connector = tls::connector(ca_pem.as_deref())?;
                    let connector = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, host)
                        .map_err(|error| tls::unusable(&error))?;
                    let connected = config.connect_raw(stream, connector).await;
                    let (client, connection) = connected.map_err(|error| tls::explain(&error, &doing))?;
                    Session::drive(client, connection)
                }
            }
        };
        within(CONNECT, &doing, session).await
    }
}

impl Session {
    fn drive<S, T>(client: Client, mut connection: tokio_postgres::Connection<S, T>) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let version = connection.parameter("server_version").unwrap_or_default();
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        let major = digits.parse().unwrap_or(0);
        if major < 15 {
            let detail = format!("PostgreSQL 15 or newer is needed; this server says {version:?}");
            return Err(Error::new(Fault::Misconfigured, detail));
        }
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&warnings);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
                }
            }
        });
        Ok(Self {
            client,
            driver,
            warnings,
            major,
        })
    }

    /// Runs statements without results. They are built from [`super::quote`]'s parts only.
    pub(super) async fn run(&self, sql: &str, doing: &str) -> Result<(), Error> {
        self.attempt(sql)
            .await
            .map_err(|error| fault::from(&error, doing))
    }

    /// The same, with the library's own error, for callers that look at its code.
    pub(super) async fn attempt(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// Runs a statement with parameters, and returns its rows.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        doing: &str,
    ) -> Result<Vec<Row>, Error> {
        self.client
            .query(sql, parameters)
            .await
            .map_err(|error| fault::from(&error, doing))
    }

    /// Runs grants, and fails where the server only warns that it granted less than it was told to.
    pub(super) async fn grant(&self, sql: &str, doing: &str) -> Result<(), Error> {
        self.take_warnings();
        self.run(sql, doing).await?;
        let warnings = self.take_warnings();
        match warnings
            .iter()
            .find(|warning| *warning.code() == SqlState::WARNING_PRIVILEGE_NOT_GRANTED)
        {
            Some(warning) => Err(Error::new(Fault::Denied, fault::describe(warning, doing))),
            None => Ok(()),
        }
    }

    fn take_warnings(&self) -> Vec<DbError> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A column of a row, which the statement beside the call names with this type.
pub(super) fn column<'a, T>(row: &'a Row, index: usize) -> Result<T, Error>
where
    T: tokio_postgres::types::FromSql<'a>,
{
    row.try_get(index)
        .map_err(|error| Error::new(Fault::Bug, format!("reading column {index}: {error}")))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;
    use crate::Revealed;

    struct NoSecrets;

    #[async_trait]
    impl Secrets for NoSecrets {
        async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, Error> {
            Err(Error::new(Fault::Denied, "there are none"))
        }

        async fn replace(&self, _: &str, _: &SecretString) -> Result<(), Error> {
            Err(Error::new(Fault::Denied, "there are none"))
        }
    }

    #[tokio::test]
    async fn whoever_asks_for_much_holds_up_no_removal() {
        let admin = json!({"user": "admin", "password": {"secret": "admin"}});
        let config = json!({"host": "127.0.0.1", "admin": admin});
        let door = Door::new(Connector::read(&config).unwrap(), Arc::new(NoSecrets));
        let asked: Vec<_> = (0..ASKED)
            .map(|_| door.enter(For::Person).now_or_never().unwrap().unwrap())
            .collect();
        // A reconciler that may have as many as it is set to has a place for each.
        let calls: Vec<_> = (0..CALLS)
            .map(|_| door.enter(For::Reconciler).now_or_never().unwrap().unwrap())
            .collect();
        assert_eq!((asked.len(), calls.len()), (ASKED, CALLS));
        assert_eq!(
            (door.asked.available_permits(), door.calls.available_permits()),
            (0, 0)
        );
    }
}
