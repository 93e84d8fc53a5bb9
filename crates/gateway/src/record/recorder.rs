//! Where a session's records wait until somebody takes them, and how far it may be ahead of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use daypass_core::time::Timestamp;
use tokio::sync::{Notify, Semaphore};

use super::fit::{fit, size};
use super::{Cut, Lost, What};
use crate::control::{OnFailure, Recording};

/// How many bytes of records of one session may be on their way to where they are stored: what a session may be ahead of its
/// records. Four chunks of a recording, so that a session goes on while the first is written.
pub(crate) const BUDGET: usize = 1 << 20;

/// What a record costs besides its text.
const OVERHEAD: usize = 256;

/// The longest line, where no lease says.
const LINE: usize = 1 << 20;

/// The records of one session on their way.
#[derive(Debug)]
pub struct Recorder {
    waiting: Mutex<Waiting>,
    /// Something waits, or nothing more comes.
    pub(super) wake: Notify,
    /// Much waits, or somebody waits for room: no pause.
    pub(super) hurry: Notify,
    budget: Semaphore,
    /// How many wait for room.
    wanted: AtomicUsize,
    longest: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    cost: usize,
    over: bool,
    /// Nobody takes records, and the session goes on.
    failing: bool,
    /// Room that records took beyond what was there: it is paid back before anybody else gets any.
    debt: usize,
    /// How many records there were, lost ones included.
    put: u64,
    /// How many of them are stored.
    stored: u64,
    /// The last number that was given.
    last: u64,
}

/// A record that has no number yet.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) at: Timestamp,
    pub(super) what: What,
    pub(super) cut: Option<Cut>,
    pub(super) cost: usize,
}

/// What was taken out of it: with the number of the first.
pub(super) struct Taken {
    pub(super) items: VecDeque<Item>,
    pub(super) first: u64,
}

/// Room for one record, which is taken before the statement is passed on.
#[derive(Debug, Default)]
#[must_use = "room that is not used is given back with `Recorder::unused`"]
pub struct Room(u32);

impl Room {
    /// This one and another are one.
    pub(crate) const fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// A part of it, for a record of a text of so many bytes, as far as there is so much.
    pub(crate) fn part(&mut self, bytes: usize) -> Self {
        let part = cost_of(bytes).min(self.0);
        self.0 -= part;
        Self(part)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::with(LINE, false)
    }
}

/// Somebody waits for room, until this is gone.
struct Wanting<'a>(&'a AtomicUsize);

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cost_of(bytes: usize) -> u32 {
    let cost = bytes.saturating_add(OVERHEAD).min(BUDGET);
    u32::try_from(cost).unwrap_or(u32::MAX)
}

impl Recorder {
    fn with(longest: usize, failing: bool) -> Self {
        let waiting = Waiting {
            failing,
            ..Waiting::default()
        };
        Self {
            waiting: Mutex::new(waiting),
            wake: Notify::new(),
            hurry: Notify::new(),
            budget: Semaphore::new(BUDGET),
            wanted: AtomicUsize::new(0),
            longest,
        }
    }

    /// For a session that is recorded so. Where the recording did not begin and the session goes on all the same, records are lost
    /// until somebody takes some.
    pub(crate) fn new(recording: &Recording) -> Self {
        let failing = !recording.begun && recording.on_failure == OnFailure::GoOn;
        Self::with(recording.longest_line, failing)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for a record of a text of so many bytes. A longer one than there is ever room for takes all.
    pub async fn room(&self, bytes: usize) -> Room {
        if let Some(room) = self.room_now(bytes) {
            return room;
        }
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let _wanting = Wanting(&self.wanted);
        // What is on its way is to be stored now.
        self.wake.notify_one();
        self.hurry.notify_one();
        let cost = cost_of(bytes);
        // It is never closed.
        if let Ok(permit) = self.budget.acquire_many(cost).await {
            permit.forget();
        }
        Room(cost)
    }

    /// As [`Recorder::room`], where there is room at once.
    pub fn room_now(&self, bytes: usize) -> Option<Room> {
        let cost = cost_of(bytes);
        self.budget.try_acquire_many(cost).ok()?.forget();
        Some(Room(cost))
    }

    /// How much room there is.
    pub(crate) fn free(&self) -> usize {
        self.budget.available_permits()
    }

    /// Whether somebody waits for room, or little is left.
    pub(super) fn is_short(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0 || self.free() < BUDGET / 4
    }

    /// Gives room back of which no record came.
    pub fn unused(&self, room: &Room) {
        self.release(room.0 as usize);
    }

    /// Gives room back.
    pub(super) fn release(&self, cost: usize) {
        let mut waiting = self.waiting();
        let paid = cost.min(waiting.debt);
        waiting.debt -= paid;
        self.budget.add_permits(cost - paid);
    }

    /// Puts a record on its way. It never waits: the room was there before.
    pub fn put(&self, room: &Room, at: Timestamp, what: What) {
        let (what, cut) = fit(what, self.longest);
        let mut waiting = self.waiting();
        waiting.put += 1;
        if waiting.failing {
            waiting.lose(at, at, 1);
            drop(waiting);
            self.unused(room);
            return;
        }
        let mut cost = room.0 as usize;
        // What was prepared before and what a string does can be longer than the room that was taken.
        let more = cost_of(size_of(&what)).saturating_sub(room.0) as usize;
        if more > 0 {
            waiting.debt += more - self.budget.forget_permits(more);
            cost += more;
        }
        let first = waiting.items.is_empty();
        waiting.items.push_back(Item { at, what, cut, cost });
        waiting.cost += cost;
        let much = waiting.cost > BUDGET / 4;
        drop(waiting);
        if first {
            self.wake.notify_one();
        }
        if much {
            self.hurry.notify_one();
        }
    }

    /// Nothing more comes: what delivers ends once all is stored.
    pub fn over(&self) {
        self.waiting().over = true;
        self.wake.notify_one();
        self.hurry.notify_one();
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting().over
    }

    /// How many are stored, and how many are not.
    pub fn counts(&self) -> (u64, u64) {
        let waiting = self.waiting();
        (waiting.stored, waiting.put.saturating_sub(waiting.stored))
    }

    /// The number of the last record that there is, with those that wait for one.
    pub(crate) fn last(&self) -> u64 {
        let waiting = self.waiting();
        let without = u64::try_from(waiting.items.len()).unwrap_or(u64::MAX);
        waiting.last.saturating_add(without)
    }

    /// So many more are stored.
    pub(super) fn stored(&self, count: u64) {
        self.waiting().stored += count;
    }

    /// Takes what waits, and gives it numbers: from here on each of them is this record.
    pub(super) fn take(&self) -> Taken {
        let mut waiting = self.waiting();
        let items = std::mem::take(&mut waiting.items);
        waiting.cost = 0;
        let first = waiting.last + 1;
        waiting.last += u64::try_from(items.len()).unwrap_or(0);
        Taken { items, first }
    }

    /// Nobody takes records: those that wait are lost, and so are all that come, until [`Recorder::works`].
    pub(super) fn fails(&self) {
        let mut waiting = self.waiting();
        waiting.failing = true;
        let items = std::mem::take(&mut waiting.items);
        let cost = std::mem::take(&mut waiting.cost);
        for Item { at, what, .. } in items {
            match what {
                What::Lost(lost) => waiting.lose(at, lost.until, lost.records),
                What::Statement(_) | What::Ssh(_) => waiting.lose(at, at, 1),
            }
        }
        drop(waiting);
        self.release(cost);
    }

    /// Somebody takes records again; true where some were lost.
    pub(super) fn works(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.failing = false;
        !waiting.items.is_empty()
    }
}

impl Waiting {
    /// Those that are lost are one record, however many.
    fn lose(&mut self, from: Timestamp, until: Timestamp, records: u64) {
        if let Some(Item {
            what: What::Lost(lost),
            ..
        }) = self.items.back_mut()
        {
            lost.records += records;
            lost.until = lost.until.max(until);
            return;
        }
        self.items.push_back(Item {
            at: from,
            what: What::Lost(Lost { records, until }),
            cut: None,
            cost: 0,
        });
    }
}

fn size_of(what: &What) -> usize {
    match what {
        What::Statement(statement) => size(statement),
        What::Ssh(event) => event.size(),
        What::Lost(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::record::{Outcome, Statement};

    fn statement(bytes: usize) -> What {
        What::Statement(Statement {
            text: "x".repeat(bytes).into(),
            perhaps: false,
            goes_on: false,
            values: None,
            took: Duration::ZERO,
            rows: 0,
            copied: 0,
            outcome: Outcome::Cut,
            before: Vec::new(),
        })
    }

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

    #[test]
    fn texts_that_were_prepared_before_take_the_room_that_they_need() {
        let recorder = Recorder::default();
        // Taken while there was room: eight of the later six mebibytes.
        let rooms: Vec<_> = (0..8).map(|_| recorder.room_now(0).unwrap()).collect();
        for room in &rooms {
            recorder.put(room, Timestamp::EPOCH, statement(300_000));
        }
        assert_eq!(recorder.free(), 0);
        let taken = recorder.take();
        let mut given = 0;
        for item in taken.items {
            recorder.release(item.cost);
            given += item.cost;
            assert!(recorder.free() <= BUDGET);
        }
        assert!(given > 2 * BUDGET);
        assert_eq!(recorder.free(), BUDGET, "what was owed is paid, and nothing else");
    }

    #[test]
    fn while_nobody_takes_them_records_are_counted_and_cost_nothing() {
        let recorder = Recorder::default();
        let put = |second: i64| {
            let room = recorder.room_now(400_000).unwrap();
            recorder.put(
                &room,
                Timestamp::from_micros(second * 1_000_000),
                statement(400_000),
            );
        };
        put(1);
        recorder.fails();
        (2..100).for_each(put);
        assert_eq!(
            (recorder.free(), recorder.counts(), recorder.last()),
            (BUDGET, (0, 99), 1)
        );
        assert!(recorder.works());
        put(100);
        let taken = recorder.take();
        assert_eq!((taken.first, taken.items.len(), recorder.last()), (1, 2, 2));
        let lost = Lost {
            records: 99,
            until: Timestamp::from_micros(99_000_000),
        };
        assert_eq!(taken.items[0].what, What::Lost(lost));
        assert_eq!(taken.items[0].at, Timestamp::from_micros(1_000_000));
    }
}
