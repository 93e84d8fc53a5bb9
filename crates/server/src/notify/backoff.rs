//! How long to wait before a notice is tried again. Pure: chance comes in.

use daypass_core::time::{Span, Timestamp};

/// The pause after the first failure.
const FIRST: Span = Span::seconds(5);
/// The longest pause where nobody answers, or says "later": so long after an outage, everything is there.
const CAP: Span = Span::minutes(5);
/// The longest pause where a mail server says "never": it is asked again, as what it refuses may be put right, but not often.
const CAP_REFUSED: Span = Span::hours(1);

/// What is still not delivered so long after it could have been is given up.
pub(crate) const MAX_AGE: Span = Span::hours(72);

/// When to try again something that failed `tries` times before; `None`: it is given up. `dice`: any number, so that many
/// do not come at the same instant.
pub(crate) fn next(
    (since, now): (Timestamp, Timestamp),
    tries: u64,
    refused: bool,
    dice: u64,
) -> Option<Timestamp> {
    let cap = if refused { CAP_REFUSED } else { CAP };
    let doubled = FIRST.times(1 << tries.min(16)).min(cap);
    // From three quarters of it to five quarters.
    let spread = doubled.micros() / 2;
    let pause = Span::from_micros(doubled.micros() - spread / 2 + dice % (spread + 1));
    let at = now + pause;
    (at.since(since) <= MAX_AGE).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::EPOCH;

    #[test]
    fn pauses_grow_to_a_cap_and_are_spread() {
        let pause = |tries, refused, dice| next((T, T), tries, refused, dice).unwrap().since(T);
        let spread = 2_500_000;
        assert_eq!(pause(0, false, 0), Span::millis(3_750));
        assert_eq!(pause(0, false, spread), Span::millis(6_250));
        assert_eq!(pause(1, false, 0), Span::millis(7_500));
        for tries in [10, 64, u64::MAX] {
            let most = pause(tries, false, CAP.micros() / 2);
            assert!(most <= CAP + Span::from_micros(CAP.micros() / 4), "{most}");
            assert!(pause(tries, true, 0) > CAP, "a refusal waits longer");
        }
    }

    #[test]
    fn what_is_too_old_is_given_up() {
        let late = T + MAX_AGE;
        assert_eq!(next((T, late), 9, false, 0), None);
        assert!(next((T, late - Span::minutes(10)), 9, false, 0).is_some());
    }
}
