//! SSH: clients prove who they are with their key or their personal credential, the gateway reaches the target with a certificate signed for this
//! session, and what is done there is recorded.
//!
//! Read in this order: `wire`, `cipher`, `kex` and `transport` (what bytes mean), `key` (who signed), `login`, `proof` and `upstream` (how both sides come in),
//! `wait` (asking on connect), `relay` (how messages go through), `rules` and `channel` (what may, and what of it is recorded).
//! Why the protocol is written here: ADR 0021.

mod channel;
pub mod cipher;
pub mod event;
pub mod fuzzing;
mod kex;
pub mod key;
mod link;
mod login;
mod msg;
pub mod possession;
pub mod proof;
mod relay;
mod rules;
pub mod sftp;
pub mod target;
mod terminal;
pub mod transport;
mod upstream;
mod wait;
pub mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::net::TcpStream;

use crate::control::{Origin, Reason};
use crate::edge;
use crate::gateway::{Gateway, Handshake, log_end};
use crate::protocol::Protocol;
use crate::session::Session;
use key::PrivateKey;
use link::{Failed, Link};
use login::Met;
use relay::Relay;
use rules::Rules;
use target::SshTarget;
use transport::Role;
use wire::Writer;

/// How long somebody who does not come in is given to hear the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// For who took too long.
const LATE: &str = "nobody has proved who they are in the time that there is for it; connect again";

/// The protocol.
#[derive(Debug)]
pub struct Ssh {
    host_key: Arc<PrivateKey>,
    passwords: bool,
}

impl Ssh {
    /// With this key, which clients know the gateway by.
    #[must_use]
    pub fn new(host_key: PrivateKey) -> Self {
        Self {
            host_key: Arc::new(host_key),
            passwords: false,
        }
    }

    /// The same; it takes personal credentials as passwords too. Then it has them in its hands while somebody logs in, which with
    /// keys it never has.
    #[must_use]
    pub fn with_passwords(mut self) -> Self {
        self.passwords = true;
        self
    }

    /// From the proof to the end of the session.
    async fn attend(&self, gateway: &Gateway, mut link: Link, met: Met, origin: &Origin) {
        let peer = origin.peer;
        let opened = async {
            let key = PrivateKey::draw()?;
            let (session, target) = wait::open(gateway, &mut link, &met, &key, origin).await?;
            Ok((key, session, target))
        };
        let (key, session, target) = match opened.await {
            Ok(opened) => opened,
            Err(failed) => {
                tracing::info!(%peer, person = %met.proved.person, error = %failed, "no session was opened");
                tell(&mut link, &failed).await;
                return;
            }
        };
        let reason = hold(&session, target, key, link).await;
        log_end(&session, peer, &reason);
        session.close(reason).await;
    }
}

/// A session with a lease, to its end.
async fn hold(session: &Session, target: SshTarget, key: PrivateKey, mut link: Link) -> Reason {
    let (reason, failed) = tokio::select! {
        biased;
        reason = session.live.ended() => {
            let words = format!("Daypass ended this session: {}", reason.words());
            (reason, Failed::Told(words))
        }
        connected = upstream::connect(&target, &key) => match connected {
            Ok((upstream, banner)) => {
                // It is not us who say that.
                let lines: Vec<String> = banner.lines().map(|line| format!("target says: {line}")).collect();
                let said = wait::notify(&mut link, &lines).await;
                let greeting = Writer::message(msg::USERAUTH_SUCCESS).done();
                // It goes out with what comes first.
                let greeted = said.and_then(|()| Ok(link.transport.send(&greeting)?));
                if greeted.is_err() {
                    return Reason::Left;
                }
                let rules = Rules::new(target.allowed, session.recording.longest_line);
                return Relay::new(session, rules).run(link, upstream).await;
            }
            Err(failed) => (Reason::TargetLost, failed),
        },
        gone = wait::gone(&mut link) => {
            let reason = if matches!(gone, Failed::Broken(_)) { Reason::ProtocolViolation } else { Reason::Left };
            (reason, gone)
        }
    };
    tracing::warn!(session = %session.live.session, error = %failed, "a session did not begin");
    tell(&mut link, &failed).await;
    session.told().await;
    reason
}

/// Tells a client why it does not come in.
async fn tell(link: &mut Link, failed: &Failed) {
    let Some((bye, words)) = failed.said() else {
        return;
    };
    let telling = async {
        // Before keys are agreed it is said in the clear, and is no secret.
        let _ = link.hang_up(bye, &words).await;
    };
    let _ = edge::within(GOODBYE, telling).await;
}

#[async_trait]
impl Protocol for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    async fn serve(
        &self,
        gateway: Arc<Gateway>,
        connection: TcpStream,
        peer: SocketAddr,
        mut handshake: Handshake,
    ) {
        let origin = Origin {
            peer,
            protocol: self.name(),
        };
        let Ok(mut link) = Link::new(connection, Role::Server(Arc::clone(&self.host_key))) else {
            return;
        };
        let left = |until: Instant| until.saturating_duration_since(edge::instant());
        let beginning = login::begin(&mut link, gateway.control(), &origin);
        let begun = match edge::within(left(handshake.until), beginning).await {
            Ok(begun) => begun,
            Err(late) => {
                tracing::debug!(%peer, error = %late, "a connection did not begin");
                return;
            }
        };
        gateway.asks_people(&mut handshake);
        let met = match begun {
            Ok(given) => {
                let meeting = login::meet(&mut link, self.passwords, given, &origin);
                let late = |_| Err(Failed::Told(LATE.to_owned()));
                edge::within(left(handshake.until), meeting)
                    .await
                    .unwrap_or_else(late)
            }
            Err(failed) => Err(failed),
        };
        match met {
            Ok(met) => {
                drop(handshake);
                self.attend(&gateway, link, met, &origin).await;
            }
            Err(failed) => {
                tracing::info!(%peer, error = %failed, "nobody came in");
                tell(&mut link, &failed).await;
            }
        }
    }
}
