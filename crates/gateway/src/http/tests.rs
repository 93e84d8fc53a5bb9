//! Against a real server on loopback, which hangs, refuses and ends its streams when it is told to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use daypass_api::gateway::{EndKind, EndReason, EndingOf, LeaseEnding, RUN_HEADER, RegisteredGateway};
use daypass_api::{Problem, ProblemCode};
use daypass_core::refusal::Code;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::control::{Counters, Reason, SessionId, Which};

const SOON: Duration = Duration::from_secs(20);

/// What the server saw, and what it does.
#[derive(Default)]
struct Seen {
    /// Waits that hang, and the most that did at once.
    waits: (usize, usize),
    /// Streams of endings that are open, the most that were at once, and how many there were.
    streams: (usize, usize, usize),
    registered: usize,
    runs: HashSet<String>,
    records: usize,
    closings: usize,
    /// Those who wait may go on.
    decided: bool,
    /// The server ends the streams that are open: up to this one.
    cut: usize,
    /// What it says to records and closings.
    refusal: Option<ProblemCode>,
}

type Shown = Arc<watch::Sender<Seen>>;

struct Server {
    seen: Shown,
    url: String,
}

fn problem(code: ProblemCode) -> Response {
    let problem = Problem::new(code, "because");
    let status = StatusCode::from_u16(problem.status).unwrap();
    let kind = [(header::CONTENT_TYPE, daypass_api::PROBLEM_JSON)];
    (status, kind, serde_json::to_vec(&problem).unwrap()).into_response()
}

fn json(value: impl serde::Serialize) -> Response {
    axum::Json(value).into_response()
}

async fn noted(State(seen): State<Shown>, request: Request, next: axum::middleware::Next) -> Response {
    let run = request
        .headers()
        .get(RUN_HEADER)
        .map(|run| run.to_str().unwrap().to_owned());
    seen.send_modify(|seen| {
        seen.runs.insert(run.unwrap_or_default());
    });
    next.run(request).await
}

async fn register(State(seen): State<Shown>) -> Response {
    seen.send_modify(|seen| seen.registered += 1);
    json(RegisteredGateway {
        name: "edge".parse().unwrap(),
        resources: ["orders".parse().unwrap()].into(),
        token_expires_at: edge::now() + Span::hours(1),
        now: edge::now(),
    })
}

/// Counts a wait for as long as somebody waits for its answer.
struct Waits(Shown);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.waits.0 -= 1);
    }
}

async fn wait(State(seen): State<Shown>) -> Response {
    seen.send_modify(|seen| {
        seen.waits.0 += 1;
        seen.waits.1 = seen.waits.1.max(seen.waits.0);
    });
    let _waits = Waits(Arc::clone(&seen));
    let _ = seen.subscribe().wait_for(|seen| seen.decided).await;
    json(serde_json::json!({"answer": "still", "lines": []}))
}

async fn renew() -> Response {
    json(serde_json::json!({
        "renewed": [{"answer": "until", "renew_within_ms": 5000, "ends_in_ms": 60000}]
    }))
}

async fn close(State(seen): State<Shown>) -> Response {
    seen.send_modify(|seen| seen.closings += 1);
    let refusal = seen.borrow().refusal;
    refusal.map_or_else(|| StatusCode::NO_CONTENT.into_response(), problem)
}

async fn record(State(seen): State<Shown>) -> Response {
    seen.send_modify(|seen| seen.records += 1);
    let refusal = seen.borrow().refusal;
    refusal.map_or_else(|| json(serde_json::json!({"taken": 0, "stored": 0})), problem)
}

struct Streams(Shown);

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.streams.0 -= 1);
    }
}

/// Each says one ending, and is open until it is cut.
async fn events(State(seen): State<Shown>) -> Response {
    seen.send_modify(|seen| {
        let (open, most, all) = &mut seen.streams;
        *open += 1;
        *most = (*most).max(*open);
        *all += 1;
    });
    let number = seen.borrow().streams.2;
    let ending = LeaseEnding {
        which: EndingOf::Lease(format!("lease-{number}")),
        reason: EndReason {
            kind: EndKind::Expired,
            why: String::new(),
        },
    };
    let line = format!("\n{}\n", serde_json::to_string(&ending).unwrap());
    let open = Streams(Arc::clone(&seen));
    let end = async move {
        let _ = open.0.subscribe().wait_for(|seen| seen.cut >= number).await;
        drop(open);
        None::<Result<String, std::io::Error>>
    };
    let end = futures_util::stream::once(end).filter_map(std::future::ready);
    let lines = futures_util::stream::iter([Ok::<_, std::io::Error>(line)]).chain(end);
    Body::from_stream(lines).into_response()
}

fn router(seen: &Shown) -> Router {
    Router::new()
        .route("/api/v1/gateway/register", post(register))
        .route("/api/v1/gateway/wait", post(wait))
        .route("/api/v1/gateway/leases/renew", post(renew))
        .route("/api/v1/gateway/leases/close", post(close))
        .route("/api/v1/gateway/records", post(record))
        .route("/api/v1/gateway/events", get(events))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(seen), noted))
        .with_state(Arc::clone(seen))
}

impl Server {
    async fn start() -> Self {
        let seen: Shown = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(&seen);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { seen, url }
    }

    fn gateway(&self) -> Arc<Http> {
        let connection = Connection {
            server: self.url.clone(),
            token: Some(SecretString::from("dpt_x")),
            ca_pem: None,
        };
        Arc::new(Http::new(&connection, &[&[1, 2]]).unwrap())
    }

    async fn until(&self, what: &str, is: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let found = edge::within(SOON, seen.wait_for(is)).await;
        found.unwrap_or_else(|_| panic!("never: {what}")).unwrap();
    }
}

fn ticket() -> Ticket {
    Ticket("t".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_wait_hold_up_no_renewal_and_each_has_a_turn() {
    let server = Server::start().await;
    let gateway = server.gateway();
    let waiting: Vec<_> = (0..300)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.waited(&ticket()).await })
        })
        .collect();
    server
        .until("all places are taken", |seen| seen.waits.0 == WAITS)
        .await;
    let leases = [LeaseId::from("l")];
    let renewed = edge::within(Duration::from_secs(5), gateway.renew(&leases)).await;
    assert!(matches!(renewed.unwrap().unwrap()[..], [Renewed::Until(_)]));
    server.seen.send_modify(|seen| seen.decided = true);
    for one in waiting {
        let waited = edge::within(SOON, one).await.unwrap().unwrap();
        assert!(matches!(waited, Ok(Waited::Still(_))), "{waited:?}");
    }
    assert_eq!(server.seen.borrow().waits, (0, WAITS));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_run_names_it_and_nothing_else_does() {
    let server = Server::start().await;
    let gateway = server.gateway();
    gateway.register().await.unwrap();
    gateway.renew(&[LeaseId::from("l")]).await.unwrap();
    server.seen.send_modify(|seen| seen.decided = true);
    gateway.waited(&ticket()).await.unwrap();
    let _endings = gateway.endings();
    server
        .until("there is a stream", |seen| seen.streams.0 == 1)
        .await;
    let run = {
        let seen = server.seen.borrow();
        assert_eq!(seen.runs.len(), 1);
        seen.runs.iter().next().cloned().unwrap()
    };
    assert_eq!(hex::decode(&run).unwrap().len(), 32);
    assert!(!format!("{gateway:?}").contains(&run));
    server.gateway().register().await.unwrap();
    assert_eq!(server.seen.borrow().runs.len(), 2, "each start is another run");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_is_open_however_many_ask_and_comes_back_when_it_ends() {
    let server = Server::start().await;
    let gateway = server.gateway();
    for turn in 1..=3_usize {
        // As who listens does: a channel that closes says that there is one now.
        let mut waiting: Vec<_> = (0..5).map(|_| gateway.endings()).collect();
        for channel in &mut waiting {
            while let Some(ending) = edge::within(SOON, channel.recv()).await.unwrap() {
                assert_eq!(
                    ending.which,
                    Which::Lease(format!("lease-{turn}").as_str().into())
                );
                server.seen.send_modify(|seen| seen.cut = turn);
            }
        }
        // Who asked while it was open had it; otherwise it is there for the next.
        if server.seen.borrow().cut < turn {
            let mut open = gateway.endings();
            let ending = edge::within(SOON, open.recv()).await.unwrap().unwrap();
            assert_eq!(
                ending.which,
                Which::Lease(format!("lease-{turn}").as_str().into())
            );
            server.seen.send_modify(|seen| seen.cut = turn);
            assert!(edge::within(SOON, open.recv()).await.unwrap().is_none());
        }
    }
    server
        .until("there is a fourth", |seen| seen.streams.2 == 4)
        .await;
    {
        let seen = server.seen.borrow();
        assert_eq!(
            (seen.streams.1, seen.registered),
            (1, 4),
            "one at a time, each after registering"
        );
    }
    drop(gateway);
    server
        .until("nobody follows any more", |seen| seen.streams.0 == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_no_is_told_from_one_that_passes() {
    let server = Server::start().await;
    let gateway = server.gateway();
    let session = SessionId::from("s");
    let delivery = Delivery {
        session: &session,
        records: &[],
        flush: false,
    };
    for (code, lasts) in [
        (ProblemCode::Refusal(Code::NotFound), true),
        (ProblemCode::Refusal(Code::Invalid), true),
        (ProblemCode::TooLarge, true),
        (ProblemCode::Unavailable, false),
        (ProblemCode::RateLimited, false),
        (ProblemCode::Unauthenticated, false),
    ] {
        server.seen.send_modify(|seen| {
            seen.refusal = Some(code);
            seen.records = 0;
        });
        let error = gateway.record(delivery).await.unwrap_err();
        assert_eq!(matches!(error, NotTaken::Never(_)), lasts, "{code:?}: {error}");
        assert_eq!(
            server.seen.borrow().records,
            1,
            "{code:?}: the courier repeats, and nobody else"
        );
        let closing = Closing {
            lease: LeaseId::from("l"),
            reason: Reason::Left,
            counters: Counters::default(),
            last_record: 0,
        };
        let closed = gateway.close(closing).await;
        assert_eq!(closed.is_ok(), lasts, "{code:?}: {closed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_certificate_is_not_trusted_is_told_from_one_that_is_not_there() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    // It ends each connection once there is TLS, or none.
    let serving = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let _ = tls.accept(connection).await;
        }
    });
    let register = async |ca_pem: Option<Vec<u8>>| {
        let connection = Connection {
            server: server.clone(),
            token: None,
            ca_pem,
        };
        Http::new(&connection, &[])
            .unwrap()
            .0
            .urgent
            .gateway_events()
            .await
            .err()
            .unwrap()
    };
    let error = register(None).await;
    assert!(
        matches!(error, Error::Untrusted { .. }) && error.is_lasting(),
        "{error}"
    );
    let error = register(Some(made.cert.pem().into_bytes())).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    serving.abort();
    let _ = serving.await;
    let error = register(None).await;
    assert!(
        matches!(error, Error::Unreachable { .. }) && !error.is_lasting(),
        "{error}"
    );
}

#[test]
fn a_call_has_as_many_lines_as_fit_and_one_at_least() {
    let line = |bytes: usize| "x".repeat(bytes);
    assert_eq!(fitting(&[]), 0);
    assert_eq!(fitting(&[line(2 * MOST_RECORDED)]), 1);
    assert_eq!(fitting(&[line(2 * MOST_RECORDED), line(1)]), 1);
    let half = || line(MOST_RECORDED / 2);
    assert_eq!(fitting(&[half(), half(), line(1)]), 2);
    assert_eq!(fitting(&[line(1), line(1)]), 2);
    assert_eq!(fitting(&vec![line(1); MOST_LINES + 1]), MOST_LINES);
}

#[test]
fn clocks_differ_where_the_servers_time_was_not_while_it_was_asked() {
    let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
    let asked = (at(10), at(12));
    for (theirs, differ) in [(10, 0), (11, 0), (12, 0), (7, 3), (16, 4)] {
        assert_eq!(difference(asked, at(theirs)), Span::seconds(differ), "{theirs}");
    }
}
