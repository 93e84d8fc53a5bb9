//! Faults on demand: what goes wrong with which calls, how often, and whether it has happened.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::call::{Call, Reply};
use super::operations::Fate;
use crate::{Error, Result};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 403, with the words of the service; nothing happens.
    Denied,
    /// 429 with `Retry-After` in seconds; nothing happens.
    Throttled(u64),
    /// 429 `RetryableError` without a `Retry-After`, as the network's service has it when it is busy; nothing happens.
    Busy,
    /// 409; nothing happens.
    Conflict,
    /// 409 `ScopeLocked`; nothing happens.
    Locked,
    /// 503; nothing happens.
    Unavailable,
    /// 500, after it has happened.
    ErrorAfterTheEffect,
    /// It happens, and the connection is cut before the answer.
    LostAnswer,
    /// The connection is cut before anything happens.
    Cut,
    /// The answer comes that much later, by the machine's clock; it happens at once.
    Slow(Duration),
    /// It happens, and no answer ever comes; the connection stays.
    Hangs,
    /// The caller's token has run out just now: 401; nothing happens.
    TokenExpired,
    /// The asynchronous operation that the call starts never ends.
    NeverEnds,
    /// The asynchronous operation that the call starts fails, and what it was to do is not done.
    OperationFails,
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// So often.
    Exactly(u32),
    /// Until [`Struck::lift`].
    Always,
}

/// A fault that was asked for: tells how often it struck.
#[derive(Debug, Clone)]
#[must_use = "it tells when the fault has struck"]
pub struct Struck(Arc<(Mutex<Count>, Condvar)>);

#[derive(Debug)]
struct Count {
    hits: u32,
    left: Option<u32>,
}

impl Struck {
    fn new(times: Times) -> Self {
        let left = match times {
            Times::Exactly(left) => Some(left),
            Times::Always => None,
        };
        Self(Arc::new((Mutex::new(Count { hits: 0, left }), Condvar::new())))
    }

    /// How often it struck.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).hits
    }

    /// Ends it.
    pub fn lift(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).left = Some(0);
    }

    /// Waits until it has struck at least so often.
    ///
    /// # Errors
    /// [`Error::TooLate`] when it did not in time.
    pub fn wait(&self, hits: u32, within: Duration) -> Result<()> {
        let (count, changed) = &*self.0;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, _) = changed
            .wait_timeout_while(count, within, |count| count.hits < hits)
            .unwrap_or_else(PoisonError::into_inner);
        if count.hits >= hits {
            return Ok(());
        }
        Err(Error::TooLate {
            what: format!("a fault's strike number {hits}"),
            within,
        })
    }

    /// Takes one of its strikes.
    fn take(&self) -> bool {
        let (count, changed) = &*self.0;
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut count.left {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        count.hits += 1;
        changed.notify_all();
        true
    }
}

/// Which calls a fault is for.
#[derive(Debug, Clone)]
struct Planned {
    method: String,
    path: String,
    fault: Fault,
    struck: Struck,
}

/// All that were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<Planned>);

impl Faults {
    pub(super) fn plan(&mut self, method: &str, path: &str, fault: Fault, times: Times) -> Struck {
        let struck = Struck::new(times);
        self.0.push(Planned {
            method: method.to_ascii_uppercase(),
            path: path.to_ascii_lowercase(),
            fault,
            struck: struck.clone(),
        });
        struck
    }

    /// The first one that a call meets; it is counted.
    pub(super) fn meet(&self, call: &Call) -> Option<Fault> {
        let path = call.path.to_ascii_lowercase();
        let met = self
            .0
            .iter()
            .filter(|one| one.method == "*" || one.method == call.method);
        let mut met = met.filter(|one| path.contains(&one.path));
        met.find(|one| one.struck.take()).map(|one| one.fault.clone())
    }
}

impl Fault {
    /// How an operation fares that a struck call starts.
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::NeverEnds => Fate::Never,
            Self::OperationFails => Fate::Fails,
            _ => Fate::Well,
        }
    }

    /// The answer of a fault that keeps the call from happening.
    pub(super) fn refusal(&self, call: &Call) -> Option<Reply> {
        let graph = call.path.starts_with("/v1.0/");
        Some(match self {
            Self::Denied if graph => Reply::arm(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            ),
            Self::Denied => {
                let target = super::scope::Target::of(&call.path);
                let action = super::rights::action(&call.method, &target);
                let who = &call.caller;
                let message = format!(
                    "The client '{who}' with object id '{who}' does not have authorization to perform action '{action}' over scope \
                     '{}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
                    call.path
                );
                Reply::arm(403, "AuthorizationFailed", message)
            }
            Self::Throttled(seconds) => {
                let code = if graph {
                    "TooManyRequests"
                } else {
                    "SubscriptionRequestsThrottled"
                };
                let message = format!("Too many requests. Please try again after '{seconds}' seconds.");
                Reply::arm(429, code, message).with("Retry-After", seconds.to_string())
            }
            Self::Busy => Reply::arm(429, "RetryableError", "A retryable error occurred."),
            Self::Conflict => Reply::arm(
                409,
                "Conflict",
                "The request conflicts with another one on the same resource.",
            ),
            Self::Locked => {
                let message = format!(
                    "The scope '{}' cannot perform delete operation because following scope(s) are locked: '{}'. Please remove the \
                     lock and try again.",
                    call.path, call.path
                );
                Reply::arm(409, "ScopeLocked", message)
            }
            Self::Unavailable => Reply::arm(
                503,
                "ServiceUnavailable",
                "The service is temporarily unavailable.",
            ),
            _ => return None,
        })
    }
}
