//! PostgreSQL: clients log in with a personal credential, the gateway logs in at the target as the grant's own role, and
//! every statement is recorded.
//!
//! Read in this order: `frame` and `startup` (what bytes mean), `login` and `upstream` (how both sides come in), `relay` (how
//! bytes go through), `statements` (what they did), `guardrails` (what may not pass).

mod cancel;
mod flow;
pub mod frame;
pub mod fuzzing;
mod guardrails;
mod lexer;
mod login;
pub mod message;
mod redact;
mod relay;
pub mod startup;
pub mod statements;
mod stop;
mod stream;
pub mod target;
mod upstream;
mod wait;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::control::{Origin, Proved, Reason};
use crate::edge;
use crate::gateway::{Gateway, Handshake, log_end};
use crate::protocol::Protocol;
use crate::session::Session;
use crate::tls::{BadTls, Identity};
use cancel::{Cancellable, Cancels};
use flow::Flows;
use guardrails::Guard;
use login::{Greeted, Met};
use message::Said;
use relay::Relay;
use stop::Stop;
use stream::{Failed, Wire};
use target::PostgresTarget;
use upstream::Upstream;

/// By which TLS tells this protocol from others.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// Parameters of the startup that are ours to set, or that change the protocol.
const NOT_PASSED_ON: [&str; 3] = ["user", "database", "replication"];

/// How long somebody who does not come in is given to hear the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// How it is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What clients are shown. Without it there is no TLS.
    pub identity: Option<Identity>,
    /// Whether sessions in the clear are taken. They are not unless somebody says so.
    pub plaintext: bool,
    /// Whether cancellations in the clear are taken: psql before 17 sends no others. Whoever reads one on the wire could repeat
    /// it, and stop a query of that session.
    pub plain_cancel: bool,
    /// The longest text of a statement, in bytes; each connection may use twice as much memory.
    pub most_statement: usize,
}

impl Settings {
    /// With TLS only, by this certificate and key (PEM).
    ///
    /// # Errors
    /// They cannot be used.
    pub fn tls(chain: &[u8], key: &[u8]) -> Result<Self, BadTls> {
        Ok(Self {
            identity: Some(Identity::from_pem(chain, key, ALPN)?),
            plaintext: false,
            ..Self::plain()
        })
    }

    /// Without TLS: for a gateway that only its own machine reaches.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            identity: None,
            plaintext: true,
            plain_cancel: true,
            most_statement: 16 << 20,
        }
    }
}

/// The protocol.
#[derive(Debug)]
pub struct Postgres {
    settings: Settings,
    cancels: Arc<Cancels>,
}

impl Postgres {
    /// Set up so.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            cancels: Arc::default(),
        }
    }

    async fn meet(
        &self,
        gateway: &Gateway,
        connection: TcpStream,
        origin: &Origin,
    ) -> Option<(Box<Met>, Proved)> {
        let mut met = match login::greet(connection, &self.settings).await {
            Ok(Greeted::Session(met)) => met,
            Ok(Greeted::Cancel(key, mut connection)) => {
                self.cancels.cancel(key).await;
                // By the rules of TLS: libpq takes any other end for a cancellation that failed.
                let _ = edge::within(GOODBYE, connection.shutdown()).await;
                return None;
            }
            Err(error) => {
                tracing::debug!(peer = %origin.peer, %error, "a connection did not begin");
                return None;
            }
        };
        match met.authenticate(gateway.control(), origin).await {
            Ok(proved) => Some((met, proved)),
            Err(failed) => {
                tracing::info!(peer = %origin.peer, error = %failed, "nobody came in");
                tell(&mut met.wire, &failed).await;
                None
            }
        }
    }

    /// A session with a lease, to its end.
    async fn hold(&self, session: &Session, target: PostgresTarget, met: Met, origin: &Origin) -> Reason {
        let Met {
            mut wire, startup, ..
        } = met;
        let passed: Vec<(&str, &str)> = startup
            .parameters
            .iter()
            .filter(|(name, _)| !NOT_PASSED_ON.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let failed = tokio::select! {
            biased;
            reason = session.live.ended() => {
                let said = Said::fatal("57P01", format!("Daypass ended this session: {}", reason.words()));
                tell(&mut wire, &Failed::Told(said)).await;
                return reason;
            }
            // What is only needed to begin is in a place of its own, which the session does not hold.
            connected = Box::pin(upstream::connect(&target, &passed)) => match connected {
                Ok(upstream) => return self.relay(session, target, wire, upstream).await,
                Err(failed) => failed,
            },
            gone = wire.gone() => gone,
        };
        tracing::warn!(session = %session.live.session, peer = %origin.peer, error = %failed, "a session did not begin");
        tell(&mut wire, &failed).await;
        match failed {
            Failed::Io(_) => Reason::Left,
            Failed::Malformed(_) => Reason::ProtocolViolation,
            Failed::Control(_) | Failed::Told(_) => Reason::TargetLost,
        }
    }

    async fn relay(
        &self,
        session: &Session,
        target: PostgresTarget,
        client: Wire,
        upstream: Upstream,
    ) -> Reason {
        let target = Arc::new(target);
        let theirs = upstream.key.unwrap_or(startup::CancelKey { process: 0, key: 0 });
        let cancellable = Cancellable {
            target: Arc::clone(&target),
            key: theirs,
        };
        let given = self.cancels.give(cancellable);
        let greeting = relay::greeting(&upstream.parameters, given.key, &upstream.ready);
        let mut guard = Guard::new(target.guardrails);
        guard.greeted(&upstream.parameters);
        let Wire { stream, buffer } = upstream.wire;
        let flows = Flows::new(client.stream, client.buffer, stream, buffer, greeting);
        let stop = Stop::new(target, upstream.key, session.live.session.clone());
        let relay = Relay::new(session, guard, self.settings.most_statement, stop);
        let reason = relay.run(flows).await;
        drop(given);
        reason
    }
}

/// Tells a client why it does not come in.
async fn tell(wire: &mut Wire, failed: &Failed) {
    let Some(said) = failed.said() else { return };
    let mut out = BytesMut::new();
    said.write(&mut out);
    let telling = async {
        let _ = wire.send(&out).await;
        let _ = wire.stream.shutdown().await;
    };
    let _ = edge::within(GOODBYE, telling).await;
}

#[async_trait]
impl Protocol for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn serve(
        &self,
        gateway: Arc<Gateway>,
        connection: TcpStream,
        peer: SocketAddr,
        handshake: Handshake,
    ) {
        let origin = Origin {
            peer,
            protocol: self.name(),
        };
        let patience = handshake.until.saturating_duration_since(edge::instant());
        let meeting = Box::pin(self.meet(&gateway, connection, &origin));
        let Ok(Some((mut met, proved))) = edge::within(patience, meeting).await else {
            return;
        };
        drop(handshake);
        let (session, target) = match wait::open(&gateway, &mut met, &proved, &origin).await {
            Ok(opened) => opened,
            Err(failed) => {
                tracing::info!(%peer, person = %proved.person, error = %failed, "no session was opened");
                tell(&mut met.wire, &failed).await;
                return;
            }
        };
        let reason = self.hold(&session, target, *met, &origin).await;
        log_end(&session, peer, &reason);
        session.close(reason).await;
    }
}
