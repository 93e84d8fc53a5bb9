//! [`Control`] over HTTP: for a gateway that runs apart from its server. It dials the server and nobody dials it; clients come to
//! its protocols alone.
//!
//! What may be asked twice is asked again where no answer came (`daypass_api::client`): challenges, renewals, closings. What uses up a
//! ticket is asked once. Records are sent again by who has them. Deadlines are those of [`crate::gateway::Gateway`], which counts from
//! before it asked.
//!
//! A call takes a connection, and a server takes so many of one address: what people begin and what is recorded have places, and
//! connections of their own, so that renewals always have one.

mod follow;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use daypass_api::client::{Client, Connection, Error};
use daypass_api::gateway::{
    AskChallenge, AskWaited, DeliverRecords, MOST_LINES, MOST_RECORDED, RegisterGateway, RegisteredGateway,
    RenewLeases, VERSION,
};
use daypass_core::time::{Span, Timestamp};
use secrecy::SecretString;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use zeroize::Zeroizing;

use self::follow::Feed;
use crate::control::{
    Challenge, Closing, Control, Delivery, Ending, LeaseId, NotTaken, Opened, Opening, Origin, Progress,
    Proof, Proved, Renewed, Ticket, Unavailable, Waited,
};
use crate::record::Record;
use crate::{edge, wire};

/// How many calls are under way at once. With the renewals (one for each thousand leases) and the stream of endings they are fewer than
/// the 256 connections that a server takes of one address.
const WAITS: usize = 64;
const BEGINNINGS: usize = 48;
const RECORDS: usize = 32;
const CLOSINGS: usize = 16;

/// How long one wait may take, once it has a place: the server answers after some seconds.
const WAIT: Duration = Duration::from_secs(30);

/// How much the clocks of gateway and server may differ before it is said: records have the gateway's time.
const CLOCKS: Span = Span::seconds(1);

/// How long before its token expires a gateway begins to say so.
const EXPIRES_SOON: Span = Span::hours(7 * 24);

/// See the module.
#[derive(Debug)]
pub struct Http(Arc<Inner>);

struct Inner {
    /// For what must not wait: renewals, closings, the stream of endings.
    urgent: Client,
    /// For what people begin, and wait for.
    people: Client,
    records: Client,
    places: Places,
    end_points: Vec<String>,
    feed: Mutex<Feed>,
}

struct Places {
    waits: Semaphore,
    beginnings: Semaphore,
    records: Semaphore,
    closings: Semaphore,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("client", &self.urgent)
            .finish_non_exhaustive()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.0.feed().stop();
    }
}

fn unavailable(error: impl Display) -> Unavailable {
    Unavailable(error.to_string())
}

/// One of so many places, first come first served.
async fn place(places: &Semaphore) -> Result<SemaphorePermit<'_>, Unavailable> {
    // It is never closed.
    places.acquire().await.map_err(unavailable)
}

impl Http {
    /// Asks this server, by the token of the connection. `end_points`: the digests of the certificates that it shows to clients
    /// ([`crate::tls::Identity::end_point`]). It is another run of the gateway than every one before.
    ///
    /// # Errors
    /// Where the connection cannot be used.
    pub fn new(connection: &Connection, end_points: &[&[u8]]) -> Result<Self, Error> {
        let drawn = Zeroizing::new(edge::random::<32>());
        let run = SecretString::from(hex::encode(drawn.as_slice()));
        // Each has connections of its own.
        let client = || Client::new(connection).map(|client| client.of_run(&run));
        Ok(Self(Arc::new(Inner {
            urgent: client()?,
            people: client()?,
            records: client()?,
            places: Places {
                waits: Semaphore::new(WAITS),
                beginnings: Semaphore::new(BEGINNINGS),
                records: Semaphore::new(RECORDS),
                closings: Semaphore::new(CLOSINGS),
            },
            end_points: end_points.iter().map(hex::encode).collect(),
            feed: Mutex::default(),
        })))
    }

    /// Says that this run of the gateway is there, and learns what it may serve. It does so by itself too, whenever it finds the server
    /// again.
    ///
    /// # Errors
    /// Where the server refuses or is not reached.
    pub async fn register(&self) -> Result<RegisteredGateway, Error> {
        self.0.register().await
    }
}

impl Inner {
    async fn register(&self) -> Result<RegisteredGateway, Error> {
        let gateway = RegisterGateway {
            version: VERSION,
            end_points: self.end_points.clone(),
        };
        let before = edge::now();
        let registered = self.urgent.register_gateway(&gateway).await?;
        let differ = difference((before, edge::now()), registered.now);
        if differ > CLOCKS {
            let differ = differ.to_std();
            tracing::warn!(
                ?differ,
                "the clocks of this gateway and of its server differ: records have this one's time"
            );
        }
        if registered.token_expires_at.since(registered.now) < EXPIRES_SOON {
            let expires_at = registered.token_expires_at;
            tracing::warn!(
                %expires_at,
                "the token of this gateway expires soon: put another into its file, and restart it"
            );
        }
        Ok(registered)
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much the clock of a server differs at least, that said `theirs` at some moment between the two.
fn difference((before, after): (Timestamp, Timestamp), theirs: Timestamp) -> Span {
    before.since(theirs).max(theirs.since(after))
}

/// Whether the server will say the same of these records or this closing however often it is asked: there is no such session of this run, or
/// it is not what it takes.
fn is_final(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404 | 413 | 422))
}

fn not_taken(error: Error) -> NotTaken {
    if is_final(&error) {
        return NotTaken::Never(error.to_string());
    }
    match error {
        // Not Daypass's own answer: a proxy's, while what is behind it is started.
        Error::Unreachable { .. } | Error::NotDaypass { .. } => NotTaken::Unreached(unavailable(error)),
        error => NotTaken::Unavailable(unavailable(error)),
    }
}

/// How many of these records go into one call.
fn fitting(lines: &[String]) -> usize {
    let mut bytes = 0_usize;
    let fits = |line: &&String| {
        bytes = bytes.saturating_add(line.len());
        bytes <= MOST_RECORDED
    };
    let fitting = lines.iter().take(MOST_LINES).take_while(fits).count();
    fitting.max(1).min(lines.len())
}

#[async_trait]
impl Control for Http {
    async fn challenge(&self, user: &str, origin: &Origin) -> Result<Challenge, Unavailable> {
        let ask = AskChallenge {
            user: user.to_owned(),
            origin: wire::origin(origin),
        };
        let _place = place(&self.0.places.beginnings).await?;
        let given = self.0.people.gateway_challenge(&ask).await;
        wire::to_challenge(&given.map_err(unavailable)?)
    }

    async fn prove(&self, proof: Proof, origin: &Origin) -> Result<Option<Proved>, Unavailable> {
        let _place = place(&self.0.places.beginnings).await?;
        let Some(proof) = wire::prove(&proof, origin) else {
            // It stays here.
            return Ok(None);
        };
        let proved = self.0.people.gateway_prove(&proof).await;
        wire::to_proved(&proved.map_err(unavailable)?)
    }

    async fn open(&self, opening: Opening) -> Result<Opened, Unavailable> {
        let _place = place(&self.0.places.beginnings).await?;
        let opened = self.0.people.gateway_open(&wire::opening(&opening)).await;
        Ok(wire::to_opened(opened.map_err(unavailable)?))
    }

    async fn waited(&self, ticket: &Ticket) -> Result<Waited, Unavailable> {
        let ask = AskWaited {
            ticket: wire::ticket(ticket),
        };
        // However long that takes: who asks says how long somebody may wait at all.
        let _place = place(&self.0.places.waits).await?;
        let waited = edge::within(WAIT, self.0.people.gateway_wait(&ask)).await;
        Ok(wire::to_waited(
            waited.map_err(unavailable)?.map_err(unavailable)?,
        ))
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let renew = RenewLeases {
            leases: leases.iter().map(ToString::to_string).collect(),
        };
        let answer = self.0.urgent.gateway_renew(&renew).await;
        let answer = answer.map_err(unavailable)?;
        Ok(answer.renewed.into_iter().map(wire::to_renewed).collect())
    }

    async fn close(&self, closing: Closing) -> Result<(), Unavailable> {
        let closing = wire::closing(closing);
        let _place = place(&self.0.places.closings).await?;
        match self.0.urgent.gateway_close(&closing).await {
            Err(error) if is_final(&error) => {
                // It is over there, or was never: nothing is left to close.
                tracing::warn!(%error, lease = closing.lease, "a closing was not taken, and is not sent again");
                Ok(())
            }
            closed => closed.map_err(unavailable),
        }
    }

    async fn record(&self, delivery: Delivery<'_>) -> Result<Progress, NotTaken> {
        let mut first = delivery.records.first().map_or(0, |record| record.number);
        let mut lines: Vec<String> = delivery.records.iter().map(Record::line).collect();
        loop {
            let rest = lines.split_off(fitting(&lines));
            let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
            let records = DeliverRecords {
                session: delivery.session.to_string(),
                first,
                lines,
                flush: delivery.flush && rest.is_empty(),
            };
            let place = place(&self.0.places.records).await?;
            let answer = self.0.records.gateway_record(&records).await;
            drop(place);
            let answer = answer.map_err(not_taken)?;
            let progress = Progress {
                taken: answer.taken,
                stored: answer.stored,
            };
            first = first.saturating_add(count);
            if rest.is_empty() || progress.taken.saturating_add(1) < first {
                return Ok(progress);
            }
            lines = rest;
        }
    }

    fn endings(&self) -> mpsc::UnboundedReceiver<Ending> {
        follow::endings(&self.0)
    }
}
