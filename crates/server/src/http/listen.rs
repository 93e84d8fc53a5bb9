//! The listener: TCP, TLS where a certificate is configured, HTTP/1.1 and HTTP/2, and an end that finishes what it began.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
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

/// How many connections are open at the same time; the next one waits to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request (Slowloris).
const HEAD: Duration = Duration::from_secs(15);
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
    mut stop: watch::Receiver<bool>,
) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let server = Arc::new(builder());
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
                let connection = Connection {
                    app: app.clone(),
                    peer,
                    server: Arc::clone(&server),
                    watcher: graceful.watcher(),
                    _place: place,
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

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
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
    server: Arc<auto::Builder<TokioExecutor>>,
    watcher: hyper_util::server::graceful::Watcher,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small answers and events should not wait for each other; failing at it only costs time.
        let _slower = stream.set_nodelay(true);
        match tls {
            None => self.http(stream).await,
            Some(tls) => match edge::within(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream).await,
                Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
                Err(slow) => tracing::debug!(peer = %self.peer, %slow, "TLS handshake was not finished"),
            },
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let peer = Peer(self.peer);
        let service = self
            .app
            .map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(peer);
                request.map(axum::body::Body::new)
            });
        let serving = self
            .server
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        if let Err(error) = self.watcher.watch(serving).await {
            tracing::debug!(peer = %self.peer, %error, "connection ended");
        }
    }
}
