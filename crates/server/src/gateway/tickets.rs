//! Tickets: what this server remembers between two calls of a gateway, each good once and for a short while.
//!
//! Each is on somebody's account at one gateway, an address or a person, and nobody may have many out: strangers who ask and hang up
//! shut nobody else out, nor does a gateway in strange hands shut out another's clients.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daypass_core::name::Name;
use daypass_gateway::control::{Ticket, Unavailable};

use crate::edge;

/// How many of one gateway may be out at once. It says of whose account each is: one in strange hands shuts no other out.
const MOST_OF_GATEWAY: usize = 20_000;
/// How many on one account: as many as a gateway lets one person have sessions, and twice as many as it lets one address begin.
const MOST_OF_ONE: usize = 128;

/// Tickets for one kind of thing, on accounts of one kind. A ticket is good for the gateway that it was given to, and for no other.
pub(super) struct Tickets<K, T> {
    good_for: Duration,
    of: Mutex<HashMap<Name, Out<K, T>>>,
}

/// What one gateway has out.
struct Out<K, T> {
    tickets: HashMap<Arc<str>, (Instant, K, T)>,
    counts: HashMap<K, usize>,
}

impl<K, T> Default for Out<K, T> {
    fn default() -> Self {
        Self {
            tickets: HashMap::new(),
            counts: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash + Clone, T> Out<K, T> {
    fn is_full(&self, who: &K) -> bool {
        let count = self.counts.get(who).copied().unwrap_or_default();
        self.tickets.len() >= MOST_OF_GATEWAY || count >= MOST_OF_ONE
    }

    fn insert(&mut self, name: Arc<str>, (until, who, thing): (Instant, K, T)) {
        *self.counts.entry(who.clone()).or_default() += 1;
        self.tickets.insert(name, (until, who, thing));
    }

    fn remove(&mut self, name: &str) -> Option<(Instant, T)> {
        let (until, who, thing) = self.tickets.remove(name)?;
        if let Some(count) = self.counts.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&who);
            }
        }
        Some((until, thing))
    }

    fn sweep(&mut self, now: Instant) {
        let old = self.tickets.iter().filter(|(_, (until, ..))| *until <= now);
        let old: Vec<Arc<str>> = old.map(|(name, _)| Arc::clone(name)).collect();
        for name in old {
            self.remove(&name);
        }
    }
}

impl<K: Eq + Hash + Clone, T> Tickets<K, T> {
    pub(super) fn new(good_for: Duration) -> Self {
        Self {
            good_for,
            of: Mutex::default(),
        }
    }

    fn of(&self) -> MutexGuard<'_, HashMap<Name, Out<K, T>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new ticket for this, on this account, for this gateway.
    ///
    /// # Errors
    /// Where too many are out.
    pub(super) fn give(&self, gateway: &Name, who: K, thing: T) -> Result<Ticket, Unavailable> {
        let name: Arc<str> = hex::encode(edge::random::<16>()).into();
        let now = edge::instant();
        let mut of = self.of();
        let out = of.entry(gateway.clone()).or_default();
        if out.is_full(&who) {
            out.sweep(now);
        }
        if out.is_full(&who) {
            return Err(Unavailable(String::from(
                "too many connections are beginning at once",
            )));
        }
        out.insert(Arc::clone(&name), (now + self.good_for, who, thing));
        Ok(Ticket(name))
    }

    /// Makes a ticket good again that was just taken.
    pub(super) fn give_again(&self, gateway: &Name, ticket: &Ticket, who: K, thing: T) {
        let until = edge::instant() + self.good_for;
        let mut of = self.of();
        let out = of.entry(gateway.clone()).or_default();
        out.insert(Arc::clone(&ticket.0), (until, who, thing));
    }

    /// What a ticket stands for, once; nothing where it is none that this gateway was given, or too old.
    pub(super) fn take(&self, gateway: &Name, ticket: &Ticket) -> Option<T> {
        let (until, thing) = self.of().get_mut(gateway)?.remove(&ticket.0)?;
        (until > edge::instant()).then_some(thing)
    }

    /// Forgets those that are too old.
    pub(super) fn sweep(&self) {
        let now = edge::instant();
        self.of().retain(|_, out| {
            out.sweep(now);
            !out.tickets.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Name {
        "gate".parse().unwrap()
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_while() {
        let tickets = Tickets::new(Duration::from_secs(60));
        let (one, two) = (
            tickets.give(&gate(), "a", 1).unwrap(),
            tickets.give(&gate(), "b", 2).unwrap(),
        );
        assert_eq!(
            (tickets.take(&gate(), &two), tickets.take(&gate(), &two)),
            (Some(2), None)
        );
        assert_eq!(tickets.take(&gate(), &Ticket("x".into())), None);
        let other: Name = "other".parse().unwrap();
        assert_eq!(tickets.take(&other, &one), None, "another gateway's");
        assert_eq!(tickets.take(&gate(), &one), Some(1));
        tickets.give_again(&gate(), &one, "a", 3);
        assert_eq!(tickets.take(&gate(), &one), Some(3));
        let late = Tickets::new(Duration::ZERO);
        let ticket = late.give(&gate(), "a", 1).unwrap();
        assert_eq!(late.take(&gate(), &ticket), None);
    }

    #[test]
    fn one_account_shuts_nobody_else_out() {
        let tickets = Tickets::new(Duration::from_secs(60));
        let given: Vec<_> = (0..MOST_OF_ONE)
            .map(|n| tickets.give(&gate(), "a", n).unwrap())
            .collect();
        assert!(tickets.give(&gate(), "a", 0).is_err());
        assert!(tickets.give(&gate(), "b", 0).is_ok());
        assert_eq!(
            tickets.take(&gate(), &given[0]),
            Some(0),
            "what was given out stays good"
        );
        assert!(tickets.give(&gate(), "a", 0).is_ok());
        let old = Tickets::new(Duration::ZERO);
        for n in 0..MOST_OF_ONE * 2 {
            old.give(&gate(), "a", n).unwrap();
        }
        old.sweep();
        assert!(old.of().is_empty());
    }

    #[test]
    fn one_gateway_shuts_no_other_out() {
        let tickets = Tickets::new(Duration::from_secs(60));
        for n in 0..MOST_OF_GATEWAY {
            tickets.give(&gate(), n, ()).unwrap();
        }
        assert!(tickets.give(&gate(), MOST_OF_GATEWAY, ()).is_err());
        assert!(tickets.give(&"other".parse().unwrap(), 0, ()).is_ok());
    }
}
