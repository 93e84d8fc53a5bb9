//! How fast somebody may try to log in, and call what needs no login.
//!
//! For logins two budgets, each refilled as time passes, so that nobody is locked out for ever: one for each client address, and one
//! for each login *from* an address. A stranger who hammers on a login thus spends their own address's budget and never
//! locks out its owner, who comes from another one. A last budget over all addresses bounds a distributed attempt on one
//! login; addresses from which the login succeeded lately do not meet it, so that its owner still comes in while others guess.
//!
//! Who is logged in and proves it anew has a budget of their session's: what strangers do does not touch it.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daypass_core::id::{PersonId, TokenId};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Tries by one address: so many at once, and one more every so many seconds.
const BY_ADDRESS: (NonZeroU32, Duration) = (nonzero(30), Duration::from_secs(2));
/// Tries for one login from one address.
const BY_PAIR: (NonZeroU32, Duration) = (nonzero(8), Duration::from_secs(10));
/// Tries for one login from everywhere.
const BY_LOGIN: (NonZeroU32, Duration) = (nonzero(200), Duration::from_secs(1));
/// Calls without a login by one address: probes and first visits need few.
const PUBLIC: (NonZeroU32, Duration) = (nonzero(100), Duration::from_millis(50));
/// Proofs by one session.
const BY_SESSION: (NonZeroU32, Duration) = (nonzero(8), Duration::from_secs(10));
/// Commands with an idempotency key by one person: what each leaves behind is kept for a day.
const KEPT: (NonZeroU32, Duration) = (nonzero(2000), Duration::from_secs(30));
/// How many addresses are known of one login, the latest ones: people have a few.
const ADDRESSES: usize = 8;
/// How often what is full again is forgotten, in checks: the memory is bounded by what was tried lately.
const FORGET_EVERY: u32 = 1024;

const fn nonzero(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

/// Come back after so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {} s", .after.as_secs().max(1))]
pub(crate) struct TooFast {
    /// How long.
    pub after: Duration,
}

/// The budgets of everybody who tried lately.
pub(crate) struct Limits {
    clock: DefaultClock,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_pair: DefaultKeyedRateLimiter<(IpAddr, String)>,
    by_login: DefaultKeyedRateLimiter<String>,
    public: DefaultKeyedRateLimiter<IpAddr>,
    by_session: DefaultKeyedRateLimiter<TokenId>,
    kept: DefaultKeyedRateLimiter<PersonId>,
    /// Where each login succeeded last. There are only as many as there are accounts.
    succeeded: Mutex<HashMap<String, VecDeque<IpAddr>>>,
    checks: AtomicU32,
}

impl Default for Limits {
    fn default() -> Self {
        let quota = |(burst, refill): (NonZeroU32, Duration)| {
            Quota::with_period(refill)
                .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
                .allow_burst(burst)
        };
        Self {
            clock: DefaultClock::default(),
            by_address: RateLimiter::keyed(quota(BY_ADDRESS)),
            by_pair: RateLimiter::keyed(quota(BY_PAIR)),
            by_login: RateLimiter::keyed(quota(BY_LOGIN)),
            public: RateLimiter::keyed(quota(PUBLIC)),
            by_session: RateLimiter::keyed(quota(BY_SESSION)),
            kept: RateLimiter::keyed(quota(KEPT)),
            succeeded: Mutex::default(),
            checks: AtomicU32::new(0),
        }
    }
}

impl Limits {
    /// Counts an attempt to log in.
    ///
    /// # Errors
    /// Where a budget is spent; the attempt must then not be looked at.
    pub(crate) fn login(&self, address: IpAddr, login: &str) -> Result<(), TooFast> {
        let (address, login) = (network(address), shortened(login));
        self.forget();
        let now = self.clock.now();
        let spent = |until: governor::NotUntil<_>| TooFast {
            after: until.wait_time_from(now),
        };
        self.by_address.check_key(&address).map_err(spent)?;
        self.by_pair.check_key(&(address, login.clone())).map_err(spent)?;
        if self.is_known(address, &login) {
            return Ok(());
        }
        self.by_login.check_key(&login).map_err(spent)
    }

    /// Notes that a login succeeded from an address.
    pub(crate) fn succeeded(&self, address: IpAddr, login: &str) {
        let (address, login) = (network(address), shortened(login));
        let mut succeeded = self.succeeded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = succeeded.entry(login).or_default();
        known.retain(|known| *known != address);
        known.push_back(address);
        if known.len() > ADDRESSES {
            known.pop_front();
        }
    }

    fn is_known(&self, address: IpAddr, login: &str) -> bool {
        let succeeded = self.succeeded.lock().unwrap_or_else(PoisonError::into_inner);
        succeeded.get(login).is_some_and(|known| known.contains(&address))
    }

    /// Counts an attempt to prove anew, on this session, who one is.
    ///
    /// # Errors
    /// Where the session's budget is spent; the attempt must then not be looked at.
    pub(crate) fn proof(&self, session: TokenId) -> Result<(), TooFast> {
        self.forget();
        let now = self.clock.now();
        self.by_session.check_key(&session).map_err(|until| TooFast {
            after: until.wait_time_from(now),
        })
    }

    /// Counts a command that leaves an idempotency key and its answer behind.
    ///
    /// # Errors
    /// Where the person's budget is spent.
    pub(crate) fn keeps(&self, person: PersonId) -> Result<(), TooFast> {
        self.forget();
        let now = self.clock.now();
        self.kept.check_key(&person).map_err(|until| TooFast {
            after: until.wait_time_from(now),
        })
    }

    /// Counts a call without a login.
    ///
    /// # Errors
    /// Where the address's budget is spent.
    pub(crate) fn public(&self, address: IpAddr) -> Result<(), TooFast> {
        self.forget();
        let now = self.clock.now();
        self.public.check_key(&network(address)).map_err(|until| TooFast {
            after: until.wait_time_from(now),
        })
    }

    fn forget(&self) {
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.by_address.retain_recent();
            self.by_pair.retain_recent();
            self.by_login.retain_recent();
            self.public.retain_recent();
            self.by_session.retain_recent();
            self.kept.retain_recent();
        }
    }
}

/// A login is hostile text of any length here; what is no login need not be told apart.
fn shortened(login: &str) -> String {
    login.chars().take(64).collect::<String>().to_ascii_lowercase()
}

/// Whose budget it is: an IPv6 customer has a whole /64 at least, so the budget is the network's.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Where many such networks are in one hand: an IPv6 customer may have a whole /48.
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match network(address) {
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn tries(limits: &Limits, address: IpAddr, login: &str) -> usize {
        (0..1000)
            .take_while(|_| limits.login(address, login).is_ok())
            .count()
    }

    #[test]
    fn guessing_is_slowed_and_its_victim_is_not() {
        let limits = Limits::default();
        let tried = tries(&limits, HERE, "ana");
        assert!((8..12).contains(&tried), "{tried}");
        assert!(limits.login(HERE, "ana").unwrap_err().after > Duration::ZERO);
        assert!(limits.login(THERE, "ana").is_ok(), "ana herself, from elsewhere");
    }

    #[test]
    fn one_address_cannot_try_everybody() {
        let limits = Limits::default();
        let tried = (0..1000)
            .take_while(|n| limits.login(HERE, &format!("user{n}")).is_ok())
            .count();
        assert!((30..36).contains(&tried), "{tried}");
    }

    #[test]
    fn many_who_guess_do_not_keep_its_owner_out() {
        let limits = Limits::default();
        limits.succeeded(HERE, "Ana");
        let stranger = |n: u8| IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, n));
        let tried: usize = (0..60).map(|n| tries(&limits, stranger(n), "ana")).sum();
        assert!((200..260).contains(&tried), "{tried}");
        assert!(tries(&limits, THERE, "ana") <= 1, "from anywhere else");
        assert!(limits.login(HERE, "ana").is_ok(), "from where she logged in");
        assert!(limits.login(HERE, "bo").is_ok());
        for n in 0..8 {
            limits.succeeded(stranger(n), "ana");
        }
        assert!(tries(&limits, HERE, "ana") <= 1, "so many are known, and no more");
    }

    #[test]
    fn a_session_has_a_budget_of_its_own() {
        let limits = Limits::default();
        let session = |n| TokenId::from_bytes([n; 10]);
        let tried = (0..1000).take_while(|_| limits.proof(session(1)).is_ok()).count();
        assert!((8..12).contains(&tried), "{tried}");
        assert!(limits.proof(session(2)).is_ok());
        assert!(limits.login(HERE, "ana").is_ok(), "and takes nothing from logins");
    }

    #[test]
    fn what_one_person_has_kept_is_bounded() {
        let limits = Limits::default();
        let person = |n| PersonId::from_bytes([n; 10]);
        let kept = (0..9000).take_while(|_| limits.keeps(person(1)).is_ok()).count();
        assert!((2000..2010).contains(&kept), "{kept}");
        assert!(limits.keeps(person(2)).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let limits = Limits::default();
        let address = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n));
        let tried = (0..1000)
            .take_while(|n| limits.login(address(*n), "ana").is_ok())
            .count();
        assert!((8..12).contains(&tried), "{tried}");
    }
}
