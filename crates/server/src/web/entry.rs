//! What comes before a page: who is there, their share of what is made at the same time, and what they send, read whole within a size and a time.
//!
//! What a page asks of the API is limited there. But the API is done with it once the page has its answer, and does not see what is sent to a page
//! or how slowly a page is taken: that is limited here.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::failed::Failed;
use super::visit::{Known, visitor};
use super::{Web, cookie};
use crate::edge;
use crate::http::address::{Peer, client};
use crate::http::intake::{self, MAX_BODY, MAX_POLICY, MAX_STRANGERS, SLOWEST_BODY, SLOWEST_OF_STRANGERS};
use crate::http::leaving::Holds;
use crate::http::places::Who;
use crate::http::problem::Failure;
use crate::identity::limit::network;

/// Forms that nobody need be signed in for. Whatever else a stranger sends is lost: they are led to where one signs in.
const STRANGERS: [&str; 3] = ["/sign-in", SIGN_OUT, "/demo/as"];
const SIGN_OUT: &str = "/sign-out";

/// See the module.
pub(super) async fn enter(State(web): State<Web>, request: Request, next: Next) -> Response {
    // The same for everybody, and in memory: whoever sees a page needs several at once.
    if request.uri().path().starts_with("/assets/") {
        return next.run(request).await;
    }
    entered(&web, request, next)
        .await
        .unwrap_or_else(|failed| failed.into_response())
}

async fn entered(web: &Web, request: Request, next: Next) -> Result<Response, Failed> {
    let (mut parts, body) = request.into_parts();
    // To leave, one need not be known, nor wait for what others behind the same address do: the API takes the session away while it answers at all.
    if parts.uri.path() == SIGN_OUT && cookie::read(&parts.headers, web.secure).is_some() {
        return Ok(next.run(Request::from_parts(parts, Body::empty())).await);
    }
    let known = Known(visitor(&parts, web).await?);
    let own = web.app.places.page(who(web, &parts, &known)?).await?;
    let body = match parts.method {
        Method::GET | Method::HEAD => body,
        _ => read(&parts, &known, body).await?,
    };
    parts.extensions.insert(known);
    let answer = next.run(Request::from_parts(parts, body));
    let answer = edge::within(intake::PATIENCE, answer).await;
    let mut answer = answer.map_err(|_| intake::too_slow())?;
    Holds::put(own, &mut answer);
    Ok(answer)
}

/// Whose share it is. Who has no session has what strangers have at their address, and goes at their pace.
fn who(web: &Web, parts: &Parts, known: &Known) -> Result<Who, Failed> {
    if let Some(visit) = &known.0 {
        return Ok(Who::Person(visit.me.person.id));
    }
    let peer = parts.extensions.get::<Peer>();
    let peer = peer.ok_or_else(|| Failed::internal(&"a request without a peer"))?;
    let client = client(peer.0, &parts.headers, &web.app.trusted_proxies);
    web.app.limits.public(client).map_err(Failure::from)?;
    Ok(Who::Stranger(network(client)))
}

async fn read(parts: &Parts, known: &Known, body: Body) -> Result<Body, Failed> {
    let path = parts.uri.path();
    let of_strangers = STRANGERS.contains(&path);
    if known.0.is_none() && !of_strangers {
        return Ok(Body::empty());
    }
    let is_policy = path.starts_with("/policy/");
    let (most, slowest): (usize, Duration) = match path {
        _ if of_strangers => (MAX_STRANGERS, SLOWEST_OF_STRANGERS),
        _ if is_policy => (MAX_POLICY, SLOWEST_BODY),
        _ => (MAX_BODY, SLOWEST_BODY),
    };
    let whole = intake::whole(body, most, slowest).await;
    let whole = whole.map_err(|failure| match Failed::from(failure) {
        large if is_policy && large.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Failed::invalid("it is too large for a form; daypass policy apply takes it from a terminal")
        }
        failed => failed,
    });
    Ok(whole?.into())
}
