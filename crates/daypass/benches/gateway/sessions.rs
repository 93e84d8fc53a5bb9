//! Sessions of our own, many at a time, and when each was seen closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use daypass_server::edge;
use futures_util::{StreamExt as _, stream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::way::Way;

/// So many come in at a time: fewer than a gateway lets one address have that has not said who it is.
const AT_ONCE: usize = 16;

/// How one comes in.
#[derive(Clone)]
pub(crate) struct Sessions {
    tls: MakeRustlsConnect,
}

/// One that is open.
pub(crate) struct Session {
    pub(crate) client: Client,
    over: JoinHandle<Instant>,
}

impl Session {
    /// Waits until the other side has closed it; when that was.
    pub(crate) async fn closed(self) -> Instant {
        self.over.await.unwrap()
    }

    /// Leaves, and waits until the other side has closed it too.
    pub(crate) async fn leave(self) {
        drop(self.client);
        self.over.await.unwrap();
    }
}

impl Sessions {
    /// By the certificate of this authority.
    pub(crate) fn trusting(ca: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            tls: MakeRustlsConnect::new(config),
        }
    }

    /// Opens one.
    pub(crate) async fn connect(&self, way: &Way) -> Result<Session, Error> {
        let stream = TcpStream::connect(("127.0.0.1", way.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let socket = Arc::new(stream);
        let mut tls = self.tls.clone();
        let tls = MakeTlsConnect::<Watched>::make_tls_connect(&mut tls, "localhost").unwrap();
        let (client, connection) = way
            .config()
            .connect_raw(Watched(Arc::clone(&socket)), tls)
            .await?;
        let over = tokio::spawn(async move {
            // It ends with what the server says last; the end of the connection comes after it.
            let _ = connection.await;
            end(&socket).await;
            edge::instant()
        });
        Ok(Session { client, over })
    }

    /// Opens so many of each of these ways, and asks each something.
    pub(crate) async fn many(&self, ways: &[Way], each: usize) -> Vec<Session> {
        let all = ways.iter().flat_map(|way| std::iter::repeat_n(way, each));
        let open = |way: &Way| {
            let (sessions, way) = (self.clone(), way.clone());
            async move {
                let name = way.name;
                let session = sessions.connect(&way).await;
                let session = session.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                let asked = session.client.simple_query("SELECT 1").await;
                asked.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                session
            }
        };
        stream::iter(all)
            .map(open)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }
}

/// Reads to the end of a connection, or to its breaking.
async fn end(socket: &TcpStream) {
    let mut rest = [0; 1024];
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        match socket.try_read(&mut rest) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// A connection that can still be read once nobody uses it.
struct Watched(Arc<TcpStream>);

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Write);
        Poll::Ready(ended.map_err(io::Error::from))
    }
}
