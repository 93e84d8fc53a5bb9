//! How the gateway comes in at the target: TLS that checks the name, SCRAM with the grant's own secret.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::ALPN;
use super::frame::{Fields, Malformed, Report};
use super::message::{self, Said};
use super::startup::{self, CancelKey};
use super::stream::{Failed, Stream, Wire};
use super::target::{Place, PostgresTarget, TargetTls};
use crate::{edge, gateway, scram, tls};

/// How long it may take until the target is ready.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a cancellation may take.
const CANCEL: Duration = Duration::from_secs(5);

/// What a target may say of itself before it is ready, in bytes.
const MOST_SAID: usize = 256 << 10;

/// The longest message before the target is ready.
const GREETING: usize = 64 * 1024;

/// More rounds than this are no protection but an attack on us.
const MOST_ROUNDS: u32 = 200_000;

/// A target that is ready.
pub(super) struct Upstream {
    pub(super) wire: Wire,
    /// What it said of itself: the frames of its parameters.
    pub(super) parameters: BytesMut,
    /// How its queries are cancelled.
    pub(super) key: Option<CancelKey>,
    /// Its ReadyForQuery.
    pub(super) ready: BytesMut,
}

/// What is known of CAs: building a store of certificates takes milliseconds.
type Known = HashMap<Option<String>, Arc<ClientConfig>>;

/// How many are kept.
const KNOWN: usize = 256;

fn config(ca_pem: &Option<String>) -> Result<Arc<ClientConfig>, Failed> {
    static KNOWN_CONFIGS: Mutex<Option<Known>> = Mutex::new(None);
    let mut guard = KNOWN_CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = guard.get_or_insert_default();
    if let Some(config) = known.get(ca_pem) {
        return Ok(Arc::clone(config));
    }
    let config = tls::trusting(ca_pem.as_deref(), ALPN).map_err(|error| unreachable(&error))?;
    if known.len() >= KNOWN {
        known.clear();
    }
    known.insert(ca_pem.clone(), Arc::clone(&config));
    Ok(config)
}

/// The client is told that there is no way to the target, and why.
fn unreachable(why: &dyn std::fmt::Display) -> Failed {
    Failed::Told(Said::fatal(
        "08001",
        format!("the target cannot be reached: {why}"),
    ))
}

/// Connects, without saying anything of the protocol yet; with the digest of the target's certificate.
async fn dial(place: &Place) -> Result<(Stream, Option<Vec<u8>>), Failed> {
    let connected = TcpStream::connect((place.host.as_str(), place.port)).await;
    let mut stream = connected.map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true)?;
    gateway::keep_alive(&stream)?;
    let TargetTls::VerifyFull { ca_pem } = &place.tls else {
        return Ok((Stream::Plain(stream), None));
    };
    stream.write_all(&startup::ssl_request()).await?;
    // One byte and not one more: what somebody put behind it would otherwise be taken as said under TLS (CVE-2021-23222).
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    if answer != *b"S" {
        return Err(unreachable(&"it does not offer TLS"));
    }
    let name = ServerName::try_from(place.host.clone()).map_err(|error| unreachable(&error))?;
    let connector = TlsConnector::from(config(ca_pem)?);
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| unreachable(&error))?;
    let certificates = stream.get_ref().1.peer_certificates();
    let digest = certificates
        .and_then(|all| all.first())
        .and_then(|one| tls::end_point(one));
    Ok((Stream::Tls(Box::new(TlsStream::Client(stream))), digest))
}

/// Logs in at the target; `parameters` are those of the client's startup that are passed on.
pub(super) async fn connect(
    target: &PostgresTarget,
    parameters: &[(&str, &str)],
) -> Result<Upstream, Failed> {
    match edge::within(PATIENCE, connect_now(target, parameters)).await {
        Ok(Err(Failed::Io(error))) => Err(unreachable(&error)),
        Ok(Err(Failed::Malformed(error))) => Err(unreachable(&error)),
        Ok(result) => result,
        Err(error) => Err(unreachable(&error)),
    }
}

async fn connect_now(target: &PostgresTarget, parameters: &[(&str, &str)]) -> Result<Upstream, Failed> {
    let (stream, digest) = dial(&target.place).await?;
    let mut wire = Wire::new(stream);
    let mut all = vec![
        ("user", target.user.as_str()),
        ("database", target.database.as_str()),
    ];
    all.extend_from_slice(parameters);
    let mut out = BytesMut::new();
    startup::write(&all, &mut out);
    wire.send(&out).await?;
    log_in(&mut wire, target.password.as_ref(), digest).await?;
    let mut upstream = Upstream {
        wire,
        parameters: BytesMut::new(),
        key: None,
        ready: BytesMut::new(),
    };
    loop {
        let (kind, body) = upstream.wire.message(GREETING).await?;
        match kind {
            // A target that never gets ready fills nobody's memory.
            b'S' | b'N' if upstream.parameters.len() > MOST_SAID => return Err(Malformed::TooLong.into()),
            b'S' | b'N' => message::frame(&mut upstream.parameters, kind, |out| out.extend_from_slice(&body)),
            b'K' => upstream.key = key(&body),
            b'Z' => {
                message::frame(&mut upstream.ready, kind, |out| out.extend_from_slice(&body));
                return Ok(upstream);
            }
            b'E' => return Err(told(&body)),
            _ => return Err(Malformed::Kind.into()),
        }
    }
}

/// Keys of another length (protocol 3.2) do not come: we ask for 3.0.
fn key(body: &[u8]) -> Option<CancelKey> {
    let mut fields = Fields(body);
    let process = fields.int32()?.cast_unsigned();
    let key = fields.int32()?.cast_unsigned();
    fields.0.is_empty().then_some(CancelKey { process, key })
}

/// What the target itself says about why it does not let us in.
fn told(body: &[u8]) -> Failed {
    let report = Report::read(body).unwrap_or_default();
    let message = String::from_utf8_lossy(report.message.unwrap_or(b"no reason")).into_owned();
    let code = report
        .code
        .map(|code| String::from_utf8_lossy(&code).into_owned());
    // The grant's role is told nothing that the person may not know: what the server says to whoever logs in.
    let said = format!("the target refuses: {message} ({})", code.unwrap_or_default());
    Failed::Told(Said::fatal("08004", said))
}

async fn log_in(
    wire: &mut Wire,
    password: Option<&SecretString>,
    digest: Option<Vec<u8>>,
) -> Result<(), Failed> {
    let (kind, body) = wire.message(GREETING).await?;
    let mut fields = Fields(&body);
    match (kind, fields.int32(), password) {
        (b'E', ..) => Err(told(&body)),
        (b'R', Some(10), Some(password)) => scram(wire, fields, password, digest).await,
        (b'R', Some(0), None) => Ok(()),
        // Whoever lets us in without a proof may be anybody.
        (b'R', Some(0), Some(_)) => Err(unreachable(&"it does not ask for the password")),
        (b'R', ..) => Err(unreachable(&"it asks for a proof that is not SCRAM-SHA-256")),
        _ => Err(Malformed::Kind.into()),
    }
}

async fn scram(
    wire: &mut Wire,
    mut offered: Fields<'_>,
    password: &SecretString,
    digest: Option<Vec<u8>>,
) -> Result<(), Failed> {
    let (mut plain, mut plus) = (false, false);
    while let Some(mechanism) = offered.text() {
        plain |= mechanism == scram::PLAIN.as_bytes();
        plus |= mechanism == scram::PLUS.as_bytes();
    }
    let is_tls = matches!(wire.stream, Stream::Tls(_));
    let (mechanism, binding) = match digest {
        Some(digest) if plus => (scram::PLUS, ChannelBinding::tls_server_end_point(digest)),
        Some(_) if plain => (scram::PLAIN, ChannelBinding::unrequested()),
        None if plain && is_tls => (scram::PLAIN, ChannelBinding::unsupported()),
        None if plain => (scram::PLAIN, ChannelBinding::unsupported()),
        _ => return Err(unreachable(&"it asks for a proof that is not SCRAM-SHA-256")),
    };
    let mut client = ScramSha256::new(password.expose_secret().as_bytes(), binding);
    let mut out = BytesMut::new();
    message::frame(&mut out, b'p', |out| {
        out.extend_from_slice(mechanism.as_bytes());
        out.extend_from_slice(&[0]);
        let length = u32::try_from(client.message().len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(client.message());
    });
    wire.send(&out).await?;
    let challenge = sasl(wire, 11).await?;
    if rounds(&challenge).is_none_or(|rounds| rounds > MOST_ROUNDS) {
        return Err(unreachable(&"its challenge is out of all proportion"));
    }
    // Thousands of rounds of hashing would hold up everybody else.
    let mut client = tokio::task::spawn_blocking(move || client.update(&challenge).map(|()| client))
        .await
        .map_err(|error| unreachable(&error))??;
    out.clear();
    message::frame(&mut out, b'p', |out| out.extend_from_slice(client.message()));
    wire.send(&out).await?;
    let last = sasl(wire, 12).await?;
    // It proves that it knows the password too.
    client.finish(&last).map_err(|error| unreachable(&error))?;
    let (kind, body) = wire.message(GREETING).await?;
    match (kind, Fields(&body).int32()) {
        (b'R', Some(0)) => Ok(()),
        (b'E', _) => Err(told(&body)),
        _ => Err(Malformed::Kind.into()),
    }
}

/// The rounds that a server's first message asks for.
fn rounds(challenge: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(challenge).ok()?;
    text.split(',')
        .find_map(|field| field.strip_prefix("i="))?
        .parse()
        .ok()
}

async fn sasl(wire: &mut Wire, expected: i32) -> Result<Vec<u8>, Failed> {
    let (kind, body) = wire.message(GREETING).await?;
    let mut fields = Fields(&body);
    match (kind, fields.int32()) {
        (b'R', Some(code)) if code == expected => Ok(fields.0.to_vec()),
        (b'E', _) => Err(told(&body)),
        _ => Err(Malformed::Kind.into()),
    }
}

/// Cancels what a connection to this place does; returns when the target has heard of it.
pub(super) async fn cancel(place: &Place, key: CancelKey) -> Result<(), Failed> {
    let cancelling = async {
        let (mut stream, _) = dial(place).await?;
        stream.write_all(&startup::cancel_request(key)).await?;
        stream.flush().await?;
        // The server closes it once the signal is sent.
        let mut end = [0];
        let _: io::Result<usize> = stream.read(&mut end).await;
        Ok(())
    };
    edge::within(CANCEL, cancelling)
        .await
        .unwrap_or_else(|error| Err(unreachable(&error)))
}

/// How many rows a statement answers, on a connection that is ready.
pub(super) async fn rows(upstream: &mut Upstream, text: &str) -> Result<usize, Failed> {
    let mut out = BytesMut::new();
    message::frame(&mut out, b'Q', |out| {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&[0]);
    });
    upstream.wire.send(&out).await?;
    let mut rows = 0;
    loop {
        let (kind, body) = upstream.wire.message(GREETING).await?;
        match kind {
            b'D' => rows += 1,
            b'E' => return Err(told(&body)),
            b'Z' => return Ok(rows),
            _ => {}
        }
    }
}
