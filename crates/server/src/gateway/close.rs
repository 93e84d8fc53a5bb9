//! The end of a session: its recording gets its end, and the log says how it ended. What cannot be written at once is tried again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use daypass_core::id::{GrantId, SessionId};
use daypass_core::session::{self, Chunk};
use daypass_engine::Error;
use daypass_gateway::control::{Closing, LeaseId, Reason};

use super::control::reason;
use super::leases::Held;
use super::records::Failed;
use super::{Asker, Front};
use crate::app::Parts;

/// How often an end is tried again before its recording is given up, and said to be cut. It is tried every few seconds.
const TRIES: u32 = 120;

/// Ends that are not written down: those on their way, and those that have to be tried again.
#[derive(Default)]
pub(super) struct Unwritten {
    under_way: Arc<AtomicUsize>,
    again: Mutex<Vec<(Held, Closing, u32)>>,
}

/// An end on its way.
pub(super) struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Unwritten {
    pub(super) fn begin(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(&self.under_way))
    }

    /// Whether none is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }

    fn keep(&self, one: (Held, Closing, u32)) {
        self.again
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(one);
    }

    fn has(&self, lease: &LeaseId) -> bool {
        let again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        again.iter().any(|(_, closing, _)| closing.lease == *lease)
    }

    fn take(&self) -> Vec<(Held, Closing, u32)> {
        std::mem::take(&mut *self.again.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why sessions of a grant end that is over or ends; nothing where it does not, or nobody can say.
async fn grant_over(app: &Parts, grant: GrantId) -> Option<session::Reason> {
    let grant = app.engine.store().grant(grant).await.ok()??;
    grant.reason().map(session::Reason::of_grant)
}

impl Front {
    /// A session is over, says the gateway that has it. What another says of it counts for nothing.
    /// Whether there is nothing left to write of it.
    pub(super) async fn close(&self, app: &Parts, by: &Asker, closing: Closing) -> bool {
        if self.leases.held(by, &closing.lease).is_none() {
            return !self.unwritten.has(&closing.lease);
        }
        // Perhaps somebody else closed it at this moment.
        match self.leases.leave(&closing.lease) {
            Some(held) => self.end(app, held, closing).await,
            None => true,
        }
    }

    /// Ends a session whose lease is gone. Whether it is written down.
    pub(super) async fn end(&self, app: &Parts, held: Held, closing: Closing) -> bool {
        // Of one that was taken over from the store nobody here knows by what it logged in.
        if let Some(credential) = held
            .credential
            .as_ref()
            .filter(|_| closing.reason == Reason::TargetLost)
        {
            // Perhaps the password that it used is not the one that the target takes any more.
            self.upstreams.refused(held.grant, &held.item, credential).await;
        }
        self.write_end(app, held, closing, TRIES).await
    }

    /// Tries again what could not be written before.
    pub(super) async fn write_ends(&self, app: &Parts) {
        for (held, closing, left) in self.unwritten.take() {
            self.write_end(app, held, closing, left).await;
        }
    }

    async fn write_end(&self, app: &Parts, held: Held, closing: Closing, left: u32) -> bool {
        let id = held.session;
        let mut recorded = self.records.end(&app.engine, id, closing.last_record).await;
        if held.is_taken_over() && matches!(recorded, Err(Failed::NotOpen(_))) {
            recorded = match self.records.go_on(&app.engine, id, || true).await {
                Ok(()) => self.records.end(&app.engine, id, closing.last_record).await,
                Err(error) => Err(error),
            };
        }
        let last = match recorded {
            Ok(last) => last,
            Err(error) if error.is_final() => {
                tracing::debug!(session = %id, %error, "a recording has no end of its own");
                None
            }
            Err(error) if left > 0 => {
                tracing::warn!(session = %id, %error, "the end of a recording is not stored yet");
                self.unwritten.keep((held, closing, left - 1));
                return false;
            }
            Err(error) => {
                tracing::error!(session = %id, %error, "the end of a recording could not be stored: it is cut");
                None
            }
        };
        let why = match closing.reason {
            // Access ends at the target too, which may be faster than its gateway.
            Reason::TargetLost => grant_over(app, held.grant).await,
            _ => None,
        };
        let why = why.unwrap_or_else(|| reason(&closing.reason));
        if let Err(error) = self.write_closed(app, id, last, (why, closing.counters)).await {
            tracing::warn!(session = %id, %error, "the end of a session is not written down yet");
            self.unwritten.keep((held, closing, left));
            return false;
        }
        self.records.give_up(id);
        true
    }

    /// The end of a session, with the last chunk of its recording. One that the log does not take, keeps no session open.
    async fn write_closed(
        &self,
        app: &Parts,
        id: SessionId,
        last: Option<Chunk>,
        (why, counters): (session::Reason, session::Counters),
    ) -> Result<(), Error> {
        if let Some(last) = last {
            match app.engine.finish_session(id, last, why, Some(counters)).await {
                Ok(_) => return Ok(()),
                Err(Error::Refused(error)) => {
                    tracing::warn!(session = %id, %error, "the log does not take the end of a recording");
                }
                Err(error) => return Err(error),
            }
        }
        match app.engine.close_session(id, why, Some(counters)).await {
            Err(Error::Refused(error)) => {
                tracing::warn!(session = %id, %error, "a session was over before it ended");
                Ok(())
            }
            closed => closed.map(drop),
        }
    }
}
