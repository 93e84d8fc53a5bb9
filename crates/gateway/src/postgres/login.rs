//! How a client comes in: TLS, the startup packet, and the proof of who they are.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::frame::{Fields, Malformed};
use super::message::{self, Said};
use super::startup::{self, CancelKey, Packet, Startup};
use super::stream::{Failed, Stream, Wire};
use super::{ALPN, Settings};
use crate::control::{Control, Origin, Proof, Proved};
use crate::scram::{self, Binding, First};

/// The longest message of SASL that is read: a few hundred bytes are usual.
const SASL: usize = 8 * 1024;

/// How many characters of a name are shown that nobody has proved.
const LONGEST_SHOWN: usize = 63;

/// What a connection turned out to be.
pub(super) enum Greeted {
    /// It cancels what another does.
    Cancel(CancelKey, TcpOrTls),
    /// It begins a session.
    Session(Box<Met>),
}

/// Kept open until a cancellation was passed on: the client waits for its end.
pub(super) type TcpOrTls = Stream;

/// A client that has said what it wants.
pub(super) struct Met {
    pub(super) wire: Wire,
    pub(super) startup: Startup,
    pub(super) end_point: Option<Arc<[u8]>>,
}

/// Reads what a client says first.
pub(super) async fn greet(stream: TcpStream, settings: &Settings) -> Result<Greeted, Failed> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    // A handshake record of TLS: since PostgreSQL 17 clients may begin with it. Startup packets begin with a zero.
    if first == [0x16] {
        let stream = direct_tls(stream, settings).await?;
        return inside(stream, settings).await;
    }
    let mut stream = stream;
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        match packet(&mut stream).await? {
            Packet::Ssl if !asked_tls => {
                asked_tls = true;
                let Some(identity) = &settings.identity else {
                    stream.write_all(b"N").await?;
                    continue;
                };
                // Nothing may be said before the answer: it would be taken as said under TLS (CVE-2021-23214).
                if matches!(stream.peek(&mut first).now_or_never(), Some(Ok(1..))) {
                    return Err(Malformed::Body.into());
                }
                stream.write_all(b"S").await?;
                let accepted = TlsAcceptor::from(Arc::clone(&identity.config))
                    .accept(stream)
                    .await?;
                return inside(Stream::Tls(Box::new(TlsStream::Server(accepted))), settings).await;
            }
            Packet::Gss if !asked_gss => {
                asked_gss = true;
                stream.write_all(b"N").await?;
            }
            Packet::Ssl | Packet::Gss => return Err(Malformed::Kind.into()),
            // libpq before 17 cancels in the clear.
            Packet::Cancel(key) if settings.plain_cancel => {
                return Ok(Greeted::Cancel(key, Stream::Plain(stream)));
            }
            Packet::Cancel(_) => return Err(Malformed::Kind.into()),
            Packet::Startup(startup) if settings.plaintext => {
                return Ok(met(Stream::Plain(stream), startup, None));
            }
            Packet::Startup(_) => {
                let said = Said::fatal("28000", "this gateway takes connections with TLS only")
                    .hint(Some("connect with sslmode=verify-full".to_owned()));
                let mut out = BytesMut::new();
                said.write(&mut out);
                stream.write_all(&out).await?;
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
            }
        }
    }
}

async fn direct_tls(stream: TcpStream, settings: &Settings) -> Result<Stream, Failed> {
    let identity = settings.identity.as_ref().ok_or(Malformed::Kind)?;
    let accepted = TlsAcceptor::from(Arc::clone(&identity.config))
        .accept(stream)
        .await?;
    // Without it, what another protocol's client sends could be taken for ours.
    if accepted.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Malformed::Kind.into());
    }
    Ok(Stream::Tls(Box::new(TlsStream::Server(accepted))))
}

/// What is said first under TLS.
async fn inside(mut stream: Stream, settings: &Settings) -> Result<Greeted, Failed> {
    match packet(&mut stream).await? {
        Packet::Startup(startup) => {
            let end_point = settings
                .identity
                .as_ref()
                .and_then(|identity| identity.end_point.clone());
            Ok(met(stream, startup, end_point))
        }
        Packet::Cancel(key) => Ok(Greeted::Cancel(key, stream)),
        Packet::Ssl | Packet::Gss => Err(Malformed::Kind.into()),
    }
}

fn met(stream: Stream, startup: Startup, end_point: Option<Arc<[u8]>>) -> Greeted {
    let wire = Wire::new(stream);
    Greeted::Session(Box::new(Met {
        wire,
        startup,
        end_point,
    }))
}

/// Reads a first packet, and not one byte more.
async fn packet(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<Packet, Failed> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await?;
    let length = startup::length(size)?;
    let mut body = vec![0; length - size.len()];
    stream.read_exact(&mut body).await?;
    Ok(Packet::read(&body)?)
}

impl Met {
    /// Has the client prove who they are; it knows that it is in when this returns.
    pub(super) async fn authenticate(
        &mut self,
        control: &dyn Control,
        origin: &Origin,
    ) -> Result<Proved, Failed> {
        let mut out = BytesMut::new();
        if self.startup.minor > 0 || !self.startup.extensions.is_empty() {
            message::negotiate(&mut out, &self.startup.extensions);
        }
        let user = self.startup.get("user").unwrap_or_default().to_owned();
        if user.is_empty() {
            return Err(Failed::Told(Said::fatal("28000", "no user is named")));
        }
        if self
            .startup
            .get("replication")
            .is_some_and(|value| value != "false")
        {
            let said = Said::fatal(
                "0A000",
                "replication does not go through this gateway: it could not be recorded",
            );
            return Err(Failed::Told(said));
        }
        let end_point = self.end_point.clone();
        let (binding, mechanisms): (_, &[&str]) = match end_point.as_deref() {
            Some(digest) => (Binding::EndPoint(digest), &[scram::PLUS, scram::PLAIN]),
            None => (Binding::None, &[scram::PLAIN]),
        };
        message::sasl(&mut out, mechanisms);
        self.wire.send(&out).await?;
        let first = self.first(binding).await?;
        let challenge = control.challenge(&user, origin).await?;
        let exchange = first.challenged(&challenge.scram);
        out.clear();
        message::sasl_continue(&mut out, exchange.message());
        self.wire.send(&out).await?;
        let (kind, body) = self.wire.message(SASL).await?;
        let answer = text_of(kind, &body)?;
        let answer = exchange.answered(answer).map_err(broken)?;
        let proof = Proof::Scram {
            ticket: challenge.ticket,
            answer,
        };
        let Some(proved) = control.prove(proof, origin).await? else {
            let said = Said::fatal(
                "28P01",
                format!("the credential of \"{}\" is not valid (any more)", shown(&user)),
            )
            .hint(Some("get a new one: daypass connect".to_owned()));
            return Err(Failed::Told(said));
        };
        out.clear();
        message::authenticated(&mut out, &scram::last(&proved.server_signature));
        self.wire.send(&out).await?;
        Ok(proved)
    }

    async fn first(&mut self, binding: Binding<'_>) -> Result<First, Failed> {
        let (kind, body) = self.wire.message(SASL).await?;
        let mut fields = Fields(&body);
        let (Some(mechanism), Some(length)) = (fields.text(), fields.int32()) else {
            return Err(Malformed::Body.into());
        };
        if usize::try_from(length) != Ok(fields.0.len()) {
            return Err(Malformed::Length.into());
        }
        let mechanism = std::str::from_utf8(mechanism).map_err(|_| Malformed::Body)?;
        First::read(mechanism, text_of(kind, fields.0)?, binding).map_err(broken)
    }
}

/// What somebody calls themselves of whom nothing is known: it goes to logs and terminals.
fn shown(user: &str) -> String {
    let begins: String = user.chars().take(LONGEST_SHOWN).collect();
    let mark = if begins.len() < user.len() { "…" } else { "" };
    format!("{}{mark}", begins.escape_debug())
}

fn text_of(kind: u8, body: &[u8]) -> Result<&str, Failed> {
    if kind != b'p' {
        return Err(Malformed::Kind.into());
    }
    std::str::from_utf8(body).map_err(|_| Malformed::Body.into())
}

fn broken(why: scram::Broken) -> Failed {
    Failed::Told(Said::fatal("28000", why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_stranger_is_one_short_line() {
        assert_eq!(shown("ada"), "ada");
        assert_eq!(shown("a\n\u{1b}[2J\"\u{202e}"), r#"a\n\u{1b}[2J\"\u{202e}"#);
        let long = shown(&"\u{1b}".repeat(9_000));
        assert_eq!(long, format!("{}…", r"\u{1b}".repeat(LONGEST_SHOWN)));
    }
}
