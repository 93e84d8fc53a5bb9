//! Makes a failing run small: leaves out people, servers, mishaps and elements, as long as the same invariant still breaks.

use crate::judge::Invariant;
use crate::run::run;
use crate::scenario::{Cut, Scenario};

/// How many runs it may take. What is left then is small enough.
const RUNS: u32 = 400;

/// The smallest cut that was found under which the seed still breaks this invariant.
pub(crate) fn shrink(seed: u64, broken: Invariant) -> Cut {
    let mut search = Search {
        seed,
        broken,
        left: RUNS,
    };
    let whole = Scenario::of(seed, &Cut::default());
    let mut cut = Cut {
        keep: Some(whole.elements_of(&Cut::default())),
        ..Cut::default()
    };
    for smaller in [
        Cut {
            calm: true,
            ..cut.clone()
        },
        Cut {
            servers: Some(1),
            ..cut.clone()
        },
    ] {
        let both = Cut {
            calm: smaller.calm || cut.calm,
            servers: smaller.servers.or(cut.servers),
            ..cut.clone()
        };
        if search.breaks(&both) {
            cut = both;
        }
    }
    let keep = cut.keep.clone().unwrap_or_default();
    cut.keep = Some(search.fewer(keep, |keep| Cut {
        keep: Some(keep),
        ..cut.clone()
    }));
    let people = (0..whole.people.len()).collect();
    let base = cut.clone();
    cut.people = Some(search.fewer(people, |people| Cut {
        people: Some(people),
        ..base.clone()
    }));
    cut
}

struct Search {
    seed: u64,
    broken: Invariant,
    left: u32,
}

impl Search {
    fn breaks(&mut self, cut: &Cut) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        run(self.seed, cut, false)
            .violation
            .is_some_and(|violation| violation.invariant == self.broken)
    }

    /// Leaves out as many as possible: first halves, then quarters, at last one by one.
    fn fewer(&mut self, all: Vec<usize>, cut: impl Fn(Vec<usize>) -> Cut) -> Vec<usize> {
        let mut kept = all;
        let mut size = kept.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < kept.len() {
                let without: Vec<_> = kept
                    .iter()
                    .take(at)
                    .chain(kept.iter().skip(at + size))
                    .copied()
                    .collect();
                if self.breaks(&cut(without.clone())) {
                    kept = without;
                } else {
                    at += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        kept
    }
}
