//! [`Control`] in this process: what the gateway beside the API asks, answered from the engine.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::id::SessionId;
use daypass_core::session;
use daypass_gateway::control::{
    Challenge, Closing, Control, Delivery, Ending, LeaseId, Opened, Opening, Origin, PersonId, Progress,
    Proof, Proved, Reason, Renewed, Ticket, Unavailable, Waited,
};
use daypass_gateway::scram::Certificates;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Front;
use super::open::unavailable;
use super::proof::{Attempt, Entrant};
use crate::app::App;
use crate::identity::limit::network;

/// See [`Control`].
pub(super) struct InProcess {
    pub(super) app: App,
    pub(super) front: Arc<Front>,
}

/// The address of a client, where it is one and not that of a proxy that stands for all.
fn certain(app: &App, address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let proxied = app.trusted_proxies.iter().any(|net| net.contains(&address));
    (!proxied).then_some(address)
}

/// What the log calls the reason.
pub(super) fn reason(reason: &Reason) -> session::Reason {
    match reason {
        Reason::Left => session::Reason::Left,
        Reason::Expired => session::Reason::Expired,
        Reason::Revoked(_) => session::Reason::Revoked,
        Reason::Killed(_) => session::Reason::Killed,
        Reason::Locked(_) => session::Reason::Locked,
        Reason::LeaseLost => session::Reason::LeaseLost,
        Reason::RecordingFailed => session::Reason::RecordingFailed,
        Reason::TargetLost => session::Reason::TargetLost,
        Reason::ProtocolViolation => session::Reason::ProtocolViolation,
        Reason::Stopping => session::Reason::Stopping,
    }
}

#[async_trait]
impl Control for InProcess {
    async fn challenge(&self, user: &str, origin: &Origin) -> Result<Challenge, Unavailable> {
        let attempt = Attempt::begin(&self.app, user);
        let scram = attempt.challenge().clone();
        let ticket = self.front.attempts.give(network(origin.peer.ip()), attempt)?;
        Ok(Challenge { ticket, scram })
    }

    async fn prove(&self, proof: Proof, origin: &Origin) -> Result<Option<Proved>, Unavailable> {
        let Proof::Scram { ticket, answer } = proof else {
            return Ok(None);
        };
        let Some(attempt) = self.front.attempts.take(&ticket) else {
            return Ok(None);
        };
        let known = self.front.end_point.as_deref();
        let certificates = Certificates::Known(known.as_slice());
        let Some(somebody) = attempt.prove(&self.app, &answer, certificates).await? else {
            return Ok(None);
        };
        let entrant = Entrant {
            person: somebody.person.id,
            credential: somebody.credential,
            grant: somebody.grant,
            from: certain(&self.app, origin.peer.ip()),
        };
        Ok(Some(Proved {
            ticket: self.front.entrants.give(entrant.person, entrant)?,
            person: PersonId::from(somebody.person.id.to_string().as_str()),
            name: somebody.person.login.text().to_owned(),
            server_signature: somebody.signature,
        }))
    }

    async fn open(&self, opening: Opening) -> Result<Opened, Unavailable> {
        let (app, front) = (Arc::clone(&self.app), Arc::clone(&self.front));
        // Whoever asks may stop waiting: what was begun is brought to its end, and a lease that nobody heard of is found abandoned.
        let opening = tokio::spawn(async move { front.open(&app, opening).await });
        opening.await.map_err(unavailable)?
    }

    async fn waited(&self, ticket: &Ticket) -> Result<Waited, Unavailable> {
        self.front.waited(&self.app, ticket).await
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable> {
        self.front.leases.renew(&self.app, self.front.lease, leases).await
    }

    async fn close(&self, closing: Closing) -> Result<(), Unavailable> {
        let (app, front) = (Arc::clone(&self.app), Arc::clone(&self.front));
        let under_way = front.unwritten.begin();
        let closing = tokio::spawn(async move {
            front.close(&app, closing).await;
            drop(under_way);
        });
        closing.await.map_err(unavailable)
    }

    async fn record(&self, delivery: Delivery<'_>) -> Result<Progress, Unavailable> {
        let session: SessionId = delivery
            .session
            .0
            .parse()
            .map_err(|_| Unavailable(String::from("no such session")))?;
        self.front.leases.is_alive(session);
        let taken = self
            .front
            .records
            .take(&self.app.engine, session, delivery.records, delivery.flush)
            .await;
        taken.map_err(unavailable)
    }

    fn endings(&self) -> UnboundedReceiver<Ending> {
        self.front.leases.endings()
    }
}
