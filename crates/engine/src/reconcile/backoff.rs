//! When a call that failed, or must be looked at later, is due again. Retries go on for ever, with a cap and jitter.
//!
//! It lives in memory: after a restart everything is tried at once, which is what one wants then.

use std::collections::HashMap;

use daypass_core::entitlement::{Fault, TargetKey};
use daypass_core::name::Name;
use daypass_core::planted;
use daypass_core::time::{Span, Timestamp};

/// The first pause after a failure.
const FIRST: Span = Span::millis(250);

#[derive(Debug, Clone)]
struct Attempt {
    tries: u32,
    not_before: Timestamp,
    last: Option<(Fault, &'static str)>,
    /// A call that was accepted and whose effect is awaited.
    awaited: Option<Awaited>,
}

/// A call that a target accepted and that has still to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) doing: &'static str,
    pub(super) epoch: u64,
    /// The call itself is through: only look, do not call again.
    pub(super) called: bool,
}

/// What waits, per key and per connector.
#[derive(Debug)]
pub(super) struct Backoff {
    max: Span,
    keys: HashMap<TargetKey, Attempt>,
    /// Connectors that did not answer: all their keys wait, and then one of them asks first.
    connectors: HashMap<Name, Attempt>,
}

impl Backoff {
    pub(super) fn new(max: Span) -> Self {
        Self {
            max,
            keys: HashMap::new(),
            connectors: HashMap::new(),
        }
    }

    /// Whether a call may be made. What is awaited of a provisioning does not hold up the removal, nor the other way round.
    pub(super) fn ready(&self, key: &TargetKey, doing: &'static str, now: Timestamp) -> bool {
        let due = |attempt: &Attempt| attempt.not_before <= now;
        let other = |attempt: &Attempt| attempt.awaited.is_some_and(|awaited| awaited.doing != doing);
        self.keys
            .get(key)
            .is_none_or(|attempt| due(attempt) || other(attempt))
            && self.connectors.get(&key.connector).is_none_or(due)
    }

    /// Never: a removal is tried for ever.
    pub(super) fn gives_up(&self, key: &TargetKey) -> bool {
        planted::is(planted::Fault::GiveUp) && self.keys.get(key).is_some_and(|attempt| attempt.tries >= 3)
    }

    /// How many calls a connector gets at once: one while it has not answered, so that an outage is not met by a storm.
    pub(super) fn calls_at_once(&self, connector: &Name, usual: usize) -> usize {
        if self.connectors.contains_key(connector) {
            1
        } else {
            usual.max(1)
        }
    }

    pub(super) fn awaited(&self, key: &TargetKey, doing: &'static str) -> Option<Awaited> {
        self.keys
            .get(key)
            .and_then(|attempt| attempt.awaited)
            .filter(|awaited| awaited.doing == doing)
    }

    pub(super) fn succeeded(&mut self, key: &TargetKey) {
        self.keys.remove(key);
        self.connectors.remove(&key.connector);
    }

    /// Nothing is to be done about a key any more; no call was made.
    pub(super) fn forget(&mut self, key: &TargetKey) {
        self.keys.remove(key);
    }

    pub(super) fn poll(&mut self, key: &TargetKey, awaited: Awaited, at: Timestamp) {
        self.connectors.remove(&key.connector);
        let awaited = Some(awaited);
        self.keys.insert(
            key.clone(),
            Attempt {
                tries: 0,
                not_before: at,
                last: None,
                awaited,
            },
        );
    }

    pub(super) fn pause(&mut self, key: &TargetKey, doing: &'static str, jitter: u8, now: Timestamp) {
        let attempt = self.keys.entry(key.clone()).or_insert_with(|| Attempt::new(now));
        attempt.again(self.max, jitter, now);
        attempt.awaited = attempt.awaited.filter(|awaited| awaited.doing == doing);
    }

    /// Notes a failure; answers whether it is of another kind than the last one, so that it is told once and not each time.
    pub(super) fn failed(
        &mut self,
        key: &TargetKey,
        doing: &'static str,
        fault: Fault,
        jitter: u8,
        now: Timestamp,
    ) -> bool {
        let attempt = self.keys.entry(key.clone()).or_insert_with(|| Attempt::new(now));
        attempt.again(self.max, jitter, now);
        attempt.awaited = None;
        let news = attempt.last != Some((fault, doing));
        attempt.last = Some((fault, doing));
        if matches!(fault, Fault::Unavailable | Fault::RateLimited) {
            let connector = self
                .connectors
                .entry(key.connector.clone())
                .or_insert_with(|| Attempt::new(now));
            // Calls that were under way together are one failure of the connector: eight of them must not make its pause
            // as long as eight outages.
            if connector.not_before <= now {
                connector.again(self.max, jitter, now);
            }
        } else {
            self.connectors.remove(&key.connector);
        }
        news
    }

    /// The earliest instant after `now` at which something is due again.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let attempts = self.keys.iter().map(|(key, attempt)| {
            let connector = self
                .connectors
                .get(&key.connector)
                .map_or(attempt.not_before, |other| other.not_before);
            attempt.not_before.max(connector)
        });
        attempts.filter(|at| *at > now).min()
    }
}

impl Attempt {
    const fn new(now: Timestamp) -> Self {
        Self {
            tries: 0,
            not_before: now,
            last: None,
            awaited: None,
        }
    }

    /// Doubles the pause up to the cap and takes up to half of it off, so that many that failed together spread out.
    fn again(&mut self, max: Span, jitter: u8, now: Timestamp) {
        let pause = FIRST.times(1 << self.tries.min(20)).min(max);
        self.tries = self.tries.saturating_add(1);
        self.not_before = now + Span::millis(pause.micros() / 1000 * (512 - u64::from(jitter)) / 512);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> TargetKey {
        TargetKey {
            connector: "pg".parse().unwrap(),
            key: key.into(),
        }
    }

    #[test]
    fn pauses_grow_to_the_cap_and_never_end() {
        let mut backoff = Backoff::new(Span::seconds(30));
        let mut now = Timestamp::EPOCH;
        let mut last = Span::ZERO;
        for _ in 0..200 {
            backoff.failed(&key("a"), "revoke", Fault::Denied, 0, now);
            let next = backoff.next(now).unwrap();
            assert!(next.since(now) >= last.min(Span::seconds(30)) && next.since(now) <= Span::seconds(30));
            last = next.since(now);
            now = next;
            assert!(backoff.ready(&key("a"), "revoke", now));
        }
        assert_eq!(last, Span::seconds(30));
    }

    #[test]
    fn calls_that_fail_together_count_once_for_their_connector() {
        let mut backoff = Backoff::new(Span::seconds(30));
        let now = Timestamp::EPOCH;
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            backoff.failed(&key(name), "revoke", Fault::Unavailable, 0, now);
        }
        assert!(
            backoff.ready(&key("i"), "revoke", now + FIRST),
            "after the first pause, one asks again"
        );
    }

    #[test]
    fn jitter_takes_off_at_most_half() {
        let mut backoff = Backoff::new(Span::seconds(30));
        backoff.failed(&key("a"), "revoke", Fault::Denied, 255, Timestamp::EPOCH);
        let pause = backoff.next(Timestamp::EPOCH).unwrap().since(Timestamp::EPOCH);
        assert!(pause >= Span::millis(125) && pause < Span::millis(250), "{pause}");
    }

    #[test]
    fn a_failure_is_news_once_for_each_kind() {
        let mut backoff = Backoff::new(Span::seconds(30));
        let now = Timestamp::EPOCH;
        assert!(backoff.failed(&key("a"), "revoke", Fault::Denied, 0, now));
        assert!(!backoff.failed(&key("a"), "revoke", Fault::Denied, 0, now));
        assert!(backoff.failed(&key("a"), "revoke", Fault::Unavailable, 0, now));
        backoff.succeeded(&key("a"));
        assert!(backoff.failed(&key("a"), "revoke", Fault::Unavailable, 0, now));
    }

    #[test]
    fn what_is_awaited_of_a_provisioning_does_not_hold_up_the_removal() {
        let mut backoff = Backoff::new(Span::seconds(30));
        let awaited = Awaited {
            doing: "provision",
            epoch: 1,
            called: false,
        };
        let now = Timestamp::EPOCH;
        backoff.poll(&key("a"), awaited, now + Span::minutes(5));
        assert!(!backoff.ready(&key("a"), "provision", now));
        assert!(backoff.ready(&key("a"), "revoke", now));
        backoff.pause(&key("a"), "revoke", 0, now);
        assert!(!backoff.ready(&key("a"), "revoke", now), "its own pause does");
    }

    #[test]
    fn a_connector_that_does_not_answer_holds_all_of_its_keys_and_then_asks_one() {
        let mut backoff = Backoff::new(Span::seconds(30));
        backoff.failed(&key("a"), "revoke", Fault::Unavailable, 0, Timestamp::EPOCH);
        assert!(!backoff.ready(&key("b"), "revoke", Timestamp::EPOCH));
        assert_eq!(backoff.calls_at_once(&key("b").connector, 8), 1);
        backoff.succeeded(&key("a"));
        assert!(backoff.ready(&key("b"), "revoke", Timestamp::EPOCH));
        assert_eq!(backoff.calls_at_once(&key("b").connector, 8), 8);
    }
}
