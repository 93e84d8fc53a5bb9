//! One server: a process with an engine and a reconciler, driven as the real one drives them (`crates/server/src/loops.rs`),
//! which may crash at any point where it waits, stand still, and be started again.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use daypass_core::time::Span;
use daypass_engine::reconcile::Reconciler;
use daypass_engine::{Engine, Entropy, Parts, Settings};
use daypass_providers::Kind;
use daypass_store::{Access, Error, Gate, Store};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, select_all};
use tokio::sync::Notify;

use crate::dice::Dice;
use crate::happen;
use crate::lock;
use crate::scheduler::Owner;
use crate::secrets::NoSecrets;
use crate::target::Sim;
use crate::world::{TOLD_WITHIN, World};

/// The pause after the store did not answer, as in the real server.
const AFTER_ERROR: Span = Span::seconds(1);
/// The longest pause of the reconciler. The real one makes it five seconds, against surprises that are all announced here.
const LONGEST_PAUSE: Span = Span::seconds(60);

/// One start of one server.
pub(crate) struct Process {
    world: World,
    owner: Owner,
    name: String,
    points: Mutex<Points>,
}

/// The places where a process waits for somebody else: there it can crash.
struct Points {
    crash: Option<Crash>,
    dice: Dice,
}

/// A crash to come: after so many points, of this kind where one is named.
struct Crash {
    left: u64,
    at: Option<&'static str>,
}

impl Process {
    fn new(world: World, number: usize, start: u64) -> Self {
        let name = format!("s{number}.{start}");
        let points = Points {
            crash: None,
            dice: Dice::of(world.seed(), &name),
        };
        Self {
            world,
            owner: Owner::Server { number, start },
            name,
            points: Mutex::new(points),
        }
    }

    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this server alone has lost the store.
    pub(crate) fn is_cut_off(&self) -> bool {
        match self.owner {
            Owner::Server { number, .. } => self.world.is_cut_off(number),
            Owner::World => false,
        }
    }

    /// Crashes when so many points more, of this kind where one is named, have been passed.
    pub(crate) fn crash_after(&self, points: u64, at: Option<&'static str>) {
        lock(&self.points).crash = Some(Crash { left: points, at });
    }

    /// A point where others may go first, time may pass, or the process may end.
    pub(crate) async fn point(&self, what: &'static str) {
        let (crash, pause) = {
            let mut state = lock(&self.points);
            let aimed = state.crash.as_mut();
            let crash = aimed
                .filter(|crash| crash.at.is_none_or(|at| at == what))
                .is_some_and(|crash| {
                    let now = crash.left == 0;
                    crash.left = crash.left.saturating_sub(1);
                    now
                });
            let pause = match state.dice.number(0..20) {
                0..12 => None,
                12..19 => Some(Span::ZERO),
                _ => Some(state.dice.span(Span::ZERO, Span::millis(30))),
            };
            (crash, pause)
        };
        if crash {
            self.world.say(|| format!("{} crashes at: {what}", self.name));
            self.world.disturb_all();
            self.world.time().crash(self.owner);
            if let Owner::Server { number, start } = self.owner {
                self.world.set_server(number, None);
                if self.world.servers().is_empty() {
                    self.world.judge().alone(self.owner);
                }
                happen::restart(&self.world, number, start);
            }
            pending::<()>().await;
        }
        if let Some(pause) = pause {
            self.world.time().sleep(pause).await;
        }
    }
}

impl Gate for Process {
    fn before(&self, access: Access) -> BoxFuture<'_, daypass_store::Result<()>> {
        let what = match access {
            Access::Read => "a read",
            Access::Write => "a write",
        };
        async move {
            self.point(what).await;
            let gone = self.world.store_is_gone();
            if gone {
                self.world.disturb_all();
            }
            if gone || self.is_cut_off() {
                self.world.time().sleep(Span::millis(20)).await;
                return Err(Error::Unavailable("it is gone".into()));
            }
            if access == Access::Write && self.world.store_is_full() {
                return Err(Error::Full);
            }
            Ok(())
        }
        .boxed()
    }

    fn after(&self, access: Access) -> BoxFuture<'_, daypass_store::Result<()>> {
        async move {
            if access == Access::Read {
                return Ok(());
            }
            self.world.collect(self.owner);
            let lost = self.world.is_troubled()
                && lock(&self.points).dice.chance(self.world.scenario().lost_answers);
            self.point("the answer to a write").await;
            if lost {
                self.world.disturb_all();
                return Err(Error::Unavailable("the connection was lost".into()));
            }
            Ok(())
        }
        .boxed()
    }
}

/// A server that runs.
pub(crate) struct Up {
    pub(crate) process: Arc<Process>,
    pub(crate) engine: Arc<Engine>,
    wake: Notify,
    stale_directory: AtomicBool,
    stale_policy: AtomicBool,
    stale: Notify,
}

impl Up {
    /// Something was recorded, by this server or another.
    pub(crate) fn told(&self, by: Owner, directory: bool, policy: bool) {
        self.stale_directory.fetch_or(directory, Ordering::Relaxed);
        self.stale_policy.fetch_or(policy, Ordering::Relaxed);
        if by == self.process.owner {
            self.wake.notify_one();
        }
        // What others did is known a moment later, several things at once.
        if by != self.process.owner || directory || policy {
            self.stale.notify_one();
        }
    }

    /// Makes the reconciler look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Random bytes from the seed.
struct Seeded(Mutex<Dice>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        lock(&self.0).fill(bytes);
    }
}

/// An engine over a store. `process` is whose calls its targets see.
pub(crate) async fn open(process: &Arc<Process>, store: Store) -> Result<Engine, daypass_engine::Error> {
    let world = process.world().clone();
    // Kinds live as long as the program; one for each start of a server is a few bytes.
    let kind: &'static dyn Kind = Box::leak(Box::new(Sim::new(process)));
    let time = world.time().clone();
    Engine::open(Parts {
        store,
        kinds: vec![kind],
        secrets: Arc::new(NoSecrets),
        entropy: Arc::new(Seeded(Mutex::new(Dice::of(
            world.seed(),
            &format!("{} random", process.name),
        )))),
        clock: Arc::new(move || time.now()),
        settings: Settings {
            sweep_every: world.scenario().sweep_every,
            batch: world.scenario().batch,
            ..Settings::default()
        },
    })
    .await
}

/// A process that is no server: the house's own, before the run.
pub(crate) fn builder(world: &World) -> Arc<Process> {
    Arc::new(Process::new(world.clone(), usize::MAX, 0))
}

/// Starts a server.
pub(crate) fn start(world: &World, number: usize) {
    let process = Arc::new(Process::new(world.clone(), number, world.next_start()));
    world.say(|| format!("{} starts", process.name));
    // Sometimes it crashes again before it is up.
    let mut dice = Dice::of(world.seed(), &format!("{} start", process.name));
    if world.is_troubled() && dice.chance(60) {
        process.crash_after(dice.number(0..40), None);
    }
    let owner = process.owner;
    world.time().spawn(owner, serve(process));
}

async fn serve(process: Arc<Process>) {
    let world = process.world().clone();
    let Owner::Server { number, .. } = process.owner else {
        return;
    };
    let gate: Arc<dyn Gate> = Arc::clone(&process) as _;
    let Ok(store) = world.store().beside(gate) else {
        return;
    };
    let engine = loop {
        match open(&process, store.clone()).await {
            Ok(engine) => break Arc::new(engine),
            Err(_) => world.time().sleep(AFTER_ERROR).await,
        }
    };
    let up = Arc::new(Up {
        process: Arc::clone(&process),
        engine: Arc::clone(&engine),
        wake: Notify::new(),
        stale_directory: AtomicBool::new(false),
        stale_policy: AtomicBool::new(false),
        stale: Notify::new(),
    });
    if world.servers().is_empty() {
        world.disturb_all();
    }
    world.judge().started();
    world.set_server(number, Some(Arc::clone(&up)));
    world
        .time()
        .spawn(process.owner, refresh(world.clone(), Arc::clone(&up)));
    reconcile(&world, &up).await;
}

/// Drives the reconciler.
async fn reconcile(world: &World, up: &Up) {
    let mut reconciler = Reconciler::new(Arc::clone(&up.engine), up.process.name.clone());
    loop {
        let pause = match reconciler.step().await {
            Ok(step) => {
                let now = up.engine.store().now().await.unwrap_or(world.time().now());
                step.next
                    .map_or(LONGEST_PAUSE, |next| next.since(now))
                    .min(LONGEST_PAUSE)
                    .max(Span::millis(1))
            }
            Err(_) => AFTER_ERROR,
        };
        let settled = async {
            if !reconciler.settle().await {
                pending::<()>().await;
            }
        };
        let others: [BoxFuture<'_, ()>; 3] = [
            settled.boxed(),
            up.wake.notified().boxed(),
            world.time().sleep(pause).boxed(),
        ];
        select_all(others).await;
    }
}

/// Takes in what another server changed.
async fn refresh(world: World, up: Arc<Up>) {
    let mut dice = Dice::of(world.seed(), &format!("{} refresh", up.process.name));
    loop {
        up.stale.notified().await;
        world.time().sleep(dice.span(Span::ZERO, TOLD_WITHIN)).await;
        while up.stale_directory.swap(false, Ordering::Relaxed) {
            if up.engine.refresh_directory().await.is_err() {
                up.stale_directory.store(true, Ordering::Relaxed);
                world.time().sleep(AFTER_ERROR).await;
            }
        }
        while up.stale_policy.swap(false, Ordering::Relaxed) {
            if up.engine.refresh_policy().await.is_err() {
                up.stale_policy.store(true, Ordering::Relaxed);
                world.time().sleep(AFTER_ERROR).await;
            }
        }
        up.wake.notify_one();
    }
}

/// The clock of the database: the true time, wrong by what the scenario makes of it.
pub(crate) fn clock(time: &crate::scheduler::Time, offset: &Arc<AtomicI64>) -> daypass_store::Clock {
    let (time, offset) = (time.clone(), Arc::clone(offset));
    Arc::new(move || {
        daypass_core::time::Timestamp::from_micros(time.now().micros() + offset.load(Ordering::Relaxed))
    })
}
