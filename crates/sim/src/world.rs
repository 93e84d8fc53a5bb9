//! What everybody in a run shares: the time, the targets, the database, the judge, and what is out of order now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use daypass_core::id::{ChangeId, RequestId};
use daypass_core::time::{Span, Timestamp};
use daypass_store::Store;

use crate::judge::Judge;
use crate::lock;
use crate::scenario::Scenario;
use crate::scheduler::{Owner, Time};
use crate::server::Up;
use crate::target::Target;

/// Everything. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    scenario: Arc<Scenario>,
    time: Time,
    targets: Vec<Target>,
    /// A way to the database past every gate: nobody's but the judge's and the house's own before the run.
    store: Store,
    judge: Mutex<Judge>,
    servers: Mutex<Vec<Option<Arc<Up>>>>,
    starts: AtomicU64,
    /// By how many microseconds the database's clock is wrong.
    offset: Arc<AtomicI64>,
    store_gone: AtomicI64,
    /// Until when each server alone has no way to the store.
    cut_off: Mutex<BTreeMap<usize, Timestamp>>,
    store_full: AtomicI64,
    troubled: AtomicBool,
    /// What was asked, by the element that asked it.
    made: Mutex<BTreeMap<usize, RequestId>>,
    /// Which changes wait, or waited, by the element that proposed each.
    proposed: Mutex<BTreeMap<usize, ChangeId>>,
    trace: Option<Mutex<Vec<String>>>,
}

impl World {
    /// A world over a database. `offset` is what that database's clock reads beside the true time.
    pub(crate) fn new(
        scenario: Arc<Scenario>,
        time: Time,
        store: Store,
        offset: Arc<AtomicI64>,
        traced: bool,
    ) -> Self {
        let target = |(number, character): (usize, &crate::scenario::Character)| {
            Target::new(number, character.clone(), time.clone())
        };
        let targets: Vec<_> = scenario.targets.iter().enumerate().map(target).collect();
        let mut judge = Judge::new(Arc::clone(&scenario), time.clone(), targets.clone());
        judge.traced = traced;
        Self(Arc::new(Shared {
            judge: Mutex::new(judge),
            servers: Mutex::new(vec![None; scenario.servers]),
            scenario,
            time,
            targets,
            store,
            starts: AtomicU64::new(0),
            offset,
            store_gone: AtomicI64::new(0),
            cut_off: Mutex::default(),
            store_full: AtomicI64::new(0),
            troubled: AtomicBool::new(false),
            made: Mutex::default(),
            proposed: Mutex::default(),
            trace: traced.then(Mutex::default),
        }))
    }

    pub(crate) fn scenario(&self) -> &Scenario {
        &self.0.scenario
    }

    pub(crate) fn seed(&self) -> u64 {
        self.0.scenario.seed
    }

    pub(crate) fn time(&self) -> &Time {
        &self.0.time
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.0.targets
    }

    pub(crate) fn target(&self, connector: &str) -> Option<Target> {
        self.0
            .targets
            .iter()
            .find(|target| target.character.connector == connector)
            .cloned()
    }

    pub(crate) fn judge(&self) -> MutexGuard<'_, Judge> {
        lock(&self.0.judge)
    }

    /// Of a thousand calls, how many go wrong by themselves now.
    pub(crate) fn mishaps(&self) -> u32 {
        if self.is_troubled() {
            self.0.scenario.mishaps
        } else {
            0
        }
    }

    /// Whether anything may go wrong at all. Not before the house stands, and not at the end.
    pub(crate) fn is_troubled(&self) -> bool {
        self.0.troubled.load(Ordering::Relaxed)
    }

    pub(crate) fn set_troubled(&self, troubled: bool) {
        self.0.troubled.store(troubled, Ordering::Relaxed);
    }

    /// Something is wrong, or was just now, with what a target's access depends on.
    pub(crate) fn disturb(&self, target: usize) {
        self.judge().disturbed(Some(target));
    }

    /// Something is wrong, or was just now, that everything depends on.
    pub(crate) fn disturb_all(&self) {
        self.judge().disturbed(None);
    }

    /// Turns the database's clock.
    pub(crate) fn jump(&self, by: i64) {
        self.0.offset.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn store_goes(&self, until: Timestamp) {
        self.0.store_gone.fetch_max(until.micros(), Ordering::Relaxed);
    }

    /// One server alone loses the store.
    pub(crate) fn cuts_off(&self, server: usize, until: Timestamp) {
        let mut cut_off = lock(&self.0.cut_off);
        let latest = cut_off.entry(server).or_insert(until);
        *latest = until.max(*latest);
    }

    pub(crate) fn is_cut_off(&self, server: usize) -> bool {
        let until = lock(&self.0.cut_off).get(&server).copied();
        until.is_some_and(|until| self.time().now() < until)
    }

    /// Whether some server runs that has a way to the store.
    pub(crate) fn is_anybody_there(&self) -> bool {
        !self.store_is_gone() && self.servers().iter().any(|up| !up.process.is_cut_off())
    }

    pub(crate) fn store_fills(&self, until: Timestamp) {
        self.0.store_full.fetch_max(until.micros(), Ordering::Relaxed);
    }

    pub(crate) fn store_is_gone(&self) -> bool {
        self.time().now().micros() < self.0.store_gone.load(Ordering::Relaxed)
    }

    pub(crate) fn store_is_full(&self) -> bool {
        self.time().now().micros() < self.0.store_full.load(Ordering::Relaxed)
    }

    /// A number that no start of a server had before.
    pub(crate) fn next_start(&self) -> u64 {
        self.0.starts.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn set_server(&self, number: usize, up: Option<Arc<Up>>) {
        if let Some(place) = lock(&self.0.servers).get_mut(number) {
            *place = up;
        }
    }

    pub(crate) fn server(&self, number: usize) -> Option<Arc<Up>> {
        lock(&self.0.servers).get(number).cloned().flatten()
    }

    /// Those that run, with their numbers.
    pub(crate) fn servers(&self) -> Vec<Arc<Up>> {
        lock(&self.0.servers).iter().flatten().cloned().collect()
    }

    pub(crate) fn made(&self, element: usize, request: RequestId) {
        lock(&self.0.made).insert(element, request);
    }

    /// The request that an element made, once somebody was told of it.
    pub(crate) fn request_of(&self, element: usize) -> Option<RequestId> {
        lock(&self.0.made).get(&element).copied()
    }

    pub(crate) fn proposed(&self, element: usize, change: ChangeId) {
        lock(&self.0.proposed).insert(element, change);
    }

    /// The change that an element proposed, once somebody was told of it.
    pub(crate) fn change_of(&self, element: usize) -> Option<ChangeId> {
        lock(&self.0.proposed).get(&element).copied()
    }

    /// Reads what was recorded since the last time: after every commit, before anybody learns of it.
    pub(crate) fn collect(&self, by: Owner) {
        let recorded = self.judge().read_log(&self.0.store);
        if recorded.is_empty() {
            return;
        }
        for line in recorded.lines {
            self.say(|| line);
        }
        for up in self.servers() {
            up.told(by, recorded.directory, recorded.policy);
        }
    }

    /// Adds a line to the trace, if there is one.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.0.trace {
            let at = self.time().now().to_string();
            let at = at.get(11..).unwrap_or(&at).trim_end_matches('Z').to_owned();
            lock(trace).push(format!("{at:<15} {}", line()));
        }
    }

    /// The trace so far.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.0
            .trace
            .as_ref()
            .map(|trace| lock(trace).clone())
            .unwrap_or_default()
    }
}

/// How long everybody has to learn of a change that another server made.
pub(crate) const TOLD_WITHIN: Span = Span::millis(500);
