//! `server.yaml`: the operator's own file on the machine. No API changes it, because it binds names to the outside world:
//! which secrets exist, which hosts each may be sent to, which programs may run, as whom a cloud is called, who listens where. Reading it is strict and
//! says file and line.

mod apart;
mod check;
mod diagnostic;
mod gateway;
mod identities;
mod notices;
mod programs;
mod raw;
#[cfg(test)]
mod trial;
mod witnesses;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use daypass_core::time::Span;
use daypass_providers::Program;
use serde::Deserialize;

pub use apart::ApartConfig;
pub use diagnostic::ConfigError;
pub use gateway::{Address, Elsewhere, GatewayConfig, PostgresGateway, RecordingsConfig, SshGateway};
pub use identities::IdentityConfig;
pub(crate) use notices::MAIL;
pub use notices::{MailConfig, MailTls, NoticesConfig, WebhookConfig};
pub use witnesses::{WitnessAt, WitnessesConfig};

/// Where a server listens when the file does not say.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7373";

/// The largest `server.yaml` that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// The secrets of a `server.yaml`, by name.
pub(crate) type Secrets = BTreeMap<String, SecretSource>;

/// A checked `server.yaml`. Every path in it is absolute or relative to the working directory, not to the file any more.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address of the HTTP API.
    pub listen: SocketAddr,
    /// Certificate and key of the listener; without it, only loopback or a proxy may be in front.
    pub tls: Option<TlsFiles>,
    /// The operator says that a proxy terminates TLS in front of this listener.
    pub behind_proxy: bool,
    /// Where state and log are kept.
    pub store: StoreConfig,
    /// Where each secret comes from and where it may be sent.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The file with the key under which the server seals the keys that it makes itself; without one it makes none.
    pub sealing_key: Option<PathBuf>,
    /// The key that the log is signed with; without one it is not signed.
    pub signing_key: Option<SigningConfig>,
    /// Who cosigns the log.
    pub witnesses: WitnessesConfig,
    /// Which programs connectors of kind `command` may run.
    pub programs: BTreeMap<String, ProgramConfig>,
    /// As whom connectors may call a cloud.
    pub identities: BTreeMap<String, IdentityConfig>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// How long a login lasts.
    pub session_lifetime: Span,
    /// How the reconciler behaves.
    pub reconcile: ReconcileConfig,
    /// Where notices go.
    pub notices: NoticesConfig,
    /// Where people connect to go through Daypass; without it nobody does.
    pub gateway: Option<GatewayConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where the server keeps what it makes by itself: the SQLite store, where the file names none. Made where it is missing.
    pub state_dir: PathBuf,
}

/// With what the log is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningConfig {
    /// The file with the key. A first start makes it.
    pub file: PathBuf,
    /// The file with what was signed last: outside the database, so that one that is put back from a copy is noticed.
    pub state: PathBuf,
    /// The operator accepts, this once, that the store does not go on from so many signed entries. No file says so.
    pub accept_rollback: Option<u64>,
}

/// The listener's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// One file, for one server.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// Nothing durable: gone with the process. Only for tests and the demo; no file asks for it.
    Memory,
    /// A PostgreSQL database.
    Postgres(PostgresConfig),
}

/// A PostgreSQL database as the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role that owns Daypass's tables.
    pub user: String,
    /// The name of the secret that is its password, if it has one.
    pub password: Option<String>,
    /// How many connections at most.
    pub connections: u16,
    /// How the server is recognised.
    pub tls: TlsMode,
}

/// How a connection to a host is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS, with the certificate's chain and name checked.
    VerifyFull {
        /// Certificates that are trusted beside the system's own, in PEM.
        ca: Option<PathBuf>,
    },
    /// None. Only for a host that is this machine.
    Disabled,
}

/// Where a secret comes from, and the only hosts that it may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// Where from.
    pub from: SecretFrom,
    /// The hosts, each with its port, in lower case. None where only programs get it.
    pub hosts: Vec<(String, u16)>,
    /// How the connection that it is sent over is protected.
    pub tls: TlsMode,
}

/// Where the bytes of a secret are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// In a file that only its owner may read. Daypass can replace it (`daypass keys rotate`).
    File(PathBuf),
    /// In an environment variable of the server's process.
    Env(String),
}

/// A program that connectors may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramConfig {
    /// What is said of it, with the variables that are written out.
    pub program: Program,
    /// The variables of the server's own environment that it gets too, where they are set.
    pub inherit: Vec<String>,
}

/// How the reconciler behaves; see `docs/operations.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileConfig {
    /// A removal that takes longer is overdue.
    pub overdue_after: Span,
    /// How often each connector is asked what is there.
    pub drift_every: Span,
    /// How often each connector is surveyed for what stands there without Daypass; zero: only where somebody asks.
    pub survey_every: Span,
    /// The longest pause between two attempts at a call that fails.
    pub backoff_max: Span,
    /// How many calls one connector gets at the same time.
    pub calls_per_connector: u16,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            overdue_after: Span::minutes(2),
            drift_every: Span::minutes(1),
            survey_every: Span::hours(1),
            backoff_max: Span::seconds(30),
            calls_per_connector: 8,
        }
    }
}

/// What is logged to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// A filter such as `info` or `daypass_engine=debug,info`.
    pub level: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The text of a file of an operator's; where it cannot be read, with what to do.
fn text(file: &Path, hint: &str) -> Result<String, ConfigError> {
    let unreadable =
        |error: std::io::Error| ConfigError::new(file, None, format!("cannot read it: {error}")).hint(hint);
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > MAX_FILE {
        let what = format!("{length} bytes is no configuration ({MAX_FILE} at most)");
        return Err(ConfigError::new(file, None, what));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

impl ServerConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Where it cannot be read, is no YAML, or says something that cannot be; the first such thing.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = text(file, "daypass init writes one, or name another with --config")?;
        Self::parse(file, &text)
    }

    /// Checks a text as if it stood in this file. Relative paths are relative to the file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: raw::Raw =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::from_yaml(file, &error))?;
        check::check(file, raw)
    }

    /// A server for tests and the demo: nothing durable, loopback, a free port.
    #[must_use]
    pub fn ephemeral(state_dir: &Path) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            behind_proxy: false,
            store: StoreConfig::Memory,
            secrets: BTreeMap::new(),
            sealing_key: None,
            signing_key: None,
            witnesses: WitnessesConfig::default(),
            programs: BTreeMap::new(),
            identities: BTreeMap::new(),
            trusted_proxies: Vec::new(),
            session_lifetime: check::DEFAULT_SESSION,
            reconcile: ReconcileConfig::default(),
            notices: NoticesConfig::default(),
            gateway: None,
            log: LogConfig {
                format: LogFormat::Text,
                level: "info".to_owned(),
            },
            state_dir: state_dir.to_owned(),
        }
    }
}
