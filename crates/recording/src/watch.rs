//! Watching a recording while it is written: lines as they come, before they are stored.
//!
//! A session never waits for who watches it. Each watcher has a queue of so many bytes; who lets it fill is dropped, and told so.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

/// How many bytes may wait for one watcher: four of the longest lines by default.
const QUEUE: usize = 4 << 20;

/// What a line costs besides its text.
const OVERHEAD: usize = 64;

/// A line, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub number: u64,
    /// What it says, without a line feed.
    pub text: Arc<str>,
}

/// What was said in a session is nothing for our own logs.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({}, {} bytes)", self.number, self.text.len())
    }
}

/// Why a watcher hears nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The recording has its end.
    #[error("the recording is finished")]
    Finished,
    /// Whoever wrote it is gone.
    #[error("the recording was cut")]
    Cut,
    /// The watcher was too slow.
    #[error("you were too slow: lines that you did not see are in the recording")]
    TooSlow,
}

/// What a watcher and its queue's other end share.
#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    slow: AtomicBool,
    finished: AtomicBool,
}

#[derive(Debug)]
struct Ear {
    lines: mpsc::UnboundedSender<Line>,
    shared: Arc<Shared>,
}

/// All who watch one recording.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ears: Vec<Ear>,
    closed: bool,
    finished: bool,
}

impl Watchers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watch(&self) -> Watcher {
        let (sender, lines) = mpsc::unbounded_channel();
        let shared = Arc::<Shared>::default();
        let mut state = self.state();
        if state.closed {
            shared.finished.store(state.finished, Ordering::Release);
        } else {
            state.ears.push(Ear {
                lines: sender,
                shared: Arc::clone(&shared),
            });
        }
        Watcher { lines, shared }
    }

    /// Tells all who watch; it never waits.
    pub(crate) fn tell(&self, number: u64, text: &str) {
        let mut state = self.state();
        if state.ears.is_empty() {
            return;
        }
        let text: Arc<str> = text.into();
        let cost = text.len().saturating_add(OVERHEAD);
        state.ears.retain(|ear| {
            let line = Line {
                number,
                text: Arc::clone(&text),
            };
            // Counted before it is sent: who takes it subtracts what was added. A queue that is empty takes any line.
            let waiting = ear.shared.waiting.fetch_add(cost, Ordering::Relaxed);
            let fits = waiting == 0 || waiting.saturating_add(cost) <= QUEUE;
            if !fits {
                ear.shared.slow.store(true, Ordering::Release);
            }
            fits && ear.lines.send(line).is_ok()
        });
    }

    /// Nothing more comes, because all was said.
    pub(crate) fn finish(&self) {
        let mut state = self.state();
        state.finished = true;
        for ear in &state.ears {
            ear.shared.finished.store(true, Ordering::Release);
        }
        drop(state);
        self.close();
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.ears.clear();
    }
}

/// Hears the lines of a recording from when it began to watch.
#[derive(Debug)]
pub struct Watcher {
    lines: mpsc::UnboundedReceiver<Line>,
    shared: Arc<Shared>,
}

impl Watcher {
    /// The next line. May be dropped while it waits; nothing is lost.
    ///
    /// # Errors
    /// Where nothing more comes, and why; what waited was heard before.
    pub async fn next(&mut self) -> Result<Line, End> {
        if let Some(line) = self.lines.recv().await {
            let cost = line.text.len().saturating_add(OVERHEAD);
            self.shared.waiting.fetch_sub(cost, Ordering::Relaxed);
            return Ok(line);
        }
        if self.shared.slow.load(Ordering::Acquire) {
            return Err(End::TooSlow);
        }
        if self.shared.finished.load(Ordering::Acquire) {
            return Err(End::Finished);
        }
        Err(End::Cut)
    }
}
