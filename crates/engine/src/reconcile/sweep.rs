//! The sweep: asks each connector what is there, and finds what no grant holds (left by a crash, or added by hand), what is
//! missing (taken away by hand) and what has another limit (changed by hand). At the start of a process, then every so often. What it finds, the plan then deals with.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use daypass_core::entitlement::{Entitlement, Event, Fault, Observed, TargetKey};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::evidence;
use daypass_core::grant::Grant;
use daypass_core::name::Name;
use daypass_core::planted;
use daypass_core::time::Timestamp;
use daypass_policy::Drift;
use daypass_providers::{Error as TargetError, Inspection, Limit, Provider};
use daypass_store::{self as store, Scope};
use futures_util::FutureExt as _;

use super::calls::{self, Arrived, Caller};
use super::{Reconciler, earliest};
use crate::engine::Engine;

impl Reconciler {
    /// Starts the sweeps that are due, beside whatever else runs.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let every = self.engine.parts.settings.sweep_every;
        let current = self.engine.current();
        self.swept_at
            .retain(|name, _| current.connectors.get(name).is_some());
        for (name, provider) in current.connectors.iter() {
            let due = self.swept_at.get(name).is_none_or(|last| *last + every <= now);
            if !due || !self.sweeping.insert(name.clone()) {
                continue;
            }
            self.swept_at.insert(name.clone(), now);
            let (engine, provider) = (Arc::clone(&self.engine), Arc::clone(provider));
            let (caller, name) = (self.caller(), name.clone());
            self.running.push(Box::pin(async move {
                let found = connector(&engine, &caller, &name, provider.as_ref());
                let found = AssertUnwindSafe(found).catch_unwind().await;
                let failed = |_| Err(TargetError::new(Fault::Bug, "the sweep failed unexpectedly"));
                let found = found.unwrap_or_else(failed);
                Arrived::Swept(name, found)
            }));
        }
    }

    /// Takes in that a sweep came back.
    pub(super) fn swept(&mut self, connector: Name, found: Result<(), TargetError>) {
        self.sweeping.remove(&connector);
        self.health.swept(&connector, self.pauses(), found.as_ref().err());
        if let Err(error) = found {
            tracing::warn!(%connector, fault = %error.fault, detail = error.detail, "sweep failed");
        }
    }

    pub(super) fn next_sweep(&self) -> Option<Timestamp> {
        let every = self.engine.parts.settings.sweep_every;
        // One that is still under way is no reason to look again: its coming back is.
        let idle = self
            .swept_at
            .iter()
            .filter(|(name, _)| !self.sweeping.contains(*name));
        earliest([idle.map(|(_, last)| *last + every).min()])
    }
}

async fn connector(
    engine: &Engine,
    caller: &Caller,
    name: &Name,
    provider: &dyn Provider,
) -> Result<(), TargetError> {
    if planted::is(planted::Fault::NoSweep) {
        return Ok(());
    }
    let listed = provider.list_managed().await?;
    // The ledger is read after the target: what was provisioned in between has its intent written down by then.
    let ledger = match engine.store().entitlements_of(name).await {
        Ok(ledger) => ledger,
        Err(error) => {
            tracing::warn!(connector = %name, %error, "the sweep could not read the ledger");
            return Ok(());
        }
    };
    let ledger: BTreeMap<String, Entitlement> = ledger
        .into_iter()
        .map(|entitlement| (entitlement.key.key.clone(), entitlement))
        .collect();
    // One that cannot be looked at must not hide the others.
    let mut unseen = Ok(());
    for key in listed.keys() {
        let known = ledger.get(key).map(|entitlement| &entitlement.observed);
        if matches!(known, None | Some(Observed::Absent { .. })) {
            let spec = ledger
                .get(key)
                .and_then(|entitlement| entitlement.spec.as_deref());
            match provider.inspect(key, spec).await {
                Ok(Inspection::Present { .. }) => {
                    let (connector, key) = (name.clone(), key.clone());
                    note_drift(engine, TargetKey { connector, key }, None).await;
                }
                Ok(_) => {}
                Err(error) => unseen = unseen.and(only_this_key(error)?),
            }
        }
    }
    for (key, entitlement) in &ledger {
        let Observed::Present { until, at } = entitlement.observed else {
            if !listed.contains_key(key)
                && let Err(error) = left_to_people(engine, caller, provider, entitlement).await
            {
                unseen = unseen.and(only_this_key(error)?);
            }
            continue;
        };
        let as_known = match listed.get(key) {
            None => false,
            Some(Limit::Told(limit)) => *limit == until || planted::is(planted::Fault::BelieveLimits),
            Some(Limit::Untold) => true,
        };
        if !as_known
            && let Err(error) = look(
                engine,
                caller,
                provider,
                entitlement,
                (until, at),
                listed.contains_key(key),
            )
            .await
        {
            unseen = unseen.and(only_this_key(error)?);
        }
    }
    unseen
}

/// Whether some grant that is not ending holds it.
async fn is_held(engine: &Engine, key: &TargetKey) -> bool {
    let held = engine.store().held(std::slice::from_ref(key)).await;
    let holds = |grant: &Grant| grant.is_live() && grant.parts.iter().any(|part| part.target == *key);
    held.is_ok_and(|held| held.grants.values().any(holds))
}

/// Where the whole target does not answer, asking for the next key would only take long.
fn only_this_key(error: TargetError) -> Result<Result<(), TargetError>, TargetError> {
    match error.fault {
        Fault::Unavailable | Fault::RateLimited => Err(error),
        _ => Ok(Err(error)),
    }
}

/// Access that nobody holds, or not so. Once noted, the plan takes it away (or, where the connector says so, leaves it to people), or
/// makes it as its holders have it. `known`: what was known when it was looked at, where it was known to be there.
async fn note_drift(engine: &Engine, key: TargetKey, known: Option<Observed>) {
    tracing::warn!(%key, held = known.is_some(), "the target shows what no grant gives");
    let noted = engine
        .store()
        .transition(Scope::Entitlement(key.clone()), move |world, _| {
            // Provisioned meanwhile, or noted before: nothing to add.
            let as_before = match (&known, world.entitlements.get(&key)) {
                (Some(known), now) => now.is_some_and(|now| now.observed == *known),
                (None, None) => true,
                (None, Some(now)) => matches!(now.observed, Observed::Absent { .. }),
            };
            if !as_before {
                return Ok(store::Outcome::default());
            }
            let event = Event::DriftFound { key: key.clone() };
            Ok(store::Outcome::one(
                Actor::System,
                Subject::Entitlement(key),
                What::Entitlement(event),
            ))
        })
        .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "the drift could not be noted; the next sweep finds it again");
    }
}

/// Drift that was left to people (`drift: alarm`) and is not listed any more: nothing else looks whether they took it away.
async fn left_to_people(
    engine: &Engine,
    caller: &Caller,
    provider: &dyn Provider,
    entitlement: &Entitlement,
) -> Result<(), TargetError> {
    let key = &entitlement.key;
    let policy = engine.current().policy;
    let connector = policy.connector(key.connector.as_str());
    if connector.is_none_or(|connector| connector.drift != Drift::Alarm)
        || entitlement.intent.is_some()
        || entitlement.unsettled_until().is_some()
        || is_held(engine, key).await
    {
        return Ok(());
    }
    let looked = caller.certain_now(engine, provider.capabilities().ceiling).await;
    if let Inspection::Absent { residue } = provider.inspect(&key.key, entitlement.spec.as_deref()).await? {
        let residue = evidence::recorded_residue(residue);
        let seen = vec![Event::VerifiedAbsent {
            residue,
            shown_by: None,
        }];
        let by = caller.observer(entitlement.epoch, looked - calls::propagation(provider));
        if let Err(error) = calls::record(engine, key, &by, false, seen).await {
            tracing::debug!(%key, %error, "what the sweep saw was overtaken");
        }
    }
    Ok(())
}

/// Access that should be there and is not listed, or with another limit than was last seen: looked at once more. What is gone is
/// written down as taken away by hand; what is changed is noted, and the plan has it put right.
async fn look(
    engine: &Engine,
    caller: &Caller,
    provider: &dyn Provider,
    entitlement: &Entitlement,
    (known, seen_at): (Option<Timestamp>, Timestamp),
    listed: bool,
) -> Result<(), TargetError> {
    let now = engine.now().await;
    let looked = caller.certain_now(engine, provider.capabilities().ceiling).await;
    // Not to be seen yet, or perhaps cut by a removal that was on its way when somebody came to hold it: then it is
    // provisioned once more, and was not taken away by hand.
    if now < seen_at + calls::propagation(provider) || entitlement.unsettled_until().is_some() {
        return Ok(());
    }
    let key = &entitlement.key;
    let seen = provider.inspect(&key.key, entitlement.spec.as_deref()).await?;
    // What nobody holds is being taken away, and may be half gone: that is for whoever takes it away to tell.
    if listed && !is_held(engine, key).await {
        return Ok(());
    }
    let gone = match seen {
        Inspection::Absent { residue } => (evidence::recorded_residue(residue), None),
        Inspection::Gone { shown_by } => (Vec::new(), Some(evidence::recorded_proof(&shown_by))),
        Inspection::Present { until, .. } if until != known => {
            note_drift(engine, key.clone(), Some(entitlement.observed.clone())).await;
            return Ok(());
        }
        Inspection::Present { .. } | Inspection::Unknown => return Ok(()),
    };
    let (residue, shown_by) = gone;
    let seen = vec![Event::VerifiedAbsent { residue, shown_by }];
    let by = caller.observer(entitlement.epoch, looked - calls::propagation(provider));
    if let Err(error) = calls::record(engine, key, &by, false, seen).await {
        tracing::debug!(%key, %error, "what the sweep saw was overtaken");
    }
    Ok(())
}
