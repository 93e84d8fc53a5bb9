//! Ninety days that the demo begins with, lived through by the real engine under a clock of their own: every request was decided by a policy,
//! every grant was put at a target and taken away again, and the log has all of it. No row is written past the engine.
//!
//! The targets are those within this process (kind `memory`): nobody's database is asked about last summer.

mod act;
mod dice;
mod policies;
mod script;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::reconcile::Reconciler;
use daypass_engine::{Engine, Entropy, Parts, Settings};
use daypass_providers::memory::Memory;
use daypass_providers::{Error as ProviderError, Kind, Revealed, Secrets};
use daypass_server::edge;
use daypass_store::Store;
use secrecy::SecretString;

use self::act::Stage;
use super::people;
use crate::failure::Failure;

/// The demo's store, in its folder.
pub(super) const STORE: &str = "daypass.sqlite";

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lived {
    /// How many entries its log has.
    pub(super) entries: u64,
}

/// A past that is being lived.
struct Past {
    engine: Arc<Engine>,
    reconciler: Reconciler,
    clock: Arc<AtomicI64>,
}

struct Chance;

impl Entropy for Chance {
    fn fill(&self, bytes: &mut [u8]) {
        edge::fill(bytes);
    }
}

/// Targets in this process need none.
struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, ProviderError> {
        Err(ProviderError::new(
            Fault::Misconfigured,
            "the past has no secrets",
        ))
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), ProviderError> {
        Err(ProviderError::new(
            Fault::Misconfigured,
            "the past has no secrets",
        ))
    }
}

/// Makes the demo's store in this folder, with everybody in it and all that they did until yesterday.
pub(super) async fn live(folder: &Path, memory: &'static Memory, password: String) -> Result<Lived, Failure> {
    let now = edge::now();
    let script = script::script(now);
    let begins = script.first().map_or(now, |(at, _)| *at) - Span::hours(2);
    let clock = Arc::new(AtomicI64::new(begins.micros()));
    let told = Arc::clone(&clock);
    let tells = Arc::new(move || Timestamp::from_micros(told.load(Ordering::Relaxed)));
    let installation: String = edge::random::<8>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let store = Store::open_sqlite(&folder.join(STORE), tells.clone(), &installation).await?;
    store.become_demo().await?;
    let engine = Engine::open(Parts {
        store,
        kinds: vec![memory as &'static dyn Kind],
        secrets: Arc::new(NoSecrets),
        entropy: Arc::new(Chance),
        clock: tells,
        settings: Settings {
            // Nobody but Daypass touches these targets.
            sweep_every: Span::hours(24 * 365),
            survey_every: Span::ZERO,
            ..Settings::default()
        },
    });
    let engine = Arc::new(engine.await?);
    people::populate(&engine, password).await?;
    engine.load_policy(&policies::at(0)).await?;
    let past = Past {
        reconciler: Reconciler::new(Arc::clone(&engine), String::from("past")),
        engine: Arc::clone(&engine),
        clock,
    };
    Stage::new(past, memory, script).play().await?;
    while !engine.store().sequence(500).await?.is_empty() {}
    let entries = engine.store().log_head().await?.size;
    Ok(Lived { entries })
}

impl Past {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::Relaxed))
    }

    /// Lets time pass until then, and all that falls due meanwhile.
    async fn until(&mut self, then: Timestamp) -> Result<(), Failure> {
        loop {
            let next = self.settle().await?;
            // Time goes on, whatever is due: by a millisecond at least.
            let next = next.map(|next| next.max(self.now() + Span::millis(1)));
            match next.filter(|next| *next < then) {
                Some(next) => self.clock.store(next.micros(), Ordering::Relaxed),
                None => break,
            }
        }
        self.clock.store(then.max(self.now()).micros(), Ordering::Relaxed);
        Ok(())
    }

    /// Does what is due now; when something is due next.
    async fn settle(&mut self) -> Result<Option<Timestamp>, Failure> {
        loop {
            let step = self.reconciler.step().await?;
            if step.calls > 0 {
                self.reconciler.settle().await;
                continue;
            }
            match step.next {
                Some(next) if next <= self.now() => {}
                next => return Ok(next),
            }
        }
    }
}
