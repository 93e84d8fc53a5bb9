//! The witness over HTTP: one call that logs make, and what an operator watches. Nobody logs in: what counts is who signed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::book::{Answer, Book};
use crate::edge;
use crate::http::address::Peer;
use crate::identity::limit::Limits;

/// The largest body, in bytes: a checkpoint with a hundred signatures and the longest proof are far below.
const MAX_BODY: usize = 64 * 1024;
/// How long a client may take to send it.
const SLOWEST_BODY: Duration = Duration::from_secs(10);
/// How many calls are looked at, or wait for their turn, at the same time.
const MAX_CALLS: usize = 64;
/// The type that the size in a conflict has. Source: C2SP `tlog-witness`, "add-checkpoint".
const SIZE: &str = "text/x.tlog.size";
const TEXT: &str = "text/plain; charset=utf-8";

struct Doorstep {
    book: Arc<Book>,
    limits: Limits,
    calls: Arc<Semaphore>,
}

/// The witness as a service.
pub(super) fn router(book: Arc<Book>) -> Router {
    let doorstep = Arc::new(Doorstep {
        book,
        limits: Limits::default(),
        calls: Arc::new(Semaphore::new(MAX_CALLS)),
    });
    Router::new()
        .route("/add-checkpoint", post(add))
        .route("/metrics", get(metrics))
        .with_state(doorstep)
}

impl Doorstep {
    /// What this address is told that calls too fast.
    fn slows(&self, request: &Request) -> Option<Response> {
        let Peer(peer) = request.extensions().get::<Peer>()?;
        let wait = self.limits.public(peer.ip()).err()?;
        let after = wait.after.as_secs().max(1).to_string();
        let status = StatusCode::TOO_MANY_REQUESTS;
        Some((status, [(RETRY_AFTER, after)], wait.to_string()).into_response())
    }
}

async fn add(State(doorstep): State<Arc<Doorstep>>, request: Request) -> Response {
    if let Some(slower) = doorstep.slows(&request) {
        return slower;
    }
    let body = match edge::within(SLOWEST_BODY, to_bytes(request.into_body(), MAX_BODY)).await {
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Ok(Ok(body)) => body,
    };
    // Only who has said all takes a place: one who sends slowly keeps nobody out.
    let Ok(place) = Arc::clone(&doorstep.calls).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "busy\n").into_response();
    };
    let book = Arc::clone(&doorstep.book);
    // A task of its own: a client that hangs up must not leave a checkpoint half kept.
    let looked = tokio::spawn(async move {
        let _place = place;
        book.add(&body, edge::now().unix_seconds()).await
    });
    match looked.await {
        Ok(answer) => told(answer),
        Err(error) => {
            tracing::error!(%error, "a call ended in a defect");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The answer as the protocol has it.
fn told(answer: Answer) -> Response {
    let text = |status: StatusCode, what: String| (status, [(CONTENT_TYPE, TEXT)], what).into_response();
    match answer {
        Answer::Cosigned(line) => text(StatusCode::OK, line),
        Answer::Malformed(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
        Answer::Unsigned => text(
            StatusCode::FORBIDDEN,
            "the checkpoint is not signed by a key that this witness has of the log\n".to_owned(),
        ),
        Answer::Unknown => text(
            StatusCode::NOT_FOUND,
            "this witness does not look after that log\n".to_owned(),
        ),
        Answer::Stale(size) | Answer::Twice(size) => {
            (StatusCode::CONFLICT, [(CONTENT_TYPE, SIZE)], format!("{size}\n")).into_response()
        }
        Answer::Unproved => text(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the proof does not show that the log goes on from what was signed last\n".to_owned(),
        ),
        Answer::Broken => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "it could not be kept, so it is not signed\n".to_owned(),
        ),
    }
}

async fn metrics(State(doorstep): State<Arc<Doorstep>>, request: Request) -> Response {
    if let Some(slower) = doorstep.slows(&request) {
        return slower;
    }
    let mut text = String::new();
    for (name, kind) in [
        ("entries", "gauge"),
        ("last_signed_timestamp_seconds", "gauge"),
        ("cosigned_total", "counter"),
        ("refused_total", "counter"),
        ("smaller_total", "counter"),
        ("contradictions_total", "counter"),
    ] {
        let _infallible = writeln!(text, "# TYPE daypass_witness_{name} {kind}");
        for (origin, log) in &doorstep.book.logs {
            let value = match name {
                "entries" => &log.size,
                "cosigned_total" => &log.cosigned,
                "refused_total" => &log.refused,
                "last_signed_timestamp_seconds" => &log.signed_at,
                "smaller_total" => &log.smaller,
                _ => &log.contradictions,
            };
            let (label, value) = (escaped(origin), value.load(Ordering::Relaxed));
            let _infallible = writeln!(text, "daypass_witness_{name}{{log=\"{label}\"}} {value}");
        }
    }
    ([(CONTENT_TYPE, TEXT)], text).into_response()
}

/// As a label's value is written.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
