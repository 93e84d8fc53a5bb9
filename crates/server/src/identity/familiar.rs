//! Tokens that were good lately, by their hashes. Who guesses at tokens spends the budget of their address; whoever has one that
//! is known here does not ask for it, from whatever address others guess.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use daypass_core::text::Hash;

/// How many are known, the latest ones.
const MOST: usize = 16_384;

/// See the module. What is in here opens nothing: each call still looks its token up.
#[derive(Default)]
pub(crate) struct Familiar(Mutex<Known>);

#[derive(Default)]
struct Known {
    hashes: HashSet<Hash>,
    order: VecDeque<Hash>,
}

impl Familiar {
    /// Whether this one was good lately.
    #[must_use]
    pub(crate) fn knows(&self, hash: Hash) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.hashes.contains(&hash)
    }

    /// Notes that this one is good.
    pub(crate) fn note(&self, hash: Hash) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.hashes.insert(hash) {
            return;
        }
        known.order.push_back(hash);
        if known.order.len() > MOST
            && let Some(oldest) = known.order.pop_front()
        {
            known.hashes.remove(&oldest);
        }
    }

    /// Forgets one that is good no more.
    pub(crate) fn forget(&self, hash: Hash) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.hashes.remove(&hash) {
            known.order.retain(|other| *other != hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_what_is_forgotten_is_not() {
        let familiar = Familiar::default();
        let hash = |n: usize| Hash::of(&n.to_be_bytes());
        for n in 0..=MOST {
            familiar.note(hash(n));
            familiar.note(hash(n));
        }
        assert!(!familiar.knows(hash(0)) && familiar.knows(hash(1)) && familiar.knows(hash(MOST)));
        familiar.forget(hash(MOST));
        assert!(!familiar.knows(hash(MOST)));
        assert_eq!(familiar.0.lock().unwrap().order.len(), MOST - 1);
    }
}
