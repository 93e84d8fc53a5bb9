//! A TCP proxy for fault tests: it forwards to a service and, when told, pauses, cuts, refuses, or acts at the moment when
//! certain bytes pass.
//!
//! ```
//! use std::time::Duration;
//! use daypass_testbed::{TcpProxy, tcp_proxy::Then};
//! # let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let proxy = TcpProxy::start(service.local_addr().unwrap()).unwrap();
//! // The effect happens, its answer never arrives: what a crash of the network looks like to a provider.
//! let created = proxy.when(b"CREATE ROLE", Then::HoldAnswers);
//! // … point the code under test at proxy.addr() and let it work …
//! # use std::io::Write;
//! # std::net::TcpStream::connect(proxy.addr()).unwrap().write_all(b"CREATE ROLE x").unwrap();
//! created.wait(Duration::from_secs(10)).unwrap();
//! proxy.cut();
//! ```
//!
//! Bytes are matched as they are on the wire: a client that encrypts shows nothing.

mod pump;

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::Doing;
use crate::{Error, Result, port};

/// What to do when the bytes of a [`TcpProxy::when`] come from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Forward them, and say so.
    Forward,
    /// Forward them, but hold what the service answers on that connection from then on, until [`TcpProxy::resume`].
    HoldAnswers,
    /// Close that connection before they are forwarded: the call never arrives.
    CutBefore,
    /// Forward them, then close that connection without passing any answer on.
    CutAfter,
}

/// The promise of a [`TcpProxy::when`].
#[derive(Debug)]
#[must_use = "it tells when the bytes have passed"]
pub struct Sighting(Arc<Flag>, String);

impl Sighting {
    /// Waits until the bytes were seen and acted upon.
    ///
    /// # Errors
    /// [`Error::TooLate`] when they did not come in time.
    pub fn wait(&self, within: Duration) -> Result<()> {
        let Self(flag, needle) = self;
        let raised = flag.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let (raised, _) = flag
            .changed
            .wait_timeout_while(raised, within, |raised| !*raised)
            .unwrap_or_else(PoisonError::into_inner);
        if *raised {
            Ok(())
        } else {
            Err(Error::TooLate {
                what: format!("a client's {needle:?}"),
                within,
            })
        }
    }

    /// Whether it has happened by now.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        *self.0.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raised once.
#[derive(Debug, Default)]
struct Flag {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// A proxy on a free loopback port. Dropping it closes every connection.
#[derive(Debug)]
pub struct TcpProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl TcpProxy {
    /// Starts to listen, forwarding every connection to `target`, which need not be there yet.
    ///
    /// # Errors
    /// No port is free, or the system refuses to listen.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()?));
        let listener = listen(addr)?;
        let shared = Arc::new(Shared::default());
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(listener, addr, target, &shared)
        });
        Ok(Self {
            addr,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where to connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`TcpProxy::addr`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Holds all bytes, in both directions, of old and new connections: the network is there and says nothing.
    pub fn pause(&self) {
        self.shared.lock().paused = true;
    }

    /// Lets held bytes go, those of [`Then::HoldAnswers`] included.
    pub fn resume(&self) {
        let mut state = self.shared.lock();
        state.paused = false;
        for connection in &mut state.connections {
            connection.answers_held = false;
        }
        self.shared.changed.notify_all();
    }

    /// Closes all connections, without what they held. New ones are still accepted.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        for connection in state.connections.drain(..) {
            connection.close();
        }
        self.shared.changed.notify_all();
    }

    /// Stops listening: who connects is refused. Open connections stay. Returns when that is so.
    pub fn refuse(&self) {
        let mut state = self.shared.lock();
        state.wanted = Listening::Off;
        while state.listening != Listening::Off {
            // Wakes the acceptor, which blocks in accept(2).
            drop(TcpStream::connect(self.addr));
            state = self.shared.wait(state);
        }
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// Somebody took the port in the meantime.
    pub fn accept(&self) -> Result<()> {
        let mut state = self.shared.lock();
        if state.listening == Listening::On {
            return Ok(());
        }
        state.next = Some(listen(self.addr)?);
        state.wanted = Listening::On;
        self.shared.changed.notify_all();
        while state.listening != Listening::On {
            state = self.shared.wait(state);
        }
        Ok(())
    }

    /// Acts the first time that a client sends `needle`, on any connection, wherever the system splits it. Ask *before*
    /// the client is set going. Each call is good for one sighting; the earliest waiting call gets it.
    pub fn when(&self, needle: &[u8], then: Then) -> Sighting {
        let flag = Arc::new(Flag::default());
        self.shared.lock().traps.push(Trap {
            needle: needle.to_vec(),
            then,
            flag: Arc::clone(&flag),
        });
        Sighting(flag, String::from_utf8_lossy(needle).into_owned())
    }

    /// How many connections are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.refuse();
        self.cut();
        self.shared.lock().wanted = Listening::Gone;
        self.shared.changed.notify_all();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Listening {
    #[default]
    On,
    Off,
    Gone,
}

/// What the handle, the acceptor and the pumps share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: Listening,
    listening: Listening,
    /// The listener for when it is wanted again.
    next: Option<TcpListener>,
    paused: bool,
    traps: Vec<Trap>,
    connections: Vec<Connection>,
    last_id: u64,
}

/// One [`TcpProxy::when`].
#[derive(Debug)]
struct Trap {
    needle: Vec<u8>,
    then: Then,
    flag: Arc<Flag>,
}

#[derive(Debug)]
struct Connection {
    id: u64,
    client: TcpStream,
    service: TcpStream,
    answers_held: bool,
}

impl Connection {
    fn close(&self) {
        // It fails only if the other side was faster.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.service.shutdown(Shutdown::Both);
    }
}

impl Shared {
    /// A panic in one test thread must not turn into a second one in another's clean-up.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(addr).doing(|| format!("listening on {addr}"))
}

/// Accepts while it is wanted, and sleeps without a listener while it is not.
fn accept(first: TcpListener, addr: SocketAddr, target: SocketAddr, shared: &Arc<Shared>) {
    let mut listener = first;
    loop {
        let incoming = listener.accept();
        let mut state = shared.lock();
        if state.wanted == Listening::On {
            drop(state);
            if let Ok((client, _)) = incoming {
                pump::connect(client, target, shared);
            }
            continue;
        }
        // A program that another thread is just starting has a copy of the listener until it runs: closing ours would not be enough.
        // Where the system cannot do this to one that listens, that is all there is.
        let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        drop((listener, incoming));
        state.listening = Listening::Off;
        shared.changed.notify_all();
        listener = loop {
            match (state.wanted, state.next.take()) {
                (Listening::Gone, _) => return,
                (Listening::On, Some(next)) => break next,
                _ => state = shared.wait(state),
            }
        };
        debug_assert_eq!(listener.local_addr().ok(), Some(addr));
        state.listening = Listening::On;
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
