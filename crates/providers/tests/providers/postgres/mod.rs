//! PostgreSQL: a cluster of its own for each test, set up by the very statements of `docs/providers/postgres.md`.

mod activity;
mod admin;
mod holder;
mod leftovers;
mod outage;
mod shape;
mod survey;
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use daypass_providers::postgres::Postgres as PostgresKind;
use daypass_providers::{Credential, Error, Inspection, Kind, Provider, Revealed, Secrets, Tls};
use daypass_testbed::Postgres;
use daypass_testbed::postgres::{Options, Stop};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::conformance;
use crate::stand::{Ability, Stand, Use, spec_of};

const DOCS: &str = include_str!("../../../../../docs/providers/postgres.md");

/// The statements of a block of the documentation.
pub(crate) fn documented(block: &str) -> String {
    let open = format!("```sql {block}\n");
    let (_, after) = DOCS
        .split_once(&open)
        .unwrap_or_else(|| panic!("the page has no block {block}"));
    after.split_once("```").unwrap().0.to_owned()
}

/// A server with a database `orders`, set up for Daypass.
pub(crate) struct Here {
    cluster: Mutex<Postgres>,
    pub(crate) port: u16,
    pub(crate) secrets: Arc<Held>,
    superuser: String,
}

/// The admin's secret, in memory.
pub(crate) struct Held(pub(crate) Mutex<Values>);

/// Its values, and what to do wrong.
#[derive(Default)]
pub(crate) struct Values {
    pub(crate) value: String,
    pub(crate) staged: Option<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) refuse_to_stage: bool,
    pub(crate) refuse_to_replace: bool,
}

#[async_trait]
impl Secrets for Held {
    async fn reveal(&self, name: &str, host: &str, _port: u16) -> Result<Revealed, Error> {
        assert_eq!((name, host), ("admin", "127.0.0.1"));
        let values = self.0.lock().unwrap();
        let tls = values.tls.clone().unwrap_or(Tls::Disabled);
        Ok(Revealed {
            value: SecretString::from(values.value.clone()),
            tls,
        })
    }

    async fn staged(&self, _: &str, _: &str, _: u16) -> Result<Option<SecretString>, Error> {
        Ok(self.0.lock().unwrap().staged.clone().map(SecretString::from))
    }

    async fn stage(&self, _: &str, new: &SecretString) -> Result<(), Error> {
        let mut values = self.0.lock().unwrap();
        if values.refuse_to_stage {
            return Err(Error::new(Fault::Misconfigured, "read only"));
        }
        values.staged = Some(new.expose_secret().to_owned());
        Ok(())
    }

    async fn replace(&self, _: &str, new: &SecretString) -> Result<(), Error> {
        let mut values = self.0.lock().unwrap();
        if values.refuse_to_replace {
            return Err(Error::new(Fault::Unavailable, "disk full"));
        }
        values.value = new.expose_secret().to_owned();
        values.staged = None;
        Ok(())
    }
}

const SCHEMA: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, what text);
    CREATE TABLE invoices (id int PRIMARY KEY);
    INSERT INTO orders VALUES (1, 'tea');
    CREATE ROLE app_owner;
    CREATE ROLE app_reader;
    CREATE ROLE app_writer;
    CREATE ROLE app_login LOGIN;
    CREATE ROLE app_admin;
    GRANT app_writer TO app_admin WITH ADMIN OPTION;
    ALTER TABLE orders OWNER TO app_owner;
    ALTER TABLE invoices OWNER TO app_owner;
    ALTER SCHEMA public OWNER TO app_owner;
    GRANT USAGE, CREATE ON SCHEMA public TO app_writer;
    GRANT SELECT ON orders TO app_reader;
    GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app_writer;
    CREATE ROLE \"Stra\"\"nge é\";
    GRANT SELECT ON orders TO \"Stra\"\"nge é\";
";

impl Here {
    pub(crate) async fn start() -> Self {
        Self::with(Postgres::options()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        // What the tests set up must survive the crashes that they make.
        let options = options.setting("synchronous_commit", "on");
        let cluster = tokio::task::spawn_blocking(|| options.start().unwrap())
            .await
            .unwrap();
        let password = "admin-password-of-the-tests".to_owned();
        let here = Self {
            port: cluster.port(),
            superuser: cluster.password().to_owned(),
            cluster: Mutex::new(cluster),
            secrets: Arc::new(Held(Mutex::new(Values {
                value: password.clone(),
                ..Values::default()
            }))),
        };
        here.sql("postgres", "CREATE DATABASE orders").await;
        here.sql("orders", SCHEMA).await;
        here.sql("postgres", &documented("setup")).await;
        here.sql("postgres", &format!("ALTER ROLE daypass PASSWORD '{password}'"))
            .await;
        if here.major().await >= 16 {
            here.sql("orders", &documented("setup-16")).await;
            let strange = "GRANT \"Stra\"\"nge é\" TO daypass WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
            here.sql("orders", strange).await;
            // For roles that policy should not name: that the tests can see them refused.
            let risky = "GRANT app_login, app_admin TO daypass WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
            here.sql("orders", risky).await;
        }
        here.sql("orders", &documented("setup-grants")).await;
        here
    }

    /// A connection as the superuser: the hand at the console.
    pub(crate) async fn superuser(&self, database: &str) -> Client {
        connect(self.port, "postgres", &self.superuser, database)
            .await
            .unwrap()
    }

    pub(crate) async fn sql(&self, database: &str, sql: &str) {
        self.superuser(database)
            .await
            .batch_execute(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// The first column of the first row, as text.
    pub(crate) async fn ask(&self, database: &str, sql: &str) -> Option<String> {
        let client = self.superuser(database).await;
        let sql = format!("SELECT x::text FROM ({sql}) AS q(x)");
        let rows = client
            .query(&sql, &[])
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        rows.first().and_then(|row| row.get(0))
    }

    pub(crate) async fn major(&self) -> u32 {
        let version = self
            .ask("postgres", "SELECT current_setting('server_version_num')")
            .await
            .unwrap();
        version.parse::<u32>().unwrap() / 10_000
    }

    pub(crate) fn connect(&self, port: u16, installation: &str) -> Arc<dyn Provider> {
        self.connect_as("pg-main", port, installation)
    }

    pub(crate) fn connect_as(&self, name: &str, port: u16, installation: &str) -> Arc<dyn Provider> {
        let config = json!({"host": "127.0.0.1", "port": port, "admin": {"user": "daypass", "password": {"secret": "admin"}}});
        let name = name.parse().unwrap();
        PostgresKind
            .connect(
                &name,
                &config,
                Arc::clone(&self.secrets) as Arc<dyn Secrets>,
                installation,
            )
            .unwrap()
    }

    /// A case: a provider, a key, and the spec of a role with this configuration.
    pub(crate) fn case(&self, grant: u8, role: Value) -> Case {
        self.case_with(grant, json!({"database": "orders"}), role)
    }

    pub(crate) fn case_with(&self, grant: u8, resource: Value, role: Value) -> Case {
        let (key, spec) = spec_of(self, grant, (resource, role));
        Case {
            provider: self.provider(),
            role: format!("daypass_{key}"),
            key,
            spec,
        }
    }

    pub(crate) fn cluster<T>(&self, act: impl FnOnce(&mut Postgres) -> T) -> T {
        act(&mut self.cluster.lock().unwrap())
    }

    pub(crate) async fn exists(&self, role: &str) -> bool {
        self.ask(
            "postgres",
            &format!("SELECT 1 FROM pg_roles WHERE rolname = '{role}'"),
        )
        .await
        .is_some()
    }
}

pub(crate) struct Case {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) key: String,
    pub(crate) spec: Spec,
    pub(crate) role: String,
}

/// An instant that no test reaches.
pub(crate) fn far() -> Timestamp {
    "2099-01-01T00:00:00Z".parse().unwrap()
}

impl Case {
    pub(crate) async fn provision(&self) {
        self.try_provision().await.unwrap();
    }

    pub(crate) async fn try_provision(&self) -> Result<(), Error> {
        self.provider
            .provision(&self.key, &self.spec, "ana", far())
            .await
            .map(drop)
    }

    pub(crate) async fn revoke(&self) {
        self.try_revoke().await.unwrap();
    }

    pub(crate) async fn try_revoke(&self) -> Result<(), Error> {
        self.provider.revoke(&self.key, Some(&self.spec)).await.map(drop)
    }

    pub(crate) async fn inspect(&self) -> Inspection {
        self.provider.inspect(&self.key, Some(&self.spec)).await.unwrap()
    }

    /// The residue of an absent role.
    pub(crate) async fn residue(&self) -> Vec<String> {
        match self.inspect().await {
            Inspection::Absent { residue } => residue,
            other => panic!("{other:?} where it should be absent"),
        }
    }

    pub(crate) async fn assert_gone(&self) {
        assert_eq!(self.residue().await, Vec::<String>::new());
    }

    /// A session of the holder's.
    pub(crate) async fn login(&self) -> Client {
        let credential = self.provider.credential(&self.key, &self.spec).await.unwrap();
        login(&credential).await.unwrap()
    }
}

pub(crate) async fn login(credential: &Credential) -> Result<Client, tokio_postgres::Error> {
    let field = |name: &str| credential.fields.get(name).unwrap().clone();
    assert_eq!(
        (field("host").as_str(), field("sslmode").as_str()),
        ("127.0.0.1", "disable")
    );
    let port = field("port").parse().unwrap();
    connect(
        port,
        &field("user"),
        credential.secret.expose_secret(),
        &field("dbname"),
    )
    .await
}

pub(crate) async fn connect(
    port: u16,
    user: &str,
    password: &str,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .password(password)
        .dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until a client's connection has been closed.
#[expect(clippy::disallowed_methods, reason = "a test gives up after a while")]
pub(crate) async fn is_cut(client: &Client) -> bool {
    let closed = async {
        while !client.is_closed() {
            // Each round trip either works or is how the client learns that it was cut.
            let _ = client.batch_execute("SELECT 1").await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.is_ok()
}

struct Open(Client);

#[async_trait]
impl Use for Open {
    async fn may(&mut self, ability: Ability) -> bool {
        let sql = match ability {
            Ability::Read => "SELECT count(*) FROM orders",
            Ability::Write => "UPDATE orders SET what = what",
        };
        self.0.batch_execute(sql).await.is_ok()
    }

    async fn is_cut(&mut self) -> bool {
        is_cut(&self.0).await
    }
}

#[async_trait]
impl Stand for Here {
    fn kind(&self) -> &dyn Kind {
        &PostgresKind
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.connect(self.port, "this")
    }

    fn other_installation(&self) -> Arc<dyn Provider> {
        self.connect(self.port, "other")
    }

    fn config(&self, gives: &[Ability]) -> (Value, Value) {
        let word = |ability: &Ability| match ability {
            Ability::Read => "app_reader",
            Ability::Write => "app_writer",
        };
        let member_of: Vec<_> = gives.iter().map(word).collect();
        (json!({"database": "orders"}), json!({ "member_of": member_of }))
    }

    fn hostile(&self) -> Vec<(Value, Value)> {
        let good = self.config(&[Ability::Read]);
        let mut out = Vec::new();
        for text in conformance::HOSTILE_TEXT {
            out.push((json!({ "database": text }), good.1.clone()));
            out.push((good.0.clone(), json!({ "member_of": [text] })));
            out.push((
                good.0.clone(),
                json!({"grants": [{"on": "schema", "schema": text, "privileges": ["usage"]}]}),
            ));
            let table = json!({"on": "table", "name": text, "privileges": ["select"]});
            out.push((good.0.clone(), json!({ "grants": [table] })));
            let privilege = json!({"on": "table", "name": "invoices", "privileges": [text]});
            out.push((good.0.clone(), json!({ "grants": [privilege] })));
        }
        out
    }

    async fn now(&self) -> Timestamp {
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        Timestamp::from_micros(self.ask("postgres", sql).await.unwrap().parse().unwrap())
    }

    async fn open(&self, credential: &Credential) -> Option<Box<dyn Use>> {
        Some(Box::new(Open(login(credential).await.ok()?)))
    }

    async fn add_by_hand(&self, key: &str) {
        self.sql(
            "postgres",
            &format!("CREATE ROLE daypass_{key} LOGIN PASSWORD 'by hand' VALID UNTIL '2098-01-01'"),
        )
        .await;
    }

    async fn everything_else(&self) -> String {
        let sql = "SELECT string_agg(a::text || coalesce(m.roles, ''), E'\n' ORDER BY a.rolname) FROM pg_authid a \
                   LEFT JOIN LATERAL (SELECT string_agg(roleid::text, ',' ORDER BY roleid) AS roles \
                     FROM pg_auth_members WHERE member = a.oid AND roleid NOT IN ( \
                       SELECT oid FROM pg_roles WHERE rolname LIKE 'daypass\\_%')) m ON true";
        self.ask("postgres", sql).await.unwrap()
    }

    async fn down(&self) {
        self.cluster(|cluster| cluster.stop(Stop::Immediate)).unwrap();
    }

    async fn up(&self) {
        self.cluster(Postgres::start_again).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract() {
    let here = Here::start().await;
    conformance::all(&here).await;
    assert!(Span::ZERO < here.provider().capabilities().ceiling);
}
