//! A client of our own, to say what no decent client says.

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::control::SECRET;
use crate::world::{World, soon};

/// A connection in the clear.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: BytesMut,
}

pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

pub(crate) fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

/// Parse, Bind and Execute of the unnamed statement, without a Sync.
pub(crate) fn extended(text: &str) -> Vec<u8> {
    [
        frame(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat()),
        frame(b'B', b"\0\0\0\0\0\0\0\0"),
        frame(b'E', b"\0\0\0\0\0"),
    ]
    .concat()
}

pub(crate) fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

pub(crate) fn startup(user: &str) -> Vec<u8> {
    let body = format!("user\0{user}\0database\0orders/read\0\0");
    let length = u32::try_from(body.len() + 8).unwrap();
    [
        &length.to_be_bytes()[..],
        &196_608_u32.to_be_bytes(),
        body.as_bytes(),
    ]
    .concat()
}

impl Raw {
    pub(crate) async fn dial(world: &World) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
        let buffer = BytesMut::new();
        Self { stream, buffer }
    }

    /// Proves who it is, and reads nothing more.
    pub(crate) async fn prove(world: &World) -> Self {
        let mut raw = Self::dial(world).await;
        raw.send(&startup("ada")).await;
        assert_eq!(raw.message().await.unwrap().0, b'R');
        let mut scram = ScramSha256::new(SECRET.as_bytes(), ChannelBinding::unsupported());
        let first = scram.message();
        let length = u32::try_from(first.len()).unwrap();
        let body = [b"SCRAM-SHA-256\0", &length.to_be_bytes()[..], first].concat();
        raw.send(&frame(b'p', &body)).await;
        let (_, challenge) = raw.message().await.unwrap();
        scram.update(&challenge[4..]).unwrap();
        raw.send(&frame(b'p', scram.message())).await;
        let (_, last) = raw.message().await.unwrap();
        scram.finish(&last[4..]).unwrap();
        raw
    }

    /// Logs in, until the target is ready; the answer is the cancel key.
    pub(crate) async fn login(world: &World) -> (Self, Vec<u8>) {
        let mut raw = Self::prove(world).await;
        let mut key = Vec::new();
        loop {
            match raw.message().await.unwrap() {
                (b'K', body) => key = body.to_vec(),
                (b'Z', _) => return (raw, key),
                (b'E', body) => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next message, or `None` at the end.
    pub(crate) async fn message(&mut self) -> Option<(u8, BytesMut)> {
        loop {
            if let Some(length) = self.buffer.get(1..5) {
                let total = 1 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if self.buffer.len() >= total {
                    let mut frame = self.buffer.split_to(total);
                    return Some((frame[0], frame.split_off(5)));
                }
            }
            match soon(self.stream.read_buf(&mut self.buffer)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The types of the messages until the target is ready or the connection ends, with the codes of errors.
    pub(crate) async fn answers(&mut self) -> String {
        let mut seen = String::new();
        while let Some((kind, body)) = self.message().await {
            seen.push(char::from(kind));
            if kind == b'E' {
                let text = String::from_utf8_lossy(&body).into_owned();
                let code = text.split('\0').find_map(|field| field.strip_prefix('C'));
                seen.push_str(&format!("[{}]", code.unwrap()));
            }
            if kind == b'Z' {
                break;
            }
        }
        seen
    }

    /// All that comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = self.buffer.to_vec();
        // A reset is an end too.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        rest
    }
}
