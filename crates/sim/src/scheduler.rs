//! One thread that runs everything: tasks that wait for virtual time or for each other, in an order that the seed decides.
//!
//! Where several tasks could go on, one of them is drawn. When none can, time jumps to the next instant that somebody waits
//! for. A task belongs to somebody: whoever crashes loses all of theirs at the point where they wait, and whoever is
//! stalled does not go on until the stall is over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use daypass_core::time::{Span, Timestamp};

use crate::dice::Dice;
use crate::lock;

/// When every run begins: 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000_000_000;

/// Who a task belongs to: the world outside, or one start of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    World,
    Server { number: usize, start: u64 },
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
type Id = u64;

/// True time, waiting for it, and starting what runs in it. Clones are the same.
#[derive(Clone)]
pub(crate) struct Time(Arc<Shared>);

struct Shared {
    now: AtomicI64,
    timers: Mutex<Timers>,
    /// Tasks that are to be started, and owners whose tasks are to be dropped or held, in order.
    orders: Mutex<Vec<Order>>,
    ready: Mutex<Vec<Id>>,
}

enum Order {
    Start(Owner, Work),
    Crash(Owner),
    Stall(Owner, Timestamp),
}

#[derive(Default)]
struct Timers {
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Time {
    /// The true time: the one that nobody's clock can be wrong about.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.now.load(Ordering::Relaxed))
    }

    /// Waits until this instant. One that has come lets others go first all the same.
    pub(crate) fn until(&self, at: Timestamp) -> Sleep {
        Sleep {
            time: self.clone(),
            at: at.micros(),
            timer: None,
        }
    }

    /// Waits so long.
    pub(crate) fn sleep(&self, span: Span) -> Sleep {
        self.until(self.now() + span)
    }

    /// Starts a task beside the others.
    pub(crate) fn spawn(&self, owner: Owner, work: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0.orders).push(Order::Start(owner, Box::pin(work)));
    }

    /// Drops all tasks of an owner, where they stand.
    pub(crate) fn crash(&self, owner: Owner) {
        lock(&self.0.orders).push(Order::Crash(owner));
    }

    /// Lets no task of an owner go on before this instant, as if its process were stopped.
    pub(crate) fn stall(&self, owner: Owner, until: Timestamp) {
        lock(&self.0.orders).push(Order::Stall(owner, until));
    }
}

/// Waits for an instant.
pub(crate) struct Sleep {
    time: Time,
    at: i64,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = lock(&self.time.0.timers);
        if let Some(timer) = self.timer {
            // Woken by something else, the timer is still in the queue.
            let Some(waker) = timers.wakers.get_mut(&timer) else {
                return Poll::Ready(());
            };
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        let timer = timers.next;
        timers.next += 1;
        timers.queue.push(Reverse((self.at, timer)));
        timers.wakers.insert(timer, context.waker().clone());
        drop(timers);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            lock(&self.time.0.timers).wakers.remove(&timer);
        }
    }
}

struct Wakes {
    shared: Arc<Shared>,
    id: Id,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut ready = lock(&self.shared.ready);
        if !ready.contains(&self.id) {
            ready.push(self.id);
        }
    }
}

struct Task {
    owner: Owner,
    work: Work,
    waker: Waker,
}

/// Runs the tasks.
pub(crate) struct Scheduler {
    time: Time,
    tasks: BTreeMap<Id, Task>,
    next: Id,
    stalled: BTreeMap<Owner, Timestamp>,
    /// Tasks that were woken while their owner was stalled.
    held: Vec<Id>,
    dice: Dice,
    polls: u64,
}

/// Why a run of the scheduler came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing is left to do before the instant that was asked for.
    Reached,
    /// So much was done without time getting there that it would go on for ever.
    Busy,
    /// Whoever looked on said that it is enough.
    Stopped,
}

impl Scheduler {
    pub(crate) fn new(dice: Dice) -> Self {
        let time = Time(Arc::new(Shared {
            now: AtomicI64::new(START),
            timers: Mutex::default(),
            orders: Mutex::default(),
            ready: Mutex::default(),
        }));
        Self {
            time,
            tasks: BTreeMap::new(),
            next: 0,
            stalled: BTreeMap::new(),
            held: Vec::new(),
            dice,
            polls: 0,
        }
    }

    pub(crate) fn time(&self) -> Time {
        self.time.clone()
    }

    /// How often a task was gone on with.
    pub(crate) const fn polls(&self) -> u64 {
        self.polls
    }

    /// Runs until this instant. Before time goes on, and at the end, `look` is called: all that could happen at this instant
    /// has. It answers whether to go on.
    pub(crate) fn run(&mut self, until: Timestamp, most: u64, mut look: impl FnMut() -> bool) -> Rest {
        let most = self.polls + most;
        loop {
            while let Some(id) = self.draw() {
                self.poll(id);
                if self.polls >= most {
                    return Rest::Busy;
                }
            }
            if !look() {
                return Rest::Stopped;
            }
            let next = self.next_instant();
            let Some(at) = next.filter(|at| *at <= until) else {
                self.time.0.now.fetch_max(until.micros(), Ordering::Relaxed);
                return Rest::Reached;
            };
            self.time.0.now.fetch_max(at.micros(), Ordering::Relaxed);
            self.fire();
        }
    }

    fn next_instant(&self) -> Option<Timestamp> {
        let mut timers = lock(&self.time.0.timers);
        // Timers that nobody waits for any more do not count as instants.
        while let Some(Reverse((_, timer))) = timers.queue.peek() {
            if timers.wakers.contains_key(timer) {
                break;
            }
            timers.queue.pop();
        }
        let timer = timers
            .queue
            .peek()
            .map(|Reverse((at, _))| Timestamp::from_micros(*at));
        let stall = self.stalled.values().copied().min();
        timer.into_iter().chain(stall).min()
    }

    fn fire(&mut self) {
        let now = self.time.now();
        let mut fired = Vec::new();
        {
            let mut timers = lock(&self.time.0.timers);
            while let Some(Reverse((at, timer))) = timers.queue.peek().copied() {
                if at > now.micros() {
                    break;
                }
                timers.queue.pop();
                fired.extend(timers.wakers.remove(&timer));
            }
        }
        fired.into_iter().for_each(Waker::wake);
        let over: Vec<_> = self
            .stalled
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(owner, _)| *owner)
            .collect();
        for owner in over {
            self.stalled.remove(&owner);
        }
        lock(&self.time.0.ready).append(&mut self.held);
    }

    /// One of the tasks that could go on.
    fn draw(&mut self) -> Option<Id> {
        loop {
            self.carry_out_orders();
            let mut ready = lock(&self.time.0.ready);
            if ready.is_empty() {
                return None;
            }
            let at = self.dice.index(ready.len());
            let id = ready.swap_remove(at);
            drop(ready);
            match self.tasks.get(&id) {
                Some(task) if self.stalled.contains_key(&task.owner) => self.held.push(id),
                Some(_) => return Some(id),
                None => {}
            }
        }
    }

    fn poll(&mut self, id: Id) {
        let Some(mut task) = self.tasks.remove(&id) else {
            return;
        };
        self.polls += 1;
        let done = task.work.as_mut().poll(&mut Context::from_waker(&task.waker));
        if done.is_pending() {
            self.tasks.insert(id, task);
        }
    }

    fn carry_out_orders(&mut self) {
        let orders = std::mem::take(&mut *lock(&self.time.0.orders));
        for order in orders {
            match order {
                Order::Start(owner, work) => {
                    let id = self.next;
                    self.next += 1;
                    let shared = Arc::clone(&self.time.0);
                    let waker = Waker::from(Arc::new(Wakes { shared, id }));
                    self.tasks.insert(id, Task { owner, work, waker });
                    lock(&self.time.0.ready).push(id);
                }
                Order::Crash(owner) => {
                    self.stalled.remove(&owner);
                    let lost: Vec<_> = self
                        .tasks
                        .iter()
                        .filter(|(_, task)| task.owner == owner)
                        .map(|(id, _)| *id)
                        .collect();
                    // Dropped one after the other, outside of everything that they might want to lock.
                    for id in lost {
                        drop(self.tasks.remove(&id));
                    }
                }
                Order::Stall(owner, until) => {
                    let stalled = self.stalled.entry(owner).or_insert(until);
                    *stalled = (*stalled).max(until);
                }
            }
        }
    }
}
