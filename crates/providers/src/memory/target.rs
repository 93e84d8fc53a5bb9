//! The target itself, as somebody at its console sees it: what stands there, who is connected, and how it is broken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daypass_core::deed::Deed;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use crate::{Credential, Error};

/// A target in memory. Clones are the same target.
#[derive(Clone, Default)]
pub struct Target(Arc<Mutex<State>>, Arc<Holds>);

/// Kinds of calls that wait until they are let go, and how many of each have come to wait.
#[derive(Default)]
struct Holds {
    held: watch::Sender<BTreeMap<Op, bool>>,
    came: watch::Sender<BTreeMap<Op, u64>>,
}

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// [`crate::Provider::provision`].
    Provision,
    /// [`crate::Provider::revoke`].
    Revoke,
    /// [`crate::Provider::inspect`].
    Inspect,
    /// [`crate::Provider::activity`].
    Activity,
    /// [`crate::Provider::deeds`].
    Deeds,
    /// [`crate::Provider::list_managed`].
    ListManaged,
    /// [`crate::Provider::credential`].
    Credential,
    /// [`crate::Provider::probe`].
    Probe,
    /// [`crate::Provider::survey`].
    Survey,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It fails, and changes nothing.
    Fails(Fault),
    /// It takes effect, and the answer is lost.
    LosesAnswer,
}

/// A session that somebody has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

/// The target did not let somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is down.
    #[error("the target is down")]
    Down,
    /// No such user, another password, or past the limit.
    #[error("login refused")]
    Login,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) down: bool,
    /// How coarsely it keeps limits; zero: as they are told.
    coarse: Span,
    pub(super) troubles: BTreeMap<Op, VecDeque<Trouble>>,
    pub(super) calls: BTreeMap<Op, u64>,
    pub(super) standing: BTreeMap<String, Standing>,
    sessions: BTreeMap<SessionId, String>,
    /// For how long the sessions of a key have done nothing.
    pub(super) quiet: BTreeMap<String, Span>,
    opened: u64,
    /// What was done under which key.
    pub(super) deeds: Vec<(String, Deed)>,
}

/// Something that stands at the target.
pub(super) struct Standing {
    /// Which installation of Daypass made it; `None` where it was made by hand.
    pub(super) maker: Option<String>,
    pub(super) holder: String,
    pub(super) can: Vec<String>,
    pub(super) until: Option<Timestamp>,
    pub(super) password: Option<String>,
    /// At which of the target's places, where that is known.
    pub(super) place: Option<String>,
}

impl Target {
    /// A target with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test in another thread must not hide behind a poisoned lock here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of this kind goes wrong in this way; several queue up.
    pub fn fail_next(&self, op: Op, trouble: Trouble) {
        self.state().troubles.entry(op).or_default().push_back(trouble);
    }

    /// From now on, calls of this kind wait before they do anything, until [`Self::let_go`]. Of those kinds that people ask for.
    pub fn hold(&self, op: Op) {
        self.1.held.send_modify(|held| {
            held.insert(op, true);
        });
    }

    /// Calls of this kind no longer wait.
    pub fn let_go(&self, op: Op) {
        self.1.held.send_modify(|held| {
            held.insert(op, false);
        });
    }

    /// Returns once so many calls of this kind have been held, in all.
    pub async fn has_held(&self, op: Op, count: u64) {
        let mut came = self.1.came.subscribe();
        // The sender lives as long as this target.
        let _gone = came
            .wait_for(|came| came.get(&op).copied().unwrap_or(0) >= count)
            .await;
    }

    /// How many calls of this kind have been held, in all.
    #[must_use]
    pub fn held(&self, op: Op) -> u64 {
        self.1.came.borrow().get(&op).copied().unwrap_or(0)
    }

    /// Waits while calls of this kind are held.
    pub(super) async fn pass(&self, op: Op) {
        let is_held = |held: &BTreeMap<Op, bool>| held.get(&op).copied().unwrap_or(false);
        let mut held = self.1.held.subscribe();
        if !is_held(&held.borrow()) {
            return;
        }
        self.1.came.send_modify(|came| *came.entry(op).or_default() += 1);
        let _gone = held.wait_for(|held| !is_held(held)).await;
    }

    /// While it is down every call is [`Fault::Unavailable`] and nobody gets in; sessions are gone.
    pub fn set_down(&self, down: bool) {
        let mut state = self.state();
        state.down = down;
        if down {
            state.sessions.clear();
        }
    }

    /// From now on it keeps limits in whole steps of this length, and shows them so: not what the contract asks for.
    pub fn set_coarse(&self, step: Span) {
        self.state().coarse = step;
    }

    /// How many calls of a kind have come, those that failed included.
    #[must_use]
    pub fn calls(&self, op: Op) -> u64 {
        self.state().calls.get(&op).copied().unwrap_or(0)
    }

    /// Makes something by hand, as an administrator of the target would, with a password and without a limit.
    pub fn add_by_hand(&self, key: &str, password: &str) {
        let standing = Standing {
            maker: None,
            holder: String::new(),
            can: Vec::new(),
            until: None,
            password: Some(password.to_owned()),
            place: None,
        };
        self.state().standing.insert(key.to_owned(), standing);
    }

    /// Gives somebody something for good, by hand, at one of the target's places: what a survey tells.
    pub fn stand_by_hand(&self, who: &str, place: Option<&str>, can: &[&str]) {
        let standing = Standing {
            maker: None,
            holder: String::new(),
            can: can.iter().map(|can| (*can).to_owned()).collect(),
            until: None,
            password: None,
            place: place.map(str::to_owned),
        };
        self.state().standing.insert(who.to_owned(), standing);
    }

    /// Makes something as a Daypass would whose ledger lost it: it bears the installation's mark.
    pub fn add_unrecorded(&self, key: &str, installation: &str) {
        let standing = Standing {
            maker: Some(installation.to_owned()),
            holder: String::new(),
            can: Vec::new(),
            until: None,
            password: None,
            place: None,
        };
        self.state().standing.insert(key.to_owned(), standing);
    }

    /// Changes the limit of what stands under this key by hand. Says whether it was there.
    pub fn limit_by_hand(&self, key: &str, until: Option<Timestamp>) -> bool {
        let mut state = self.state();
        let standing = state.standing.get_mut(key);
        standing.map(|standing| standing.until = until).is_some()
    }

    /// Removes something by hand, its sessions included. Says whether it was there.
    pub fn remove_by_hand(&self, key: &str) -> bool {
        let mut state = self.state();
        state.cut(key);
        state.standing.remove(key).is_some()
    }

    /// Whether something stands under this key, whoever made it.
    #[must_use]
    pub fn stands(&self, key: &str) -> bool {
        self.state().standing.contains_key(key)
    }

    /// The limit of what stands under this key.
    #[must_use]
    pub fn until(&self, key: &str) -> Option<Timestamp> {
        self.state().standing.get(key).and_then(|standing| standing.until)
    }

    /// Whom the comment names on what stands under this key.
    #[must_use]
    pub fn holder(&self, key: &str) -> Option<String> {
        self.state()
            .standing
            .get(key)
            .map(|standing| standing.holder.clone())
    }

    /// Logs in at `now` with a credential.
    ///
    /// # Errors
    /// [`Refused`] where the target would not let it in.
    pub fn open(&self, credential: &Credential, now: Timestamp) -> Result<SessionId, Refused> {
        let mut state = self.state();
        if state.down {
            return Err(Refused::Down);
        }
        let user = credential.fields.get("user").ok_or(Refused::Login)?;
        let standing = state.standing.get(user).ok_or(Refused::Login)?;
        let fits = standing.password.as_deref() == Some(credential.secret.expose_secret());
        if !fits || standing.until.is_some_and(|until| now >= until) {
            return Err(Refused::Login);
        }
        state.opened += 1;
        let id = SessionId(state.opened);
        let user = user.clone();
        state.sessions.insert(id, user);
        Ok(id)
    }

    /// Whether a session is still open and may do this.
    #[must_use]
    pub fn may(&self, session: SessionId, ability: &str) -> bool {
        let state = self.state();
        let standing = state
            .sessions
            .get(&session)
            .and_then(|user| state.standing.get(user));
        standing.is_some_and(|standing| standing.can.iter().any(|can| can == ability))
    }

    /// Closes a session, as its holder does.
    pub fn close(&self, session: SessionId) {
        self.state().sessions.remove(&session);
    }

    /// From now on it says that the sessions of a key have done nothing for so long. Without it they are at work.
    pub fn set_quiet(&self, key: &str, quiet: Span) {
        self.state().quiet.insert(key.to_owned(), quiet);
    }

    /// Something was done under a key, and stands in the target's own log.
    pub fn did(&self, key: &str, deed: Deed) {
        self.state().deeds.push((key.to_owned(), deed));
    }

    /// Whether a session is still open.
    #[must_use]
    pub fn is_open(&self, session: SessionId) -> bool {
        self.state().sessions.contains_key(&session)
    }
}

impl State {
    /// Notes a call, and says what goes wrong with it before it takes effect.
    pub(super) fn begin(&mut self, op: Op) -> Result<Option<Trouble>, Error> {
        *self.calls.entry(op).or_default() += 1;
        if self.down {
            return Err(Error::new(Fault::Unavailable, "the target is down"));
        }
        match self.troubles.get_mut(&op).and_then(VecDeque::pop_front) {
            Some(Trouble::Fails(fault)) => Err(Error::new(fault, "the target was told to fail")),
            other => Ok(other),
        }
    }

    /// A limit as it is kept here.
    pub(super) fn kept(&self, until: Timestamp) -> Timestamp {
        let step = i64::try_from(self.coarse.micros()).unwrap_or(i64::MAX).max(1);
        Timestamp::from_micros(until.micros().div_euclid(step).saturating_mul(step))
    }

    /// Ends the sessions of a key.
    pub(super) fn cut(&mut self, key: &str) {
        self.sessions.retain(|_, user| user != key);
    }

    /// How many sessions a key has.
    pub(super) fn sessions_of(&self, key: &str) -> u32 {
        let of = self.sessions.values().filter(|user| *user == key);
        u32::try_from(of.count()).unwrap_or(u32::MAX)
    }

    /// Whether somebody is connected under a key.
    pub(super) fn in_use(&self, key: &str) -> bool {
        self.sessions.values().any(|user| user == key)
    }
}
