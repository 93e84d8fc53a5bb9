//! One channel's deliveries: what is due is claimed, put into words, carried, and what became of it is recorded.
//!
//! Each channel has its own courier, so that a receiver that does not answer delays nobody else. `now` comes in: an hour of
//! failures is tested without waiting.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::notices::{Ready, Rules};
use daypass_engine::{Engine, Error};
use daypass_store::{Claim, Delivery, Fate};
use futures_util::future::join_all;

use super::backoff;
use crate::edge;

/// How many are under way at the same time.
const AT_ONCE: usize = 8;
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How long nobody else takes what was claimed: an attempt, and a store that takes its time.
const CLAIM: Span = Span::minutes(2);

/// What went wrong with an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In words, without secrets.
    pub(crate) what: String,
    /// The receiver said that it will never take it, as a mail server does.
    pub(crate) refused: bool,
}

impl Fault {
    /// It may work later.
    pub(crate) fn later(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            refused: false,
        }
    }
}

/// A way to a receiver.
#[async_trait]
pub(crate) trait Carrier: Send + Sync {
    /// Takes one notice there. It may come twice: each attempt carries the same id.
    async fn carry(&self, ready: &Ready, now: Timestamp) -> Result<(), Fault>;
}

/// What a turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Delivered.
    pub(crate) sent: u64,
    /// Failed, to be tried again.
    pub(crate) failed: u64,
    /// Given up.
    pub(crate) dead: u64,
    /// Nobody need hear it any more.
    pub(crate) moot: u64,
}

impl Turn {
    /// Whether anything was there to do.
    pub(crate) fn is_idle(self) -> bool {
        self == Self::default()
    }
}

/// See the module.
pub(crate) struct Courier {
    pub(crate) engine: Arc<Engine>,
    pub(crate) rules: Arc<Rules>,
    /// The channel's name.
    pub(crate) channel: String,
    pub(crate) carrier: Box<dyn Carrier>,
    /// Who claims; each process has its own name.
    pub(crate) worker: String,
}

impl Courier {
    /// Delivers what is due now, once each.
    ///
    /// # Errors
    /// Where the store fails. What was delivered and could not be recorded comes again, with the same id.
    pub(crate) async fn turn(&self, now: Timestamp, dice: &(dyn Fn() -> u64 + Sync)) -> Result<Turn, Error> {
        let claim = Claim {
            channel: self.channel.clone(),
            worker: self.worker.clone(),
            now,
            until: now + CLAIM,
            limit: AT_ONCE,
        };
        let claimed = self.engine.store().claim_notices(&claim).await?;
        let mut turn = Turn::default();
        let mut broken = None;
        for outcome in join_all(claimed.iter().map(|one| self.deliver(one, now, dice()))).await {
            match outcome {
                Ok(Outcome::Sent) => turn.sent += 1,
                Ok(Outcome::Failed) => turn.failed += 1,
                Ok(Outcome::Dead) => turn.dead += 1,
                Ok(Outcome::Moot) => turn.moot += 1,
                Err(error) => broken = Some(error),
            }
        }
        broken.map_or(Ok(turn), Err)
    }

    async fn deliver(&self, one: &Delivery, now: Timestamp, dice: u64) -> Result<Outcome, Error> {
        let (outcome, fate) = match self.engine.notice(one, &self.rules, now).await? {
            None => (Outcome::Moot, Fate::Done),
            Some(ready) => match self.attempt(&ready, now).await {
                Ok(()) => (Outcome::Sent, Fate::Done),
                Err(fault) => self.missed(one, fault, now, dice),
            },
        };
        self.engine.store().settle_notice(one, &self.worker, fate).await?;
        Ok(outcome)
    }

    async fn attempt(&self, ready: &Ready, now: Timestamp) -> Result<(), Fault> {
        match edge::within(ATTEMPT, self.carrier.carry(ready, now)).await {
            Ok(outcome) => outcome,
            Err(late) => Err(Fault::later(late.to_string())),
        }
    }

    fn missed(&self, one: &Delivery, fault: Fault, now: Timestamp, dice: u64) -> (Outcome, Fate) {
        let (channel, index, notice, tries) = (&self.channel, one.index, &one.notice, one.tries + 1);
        let what = fault.what;
        if let Some(at) = backoff::next((one.since, now), one.tries, fault.refused, dice) {
            tracing::warn!(%channel, index, %notice, tries, fault = %what, "a notice was not delivered; it is tried again");
            return (Outcome::Failed, Fate::Later { at, fault: what });
        }
        tracing::error!(%channel, index, %notice, tries, fault = %what, "a notice is given up");
        (Outcome::Dead, Fate::Dead { fault: what })
    }
}

enum Outcome {
    Sent,
    Failed,
    Dead,
    Moot,
}
