//! Opening the gateway at a server's start, and what runs beside it until the server stops.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daypass_core::grant::{Grant, State};
use daypass_core::session::Session;
use daypass_gateway::control::{Closing, Counters, Reason as End};
use daypass_gateway::postgres::Settings;
use daypass_gateway::tls::BadTls;
use daypass_gateway::{Gateway, Limits};
use daypass_recording::{BadKey, Identities};
use daypass_store::Store;
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::asker::Asker;
use super::control::Desk;
use super::doors::Doors;
use super::entrance::Elsewhere;
use super::leases::Held;
use super::present::Present;
use super::tickets::Tickets;
use super::{Front, LOGIN, PROMPT, Records, TURN, Unwritten, key, leases};
use crate::app::{App, Parts};
use crate::config::{GatewayConfig, TlsFiles};
use crate::edge;
use crate::halt::Halt;
use crate::http::listen::{is_stopped, stopped};
use crate::secrets::{self, SecretError};

/// How often it is looked for leases that nobody asks about any more, and for sessions whose grant has ended.
const LOOK: Duration = Duration::from_secs(5);
/// How many renewals a gateway may miss before its sessions count as over. They have ended long before, by its own clock.
const MISSED: u32 = 4;
/// How often recordings are looked for whose time is over.
const REMOVING: Duration = Duration::from_secs(15 * 60);
/// A session that has ended may still deliver its last records for ten seconds.
const ABANDONED: Duration = Duration::from_secs(30);
/// How long sessions may take to end when the server stops, with what is written of it; less than all of the stop may take.
const DRAIN: Duration = Duration::from_secs(20);
/// How many ends are written down at the same time.
const AT_ONCE: usize = 64;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("the gateway cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// A file cannot be read.
    #[error("the gateway cannot read {}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// Its certificate cannot be used.
    #[error("the gateway's certificate: {0}")]
    Tls(#[from] BadTls),
    /// Its key cannot be read or made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The private key that opens recordings is none.
    #[error("the identity that opens recordings: {0}")]
    Identity(BadKey),
    /// There is no place for recordings.
    #[error("recordings cannot be kept: {0}")]
    Recordings(#[from] daypass_recording::Error),
    /// The store does not say what was left open.
    #[error(transparent)]
    Store(#[from] daypass_store::Error),
}

/// A gateway that is about to serve.
pub(crate) struct Begun {
    own: Asker,
    pub(crate) front: Arc<Front>,
    lost: Vec<Session>,
    doors: Doors,
}

pub(super) fn file(path: &std::path::Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|why| StartError::File {
        file: path.to_owned(),
        why,
    })
}

pub(super) fn settings(tls: Option<&TlsFiles>) -> Result<Settings, StartError> {
    Ok(match tls {
        Some(tls) => Settings::tls(&file(&tls.certificate)?, &file(&tls.key)?)?,
        // The configuration lets this be on this machine alone.
        None => Settings::plain(),
    })
}

/// Opens it: its files are read, its address is listened on. Blocks on small files.
///
/// # Errors
/// Where something of it is not there or cannot be used.
pub(crate) async fn open(
    config: &GatewayConfig,
    base_url: Option<String>,
    store: &Store,
) -> Result<Begun, StartError> {
    let records = &config.recordings;
    let identities = match &records.identity {
        Some(path) => {
            let text = secrets::read("recordings.identity", path)?;
            Some(Arc::new(Identities::read(&text).map_err(StartError::Identity)?))
        }
        None => None,
    };
    let apart: Result<_, StartError> = config.apart.iter().map(Elsewhere::read).collect();
    let mut doors = Doors::open(config).await?;
    let key = key::of_recordings(&records.key)?;
    let own = Asker::own(config.name.clone());
    let present = Present::default();
    present.enter(&own, doors.end_points.clone());
    let front = Arc::new(Front {
        name: own.name.clone(),
        lease: config.lease,
        credential_lifetime: config.credential_lifetime,
        own: doors.postgres.take(),
        ssh: doors.ssh.take(),
        apart: apart?,
        present,
        base_url,
        records: Records::new(&records.folder, records.recipients.clone(), key)?,
        identities,
        keep: records.keep,
        leases: leases::Leases::default(),
        upstreams: super::Upstreams::default(),
        attempts: Tickets::new(PROMPT),
        logins: Tickets::new(LOGIN),
        entrants: Tickets::new(PROMPT),
        waits: Tickets::new(TURN),
        asking: tokio::sync::Mutex::new(()),
        unwritten: Unwritten::default(),
    });
    // Before anybody can connect: what is open now was left open by a run of this server. What its own gateway had is over; what
    // others have may go on, if they say so in time.
    let left = store.live_sessions(Some(&front.name)).await?;
    let (lost, apart): (Vec<Session>, Vec<Session>) = left
        .into_iter()
        .partition(|session| session.gateway.name == front.name);
    for session in &apart {
        front.leases.enter(Held::taken_over(session));
    }
    Ok(Begun {
        own,
        front,
        lost,
        doors,
    })
}

impl Begun {
    /// Serves until the server stops.
    pub(crate) fn serve(self, app: &App, halt: &Arc<Halt>) -> Vec<tokio::task::JoinHandle<()>> {
        let Self {
            own,
            front,
            lost,
            doors,
        } = self;
        let control = Desk {
            app: Arc::clone(app),
            by: Arc::new(own),
            front: Arc::clone(&front),
        };
        let gateway = Gateway::new(Arc::new(control), Limits::default());
        let tell = leases::tell(Arc::clone(app), Arc::clone(&front), halt.receiver());
        let tidy = tidy(Arc::clone(app), Arc::clone(&front), lost, halt.receiver());
        let (records, store) = (Arc::clone(&front), Arc::clone(app));
        let stop = halt.receiver();
        let keep_up = async move { records.records.keep_up(&store.engine, stop).await };
        vec![
            halt.watch(
                "the gateway",
                serve((gateway, Arc::clone(&front)), doors, halt.receiver()),
            ),
            halt.watch("what tells the gateway", tell),
            halt.watch("the recordings", keep_up),
            halt.watch("the gateway's housekeeping", tidy),
        ]
    }
}

async fn serve((gateway, front): (Arc<Gateway>, Arc<Front>), doors: Doors, mut stop: watch::Receiver<bool>) {
    let running = Arc::clone(&gateway);
    let mut renewing = tokio::spawn(async move { running.run().await });
    let mut listening = doors.serve(&gateway);
    tokio::select! {
        () = stopped(&mut stop) => {}
        // Neither ends by itself: without either nobody is served, and the server says so by ending.
        _ = listening.join_next() => {}
        _ = &mut renewing => {}
    }
    gateway.stop();
    let drained = async {
        gateway.drained().await;
        while !front.unwritten.is_idle() {
            edge::sleep(Duration::from_millis(50)).await;
        }
    };
    if edge::within(DRAIN, drained).await.is_err() {
        tracing::warn!("some sessions did not end within {DRAIN:?}: the next start finds them");
    }
    renewing.abort();
    // What they had begun goes on to its end.
    listening.detach_all();
}

/// Looks for sessions that are over without anybody having said so, and for what is kept too long.
async fn tidy(app: App, front: Arc<Front>, lost: Vec<Session>, mut stop: watch::Receiver<bool>) {
    let mut lost = lost;
    let mut looked = None;
    let mut answering = None;
    while !is_stopped(&stop) {
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = edge::sleep(LOOK) => {}
        }
        if !lost.is_empty() && front.find_lost(&app, &lost).await {
            lost.clear();
        }
        front.write_ends(&app).await;
        front.close_abandoned(&app, &mut answering).await;
        front.forget_secrets(&app).await;
        front.forget_tickets();
        if let Some(keep) = front.keep
            && looked.is_none_or(|at| edge::instant().saturating_duration_since(at) >= REMOVING)
        {
            looked = Some(edge::instant());
            front.remove_old(&app, keep).await;
        }
    }
}

impl Front {
    /// Sessions whose gateway is gone, or never heard that it may have them.
    async fn close_abandoned(&self, app: &App, answering: &mut Option<Instant>) {
        // While the store does not answer, nobody can renew anything, or say that a session is over and what was counted.
        if app.engine.store().now().await.is_err() {
            *answering = None;
            return;
        }
        let since = *answering.get_or_insert_with(edge::instant);
        let after = (self.lease.to_std() * MISSED).max(ABANDONED);
        if edge::instant().saturating_duration_since(since) < after {
            return;
        }
        let ends = self.leases.abandoned(after).into_iter().filter_map(|lease| {
            let closing = Closing {
                reason: End::LeaseLost,
                counters: Counters::default(),
                last_record: u64::MAX,
                lease,
            };
            Some(self.end(app, self.leases.leave(&closing.lease)?, closing))
        });
        // Each waits for the log, which takes many at once.
        let ends: Vec<_> = ends.collect();
        stream::iter(ends).buffer_unordered(AT_ONCE).count().await;
    }

    /// What was begun and not gone on with takes no memory.
    fn forget_tickets(&self) {
        self.attempts.sweep();
        self.logins.sweep();
        self.entrants.sweep();
        self.waits.sweep();
    }

    /// Passwords of grants that are over are in nobody's memory.
    async fn forget_secrets(&self, app: &App) {
        let kept = self.upstreams.grants();
        let Ok(grants) = app.engine.store().grants_of_ids(&kept).await else {
            return;
        };
        for grant in kept {
            let active = |one: &&Grant| one.id == grant && matches!(one.state, State::Active { .. });
            if !grants.iter().any(|one| active(&one)) && !self.leases.uses(grant) {
                self.upstreams.forget(grant);
            }
        }
    }

    /// What the gateway of a server that died left open: its recordings are taken over as far as they are stored, and stay cut.
    /// Whether it is written down.
    async fn find_lost(&self, app: &Parts, lost: &[Session]) -> bool {
        for session in lost {
            if session.recording.is_some()
                && let Err(error) = self.records.cut(&app.engine, session.id).await
            {
                tracing::warn!(session = %session.id, %error, "a recording that was left open could not be taken over");
            }
        }
        let closed = app.engine.close_lost(lost.iter().map(|session| session.id)).await;
        if let Err(error) = &closed {
            tracing::warn!(%error, "sessions that were left open could not be closed yet");
        }
        closed.is_ok()
    }
}
