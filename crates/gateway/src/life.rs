//! What keeps sessions alive and what ends them: leases are renewed in batches, endings are heard at once, limits are kept.
//!
//! It fails closed: what is not renewed in time ends by itself ([`Live::ended`]), whether or not anything here still runs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};

use crate::control::{
    Closing, Control, Ending, LeaseId, PersonId, Reason, Renewed, SessionId, Unavailable, Which,
};
use crate::edge;
use crate::session::Live;

/// How many leases are renewed by one call.
const BATCH: usize = 1_000;

/// How many endings are remembered for sessions that are being opened just then.
const REMEMBERED: usize = 4_096;

/// How many closings wait for somebody who takes them. The rest is forgotten: their leases run out anyway.
const CLOSINGS: usize = 10_000;

/// How many of them are tried side by side.
const CLOSED_AT_ONCE: usize = 16;

/// How long a closing may take, while somebody waits for it.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The longest pause between two looks at what is to be renewed, and the shortest.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// How long one renewal may take, however long the leases are: whoever waits for it hears of nothing else.
const LONGEST_RENEWAL: Duration = Duration::from_secs(5);

/// How long those whose clients know of their end wait for those whose clients do not.
const TOLD_WITHIN: Duration = Duration::from_millis(500);

/// How long nothing more must have ended until they are all: several grants of many sessions are ended one after the other.
const QUIET: Duration = Duration::from_millis(100);

/// What is to be renewed now.
struct Due {
    due: Vec<Arc<Live>>,
    /// All are, because an ending may have been missed.
    all: bool,
    /// When to look again.
    pause: Duration,
}

/// All sessions of a gateway.
pub struct Life {
    control: Arc<dyn Control>,
    state: Mutex<State>,
    count: watch::Sender<usize>,
    /// How many closings wait for somebody who takes them, with those that are under way.
    unclosed: watch::Sender<usize>,
    /// Somebody came, or an ending was missed: look at once.
    look: Notify,
    /// Something waits to be closed.
    closing: Notify,
    /// The last of many clients was told that its session has ended.
    all_told: Notify,
    stopping: watch::Sender<bool>,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Life")
    }
}

#[derive(Default)]
struct State {
    sessions: HashMap<LeaseId, Arc<Live>>,
    /// Of the same sessions.
    names: HashSet<SessionId>,
    /// Those that were ended, by one ending with others, and whose client does not know it yet.
    untold: HashSet<LeaseId>,
    /// When the last of them were ended.
    last_ended: Option<Instant>,
    /// Sessions and those who wait for one.
    slots: HashMap<PersonId, usize>,
    taken: usize,
    /// The last endings, for sessions that are being opened: the number of the first, and they.
    recent: VecDeque<Ending>,
    first: u64,
    closings: Vec<Closing>,
    stopping: bool,
    renew_all: bool,
}

/// A moment before a lease was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    heard: u64,
}

/// A place for one session of a person.
#[derive(Debug)]
pub struct Slot {
    life: Arc<Life>,
    person: PersonId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.life.state();
        state.taken = state.taken.saturating_sub(1);
        let left = state.slots.get_mut(&self.person).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            state.slots.remove(&self.person);
        }
        let taken = state.taken;
        drop(state);
        self.life.count.send_replace(taken);
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// In the whole gateway.
    #[error("there are as many sessions as this gateway takes")]
    Gateway,
    /// Of this person.
    #[error("you have as many sessions as one person may have here")]
    Person,
    /// The gateway stops.
    #[error("this gateway stops")]
    Stopping,
}

impl Life {
    pub(crate) fn new(control: Arc<dyn Control>) -> Arc<Self> {
        Arc::new(Self {
            control,
            state: Mutex::default(),
            count: watch::Sender::new(0),
            unclosed: watch::Sender::new(0),
            look: Notify::new(),
            closing: Notify::new(),
            all_told: Notify::new(),
            stopping: watch::Sender::new(false),
        })
    }

    pub(crate) fn control(&self) -> &dyn Control {
        self.control.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a session of this person.
    pub(crate) fn slot(self: &Arc<Self>, person: &PersonId, all: usize, each: usize) -> Result<Slot, Full> {
        let mut state = self.state();
        if state.stopping {
            return Err(Full::Stopping);
        }
        if state.taken >= all {
            return Err(Full::Gateway);
        }
        let count = state.slots.entry(person.clone()).or_default();
        if *count >= each {
            return Err(Full::Person);
        }
        *count += 1;
        state.taken += 1;
        let taken = state.taken;
        drop(state);
        self.count.send_replace(taken);
        Ok(Slot {
            life: Arc::clone(self),
            person: person.clone(),
        })
    }

    /// To be called before a lease is asked for: its time counts from here, and what ends from here on ends it too.
    pub(crate) fn asking(&self) -> Asked {
        let state = self.state();
        let heard = state.first + u64::try_from(state.recent.len()).unwrap_or(u64::MAX);
        Asked {
            at: edge::instant(),
            heard,
        }
    }

    /// A session begins, unless one of its names lives: two under one lease could not be told apart, nor their records.
    pub(crate) fn enter(&self, live: &Arc<Live>, asked: Asked) -> Result<(), Unavailable> {
        let mut state = self.state();
        if state.sessions.contains_key(&live.lease) || !state.names.insert(live.session.clone()) {
            tracing::error!(lease = %live.lease, session = %live.session, "a lease was given twice");
            return Err(Unavailable("a lease that was given twice".to_owned()));
        }
        state.sessions.insert(live.lease.clone(), Arc::clone(live));
        if state.stopping {
            live.end(Reason::Stopping);
        }
        let known = usize::try_from(asked.heard.saturating_sub(state.first)).unwrap_or(usize::MAX);
        for ending in state.recent.iter().skip(known) {
            if live.is_of(&ending.which) {
                live.end(ending.reason.clone());
            }
        }
        // More ended meanwhile than is remembered: ask.
        state.renew_all |= asked.heard < state.first;
        drop(state);
        self.look.notify_one();
        Ok(())
    }

    /// A session has ended.
    pub(crate) fn leave(&self, live: &Live) {
        let mut state = self.state();
        state.sessions.remove(&live.lease);
        state.names.remove(&live.session);
        drop(state);
        self.tell(live);
    }

    fn tell(&self, live: &Live) {
        let mut state = self.state();
        if state.untold.remove(&live.lease) && state.untold.is_empty() {
            self.all_told.notify_waiters();
        }
    }

    /// A client was told that its session has ended. Waits until all are that were ended together, and no longer than a moment: one that does
    /// not listen holds nobody up.
    pub(crate) async fn told(&self, live: &Live) {
        self.tell(live);
        let _ = edge::within(TOLD_WITHIN, self.all_told()).await;
    }

    /// Waits until all were told, and no more were ended for a moment.
    async fn all_told(&self) {
        loop {
            let told = self.all_told.notified();
            tokio::pin!(told);
            // From here on, before it is looked.
            told.as_mut().enable();
            let (is_told, last) = {
                let state = self.state();
                (state.untold.is_empty(), state.last_ended)
            };
            let quiet = last.map(|last| last + QUIET);
            match quiet.filter(|quiet| *quiet > edge::instant()) {
                _ if !is_told => told.await,
                Some(quiet) => edge::sleep_until(quiet).await,
                None => return,
            }
        }
    }

    /// Ends sessions, those included that are being opened just now.
    pub fn end(&self, ending: Ending) {
        let mut guard = self.state();
        let state = &mut *guard;
        match &ending.which {
            Which::Lease(lease) => {
                if let Some(live) = state.sessions.get(lease) {
                    live.end(ending.reason.clone());
                }
            }
            which => {
                for live in state.sessions.values().filter(|live| live.is_of(which)) {
                    if live.end_first(ending.reason.clone()) {
                        state.untold.insert(live.lease.clone());
                        state.last_ended = Some(edge::instant());
                    }
                }
            }
        }
        if state.recent.len() >= REMEMBERED {
            state.recent.pop_front();
            state.first += 1;
        }
        state.recent.push_back(ending);
    }

    /// Ends all sessions and takes no more.
    pub(crate) fn stop(&self) {
        self.state().stopping = true;
        self.stopping.send_replace(true);
        self.end(Ending {
            which: Which::Every,
            reason: Reason::Stopping,
        });
    }

    /// Waits until the gateway stops.
    pub(crate) async fn stopping(&self) {
        // Its other end is in `self`.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// How many sessions there are, with those who wait for one.
    pub(crate) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// How many closings wait for somebody who takes them.
    pub(crate) fn unclosed(&self) -> watch::Receiver<usize> {
        self.unclosed.subscribe()
    }

    /// Closes, now or later.
    pub(crate) async fn close(&self, closing: Closing) {
        if !self.was_closed(&closing).await {
            self.close_later(closing);
        }
    }

    /// Closes when somebody takes it.
    pub(crate) fn close_later(&self, closing: Closing) {
        let mut state = self.state();
        let has_room = state.closings.len() < CLOSINGS;
        if has_room {
            state.closings.push(closing);
        }
        drop(state);
        self.unclosed.send_modify(|count| *count += usize::from(has_room));
        self.closing.notify_one();
    }

    /// Renews, hears of endings, closes what could not be closed; for as long as the gateway runs.
    pub(crate) async fn run(&self) {
        // Each by itself: nothing that is slow holds up another.
        tokio::join!(self.hear(), self.renew(), self.close_what_waits());
    }

    async fn hear(&self) {
        loop {
            let mut endings = self.control.endings();
            // What ended between the two channels is found by asking: what ends from here on is heard.
            self.state().renew_all = true;
            self.look.notify_one();
            while let Some(ending) = endings.recv().await {
                self.end(ending);
            }
            edge::sleep(SHORTEST_PAUSE).await;
        }
    }

    async fn renew(&self) {
        loop {
            let Due { due, all, pause } = self.due();
            // Side by side: who waits for a slow answer does not wait for those before it too.
            let batches = due.chunks(BATCH).map(|batch| self.renew_batch(batch));
            let answered = join_all(batches).await.into_iter().all(|answered| answered);
            // It was asked because something may have been missed: that stays so until there is an answer.
            self.state().renew_all |= all && !answered;
            let _ = edge::within(pause, self.look.notified()).await;
        }
    }

    /// What is to be renewed now, and when to look again.
    fn due(&self) -> Due {
        let now = edge::instant();
        let mut state = self.state();
        let all = std::mem::take(&mut state.renew_all);
        let mut pause = LONGEST_PAUSE;
        let mut due = Vec::new();
        for live in state.sessions.values() {
            let (term, until) = live.renewal();
            // Three tries fit into the rest, when one fails.
            pause = pause.min(term / 5);
            if all || until.saturating_duration_since(now) < term * 7 / 10 {
                due.push(Arc::clone(live));
            }
        }
        let pause = pause.max(SHORTEST_PAUSE);
        Due { due, all, pause }
    }

    /// Whether there was an answer.
    async fn renew_batch(&self, batch: &[Arc<Live>]) -> bool {
        let leases: Vec<LeaseId> = batch.iter().map(|live| live.lease.clone()).collect();
        let shortest = batch.iter().map(|live| live.renewal().0).min();
        let patience = (shortest.unwrap_or(LONGEST_PAUSE) / 3).min(LONGEST_RENEWAL);
        let asked = edge::instant();
        let answers = match edge::within(patience, self.control.renew(&leases)).await {
            Ok(Ok(answers)) if answers.len() == batch.len() => answers,
            Ok(Ok(answers)) => {
                let (wanted, got) = (batch.len(), answers.len());
                tracing::error!(
                    wanted,
                    got,
                    "leases were not renewed: an answer of another length"
                );
                return false;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, count = batch.len(), "leases were not renewed");
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, count = batch.len(), "leases were not renewed");
                return false;
            }
        };
        for (live, answer) in batch.iter().zip(answers) {
            match answer {
                Renewed::Until(term) => live.renew(term, asked),
                Renewed::Ended(reason) => live.end(reason),
            }
        }
        true
    }

    /// Tries to close, for a moment.
    async fn was_closed(&self, closing: &Closing) -> bool {
        let closing = self.control.close(closing.clone());
        matches!(edge::within(CLOSE_WITHIN, closing).await, Ok(Ok(())))
    }

    async fn close_what_waits(&self) {
        loop {
            let waiting = std::mem::take(&mut self.state().closings);
            let mut failed = Vec::new();
            for some in waiting.chunks(CLOSED_AT_ONCE) {
                if !failed.is_empty() {
                    // Nobody takes them just now.
                    failed.extend_from_slice(some);
                    continue;
                }
                let closed = join_all(some.iter().map(|closing| self.was_closed(closing))).await;
                let taken = closed.iter().filter(|closed| **closed).count();
                let not = some.iter().zip(closed).filter(|(_, closed)| !closed);
                failed.extend(not.map(|(closing, _)| closing.clone()));
                self.unclosed
                    .send_modify(|count| *count = count.saturating_sub(taken));
            }
            let pause = if failed.is_empty() {
                Duration::MAX
            } else {
                LONGEST_PAUSE
            };
            self.state().closings.append(&mut failed);
            let _ = edge::within(pause, self.closing.notified()).await;
        }
    }
}
