//! The target: a real PostgreSQL with an application's roles, set up for Daypass as `docs/providers/postgres.md` says.

use std::net::SocketAddr;
use std::time::Duration;

use daypass_server::edge;
use daypass_testbed::{Postgres, TcpProxy, wait};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::running::PATIENCE;

/// The page that says how to set a target up.
const PAGE: &str = include_str!("../../../../docs/providers/postgres.md");

/// The password of Daypass's own role there.
pub(crate) const ADMIN_PASSWORD: &str = "the-connectors-own-password-7Qz";

/// A PostgreSQL of our own, and perhaps a proxy in front of it.
pub(crate) struct Target {
    pub(crate) postgres: Postgres,
    pub(crate) proxy: Option<TcpProxy>,
}

impl Target {
    /// Starts one with the application in it.
    pub(crate) fn start(proxied: bool) -> Self {
        let postgres = Postgres::start().expect("PostgreSQL starts");
        let sql = |database: &str, text: &str| postgres.psql(database, text).expect("the set-up");
        sql(
            "postgres",
            "CREATE ROLE app_reader; CREATE ROLE app_writer; CREATE DATABASE orders",
        );
        sql("postgres", &block("setup"));
        sql(
            "postgres",
            &format!("ALTER ROLE daypass PASSWORD '{ADMIN_PASSWORD}'"),
        );
        let version = sql("postgres", "SHOW server_version_num");
        if version.parse::<u32>().expect("a number") >= 160_000 {
            sql("postgres", &block("setup-16"));
        }
        sql(
            "orders",
            "CREATE TABLE orders (id int, state text); INSERT INTO orders VALUES (1, 'paid'), (7, 'stuck');
             GRANT SELECT ON orders TO app_reader; GRANT SELECT, UPDATE ON orders TO app_writer",
        );
        let superuser = sql(
            "postgres",
            "SELECT rolsuper FROM pg_roles WHERE rolname = 'daypass'",
        );
        assert_eq!(superuser, "f", "the connector's admin is no superuser");
        let proxy = proxied.then(|| TcpProxy::start(postgres.addr()).expect("a proxy"));
        Self { postgres, proxy }
    }

    /// Where Daypass and its people reach it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.proxy
            .as_ref()
            .map_or_else(|| self.postgres.addr(), TcpProxy::addr)
    }

    /// The proxy, of a target that was started with one.
    pub(crate) fn proxy(&self) -> &TcpProxy {
        self.proxy.as_ref().expect("it has a proxy")
    }

    /// Asked directly, as the superuser.
    #[track_caller]
    pub(crate) fn sql(&self, text: &str) -> String {
        self.postgres.psql("postgres", text).expect("the superuser may")
    }

    /// The roles of grants that are there: their numbers and names.
    #[track_caller]
    pub(crate) fn roles(&self) -> Vec<String> {
        let rows = self.sql("SELECT oid, rolname FROM pg_roles WHERE rolname LIKE 'daypass\\_%' ORDER BY 1");
        rows.lines().map(str::to_owned).collect()
    }

    /// Waits until a question has this answer.
    #[track_caller]
    pub(crate) fn until(&self, sql: &str, answer: &str) {
        wait::until(sql, PATIENCE, || Ok((self.sql(sql) == answer).then_some(()))).unwrap();
    }
}

/// One block of SQL of the page.
fn block(name: &str) -> String {
    let (_, rest) = PAGE
        .split_once(&format!("```sql {name}\n"))
        .expect("the page has it");
    rest.split_once("```").expect("it ends").0.to_owned()
}

/// A session of a grant's holder.
pub(crate) struct Session {
    runtime: Runtime,
    client: Client,
    over: JoinHandle<Result<(), Error>>,
}

impl Session {
    /// Logs in with credentials as the API gives them.
    pub(crate) fn open(credential: &Value) -> Result<Self, Error> {
        let field = |name: &str| credential["fields"][name].as_str().expect("a field").to_owned();
        let mut config = Config::new();
        config
            .host(field("host"))
            .port(field("port").parse().expect("a port"))
            .user(field("user"))
            .dbname(field("dbname"))
            .password(credential["secret"].as_str().expect("a secret"));
        if let Some(program) = credential["fields"]["application_name"].as_str() {
            config.application_name(program);
        }
        Self::with(&config)
    }

    /// Logs in.
    pub(crate) fn with(config: &Config) -> Result<Self, Error> {
        let runtime = Runtime::new().expect("a runtime");
        let (client, connection) = runtime.block_on(config.connect(NoTls))?;
        let over = runtime.spawn(connection);
        Ok(Self {
            runtime,
            client,
            over,
        })
    }

    /// The first column of the first row.
    pub(crate) fn ask(&self, sql: &str) -> Result<i64, Error> {
        self.runtime
            .block_on(self.client.query_one(sql, &[]))
            .map(|row| row.get(0))
    }

    /// Does something that answers nothing, by the simple protocol: every word of the server's reaches whoever asked.
    pub(crate) fn tell(&self, sql: &str) -> Result<(), Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    /// Waits until the server ends it; answers with which SQLSTATE.
    #[track_caller]
    pub(crate) fn until_cut(self) -> String {
        sqlstate(&self.until_gone())
    }

    /// Waits until it ends, in whichever way.
    #[track_caller]
    pub(crate) fn until_gone(self) -> Error {
        let Self {
            runtime,
            client,
            over,
        } = self;
        let ended = runtime.block_on(async { edge::within(PATIENCE, over).await });
        drop(client);
        let ended = ended.expect("it ends in time").expect("it does not panic");
        ended.expect_err("it did not end by itself")
    }
}

/// The SQLSTATE of an error of the server's.
#[track_caller]
pub(crate) fn sqlstate(error: &Error) -> String {
    let code = error.code().map(|code| code.code().to_owned());
    code.unwrap_or_else(|| panic!("no error of the server's: {error:?}"))
}

/// How long after, in seconds with three digits.
pub(crate) fn seconds(span: Duration) -> String {
    format!("{:.3} s", span.as_secs_f64())
}
