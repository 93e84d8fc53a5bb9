//! One session: what keeps it open, what ends it, and what is counted. The same for every protocol.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    limit: Mutex<Limit>,
    ended: watch::Sender<Option<Reason>>,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    lease: Instant,
    deadline: Instant,
    term: Term,
}

impl Limit {
    fn new(term: Term, asked: Instant) -> Self {
        Self {
            lease: asked + term.renew_within,
            deadline: asked + term.ends_in,
            term,
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
            limit: Mutex::new(Limit::new(term, asked)),
            ended: watch::Sender::new(None),
        }
    }

    fn limit(&self) -> Limit {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renewed, by an answer to what was asked then.
    pub(crate) fn renew(&self, term: Term, asked: Instant) {
        // Who had run out before the answer came has run out.
        if edge::instant() < self.until().0 {
            *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = Limit::new(term, asked);
        }
    }

    /// When it ends if nothing comes, and why then.
    fn until(&self) -> (Instant, Reason) {
        let limit = self.limit();
        if limit.deadline <= limit.lease {
            (limit.deadline, Reason::Expired)
        } else {
            (limit.lease, Reason::LeaseLost)
        }
    }

    /// How long the lease holds without a renewal, and until when it does now.
    pub(crate) fn renewal(&self) -> (Duration, Instant) {
        let limit = self.limit();
        (limit.term.renew_within, limit.lease)
    }

    /// Ends it. The first reason counts.
    pub fn end(&self, reason: Reason) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
    }

    /// Whether it has ended, without waiting.
    #[must_use]
    pub fn has_ended(&self) -> Option<Reason> {
        let (until, reason) = self.until();
        if edge::instant() >= until {
            self.end(reason);
        }
        self.ended.borrow().clone()
    }

    /// Waits until it has ended: somebody said so, the lease was not renewed in time, or the grant's time is over.
    pub async fn ended(&self) -> Reason {
        let mut ended = self.ended.subscribe();
        loop {
            if let Some(reason) = self.has_ended() {
                return reason;
            }
            let (until, _) = self.until();
            tokio::select! {
                _ = ended.changed() => {}
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
