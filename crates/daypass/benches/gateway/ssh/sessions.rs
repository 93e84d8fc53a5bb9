//! Sessions of SSH of our own, many at a time, and when each was seen closed.
//!
//! A client in this process and not OpenSSH's: the end of a thousand processes would be what is measured.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use daypass_gateway::ssh::key::{Known, PrivateKey};
use daypass_gateway::ssh::transport::{Role, Transport};
use daypass_gateway::ssh::wire::{Reader, Writer};
use daypass_server::edge;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// So many come in at a time: fewer than a gateway lets one address have that has not said who it is.
const AT_ONCE: usize = 8;

/// Where to, as whom.
#[derive(Clone)]
pub(crate) struct To {
    pub(crate) port: u16,
    /// Its key, in SSH's encoding.
    pub(crate) host_key: Vec<u8>,
    pub(crate) user: String,
    pub(crate) key: Arc<PrivateKey>,
}

/// One that is open, in which a command runs.
pub(crate) struct Session {
    over: JoinHandle<Instant>,
}

impl Session {
    /// Leaves.
    pub(crate) fn leave(self) {
        self.over.abort();
    }

    /// Waits until the other side has closed it; when that was.
    pub(crate) async fn closed(self) -> Instant {
        self.over.await.unwrap()
    }
}

struct Client {
    stream: TcpStream,
    transport: Transport,
}

impl Client {
    async fn send(&mut self, message: &[u8]) {
        self.transport.send(message).unwrap();
        self.flush().await;
    }

    async fn flush(&mut self) {
        let bytes = self.transport.drain();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message; nothing where the other side has hung up.
    async fn next(&mut self) -> Option<BytesMut> {
        loop {
            let next = self
                .transport
                .message()
                .unwrap_or_else(|broken| panic!("{broken:?}"));
            let bytes = self.transport.drain();
            if self.stream.write_all(&bytes).await.is_err() {
                return None;
            }
            if next.is_some() {
                return next;
            }
            if self.stream.read_buf(&mut self.transport.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn until(&mut self, kind: u8) -> BytesMut {
        loop {
            let message = self.next().await.expect("it is not turned away");
            match message[0] {
                one if one == kind => return message,
                1 | 51 | 92 | 100 => panic!("refused: {}", String::from_utf8_lossy(&message)),
                _ => {}
            }
        }
    }
}

/// Opens one; a command that does nothing runs when this returns.
async fn open(to: &To) -> Session {
    let known = Known {
        name: String::new(),
        keys: vec![to.host_key.clone()],
        authorities: Vec::new(),
    };
    let mut client = Client {
        stream: TcpStream::connect(("127.0.0.1", to.port)).await.unwrap(),
        transport: Transport::new(Role::Client(Arc::new(known))).unwrap(),
    };
    client.stream.set_nodelay(true).unwrap();
    client
        .send(&Writer::message(5).string("ssh-userauth").done())
        .await;
    client.until(6).await;
    let asked = Writer::message(50)
        .string(&to.user)
        .string("ssh-connection")
        .string("publickey")
        .bool(true)
        .string("ssh-ed25519")
        .string(to.key.public());
    let name = *client.transport.session().unwrap();
    let signed = Writer::default().string(name).raw(&asked.clone().done()).done();
    client.send(&asked.string(to.key.sign(&signed)).done()).await;
    client.until(52).await;
    let channel = Writer::message(90)
        .string("session")
        .u32(0)
        .u32(1 << 20)
        .u32(32_768);
    client.send(&channel.done()).await;
    let opened = client.until(91).await;
    let mut fields = Reader(&opened[1..]);
    fields.u32().unwrap();
    let there = fields.u32().unwrap();
    let run = Writer::message(98).u32(there).string("exec").bool(true);
    client.send(&run.string("sleep 100000").done()).await;
    client.until(99).await;
    Session {
        over: tokio::spawn(async move {
            // A farewell may come before it.
            while client.next().await.is_some_and(|message| message[0] != 1) {}
            edge::instant()
        }),
    }
}

/// Opens so many to each of these.
pub(crate) async fn many(all: &[To], each: usize) -> Vec<Session> {
    let all = all.iter().flat_map(|to| std::iter::repeat_n(to, each));
    let opening = stream::iter(all).map(|to| {
        let to = to.clone();
        async move { open(&to).await }
    });
    opening.buffer_unordered(AT_ONCE).collect().await
}
