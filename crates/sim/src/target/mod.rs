//! A simulated target: what really stands there, and since when. Nobody but the judge and the scenario sees it directly;
//! Daypass sees it through `provider`, late, wrongly or not at all.

mod fate;
mod kind;
mod provider;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use daypass_core::time::{Span, Timestamp};

pub(crate) use self::kind::Sim;
use crate::lock;
use crate::scenario::{Character, Deed, Outage};
use crate::scheduler::Time;

/// A target. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) number: usize,
    pub(crate) character: Arc<Character>,
    time: Time,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What stood under each key, since when; the last is what stands now.
    shown: BTreeMap<String, Vec<(Timestamp, Shown)>>,
    /// The last call for each key that took effect, by the number it was sent under.
    applied: BTreeMap<String, u64>,
    /// Calls that were accepted and are not done yet.
    under_way: Vec<(String, Effect)>,
    sent: u64,
    /// How often each kind of call was made for each key, for the fate of the next.
    calls: BTreeMap<(&'static str, String), u64>,
    outages: Vec<(Timestamp, Outage)>,
}

/// What stands under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    pub(crate) standing: Option<Standing>,
    /// How many are connected.
    pub(crate) sessions: u32,
}

/// Something that lets people in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It bears Daypass's mark.
    pub(crate) ours: bool,
    /// After this it lets nobody in.
    pub(crate) until: Option<Timestamp>,
}

/// What a call does when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Provision {
        until: Option<Timestamp>,
    },
    Remove,
    /// Only what lets people in goes; who is connected stays.
    RemoveHalf,
}

impl Shown {
    /// Whether somebody can use, or is using, what Daypass made.
    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        self.sessions > 0 || self.is_open(now)
    }

    /// Whether what Daypass made lets people in.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        let open = |standing: Standing| standing.ours && standing.until.is_none_or(|until| now < until);
        self.standing.is_some_and(open)
    }

    /// After when what stands there lets nobody in.
    fn limit(&self) -> Option<Timestamp> {
        self.standing.and_then(|standing| standing.until)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.standing.is_some_and(|standing| standing.ours)
    }

    pub(crate) fn is_foreign(&self) -> bool {
        self.standing.is_some_and(|standing| !standing.ours)
    }
}

impl State {
    fn now(&self, key: &str) -> Shown {
        self.at(key, Timestamp::MAX)
    }

    /// What stood there at an instant.
    fn at(&self, key: &str, at: Timestamp) -> Shown {
        let history = self.shown.get(key);
        let seen = history.and_then(|history| history.iter().rev().find(|(since, _)| *since <= at));
        seen.map_or_else(Shown::default, |(_, shown)| *shown)
    }

    fn set(&mut self, key: &str, shown: Shown, now: Timestamp) {
        if self.now(key) != shown {
            self.shown.entry(key.to_owned()).or_default().push((now, shown));
        }
    }

    /// The number of the next thing that is sent.
    fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Something about this key arrived: where the target fences, what was sent before it comes too late.
    fn arrived(&mut self, key: &str) {
        let number = self.next();
        self.applied.insert(key.to_owned(), number);
    }

    /// Lets a call take effect. `Err`: something stands there that is not ours.
    fn apply(
        &mut self,
        key: &str,
        effect: Effect,
        sent: u64,
        fenced: bool,
        now: Timestamp,
    ) -> Result<(), ()> {
        let last = self.applied.entry(key.to_owned()).or_default();
        if fenced && sent < *last {
            return Ok(());
        }
        *last = (*last).max(sent);
        let mut shown = self.now(key);
        match effect {
            Effect::Provision { .. } if shown.is_foreign() => return Err(()),
            Effect::Provision { until } => shown.standing = Some(Standing { ours: true, until }),
            Effect::Remove | Effect::RemoveHalf if shown.is_foreign() => {}
            Effect::Remove => shown = Shown::default(),
            Effect::RemoveHalf => shown.standing = None,
        }
        self.set(key, shown, now);
        Ok(())
    }
}

impl Target {
    pub(crate) fn new(number: usize, character: Character, time: Time) -> Self {
        Self {
            number,
            character: Arc::new(character),
            time,
            state: Arc::default(),
        }
    }

    /// What stands there now, key by key.
    pub(crate) fn truth(&self) -> Vec<(String, Shown)> {
        let state = lock(&self.state);
        let last =
            |(key, history): (&String, &Vec<(Timestamp, Shown)>)| Some((key.clone(), history.last()?.1));
        state.shown.iter().filter_map(last).collect()
    }

    pub(crate) fn shows(&self, key: &str) -> Shown {
        lock(&self.state).now(key)
    }

    /// Since when what Daypass made has been usable under a key without a break; `None` where it is not.
    pub(crate) fn usable_since(&self, key: &str) -> Option<Timestamp> {
        let now = self.time.now();
        let state = lock(&self.state);
        let mut since = None;
        for (at, shown) in state.shown.get(key)?.iter().rev() {
            if !shown.is_usable(since.unwrap_or(now)) {
                break;
            }
            since = Some(*at);
        }
        since
    }

    /// Whether it has been usable at some time since then.
    pub(crate) fn was_usable(&self, key: &str, since: Timestamp) -> bool {
        let state = lock(&self.state);
        if state.at(key, since).is_usable(since) {
            return true;
        }
        let history = state.shown.get(key).into_iter().flatten();
        history
            .filter(|(at, _)| *at >= since)
            .any(|(at, shown)| shown.is_usable(*at))
    }

    /// From when until when somebody was connected, in order; the last may go on.
    pub(crate) fn sessions(&self, key: &str) -> Vec<(Timestamp, Option<Timestamp>)> {
        let state = lock(&self.state);
        let mut all: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        for (at, shown) in state.shown.get(key).into_iter().flatten() {
            let open = all.last_mut().filter(|(_, until)| until.is_none());
            match (open, shown.sessions > 0) {
                (None, true) => all.push((*at, None)),
                (Some((_, until)), false) => *until = Some(*at),
                _ => {}
            }
        }
        all
    }

    /// Is out of order in this way until then.
    pub(crate) fn breaks(&self, how: Outage, until: Timestamp) {
        lock(&self.state).outages.push((until, how));
    }

    fn outage(&self) -> Option<Outage> {
        let now = self.time.now();
        let state = lock(&self.state);
        state
            .outages
            .iter()
            .rev()
            .find(|(until, _)| now < *until)
            .map(|(_, how)| *how)
    }

    /// Does something by hand; says under which key, if there was anything to do it to.
    pub(crate) fn by_hand(&self, deed: Deed, drawn: usize) -> Option<String> {
        let now = self.time.now();
        let mut state = lock(&self.state);
        let keys: Vec<_> = state
            .shown
            .keys()
            .filter(|key| match (deed, state.now(key)) {
                (Deed::Remove, shown) => shown.is_usable(now),
                (Deed::PutBack, shown) => shown == Shown::default(),
                // Where the target keeps limits: what has none is none of those.
                (Deed::Change, shown) => shown.is_open(now) && shown.limit().is_some(),
                _ => false,
            })
            .cloned()
            .collect();
        let ghost = || {
            ["door0", "door1", "ghost"]
                .get(drawn % 3)
                .map(|key| (*key).to_owned())
        };
        let key = match deed {
            Deed::Remove | Deed::PutBack | Deed::Change => keys.get(drawn % keys.len().max(1)).cloned(),
            Deed::AddMarked | Deed::AddForeign => ghost().filter(|key| state.now(key) == Shown::default()),
        }?;
        let before = state.now(&key);
        if deed == Deed::Change {
            let until = match drawn / 7 % 3 {
                0 => None,
                1 => Some(now + Span::minutes(1)),
                _ => Some(now + Span::hours(2)),
            };
            let standing = Some(Standing { ours: true, until });
            state.set(&key, Shown { standing, ..before }, now);
            return Some(key);
        }
        let standing = match deed {
            Deed::Change => before.standing,
            Deed::Remove => None,
            Deed::PutBack | Deed::AddMarked => Some(Standing {
                ours: true,
                until: None,
            }),
            Deed::AddForeign => Some(Standing {
                ours: false,
                until: None,
            }),
        };
        state.set(
            &key,
            Shown {
                standing,
                sessions: 0,
            },
            now,
        );
        Some(key)
    }

    /// Somebody connects, if they can.
    pub(crate) fn connect(&self, key: &str) -> bool {
        let now = self.time.now();
        let mut state = lock(&self.state);
        let mut shown = state.now(key);
        let open = shown.is_open(now);
        if open {
            shown.sessions += 1;
            state.set(key, shown, now);
        }
        open
    }

    /// Somebody leaves, if they are still there.
    pub(crate) fn leave(&self, key: &str) {
        let now = self.time.now();
        let mut state = lock(&self.state);
        let mut shown = state.now(key);
        shown.sessions = shown.sessions.saturating_sub(1);
        state.set(key, shown, now);
    }
}
