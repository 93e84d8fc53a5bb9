//! Records of what happened in a session: lossless. A session that is faster than its records are taken waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daypass_core::time::Timestamp;
use tokio::sync::{Notify, Semaphore};

use crate::control::{Control, OnFailure, Reason, SessionId};
use crate::edge;
use crate::session::Live;

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counted from 1 in each session, without gaps: what is missing is seen.
    pub number: u64,
    /// When it began.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened; one variant for each kind of protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A statement, or a string of them.
    Statement(Statement),
}

/// A statement, or a string of them that a client sent as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text. Passwords are taken out of it.
    pub text: Arc<str>,
    /// The values that were bound to it, where they are asked for.
    pub values: Option<Vec<Value>>,
    /// From when it was passed on until its end was.
    pub took: Duration,
    /// Rows that came back or were touched.
    pub rows: u64,
    /// Bytes of data that a COPY took or gave. The data itself is not recorded.
    pub copied: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// A value that was bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// As text.
    Text(String),
    /// In the target's binary form, as hexadecimal digits.
    Binary(String),
    /// Longer than is recorded: its beginning.
    Cut(String),
    /// So many more that are not recorded.
    LeftOut(u64),
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran; what the target says that it did (`INSERT 0 1`), once for each statement of a string.
    Done(Vec<String>),
    /// It failed, with this SQLSTATE.
    Failed(String),
    /// A guardrail refused it: it did not reach the target.
    Refused(String),
    /// The session ended before it did: whether it ran is not known.
    Cut,
}

/// How many bytes of records of one session may wait: what a session may be ahead of its records.
const BUDGET: usize = 1 << 20;

/// What a record costs besides its text.
const OVERHEAD: usize = 256;

/// Records are taken in batches, of so much time at most: few calls, and whoever watches hardly waits.
const PAUSE: Duration = Duration::from_millis(50);

/// How often what could not be delivered is tried again, and after what pause.
const ATTEMPTS: u32 = 3;
const RETRY: Duration = Duration::from_millis(250);

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The records of one session on their way.
#[derive(Debug)]
pub struct Recorder {
    waiting: Mutex<Waiting>,
    /// Something waits, or nothing more comes.
    wake: Notify,
    /// Much waits: no pause.
    hurry: Notify,
    budget: Semaphore,
    delivered: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    records: Vec<Record>,
    cost: usize,
    over: bool,
}

/// Room for one record, which is taken before the statement is passed on.
#[derive(Debug)]
#[must_use = "room that is not used is given back with `Recorder::unused`"]
pub struct Room(u32);

impl Default for Recorder {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Notify::new(),
            hurry: Notify::new(),
            budget: Semaphore::new(BUDGET),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }
}

impl Recorder {
    /// Waits until there is room for a record of a text of so many bytes. A longer one than there is ever room for takes all.
    pub async fn room(&self, bytes: usize) -> Room {
        let cost = bytes.saturating_add(OVERHEAD).min(BUDGET);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        // It is never closed.
        if let Ok(permit) = self.budget.acquire_many(cost).await {
            permit.forget();
        }
        Room(cost)
    }

    /// As [`Recorder::room`], where there is room at once.
    pub fn room_now(&self, bytes: usize) -> Option<Room> {
        let cost = bytes.saturating_add(OVERHEAD).min(BUDGET);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        self.budget.try_acquire_many(cost).ok()?.forget();
        Some(Room(cost))
    }

    /// How much room there is.
    pub(crate) fn free(&self) -> usize {
        self.budget.available_permits()
    }

    /// Gives room back of which no record came.
    pub fn unused(&self, room: &Room) {
        self.budget.add_permits(room.0 as usize);
    }

    /// Puts a record on its way. It never waits: the room was there before.
    pub fn put(&self, room: &Room, at: Timestamp, what: What) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.last += 1;
        let number = waiting.last;
        waiting.records.push(Record { number, at, what });
        waiting.cost += room.0 as usize;
        let first = waiting.records.len() == 1;
        let much = waiting.cost > BUDGET / 4;
        drop(waiting);
        if first {
            self.wake.notify_one();
        }
        if much {
            self.hurry.notify_one();
        }
    }

    /// Nothing more comes: what delivers ends once all is delivered.
    pub fn over(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.wake.notify_one();
        self.hurry.notify_one();
    }

    /// How many were delivered, and how many could not be.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.delivered.load(Ordering::Relaxed),
            self.lost.load(Ordering::Relaxed),
        )
    }

    fn take(&self) -> (Vec<Record>, usize, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let records = std::mem::take(&mut waiting.records);
        let cost = std::mem::take(&mut waiting.cost);
        (records, cost, waiting.over)
    }

    /// Delivers until [`Recorder::over`]. Where it fails for good, the session ends, or goes on and is marked.
    pub(crate) async fn deliver(
        &self,
        control: &dyn Control,
        session: &SessionId,
        on_failure: OnFailure,
        live: &Live,
    ) {
        loop {
            let (records, cost, over) = self.take();
            if records.is_empty() {
                if over {
                    return;
                }
                self.wake.notified().await;
                // More comes soon, mostly.
                let _ = edge::within(PAUSE, self.hurry.notified()).await;
                continue;
            }
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            if attempt(control, session, &records).await {
                self.delivered.fetch_add(count, Ordering::Relaxed);
            } else {
                self.lost.fetch_add(count, Ordering::Relaxed);
                tracing::error!(%session, count, "records of a session could not be delivered");
                if on_failure == OnFailure::End {
                    live.end(Reason::RecordingFailed);
                }
            }
            self.budget.add_permits(cost);
        }
    }
}

async fn attempt(control: &dyn Control, session: &SessionId, records: &[Record]) -> bool {
    for attempt in 1..=ATTEMPTS {
        match edge::within(PATIENCE, control.record(session, records)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(%session, attempt, %error, "records were not taken"),
            Err(error) => tracing::warn!(%session, attempt, %error, "records were not taken"),
        }
        if attempt < ATTEMPTS {
            edge::sleep(RETRY).await;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn there_is_so_much_room_and_who_wants_more_waits_until_some_comes_back() {
        let recorder = Recorder::default();
        let first = recorder.room_now(400_000).unwrap();
        let _second = recorder.room_now(600_000).unwrap();
        assert!(recorder.room_now(100_000).is_none());
        assert!(recorder.room(100_000).now_or_never().is_none(), "it waits");
        recorder.unused(&first);
        assert!(recorder.room(100_000).now_or_never().is_some());
        // One that is larger than all there is has its turn when nothing else waits.
        let empty = Recorder::default();
        assert!(empty.room(100 * BUDGET).now_or_never().is_some());
        assert_eq!(empty.free(), 0);
    }
}
