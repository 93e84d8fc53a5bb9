//! The reconciler: makes the targets agree with the grants. Expiry, revocation, outage, restart and drift are this one path.
//!
//! Whoever owns the event loop drives it: [`Reconciler::step`] reads, plans, changes the ledger and starts calls;
//! [`Reconciler::settle`] waits for calls to come back. It takes no input but the state: a wake-up says only
//! "look again". There are no timers and no clocks in here; `step` answers when it next wants to look.

mod backoff;
mod calls;
mod deeds;
mod elapsed;
mod health;
mod lane;
mod leavers;
mod ledger;
mod sweep;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use daypass_core::entitlement::{Entitlement, Fault, TargetKey};
use daypass_core::grant::{Grant, Reason};
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::plan::{Action, Limits, plan};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::Drift;
use daypass_store::{Due, DueCursor};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};

use self::backoff::Backoff;
use self::calls::{Arrived, Call, Caller, Outcome, PROVISION, Report};
use self::deeds::Deeds;
use self::elapsed::Elapsed;
pub use self::health::{ConnectorHealth, Health};
use self::lane::Lane;
use self::leavers::Leavers;
use self::watch::Watch;
use crate::engine::Engine;
use crate::error::Error;

/// How many pages a step reads while some connector has all the work that it can take.
const PAGES: usize = 4;

/// How many rounds one step makes at most before it lets its owner look at anything else.
const ROUNDS: usize = 64;

/// Why a grant fails of which the target has something that is not ours.
const STANDS: &str = "the holder has this already, outside Daypass, which did not take it over";

/// How far ahead the deadlines reach that are kept at hand, in case the store stops answering.
const REMEMBERED: Span = Span::hours(1);

/// How often that is read anew at most, where something has changed.
const REMEMBER_EVERY: Span = Span::seconds(5);

/// How often it is read anew where nothing has: the hour goes on.
const REMEMBER_ANYWAY: Span = Span::minutes(2);

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When to step again if nothing happens before; `None`: nothing is due by time alone.
    pub next: Option<Timestamp>,
    /// How many calls to targets are under way: while there are any, wait for [`Reconciler::settle`] too, then step again.
    pub calls: usize,
}

/// Makes the targets agree with the grants.
pub struct Reconciler {
    engine: Arc<Engine>,
    limits: Limits,
    backoff: Backoff,
    /// Keys with a call under way, waiting for one, or whose outcome was not taken in. One key never has two.
    busy: BTreeSet<TargetKey>,
    /// Keys that this worker removed while the store did not take the note of it.
    unrecorded: BTreeSet<TargetKey>,
    /// Keys whose last provisioning by this worker ended in a way that does not say whether it took effect, or will.
    uncertain: BTreeSet<TargetKey>,
    lanes: HashMap<Name, Lane<Call>>,
    running: FuturesUnordered<BoxFuture<'static, Arrived>>,
    arrived: VecDeque<Arrived>,
    /// Where the last step stopped reading what is due, if it did not read all of it.
    scan: Option<DueCursor>,
    swept_at: BTreeMap<Name, Timestamp>,
    sweeping: BTreeSet<Name>,
    /// Grants that what is done with them may end.
    watch: Watch,
    /// Grants whose targets have more to tell of what was done.
    deeds: Deeds,
    /// When the plans of this step want to be made again.
    planned: Option<Timestamp>,
    /// What runs out soon: what a store that does not answer leaves to act on.
    remembered: View,
    remembered_at: Option<Timestamp>,
    /// The last event that there was then.
    remembered_event: Option<u64>,
    /// The time that decides beside this process's own.
    elapsed: Elapsed,
    leavers: Leavers,
    health: Arc<Health>,
}

/// What one round looks at.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    grants: BTreeMap<GrantId, Grant>,
    entitlements: BTreeMap<TargetKey, Entitlement>,
}

impl Reconciler {
    /// A reconciler over an engine. `worker` names this process among several; it must be new at each start.
    #[must_use]
    pub fn new(engine: Arc<Engine>, worker: String) -> Self {
        let settings = &engine.parts.settings;
        let limits = Limits {
            worker,
            overdue_after: settings.overdue_after,
            alarm_only: BTreeSet::new(),
            watched: Arc::default(),
        };
        let backoff = Backoff::new(settings.backoff_max);
        Self {
            engine,
            limits,
            backoff,
            busy: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            uncertain: BTreeSet::new(),
            lanes: HashMap::new(),
            running: FuturesUnordered::new(),
            arrived: VecDeque::new(),
            scan: None,
            swept_at: BTreeMap::new(),
            sweeping: BTreeSet::new(),
            watch: Watch::default(),
            deeds: Deeds::default(),
            planned: None,
            remembered: View::default(),
            remembered_at: None,
            remembered_event: None,
            elapsed: Elapsed::default(),
            leavers: Leavers::default(),
            health: Arc::new(Health::default()),
        }
    }

    /// How each connector fares, for people and metrics. Shared: it goes on changing.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Looks at what is due, changes the ledger and starts calls, until only calls under way or time can change anything.
    ///
    /// # Errors
    /// Where the store does not answer. What must go has been set going all the same; step again after a pause.
    pub async fn step(&mut self) -> Result<Step, Error> {
        while let Some(arrived) = self.arrived.pop_front() {
            match arrived {
                Arrived::Call(report) => self.take_in(report).await,
                Arrived::Swept(connector, found) => self.swept(connector, found),
                Arrived::Looked(looked) => self.looked(looked),
                Arrived::Told(answer) => self.deeds_told(answer).await,
            }
        }
        match self.rounds().await {
            Ok(next) => Ok(Step {
                next,
                calls: self.running.len(),
            }),
            Err(error) => {
                self.without_the_store();
                Err(error)
            }
        }
    }

    /// Waits until a call under way comes back; the next [`Self::step`] takes its outcome in. `false`: there was none.
    ///
    /// It may be dropped at any point: nothing is lost.
    pub async fn settle(&mut self) -> bool {
        let Some(report) = self.running.next().await else {
            return false;
        };
        self.arrive(report);
        while let Some(Some(report)) = self.running.next().now_or_never() {
            self.arrive(report);
        }
        true
    }

    /// Frees the place of a call that came back and starts the next one that waits for it.
    fn arrive(&mut self, arrived: Arrived) {
        if let Arrived::Call(report) = &arrived {
            let lane = self.lanes.entry(report.key.connector.clone()).or_default();
            lane.under_way = lane.under_way.saturating_sub(1);
            self.launch(&report.key.connector);
        }
        self.arrived.push_back(arrived);
    }

    async fn rounds(&mut self) -> Result<Option<Timestamp>, Error> {
        let engine = Arc::clone(&self.engine);
        let mut now = engine.store().now().await?;
        let mut pauses = self.pauses();
        self.elapsed.read(now, pauses);
        // A store that takes nothing (its disk is full) can still be read: whatever could not be written, access goes.
        let mut refused = None;
        noted(self.own_up().await, &mut refused);
        for _ in 0..ROUNDS {
            self.limits.alarm_only = alarm_only(&engine);
            let mut changed = noted(ledger::silence(&engine, now).await, &mut refused);
            changed += noted(self.leavers.end(&engine).await, &mut refused);
            changed += noted(engine.end_under_locks().await, &mut refused);
            changed += noted(self.watch_sessions(now).await, &mut refused);
            changed += noted(self.ask_for_deeds(now).await, &mut refused);
            changed += self.pages(now, &mut refused).await?;
            if changed == 0 || refused.is_some() || self.scan.is_some() {
                break;
            }
            now = engine.store().now().await?;
            pauses = self.pauses();
        }
        self.sweep(now);
        self.remember(now).await?;
        // After the instant that the last round looked at: what has become due since then is not passed over.
        let due = engine.store().next_due(now).await?;
        let call = self.backoff.next(pauses).map(|at| now + at.since(pauses));
        let unread = self.scan.is_some() && !self.is_full();
        let next = [
            self.planned.take(),
            due,
            call,
            self.next_sweep(),
            self.next_look(now),
            self.next_deeds(now),
            unread.then_some(now),
        ];
        let next = earliest(next);
        refused.map_or(Ok(next), Err)
    }

    /// Writes down what was removed while the store took no notes: whoever holds it by now has it provisioned once more, and
    /// does not end as if somebody had taken it away by hand.
    async fn own_up(&mut self) -> Result<usize, Error> {
        let mut noted = 0;
        while let Some(key) = self.unrecorded.first().cloned() {
            noted += ledger::note_removed(&self.engine, &key).await?;
            self.unrecorded.remove(&key);
        }
        Ok(noted)
    }

    /// Goes through what is due, page by page; answers how much of the ledger changed.
    ///
    /// While some connector has all the work that it can take, a step reads a few pages only, and the next one goes on from
    /// there: what is due for others is found soon, and a hundred thousand that are due for one are not read for each call.
    async fn pages(&mut self, now: Timestamp, refused: &mut Option<Error>) -> Result<usize, Error> {
        let engine = Arc::clone(&self.engine);
        let mut resumed = self.scan.is_some();
        let mut cursor = self.scan.take().unwrap_or_default();
        let (mut read, mut changed) = (0, 0);
        loop {
            if self.is_full() || (read >= PAGES && self.is_partly_full()) {
                self.scan = Some(cursor);
                return Ok(changed);
            }
            let due = engine.store().due_behind(now, cursor, self.batch()).await?;
            read += 1;
            let next = due.next.clone();
            let view = look(&engine, due).await?;
            changed += noted(self.act(&view, now).await, refused);
            cursor = match next {
                Some(next) => next,
                // Where the calls of others are still to come back, they begin the next pass.
                None if resumed && !self.is_partly_full() => {
                    resumed = false;
                    DueCursor::default()
                }
                None => return Ok(changed),
            };
        }
    }

    /// The time that pauses between calls are measured in: this process's own clock. The store's would not do: it may jump.
    fn pauses(&self) -> Timestamp {
        self.engine.uptime()
    }

    /// Carries out what one page of what is due asks for; answers how much of the ledger changed.
    async fn act(&mut self, view: &View, now: Timestamp) -> Result<usize, Error> {
        let plan = plan(&view.grants, &view.entitlements, &self.limits, now);
        self.planned = earliest([self.planned, plan.next]);
        let call = |action: &Action| matches!(action, Action::Provision { .. } | Action::Revoke(_));
        let (calls, ledger): (Vec<_>, Vec<_>) = plan.actions.into_iter().partition(call);
        // Calls first: a removal never waits for the store to take the note of it.
        for action in calls {
            self.start(action, view);
        }
        ledger::carry_out(&Arc::clone(&self.engine), &self.limits, ledger).await
    }

    /// Keeps what runs out soon at hand, for as long as the store may be gone.
    async fn remember(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.remembered_at.is_some_and(|at| now < at + REMEMBER_EVERY) {
            return Ok(());
        }
        let last = self.engine.store().last_event().await?;
        let same = self.remembered_at.is_some_and(|at| now < at + REMEMBER_ANYWAY);
        if same && self.remembered_event == Some(last) {
            return Ok(());
        }
        self.remembered_at = Some(now);
        self.remembered_event = Some(last);
        let soon = self.engine.store().due(now + REMEMBERED, self.batch()).await?;
        let seen = look(&self.engine, soon).await?;
        let reckoned = |(id, grant): (GrantId, Grant)| (id, grant.reckoned_with());
        self.remembered = View {
            grants: seen.grants.into_iter().map(reckoned).collect(),
            ..seen
        };
        Ok(())
    }

    /// Starts or queues the call that an action asks for, unless one for its key is under way or it must wait.
    fn start(&mut self, action: Action, view: &View) {
        let now = self.pauses();
        if matches!(&action, Action::Revoke(key) if self.backoff.gives_up(key)) {
            return;
        }
        if matches!(&action, Action::Provision { .. }) && self.engine.only_takes_away() {
            return;
        }
        let call = match action {
            Action::Provision { part, until } => {
                let seen = view.entitlements.get(&part.target);
                let epoch = seen.map_or(0, |seen| seen.epoch);
                Call::Provision { part, until, epoch }
            }
            Action::Revoke(key) => {
                let Some(entitlement) = view.entitlements.get(&key) else {
                    return;
                };
                Call::Revoke {
                    entitlement: Box::new(entitlement.clone()),
                }
            }
            _ => return,
        };
        let connector = call.key().connector.clone();
        let batch = self.batch();
        let lane = self.lanes.entry(connector.clone()).or_default();
        let queue = lane.queue(matches!(call, Call::Revoke { .. }));
        if queue.len() >= batch
            || self.busy.contains(call.key())
            || !self.backoff.ready(call.key(), call.doing(), now)
        {
            return;
        }
        self.busy.insert(call.key().clone());
        queue.push_back(call);
        self.launch(&connector);
    }

    /// Starts calls that wait for a connector, as many as it takes at once.
    fn launch(&mut self, connector: &Name) {
        while let Some(call) = self.next_call(connector) {
            let caller = Caller {
                certain: !self.uncertain.contains(call.key()),
                awaited: self
                    .backoff
                    .awaited(call.key(), call.doing())
                    .filter(|awaited| awaited.epoch == call.epoch()),
                ..self.caller()
            };
            self.running
                .push(Box::pin(calls::run(Arc::clone(&self.engine), caller, call)));
        }
    }

    fn next_call(&mut self, connector: &Name) -> Option<Call> {
        let usual = self.engine.parts.settings.calls_per_connector;
        let most = self.backoff.calls_at_once(connector, usual);
        let lane = self
            .lanes
            .get_mut(connector)
            .filter(|lane| lane.under_way < most)?;
        let call = lane.next()?;
        lane.under_way += 1;
        Some(call)
    }

    /// Who calls, where nothing is left open by an earlier call.
    fn caller(&self) -> Caller {
        Caller {
            worker: self.limits.worker.clone(),
            certain: true,
            elapsed: self.elapsed.clone(),
            awaited: None,
        }
    }

    /// Whether there is enough to do for every connector, so that nothing more need be read now.
    fn is_full(&self) -> bool {
        let full = |name: &Name| {
            self.lanes
                .get(name)
                .is_some_and(|lane| lane.is_full(self.batch()))
        };
        let current = self.engine.current();
        current.connectors.iter().count() > 0 && current.connectors.iter().all(|(name, _)| full(name))
    }

    /// Whether there is enough to do for one at least.
    fn is_partly_full(&self) -> bool {
        self.lanes.values().any(|lane| lane.is_full(self.batch()))
    }

    fn batch(&self) -> usize {
        self.engine.parts.settings.batch.max(1)
    }

    fn is_shared(&self, key: &TargetKey) -> bool {
        let current = self.engine.current();
        current
            .connectors
            .get(&key.connector)
            .is_some_and(|provider| provider.capabilities().shared)
    }

    /// The store does not answer: what was last read is enough to take away what has run out since.
    fn without_the_store(&mut self) {
        let Some(now) = self.elapsed.expected(self.pauses()) else {
            return;
        };
        let view = self.remembered.clone();
        for action in plan(&view.grants, &view.entitlements, &self.limits, now).actions {
            // What several may hold is not removed again before the store says whose it is by now.
            if let Action::Revoke(key) = &action
                && !(self.unrecorded.contains(key) && self.is_shared(key))
            {
                self.start(action, &view);
            }
        }
    }

    async fn take_in(&mut self, report: Report) {
        let now = self.pauses();
        let Report { key, doing, outcome } = report;
        self.busy.remove(&key);
        // Where one was accepted and is under way, a refusal of the question how far it is says nothing of it.
        let under_way = self
            .backoff
            .awaited(&key, PROVISION)
            .is_some_and(|awaited| !awaited.called);
        let refused = under_way && matches!(outcome, Outcome::Failed(_));
        match outcome.is_uncertain().filter(|_| doing == PROVISION && !refused) {
            Some(true) => drop(self.uncertain.insert(key.clone())),
            Some(false) => drop(self.uncertain.remove(&key)),
            None => {}
        }
        match outcome {
            Outcome::Settled => {
                self.backoff.succeeded(&key);
                self.health.succeeded(&key.connector, doing, now);
            }
            Outcome::Unwanted => self.backoff.forget(&key),
            Outcome::Poll { after, awaited } => self.backoff.poll(&key, awaited, now + after),
            Outcome::Overtaken => self.backoff.pause(&key, doing, self.jitter(), now),
            Outcome::NotRecorded(error) => {
                tracing::error!(%key, doing, %error, "the store took no note of it; it will be repeated");
                if doing == calls::REVOKE {
                    self.unrecorded.insert(key.clone());
                }
                self.backoff.pause(&key, doing, self.jitter(), now);
            }
            Outcome::Failed(error) => self.failed(key, doing, &error, now).await,
        }
    }

    async fn failed(
        &mut self,
        key: TargetKey,
        doing: &'static str,
        error: &daypass_providers::Error,
        now: Timestamp,
    ) {
        self.health.failed(&key.connector, doing, error, now);
        let news = self.backoff.failed(&key, doing, error.fault, self.jitter(), now);
        if !news {
            tracing::debug!(%key, doing, fault = %error.fault, detail = error.detail, "still failing");
            return;
        }
        tracing::warn!(%key, doing, fault = %error.fault, detail = error.detail, "call failed; it will be repeated");
        if let Err(error) = ledger::note_failing(&self.engine, &key, doing, error).await {
            tracing::warn!(%key, %error, "the failure could not be noted");
        }
        if doing == PROVISION && error.fault == Fault::AlreadyStanding {
            // It will not go away by waiting, and waiting for the window to end helps nobody.
            let why = Reason::Failed {
                why: format!("{STANDS}: {}", error.detail),
            };
            if let Err(error) = ledger::end_holders(&self.engine, &key, why).await {
                tracing::warn!(%key, %error, "the grant could not be ended yet");
            }
        }
    }

    fn jitter(&self) -> u8 {
        let [byte] = self.engine.random();
        byte
    }
}

/// What is due, with everything that shares a target with it.
async fn look(engine: &Engine, due: Due) -> Result<View, Error> {
    let mut view = View::default();
    let mut keys: BTreeSet<TargetKey> = due
        .entitlements
        .iter()
        .map(|entitlement| entitlement.key.clone())
        .collect();
    for grant in due.grants {
        keys.extend(grant.parts.iter().map(|part| part.target.clone()));
        view.grants.insert(grant.id, grant);
    }
    let held = engine.store().held(&keys.into_iter().collect::<Vec<_>>()).await?;
    view.grants.extend(held.grants);
    view.entitlements.extend(
        due.entitlements
            .into_iter()
            .map(|entitlement| (entitlement.key.clone(), entitlement)),
    );
    view.entitlements.extend(held.entitlements);
    Ok(view)
}

/// The connectors whose drift is left to people.
fn alarm_only(engine: &Engine) -> BTreeSet<Name> {
    let policy = engine.current().policy;
    let alarms = policy
        .connectors()
        .iter()
        .filter(|connector| connector.drift == Drift::Alarm);
    alarms.map(|connector| connector.name.clone()).collect()
}

/// How much was changed; what could not be is kept for later, the first of several.
fn noted(changed: Result<usize, Error>, refused: &mut Option<Error>) -> usize {
    changed.unwrap_or_else(|error| {
        refused.get_or_insert(error);
        0
    })
}

fn earliest<const N: usize>(times: [Option<Timestamp>; N]) -> Option<Timestamp> {
    times.into_iter().flatten().min()
}
