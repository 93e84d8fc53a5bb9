//! Waiting, against a server on loopback that tells of a change by an event.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use daypass_api::client::Connection;
use daypass_api::route::path;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::context::Global;
use crate::environment::Environment;

const REQUEST: &str = "R0000000000000000";
const GRANT: &str = "G0000000000000000";

/// What the server answers, and what it answers once somebody listens to its events and has looked after that.
#[derive(Clone)]
struct World {
    request: Arc<Mutex<Value>>,
    then: Option<Value>,
    looks: watch::Sender<u32>,
    grant: Value,
}

fn request(state: &str) -> Value {
    json!({
        "id": REQUEST, "digest": "00".repeat(32), "state": state, "requester": "ana",
        "items": [{"resource": "orders", "role": "read"}], "reason": "x", "duration": "1h", "rule": "r",
        "policy_revision": "00".repeat(32), "max": "2h", "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-01T02:00:00Z", "reviewable": false,
        "steps": [{"from": "leads", "count": 1, "state": "open", "reviewers": ["bo"], "reviews": [], "within": "1h"}],
    })
}

fn approved() -> Value {
    let mut value = request("approved");
    value["grant"] = json!(GRANT);
    value
}

fn grant(state: &str) -> Value {
    json!({
        "id": GRANT, "request": REQUEST, "state": state, "holder": "ana", "items": [{"resource": "orders", "role": "read"}],
        "duration": "1h", "latest_end": "2026-01-01T02:00:00Z", "overdue": false, "entitlements": [],
    })
}

/// Changes the request once the client has looked at it, tells of that, and stays open.
async fn events(State(world): State<World>) -> Response {
    let mut looks = world.looks.subscribe();
    looks.mark_unchanged();
    let first = async move {
        let Some(then) = world.then else {
            return std::future::pending().await;
        };
        looks.changed().await.unwrap();
        *world.request.lock().unwrap() = then;
        let subject = json!({"kind": "request", "id": REQUEST});
        let data =
            json!({"seq": 1, "at": "2026-01-01T00:00:00Z", "name": "request.approved", "subject": subject});
        Ok::<_, Infallible>(Event::default().data(data.to_string()))
    };
    let events = futures_util::stream::once(first);
    Sse::new(futures_util::StreamExt::chain(
        events,
        futures_util::stream::pending(),
    ))
    .into_response()
}

async fn look(State(world): State<World>) -> Json<Value> {
    let answer = world.request.lock().unwrap().clone();
    world.looks.send_modify(|looks| *looks += 1);
    Json(answer)
}

async fn wait(world: World, limit: Option<Span>) -> Result<Waited, Failure> {
    let router = Router::new()
        .route(path::REQUEST, get(look))
        .route(
            path::GRANT,
            get(async |State(world): State<World>| Json(world.grant)),
        )
        .route(path::EVENTS, get(events));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let first = serde_json::from_value(world.request.lock().unwrap().clone()).unwrap();
    tokio::spawn(async move { axum::serve(listener, router.with_state(world)).await.unwrap() });
    let client = Client::new(&Connection {
        server,
        ..Connection::default()
    })
    .unwrap();
    let context = Context::new(
        Global {
            quiet: true,
            ..Global::default()
        },
        Environment::default(),
    );
    let waited = until_there(&context, &client, first, limit);
    edge::at_most(LOOK / 2, waited)
        .await
        .expect("it was told by an event, and need not have looked")
}

fn world(first: Value, then: Option<Value>, grant: Value) -> World {
    World {
        request: Arc::new(Mutex::new(first)),
        then,
        looks: watch::Sender::new(0),
        grant,
    }
}

#[tokio::test]
async fn an_approval_ends_the_wait_at_once() {
    let waited = wait(world(request("pending"), Some(approved()), grant("active")), None)
        .await
        .unwrap();
    assert!(matches!(waited, Waited::There(grant) if grant.state == GrantState::Active));
}

#[tokio::test]
async fn a_denial_ends_it_and_says_who() {
    let mut denied = request("denied");
    denied["steps"][0]["reviews"] = json!([
        {"reviewer": "bo", "decision": "deny", "at": "2026-01-01T00:00:00Z", "comment": "use the replica"}]);
    let failure = wait(world(request("pending"), Some(denied), grant("active")), None)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.exit, Exit::DENIED);
    let first = failure.lines().first().unwrap().render(false);
    assert!(
        first.starts_with("✗ Denied by bo ") && first.ends_with(": \"use the replica\""),
        "{first}"
    );
}

#[tokio::test]
async fn silence_ends_it_and_says_whose() {
    let mut lapsed = request("lapsed");
    lapsed["steps"][0]["state"] = json!("silent");
    lapsed["steps"][0]["escalates"] = json!({"to": "security", "within": "15m", "happened": true});
    let failure = wait(world(request("pending"), Some(lapsed), grant("active")), None)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.exit, Exit::OVER);
    assert_eq!(
        failure.told().0,
        "request R00000 lapsed: nobody of leads or security answered in time"
    );
}

#[test]
fn only_what_is_to_come_is_said_to_begin() {
    let of = |value: Value| on_its_way(&serde_json::from_value(value).unwrap());
    assert_eq!(of(grant("scheduled")), "approved; setting the access up");
    let mut later = grant("scheduled");
    later["starts_at"] = json!("2026-01-01T01:00:00Z");
    assert_eq!(of(later), "approved; it begins 2026-01-01 01:00:00Z");
}

#[tokio::test]
async fn nobody_waits_longer_than_they_said() {
    let still = wait(world(request("pending"), None, grant("active")), Some(Span::ZERO))
        .await
        .unwrap();
    assert!(matches!(still, Waited::Still(request) if request.state == RequestState::Pending));
}

#[tokio::test]
async fn access_that_could_not_be_set_up_is_neither_an_end_nor_an_error_like_any_other() {
    let mut failed = grant("ending");
    failed["ended_reason"] = json!("failed");
    failed["ended_detail"] = json!("the target is down");
    let failure = wait(world(request("pending"), Some(approved()), failed), None)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.exit, Exit::NOT_SET_UP);
    let mut revoked = grant("ended");
    revoked["ended_reason"] = json!("revoked");
    let failure = wait(world(approved(), None, revoked), None).await.err().unwrap();
    assert_eq!(failure.exit, Exit::OVER);
    let failure = wait(world(request("lapsed"), None, grant("active")), None)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.exit, Exit::OVER);
}
