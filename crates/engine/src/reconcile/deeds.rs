//! What was done with access: asks the targets that tell, and enters it in the grant's timeline.
//!
//! How far a connector has told stands with the grant, so that a restart or another server goes on from there. Which stretches
//! were read and held nothing is only in this process's memory: they are read once more after a restart, and still hold nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use daypass_core::deed::{Deed, Telling};
use daypass_core::entitlement::Fault;
use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, Part};
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::Error as TargetError;
use daypass_store::{self as store, Outcome as Decided, Scope};
use futures_util::FutureExt as _;

use super::Reconciler;
use super::calls::{Arrived, provider};
use crate::engine::Engine;
use crate::error::Error;

/// How often a connector is asked about one grant, at most.
const ASK_EVERY: Span = Span::minutes(5);

/// How often it is read which grants have more to tell.
const LIST_EVERY: Span = Span::minutes(1);

/// How many of them are looked at, the oldest first. More than so many wait for their turn.
const MOST: usize = 2_000;

/// For so long after its end it is tried to read what was done with a grant; then the log says that it was not read.
const GIVE_UP_AFTER: Span = Span::hours(48);

/// A grant, and one of its connectors.
type Asked = (GrantId, Name);

/// What is known of those that have more to tell; pauses are in this process's own time.
#[derive(Default)]
pub(super) struct Deeds {
    listed: Option<Timestamp>,
    grants: BTreeMap<GrantId, Grant>,
    asked: BTreeMap<Asked, Timestamp>,
    /// Until when a connector was read and told of nothing, behind what stands with the grant.
    read: BTreeMap<Asked, Timestamp>,
    /// Connectors with a question under way: they have one at a time, for what sets access up and takes it away comes first.
    under_way: BTreeSet<Name>,
}

impl Deeds {
    fn keep(&mut self, grants: Vec<Grant>) {
        self.grants = grants.into_iter().map(|grant| (grant.id, grant)).collect();
        let known = |(id, _): &Asked| self.grants.contains_key(id);
        self.asked.retain(|asked, _| known(asked));
        self.read.retain(|asked, _| known(asked));
    }

    /// From when on a connector is to tell of a grant.
    fn from(&self, grant: &Grant, connector: &Name) -> Option<Timestamp> {
        let told = grant.told_from(connector)?;
        let read = self.read.get(&(grant.id, connector.clone()));
        Some(read.map_or(told, |read| told.max(*read)))
    }

    /// Each grant with each of its connectors that has more to tell.
    fn open(&self) -> impl Iterator<Item = Asked> + '_ {
        self.grants.values().flat_map(|grant| {
            let names = grant.untold().into_iter();
            names.map(|connector| (grant.id, connector.clone()))
        })
    }

    /// When a connector may be asked about a grant again.
    fn due(&self, asked: &Asked) -> Timestamp {
        let last = self.asked.get(asked);
        last.map_or(Timestamp::EPOCH, |at| *at + ASK_EVERY)
    }
}

/// What a connector told, or that it did not.
pub(super) struct Answer {
    asked: Asked,
    through: Timestamp,
    told: Result<Telling, TargetError>,
}

impl Reconciler {
    /// Reads which grants have more to tell, and asks for it; answers how much of the ledger changed. The questions themselves
    /// wait for nothing and keep nothing waiting.
    pub(super) async fn ask_for_deeds(&mut self, now: Timestamp) -> Result<usize, Error> {
        let uptime = self.pauses();
        if self.deeds.listed.is_none_or(|at| uptime >= at + LIST_EVERY) {
            let grants = self.engine.store().telling_grants(MOST).await?;
            self.deeds.keep(grants);
            self.deeds.listed = Some(uptime);
        }
        let open = self.deeds.open().map(|asked| (self.deeds.due(&asked), asked));
        let mut waiting: Vec<(Timestamp, Asked)> = open.filter(|(due, _)| *due <= uptime).collect();
        waiting.sort_unstable();
        let mut changed = 0;
        for (_, asked) in waiting {
            changed += self.ask_for(asked, now).await?;
        }
        Ok(changed)
    }

    /// When there is something to ask next, in the store's time.
    pub(super) fn next_deeds(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.deeds.open();
        let free = open.filter(|(_, connector)| !self.deeds.under_way.contains(connector));
        let due = free.map(|asked| self.deeds.due(&asked)).min()?;
        let uptime = self.pauses();
        Some(now + due.max(uptime + Span::seconds(1)).since(uptime))
    }

    /// Asks one connector about one grant, where it is free and there is something to ask.
    async fn ask_for(&mut self, asked: Asked, now: Timestamp) -> Result<usize, Error> {
        let (id, connector) = &asked;
        let Some(grant) = self.deeds.grants.get(id) else {
            return Ok(0);
        };
        if let Some(gone) = grant.gone_at().filter(|gone| now > *gone + GIVE_UP_AFTER) {
            let (id, connector) = asked;
            return self.enter(id, connector, Telling::default(), gone, true).await;
        }
        if self.deeds.under_way.contains(connector) {
            return Ok(0);
        }
        let of = |part: &&Part| part.tells && part.target.connector == *connector;
        let parts: Vec<Part> = grant.parts.iter().filter(of).cloned().collect();
        let (Some(part), Some(from)) = (parts.first(), self.deeds.from(grant, connector)) else {
            return Ok(0);
        };
        let lag = provider(&self.engine, &part.target).map(|provider| provider.tells_deeds());
        let Ok(Some(lag)) = lag else {
            // A policy that has lost it, or changed what it is: it may come back.
            self.deeds.asked.insert(asked, self.engine.uptime());
            return Ok(0);
        };
        let settled = now - lag;
        let last = grant.gone_at().filter(|gone| *gone <= settled);
        let through = last.unwrap_or(settled);
        self.deeds.asked.insert(asked.clone(), self.engine.uptime());
        if through <= from && last.is_none() {
            return Ok(0);
        }
        // What was done in the very instant that it was seen to be gone is not lost.
        let to = last.map_or(through, |last| last + Span::millis(1));
        self.deeds.under_way.insert(connector.clone());
        let engine = Arc::clone(&self.engine);
        self.running.push(Box::pin(async move {
            let call = all_of(&engine, &parts, from, to);
            // A provider with a bug fails its own question.
            let told = AssertUnwindSafe(call).catch_unwind().await;
            let failed = |_| Err(TargetError::new(Fault::Bug, "asking failed unexpectedly"));
            Arrived::Told(Answer {
                asked,
                through,
                told: told.unwrap_or_else(failed),
            })
        }));
        Ok(0)
    }

    /// Takes in what a connector told.
    pub(super) async fn deeds_told(&mut self, answer: Answer) {
        let Answer { asked, through, told } = answer;
        self.deeds.under_way.remove(&asked.1);
        let telling = match told {
            Ok(telling) => telling,
            Err(error) => {
                let (grant, connector) = &asked;
                tracing::debug!(%grant, %connector, fault = %error.fault, detail = error.detail, "it does not tell what was done");
                return;
            }
        };
        let last = self.deeds.grants.get(&asked.0);
        let complete = last.and_then(Grant::gone_at).is_some_and(|gone| gone <= through);
        if telling.deeds.is_empty() && !complete {
            self.deeds.read.insert(asked, through);
            return;
        }
        let (id, connector) = asked;
        if let Err(error) = self.enter(id, connector, telling, through, false).await {
            tracing::warn!(grant = %id, %error, "what was done with it is not in the log yet; it is asked for again");
        }
    }

    /// Enters what was told in the log.
    async fn enter(
        &mut self,
        id: GrantId,
        connector: Name,
        telling: Telling,
        through: Timestamp,
        lost: bool,
    ) -> Result<usize, Error> {
        let entered = enter(&self.engine, id, connector, telling, through, lost).await?;
        match entered {
            Some(grant) if !grant.untold().is_empty() => {
                self.deeds.grants.insert(id, grant);
                Ok(1)
            }
            Some(_) => {
                self.deeds.grants.remove(&id);
                Ok(1)
            }
            // Another server was faster: what it made of it is read anew.
            None => {
                self.deeds.listed = None;
                Ok(0)
            }
        }
    }
}

/// What was done with all items of a grant at one connector, the oldest first. What is told of two of them was done once.
async fn all_of(
    engine: &Engine,
    parts: &[Part],
    from: Timestamp,
    to: Timestamp,
) -> Result<Telling, TargetError> {
    let (mut deeds, mut unsaid): (Vec<Deed>, u64) = (Vec::new(), 0);
    for part in parts {
        let provider = provider(engine, &part.target)?;
        let told = provider.deeds(&part.target.key, &part.spec, from, to).await?;
        let others = deeds.len();
        for deed in told.deeds {
            if !deeds.iter().take(others).any(|other| *other == deed) {
                deeds.push(deed);
            }
        }
        unsaid = unsaid.saturating_add(told.unsaid);
    }
    deeds.sort_by_key(|deed| deed.at);
    let mut all = Telling::of(deeds);
    all.unsaid = all.unsaid.saturating_add(unsaid);
    Ok(all)
}

async fn enter(
    engine: &Engine,
    id: GrantId,
    connector: Name,
    telling: Telling,
    through: Timestamp,
    lost: bool,
) -> Result<Option<Grant>, Error> {
    let entered = engine.store().transition(Scope::Grant(id), move |world, _| {
        let Some(grant) = world.grants.get(&id) else {
            return Ok(Decided::default());
        };
        let event = grant.tell(&connector, telling, through, lost)?;
        Ok(Decided::one(
            Actor::System,
            Subject::Grant(id),
            What::Grant(event),
        ))
    });
    match entered.await {
        Ok(committed) => Ok(committed.world.grants.get(&id).cloned()),
        Err(store::Error::Refused(refusal)) => {
            tracing::debug!(grant = %id, %refusal, "what was done with it was entered by another");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
