//! The arithmetic of time in windows: how much of every window of a length is covered, and what more fits into it.
//!
//! Everything is in microseconds since 1970. A window is as long as the limit's period; it counts where it shares time with what
//! is to be added.

use daypass_core::time::{Span, Timestamp};

/// How many steps are taken to find when something fits again.
const STEPS: usize = 4_096;
/// The least that one of them goes on by: a second.
const STEP: i64 = 1_000_000;

/// So much in every window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    most: i64,
    period: i64,
}

impl Bound {
    pub(crate) fn new(most: Span, period: Span) -> Self {
        Self {
            most: length(most),
            period: length(period),
        }
    }
}

/// From when until when, with what lies between.
type Between = (i64, i64);

/// A bound, and what is covered already.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    bound: Bound,
    held: Vec<Between>,
}

impl Kept {
    pub(crate) fn new(bound: Bound, held: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Self {
        let held = held
            .into_iter()
            .map(|(from, until)| (from.micros(), until.micros()));
        Self {
            bound,
            held: merged(held.collect()),
        }
    }

    /// By how much the worst window that shares time with this is over its bound, once this is added. Not more than nothing:
    /// it fits.
    fn excess(&self, from: i64, until: i64) -> i64 {
        self.windows(from, until).map(|(_, over)| over).max().unwrap_or(0)
    }

    /// The windows that may be the worst, each by its start, with how much they are over the bound once this is added.
    fn windows(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64)> {
        let Bound { most, period } = self.bound;
        let added = (from < until).then_some((from, until));
        let covered = Covered::new(merged(self.held.iter().copied().chain(added).collect()));
        // The cover of a window grows and shrinks in straight lines as the window moves; the most is where it turns.
        let turns = covered
            .spans
            .iter()
            .flat_map(|(one, other)| [*one, *other - period]);
        let turns = turns.chain([from - period, until]);
        let near = turns.filter(|start| added.is_some() && (from - period..=until).contains(start));
        let over = |start: i64| covered.before(start + period) - covered.before(start) - most;
        near.map(|start| (start, over(start)))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// How far this must at least go on for the worst of its windows to hold no more than it may; nothing where it fits.
    fn onward(&self, from: i64, until: i64) -> i64 {
        let Bound { most, period } = self.bound;
        let held = Covered::new(self.held.clone());
        let far = |(start, over): (i64, i64)| {
            let end = start + period;
            // Moved on by as much as it is over, no window loses more than that.
            if over <= 0 || held.before(end) > held.before(from.clamp(start, end)) {
                return over;
            }
            // Nothing else is in the rest of this window: as long as it shares more time with this than is left, it is over.
            let left = (most - (held.before(end) - held.before(start))).max(0);
            over.max(end - left - from)
        };
        self.windows(from, until).map(far).max().unwrap_or(0)
    }
}

/// Spans in order, none touching the next; with how much lies before each.
struct Covered {
    spans: Vec<Between>,
    before: Vec<i64>,
}

impl Covered {
    fn new(spans: Vec<Between>) -> Self {
        let mut total = 0;
        let before = spans
            .iter()
            .map(|(from, until)| {
                let before = total;
                total += until - from;
                before
            })
            .collect();
        Self { spans, before }
    }

    /// How much lies before this instant.
    fn before(&self, at: i64) -> i64 {
        let begun = self.spans.partition_point(|(from, _)| *from < at);
        let last = begun.checked_sub(1);
        let last = last.and_then(|last| Some((self.spans.get(last)?, self.before.get(last)?)));
        last.map_or(0, |((from, until), before)| before + at.min(*until) - from)
    }
}

/// The union, in order.
fn merged(mut spans: Vec<Between>) -> Vec<Between> {
    spans.retain(|(from, until)| from < until);
    spans.sort_unstable();
    let mut union: Vec<Between> = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match union.last_mut().filter(|(_, last)| from <= *last) {
            Some((_, last)) => *last = until.max(*last),
            None => union.push((from, until)),
        }
    }
    union
}

/// The most of `wanted` that fits from this instant on, whichever of the bounds is the tightest.
pub(crate) fn fits(kept: &[Kept], from: Timestamp, wanted: Span) -> Span {
    let (from, wanted) = (from.micros(), length(wanted));
    let fit = |more: i64| kept.iter().all(|one| one.excess(from, from + more) <= 0);
    if fit(wanted) {
        return span(wanted);
    }
    // What is longer covers more: everything below the greatest length that fits does.
    let (mut good, mut bad) = (0, wanted);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fit(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    span(good)
}

/// From when on, not before `from`, the whole of it fits; `None` where that cannot be told.
pub(crate) fn again(kept: &[Kept], from: Timestamp, wanted: Span) -> Option<Timestamp> {
    let (mut from, wanted) = (from.micros(), length(wanted));
    if kept.iter().any(|one| wanted > one.bound.most) {
        return None;
    }
    for _ in 0..STEPS {
        match kept.iter().map(|one| one.onward(from, from + wanted)).max() {
            // Nothing that fits is passed over but for a step.
            Some(onward @ 1..) => from += onward.max(STEP),
            Some(_) | None => return Some(Timestamp::from_micros(from)),
        }
    }
    None
}

fn length(span: Span) -> i64 {
    i64::try_from(span.micros()).unwrap_or(i64::MAX)
}

fn span(micros: i64) -> Span {
    Span::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// Microseconds are as good as hours here.
    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_000 + micros)
    }

    fn kept(most: u64, period: u64, held: &[(i64, i64)]) -> Vec<Kept> {
        let bound = Bound::new(Span::from_micros(most), Span::from_micros(period));
        vec![Kept::new(
            bound,
            held.iter().map(|(from, until)| (at(*from), at(*until))),
        )]
    }

    fn room(most: u64, period: u64, held: &[(i64, i64)], from: i64) -> u64 {
        fits(&kept(most, period, held), at(from), Span::from_micros(100)).micros()
    }

    #[test]
    fn a_window_slides_and_its_edges_are_exact() {
        // 8 of 24, all of it had from 0 to 8.
        let had = [(0, 8)];
        assert_eq!(room(8, 24, &had, 8), 0);
        assert_eq!(
            room(8, 24, &had, 23),
            0,
            "a window from 0 to 24 holds all 8 and this"
        );
        assert_eq!(
            room(8, 24, &had, 24),
            8,
            "as the first go out of it, others come in"
        );
        assert_eq!(room(8, 24, &had, 25), 8);
        assert_eq!(room(8, 24, &[(0, 4)], 8), 4, "what was not had may be");
        assert_eq!(
            room(8, 24, &[(0, 4)], 19),
            4,
            "the window from 0 to 24 has room for 4 of 5"
        );
        assert_eq!(
            room(8, 24, &[(0, 4)], 20),
            8,
            "for each that comes in, one goes out"
        );
        assert_eq!(room(8, 24, &[(0, 4), (10, 12)], 20), 2);
    }

    #[test]
    fn what_overlaps_counts_once() {
        assert_eq!(room(8, 24, &[(0, 6), (2, 7), (7, 7)], 7), 1);
        assert_eq!(
            room(8, 24, &[(0, 6)], 2),
            6,
            "up to 8: four of them are held anyway"
        );
    }

    #[test]
    fn what_is_to_come_counts_as_well() {
        assert_eq!(room(8, 24, &[(20, 26)], 10), 2, "both in one window");
        assert_eq!(room(8, 24, &[(40, 48)], 10), 8, "far enough away");
        assert_eq!(
            room(8, 24, &[(28, 36)], 10),
            2,
            "from 12 on a window to 36 would hold more"
        );
    }

    #[test]
    fn it_fits_again_when_enough_is_out_of_the_window() {
        let when = |most, held: &[(i64, i64)], wanted| {
            // Steps are seconds: an hour of these tests is one of them.
            let second = |hours: i64| Timestamp::from_micros(hours * STEP);
            let held = held.iter().map(|(from, until)| (second(*from), second(*until)));
            let bound = Bound::new(Span::seconds(most), Span::seconds(24));
            let found = again(&[Kept::new(bound, held)], second(8), Span::seconds(wanted));
            found.map(|at| at.micros() / STEP)
        };
        assert_eq!(when(8, &[(0, 8)], 4), Some(24));
        assert_eq!(when(8, &[(0, 4)], 4), Some(8), "now");
        assert_eq!(when(8, &[(0, 4), (5, 8)], 4), Some(23), "one was left");
        assert_eq!(
            when(8, &[(0, 1), (5, 8)], 5),
            Some(20),
            "at 24 one goes out, and four were left"
        );
        assert_eq!(when(8, &[(0, 8)], 9), None, "never");
    }

    /// A second too much, and hours until the first of what was had goes out of the window.
    #[test]
    fn it_fits_again_after_a_long_gap() {
        let second = |seconds: i64| Timestamp::from_micros(seconds * STEP);
        let had = [(second(0), second(3 * 3_600 + 1))];
        let bound = Bound::new(Span::hours(4), Span::hours(24));
        let found = again(&[Kept::new(bound, had)], second(11_000), Span::hours(1));
        assert_eq!(found, Some(second(23 * 3_600 + 1)));
    }

    /// Looked at instant by instant.
    fn worst(held: &[(i64, i64)], period: i64, from: i64, until: i64) -> i64 {
        let covered = |at: i64| {
            held.iter()
                .chain([&(from, until)])
                .any(|(one, other)| (*one..*other).contains(&at))
        };
        (from - period + 1..until)
            .map(|start| {
                let held = (start..start + period).filter(|at| covered(*at)).count();
                i64::try_from(held).unwrap_or(i64::MAX)
            })
            .max()
            .unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(24), ..ProptestConfig::with_cases(400) })]

        #[test]
        fn it_says_what_counting_says(
            spans in proptest::collection::vec((0i64..60, 1i64..12), 0..6),
            period in 2i64..30,
            most in 1i64..30,
            from in 0i64..60,
            wanted in 1i64..12,
        ) {
            let held: Vec<(i64, i64)> = spans.iter().map(|(from, long)| (*from, from + long)).collect();
            let bound = Bound { most, period };
            let one = Kept { bound, held: merged(held.clone()) };
            let by_hand = worst(&held, period, from, from + wanted);
            prop_assert_eq!(one.excess(from, from + wanted) <= 0, by_hand <= most);
        }

        /// Found in jumps, it is what is found instant by instant.
        #[test]
        fn the_next_time_it_fits_is_passed_over_by_less_than_a_step(
            spans in proptest::collection::vec((0i64..60, 1i64..12), 0..6),
            period in 12i64..30,
            most in 12i64..30,
            from in 0i64..60,
            wanted in 1i64..12,
        ) {
            let scaled = |at: i64| Timestamp::from_micros(at * STEP);
            let held: Vec<(i64, i64)> = spans.iter().map(|(from, long)| (*from, from + long)).collect();
            let bound = Bound { most: most * STEP, period: period * STEP };
            let one = Kept::new(bound, held.iter().map(|(from, until)| (scaled(*from), scaled(*until))));
            let found = again(&[one], scaled(from), Span::from_micros(u64::try_from(wanted * STEP).unwrap()));
            let by_hand = (from..from + 200).find(|at| worst(&held, period, *at, at + wanted) <= most);
            prop_assert_eq!(found, by_hand.map(scaled));
        }

        #[test]
        fn more_had_never_leaves_more(
            spans in proptest::collection::vec((0i64..60, 1i64..12), 1..6),
            period in 2u64..30,
            most in 1u64..30,
            from in 0i64..60,
        ) {
            let held: Vec<(i64, i64)> = spans.iter().map(|(from, long)| (*from, from + long)).collect();
            let all = room(most, period, &held, from);
            prop_assert!(all <= room(most, period, &held[1..], from));
        }
    }
}
