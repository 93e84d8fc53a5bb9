//! A real PostgreSQL for the demo, started for it and gone with it.

use std::collections::BTreeMap;
use std::path::Path;

use daypass_api::grant::Credential;
use daypass_server::edge;
use daypass_testbed::postgres::{Installed, SUPERUSER};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::Standing;
use crate::demo::narrator::Narrator;
use crate::demo::{place, random_password};
use crate::failure::Failure;

/// The database of the production resource.
const ORDERS: &str = "orders";
/// The databases that the policy names.
const DATABASES: [&str; 2] = [ORDERS, "orders_staging"];
/// The secret that the policy names.
const SECRET: &str = "pg-main-admin";
/// What the holder runs: the work that the access was asked for.
const WORK: &str = "UPDATE orders SET state = 'paid' WHERE id = 7 RETURNING customer, state";

/// The server, with somebody at its console.
pub(in crate::demo) struct Postgres {
    server: daypass_testbed::Postgres,
    admin: SecretString,
    console: Client,
    /// The roles that were there before Daypass came.
    before: Vec<String>,
}

/// A connection, and what it ends with.
pub(in crate::demo) struct PostgresSession {
    client: Client,
    ends: JoinHandle<Result<(), tokio_postgres::Error>>,
}

/// The PostgreSQL of this machine.
pub(super) fn installed() -> Option<Installed> {
    Installed::find().ok()
}

impl Postgres {
    /// Starts it and lays out roles, databases and rows.
    pub(super) async fn start(installed: Installed, narrator: Narrator) -> Result<Self, Failure> {
        let version = installed.version().map_err(testbed)?;
        let slow = narrator.begin(&format!("starting a {} of its own", short(&version)));
        let admin = random_password();
        let for_setup = admin.clone();
        let started = tokio::task::spawn_blocking(move || start(&for_setup)).await;
        let server = match started
            .map_err(|error| Failure::error(error.to_string()))
            .and_then(|started| started)
        {
            Ok(server) => server,
            Err(failure) => {
                slow.failed();
                return Err(failure);
            }
        };
        slow.done(&format!("on 127.0.0.1:{}", server.port()));
        let password = SecretString::from(server.password().to_owned());
        let PostgresSession { client: console, .. } = open(&server_config(&server, SUPERUSER, &password))
            .await
            .map_err(|said| Failure::error(format!("PostgreSQL's console: {said}")))?;
        let before = roles(&console)
            .await?
            .into_iter()
            .map(|standing| standing.name)
            .collect();
        Ok(Self {
            server,
            admin,
            console,
            before,
        })
    }

    /// What the policy says about it.
    pub(super) fn policy(&self) -> String {
        include_str!("postgres.yaml").replace("@PORT@", &self.server.port().to_string())
    }

    /// What `server.yaml` says about its secret, which is written into the folder.
    pub(super) fn secrets(&self, folder: &Path) -> Result<String, Failure> {
        place::file(folder, SECRET, self.admin.expose_secret(), place::DATA)?;
        let port = self.server.port();
        Ok(format!(
            "secrets:\n  {SECRET}: {{file: {SECRET}, hosts: [\"127.0.0.1:{port}\"], tls: disable}}\n"
        ))
    }

    /// Where `psql` is.
    pub(super) fn programs(&self) -> &Path {
        self.server.installed().bin_dir()
    }

    pub(super) async fn knock(&self, login: &str) -> Result<(), String> {
        open(&server_config(&self.server, login, &random_password()))
            .await
            .map(drop)
    }

    pub(super) async fn log_in(&self, credential: &Credential) -> Result<PostgresSession, String> {
        open(&config(
            &credential.fields,
            &credential.secret.clone().into_inner(),
        )?)
        .await
    }

    pub(super) async fn standing(&self) -> Result<Vec<Standing>, Failure> {
        let all = roles(&self.console).await?;
        Ok(all
            .into_iter()
            .filter(|standing| !self.before.contains(&standing.name))
            .collect())
    }

    pub(super) async fn stop(self) {
        // It waits for the server's end; a thread may do that.
        let _ended = tokio::task::spawn_blocking(move || drop(self.server)).await;
    }
}

impl PostgresSession {
    pub(super) async fn work(&self) -> Result<(String, String), Failure> {
        let row = self.client.query_one(WORK, &[]).await;
        let row =
            row.map_err(|error| Failure::error(format!("the holder could not work: {}", said(&error))))?;
        let column = |index| row.try_get::<_, String>(index).unwrap_or_default();
        Ok((WORK.to_owned(), format!("{} | {}", column(0), column(1))))
    }

    pub(super) async fn over(self) -> Option<String> {
        // Long after the deadline: the story's own patience ends first.
        let ends = edge::within(std::time::Duration::from_secs(30), self.ends)
            .await
            .ok()?;
        // While the client is held nobody but the server ends the connection.
        drop(self.client);
        match ends.ok()? {
            Ok(()) => Some("the connection was closed".to_owned()),
            Err(error) => Some(said(&error)),
        }
    }
}

/// Off the async threads: it waits for programs.
fn start(admin: &SecretString) -> Result<daypass_testbed::Postgres, Failure> {
    let server = daypass_testbed::Postgres::start().map_err(testbed)?;
    let set_up = include_str!("set_up.sql").replace("@PASSWORD@", admin.expose_secret());
    server.psql("postgres", &set_up).map_err(testbed)?;
    for database in DATABASES {
        server
            .psql(database, include_str!("orders.sql"))
            .map_err(testbed)?;
    }
    Ok(server)
}

async fn open(config: &Config) -> Result<PostgresSession, String> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| said(&error))?;
    Ok(PostgresSession {
        client,
        ends: tokio::spawn(connection),
    })
}

/// All roles that can log in or were made by somebody, with what each gives.
async fn roles(console: &Client) -> Result<Vec<Standing>, Failure> {
    let text = "SELECT r.rolname::text, \
                concat_ws(', ', \
                  'member of ' || nullif(string_agg(g.rolname::text, ', ' ORDER BY g.rolname), ''), \
                  'valid until ' || to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'HH24:MI:SS') || 'Z') \
                FROM pg_roles r LEFT JOIN pg_auth_members m ON m.member = r.oid LEFT JOIN pg_roles g ON g.oid = m.roleid \
                GROUP BY r.rolname, r.rolvaliduntil ORDER BY r.rolname";
    let rows = console.query(text, &[]).await;
    let rows = rows.map_err(|error| Failure::error(format!("pg_roles: {}", said(&error))))?;
    rows.iter()
        .map(|row| {
            let column = |index| row.try_get::<_, String>(index);
            Ok(Standing {
                name: column(0)?,
                gives: column(1)?,
            })
        })
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(|error| Failure::error(format!("pg_roles: {}", said(&error))))
}

fn server_config(server: &daypass_testbed::Postgres, user: &str, password: &SecretString) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(server.port())
        .user(user)
        .password(password.expose_secret())
        .dbname(ORDERS)
        .ssl_mode(SslMode::Disable);
    config
}

/// From libpq's words.
fn config(fields: &BTreeMap<String, String>, password: &SecretString) -> Result<Config, String> {
    let field = |name: &str| {
        fields
            .get(name)
            .ok_or_else(|| format!("the credential has no {name}"))
    };
    let port: u16 = field("port")?
        .parse()
        .map_err(|_| "the credential's port is no port".to_owned())?;
    let mut config = Config::new();
    config
        .host(field("host")?)
        .port(port)
        .user(field("user")?)
        .password(password.expose_secret())
        .dbname(field("dbname")?)
        .application_name("daypass demo")
        .ssl_mode(SslMode::Disable);
    Ok(config)
}

/// What the server said, where it said something.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{}: {}", said.severity(), said.message()),
        None => error.to_string(),
    }
}

/// `PostgreSQL 15.18` of `postgres (PostgreSQL) 15.18 (Debian …)`.
fn short(version: &str) -> String {
    let number = version.split_whitespace().nth(2).unwrap_or_default();
    format!("PostgreSQL {number}").trim_end().to_owned()
}

fn testbed(error: daypass_testbed::Error) -> Failure {
    Failure::error(error.to_string())
}
