//! How records get to whoever stores them: sent in batches, kept until they are stored, sent again where nobody answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::recorder::Taken;
use super::{Record, Recorder, What};
use crate::control::{Control, Delivery, NotTaken, OnFailure, Progress, Reason, SessionId};
use crate::edge;
use crate::session::Live;

/// Records are taken in batches, of so much time at most: few calls, and whoever watches hardly waits.
const PAUSE: Duration = Duration::from_millis(50);

/// How often it is asked how far they are stored, while nothing new comes.
const ASK: Duration = Duration::from_secs(1);

/// How often what was not taken is sent again before it counts as a failure, and after what pause; it doubles.
const ATTEMPTS: u32 = 3;
const RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// How long records may be on their way before they are to be stored now, and before it counts as a failure. Recordings store what
/// they have every five seconds.
const FLUSH_AFTER: Duration = Duration::from_secs(8);
const STORED_WITHIN: Duration = Duration::from_secs(15);

/// How long whoever stores records may not be reached at all, as while a server is started anew. Leases are shorter: it is they that end
/// sessions then, and nothing is lost meanwhile.
const UNREACHED_FOR: Duration = Duration::from_secs(60);

struct Courier<'a> {
    recorder: &'a Recorder,
    control: &'a dyn Control,
    session: &'a SessionId,
    on_failure: OnFailure,
    live: &'a Live,
    /// Records that have their numbers and are not stored, as far as is known, and the room that each holds.
    kept: VecDeque<Record>,
    costs: VecDeque<usize>,
    progress: Progress,
    /// Since when nothing was stored of what is kept.
    since: Instant,
    failures: u32,
    /// Since when nobody was reached.
    unreached: Option<Instant>,
    /// Records are being lost, because the session is to go on.
    failing: bool,
    /// Records of this session are never taken any more.
    refused: bool,
}

impl Recorder {
    /// Delivers until [`Recorder::over`] and all is stored. Where it fails for long, the session ends, or goes on and is marked.
    /// Either way it is tried on: records that come late are better than none.
    pub(crate) async fn deliver(
        &self,
        control: &dyn Control,
        session: &SessionId,
        (on_failure, begun): (OnFailure, bool),
        live: &Live,
    ) {
        let courier = Courier {
            recorder: self,
            control,
            session,
            on_failure,
            live,
            kept: VecDeque::new(),
            costs: VecDeque::new(),
            progress: Progress::default(),
            since: edge::instant(),
            failures: 0,
            unreached: None,
            failing: !begun && on_failure == OnFailure::GoOn,
            refused: false,
        };
        courier.run().await;
    }
}

impl Courier<'_> {
    async fn run(mut self) {
        loop {
            // While records are being lost, none gets a number: what was lost is one record, once it is over.
            if !self.failing {
                self.collect();
            }
            let over = self.recorder.is_over();
            if self.kept.is_empty() && !self.failing {
                if over {
                    return;
                }
                self.recorder.wake.notified().await;
                self.gather().await;
                continue;
            }
            let flush = over || self.recorder.is_short() || self.since.elapsed_here() >= FLUSH_AFTER;
            if self.attempt(flush).await {
                self.failures = 0;
                self.unreached = None;
                if self.failing {
                    tracing::info!(session = %self.session, "records of a session are taken again");
                    self.failing = false;
                    self.recorder.works();
                    continue;
                }
                self.wait().await;
            } else if self.refused {
                return;
            } else {
                self.failed().await;
            }
        }
    }

    /// More comes soon, mostly.
    async fn gather(&self) {
        let _ = edge::within(PAUSE, self.recorder.hurry.notified()).await;
    }

    /// Waits for more, or until it is time to ask how far it is.
    async fn wait(&self) {
        if self.kept.is_empty() || self.recorder.is_over() || self.recorder.is_short() {
            return;
        }
        if edge::within(ASK, self.recorder.wake.notified()).await.is_ok() {
            self.gather().await;
        }
    }

    fn collect(&mut self) {
        if self.kept.is_empty() {
            self.since = edge::instant();
        }
        let Taken { items, first } = self.recorder.take();
        for (number, item) in (first..).zip(items) {
            self.costs.push_back(item.cost);
            self.kept.push_back(Record {
                number,
                at: item.at,
                what: item.what,
                cut: item.cut,
            });
        }
    }

    /// Sends what was not taken; whether it is well.
    async fn attempt(&mut self, flush: bool) -> bool {
        let stored = self.progress.stored;
        let sent = self.progress.taken.saturating_sub(stored);
        let sent = usize::try_from(sent).unwrap_or(usize::MAX);
        let records = self.kept.make_contiguous().get(sent..).unwrap_or_default();
        let delivery = Delivery {
            session: self.session,
            records,
            flush,
        };
        let answer = self.control.record(delivery).await;
        let known = stored..=stored + u64::try_from(self.kept.len()).unwrap_or(0);
        if !matches!(answer, Err(NotTaken::Unreached(_))) {
            self.unreached = None;
        }
        let progress = match answer {
            Ok(progress) if known.contains(&progress.stored) && known.contains(&progress.taken) => progress,
            Ok(progress) => {
                tracing::error!(session = %self.session, ?progress, ?known, "records were answered with what cannot be");
                // Nobody knows what was taken.
                self.progress.taken = stored;
                return false;
            }
            Err(NotTaken::Never(why)) => {
                self.give_up(&why);
                return false;
            }
            Err(NotTaken::Unavailable(error)) => {
                tracing::warn!(session = %self.session, %error, "records were not taken");
                self.progress.taken = stored;
                return false;
            }
            Err(NotTaken::Unreached(error)) => {
                tracing::warn!(session = %self.session, %error, "nobody was reached who takes records");
                self.progress.taken = stored;
                self.unreached.get_or_insert_with(edge::instant);
                return false;
            }
        };
        let all = *known.end();
        self.advance(progress);
        let moved = progress.stored > stored || self.kept.is_empty();
        if moved {
            self.since = edge::instant();
        }
        // What should have been stored by now was not; or nothing was taken of what was sent.
        let is_late =
            self.since.elapsed_here() >= STORED_WITHIN || (flush && progress.stored < all && !moved);
        !is_late && (moved || progress.taken == all)
    }

    fn advance(&mut self, progress: Progress) {
        let mut records = 0;
        while self
            .kept
            .front()
            .is_some_and(|record| record.number <= progress.stored)
        {
            records += u64::from(matches!(
                self.kept.pop_front(),
                Some(Record {
                    what: What::Statement(_) | What::Ssh(_),
                    ..
                })
            ));
            self.recorder.release(self.costs.pop_front().unwrap_or(0));
        }
        self.recorder.stored(records);
        self.progress = Progress {
            stored: progress.stored,
            taken: progress.taken.max(progress.stored),
        };
    }

    /// Whoever stores records will never take these. The session ends, also one that goes on without records: there is none for whoever
    /// decides, or what is sent of it is not what it should be.
    fn give_up(&mut self, why: &str) {
        tracing::error!(session = %self.session, why, "records of a session are refused: it ends");
        self.refused = true;
        self.live.end(Reason::RecordingFailed);
        self.lose();
    }

    /// What is kept, and comes from here on, holds nobody up.
    fn lose(&mut self) {
        self.recorder.fails();
        for cost in &mut self.costs {
            self.recorder.release(std::mem::take(cost));
        }
    }

    /// It was not taken, or not stored in time.
    async fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let waits = self
            .unreached
            .is_some_and(|since| since.elapsed_here() < UNREACHED_FOR);
        if self.failures >= ATTEMPTS && !self.failing && !waits {
            let count = self.recorder.counts().1;
            tracing::error!(session = %self.session, count, "records of a session cannot be delivered");
            match self.on_failure {
                OnFailure::End => self.live.end(Reason::RecordingFailed),
                OnFailure::GoOn => {
                    // The session goes on.
                    self.failing = true;
                    self.lose();
                }
            }
        }
        let pause = RETRY * 2_u32.pow(self.failures.saturating_sub(1).min(4));
        edge::sleep(pause.min(LONGEST_RETRY)).await;
    }
}

/// How long ago, by the clock that deadlines go by.
trait Elapsed {
    fn elapsed_here(&self) -> Duration;
}

impl Elapsed for Instant {
    fn elapsed_here(&self) -> Duration {
        edge::instant().saturating_duration_since(*self)
    }
}
