//! The inventory: what each connector's last survey told of who has what at its target without Daypass.
//!
//! It lives in memory. A survey reads and decides nothing, so that nothing is lost with the process; each server makes its own, and says
//! so where it has not made one yet. [`Surveyor`] makes them, beside the reconciler and never in its way; what they told is compared with
//! policy and directory when somebody asks ([`Row`], [`Adrift`]), so that another policy needs no other survey.

mod compare;
mod drift;
mod surveyor;
mod whose;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daypass_core::entitlement::Fault;
use daypass_core::name::Name;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use daypass_providers::inventory::{Cursor, Found, Standing};
use serde_json::Value;
use tokio::sync::Notify;

pub use self::compare::{Row, StandingFilter};
pub use self::drift::{Adrift, Drifted, HowAdrift};
pub use self::surveyor::Surveyor;
use crate::caller::Caller;
use crate::connectors;
use crate::engine::Engine;
use crate::error::not_found;

/// What a survey told, once it was through.
#[derive(Debug)]
pub struct Survey {
    /// When it began: nothing in it is older.
    pub began: Timestamp,
    /// When it was through.
    pub ended: Timestamp,
    /// Standing access.
    pub standing: Vec<Standing>,
    /// What a policy could name.
    pub found: Vec<Found>,
    /// What it could not tell, in words.
    pub untold: Vec<String>,
}

/// A survey that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Since when.
    pub began: Timestamp,
    /// How much has been looked at, as the kind counts …
    pub done: u64,
    /// … and of how much, where that is known.
    pub of: Option<u64>,
}

/// How the survey of a connector stands in this process.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// Which connector.
    pub connector: Name,
    /// Its kind.
    pub kind: Name,
    /// The last one that was through; `None` where this process has made none yet.
    pub last: Option<Arc<Survey>>,
    /// The one that is under way.
    pub under_way: Option<UnderWay>,
    /// Whether one was asked for that has not begun.
    pub asked_for: bool,
    /// Why it does not go on: since when, how, and what the provider said.
    pub failing: Option<(Timestamp, Fault, String)>,
    /// The kind said that it cannot tell what stands at its target.
    pub cannot_tell: bool,
}

/// What is known of one connector.
#[derive(Debug, Default)]
struct Known {
    /// The configuration that it was surveyed by: with another one, the target may be another.
    config: Value,
    last: Option<Arc<Survey>>,
    running: Option<Running>,
    cannot_tell: bool,
    wanted: bool,
    failing: Option<(Timestamp, Fault, String)>,
    /// How often in a row it failed.
    tries: u32,
    /// By this process's own clock: when it last began, and when it may go on.
    started: Option<Timestamp>,
    not_before: Option<Timestamp>,
    /// Whether a call is under way.
    calling: bool,
}

/// A survey that is not through.
#[derive(Debug)]
struct Running {
    so_far: Survey,
    cursor: Option<Cursor>,
    done: u64,
    of: Option<u64>,
}

/// What was surveyed, by connector.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    known: Mutex<BTreeMap<Name, Known>>,
    asked: Notify,
}

impl Inventory {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Name, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Asks for a survey of a connector now, whenever the last one was. One that is under way goes on, and no other one begins.
    ///
    /// # Errors
    /// Where the caller is no administrator, or the policy names no such connector.
    pub fn ask_survey(&self, caller: Caller, connector: &Name) -> Result<Surveyed, Refusal> {
        caller.administrator()?;
        let surveyed = self.surveyed(caller, connector)?;
        {
            let mut known = self.inventory.known();
            let one = known.entry(connector.clone()).or_default();
            // Whoever asks does not wait for the end of a pause.
            (one.wanted, one.not_before) = (one.running.is_none(), None);
        }
        self.inventory.asked.notify_one();
        Ok(Surveyed {
            asked_for: surveyed.under_way.is_none(),
            ..surveyed
        })
    }

    /// How the survey of a connector stands.
    ///
    /// # Errors
    /// Where the caller does not see everything, or the policy names no such connector.
    pub fn surveyed(&self, caller: Caller, connector: &Name) -> Result<Surveyed, Refusal> {
        let all = self.surveys(caller)?;
        let one = all.into_iter().find(|one| one.connector == *connector);
        one.ok_or_else(|| not_found(format!("there is no connector {connector}")))
    }

    /// How the surveys of all connectors stand.
    ///
    /// # Errors
    /// Where the caller does not see everything.
    pub fn surveys(&self, caller: Caller) -> Result<Vec<Surveyed>, Refusal> {
        if !caller.sees_all() {
            let what = "only auditors and administrators may see what stands at targets";
            return Err(Refusal::new(Code::Forbidden, what));
        }
        let current = self.current();
        let known = self.inventory.known();
        let view = |connector: &daypass_policy::Connector| {
            let mut surveyed = Surveyed {
                connector: connector.name.clone(),
                kind: connector.kind.clone(),
                last: None,
                under_way: None,
                asked_for: false,
                failing: None,
                cannot_tell: false,
            };
            let one = known.get(&connector.name);
            if let Some(one) = one.filter(|one| one.config == connector.config || one.started.is_none()) {
                surveyed.last.clone_from(&one.last);
                surveyed.under_way = one.running.as_ref().map(|running| UnderWay {
                    began: running.so_far.began,
                    done: running.done,
                    of: running.of,
                });
                surveyed.asked_for = one.wanted;
                surveyed.failing.clone_from(&one.failing);
                surveyed.cannot_tell = one.cannot_tell;
            }
            surveyed
        };
        Ok(current.policy.connectors().iter().map(view).collect())
    }

    /// Waits until somebody asks for a survey.
    pub async fn survey_asked(&self) {
        self.inventory.asked.notified().await;
    }

    /// The kind of target of this name, where this server has it.
    fn kind_of(&self, name: &str) -> Option<&'static dyn daypass_providers::Kind> {
        connectors::find(&self.parts.kinds, &name.parse().ok()?).ok()
    }
}
