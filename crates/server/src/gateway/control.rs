//! [`Control`], answered from the engine: for the gateway in this process, and, through `api/gateways.rs`, for those that run apart.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::session;
use daypass_gateway::control::{
    Challenge, Closing, Control, Delivery, Ending, LeaseId, NotTaken, Opened, Opening, Origin, PersonId,
    Progress, Proof, Proved, Reason, Refusal, Renewed, Ticket, Unavailable, Waited,
};
use daypass_gateway::record::Record;
use daypass_gateway::scram::Certificates;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::named::SSH;
use super::open::{refusal, unavailable};
use super::proof::{Attempt, Entrant};
use super::records::Failed;
use super::{Asker, Front, ssh};
use crate::app::App;
use crate::identity::limit::network;

/// Where one gateway asks. See [`Control`].
pub(crate) struct Desk {
    pub(crate) app: App,
    pub(crate) front: Arc<Front>,
    /// Who asks.
    pub(crate) by: Arc<Asker>,
}

/// The address of a client, where it is one and not that of something that stands for all. Where the operator says that a proxy stands
/// before this server, whatever forwards connections to the gateway has an address of its own too, and none is certain.
fn certain(app: &App, address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let proxied = app.trusted_proxies.iter().any(|net| net.contains(&address));
    (!proxied && !app.behind_proxy).then_some(address)
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

impl Desk {
    /// A run of a gateway is there, and shows these certificates.
    ///
    /// # Errors
    /// Where the operator knows others, or too many runs of it are there.
    pub(crate) fn register(&self, end_points: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let Self { front, by, .. } = self;
        let known = front.pinned(by);
        let others = |known: &[Vec<u8>]| {
            end_points.is_empty() || end_points.iter().any(|shown| !known.contains(shown))
        };
        if known.is_some_and(others) {
            let hint = format!(
                "gateway: {{apart: [{{name: {}, certificate: FILE}}]}} of server.yaml says which it may show",
                by.name
            );
            return Err(refusal(
                "this is another certificate than the operator knows",
                Some(hint),
            ));
        }
        if !front.present.enter(by, end_points) {
            return Err(refusal("too many of this gateway are running", None));
        }
        tracing::info!(gateway = %by.name, "a gateway that runs apart is there");
        Ok(())
    }

    /// Whether this run of a gateway has this session.
    pub(crate) fn has(&self, session: &str) -> bool {
        self.front
            .leases
            .held(&self.by, &LeaseId::from(session))
            .is_some()
    }

    /// Takes lines of a session that this gateway has, of which `first` is the number of the first; how far they are.
    ///
    /// # Errors
    /// Where it has no such session, or they cannot be taken.
    pub(crate) async fn take(
        &self,
        session: &str,
        (first, lines): (u64, &[String]),
        flush: bool,
    ) -> Result<Progress, NotTaken> {
        let Self { app, front, by } = self;
        let lease = LeaseId::from(session);
        let held = front.leases.held(by, &lease);
        let held = held.ok_or_else(|| NotTaken::Never(String::from("no such session")))?;
        let (engine, records, id) = (&app.engine, &front.records, held.session);
        let mut taken = records.take(engine, id, (first, lines), flush).await;
        if held.is_taken_over() && matches!(taken, Err(Failed::NotOpen(_))) {
            let goes_on = || front.leases.held(by, &lease).is_some();
            taken = match records.go_on(engine, id, goes_on).await {
                Ok(()) => records.take(engine, id, (first, lines), flush).await,
                Err(error) => Err(error),
            };
        }
        Ok(taken.map_err(unavailable)?)
    }

    /// A stream of what ends for this run: it takes the place of an earlier one, and resolves when another takes its place. Nothing where
    /// the run has not registered.
    pub(crate) fn listen(&self) -> Option<oneshot::Receiver<()>> {
        self.front.present.listen(&self.by)
    }

    /// What of an ending this gateway is told: of somebody else's sessions, that they end and not why. One that it is opening just then
    /// may be among them.
    pub(crate) fn told(&self, ending: Ending) -> Ending {
        if self.front.leases.concerns(&self.by, &ending.which) {
            return ending;
        }
        let plain = || String::from("somebody ended it early");
        let reason = match ending.reason {
            Reason::Revoked(_) => Reason::Revoked(plain()),
            Reason::Killed(_) => Reason::Killed(plain()),
            Reason::Locked(_) => Reason::Locked(String::from("ask an administrator")),
            other => other,
        };
        Ending { reason, ..ending }
    }
}

#[async_trait]
impl Control for Desk {
    async fn challenge(&self, user: &str, origin: &Origin) -> Result<Challenge, Unavailable> {
        let attempt = Attempt::begin(&self.app, user);
        let scram = attempt.challenge().clone();
        let attempts = match origin.protocol {
            SSH => &self.front.logins,
            _ => &self.front.attempts,
        };
        let ticket = attempts.give(&self.by.name, network(origin.peer.ip()), attempt)?;
        Ok(Challenge { ticket, scram })
    }

    fn forget(&self, ticket: &Ticket) {
        self.front.logins.take(&self.by.name, ticket);
    }

    async fn prove(&self, proof: Proof, origin: &Origin) -> Result<Option<Proved>, Unavailable> {
        // A gateway that has not said what it shows is asked to say it: this server was started after it.
        let shown = self.front.present.end_points(&self.by);
        let shown = shown.ok_or_else(|| unavailable("the gateway has not registered here"))?;
        let proved = match proof {
            Proof::Scram { ticket, answer } => {
                let Some(attempt) = self.front.attempts.take(&self.by.name, &ticket) else {
                    return Ok(None);
                };
                let known: Vec<&[u8]> = shown.iter().map(Vec::as_slice).collect();
                let certificates = Certificates::Known(&known);
                attempt.prove(&self.app, &answer, certificates).await?
            }
            // Gateways apart do not speak SSH yet, and are never handed a password.
            _ if self.by.is_apart() => None,
            Proof::Key { ticket, signed } => {
                let Some(attempt) = self.front.logins.take(&self.by.name, &ticket) else {
                    return Ok(None);
                };
                let nonce = &attempt.challenge().nonce;
                let shown: Vec<&[u8]> = shown.iter().map(Vec::as_slice).collect();
                let somebody = match signed.check(nonce, &shown) {
                    Some(holder) => ssh::by_key(&self.app, holder).await?,
                    None => None,
                };
                if somebody.is_none()
                    && let Some(attempt) = attempt.again()
                {
                    let who = network(origin.peer.ip());
                    self.front.logins.give_again(&self.by.name, &ticket, who, attempt);
                }
                somebody
            }
            Proof::Password { user, secret } => ssh::by_password(&self.app, &user, &secret).await?,
            _ => None,
        };
        let Some(somebody) = proved else {
            return Ok(None);
        };
        let entrant = Entrant {
            by: Arc::clone(&self.by),
            person: somebody.person.id,
            credential: somebody.credential,
            grant: somebody.grant,
            protocol: origin.protocol,
            named: somebody.named,
            // What a gateway elsewhere says of addresses is nothing that a rule could go by.
            from: certain(&self.app, origin.peer.ip()).filter(|_| !self.by.is_apart()),
        };
        Ok(Some(Proved {
            ticket: self.front.entrants.give(&self.by.name, entrant.person, entrant)?,
            person: PersonId::from(somebody.person.id.to_string().as_str()),
            name: somebody.person.login.text().to_owned(),
            server_signature: somebody.signature,
        }))
    }

    async fn open(&self, opening: Opening) -> Result<Opened, Unavailable> {
        let (app, front, by) = (
            Arc::clone(&self.app),
            Arc::clone(&self.front),
            Arc::clone(&self.by),
        );
        // Whoever asks may stop waiting: what was begun is brought to its end, and a lease that nobody heard of is found abandoned.
        let opening = tokio::spawn(async move { front.open(&app, &by, opening).await });
        opening.await.map_err(unavailable)?
    }

    async fn waited(&self, ticket: &Ticket) -> Result<Waited, Unavailable> {
        self.front.waited(&self.app, &self.by, ticket).await
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable> {
        let (by, within) = (&*self.by, self.front.lease);
        self.front.leases.renew(&self.app, (by, within), leases).await
    }

    async fn close(&self, closing: Closing) -> Result<(), Unavailable> {
        let (app, front, by) = (
            Arc::clone(&self.app),
            Arc::clone(&self.front),
            Arc::clone(&self.by),
        );
        let under_way = front.unwritten.begin();
        let closing = tokio::spawn(async move {
            let written = front.close(&app, &by, closing).await;
            drop(under_way);
            written
        });
        match closing.await.map_err(unavailable)? {
            // A gateway apart says it again: this server may not be there any more when it could write it.
            false if self.by.is_apart() => Err(unavailable("the end of the session is not written down yet")),
            _ => Ok(()),
        }
    }

    async fn record(&self, delivery: Delivery<'_>) -> Result<Progress, NotTaken> {
        let first = delivery.records.first().map_or(0, |record| record.number);
        let lines: Vec<String> = delivery.records.iter().map(Record::line).collect();
        self.take(&delivery.session.0, (first, &lines), delivery.flush)
            .await
    }

    fn endings(&self) -> UnboundedReceiver<Ending> {
        self.front.leases.endings()
    }
}
