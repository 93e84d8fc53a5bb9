//! What makes surveys: one page of one connector at a time, beside whatever else runs there.
//!
//! It has no timer, as the reconciler has none: its owner steps, waits for a call that comes back, for somebody who asks or for the
//! instant that the step said, and steps again. Where a target says that it is too much, or does not answer, it waits longer each time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::inventory::{Cursor, Page};
use daypass_providers::{Error as TargetError, Provider};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};

use super::{Known, Running, Survey};
use crate::engine::Engine;

/// The first pause after a failure, and the longest: nobody's access waits for a survey.
const FIRST: Span = Span::seconds(1);
const LONGEST: Span = Span::minutes(5);

/// How much standing access of one connector is kept. Where there is more, that is said.
const MOST: usize = 100_000;

/// A page that came back.
struct Came {
    connector: Name,
    asked: Option<Cursor>,
    page: Result<Option<Page>, TargetError>,
}

/// What the surveys of a process wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surveying {
    /// When to step again if nothing happens before, by this process's own clock.
    pub next: Option<Timestamp>,
    /// How many calls are under way.
    pub calls: usize,
}

/// Makes the surveys of a process.
pub struct Surveyor {
    engine: Arc<Engine>,
    running: FuturesUnordered<BoxFuture<'static, Came>>,
}

impl Surveyor {
    /// Over an engine, which keeps what they tell.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            running: FuturesUnordered::new(),
        }
    }

    /// Starts what is due: a survey, or its next page.
    pub async fn step(&mut self) -> Surveying {
        let now = self.engine.now().await;
        let uptime = self.engine.uptime();
        let every = self.engine.parts.settings.survey_every;
        let current = self.engine.current();
        let mut next: Option<Timestamp> = None;
        let mut known = self.engine.inventory.known();
        known.retain(|name, one| one.calling || current.connectors.get(name).is_some());
        for (name, provider) in current.connectors.iter() {
            let config = current.policy.connector(name.as_str()).map(|one| &one.config);
            let one = known.entry(name.clone()).or_default();
            if one.calling {
                continue;
            }
            if config.is_some_and(|config| *config != one.config) {
                // Another target, perhaps: what was told of the old one is not told of it.
                *one = Known {
                    config: config.cloned().unwrap_or_default(),
                    wanted: one.wanted,
                    ..Known::default()
                };
            }
            match one.due(every, uptime) {
                Some(at) if at > uptime => next = Some(next.map_or(at, |next: Timestamp| next.min(at))),
                Some(_) => {
                    let cursor = one.go_on(now, uptime);
                    self.running
                        .push(call(name.clone(), Arc::clone(provider), cursor));
                }
                None => {}
            }
        }
        drop(known);
        Surveying {
            next,
            calls: self.running.len(),
        }
    }

    /// Waits until a call comes back, and takes in what it told. `false`: there was none. It may be dropped at any point.
    pub async fn settle(&mut self) -> bool {
        let Some(came) = self.running.next().await else {
            return false;
        };
        let (now, uptime) = (self.engine.now().await, self.engine.uptime());
        let [jitter] = self.engine.random();
        let mut known = self.engine.inventory.known();
        if let Some(one) = known.get_mut(&came.connector) {
            one.take_in(came, now, uptime, jitter);
        }
        true
    }
}

fn call(connector: Name, provider: Arc<dyn Provider>, cursor: Option<Cursor>) -> BoxFuture<'static, Came> {
    Box::pin(async move {
        let page = AssertUnwindSafe(provider.survey(cursor.clone()))
            .catch_unwind()
            .await;
        let failed = |_| Err(TargetError::new(Fault::Bug, "the survey failed unexpectedly"));
        Came {
            connector,
            asked: cursor,
            page: page.unwrap_or_else(failed),
        }
    })
}

impl Known {
    /// When the next call is due; `None` for one that nobody asked for. `every`: zero for only where somebody asks.
    fn due(&self, every: Span, uptime: Timestamp) -> Option<Timestamp> {
        let due = match (&self.running, self.started) {
            (Some(_), _) => Some(uptime),
            (None, _) if self.wanted => Some(uptime),
            (None, _) if every == Span::ZERO => None,
            (None, None) => Some(uptime),
            (None, Some(started)) => Some(started + every),
        };
        due.map(|due| self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Begins, or goes on where it was.
    fn go_on(&mut self, now: Timestamp, uptime: Timestamp) -> Option<Cursor> {
        self.calling = true;
        if self.running.is_none() {
            self.wanted = false;
            self.started = Some(uptime);
        }
        let running = self.running.get_or_insert_with(|| Running {
            so_far: Survey {
                began: now,
                ended: now,
                standing: Vec::new(),
                found: Vec::new(),
                untold: Vec::new(),
            },
            cursor: None,
            done: 0,
            of: None,
        });
        running.cursor.clone()
    }

    fn take_in(&mut self, came: Came, now: Timestamp, uptime: Timestamp, jitter: u8) {
        self.calling = false;
        let page = match came.page {
            Ok(Some(page)) if page.next.is_some() && page.next == came.asked => {
                let what = "the survey goes round in circles: a page leads to itself";
                return self.failed(TargetError::new(Fault::Bug, what), now, uptime, jitter);
            }
            Ok(Some(page)) => page,
            Ok(None) => {
                (self.cannot_tell, self.running, self.last, self.failing) = (true, None, None, None);
                return;
            }
            Err(error) => return self.failed(error, now, uptime, jitter),
        };
        (self.tries, self.not_before, self.failing, self.cannot_tell) = (0, None, None, false);
        let Some(mut running) = self.running.take() else {
            return;
        };
        (running.done, running.of) = (page.done, page.of);
        let so_far = &mut running.so_far;
        so_far.found.extend(page.found);
        so_far.untold.extend(page.untold);
        let room = MOST.saturating_sub(so_far.standing.len());
        let more = page.standing.len() > room;
        so_far.standing.extend(page.standing.into_iter().take(room));
        running.cursor = page.next;
        if more {
            let what = format!("there is more than {MOST} entries of standing access; the rest is left out");
            so_far.untold.push(what);
        }
        if running.cursor.is_some() && !more {
            self.running = Some(running);
            return;
        }
        running.so_far.ended = now;
        self.last = Some(Arc::new(running.so_far));
    }

    fn failed(&mut self, error: TargetError, now: Timestamp, uptime: Timestamp, jitter: u8) {
        // What the cursor leads to is gone: from the beginning, then. So it is where going on would never end.
        if matches!(error.fault, Fault::Conflict | Fault::Bug) {
            self.running = None;
            self.wanted = true;
        }
        let since = self.failing.as_ref().map_or(now, |(since, ..)| *since);
        self.failing = Some((since, error.fault, error.detail));
        let pause = FIRST.times(1 << self.tries.min(20)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let pause = Span::millis(pause.micros() / 1000 * (512 - u64::from(jitter)) / 512);
        self.not_before = Some(uptime + pause);
    }
}
