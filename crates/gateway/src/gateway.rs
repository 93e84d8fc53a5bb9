//! A gateway: its listeners, its limits, and the way of every connection to a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::address::{Addresses, Place};
use crate::bounded::Bounded;
use crate::control::{
    Control, Lease, OnFailure, Opened, Opening, PersonId, Reason, Refusal, Target, Unavailable, Waiting,
};
use crate::edge;
use crate::life::{Full, Life, Slot};
use crate::protocol::Protocol;
use crate::session::{Live, Session};

/// What a gateway takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sessions, with those who wait for one.
    pub sessions: usize,
    /// Of one person.
    pub sessions_per_person: usize,
    /// Connections that have not proved who they are. More wait to be accepted.
    pub handshakes: usize,
    /// Of one address (of IPv6, of one /64; of a /48 twice as many, of a /32 four times). More are closed at once: strangers who say nothing do not keep others out. Where all
    /// clients come through one proxy, it is as many as `handshakes`.
    pub handshakes_per_address: usize,
    /// How long one may take to prove it.
    pub handshake: Duration,
    /// The same where people are asked something while they connect (SSH: whether this is the right host, for a passphrase, to touch a key),
    /// once programs have said what they say without them. `handshakes` of them have so long; more have what is above.
    pub login: Duration,
    /// How long somebody may wait while others are asked.
    pub waiting: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            sessions_per_person: 100,
            handshakes: 512,
            handshakes_per_address: 64,
            handshake: Duration::from_secs(15),
            // As sshd's LoginGraceTime.
            login: Duration::from_secs(120),
            waiting: Duration::from_secs(15 * 60),
        }
    }
}

/// A connection that is not yet somebody's: a place among few, and until when.
#[derive(Debug)]
pub struct Handshake {
    /// When it must have proved who they are.
    pub until: Instant,
    place: OwnedSemaphorePermit,
    _of_address: Place,
}

/// How an opening went.
#[derive(Debug)]
pub enum Step {
    /// The session and what is behind it.
    Open(Box<Session>, Target),
    /// Somebody is being asked.
    Waiting(Waiting, Slot),
    /// No.
    Refused(Refusal),
}

/// See the module.
pub struct Gateway {
    life: Arc<Life>,
    limits: Limits,
    handshakes: Arc<Semaphore>,
    logins: Arc<Semaphore>,
    addresses: Arc<Addresses>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}

impl Gateway {
    /// A gateway of whoever decides.
    #[must_use]
    pub fn new(control: Arc<dyn Control>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            life: Life::new(Arc::new(Bounded {
                control,
                waiting: limits.waiting,
            })),
            limits,
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            logins: Arc::new(Semaphore::new(limits.handshakes)),
            addresses: Arc::default(),
        })
    }

    /// Keeps sessions alive and ends them. Without it every session ends when its lease runs out.
    pub async fn run(&self) {
        self.life.run().await;
    }

    /// Whoever decides.
    #[must_use]
    pub fn control(&self) -> &dyn Control {
        self.life.control()
    }

    /// What is taken.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Serves connections of a protocol until [`Gateway::stop`] and the end of all that had begun.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, protocol: Arc<dyn Protocol>) {
        let mut serving = JoinSet::new();
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&self.handshakes).acquire_owned().await else {
                return;
            };
            while serving.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.life.stopping() => break,
            };
            let (connection, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, mostly: others are served meanwhile.
                    tracing::warn!(%error, "a connection was not accepted");
                    edge::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let most = self.limits.handshakes_per_address;
            let Some(of_address) = self.addresses.place(peer.ip(), most) else {
                tracing::debug!(%peer, "an address has as many connections as may be nobody's");
                continue;
            };
            if let Err(error) = tune(&connection) {
                tracing::debug!(%error, "a connection was gone at once");
                continue;
            }
            let handshake = Handshake {
                until: edge::instant() + self.limits.handshake,
                place,
                _of_address: of_address,
            };
            let (gateway, protocol) = (Arc::clone(&self), Arc::clone(&protocol));
            serving.spawn(async move { protocol.serve(gateway, connection, peer, handshake).await });
        }
        // Each says goodbye and closes; those that are no session yet have a deadline.
        while serving.join_next().await.is_some() {}
    }

    /// From here on people are asked something: they have their time, in a place of their own, so that they keep nobody from beginning. Where
    /// there is no such place they have the time that programs have.
    pub(crate) fn asks_people(&self, handshake: &mut Handshake) {
        if let Ok(place) = Arc::clone(&self.logins).try_acquire_owned() {
            handshake.place = place;
            handshake.until += self.limits.login.saturating_sub(self.limits.handshake);
        }
    }

    /// Ends every session and takes no more.
    pub fn stop(&self) {
        self.life.stop();
    }

    /// Waits until there is no session any more.
    pub async fn drained(&self) {
        // Its other end is in `self`.
        let _ = self.life.count().wait_for(|count| *count == 0).await;
    }

    /// Waits until whoever decides knows of every session that ended and whose place was given back. Without [`Gateway::run`] that may be
    /// never.
    pub async fn closed(&self) {
        // Its other end is in `self`.
        let _ = self.life.unclosed().wait_for(|count| *count == 0).await;
    }

    /// Waits until [`Gateway::stop`].
    pub async fn stopping(&self) {
        self.life.stopping().await;
    }

    /// How many sessions there are, with those who wait for one.
    #[must_use]
    pub fn sessions(&self) -> usize {
        *self.life.count().borrow()
    }

    /// A place for somebody who proved who they are.
    ///
    /// # Errors
    /// There is none.
    pub fn slot(&self, person: &PersonId) -> Result<Slot, Full> {
        let Limits {
            sessions,
            sessions_per_person,
            ..
        } = self.limits;
        self.life.slot(person, sessions, sessions_per_person)
    }

    /// Asks for a session.
    ///
    /// # Errors
    /// Whoever decides cannot be asked.
    pub async fn open(&self, opening: Opening, slot: Slot) -> Result<Step, Unavailable> {
        let asked = self.life.asking();
        let lease = match self.control().open(opening).await? {
            Opened::Lease(lease) => *lease,
            Opened::Waiting(waiting) => return Ok(Step::Waiting(waiting, slot)),
            Opened::Refused(refusal) => return Ok(Step::Refused(refusal)),
        };
        let Lease {
            id,
            session,
            grant,
            person,
            term,
            target,
            recording,
            ..
        } = lease;
        if !recording.begun && recording.on_failure == OnFailure::End {
            // Whoever decides should have refused it.
            return Err(Unavailable(
                "a session that must be recorded, and is not".to_owned(),
            ));
        }
        let live = Arc::new(Live::new((id, session), grant, person, term, asked.at));
        self.life.enter(&live, asked)?;
        let session = Session::new(live, recording, Arc::clone(&self.life), slot);
        Ok(Step::Open(Box::new(session), target))
    }
}

/// Answers go out at once, and a peer that is gone is noticed within two minutes.
fn tune(connection: &TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    keep_alive(connection)
}

pub(crate) fn keep_alive(connection: &TcpStream) -> std::io::Result<()> {
    sockopt::set_socket_keepalive(connection, true)?;
    sockopt::set_tcp_keepidle(connection, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(connection, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(connection, 4)?;
    Ok(())
}

/// Why nobody gets in who is somebody.
impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        Self {
            reason: full.to_string(),
            hint: None,
        }
    }
}

/// For logs: how a session ended, and where.
pub(crate) fn log_end(session: &Session, peer: SocketAddr, reason: &Reason) {
    let may_work = session.traffic.may_work.load(Ordering::Relaxed);
    tracing::info!(session = %session.live.session, %peer, reason = reason.name(), may_work, "a session ended");
}
