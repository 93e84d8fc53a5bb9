//! The web server of the stand-in: HTTP and HTTPS on one port, told apart by the first byte, in a thread of its own.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::call::{Call, Reply, path_and_query};
use super::edge::pause;
use super::exchange::Exchange;
use super::faults::Fault;
use super::operations::Fate;
use super::state::{World, lock};
use crate::error::Doing as _;
use crate::{Result, port};

/// A running server; dropping it closes every connection.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The first byte of a TLS record that begins a handshake (RFC 8446, 5.1: ContentType handshake).
const HANDSHAKE: u8 = 22;

/// A connection is cut in place of an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Cut {}

impl Server {
    /// Listens on a free port and serves until dropped.
    pub(super) fn start(world: Arc<Mutex<World>>, tls: TlsAcceptor) -> Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], port::free()?));
        let listener = TcpListener::bind(addr).doing(|| format!("listening on {addr}"))?;
        listener.set_nonblocking(true).doing(|| "listening".into())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "starting a runtime".into())?;
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || runtime.block_on(accept(listener, world, tls, stopped)));
        Ok(Self {
            addr,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // It ends by itself; that it panicked is seen by whoever asked it.
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: TcpListener,
    world: Arc<Mutex<World>>,
    tls: TlsAcceptor,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        if let Ok((stream, _)) = stream {
            let (world, tls) = (Arc::clone(&world), tls.clone());
            // Dropped with the runtime, which ends every connection.
            drop(tokio::spawn(serve(stream, world, tls)));
        }
    }
}

async fn serve(stream: TcpStream, world: Arc<Mutex<World>>, tls: TlsAcceptor) {
    let mut first = [0];
    let Ok(1) = stream.peek(&mut first).await else {
        return;
    };
    if first == [HANDSHAKE] {
        if let Ok(stream) = tls.accept(stream).await {
            talk(stream, "https", world).await;
        }
    } else {
        talk(stream, "http", world).await;
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, scheme: &'static str, world: Arc<Mutex<World>>) {
    let service = service_fn(move |request| answer(request, scheme, Arc::clone(&world)));
    // An error is a client that went away, or a fault that cut it off.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    scheme: &str,
    world: Arc<Mutex<World>>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |one| one.as_str())
        .to_owned();
    let (path, query) = path_and_query(&target);
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let headers: std::collections::BTreeMap<_, _> = headers.collect();
    let host = headers
        .get("host")
        .cloned()
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let raw = String::from_utf8_lossy(&bytes).into_owned();
    let mut call = Call {
        method: parts.method.as_str().to_owned(),
        path,
        query,
        headers,
        body: serde_json::from_str(&raw).unwrap_or(Value::Null),
        raw,
        base: format!("{scheme}://{host}"),
        caller: String::new(),
        now: lock(&world).now(),
        fate: Fate::Well,
    };
    let (fault, reply) = {
        let mut world = lock(&world);
        let fault = world.faults.meet(&call);
        let reply = struck(&mut world, &mut call, fault.as_ref());
        world
            .exchanges
            .push(exchange(&call, &target, fault.as_ref(), &reply));
        (fault, reply)
    };
    match fault {
        Some(Fault::Cut | Fault::LostAnswer) => return Err(Cut),
        Some(Fault::Hangs) => std::future::pending::<()>().await,
        Some(Fault::Slow(by)) => pause(by).await,
        _ => {}
    }
    Ok(respond(reply))
}

/// What happens under a fault, or without one.
fn struck(world: &mut World, call: &mut Call, fault: Option<&Fault>) -> Reply {
    let Some(fault) = fault else {
        return world.answer(call);
    };
    call.fate = fault.fate();
    match fault {
        Fault::Cut => Reply::empty(0),
        Fault::TokenExpired => {
            let shown = call
                .headers
                .get("authorization")
                .and_then(|shown| shown.strip_prefix("Bearer "));
            let now = call.now;
            if let Some(token) = shown.and_then(|shown| world.tokens.get_mut(shown)) {
                token.ends = now;
            }
            world.answer(call)
        }
        Fault::ErrorAfterTheEffect => {
            world.answer(call);
            Reply::arm(500, "InternalServerError", "An error occurred.")
        }
        _ => {
            if let Ok(caller) = super::token::caller(call, world, super::route::audience(call)) {
                call.caller = caller;
            }
            let refusal = fault.refusal(call);
            refusal.unwrap_or_else(|| world.answer(call))
        }
    }
}

/// What is kept of it.
fn exchange(call: &Call, target: &str, fault: Option<&Fault>, reply: &Reply) -> Exchange {
    let unheard = matches!(fault, Some(Fault::Cut | Fault::LostAnswer | Fault::Hangs));
    let token = call.path.ends_with("/token");
    let headers = call.headers.iter().filter(|(name, _)| *name != "authorization");
    Exchange {
        method: call.method.clone(),
        target: target.to_owned(),
        request_headers: headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        request: call.body.clone(),
        status: if unheard { 0 } else { reply.status },
        headers: reply.headers.clone(),
        response: reply.body.clone().filter(|_| !token && !unheard),
        struck: fault.is_some(),
    }
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    let body = reply.body.map(|body| body.to_string()).unwrap_or_default();
    if !body.is_empty() {
        builder = builder.header("content-type", "application/json; charset=utf-8");
    }
    let body = Full::new(Bytes::from(body));
    builder
        .body(body.clone())
        .unwrap_or_else(|_: hyper::http::Error| Response::new(body))
}
