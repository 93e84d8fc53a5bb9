//! `Idempotency-Key`: the first call with a key is carried out, every other gets the first one's answer.
//!
//! A key is one person's, on one path, for one body. An answer with a secret is not kept: a second call with its key learns
//! that the first was carried out, and nothing else. Source: draft-ietf-httpapi-idempotency-key-header-06.

use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use daypass_api::{PROBLEM_JSON, ProblemCode, Route};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_store::{Answer as Kept, Begun, Command};

use crate::app::{App, Parts};
use crate::http::access::Identity;
use crate::http::intake::IdempotencyKey;
use crate::http::places::takes_away;
use crate::http::problem::{Answer, Failure};

/// Says that an answer is the first call's.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The largest answer that is kept, in bytes.
const MAX_KEPT: u64 = 16 * 1024;

/// Carries a POST with a key out once.
///
/// # Errors
/// Where the key was used for another body, or its first call is still under way.
pub(crate) async fn once(State(app): State<App>, request: Request, next: Next) -> Answer<Response> {
    let keeps_nothing = request
        .extensions()
        .get::<Route>()
        .is_some_and(|route| route.keeps_nothing());
    if *request.method() != Method::POST || keeps_nothing {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let IdempotencyKey(key) = IdempotencyKey::from_request_parts(&mut parts, &()).await?;
    let identity = parts.extensions.get::<Identity>();
    let (Some(key), Some(identity)) = (key, identity) else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    // The path as it was sent and not its pattern: one key on two grants is two commands.
    let path = parts.uri.path().to_owned();
    let command = Command {
        person: identity.caller.person,
        route: format!("POST {path}"),
        key,
    };
    let route = parts.extensions.get::<Route>().copied();
    let secret = route.is_none_or(Route::answers_with_secret);
    let password = route.is_none_or(Route::takes_password);
    let ends = route.is_some_and(takes_away);
    let person = identity.caller.person;
    // `take_in` has read and measured it.
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| Failure::internal(&error))?;
    match app
        .engine
        .store()
        .begin(&command, what_is_asked(&body, password))
        .await?
    {
        Begun::First => {}
        Begun::Done(kept) => return replay(kept),
        Begun::InProgress => {
            let what = "the first call with this idempotency key is still under way";
            return Err(
                Failure::new(ProblemCode::IdempotencyInProgress, what).retry_after(Duration::from_secs(1))
            );
        }
        Begun::Mismatch => {
            let what = "this idempotency key was used with another body before";
            return Err(
                Failure::new(ProblemCode::IdempotencyMismatch, what).hint("a new command needs a new key")
            );
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    // Counted only now: who asks for the answer to what was carried out leaves nothing more behind.
    if let Err(spent) = app.limits.keeps(person) {
        give_up(&app, &command).await;
        // Whoever has spent the budget, or somebody with a token of theirs, must not thereby keep what is to be taken away. To
        // take it away twice does no harm.
        return if ends {
            Ok(next.run(request).await)
        } else {
            Err(spent.into())
        };
    }
    let response = next.run(request).await;
    keep(&app, &command, response, secret).await
}

/// The fields that are no passwords, of bodies that may hold one.
const HARMLESS: [&str; 9] = [
    "login", "display", "kind", "role", "groups", "manager", "owner", "mail", "profile",
];

/// The hash of a body; of one that may hold a password, without what could be one: a hash of that would let whoever reads the
/// table try passwords fast. A field that nobody knows may be a misspelt one. Two calls that differ in a password alone count as
/// the same.
fn what_is_asked(body: &[u8], password: bool) -> Hash {
    if !password {
        return Hash::of(body);
    }
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(body) else {
        // Of what has no fields nobody knows where a password stands.
        return Hash::of(b"");
    };
    fields.retain(|name, _| HARMLESS.contains(&name.as_str()));
    Hash::of(serde_json::Value::Object(fields).to_string().as_bytes())
}

/// Keeps what an answer says, unless the command may do better another time.
async fn keep(app: &Parts, command: &Command, response: Response, secret: bool) -> Answer<Response> {
    let status = response.status();
    if !worth_keeping(status) {
        give_up(app, command).await;
        return Ok(response);
    }
    let too_large = response
        .body()
        .size_hint()
        .upper()
        .is_none_or(|size| size > MAX_KEPT);
    if too_large || (secret && status.is_success()) {
        note(
            app,
            command,
            Kept {
                status: status.as_u16(),
                body: None,
            },
        )
        .await;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| Failure::internal(&error))?;
    note(
        app,
        command,
        Kept {
            status: status.as_u16(),
            body: Some(body.to_vec()),
        },
    )
    .await;
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn give_up(app: &Parts, command: &Command) {
    if let Err(error) = app.engine.store().give_up(command).await {
        tracing::warn!(%error, "an idempotency key could not be given up; it is free again in a minute");
    }
}

async fn note(app: &Parts, command: &Command, answer: Kept) {
    // The command itself is done. Without this note a repetition runs into what it did, which the engine refuses or finds.
    if let Err(error) = app.engine.store().finish(command, answer).await {
        tracing::warn!(%error, "the answer to an idempotency key could not be kept");
    }
}

/// What the state of things alone decides is the answer for good; what the moment decides is not.
fn worth_keeping(status: StatusCode) -> bool {
    !(status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT
        ))
}

fn replay(kept: Kept) -> Answer<Response> {
    let status = StatusCode::from_u16(kept.status).map_err(|error| Failure::internal(&error))?;
    let Some(body) = kept.body else {
        let what = "this was carried out; its answer was not kept: it held a secret, which is shown once, or was long";
        return Err(Failure::new(Code::WrongState, what)
            .hint("look how it stands; or ask again, with another idempotency key"));
    };
    let kind = if status.is_success() {
        "application/json"
    } else {
        PROBLEM_JSON
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_in_what_is_kept_of_a_body() {
        let of = |text: &str| what_is_asked(text.as_bytes(), true);
        let first = of(r#"{"login":"ana","password":"one"}"#);
        assert_eq!(first, of(r#"{"login":"ana", "password":"two"}"#));
        assert_eq!(first, Hash::of(br#"{"login":"ana"}"#));
        assert_ne!(first, of(r#"{"login":"bo","password":"one"}"#));
        assert_eq!(of(r#"{"current":"a","password":"b"}"#), Hash::of(b"{}"));
        assert_eq!(of(r#"{"login":"ana","pasword":"one"}"#), first, "misspelt");
        assert_eq!(of(r#"["ana","one"]"#), of(r#"["ana","two"]"#));
        assert_eq!(of(r#"{"login":"ana","password":"one""#), Hash::of(b""), "cut off");
        // What holds none is bound byte by byte.
        let of = |text: &str| what_is_asked(text.as_bytes(), false);
        assert_ne!(of(r#"{"reason":"x"}"#), of(r#"{"reason": "x"}"#));
        assert_ne!(of(r#"["ana","one"]"#), of(r#"["ana","two"]"#));
    }
}
