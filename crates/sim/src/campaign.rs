//! Many seeds, on all cores, with progress; and what is told of those that break something.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use daypass_core::planted::{Fault, plant};

use crate::edge::Stopwatch;
use crate::judge::Violation;
use crate::lock;
use crate::run::run;
use crate::scenario::Cut;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Campaign {
    pub(crate) from: u64,
    pub(crate) seeds: u64,
    pub(crate) threads: usize,
    pub(crate) cut: Cut,
    /// A fault that is planted in every run.
    pub(crate) planted: Option<Fault>,
    /// After so many that break something, no more are begun.
    pub(crate) enough: usize,
    /// Say how it goes.
    pub(crate) tell: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) runs: u64,
    pub(crate) grants: u64,
    /// The seeds that broke something.
    pub(crate) broken: BTreeMap<u64, Violation>,
}

impl Campaign {
    pub(crate) fn run(&self) -> Outcome {
        let watch = Stopwatch::start();
        let (next, done, grants) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        let broken = Mutex::new(BTreeMap::new());
        let told = Mutex::new(Duration::ZERO);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    plant(self.planted);
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.seeds {
                            break;
                        }
                        let seed = self.from + number;
                        let ran = run(seed, &self.cut, false);
                        grants.fetch_add(ran.grants, Ordering::Relaxed);
                        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                        if let Some(violation) = ran.violation {
                            if self.tell {
                                eprintln!("✗ seed {seed}: {}", violation.what);
                            }
                            let mut broken = lock(&broken);
                            broken.insert(seed, violation);
                            stop.fetch_or(broken.len() >= self.enough, Ordering::Relaxed);
                        }
                        self.progress(&told, &watch, count, lock(&broken).len());
                    }
                });
            }
        });
        Outcome {
            runs: done.into_inner(),
            grants: grants.into_inner(),
            broken: broken.into_inner().unwrap_or_default(),
        }
    }

    fn progress(&self, told: &Mutex<Duration>, watch: &Stopwatch, count: u64, broken: usize) {
        let (mut told, now) = (lock(told), watch.elapsed());
        if self.tell && now >= *told + TELL_EVERY {
            *told = now;
            let rate = count / now.as_secs().max(1);
            eprintln!(
                "   {count} of {} seeds, {rate} a second, {broken} broke something",
                self.seeds
            );
        }
    }
}
