//! What every answer carries, whatever made it: a request id, strict headers, and a problem body where it is an error.
//! It also writes the one log line of a request, and counts it.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use daypass_api::route::path;
use daypass_api::{PROBLEM_JSON, Problem, ProblemCode};
use daypass_core::refusal::Code;
use tracing::Instrument as _;

use crate::app::App;
use crate::edge;

/// Where pages have their stylesheet, scripts and pictures.
pub(crate) const ASSETS: &str = "/assets/{name}";

/// The header that names a request in the server's log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every answer. It is an API, with a page that runs and fetches nothing: nothing of it is framed, cached, or of
/// use to another origin.
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// What a handler says of an answer that never changes, and may be kept by who got it: a full tile of the log. `private`: who may
/// read it was asked. Whatever else a handler says of caching does not count.
pub(crate) const FOREVER: &str = "private, max-age=31536000, immutable";

/// Sent where the client came over TLS: a year (RFC 6797).
pub(crate) const HSTS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

/// Wraps a request from its first byte to the head of its answer.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // Whoever shows a header by `Debug` shows no token.
    for (_, value) in request
        .headers_mut()
        .iter_mut()
        .filter(|(name, _)| *name == AUTHORIZATION)
    {
        value.set_sensitive(true);
    }
    let seen = Seen::of(&request);
    let response = next.run(request).instrument(seen.span.clone()).await;
    let mut response = explain(response, &seen.id);
    carry(response.headers_mut(), &seen.id, app.over_tls);
    seen.answered(&app, response.status());
    response
}

/// The same around a page, which says in words of its own what was wrong, and carries headers of its own (`web/guard.rs`).
pub(crate) async fn page(State(app): State<App>, request: Request, next: Next) -> Response {
    let seen = Seen::of(&request);
    let mut response = next.run(request).instrument(seen.span.clone()).await;
    if let Ok(id) = HeaderValue::from_str(&seen.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    seen.answered(&app, response.status());
    response
}

/// A request, as the log and the metrics have it.
struct Seen {
    began: Instant,
    id: String,
    method: &'static str,
    route: String,
    span: tracing::Span,
}

impl Seen {
    fn of(request: &Request) -> Self {
        // Always our own: a client's id in our log would be the client's text in our log.
        let id = hex::encode(edge::random::<8>());
        let method = known(request.method());
        // The pattern and not the path: what a client typed may hold anything.
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("-", MatchedPath::as_str)
            .to_owned();
        Self {
            began: edge::instant(),
            span: tracing::info_span!("request", %id, method, route, person = tracing::field::Empty),
            id,
            method,
            route,
        }
    }

    fn answered(self, app: &App, status: StatusCode) {
        let (took, status) = (self.began.elapsed(), status.as_u16());
        app.metrics.request(self.method, &self.route, status, took);
        let ms = took.as_millis();
        self.span.in_scope(|| {
            if is_chatter(&self.route, status) {
                tracing::debug!(status, ms, "answered");
            } else {
                tracing::info!(status, ms, "answered");
            }
        });
    }
}

/// Whether a gateway that runs apart asks it every second, or every page has it, and it was answered: nothing else could be found in the log.
fn is_chatter(route: &str, status: u16) -> bool {
    status < 400
        && [
            path::GATEWAY_RENEW,
            path::GATEWAY_RECORDS,
            path::GATEWAY_WAIT,
            ASSETS,
        ]
        .contains(&route)
}

/// The method, as far as HTTP has it. Of others there are as many as a client can think of; each would stay in memory as a label.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Gives an error the body of a problem, with the request's id. An error that is none yet was made by axum or hyper.
fn explain(mut response: Response, id: &str) -> Response {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    if problem.is_none() && !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    if problem.is_none()
        && response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == PROBLEM_JSON)
    {
        return response;
    }
    let mut problem = problem.map_or_else(|| unnamed(status), |problem| problem.as_ref().clone());
    problem.instance = Some(id.to_owned());
    let (mut parts, _) = response.into_parts();
    parts.headers.remove("content-length");
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    let body = Json(problem).into_response().into_body();
    Response::from_parts(parts, body)
}

fn unnamed(status: StatusCode) -> Problem {
    let reason = status.canonical_reason().unwrap_or("refused").to_lowercase();
    let code: ProblemCode = match status {
        StatusCode::NOT_FOUND => Code::NotFound.into(),
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => ProblemCode::Unavailable,
        status if status.is_client_error() => Code::Invalid.into(),
        _ => ProblemCode::Internal,
    };
    Problem {
        status: status.as_u16(),
        ..Problem::new(code, reason)
    }
}

fn carry(headers: &mut HeaderMap, id: &str, over_tls: bool) {
    let forever = headers.get(CACHE_CONTROL).is_some_and(|said| said == FOREVER);
    for (name, value) in HEADERS.into_iter().chain(over_tls.then_some(HSTS)) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if forever {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOREVER));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
