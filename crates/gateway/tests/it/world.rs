//! A PostgreSQL with TLS for all tests, a gateway for each, and clients that nobody here wrote.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use daypass_gateway::control::{Control, OnFailure, Recording, Term};
use daypass_gateway::postgres::target::{Guardrails, Place, TargetTls};
use daypass_gateway::postgres::{Postgres as Protocol, Settings};
use daypass_gateway::{Gateway, Limits};
use daypass_testbed::Postgres;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::control::{Judge, Rules, SECRET};

/// What all tests share.
pub(crate) struct Base {
    pub(crate) postgres: Postgres,
    ca_pem: String,
    chain: String,
    key: String,
    /// The CA as a file, for libpq.
    ca_file: PathBuf,
    _dir: tempfile::TempDir,
}

/// Starts a PostgreSQL that takes TLS, with a certificate of the CA that signed the gateway's too.
pub(crate) fn start_target(ca: &CertifiedIssuer<'_, KeyPair>) -> Postgres {
    let mut postgres = Postgres::options()
        .setting("max_connections", "1200")
        .start()
        .unwrap();
    let (chain, key) = certificate(ca);
    let place = postgres.log_path().parent().unwrap().to_owned();
    let owner = fs::metadata(place.join("data")).unwrap();
    for (name, text, setting) in [
        ("server.crt", chain, "ssl_cert_file"),
        ("server.key", key, "ssl_key_file"),
    ] {
        let path = place.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        let sql = format!("ALTER SYSTEM SET {setting} = '{}'", path.display());
        postgres.psql("postgres", &sql).unwrap();
    }
    postgres.psql("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
    postgres.start_again().unwrap();
    postgres
        .psql(
            "postgres",
            "CREATE ROLE dp_ada LOGIN PASSWORD 'upstream-secret'; GRANT pg_read_all_stats TO dp_ada",
        )
        .unwrap();
    postgres
}

fn certificate(ca: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, ca)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Otherwise all certificates have one name, and OpenSSL takes each for its own issuer.
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "the CA of the tests");
    CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
}

fn build() -> Base {
    let ca = authority();
    let postgres = start_target(&ca);
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.crt");
    fs::write(&ca_file, ca.pem()).unwrap();
    let (chain, key) = certificate(&ca);
    Base {
        postgres,
        ca_pem: ca.pem(),
        chain,
        key,
        ca_file,
        _dir: dir,
    }
}

pub(crate) fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(build)
}

/// A gateway.
pub(crate) struct World {
    pub(crate) base: &'static Base,
    pub(crate) judge: Arc<Judge>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) port: u16,
    pub(crate) database: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test measures")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What does not end in time fails the test.
#[expect(clippy::disallowed_methods, reason = "a test that hangs says nothing")]
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("it ends in time")
}

/// Runs it for so long at most.
#[expect(
    clippy::disallowed_methods,
    reason = "what must not happen has to be given time"
)]
pub(crate) async fn for_a_while<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, work).await.ok()
}

pub(crate) fn rules(database: &str) -> Rules {
    let base = base();
    Rules {
        place: Place {
            host: "127.0.0.1".to_owned(),
            port: base.postgres.port(),
            tls: TargetTls::VerifyFull {
                ca_pem: Some(base.ca_pem.clone()),
            },
        },
        user: "dp_ada".to_owned(),
        password: Some(SecretString::from("upstream-secret")),
        database: database.to_owned(),
        guardrails: Guardrails::default(),
        recording: Recording {
            values: false,
            on_failure: OnFailure::End,
            begun: true,
            longest_line: 1 << 20,
        },
        term: Term {
            renew_within: Duration::from_secs(5),
            ends_in: Duration::from_secs(3600),
        },
        refusal: None,
        ask: None,
        decision: None,
        cut_off: false,
        sink_fails: false,
        sink_refuses: false,
        sink_waits: false,
        storage_lags: false,
        deadline: None,
        ends_unheard: None,
        one_lease: false,
        hold_open: false,
        host: None,
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, |_| {}, Limits::default()).await
    }

    /// With other rules.
    pub(crate) async fn ruled(rule: impl FnOnce(&mut Rules)) -> Self {
        Self::with(rule, |_| {}, Limits::default()).await
    }

    pub(crate) async fn with(
        rule: impl FnOnce(&mut Rules),
        set: impl FnOnce(&mut Settings),
        limits: Limits,
    ) -> Self {
        let base = tokio::task::spawn_blocking(base).await.unwrap();
        let database = tokio::task::spawn_blocking(|| {
            let database = base.postgres.create_database("gw").unwrap();
            let sql =
                format!("GRANT ALL ON DATABASE {database} TO dp_ada; GRANT ALL ON SCHEMA public TO dp_ada");
            base.postgres.psql(&database, &sql).unwrap();
            database
        })
        .await
        .unwrap();
        let mut all = rules(&database);
        rule(&mut all);
        let judge = Judge::new(all);
        let control: Arc<dyn Control> = judge.clone();
        let gateway = Gateway::new(control, limits);
        let mut settings = Settings::tls(base.chain.as_bytes(), base.key.as_bytes()).unwrap();
        set(&mut settings);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (running, listening) = (Arc::clone(&gateway), Arc::clone(&gateway));
        let tasks = vec![
            tokio::spawn(async move { running.run().await }),
            tokio::spawn(listening.listen(listener, Arc::new(Protocol::new(settings)))),
        ];
        Self {
            base,
            judge,
            gateway,
            port,
            database,
            tasks,
        }
    }

    /// Drops the tasks that serve, as a runtime that ends does.
    pub(crate) fn drop_what_serves(&self) {
        for task in self.tasks.iter().skip(1) {
            task.abort();
        }
    }

    /// The certificate of the authority that clients are to trust.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.base.ca_file
    }

    /// How libpq connects.
    pub(crate) fn conninfo(&self, user: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={user} password={SECRET} dbname=orders/read sslmode=verify-full sslrootcert={}",
            self.port,
            self.ca_file().display()
        )
    }

    /// A program of PostgreSQL's, without what this machine would tell it.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.base.postgres.installed().program(name));
        command.env_clear().env("PGAPPNAME", "a-test").kill_on_drop(true);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn psql(&self, args: &[&str]) -> Command {
        let mut command = self.program("psql");
        command
            .args(["-X", "-A", "-t", "-q", "-d", &self.conninfo("ada")])
            .args(args);
        command
    }

    /// What psql prints; it must succeed.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        let output = finish(self.psql(&["-v", "ON_ERROR_STOP=1", "-c", sql])).await;
        assert!(output.status.success(), "{sql}: {}", err(&output));
        out(&output)
    }

    /// What psql says on standard error; it must fail.
    pub(crate) async fn fails(&self, sql: &str) -> String {
        let output =
            finish(self.psql(&["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-c", sql])).await;
        assert!(!output.status.success(), "{sql} went well: {}", out(&output));
        err(&output)
    }

    /// A connection of tokio-postgres through the gateway.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_as("ada").await.unwrap()
    }

    pub(crate) async fn connect_as(&self, user: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(user)
            .password(SECRET);
        config
            .dbname("orders/read")
            .ssl_mode(tokio_postgres::config::SslMode::Require);
        let tls = self.tls();
        let (client, mut connection) = config.connect(tls.clone()).await?;
        let (send, notices) = tokio::sync::mpsc::unbounded_channel();
        let running = tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    Some(Ok(message)) => drop(send.send(message)),
                    Some(Err(error)) => return Some(error),
                    None => return None,
                }
            }
        });
        Ok(Client {
            client,
            running,
            notices,
            tls,
        })
    }

    pub(crate) fn tls(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(rustls::ClientConfig::clone(&self.client_tls(None)))
    }

    pub(crate) fn client_tls(&self, alpn: Option<&str>) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.base.ca_pem.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.map(|name| name.as_bytes().to_vec()).into_iter().collect();
        Arc::new(config)
    }

    /// Asks the target itself, past the gateway.
    pub(crate) async fn target(&self, sql: &str) -> String {
        let (base, database, sql) = (self.base, self.database.clone(), sql.to_owned());
        tokio::task::spawn_blocking(move || base.postgres.psql(&database, &sql).unwrap())
            .await
            .unwrap()
    }

    /// Waits until the target answers so.
    pub(crate) async fn target_says(&self, sql: &str, expected: &str) {
        let waiting = async {
            while self.target(sql).await != expected {
                tokio::task::yield_now().await;
            }
        };
        let said = for_a_while(SOON, waiting).await;
        said.unwrap_or_else(|| panic!("{sql} is never {expected}"));
    }

    pub(crate) const BACKENDS: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dp_ada' AND datname = current_database()";
}

/// A connection of tokio-postgres.
pub(crate) struct Client {
    pub(crate) client: tokio_postgres::Client,
    /// Ends with the connection, and says why.
    pub(crate) running: JoinHandle<Option<tokio_postgres::Error>>,
    pub(crate) notices: tokio::sync::mpsc::UnboundedReceiver<tokio_postgres::AsyncMessage>,
    pub(crate) tls: MakeRustlsConnect,
}

impl std::ops::Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

pub(crate) async fn finish(mut command: Command) -> Output {
    for_a_while(SOON * 3, command.output())
        .await
        .expect("the program ends")
        .unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
