//! A connection with or without TLS, and how messages are read from it before a session begins.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::frame::{HEAD, Head, Malformed};
use super::message::Said;
use crate::control::Unavailable;

/// See the module.
#[derive(Debug)]
pub(super) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Protected.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Why a connection does not become a session.
#[derive(Debug, Error)]
pub(super) enum Failed {
    /// It broke, or the other side is gone.
    #[error("the connection: {0}")]
    Io(#[from] io::Error),
    /// What came is no protocol.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// Whoever decides cannot be asked.
    #[error("{0}")]
    Control(#[from] Unavailable),
    /// The client is told this.
    #[error("{}", .0.message)]
    Told(Said),
}

impl Failed {
    /// What a client is told, if anything.
    #[must_use]
    pub(super) fn said(&self) -> Option<Said> {
        match self {
            Self::Io(_) => None,
            Self::Malformed(why) => Some(Said::fatal("08P01", why.to_string())),
            Self::Control(_) => Some(
                Said::fatal("57P03", "Daypass cannot decide just now, so nobody gets in")
                    .hint(Some("try again in a moment".to_owned())),
            ),
            Self::Told(said) => Some(said.clone()),
        }
    }
}

/// Messages over a connection, one after the other.
pub(super) struct Wire {
    /// The connection.
    pub(super) stream: Stream,
    /// What was read and is not yet a message.
    pub(super) buffer: BytesMut,
}

impl Wire {
    /// Of a connection of which nothing was read.
    #[must_use]
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The next message: its type and its body, of so many bytes at most.
    ///
    /// # Errors
    /// The connection breaks or ends, or the message is longer.
    pub(super) async fn message(&mut self, most: usize) -> Result<(u8, BytesMut), Failed> {
        loop {
            if let Some(head) = Head::read(&self.buffer)? {
                if head.body > most {
                    return Err(Malformed::TooLong.into());
                }
                if self.buffer.len() >= head.total() {
                    let mut frame = self.buffer.split_to(head.total());
                    return Ok((head.kind, frame.split_off(HEAD)));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Sends bytes at once.
    ///
    /// # Errors
    /// The connection breaks.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Waits until the other side leaves. Nothing else may come before it is answered.
    pub(super) async fn gone(&mut self) -> Failed {
        match self.message(0).await {
            // Terminate: it says goodbye.
            Ok((b'X', _)) => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
            Ok(_) => Malformed::Kind.into(),
            Err(failed) => failed,
        }
    }
}
