//! A running server: opened from its configuration, embeddable in a demo or a test, and stopped in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use daypass_engine::reconcile::Reconciler;
use daypass_engine::{Engine, Entropy, Parts as EngineParts, Settings};
use daypass_providers::{Kind, Revealed, Tls};
use daypass_store::{Error as StoreError, Expect, PostgresOptions, PostgresTls, Store, Verified, kept};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, Semaphore, broadcast, watch};
use tokio::task::JoinHandle;

use crate::app::{App, Parts};
use crate::config::{PostgresConfig, ReconcileConfig, ServerConfig, StoreConfig};
use crate::gateway::Front;
use crate::halt::Halt;
use crate::http::intake::MAX_CHECKS;
use crate::http::listen::{self, TlsError};
use crate::http::places::Places;
use crate::identity::familiar::Familiar;
use crate::identity::limit::Limits;
use crate::identity::password::{self, Passwords};
use crate::metrics::Metrics;
use crate::notify::{self, NotifyError};
use crate::personas::Personas;
use crate::probe::Probes;
use crate::sealing::KeyFile;
use crate::secrets::{ConfiguredSecrets, SecretError, read_tls};
use crate::signing::{self, LogSigner, Signing, SigningError};
use crate::upkeep::Upkeep;
use crate::witnesses::{self, Ask, AskError, Witnesses};
use crate::{api, edge, gateway, loops, steady, web};

/// How many events a slow listener may lag behind before it reads from the store instead.
const LAG: usize = 1_024;
/// A reconciler that has not looked for so long makes the server unready.
const FRESH: Duration = Duration::from_secs(30);
/// How long one statement at a store on PostgreSQL may take.
const STATEMENT: Duration = Duration::from_secs(60);
/// How long changes under way may take once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How long all of it may take then: less than those wait who stop a server and kill it otherwise.
const LAST: Duration = Duration::from_secs(25);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The folder for what the server keeps cannot be made.
    #[error("cannot make {}: {why}", folder.display())]
    Folder {
        /// The folder.
        folder: std::path::PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The pages have no way to the API.
    #[error("pages cannot be served: {0}")]
    Pages(daypass_api::client::Error),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] daypass_store::Error),
    /// The store's own password is not to be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// What the store holds does not make an engine: its policy does not load here.
    #[error(transparent)]
    Engine(#[from] daypass_engine::Error),
    /// Nobody could be told anything.
    #[error(transparent)]
    Notify(#[from] NotifyError),
    /// The system gives no thread.
    #[error("no thread for what ends access: {0}")]
    Thread(std::io::Error),
    /// The log is not to be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A witness of the log is not to be asked.
    #[error(transparent)]
    Witness(#[from] AskError),
    /// Passwords cannot be checked here.
    #[error(transparent)]
    Passwords(#[from] password::Error),
    /// Nobody could connect through it.
    #[error(transparent)]
    Gateway(#[from] gateway::StartError),
    /// In a demo everybody may be everybody.
    #[error("this store is a demo's, whose people all have one password: no server is started on it")]
    Demo,
    /// In a demo everybody may be everybody.
    #[error("this store is no demo's: nobody is let in there as somebody else")]
    NoDemo,
}

/// A server that runs in this process.
pub struct Server {
    address: SocketAddr,
    tls: bool,
    app: App,
    halt: Arc<Halt>,
    listener: JoinHandle<()>,
    loops: Vec<JoinHandle<()>>,
    // Last: what the loops began there has ended by then.
    upkeep: Upkeep,
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        edge::fill(bytes);
    }
}

/// Opens the store and the engine of a configuration without serving: for commands that need the store itself.
///
/// # Errors
/// Where the store does not open, or holds a policy that does not load here.
pub async fn open(config: &ServerConfig, kinds: &[&'static dyn Kind]) -> Result<Arc<Engine>, StartError> {
    let secrets = ConfiguredSecrets::new(config.secrets.clone()).with_programs(&config.programs);
    let secrets = secrets.with_identities(&config.identities)?;
    let store = open_store(config, &secrets).await?;
    let sealing = sealing(config);
    sealing.as_ref().map(KeyFile::read_blocking).transpose()?;
    let secrets = secrets.with_authorities(&store, sealing).with_notebook(&store);
    let parts = EngineParts {
        store,
        kinds: kinds.to_vec(),
        secrets: Arc::new(secrets),
        entropy: Arc::new(SystemEntropy),
        clock: steady::clock(),
        settings: settings(&config.reconcile),
    };
    Ok(Arc::new(Engine::open(parts).await?))
}

/// Checks the store of a configuration without serving: log, checkpoints and tables. Nothing is written to it, and no tables are made.
///
/// # Errors
/// Where the store cannot be read or is in memory, and where something in it is not as it was written.
pub async fn verify(config: &ServerConfig, expect: Expect) -> Result<Verified, StartError> {
    let verified = match &config.store {
        StoreConfig::Sqlite { path } => daypass_store::verify_sqlite(path, expect).await,
        StoreConfig::Postgres(postgres) => {
            let secrets = ConfiguredSecrets::new(config.secrets.clone());
            daypass_store::verify_postgres(&options(postgres, &secrets)?, expect).await
        }
        StoreConfig::Memory => Err(StoreError::Unavailable(String::from(
            "it is in the memory of the server that runs, and nobody else can look into it; daypass audit verify --key FILE asks that server",
        ))),
    };
    Ok(verified?)
}

/// The file of keys that seal, where there is one. Servers that share a store have one each, which none of them may change alone.
fn sealing(config: &ServerConfig) -> Option<KeyFile> {
    let ours = !matches!(config.store, StoreConfig::Postgres(_));
    config.sealing_key.clone().map(|path| KeyFile::new(path, ours))
}

impl Server {
    /// Starts a server with these kinds of targets. It serves when this returns.
    ///
    /// # Errors
    /// Where it does not start; nothing is left running then.
    pub async fn start(config: ServerConfig, kinds: &[&'static dyn Kind]) -> Result<Self, StartError> {
        Self::begin(config, kinds, None).await
    }

    /// Starts a demo's server, in whose pages one chooses who one is. The store must have been a demo's from its beginning.
    ///
    /// # Errors
    /// As [`Self::start`], and where the store is no demo's.
    pub async fn start_demo(
        config: ServerConfig,
        kinds: &[&'static dyn Kind],
        personas: Personas,
    ) -> Result<Self, StartError> {
        Self::begin(config, kinds, Some(Arc::new(personas))).await
    }

    async fn begin(
        config: ServerConfig,
        kinds: &[&'static dyn Kind],
        personas: Option<Arc<Personas>>,
    ) -> Result<Self, StartError> {
        let tls = config.tls.as_ref().map(listen::acceptor).transpose()?;
        let engine = open(&config, kinds).await?;
        same_purpose(engine.store().is_demo().await?, personas.is_some())?;
        let signer = match &config.signing_key {
            Some(key) => Some(LogSigner::open(key, &engine).await?),
            None => None,
        };
        if signer.as_ref().and_then(LogSigner::refuses).is_some() {
            engine.only_take_away();
        }
        let (listener, address) = bind(config.listen).await?;
        let halt = Halt::new();
        let stopped = halt.receiver();
        let reconciler = Reconciler::new(Arc::clone(&engine), hex::encode(edge::random::<8>()));
        let couriers = notify::couriers(&config, &engine, &edge::clock())?;
        if !couriers.is_empty() {
            // Before anything can happen: the first time, that is where notices begin.
            engine.store().notices_begin().await?;
        }
        let asks = config.witnesses.all.iter().map(Ask::new);
        let asks: Vec<Ask> = asks.collect::<Result<_, _>>()?;
        let shared = matches!(config.store, StoreConfig::Postgres(_));
        let signing = Signing::new(signer.as_ref(), shared);
        let begun = match &config.gateway {
            Some(config_of) => {
                Some(gateway::open(config_of, config.notices.base_url.clone(), engine.store()).await?)
            }
            None => None,
        };
        let front = begun.as_ref().map(|begun| Arc::clone(&begun.front));
        let app = app(&config, engine, &reconciler, (signing, stopped.clone()), front)?;
        let wake = Arc::new(Notify::new());
        let sequence = loops::sequence(Arc::clone(&app), shared, Arc::clone(&wake), stopped.clone());
        let reconcile = loops::reconcile(Arc::clone(&app), reconciler, wake, stopped.clone());
        let tidy_up = loops::tidy_up(Arc::clone(&app), stopped.clone());
        let close_outliving = loops::close_outliving(Arc::clone(&app), stopped.clone());
        let upkeep = Upkeep::start().map_err(StartError::Thread)?;
        let mut loops = vec![
            halt.watch_on(&upkeep.handle(), "the sequencer", kept(sequence)),
            halt.watch_on(&upkeep.handle(), "the reconciler", kept(reconcile)),
            halt.watch("the housekeeping", tidy_up),
            halt.watch("what closes sessions", close_outliving),
            halt.watch("the metrics", loops::measure(Arc::clone(&app), stopped.clone())),
            halt.watch("the surveys", loops::survey(Arc::clone(&app), stopped.clone())),
        ];
        loops.push(halt.watch(
            "the rotation of keys",
            loops::rotate(Arc::clone(&app), stopped.clone()),
        ));
        loops.extend(notices(&config, &app, couriers, &halt));
        loops.extend(of_log(&app, signer, asks, &halt));
        loops.extend(begun.map(|begun| begun.serve(&app, &halt)).into_iter().flatten());
        let router = site(&app, personas)?;
        let served = tls.is_some();
        let listener = halt.watch(
            "the listener",
            listen::serve(listener, tls, router, config.trusted_proxies.clone(), stopped),
        );
        Ok(Self {
            address,
            tls: served,
            app,
            halt,
            listener,
            loops,
            upkeep,
        })
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a client takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The engine behind it: for a demo that seeds people and policy.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.app.engine
    }

    /// The hash of a password, as the engine takes it.
    ///
    /// # Errors
    /// Where too many are being hashed at the moment.
    pub async fn hash(&self, password: SecretString) -> Result<String, StartError> {
        Ok(self.app.passwords.hash(password, edge::random()).await?)
    }

    /// Returns once a part of the server has ended unasked, with its name, and otherwise never. The rest is stopping then:
    /// nothing would end access any more. The owner calls [`Server::stop`] and fails.
    pub async fn broken(&self) -> &'static str {
        self.halt.broken().await
    }

    /// Stops: no new connection, requests and calls to targets finished, streams ended, the store closed last.
    pub async fn stop(self) {
        let Self {
            app,
            halt,
            listener,
            loops,
            upkeep,
            ..
        } = self;
        halt.stop();
        // All of them end at the same time; each has its own limit, and this is the one over all.
        let orderly = async {
            ended(listener, "the listener").await;
            // A change whose client hung up still runs to its end.
            if edge::within(DRAIN, app.places.all_changed()).await.is_err() {
                tracing::warn!("some changes were not finished within {DRAIN:?}");
            }
            for task in loops {
                ended(task, "a loop").await;
            }
        };
        if edge::within(LAST, orderly).await.is_err() {
            tracing::warn!(
                "not everything came to its end within {LAST:?}; the next start finds what was left"
            );
        }
        // The last handle to the store goes with the app.
        drop(app);
        drop(upkeep);
    }
}

/// A demo's server is started on a demo's store, and any other on any other.
fn same_purpose(store_is_demos: bool, server_is_demos: bool) -> Result<(), StartError> {
    match (store_is_demos, server_is_demos) {
        (true, false) => Err(StartError::Demo),
        (false, true) => Err(StartError::NoDemo),
        (true, true) | (false, false) => Ok(()),
    }
}

/// Listens on an address; the one that it became.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |why| StartError::Listen { address, why };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What signs the log, and asks its witnesses, where there are any.
fn of_log(app: &App, signer: Option<LogSigner>, asks: Vec<Ask>, halt: &Arc<Halt>) -> Vec<JoinHandle<()>> {
    let mut loops = Vec::with_capacity(asks.len() + 1);
    for ask in asks {
        let ask = witnesses::run(Arc::clone(app), ask, halt.receiver());
        loops.push(halt.watch("a witness of the log", ask));
    }
    match signer {
        Some(signer) => {
            let sign = signing::run(Arc::clone(app), signer, halt.receiver());
            loops.push(halt.watch("the signer of the log", sign));
        }
        None => tracing::warn!(
            "the log is not signed: give signing_key in server.yaml, or nobody can tell whether it was rewritten (docs/audit.md)"
        ),
    }
    loops
}

/// What tells notices, where anybody is to be told.
fn notices(
    config: &ServerConfig,
    app: &App,
    couriers: Vec<notify::Courier>,
    halt: &Arc<Halt>,
) -> Vec<JoinHandle<()>> {
    if couriers.is_empty() {
        return Vec::new();
    }
    let mut wake = Vec::with_capacity(couriers.len());
    let mut loops = Vec::with_capacity(couriers.len() + 1);
    for courier in couriers {
        let woken = Arc::new(Notify::new());
        wake.push(Arc::clone(&woken));
        let tell = notify::tell(Arc::clone(app), courier, woken, halt.receiver());
        loops.push(halt.watch("a channel of notices", tell));
    }
    let rules = Arc::new(notify::rules(&config.notices));
    let queue = notify::queue(Arc::clone(app), rules, wake, halt.receiver());
    loops.push(halt.watch("the notices", queue));
    loops
}

/// The API, and the pages in front of it.
fn site(app: &App, personas: Option<Arc<Personas>>) -> Result<axum::Router, StartError> {
    let api = api::router(Arc::clone(app));
    let pages = web::pages(app, api.clone(), personas).map_err(StartError::Pages)?;
    Ok(pages.merge(api))
}

async fn ended(task: JoinHandle<()>, what: &str) {
    if let Err(error) = task.await {
        tracing::error!(%error, "{what} did not end in order");
    }
}

fn app(
    config: &ServerConfig,
    engine: Arc<Engine>,
    reconciler: &Reconciler,
    (signing, stop): (Signing, watch::Receiver<bool>),
    gateway: Option<Arc<Front>>,
) -> Result<App, StartError> {
    Ok(Arc::new(Parts {
        engine,
        passwords: Passwords::new(edge::random())?,
        limits: Limits::default(),
        familiar: Familiar::default(),
        metrics: Metrics::default(),
        notices: notify::rules(&config.notices)
            .channels
            .into_iter()
            .map(|one| one.name)
            .collect(),
        events: broadcast::Sender::new(LAG),
        known: AtomicU64::new(0),
        stop,
        health: reconciler.health(),
        last_pass: watch::Sender::new(None),
        pass_fresh_for: FRESH,
        session_lifetime: config.session_lifetime,
        trusted_proxies: config.trusted_proxies.clone(),
        behind_proxy: config.behind_proxy,
        over_tls: config.tls.is_some() || config.behind_proxy,
        policy_turn: Mutex::new(()),
        policy_checks: Arc::new(Semaphore::new(MAX_CHECKS)),
        doctor_turn: Mutex::new(()),
        rotation_turn: Mutex::new(()),
        sealing: sealing(config),
        listeners: AtomicUsize::new(0),
        places: Places::default(),
        probes: Probes::default(),
        signing,
        witnesses: Witnesses::new(&config.witnesses),
        gateway,
    }))
}

fn settings(config: &ReconcileConfig) -> Settings {
    Settings {
        overdue_after: config.overdue_after,
        sweep_every: config.drift_every,
        survey_every: config.survey_every,
        backoff_max: config.backoff_max,
        calls_per_connector: usize::from(config.calls_per_connector),
        ..Settings::default()
    }
}

async fn open_store(config: &ServerConfig, secrets: &ConfiguredSecrets) -> Result<Store, StartError> {
    // A new store gets it; one that exists keeps its own.
    let installation = hex::encode(edge::random::<8>());
    Ok(match &config.store {
        StoreConfig::Memory => Store::memory(edge::clock(), &installation).await?,
        StoreConfig::Sqlite { path } => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                private_folder(folder)?;
            }
            Store::open_sqlite(path, edge::clock(), &installation).await?
        }
        StoreConfig::Postgres(postgres) => {
            Store::open_postgres(&options(postgres, secrets)?, &installation).await?
        }
    })
}

/// Makes a folder that nobody else may look into, where there is none.
fn private_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|why| StartError::Folder {
        folder: folder.to_owned(),
        why,
    })
}

fn options(postgres: &PostgresConfig, secrets: &ConfiguredSecrets) -> Result<PostgresOptions, StartError> {
    let password = match &postgres.password {
        Some(name) => {
            let Revealed { value, .. } = secrets.reveal_blocking(name, &postgres.host, postgres.port)?;
            Some(value)
        }
        None => None,
    };
    let tls = match read_tls(&postgres.tls, "store")? {
        Tls::VerifyFull { ca_pem } => PostgresTls::VerifyFull { ca_pem },
        Tls::Disabled => PostgresTls::Disabled,
    };
    Ok(PostgresOptions {
        host: postgres.host.clone(),
        port: postgres.port,
        database: postgres.database.clone(),
        user: postgres.user.clone(),
        password,
        tls,
        connections: usize::from(postgres.connections),
        patience: STATEMENT,
    })
}
