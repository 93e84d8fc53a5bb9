//! Tickets: what this server remembers between two calls of a gateway, each good once and for a short while.
//!
//! Each is on somebody's account, an address or a person, and nobody may have many out: strangers who ask and hang up shut nobody else out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daypass_gateway::control::{Ticket, Unavailable};

use crate::edge;

/// How many may be out at once, in all.
const MOST: usize = 20_000;
/// How many on one account: as many as a gateway lets one person have sessions, and twice as many as it lets one address begin.
const MOST_OF_ONE: usize = 128;

/// Tickets for one kind of thing, on accounts of one kind.
pub(super) struct Tickets<K, T> {
    good_for: Duration,
    out: Mutex<Out<K, T>>,
}

struct Out<K, T> {
    tickets: HashMap<Arc<str>, (Instant, K, T)>,
    of: HashMap<K, usize>,
}

impl<K: Eq + Hash + Clone, T> Out<K, T> {
    fn count(&self, who: &K) -> usize {
        self.of.get(who).copied().unwrap_or_default()
    }

    fn insert(&mut self, name: Arc<str>, (until, who, thing): (Instant, K, T)) {
        *self.of.entry(who.clone()).or_default() += 1;
        self.tickets.insert(name, (until, who, thing));
    }

    fn remove(&mut self, name: &str) -> Option<(Instant, T)> {
        let (until, who, thing) = self.tickets.remove(name)?;
        if let Some(count) = self.of.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&who);
            }
        }
        Some((until, thing))
    }

    fn sweep(&mut self, now: Instant) {
        let old = self.tickets.iter().filter(|(_, (until, ..))| *until <= now);
        let old: Vec<_> = old.map(|(name, _)| Arc::clone(name)).collect();
        for name in old {
            self.remove(&name);
        }
    }
}

impl<K: Eq + Hash + Clone, T> Tickets<K, T> {
    pub(super) fn new(good_for: Duration) -> Self {
        Self {
            good_for,
            out: Mutex::new(Out {
                tickets: HashMap::new(),
                of: HashMap::new(),
            }),
        }
    }

    fn out(&self) -> MutexGuard<'_, Out<K, T>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new ticket for this, on this account.
    ///
    /// # Errors
    /// Where too many are out.
    pub(super) fn give(&self, who: K, thing: T) -> Result<Ticket, Unavailable> {
        let name: Arc<str> = hex::encode(edge::random::<16>()).into();
        let now = edge::instant();
        let mut out = self.out();
        let full = |out: &Out<K, T>| out.tickets.len() >= MOST || out.count(&who) >= MOST_OF_ONE;
        if full(&out) {
            out.sweep(now);
        }
        if full(&out) {
            return Err(Unavailable(String::from(
                "too many connections are beginning at once",
            )));
        }
        out.insert(Arc::clone(&name), (now + self.good_for, who, thing));
        Ok(Ticket(name))
    }

    /// Makes a ticket good again that was just taken.
    pub(super) fn give_again(&self, ticket: &Ticket, who: K, thing: T) {
        let until = edge::instant() + self.good_for;
        self.out().insert(Arc::clone(&ticket.0), (until, who, thing));
    }

    /// What a ticket stands for, once; nothing where it is none of ours, or too old.
    pub(super) fn take(&self, ticket: &Ticket) -> Option<T> {
        let (until, thing) = self.out().remove(&ticket.0)?;
        (until > edge::instant()).then_some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_for_a_while() {
        let tickets = Tickets::new(Duration::from_secs(60));
        let (one, two) = (tickets.give("a", 1).unwrap(), tickets.give("b", 2).unwrap());
        assert_eq!((tickets.take(&two), tickets.take(&two)), (Some(2), None));
        assert_eq!(tickets.take(&Ticket("x".into())), None);
        assert_eq!(tickets.take(&one), Some(1));
        tickets.give_again(&one, "a", 3);
        assert_eq!(tickets.take(&one), Some(3));
        let late = Tickets::new(Duration::ZERO);
        let ticket = late.give("a", 1).unwrap();
        assert_eq!(late.take(&ticket), None);
    }

    #[test]
    fn one_account_shuts_nobody_else_out() {
        let tickets = Tickets::new(Duration::from_secs(60));
        let given: Vec<_> = (0..MOST_OF_ONE).map(|n| tickets.give("a", n).unwrap()).collect();
        assert!(tickets.give("a", 0).is_err());
        assert!(tickets.give("b", 0).is_ok());
        assert_eq!(tickets.take(&given[0]), Some(0), "what was given out stays good");
        assert!(tickets.give("a", 0).is_ok());
        let old = Tickets::new(Duration::ZERO);
        for n in 0..MOST_OF_ONE * 2 {
            old.give("a", n).unwrap();
        }
    }
}
