//! The client against a real server on loopback that misbehaves in the ways that servers do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;

use super::{Client, Connection, Error, MAX_ANSWER};
use crate::login::{NewToken, Whoami};
use crate::page::Page;
use crate::problem::{Problem, ProblemCode};
use crate::request::NewRequest;
use crate::route::Route;

/// What one call brought: method and path, idempotency key, authorization.
type Seen = (String, Option<String>, Option<String>);

/// Answers in the order given, and keeps what it was sent.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Response>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let line = format!("{} {}", request.method(), request.uri());
    let entry = (line, text(crate::IDEMPOTENCY_KEY), text("authorization"));
    script.seen.lock().unwrap().push(entry);
    script
        .answers
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or_else(|| StatusCode::IM_A_TEAPOT.into_response())
}

async fn serve(answers: impl IntoIterator<Item = Response>) -> (Client, Script) {
    let script = Script {
        answers: Arc::new(Mutex::new(answers.into_iter().collect())),
        ..Script::default()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let token = Some(SecretString::from("dpt_x"));
    (
        Client::new(&Connection {
            server,
            token,
            ca_pem: None,
        })
        .unwrap(),
        script,
    )
}

fn problem(code: ProblemCode) -> Response {
    let problem = Problem::new(code, "because").hint("try that");
    let status = StatusCode::from_u16(problem.status).unwrap();
    let body = serde_json::to_vec(&problem).unwrap();
    (status, [(header::CONTENT_TYPE, crate::PROBLEM_JSON)], body).into_response()
}

fn json(text: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.to_owned()).into_response()
}

fn ask() -> NewRequest {
    serde_json::from_str(r#"{"items": [{"resource": "orders", "role": "read"}]}"#).unwrap()
}

const PREVIEW: &str = r#"{"outcome": "refused", "code": "over-max", "detail": "too long"}"#;

#[tokio::test]
async fn a_retry_has_the_key_of_the_first_attempt() {
    let (client, script) = serve([problem(ProblemCode::Unavailable), json(PREVIEW), json(PREVIEW)]).await;
    client.preview(&ask()).await.unwrap();
    client.preview(&ask()).await.unwrap();
    let keys: Vec<_> = script
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.1.clone().unwrap())
        .collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1], "one command");
    assert_ne!(keys[1], keys[2], "another command");
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_keeps_its_words() {
    let refusal = ProblemCode::Refusal(daypass_core::refusal::Code::OverMax);
    let (client, script) = serve([problem(refusal)]).await;
    let error = client.add_request(&ask()).await.unwrap_err();
    assert_eq!(error.code(), Some(refusal));
    let Error::Problem(problem) = error else {
        panic!("{error}")
    };
    assert_eq!(
        (problem.detail.as_str(), problem.hint.as_deref()),
        ("because", Some("try that"))
    );
    assert_eq!(script.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_gateway_asks_with_a_ticket_is_asked_once_and_records_too() {
    use crate::Secret;
    use crate::gateway::{AskWaited, DeliverRecords, RenewLeases};
    for code in [ProblemCode::Unavailable, ProblemCode::RateLimited] {
        let (client, script) = serve([problem(code), problem(code)]).await;
        let ticket = Secret::new(String::from("t"));
        let error = client.gateway_wait(&AskWaited { ticket }).await.unwrap_err();
        assert_eq!((error.code(), error.is_lasting()), (Some(code), false));
        let records = DeliverRecords {
            session: String::from("s"),
            first: 1,
            lines: Vec::new(),
            flush: false,
        };
        client.gateway_record(&records).await.unwrap_err();
        assert_eq!(script.seen.lock().unwrap().len(), 2, "each once");
    }
    let (client, script) = serve([problem(ProblemCode::Unavailable), json(r#"{"renewed": []}"#)]).await;
    let renew = RenewLeases { leases: Vec::new() };
    client.gateway_renew(&renew).await.unwrap();
    assert_eq!(script.seen.lock().unwrap().len(), 2, "it is asked again");
}

#[tokio::test]
async fn a_refusal_lasts_and_a_proxys_page_does_not() {
    use daypass_core::refusal::Code;
    let lasting = |code: ProblemCode| Error::Problem(Box::new(Problem::new(code, "x"))).is_lasting();
    for code in [Code::Forbidden, Code::Invalid, Code::NotFound, Code::InUse] {
        assert!(lasting(ProblemCode::Refusal(code)), "{code:?}");
    }
    assert!(lasting(ProblemCode::Unauthenticated));
    for code in [
        ProblemCode::RateLimited,
        ProblemCode::IdempotencyInProgress,
        ProblemCode::Unavailable,
        ProblemCode::StoreFull,
        ProblemCode::Internal,
    ] {
        assert!(!lasting(code), "{code:?}");
    }
    let page = (StatusCode::FORBIDDEN, "<html>no</html>").into_response();
    let (client, _) = serve([page]).await;
    let error = client.whoami().await.unwrap_err();
    assert!(!error.is_lasting() && error.status().is_none(), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response();
    let (client, script) = serve([elsewhere]).await;
    assert!(matches!(client.whoami().await, Err(Error::NotDaypass { .. })));
    assert_eq!(
        script.seen.lock().unwrap().len(),
        1,
        "the token went nowhere else"
    );
}

#[tokio::test]
async fn the_token_goes_into_the_header() {
    let (client, script) = serve([json(r#"{"items": []}"#)]).await;
    let page: Page<crate::person::Group> = client.get(Route::Groups, &[], &[("a", "b")]).await.unwrap();
    assert!(page.items.is_empty());
    let seen = script.seen.lock().unwrap();
    assert_eq!(
        seen[0],
        ("GET /api/v1/groups?a=b".into(), None, Some("Bearer dpt_x".into()))
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let (client, _) = serve([json(&" ".repeat(MAX_ANSWER + 1))]).await;
    let error = client.whoami().await.unwrap_err();
    assert!(
        matches!(&error, Error::NotDaypass { detail, .. } if detail.contains("larger")),
        "{error}"
    );
}

#[tokio::test]
async fn another_programs_answer_is_said_to_be_that() {
    let (client, _) = serve([json("<html>")]).await;
    let answer: Result<Whoami, _> = client.whoami().await;
    assert!(matches!(answer, Err(Error::NotDaypass { .. })));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_that() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&Connection {
        server,
        ..Connection::default()
    })
    .unwrap();
    // Not logged in and no key given: the stream is not retried, which keeps this quick.
    let error = client.events(None).await.err().unwrap();
    assert!(
        matches!(&error, Error::Unreachable { detail, .. } if !detail.is_empty()),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_with_a_secret_is_asked_for_once() {
    // The connection ends inside the answer: the token may have been issued.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let attempts = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 65536];
        stream.readable().await.unwrap();
        let _ = stream.try_read(&mut buffer);
        stream.writable().await.unwrap();
        stream
            .try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
            .unwrap();
        drop(stream);
        listener
    });
    let client = Client::new(&Connection {
        server,
        ..Connection::default()
    })
    .unwrap();
    let new: NewToken =
        serde_json::from_str(r#"{"name": "x", "scopes": ["read"], "expires_in": "1d"}"#).unwrap();
    assert!(matches!(
        client.add_token(&new).await,
        Err(Error::Unreachable { .. })
    ));
    let listener = attempts.await.unwrap();
    tokio::select! {
        biased;
        _ = listener.accept() => panic!("it was asked for twice"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn events_come_as_they_are_sent() {
    let event = r#"{"seq": 7, "at": "2026-01-01T00:00:00Z", "name": "request.approved", "subject": {"kind": "request", "id": "R1"}}"#;
    let stream = format!(": hello\n\nid: 7\nevent: request.approved\ndata: {event}\n\n");
    let (client, script) =
        serve([([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response()]).await;
    let mut events = client.events(Some(6)).await.unwrap();
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(
        (first.seq, first.name.as_str(), first.actor),
        (7, "request.approved", None)
    );
    assert!(events.next().await.unwrap().is_none());
    assert_eq!(script.seen.lock().unwrap()[0].0, "GET /api/v1/events");
}

#[tokio::test]
async fn a_long_wait_is_told_and_not_sat_through() {
    let mut busy = problem(ProblemCode::RateLimited);
    busy.headers_mut()
        .insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
    let (client, script) = serve([busy]).await;
    assert_eq!(
        client.whoami().await.unwrap_err().code(),
        Some(ProblemCode::RateLimited)
    );
    assert_eq!(script.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_of_ones_own_is_used() {
    let (client, script) = serve([json(PREVIEW), json(PREVIEW)]).await;
    client.keyed("nightly-7").preview(&ask()).await.unwrap();
    client.preview(&ask()).await.unwrap();
    let seen = script.seen.lock().unwrap();
    assert_eq!(seen[0].1.as_deref(), Some("nightly-7"));
    assert_ne!(
        seen[1].1.as_deref(),
        Some("nightly-7"),
        "the client itself keeps none"
    );
}
