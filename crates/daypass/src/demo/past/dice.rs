//! Chance that falls the same each time: the demo's history is the same story in every demo.

/// A sequence of numbers. Source: SplitMix64, by Sebastiano Vigna (public domain).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from one to another, both among them.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }

    /// Whether something comes to pass that does so many times in a hundred.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    /// One of these; `None` of none.
    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(of.len()).ok()?.checked_sub(1)?;
        of.get(usize::try_from(self.between(0, last)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_the_same_each_time_and_within_its_bounds() {
        let fall = || {
            let mut dice = Dice::new(7);
            (0..1_000).map(|_| dice.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(fall(), fall());
        assert!((3..=9).all(|wanted| fall().contains(&wanted)));
        assert!(fall().iter().all(|fell| (3..=9).contains(fell)));
        assert_eq!(Dice::new(1).one::<u8>(&[]), None);
    }
}
