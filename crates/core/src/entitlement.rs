//! An entitlement: the unit that is provisioned at a target, found there by its `target_key`.
//!
//! What is *desired* follows from the grants that hold it and is never stored. What was *observed*, and what was intended
//! and not yet seen, is kept here. An entitlement exists from its first intent on: what was never intended need not be undone.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::id::{GrantId, PersonId};
use crate::name::{Item, Name};
use crate::planted::{self, is};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// Where an entitlement is: the connector, and the provider's own key there. Structured, so that no two collide by spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetKey {
    /// The connector: one account, cluster or database server.
    pub connector: Name,
    /// What the provider calls it there. Two grants with one key share one opening.
    pub key: String,
}

impl std::fmt::Display for TargetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}:{}", self.connector, self.key))
    }
}

/// What to provision, frozen when the grant was made: its end must not depend on what the policy says by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The provider's kind.
    pub kind: Name,
    /// The role on the resource.
    pub item: Item,
    /// The resource's configuration, as the provider reads it.
    pub resource: serde_json::Value,
    /// The role's configuration, as the provider reads it.
    pub role: serde_json::Value,
    /// Who will hold it.
    pub holder: PersonId,
    /// The grant that it was first made for.
    pub grant: GrantId,
    /// What the target calls who holds it (an object id, a user's name there), where the kind gives access to somebody that the
    /// target knows. From the directory, never from who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The address that it is opened to, where the kind opens something to an address: the one that the request is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
}

/// An entitlement at its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// Where it is.
    pub key: TargetKey,
    /// What it is; `None` for access that was found at the target and that the ledger did not know.
    pub spec: Option<Box<Spec>>,
    /// Counts the intents. A worker with an older epoch has been overtaken and records nothing.
    pub epoch: u64,
    /// The provisioning that may be under way.
    pub intent: Option<Intent>,
    /// When the last provisioning was intended; `None` for access that Daypass never meant to make. Whoever comes to hold it
    /// later has it provisioned once more: a read, however new, may show what was before.
    pub intended_at: Option<Timestamp>,
    /// Until then it may still appear: an earlier provisioning was given up without an answer and may yet take effect. To
    /// have seen it absent before proves nothing.
    pub may_appear_until: Option<Timestamp>,
    /// Until then it may still vanish: a removal was sent and may yet take effect. To have seen it present before is no
    /// promise; it is provisioned once more afterwards, if somebody holds it.
    pub may_vanish_until: Option<Timestamp>,
    /// When a removal was last sent, or known to be through, and nobody has seen since that it is gone or there again. A read that
    /// lags may show what was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// What was last seen.
    pub observed: Observed,
}

/// A provisioning that was about to begin: written before the call, so that a crash leaves nothing unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which worker claimed it (one server process has one name).
    pub worker: String,
    /// Until when it is to last at the target.
    pub until: Timestamp,
    /// After this the call is certainly over, whatever became of the worker.
    pub claim_ends: Timestamp,
}

/// Who says what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observer<'a> {
    /// The worker.
    pub worker: &'a str,
    /// The last intent that it knows of.
    pub epoch: u64,
    /// Whether it knows what became of its own last provisioning.
    pub certain: bool,
    /// What it saw is not older than this: a read may lag by as much as the target says.
    pub as_of: Timestamp,
}

/// What a target showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "observed", rename_all = "lowercase")]
pub enum Observed {
    /// A call is under way or was made, and nobody has looked since.
    Unknown {
        /// Since when.
        since: Timestamp,
    },
    /// It is there.
    Present {
        /// The target's own limit; `None` where the target keeps none.
        until: Option<Timestamp>,
        /// When it was seen.
        at: Timestamp,
    },
    /// It is not usable.
    Absent {
        /// When that was seen.
        at: Timestamp,
        /// What was left behind (owned objects and the like): reported, and no access.
        residue: Vec<String>,
        /// What shows it, where that is not a look at the target: hosts that acknowledged, or time that passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown_by: Option<String>,
    },
}

impl Observed {
    /// The state's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Present { .. } => "present",
            Self::Absent { .. } => "absent",
        }
    }

    /// When it was last looked at, or last became unknown.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Unknown { since } => *since,
            Self::Present { at, .. } | Self::Absent { at, .. } => *at,
        }
    }
}

/// What went wrong with a call to a target, as far as it matters to what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Something that the call needs is not there (a role to be a member of, a database).
    NotFound,
    /// The target refused Daypass's own credentials or rights.
    Denied,
    /// Too many calls.
    RateLimited,
    /// Something else changed it at the same time.
    Conflict,
    /// What should be made is there already, and is not ours.
    AlreadyStanding,
    /// Not reached, or no answer in time. The effect may have taken place.
    Unavailable,
    /// The connector or role is configured so that it cannot work.
    Misconfigured,
    /// Anything else.
    Bug,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::NotFound => "not found",
            Self::Denied => "denied",
            Self::RateLimited => "rate limited",
            Self::Conflict => "conflict",
            Self::AlreadyStanding => "already standing",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Bug => "unexpected",
        })
    }
}

/// What happened to an entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A provisioning is about to begin.
    Intended {
        /// Where.
        key: TargetKey,
        /// What.
        spec: Box<Spec>,
        /// The claim.
        intent: Intent,
        /// The epoch that it begins.
        epoch: u64,
        /// Until then an earlier provisioning may still take effect.
        may_appear_until: Option<Timestamp>,
    },
    /// A removal is about to be sent to a target where others may come to hold the same.
    Removing {
        /// Until then it may take effect, whatever becomes of the worker.
        until: Timestamp,
    },
    /// It was seen at the target.
    Provisioned {
        /// The target's own limit.
        until: Option<Timestamp>,
    },
    /// A removal was carried out. Nobody has looked yet.
    Revoked,
    /// The target was read, and it is not usable there.
    VerifiedAbsent {
        /// What was left behind.
        residue: Vec<String>,
        /// What shows it, where that is not a look at the target: hosts that acknowledged, or time that passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown_by: Option<String>,
    },
    /// Calls began to fail in this way. Told once for each kind in a row, not for each attempt.
    Failing {
        /// How.
        fault: Fault,
        /// What was attempted: `provision`, `revoke` or `inspect`.
        doing: String,
        /// What the provider said of it; no secrets.
        detail: String,
    },
    /// What stands at the target is not what the grants give: access that none of them holds, or with another limit. Added or changed
    /// by hand, or left by a crash.
    DriftFound {
        /// Where.
        key: TargetKey,
    },
}

impl Entitlement {
    /// What a new intent leads to: the event that must be durable before the call. `certain`: what became of the worker's
    /// own last provisioning is known.
    ///
    /// # Errors
    /// Where another worker's claim still runs.
    pub fn intend(
        existing: Option<&Self>,
        key: TargetKey,
        spec: Spec,
        intent: Intent,
        certain: bool,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        if let Some(other) = existing.and_then(|existing| existing.claimed_by_other(&intent.worker, now)) {
            return Err(Refusal::new(
                Code::Stale,
                format!("another worker provisions it until {}", other.claim_ends),
            ));
        }
        let epoch = existing.map_or(0, |existing| existing.epoch) + 1;
        // One key is one thing at the target: the first spec stays.
        let spec = existing
            .and_then(|existing| existing.spec.clone())
            .unwrap_or_else(|| Box::new(spec));
        let may_appear_until =
            existing.and_then(|existing| existing.may_appear_until(&intent.worker, certain, now));
        Ok(Event::Intended {
            key,
            spec,
            intent,
            epoch,
            may_appear_until,
        })
    }

    /// Whether what a worker saw may be recorded.
    ///
    /// # Errors
    /// Where a newer intent has overtaken the worker, or an absence was read while a provisioning may still land.
    pub fn observe(&self, event: Event, by: &Observer<'_>) -> Result<Event, Refusal> {
        if by.epoch != self.epoch && !is(planted::Fault::TrustStaleFence) {
            return Err(Refusal::new(
                Code::Stale,
                format!("epoch {} was overtaken by {}", by.epoch, self.epoch),
            ));
        }
        match self.may_appear_until(by.worker, by.certain, by.as_of) {
            Some(until) if matches!(event, Event::VerifiedAbsent { .. }) => {
                let what = format!("a provisioning may still land until {until}");
                Err(Refusal::new(Code::Stale, what))
            }
            _ => Ok(event),
        }
    }

    /// Until when a provisioning may still take effect, if one may: another worker's, one of the asking worker's own whose
    /// outcome it does not know (`certain` is false), or an earlier one that was given up.
    #[must_use]
    pub fn may_appear_until(&self, worker: &str, certain: bool, now: Timestamp) -> Option<Timestamp> {
        let open = self
            .intent
            .as_ref()
            .filter(|intent| intent.worker != worker || !certain)
            .map(|intent| intent.claim_ends);
        if is(planted::Fault::TrustStaleFence) {
            return None;
        }
        open.max(self.may_appear_until).filter(|until| now < *until)
    }

    /// Until when what was seen may still change by calls that were made before it was seen.
    #[must_use]
    pub fn unsettled_until(&self) -> Option<Timestamp> {
        self.may_appear_until
            .max(self.may_vanish_until)
            .filter(|until| self.observed.at() < *until)
    }

    /// Whether a look that is no newer than this may show what was there before a removal.
    #[must_use]
    pub fn may_show_removed(&self, as_of: Timestamp) -> bool {
        self.removed_at.is_some_and(|removed| as_of <= removed)
    }

    /// The claim of a worker other than this one, while it runs.
    #[must_use]
    pub fn claimed_by_other(&self, worker: &str, now: Timestamp) -> Option<&Intent> {
        self.intent
            .as_ref()
            .filter(|intent| intent.worker != worker && now < intent.claim_ends)
    }

    /// The entitlement after an event, or `None` where the event does not follow.
    #[must_use]
    pub fn evolve(existing: Option<Self>, event: &Event, at: Timestamp) -> Option<Self> {
        if let Event::Intended {
            key,
            spec,
            intent,
            epoch,
            may_appear_until,
        } = event
        {
            let next = existing.as_ref().map_or(0, |existing| existing.epoch) + 1;
            return (*epoch == next).then(|| Self {
                key: key.clone(),
                spec: Some(spec.clone()),
                epoch: *epoch,
                intent: Some(intent.clone()),
                intended_at: Some(at),
                may_appear_until: *may_appear_until,
                may_vanish_until: existing.as_ref().and_then(|existing| existing.may_vanish_until),
                removed_at: existing.and_then(|existing| existing.removed_at),
                observed: Observed::Unknown { since: at },
            });
        }
        if let (Event::DriftFound { key }, None) = (event, &existing) {
            let observed = Observed::Unknown { since: at };
            return Some(Self {
                key: key.clone(),
                spec: None,
                epoch: 0,
                intent: None,
                intended_at: None,
                may_appear_until: None,
                may_vanish_until: None,
                removed_at: None,
                observed,
            });
        }
        let mut entitlement = existing?;
        match event {
            Event::Intended { .. } => return None,
            Event::Removing { until } => {
                entitlement.may_vanish_until = entitlement.may_vanish_until.max(Some(*until));
                entitlement.removed_at = Some(*until);
                entitlement.observed = Observed::Unknown { since: at };
            }
            Event::Provisioned { until } => {
                entitlement.intent = None;
                entitlement.removed_at = None;
                entitlement.observed = Observed::Present { until: *until, at };
            }
            // The intent stays: a provisioning that another worker began may land after this removal.
            Event::Revoked => {
                entitlement.removed_at = Some(at);
                entitlement.observed = Observed::Unknown { since: at };
            }
            Event::DriftFound { .. } => entitlement.observed = Observed::Unknown { since: at },
            Event::VerifiedAbsent { residue, shown_by } => {
                entitlement.intent = None;
                entitlement.removed_at = None;
                entitlement.observed = Observed::Absent {
                    at,
                    residue: residue.clone(),
                    shown_by: shown_by.clone(),
                };
            }
            Event::Failing { .. } => {}
        }
        // What could have happened by now has.
        if !matches!(entitlement.observed, Observed::Unknown { .. }) {
            entitlement.may_appear_until = entitlement.may_appear_until.filter(|until| at < *until);
            entitlement.may_vanish_until = entitlement.may_vanish_until.filter(|until| at < *until);
        }
        Some(entitlement)
    }
}
