//! What runs beside the requests: the sequencer that tells events, the reconciler that is driven here, and housekeeping.
//!
//! Time comes from `edge`; what is done when, and when to look again, the engine decides.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daypass_core::entitlement;
use daypass_core::event::What;
use daypass_core::time::Span;
use daypass_engine::reconcile::Reconciler;
use daypass_engine::{Error as EngineError, Surveyor};
use daypass_store::{Entry, Error, EventFilter, From, kept};
use tokio::sync::{Notify, watch};

use crate::app::App;
use crate::edge;
use crate::events::address;
use crate::heavy::aside;
use crate::http::listen::{is_stopped, stopped};
use crate::notify::MAX_AGE;
use crate::stale::Stale;

/// How many events get their place, or are told, at once.
const BATCH: usize = 500;
/// How often a store that other servers share is asked for what they did: within a second, everybody knows.
const SHARED_POLL: Duration = Duration::from_millis(500);
/// How often a store of our own is asked, beside each commit: only against surprises.
const OWN_POLL: Duration = Duration::from_secs(5);
/// The pause after the store did not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// The longest pause of the reconciler: clocks of two machines differ, and readiness asks whether it looks at all.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a step may take before the log says so, and again after as long.
const SLOW: Duration = Duration::from_secs(30);
/// How long calls to targets that are under way may take once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How often what has run out is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(15 * 60);
/// How often it is looked whether a rotation can go on.
const ROTATION: Duration = Duration::from_secs(5);
/// The longest pause before it is looked which connector is to be surveyed: another policy may name other ones.
const SURVEY_PAUSE: Duration = Duration::from_secs(15);
/// How often it is looked for sessions that outlive their grant.
const OUTLIVING: Duration = Duration::from_secs(5);
/// How long a gateway may take to say that a session is over whose grant has ended.
const GRACE: Span = Span::seconds(30);
/// How often what was measured is taken in.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long an idempotency key is remembered.
const KEYS_KEPT: Span = Span::hours(24);
/// How long a session or token that ran out is still listed in the store.
const TOKENS_KEPT: Span = Span::hours(24);

/// How long a notice that was given up is still counted.
const NOTICES_KEPT: Span = Span::hours(24 * 30);

/// Gives events their place in the log and tells them, until told to stop.
pub(crate) async fn sequence(app: App, shared: bool, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    let mut changes = app.engine.store().changes();
    let poll = if shared { SHARED_POLL } else { OWN_POLL };
    let mut told = Position::default();
    loop {
        changes.mark_unchanged();
        let pause = match turn(&app, shared, &wake, &mut told).await {
            Ok(true) => continue,
            Ok(false) if told.stale.is_none() => poll,
            Ok(false) => AFTER_ERROR,
            Err(error) => {
                tracing::warn!(%error, "events could not be told yet");
                AFTER_ERROR
            }
        };
        if is_stopped(&stop) {
            return;
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            _ = changes.changed() => {}
            () = edge::sleep(pause) => {}
        }
    }
}

/// How far this server has told the events.
#[derive(Default)]
struct Position {
    last: Option<u64>,
    started: bool,
    /// What is recorded and this server has not read anew yet.
    stale: Stale,
}

/// One turn; whether there may be more at once. What this or another server gave its place is read back from the log, so
/// that each server tells all events once and in order.
async fn turn(app: &App, shared: bool, wake: &Notify, told: &mut Position) -> Result<bool, EngineError> {
    let store = app.engine.store();
    if !told.started {
        // What was placed before the start, nobody waits for any more.
        told.last = store.log_head().await?.size.checked_sub(1);
        told.started = true;
        // What was done between the reading of this server's engine and here is passed over with it.
        told.stale = Stale::all();
    }
    let placed = store.sequence(BATCH).await?.len();
    let from = told.last.map_or(From::First, From::After);
    let entries = store.events(from, EventFilter::default(), BATCH).await?;
    let more = placed == BATCH || entries.len() == BATCH;
    told.stale.note(&entries);
    let engine = Arc::clone(&app.engine);
    // The reconciler is on the same thread as this loop; a policy of thousands of rules must not hold it up.
    let policy = aside(kept(async move { engine.refresh_policy().await }));
    let directory = app.engine.refresh_directory();
    // Who is told what hangs on the directory: with an old one, nobody is told anything yet.
    told.stale.mend(directory, policy).await?;
    let last = entries.last().map(|entry| entry.index).or(told.last);
    app.knows(last.map_or(0, |last| last + 1));
    if entries.is_empty() {
        return Ok(more);
    }
    app.signing.wake();
    if shared
        && !entries
            .iter()
            .all(|entry| matches!(entry.event.what, What::Session(_)))
    {
        wake.notify_one();
    }
    for next in address(&app.engine, entries).await? {
        told.last = Some(next.entry.index);
        count(app, &next.entry);
        // Nobody listens: that is no error.
        let _nobody = app.events.send(next);
    }
    Ok(more)
}

fn count(app: &App, entry: &Entry) {
    app.metrics.event(entry.event.what.name());
    if let What::Entitlement(entitlement::Event::Failing { fault, doing, .. }) = &entry.event.what {
        app.metrics.failing(&fault.to_string(), doing);
    }
    tracing::info!(
        index = entry.index,
        event = entry.event.what.name(),
        kind = entry.event.subject.kind(),
        id = entry.event.subject.id(),
        "recorded"
    );
}

/// Drives the reconciler, until told to stop; then lets calls under way come to their end.
pub(crate) async fn reconcile(
    app: App,
    mut reconciler: Reconciler,
    wake: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    let mut changes = app.engine.store().duties();
    while !is_stopped(&stop) {
        // Before the step: what is committed from here on wakes it again.
        changes.mark_unchanged();
        let pause = step(&app, &mut reconciler).await;
        tokio::select! {
            () = stopped(&mut stop) => {}
            _ = changes.changed() => {}
            () = wake.notified() => {}
            () = edge::sleep(pause) => {}
            // Nothing under way answers at once; then time or a change wakes it.
            true = reconciler.settle() => {}
        }
    }
    let calls = async { while reconciler.settle().await {} };
    if edge::within(DRAIN, calls).await.is_err() {
        tracing::warn!(
            "some calls to targets were not finished within {DRAIN:?}; the next start finds what they did"
        );
    }
}

/// One step, and how long to pause after it.
async fn step(app: &App, reconciler: &mut Reconciler) -> Duration {
    let began = edge::instant();
    let outcome = {
        let mut stepping = pin!(reconciler.step());
        loop {
            match edge::within(SLOW, &mut stepping).await {
                Ok(outcome) => break outcome,
                Err(_) => tracing::error!(
                    for_seconds = began.elapsed().as_secs(),
                    "the reconciler still waits for the store; nothing that is due begins or ends meanwhile"
                ),
            }
        }
    };
    let now = edge::now();
    let label = if outcome.is_ok() { "done" } else { "failed" };
    app.metrics.pass(label, began.elapsed(), now);
    match outcome {
        Ok(step) => {
            app.passed(edge::instant());
            // The deadlines are in the store's time.
            let now = app.engine.store().now().await.unwrap_or(now);
            step.next
                .map_or(LONGEST_PAUSE, |next| edge::until(next, now))
                .min(LONGEST_PAUSE)
        }
        Err(error) => {
            tracing::warn!(%error, "the reconciler could not look; it tries again");
            AFTER_ERROR
        }
    }
}

/// Takes the next step of each rotation of an authority's key or the log's that waits for nothing any more, until told to stop.
pub(crate) async fn rotate(app: App, mut stop: watch::Receiver<bool>) {
    while !is_stopped(&stop) {
        if let Err(error) = app.engine.advance_authorities().await {
            tracing::warn!(%error, "the rotation of an authority's key does not go on; it is tried again");
        }
        if let Err(error) = crate::signing::rotate::advance(&app).await {
            tracing::warn!(
                ?error,
                "the rotation of the log's key does not go on; it is tried again"
            );
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = edge::sleep(ROTATION) => {}
        }
    }
}

/// Surveys connectors for what stands at their targets without Daypass, until told to stop. Apart from the reconciler: nothing that is
/// given or taken away waits for it.
pub(crate) async fn survey(app: App, mut stop: watch::Receiver<bool>) {
    let mut surveyor = Surveyor::new(Arc::clone(&app.engine));
    while !is_stopped(&stop) {
        let step = surveyor.step().await;
        // The instants are in this process's own time.
        let now = app.engine.uptime();
        let pause = step.next.map_or(SURVEY_PAUSE, |next| edge::until(next, now));
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = app.engine.survey_asked() => {}
            () = edge::sleep(pause.min(SURVEY_PAUSE)) => {}
            true = surveyor.settle() => {}
        }
    }
}

/// Closes sessions whose grant has ended and of which nobody says that they are over, whichever server opened them: it may be gone, or
/// have no gateway any more. Until told to stop.
pub(crate) async fn close_outliving(app: App, mut stop: watch::Receiver<bool>) {
    while !is_stopped(&stop) {
        if let Err(error) = app.engine.close_outliving_sessions(GRACE).await {
            tracing::warn!(%error, "sessions of grants that have ended could not be looked for");
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = edge::sleep(OUTLIVING) => {}
        }
    }
}

/// Forgets what has run out, until told to stop.
pub(crate) async fn tidy_up(app: App, mut stop: watch::Receiver<bool>) {
    while !is_stopped(&stop) {
        if let Err(error) = forget(&app).await {
            tracing::warn!(%error, "what has run out could not be forgotten yet");
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = edge::sleep(HOUSEKEEPING) => {}
        }
    }
}

/// Takes in what was measured, until told to stop.
pub(crate) async fn measure(app: App, mut stop: watch::Receiver<bool>) {
    while !is_stopped(&stop) {
        app.metrics.upkeep();
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = edge::sleep(UPKEEP) => {}
        }
    }
}

async fn forget(app: &App) -> Result<(), Error> {
    let store = app.engine.store();
    let now = store.now().await?;
    let keys = store.forget_commands(now - KEYS_KEPT).await?;
    let tokens = store.forget_tokens(now - TOKENS_KEPT).await?;
    let given_up = store.give_up_notices(now - MAX_AGE).await?;
    for (channel, given_up) in given_up {
        app.metrics.notices(&channel, 0, 0, given_up);
        tracing::error!(
            %channel,
            given_up,
            "notices were never delivered and are given up; docs/notices.md says why that can be"
        );
    }
    store.forget_notices(now - NOTICES_KEPT).await?;
    tracing::debug!(keys, tokens, "forgot what has run out");
    Ok(())
}
