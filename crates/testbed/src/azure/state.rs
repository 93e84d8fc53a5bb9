//! The stand-in's whole state behind one lock: what the services keep, and what is only the stand-in's own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::call::{Answer, Call, Reply};
use super::edge::machine_now;
use super::exchange::Exchange;
use super::faults::Faults;
use super::operations::after;
use super::token::{Credential, Token};
use super::world::Data;
use super::{activity, roles, route};

/// How many earlier states are kept for reads that lag.
const PAST: usize = 512;

/// Reads of these paths see what was so long ago.
#[derive(Debug, Clone)]
pub(super) struct Lag {
    path: String,
    by: Duration,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) data: Data,
    /// What was, and since when; only while reads lag.
    past: VecDeque<(Timestamp, Data)>,
    lags: Vec<Lag>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) token_life: Duration,
    pub(super) credentials: Vec<Credential>,
    pub(super) faults: Faults,
    /// By how much a test moved the clock.
    pub(super) moved: Duration,
    pub(super) exchanges: Vec<Exchange>,
}

impl World {
    /// An empty tenant with Azure's built-in roles.
    pub(super) fn new() -> Self {
        let mut data = Data {
            tenant: "7e4a0000-0000-4000-8000-000000000001".to_owned(),
            // Graph's default; ARM's differ from service to service.
            page_size: 100,
            ..Data::default()
        };
        roles::built_in(&mut data);
        Self {
            data,
            token_life: Duration::from_secs(3599),
            ..Self::default()
        }
    }

    /// The stand-in's time.
    pub(super) fn now(&self) -> Timestamp {
        after(machine_now(), self.moved)
    }

    /// Lets reads of paths with this in it see what was so long ago; nothing: no more of that.
    pub(super) fn lag(&mut self, path: &str, by: Duration) {
        let now = self.now();
        let path = path.to_ascii_lowercase();
        self.lags.retain(|lag| lag.path != path);
        if by > Duration::ZERO {
            self.lags.push(Lag { path, by });
            if self.past.is_empty() {
                self.past.push_back((Timestamp::MIN, self.data.clone()));
            }
        }
        if self.lags.is_empty() {
            self.past.clear();
        }
        self.remember(now);
    }

    /// Keeps the state as it is now, for reads that lag.
    pub(super) fn remember(&mut self, now: Timestamp) {
        if self.lags.is_empty() {
            return;
        }
        self.past.push_back((now, self.data.clone()));
        if self.past.len() > PAST {
            self.past.pop_front();
        }
    }

    /// What a read sees, where it lags.
    fn seen(&self, call: &Call) -> Option<Data> {
        let path = call.path.to_ascii_lowercase();
        let reads = call.method == "GET" || path.ends_with("/effectivenetworksecuritygroups");
        if !reads || path.contains("/operation") {
            return None;
        }
        let lag = self.lags.iter().find(|lag| path.contains(&lag.path))?;
        let at = jiff::SignedDuration::try_from(lag.by).ok()?;
        let at = call.now.checked_sub(at).ok()?;
        let (_, data) = self.past.iter().rev().find(|(since, _)| *since <= at)?;
        let mut data = data.clone();
        data.settle(at);
        Some(data)
    }

    /// Answers one call, faults apart.
    pub(super) fn answer(&mut self, call: &mut Call) -> Reply {
        self.data.settle(call.now);
        let answer = self.judge(call);
        self.remember(call.now);
        answer.unwrap_or_else(|refused| refused)
    }

    fn judge(&mut self, call: &mut Call) -> Answer {
        if let Some(answer) = route::open(call, self) {
            return answer;
        }
        if call.caller.is_empty() {
            call.caller = super::token::caller(call, self, route::audience(call))?;
        }
        match self.seen(call) {
            // An operation that a lagging read starts is a real one.
            Some(mut data) => {
                data.made = self.data.made;
                data.operations.clone_from(&self.data.operations);
                let answer = route::answer(call, &mut data);
                self.data.made = data.made;
                self.data.operations = data.operations;
                answer
            }
            None => {
                let answer = route::answer(call, &mut self.data);
                self.note(call, &answer);
                answer
            }
        }
    }

    /// Writes at ARM land in the Activity Log, refused ones too.
    fn note(&mut self, call: &Call, answer: &Answer) {
        if call.method == "GET" || call.path.starts_with("/v1.0/") {
            return;
        }
        let status = match answer {
            Ok(reply) | Err(reply) => reply.status,
        };
        if status == 204 || status == 404 {
            return;
        }
        let target = super::scope::Target::of(&call.path);
        let action = super::rights::action(&call.method, &target);
        self.data.log(call.now, &call.caller, &action, &call.path, status);
    }
}

/// Locks a state even where a test died holding it.
pub(super) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Does something by hand, at the stand-in's time.
    pub(super) fn by_hand<T>(&mut self, act: impl FnOnce(&mut Data, Timestamp) -> T) -> T {
        let now = self.now();
        self.data.settle(now);
        let done = act(&mut self.data, now);
        self.remember(now);
        done
    }

    /// The Activity Log as a whole, for `look`.
    pub(super) fn activity(&self) -> &[activity::Entry] {
        &self.data.activity
    }
}
