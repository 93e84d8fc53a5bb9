//! All that is measured: PostgreSQL with TLS, PgBouncer and Daypass in front of it, and the three ways to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daypass_server::edge;
use daypass_testbed::{PgBouncer, Postgres, Shown, pgbouncer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::asked::{Asked, Upstream};
use crate::daypass::{ADMIN_PASSWORD, Daypass};
use crate::sessions::Sessions;
use crate::way::Way;

/// Who comes in directly.
pub(crate) const DIRECT: &str = "bench_direct";
/// Who comes in through PgBouncer.
const POOLED: &str = "bench_pooled";
const PASSWORD: &str = "the-benchmarks-own-password-4Tw";

/// A thousand sessions, those of what was measured before that are still going, and whoever looks.
const CONNECTIONS: u32 = 1_400;

/// Sessions that are kept: fewer than this.
const KEPT: i64 = 24;

/// How long the last of a thousand processes may take to go.
const CALM: Duration = Duration::from_secs(120);

/// What people may do, and the data: a million rows.
const SET_UP: &str = "\
    CREATE ROLE app_reader;
    CREATE ROLE daypass LOGIN CREATEROLE;
    GRANT pg_signal_backend, pg_read_all_stats TO daypass;
    CREATE DATABASE bench";

/// See the module.
pub(crate) struct House {
    pub(crate) direct: Way,
    pub(crate) pgbouncer: Way,
    pub(crate) sessions: Sessions,
    // In the order in which they must go.
    pub(crate) daypass: Daypass,
    pub(crate) bouncer: PgBouncer,
    bouncing: pgbouncer::Options,
    postgres: Postgres,
    upstream: Upstream,
}

/// An authority, and what all three services show.
pub(crate) struct Certificates {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificates {
    fn make() -> Self {
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate of its issuer's name for its own issuer.
        ca.distinguished_name
            .push(DnType::CommonName, "the benchmark's CA");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        Self {
            ca: ca.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn postgres(certificates: &Certificates) -> Postgres {
    let postgres = Postgres::options()
        .durable(true)
        .setting("max_connections", &CONNECTIONS.to_string())
        // All of the data is in memory: what is measured is the way to it.
        .setting("shared_buffers", "512MB")
        .tls(Shown::new(&certificates.certificate, &certificates.key))
        .start()
        .unwrap();
    for statement in SET_UP.split(';') {
        postgres.psql("postgres", statement).unwrap();
    }
    let version = postgres.psql("postgres", "SHOW server_version_num").unwrap();
    if version.parse::<u32>().unwrap() >= 160_000 {
        let sql = "GRANT app_reader TO daypass WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
        postgres.psql("postgres", sql).unwrap();
    }
    let sql = format!(
        "ALTER ROLE daypass PASSWORD '{ADMIN_PASSWORD}';
         CREATE ROLE {DIRECT} LOGIN PASSWORD '{PASSWORD}' IN ROLE app_reader;
         CREATE ROLE {POOLED} LOGIN PASSWORD '{PASSWORD}' IN ROLE app_reader"
    );
    postgres.psql("postgres", &sql).unwrap();
    let mut init = std::process::Command::new(postgres.installed().program("pgbench"));
    let init = init
        .args(["-i", "-q", "-s", "10"])
        .arg(postgres.url("bench"))
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    postgres
        .psql(
            "bench",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO app_reader",
        )
        .unwrap();
    postgres
}

impl House {
    /// Starts all of it.
    pub(crate) async fn open(asked: &Asked) -> Self {
        let upstream = asked.upstream;
        let certificates = Certificates::make();
        let postgres = postgres(&certificates);
        let behind = (upstream == Upstream::Tls).then(|| certificates.ca.clone());
        let verifier = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{POOLED}'");
        let bouncing = pgbouncer::Options {
            target: postgres.addr(),
            ca: behind,
            shown: Shown::new(&certificates.certificate, &certificates.key),
            user: (POOLED.to_owned(), postgres.psql("postgres", &verifier).unwrap()),
            connections: CONNECTIONS,
        };
        let bouncer = PgBouncer::start(&bouncing).unwrap();
        let daypass = Daypass::start(&certificates, postgres.port(), asked).await;
        let direct = Way {
            name: "direct",
            port: postgres.port(),
            user: DIRECT.to_owned(),
            password: PASSWORD.to_owned(),
            database: "bench".to_owned(),
            ca: daypass.ca(),
        };
        let pgbouncer = Way {
            name: "PgBouncer",
            port: bouncer.port(),
            user: POOLED.to_owned(),
            ..direct.clone()
        };
        Self {
            direct,
            pgbouncer,
            sessions: Sessions::trusting(&certificates.ca),
            daypass,
            bouncer,
            bouncing,
            postgres,
            upstream,
        }
    }

    /// A program of PostgreSQL's.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.postgres.installed().program(name)
    }

    /// One more, that nobody used yet.
    pub(crate) fn another_pgbouncer(&self) -> PgBouncer {
        PgBouncer::start(&self.bouncing).unwrap()
    }

    /// PostgreSQL's superuser, directly.
    pub(crate) async fn admin(&self) -> Client {
        let url = self.postgres.url("bench");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        // It ends with the client.
        drop(tokio::spawn(connection));
        client
    }

    /// Waits until PostgreSQL is rid of all sessions but the few that PgBouncer and Daypass keep for the next one.
    pub(crate) async fn until_calm(&self) {
        let admin = self.admin().await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let calm = async {
            loop {
                let row = admin.query_one(sql, &[]).await.unwrap();
                if row.get::<_, i64>(0) <= KEPT {
                    break;
                }
                edge::sleep(Duration::from_millis(100)).await;
            }
        };
        edge::within(CALM, calm).await.expect("they go");
    }

    /// Waits until sshd is rid of all sessions.
    pub(crate) async fn until_quiet(&self) {
        let quiet = async {
            while !self.daypass.host().processes().is_empty() {
                edge::sleep(Duration::from_millis(100)).await;
            }
        };
        edge::within(CALM, quiet).await.expect("they go");
    }

    /// What was measured, on what; and that all three ways have one cipher.
    pub(crate) fn about(&self) -> Value {
        let psql = self.program("psql");
        let ways = [&self.direct, &self.pgbouncer, &self.daypass.way()];
        let ciphers = ways.map(|way| way.cipher(&psql));
        assert!(
            ciphers.iter().all(|one| *one == ciphers[0]),
            "the ways have other ciphers: {ciphers:?}"
        );
        let about = json!({
            "benchmark": "gateway",
            "postgresql": self.postgres.installed().version().unwrap(),
            "pgbouncer": version(&pgbouncer::installed().unwrap()),
            "daypass": env!("CARGO_PKG_VERSION"),
            "processors": std::thread::available_parallelism().map_or(0, usize::from),
            "cipher": ciphers[0],
            "to_postgresql": format!("{:?}", self.upstream),
        });
        println!("{about:#}");
        about
    }
}

fn version(program: &Path) -> String {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    told.lines().next().unwrap_or_default().to_owned()
}
