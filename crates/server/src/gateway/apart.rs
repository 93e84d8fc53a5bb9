//! A gateway that runs apart from its server (`daypass gateway`): the same protocols, with a server elsewhere that decides.
//!
//! It has a token, and nothing else that is of use to anybody: no database, no policy, no secret of people, no key of recordings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daypass_api::client::{Connection, Error};
use daypass_api::gateway::RegisteredGateway;
use daypass_gateway::Gateway;
use daypass_gateway::http::Http;
use daypass_gateway::postgres::Postgres;
use daypass_gateway::tls::Identity;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::start::{StartError, file, settings};
use crate::config::ApartConfig;
use crate::edge;
use crate::secrets;

/// How long its sessions may take to end when it is told to stop: less than those wait who stop a program and kill it otherwise.
const DRAIN: Duration = Duration::from_secs(20);
/// How long the server is waited for at the start, before it goes on without.
const REGISTER: Duration = Duration::from_secs(10);
/// How long what was counted of the last sessions may be on its way then.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why a gateway that runs apart does not start.
#[derive(Debug, thiserror::Error)]
pub enum ApartError {
    /// Something on this machine.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server says no.
    #[error("the server does not take it: {0}")]
    Refused(Error),
    /// The server's address, its certificate or our CA.
    #[error(transparent)]
    Client(Error),
}

/// A gateway that runs in this process, and whose server does not.
pub struct Apart {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    registered: Option<RegisteredGateway>,
    renewing: JoinHandle<()>,
    listening: JoinHandle<()>,
}

impl std::fmt::Debug for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apart")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Apart {
    /// Starts it. It serves when this returns; where its server does not answer just then, it goes on trying, and nobody comes in.
    ///
    /// # Errors
    /// Where it does not start, or its server says no; nothing is left running then.
    pub async fn start(config: &ApartConfig) -> Result<Self, ApartError> {
        let connection = connection(config)?;
        let settings = settings(config.tls.as_ref())?;
        let end_points: Vec<&[u8]> = settings.identity.iter().filter_map(Identity::end_point).collect();
        let control = Http::new(&connection, &end_points).map_err(ApartError::Client)?;
        let listening = |why| StartError::Listen {
            address: config.listen,
            why,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let registered = registered(&control).await?;
        let gateway = Gateway::new(Arc::new(control), config.limits);
        let running = Arc::clone(&gateway);
        let renewing = tokio::spawn(async move { running.run().await });
        let listening = Arc::clone(&gateway).listen(listener, Arc::new(Postgres::new(settings)));
        let listening = tokio::spawn(listening);
        tracing::info!(%address, "the gateway takes PostgreSQL's clients");
        Ok(Self {
            gateway,
            address,
            registered,
            renewing,
            listening,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the server calls it, and what it may serve; nothing where the server was not reached at its start.
    #[must_use]
    pub const fn registered(&self) -> Option<&RegisteredGateway> {
        self.registered.as_ref()
    }

    /// Returns once a part of it has ended unasked, and otherwise never. The owner calls [`Self::stop`] and fails.
    pub async fn broken(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.listening => "what takes connections",
            _ = &mut self.renewing => "what renews leases",
        }
    }

    /// Stops: no new connection, every session ended and its client told why, and what was counted of it with the server.
    pub async fn stop(self) {
        self.gateway.stop();
        if edge::within(DRAIN, self.gateway.drained()).await.is_err() {
            tracing::warn!("some sessions did not end within {DRAIN:?}: the server finds them");
        }
        // A session's place is given back after the server was told; what it did not take then is tried again.
        let last_words = async {
            if !self.listening.is_finished() {
                let _ = self.listening.await;
            }
            self.gateway.closed().await;
        };
        if edge::within(LAST_WORDS, last_words).await.is_err() {
            tracing::warn!("the server did not take the end of some sessions: it finds them");
        }
        self.renewing.abort();
    }
}

/// What the server says of this gateway; nothing where it does not answer just then, and may soon.
async fn registered(control: &Http) -> Result<Option<RegisteredGateway>, ApartError> {
    match edge::within(REGISTER, control.register()).await {
        Ok(Ok(registered)) => Ok(Some(registered)),
        Ok(Err(error @ (Error::Untrusted { .. } | Error::Setup(_)))) => Err(ApartError::Client(error)),
        Ok(Err(error)) if error.is_lasting() => Err(ApartError::Refused(error)),
        // A proxy's page too: a server may be just starting behind it.
        Ok(Err(error)) => {
            tracing::warn!(%error, "the server does not answer yet: nobody comes in until it does");
            Ok(None)
        }
        Err(late) => {
            tracing::warn!(error = %late, "the server does not answer yet: nobody comes in until it does");
            Ok(None)
        }
    }
}

fn connection(config: &ApartConfig) -> Result<Connection, ApartError> {
    let token = secrets::read("token", &config.token).map_err(StartError::from)?;
    Ok(Connection {
        server: config.server.clone(),
        token: Some(token),
        ca_pem: config.ca.as_deref().map(file).transpose()?,
    })
}
