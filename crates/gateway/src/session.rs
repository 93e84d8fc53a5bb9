//! One session: what keeps it open, what ends it, and what is counted. The same for every protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control::{
    Closing, Counters, GrantId, LeaseId, OnFailure, PersonId, Reason, Recording, SessionId, Term, Which,
};
use crate::edge;
use crate::life::{Life, Slot};
use crate::record::Recorder;

/// How long records may still be on their way after the end of a session.
const LAST_RECORDS: Duration = Duration::from_secs(10);

/// What holds a session open: the lease, until when, and whether it has ended. Once it has, it stays so.
#[derive(Debug)]
pub struct Live {
    pub(crate) lease: LeaseId,
    pub(crate) session: SessionId,
    pub(crate) grant: GrantId,
    pub(crate) person: PersonId,
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    limit: Limit,
    ended: Option<Reason>,
}

/// A longer lease is taken for one of a day, and a longer grant for one of a year: what is shorter than was allowed is safe, and
/// clocks cannot count all spans there are.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_GRANT: Duration = Duration::from_secs(366 * 24 * 3600);

#[derive(Debug, Clone, Copy)]
struct Limit {
    lease: Instant,
    deadline: Instant,
    term: Term,
}

impl Limit {
    fn new(term: Term, asked: Instant) -> Self {
        let term = Term {
            renew_within: term.renew_within.min(LONGEST_LEASE),
            ends_in: term.ends_in.min(LONGEST_GRANT),
        };
        Self {
            lease: asked + term.renew_within,
            deadline: asked + term.ends_in,
            term,
        }
    }

    /// When it ends if nothing comes, and why then.
    fn until(&self) -> (Instant, Reason) {
        if self.deadline <= self.lease {
            (self.deadline, Reason::Expired)
        } else {
            (self.lease, Reason::LeaseLost)
        }
    }
}

impl Live {
    pub(crate) fn new(
        (lease, session): (LeaseId, SessionId),
        grant: GrantId,
        person: PersonId,
        term: Term,
        asked: Instant,
    ) -> Self {
        Self {
            lease,
            session,
            grant,
            person,
            state: watch::Sender::new(State {
                limit: Limit::new(term, asked),
                ended: None,
            }),
        }
    }

    fn limit(&self) -> Limit {
        self.state.borrow().limit
    }

    /// Renewed, by an answer to what was asked then.
    pub(crate) fn renew(&self, term: Term, asked: Instant) {
        let new = Limit::new(term, asked);
        let now = edge::instant();
        self.state.send_if_modified(|state| {
            let (until, _) = state.limit.until();
            // Who had run out before the answer came has run out.
            if now >= until {
                return true;
            }
            state.limit = new;
            // Whoever waits for the end looks again where it comes sooner; where it comes later, they find it out then.
            new.until().0 < until
        });
    }

    /// How long the lease holds without a renewal, and until when it does now.
    pub(crate) fn renewal(&self) -> (Duration, Instant) {
        let limit = self.limit();
        (limit.term.renew_within, limit.lease)
    }

    /// Ends it. The first reason counts.
    pub fn end(&self, reason: Reason) {
        self.end_first(reason);
    }

    /// As [`Live::end`]; whether this reason was the first.
    pub(crate) fn end_first(&self, reason: Reason) -> bool {
        self.state.send_if_modified(|state| {
            let first = state.ended.is_none();
            if first {
                state.ended = Some(reason);
            }
            first
        })
    }

    /// Whether it has ended, without waiting.
    #[must_use]
    pub fn has_ended(&self) -> Option<Reason> {
        let (until, reason) = self.limit().until();
        if edge::instant() >= until {
            self.end(reason);
        }
        self.state.borrow().ended.clone()
    }

    /// Waits until it has ended: somebody said so, the lease was not renewed in time, or the grant's time is over.
    pub async fn ended(&self) -> Reason {
        let mut changes = self.state.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(reason) = self.has_ended() {
                return reason;
            }
            let (until, _) = self.limit().until();
            tokio::select! {
                _ = changes.changed() => {}
                () = edge::sleep_until(until) => {}
            }
        }
    }

    pub(crate) fn is_of(&self, which: &Which) -> bool {
        match which {
            Which::Lease(lease) => self.lease == *lease,
            Which::Grant(grant) => self.grant == *grant,
            Which::Person(person) => self.person == *person,
            Which::Every => true,
        }
    }
}

/// A session in the hands of its protocol.
#[derive(Debug)]
pub struct Session {
    /// What ends it.
    pub live: Arc<Live>,
    /// Its records.
    pub recorder: Arc<Recorder>,
    /// What is recorded.
    pub recording: Recording,
    /// What is counted.
    pub traffic: Traffic,
    delivering: Option<JoinHandle<()>>,
    life: Arc<Life>,
    /// Its place among the sessions of its person, given back when it is gone.
    _slot: Slot,
}

/// What a protocol counts.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes from the client to the target.
    pub up: AtomicU64,
    /// Bytes from the target to the client.
    pub down: AtomicU64,
    /// Statements that a guardrail refused.
    pub refused: AtomicU64,
    /// The target may still be working on what was begun.
    pub may_work: AtomicBool,
}

impl Session {
    pub(crate) fn new(live: Arc<Live>, recording: Recording, life: Arc<Life>, slot: Slot) -> Self {
        let recorder = Arc::new(Recorder::new(&recording));
        let delivering = tokio::spawn(deliver(
            Arc::clone(&recorder),
            Arc::clone(&life),
            Arc::clone(&live),
            recording,
        ));
        Self {
            live,
            recorder,
            recording,
            traffic: Traffic::default(),
            delivering: Some(delivering),
            life,
            _slot: slot,
        }
    }

    /// The client was told that the session has ended; where many ended at once, this waits for a moment until all were told. What it
    /// does to the target comes after it: a thousand connections that a target gives up keep a machine busy for seconds. A statement that
    /// still runs is stopped before, whoever waits.
    pub async fn told(&self) {
        self.life.told(&self.live).await;
    }

    /// Its end: the last records are delivered, then it is closed. The connections are gone by now.
    pub async fn close(mut self, reason: Reason) {
        self.live.end(reason);
        self.life.leave(&self.live);
        self.recorder.over();
        let reason = self.live.has_ended().unwrap_or(Reason::Left);
        let mut counters = self.counters();
        if let Some(mut delivering) = self.delivering.take() {
            if edge::within(LAST_RECORDS, &mut delivering).await.is_err() {
                delivering.abort();
            }
            // What nobody said is stored counts as lost: better marked for nothing than not marked.
            counters = self.counters();
        }
        let closing = Closing {
            lease: self.live.lease.clone(),
            reason,
            counters,
            last_record: self.recorder.last(),
        };
        self.life.close(closing).await;
    }

    fn counters(&self) -> Counters {
        let (recorded, unrecorded) = self.recorder.counts();
        Counters {
            bytes_up: self.traffic.up.load(Ordering::Relaxed),
            bytes_down: self.traffic.down.load(Ordering::Relaxed),
            recorded,
            unrecorded,
            refused: self.traffic.refused.load(Ordering::Relaxed),
            may_work: self.traffic.may_work.load(Ordering::Relaxed),
        }
    }
}

async fn deliver(recorder: Arc<Recorder>, life: Arc<Life>, live: Arc<Live>, recording: Recording) {
    // Whatever stops it, a panic too: nothing is recorded from then on.
    let _guard = Unrecorded {
        live: &live,
        on_failure: recording.on_failure,
    };
    let how = (recording.on_failure, recording.begun);
    recorder.deliver(life.control(), &live.session, how, &live).await;
}

/// Ends a session whose records nobody delivers any more. One that is over already has its reason.
struct Unrecorded<'a> {
    live: &'a Live,
    on_failure: OnFailure,
}

impl Drop for Unrecorded<'_> {
    fn drop(&mut self) {
        if self.on_failure == OnFailure::End {
            self.live.end(Reason::RecordingFailed);
        }
    }
}

impl Drop for Session {
    /// Of a session that was not closed: its task was dropped, or ended unexpectedly.
    fn drop(&mut self) {
        if self.delivering.is_none() {
            return;
        }
        self.live.end(Reason::Stopping);
        self.life.leave(&self.live);
        self.recorder.over();
        self.life.close_later(Closing {
            lease: self.live.lease.clone(),
            reason: self.live.has_ended().unwrap_or(Reason::Stopping),
            counters: self.counters(),
            last_record: self.recorder.last(),
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn live(renew_within: Duration, ends_in: Duration) -> Live {
        let term = Term {
            renew_within,
            ends_in,
        };
        let names = (LeaseId::from("lease"), SessionId::from("session"));
        Live::new(
            names,
            GrantId::from("grant"),
            PersonId::from("ada"),
            term,
            edge::instant(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_without_bound_is_renewed_and_ends_all_the_same() {
        let live = live(Duration::MAX, Duration::MAX);
        let term = Term {
            renew_within: Duration::MAX,
            ends_in: Duration::MAX,
        };
        live.renew(term, edge::instant());
        assert_eq!(live.has_ended(), None);
        live.renew(
            Term {
                ends_in: Duration::from_secs(7),
                ..term
            },
            edge::instant(),
        );
        let before = edge::instant();
        assert_eq!(live.ended().await, Reason::Expired);
        assert!(before.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_shortens_is_heard_by_who_waits_already() {
        let live = live(Duration::from_secs(600), Duration::from_secs(3600));
        let begun = edge::instant();
        let mut ended = Box::pin(live.ended());
        assert!((&mut ended).now_or_never().is_none());
        let term = Term {
            renew_within: Duration::from_secs(5),
            ends_in: Duration::from_secs(2),
        };
        live.renew(term, begun);
        assert_eq!(ended.await, Reason::Expired);
        let took = edge::instant() - begun;
        assert!((2..5).contains(&took.as_secs()), "{took:?}");
    }
}
