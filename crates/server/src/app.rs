//! What every handler gets: the engine, who may come in, and what goes on at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use daypass_core::time::Span;
use daypass_engine::Engine;
use daypass_engine::reconcile::Health;
use ipnet::IpNet;
use tokio::sync::{Mutex, Semaphore, broadcast, watch};

use crate::events::Told;
use crate::gateway::Front;
use crate::http::places::Places;
use crate::identity::familiar::Familiar;
use crate::identity::limit::Limits;
use crate::identity::password::Passwords;
use crate::metrics::Metrics;
use crate::probe::Probes;
use crate::sealing::KeyFile;
use crate::signing::Signing;
use crate::witnesses::Witnesses;

/// The state behind the routes. Cheap to clone.
pub(crate) type App = Arc<Parts>;

/// See [`App`].
pub(crate) struct Parts {
    /// Use cases and reads.
    pub engine: Arc<Engine>,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// How fast somebody may try.
    pub limits: Limits,
    /// Tokens that were good lately.
    pub familiar: Familiar,
    /// What is counted.
    pub metrics: Metrics,
    /// The channels that notices leave by.
    pub notices: Vec<String>,
    /// Every event as it takes its place in the log.
    pub events: broadcast::Sender<Arc<Told>>,
    /// See [`Parts::known`].
    pub known: AtomicU64,
    /// Turns true when the server is to stop.
    pub stop: watch::Receiver<bool>,
    /// How connectors fare.
    pub health: Arc<Health>,
    /// When the reconciler last ended a pass; see [`Parts::passed`].
    pub last_pass: watch::Sender<Option<Instant>>,
    /// A pass that is older than this makes the server unready.
    pub pass_fresh_for: Duration,
    /// How long a login lasts.
    pub session_lifetime: Span,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether a proxy stands in front.
    pub behind_proxy: bool,
    /// Whether clients come over TLS, ours or the proxy's.
    pub over_tls: bool,
    /// Changes of the policy take turns.
    pub policy_turn: Mutex<()>,
    /// A place for each check or plan of a policy that is under way.
    pub policy_checks: Arc<Semaphore>,
    /// The file of the keys that seal, where there is one.
    pub sealing: Option<KeyFile>,
    /// Whoever has the policy looked over takes turns.
    pub doctor_turn: Mutex<()>,
    /// Rotations of admin secrets take turns.
    pub rotation_turn: Mutex<()>,
    /// How many clients listen to events.
    pub listeners: AtomicUsize,
    /// Who has how much under way; the server stops once no change is.
    pub places: Places,
    /// What connectors answered lately.
    pub probes: Probes,
    /// How the log is signed.
    pub signing: Signing,
    /// Who cosigns it.
    pub witnesses: Witnesses,
    /// The gateway, where this server has one.
    pub gateway: Option<Arc<Front>>,
}

impl Parts {
    /// Notes a pass of the reconciler. It is measured by what no clock moves: the store's time and this machine's may differ
    /// for good.
    pub(crate) fn passed(&self, at: Instant) {
        self.last_pass.send_replace(Some(at));
    }

    /// Notes that directory and policy were read anew after every entry before this place of the log.
    pub(crate) fn knows(&self, before: u64) {
        self.known.store(before, Ordering::Release);
    }

    /// Before which place of the log directory and policy are at least as this process has them.
    #[must_use]
    pub(crate) fn known(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    /// Whether the reconciler has looked lately.
    #[must_use]
    pub(crate) fn reconciles(&self, now: Instant) -> bool {
        let last = *self.last_pass.borrow();
        last.is_some_and(|last| now.saturating_duration_since(last) <= self.pass_fresh_for)
    }
}
