//! How much time has certainly passed. The store's clock decides about deadlines, and where it is turned forward access ends
//! early. But a call that is under way does not land any sooner for that: what may still take effect until some instant of the
//! store's time is over only when so much time has really gone by.

use daypass_core::time::{Span, Timestamp};

/// By how much the store's clock must be ahead of this process's for it to have been turned.
const TURNED: Span = Span::seconds(1);

/// For how long leaps are known. No call may take effect as late as that.
const KEPT: Span = Span::hours(1);

/// The store's clock beside this process's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Elapsed {
    /// Both, as they were last read together.
    read: Option<(Timestamp, Timestamp)>,
    /// By how much the store's was found to be ahead of where it should be, and when that was by the own one; the latest last.
    leaps: Vec<(Span, Timestamp)>,
}

impl Elapsed {
    /// Both clocks were read.
    pub(super) fn read(&mut self, store: Timestamp, own: Timestamp) {
        self.leaps.retain(|(_, at)| own < *at + KEPT);
        self.leaps
            .extend(self.ahead(store, own).map(|ahead| (ahead, own)));
        self.read = Some((store, own));
    }

    /// What the store's time is at least, reckoned by the time that has really passed. `within`: for how long a leap matters,
    /// which is how long after it was written down a call may take effect.
    pub(super) fn certain(&self, store: Timestamp, own: Timestamp, within: Span) -> Timestamp {
        store - self.leapt(own, within) - self.ahead(store, own).unwrap_or(Span::ZERO)
    }

    /// What the store's time should be by now.
    pub(super) fn expected(&self, own: Timestamp) -> Option<Timestamp> {
        self.read.map(|(store, read)| store + own.since(read))
    }

    fn ahead(&self, store: Timestamp, own: Timestamp) -> Option<Span> {
        let ahead = store.since(self.expected(own)?);
        Some(ahead).filter(|ahead| *ahead > TURNED)
    }

    /// What was sent before an older leap has landed by now, so that only those of late count.
    fn leapt(&self, own: Timestamp, within: Span) -> Span {
        let of_late = self.leaps.iter().filter(|(_, at)| own < *at + within);
        of_late.fold(Span::ZERO, |sum, (ahead, _)| sum + *ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Span = Span::seconds(60);

    fn read(store: u64) -> Elapsed {
        let mut elapsed = Elapsed::default();
        elapsed.read(at(store), at(0));
        elapsed
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Span::seconds(seconds)
    }

    #[test]
    fn clocks_that_go_together_tell_the_same() {
        let mut elapsed = read(1000);
        elapsed.read(at(1010), at(10));
        assert_eq!(elapsed.certain(at(1020), at(20), WITHIN), at(1020));
        assert_eq!(elapsed.expected(at(30)), Some(at(1030)));
    }

    #[test]
    fn a_leap_is_no_time_for_as_long_as_a_call_may_land() {
        let mut elapsed = read(1000);
        let later = elapsed.certain(at(4605), at(5), WITHIN);
        assert_eq!(later, at(1005), "seen for the first time at a look");
        elapsed.read(at(4605), at(5));
        assert_eq!(elapsed.certain(at(4610), at(10), WITHIN), at(1010));
        elapsed.read(at(5610), at(15));
        assert_eq!(
            elapsed.certain(at(5615), at(20), WITHIN),
            at(1020),
            "and once more"
        );
        elapsed.read(at(5669), at(74));
        assert_eq!(
            elapsed.certain(at(5669), at(74), WITHIN),
            at(4674),
            "what was sent before the first of them has landed"
        );
        assert_eq!(
            elapsed.certain(at(5670), at(75), WITHIN),
            at(5670),
            "what was sent before has landed"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_is_no_leap() {
        let elapsed = read(1000);
        assert_eq!(elapsed.certain(at(990), at(10), WITHIN), at(990));
    }
}
