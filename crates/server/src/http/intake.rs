//! What happens to a call before a handler sees it: it gets its place among the others, its body is read whole, within a size
//! and a time, and what it asks for is then carried through even where the client hangs up.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::Method;
use axum::http::request::Parts as RequestParts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use daypass_api::{ProblemCode, Route};
use daypass_core::refusal::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::app::App;
use crate::edge;
use crate::http::leaving::Holds;
use crate::http::places::Who;
use crate::http::problem::{Answer, Failure, panicked};

/// The largest body, in bytes.
pub(crate) const MAX_BODY: usize = 256 * 1024;
/// The largest policy, in bytes: some ten thousand rules.
pub(crate) const MAX_POLICY: usize = 8 * 1024 * 1024;
/// The largest delivery of records, in bytes: one line of a mebibyte that is all quotes, twice written.
const MAX_RECORDS: usize = 4 * 1024 * 1024;
/// The largest body of a stranger, who sends a login and a password.
pub(crate) const MAX_STRANGERS: usize = 8 * 1024;
/// How long a client may take to send its body.
pub(crate) const SLOWEST_BODY: Duration = Duration::from_secs(30);
/// How long a stranger may.
pub(crate) const SLOWEST_OF_STRANGERS: Duration = Duration::from_secs(5);
/// How long a client is kept waiting for an answer: a little less than ours waits. A call to a target is given up before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(55);
/// How many policies are checked at the same time: each takes a processor for a while, and memory in proportion to its size.
pub(crate) const MAX_CHECKS: usize = 2;

const fn limit(route: Route) -> usize {
    match route {
        Route::ApplyPolicy | Route::CheckPolicy | Route::PlanPolicy | Route::ExplainPolicy => MAX_POLICY,
        Route::GatewayRecord => MAX_RECORDS,
        _ => MAX_BODY,
    }
}

/// Takes a place, reads the body, then runs what follows. The place comes first: a body that is being sent takes memory too.
/// So does an answer: the caller's share is taken until theirs has left, while the place is anybody's again.
///
/// A change runs to its end whether or not anybody still waits for the answer: half of "switch the account off and end what it
/// holds" must not depend on a client's patience.
///
/// # Errors
/// Where too much is under way, the body is too large or too slow, or the answer takes too long.
pub(crate) async fn take_in(State(app): State<App>, request: Request, next: Next) -> Answer<Response> {
    let route = request.extensions().get::<Route>().copied();
    let who = Who::of(&request);
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        // Whoever watches over the server is answered whatever else goes on.
        let watches = match route {
            Some(Route::Healthz | Route::Readyz) => true,
            Some(Route::Metrics) => matches!(who, Who::Stranger(_)),
            _ => false,
        };
        let place = match watches {
            true => None,
            false => Some(app.places.read(who).await?),
        };
        let answer = edge::within(PATIENCE, next.run(request)).await;
        let mut answer = answer.map_err(|_| too_slow())?;
        if let Some(place) = place {
            Holds::put(place.done(), &mut answer);
        }
        return Ok(answer);
    }
    let own = app.places.own(who, route).await?;
    let (parts, body) = request.into_parts();
    let (body, place) = match who {
        Who::Person(_) => {
            let place = app.places.change(own, who, route)?;
            let most = route.map_or(MAX_BODY, limit);
            (whole(body, most, SLOWEST_BODY).await?, place)
        }
        // What little a stranger sends waits in their own share: one who sends nothing takes no place from others.
        Who::Stranger(_) => {
            let body = whole(body, MAX_STRANGERS, SLOWEST_OF_STRANGERS).await?;
            (body, app.places.change(own, who, route)?)
        }
    };
    let request = Request::from_parts(parts, Body::from(body));
    let span = tracing::Span::current();
    let change = tokio::spawn(
        async move {
            let mut response = next.run(request).await;
            Holds::put(place.done(), &mut response);
            response
        }
        .instrument(span),
    );
    match edge::within(PATIENCE, change).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) if error.is_panic() => Ok(panicked(error.into_panic())),
        Ok(Err(error)) => Err(Failure::internal(&error)),
        Err(_) => Err(too_slow()),
    }
}

/// A body, read whole.
///
/// # Errors
/// Where it is larger or slower than is taken.
pub(crate) async fn whole(body: Body, most: usize, slowest: Duration) -> Answer<Bytes> {
    let body = edge::within(slowest, to_bytes(body, most)).await.map_err(|_| {
        let what = format!("the body did not come within {} s", slowest.as_secs());
        Failure::new(ProblemCode::Unavailable, what).status(axum::http::StatusCode::REQUEST_TIMEOUT)
    })?;
    body.map_err(|_| {
        Failure::new(
            ProblemCode::TooLarge,
            format!("a body has at most {most} bytes here"),
        )
    })
}

pub(crate) fn too_slow() -> Failure {
    Failure::new(
        ProblemCode::Unavailable,
        "this takes longer than it should; it may still be carried out",
    )
    .hint("look before you repeat it: daypass status")
    .retry_after(Duration::from_secs(5))
}

/// A JSON body, coming or going. What does not fit is a problem with status 400, 415 or 422.
#[derive(Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(Failure))]
pub(crate) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A JSON body that may be left out, or `null`.
#[derive(Debug)]
pub(crate) struct MaybeJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, MAX_BODY).await;
        let bytes =
            bytes.map_err(|_| Failure::new(ProblemCode::TooLarge, "the body is larger than is taken"))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        let Json(body): Json<Option<T>> = Json::from_request(request, state).await?;
        Ok(Self(body.unwrap_or_default()))
    }
}

/// A query string. What does not fit is a problem.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Failure))]
pub(crate) struct Query<T>(pub T);

/// What varies in a path. An id that cannot be one names nothing.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Failure))]
pub(crate) struct Path<T>(pub T);

/// The key that makes a POST safe to repeat, as the client sent it.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(pub Option<String>);

/// The longest key, in bytes.
const MAX_KEY: usize = 200;

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Failure> {
        let mut sent = parts.headers.get_all(daypass_api::IDEMPOTENCY_KEY).iter();
        let Some(key) = sent.next() else {
            return Ok(Self(None));
        };
        let bad = || {
            let what = format!("an Idempotency-Key is 1 to {MAX_KEY} printable ASCII characters, sent once");
            Failure::new(Code::Invalid, what)
        };
        let text = key.to_str().map_err(|_| bad())?;
        let fits = !text.is_empty() && text.len() <= MAX_KEY && text.bytes().all(|b| b.is_ascii_graphic());
        if fits && sent.next().is_none() {
            Ok(Self(Some(text.to_owned())))
        } else {
            Err(bad())
        }
    }
}
