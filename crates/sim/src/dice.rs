//! Chance: the same seed and the same name give the same throws, on every machine and in every version of this program
//! that asks in the same order.
//!
//! Each thing that happens by chance has a stream of its own, named after it. So leaving one thing out of a scenario (as
//! shrinking does) changes nothing about the others.

use std::ops::Range;

use daypass_core::text::Hash;
use daypass_core::time::Span;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// A stream of throws.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Pcg64Mcg);

impl Dice {
    /// The stream of this name under a seed.
    pub(crate) fn of(seed: u64, name: &str) -> Self {
        let hash = Hash::of(format!("{seed}/{name}").as_bytes());
        let bytes = hash.bytes().first_chunk().copied().unwrap_or_default();
        Self(Pcg64Mcg::from_seed(bytes))
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        self.0.random_range(0..1000) < permille
    }

    /// A number of this range, which must not be empty.
    pub(crate) fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// An index into something of this length; 0 where it is empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        if length == 0 {
            0
        } else {
            self.0.random_range(0..length)
        }
    }

    /// One of these, which must be some.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.index(from.len());
        from.get(at)
    }

    /// A length of time from `least` to just under `most`.
    pub(crate) fn span(&mut self, least: Span, most: Span) -> Span {
        let micros = self
            .0
            .random_range(least.micros()..most.micros().max(least.micros() + 1));
        Span::millis(micros / 1000)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
