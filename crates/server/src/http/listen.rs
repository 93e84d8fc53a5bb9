//! The listener: TCP, TLS where a certificate is configured, HTTP/1.1 and HTTP/2, and an end that finishes what it began.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::config::TlsFiles;
use crate::edge;
use crate::http::address::Peer;
use crate::http::leaving::{Traffic, UnderWay, idle, late};
use crate::http::places::{Share, Shares};
use crate::identity::limit::{network, site};

/// How many connections are open at the same time; the next one waits to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// How many of them one address has. The proxies that are trusted speak for many, and have as many as there are.
const OF_ONE_ADDRESS: usize = 256;
/// How many all networks of one site have together.
const OF_ONE_SITE: usize = 1024;
/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request (Slowloris).
const HEAD: Duration = Duration::from_secs(15);
/// How long a connection may have no request under way. In HTTP/1, the head's limit is shorter.
const IDLE: Duration = Duration::from_secs(60);
/// How long a client may take to take an answer of a known size.
const LEAVING: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// How many requests an HTTP/2 client may have under way on one connection.
const MAX_STREAMS: u32 = 128;
/// How long requests under way may take once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// The pause after an accept that failed, such as with no file descriptors left.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// The certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("tls: {}: {why}", file.display())]
pub struct TlsError {
    file: PathBuf,
    why: String,
}

/// A TLS acceptor with this certificate.
///
/// # Errors
/// Where a file cannot be read, holds no PEM of the right kind, or the key is not the certificate's.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let wrong = |file: &Path, why: String| TlsError {
        file: file.to_owned(),
        why,
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(
            &files.certificate,
            "it holds no certificate in PEM".to_owned(),
        ));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until told to stop, then finishes the requests under way and returns.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: Router,
    trusted: Vec<IpNet>,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let addresses = Shares::new(OF_ONE_ADDRESS, 0);
    let sites = Shares::new(OF_ONE_SITE, 0);
    let graceful = GracefulShutdown::new();
    let speaks = Arc::new(Speaks::new(HEAD));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&connections).acquire_owned() => place,
            () = stopped(&mut stop) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let address = peer.ip().to_canonical();
                let share = addresses
                    .try_take(network(address))
                    .and_then(|share| Some((share, sites.try_take(site(address))?)));
                if share.is_none() && !trusted.iter().any(|net| net.contains(&address)) {
                    tracing::debug!(%peer, "this address has as many connections as one may have");
                    continue;
                }
                let connection = Connection {
                    app: app.clone(),
                    peer,
                    speaks: Arc::clone(&speaks),
                    idle: IDLE,
                    leaving: LEAVING,
                    watcher: graceful.watcher(),
                    _place: (place, share),
                };
                tokio::spawn(connection.run(stream, tls.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                edge::sleep(AFTER_ERROR).await;
            }
        }
    }
    drop(listener);
    if edge::within(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not finished within {DRAIN:?} and were cut");
    }
}

/// Whether the server is told to stop, or nobody is left who could tell it.
pub(crate) fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// Returns once the server is told to stop, or nobody is left who could tell it.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _gone = stop.wait_for(|stop| *stop).await;
}

/// The two ways to speak HTTP. Which one it is, TLS agrees on (ALPN); without TLS it is HTTP/1. Nobody's first bytes are waited
/// for to find out: who sends none would be waited for without end.
struct Speaks {
    one: auto::Builder<TokioExecutor>,
    two: auto::Builder<TokioExecutor>,
}

impl Speaks {
    fn new(head: Duration) -> Self {
        Self {
            one: builder(head).http1_only(),
            two: builder(head).http2_only(),
        }
    }
}

fn builder(head: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD.try_into().unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// One accepted connection and what it needs to be served.
struct Connection {
    app: Router,
    peer: SocketAddr,
    speaks: Arc<Speaks>,
    idle: Duration,
    leaving: Duration,
    watcher: hyper_util::server::graceful::Watcher,
    _place: (OwnedSemaphorePermit, Option<(Share<IpAddr>, Share<IpAddr>)>),
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small answers and events should not wait for each other; failing at it only costs time.
        let _slower = stream.set_nodelay(true);
        match tls {
            None => self.http(stream, false).await,
            Some(tls) => match edge::within(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.http(stream, two).await;
                }
                Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
                Err(slow) => tracing::debug!(peer = %self.peer, %slow, "TLS handshake was not finished"),
            },
        }
    }

    /// Serves HTTP/1, or HTTP/2, until the connection ends, has been idle for too long, or an answer was not taken in time.
    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, two: bool) {
        let (peer, app) = (Peer(self.peer), self.app);
        let traffic = watch::Sender::new(Traffic::default());
        let (quiet, slow) = (traffic.subscribe(), traffic.subscribe());
        let service = tower::service_fn(move |mut request: hyper::Request<Incoming>| {
            let under_way = UnderWay::begin(&traffic);
            request.extensions_mut().insert(peer);
            let answer = app.clone().oneshot(request.map(Body::new));
            async move { Ok::<_, Infallible>(under_way.answer(answer.await?)) }
        });
        let speaks = if two { &self.speaks.two } else { &self.speaks.one };
        let serving = speaks.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::select! {
            ended = self.watcher.watch(serving) => {
                if let Err(error) = ended {
                    tracing::debug!(peer = %self.peer, %error, "connection ended");
                }
            }
            () = idle(self.idle, quiet) => tracing::debug!(peer = %self.peer, "connection was idle"),
            () = late(self.leaving, slow) => {
                tracing::debug!(peer = %self.peer, "an answer was not taken in time");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(20);

    /// One connection to a server of nothing, with limits of its own.
    fn connected((head, limit): (Duration, Duration), two: bool) -> DuplexStream {
        served(Router::new(), (head, limit, LONG), two)
    }

    fn served(app: Router, (head, idle, leaving): (Duration, Duration, Duration), two: bool) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let connection = Connection {
            app,
            peer: SocketAddr::from(([192, 0, 2, 1], 1)),
            speaks: Arc::new(Speaks::new(head)),
            idle,
            leaving,
            watcher: GracefulShutdown::new().watcher(),
            _place: (Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(), None),
        };
        tokio::spawn(connection.http(theirs, two));
        ours
    }

    async fn ends(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
        let mut said = Vec::new();
        let ended = edge::within(PATIENCE, stream.read_to_end(&mut said)).await;
        // A reset is an end too.
        let _how = ended.expect("the server ends the connection");
        said
    }

    #[tokio::test]
    async fn who_says_nothing_is_not_waited_for() {
        ends(connected((SHORT, LONG), false)).await;
        ends(connected((LONG, SHORT), true)).await;
    }

    #[tokio::test]
    async fn http_2_without_a_request_ends() {
        let mut stream = connected((LONG, SHORT), true);
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        stream.write_all(preface).await.unwrap();
        assert!(!ends(stream).await.is_empty(), "it had begun to speak");
    }

    #[tokio::test]
    async fn who_takes_no_answer_is_not_waited_for() {
        // Once with a window of nothing, once with one of a byte: what is behind that byte the connection itself would keep.
        for window in [0_u8, 1] {
            let app = Router::new().route("/", get(|| async { "a".repeat(4096) }));
            let mut stream = served(app, (LONG, LONG, SHORT), true);
            let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            // SETTINGS with INITIAL_WINDOW_SIZE (4). Source: RFC 9113, section 6.5.2.
            said.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, window]);
            // HEADERS that end a stream: GET, http and / by their places in the static table (RFC 7541, appendix A), `:authority` a.
            said.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']);
            stream.write_all(&said).await.unwrap();
            ends(stream).await;
        }
    }

    #[tokio::test]
    async fn one_address_does_not_take_all_connections() {
        let local: IpNet = "127.0.0.0/8".parse().unwrap();
        for (trusted, taken) in [(vec![], false), (vec![local], true)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (_stop, stopped) = watch::channel(false);
            let serving = tokio::spawn(serve(listener, None, Router::new(), trusted, stopped));
            let mut open = Vec::new();
            for _ in 0..OF_ONE_ADDRESS {
                open.push(TcpStream::connect(address).await.unwrap());
            }
            let mut last = TcpStream::connect(address).await.unwrap();
            let asked = last
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await;
            let said = ends(last).await;
            assert_eq!(asked.is_ok() && said.starts_with(b"HTTP/1.1 404"), taken);
            serving.abort();
        }
    }
}
