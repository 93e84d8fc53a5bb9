//! One channel's deliveries: what is due is claimed, put into words, carried, and what became of it is recorded.
//!
//! Each channel has its own courier, so that a receiver that does not answer delays nobody else. `now` comes in: an hour of
//! failures is tested without waiting.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::notices::{Kind, Ready, Rules};
use daypass_engine::{Engine, Error};
use daypass_store::{Claim, Delivery, Fate};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::backoff;
use crate::edge;

/// How many are under way at the same time.
const AT_ONCE: usize = 8;
/// How long one attempt may take, where its carrier says nothing else.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How long nobody else takes what was claimed: the longest attempt (mail's), and a store that takes its time.
const CLAIM: Span = Span::minutes(3);

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
    /// Takes one notice there. It may come twice: each attempt carries the same id. `now`: by the clock, which the receiver
    /// compares with its own.
    async fn carry(&self, ready: &Ready, now: Timestamp) -> Result<(), Fault>;

    /// How long that may take.
    fn limit(&self) -> Duration {
        ATTEMPT
    }
}

/// The time by the clock. The store's runs ahead of it once a clock was set back (ADR 0006), and nobody else's does.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

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
    pub(crate) clock: Clock,
}

impl Courier {
    /// Delivers what is due now, once each. `now` is the store's: what is due, and when to try again, is said in it.
    ///
    /// # Errors
    /// Where the store fails, with what was done all the same. What was delivered and could not be recorded comes again, with
    /// the same id.
    pub(crate) async fn turn(
        &self,
        now: Timestamp,
        dice: &(dyn Fn() -> u64 + Sync),
    ) -> Result<Turn, (Turn, Error)> {
        let claim = Claim {
            channel: self.channel.clone(),
            worker: self.worker.clone(),
            now,
            until: now + CLAIM,
            limit: AT_ONCE,
        };
        let mut turn = Turn::default();
        let claimed = match self.engine.store().claim_notices(&claim).await {
            Ok(claimed) => claimed,
            Err(error) => return Err((turn, error.into())),
        };
        let mut broken = None;
        for (outcome, error) in join_all(claimed.iter().map(|one| self.deliver(one, now, dice()))).await {
            match outcome {
                Some(Outcome::Sent) => turn.sent += 1,
                Some(Outcome::Failed) => turn.failed += 1,
                Some(Outcome::Dead) => turn.dead += 1,
                Some(Outcome::Moot) => turn.moot += 1,
                None => {}
            }
            broken = broken.or(error);
        }
        match broken {
            None => Ok(turn),
            Some(error) => Err((turn, error)),
        }
    }

    /// Delivers one and records what became of it. Where the store fails, what was done is told all the same.
    async fn deliver(&self, one: &Delivery, now: Timestamp, dice: u64) -> (Option<Outcome>, Option<Error>) {
        // A defect that one notice brings out must not stop the server again and again: that one is tried later, and given
        // up, like one that nobody takes.
        let tried = AssertUnwindSafe(self.attempt(one, now, dice))
            .catch_unwind()
            .await;
        let (outcome, fate) = match tried {
            Ok(Ok(tried)) => tried,
            Ok(Err(error)) => return (None, Some(error)),
            Err(_) => self.missed(one, Fault::later("a defect: it panicked, see above"), now, dice),
        };
        let settled = self.engine.store().settle_notice(one, &self.worker, fate).await;
        (Some(outcome), settled.err().map(Error::from))
    }

    async fn attempt(&self, one: &Delivery, now: Timestamp, dice: u64) -> Result<(Outcome, Fate), Error> {
        if one.notice.parse::<Kind>().is_err() {
            // It is not ours to throw away.
            let what = "this version does not know the kind; a newer server queued it";
            return Ok(self.missed(one, Fault::later(what), now, dice));
        }
        let Some(ready) = self.engine.notice(one, &self.rules, now).await? else {
            return Ok((Outcome::Moot, Fate::Done));
        };
        let carried = self.carrier.carry(&ready, (self.clock)());
        let carried = match edge::within(self.carrier.limit(), carried).await {
            Ok(carried) => carried,
            Err(late) => Err(Fault::later(late.to_string())),
        };
        Ok(match carried {
            Ok(()) => (Outcome::Sent, Fate::Done),
            Err(fault) => self.missed(one, fault, now, dice),
        })
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
