//! The API, called in this process by who serves pages.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName, Request, Response};
use daypass_api::client::{Answering, Called, Client, Error, Within};
use tower::ServiceExt as _;

use crate::http::address::Peer;

/// What a proxy says of where a browser is: the API is to judge that as if it had been asked directly.
const PASSED_ON: [HeaderName; 4] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("via"),
];

/// The API.
struct Api(Router);

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Api")
    }
}

tokio::task_local! {
    /// From where the browser is that a call is made for.
    static FROM: From;
}

/// See [`FROM`].
#[derive(Debug, Clone)]
pub(super) struct From {
    peer: Peer,
    headers: HeaderMap,
}

impl From {
    pub(super) fn of(peer: Peer, headers: &HeaderMap) -> Self {
        let mut passed = HeaderMap::new();
        for name in PASSED_ON {
            for value in headers.get_all(&name) {
                passed.append(name.clone(), value.clone());
            }
        }
        Self {
            peer,
            headers: passed,
        }
    }

    /// Whatever is asked meanwhile is asked from there.
    pub(super) async fn scope<T>(self, doing: impl Future<Output = T>) -> T {
        FROM.scope(self, doing).await
    }
}

impl Within for Api {
    fn call(&self, call: Called) -> Answering {
        let mut call: Request<Body> = call.map(Body::new);
        if let Ok(from) = FROM.try_with(Clone::clone) {
            call.extensions_mut().insert(from.peer);
            call.headers_mut().extend(from.headers);
        }
        let router = self.0.clone();
        Box::pin(async move {
            let answer: Result<Response<Body>, Infallible> = router.oneshot(call).await;
            let Ok(answer) = answer;
            answer.map(|body| reqwest::Body::wrap_stream(body.into_data_stream()))
        })
    }
}

/// A client of it.
pub(super) fn client(api: Router) -> Result<Client, Error> {
    Client::within(Arc::new(Api(api)))
}
