//! What happened in a session: replayed from its recording, or watched as it happens. Either is an event before anything is shown.
//!
//! The answer is a line of JSON for each record, as it is stored, and one at the end that says how it ended: whoever reads an answer
//! without it knows that it was cut off on the way.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use daypass_api::Problem;
use daypass_core::id::SessionId;
use daypass_core::lock::On;
use daypass_core::refusal::Code;
use daypass_recording::{End, Identities, Watcher};
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::mpsc;

use crate::app::{App, Parts};
use crate::edge;
use crate::gateway::{self, Front};
use crate::http::access::{self, Identity};
use crate::http::intake::Path;
use crate::http::listen::stopped;
use crate::http::problem::{Answer, Failure};

/// How many pieces wait for a client that reads slowly.
const AHEAD: usize = 4;
/// Where nothing happens in a session that is watched, an empty line is sent so often: nobody on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How often it is looked whether somebody still may look.
const LOOK: Duration = Duration::from_secs(5);

/// What goes to the client.
pub(super) type Pieces = mpsc::Sender<Bytes>;

fn front(app: &Parts) -> Answer<Arc<Front>> {
    let none = || Failure::new(Code::NotFound, "this server has no gateway, and no recordings");
    app.gateway.clone().ok_or_else(none)
}

/// Replays what was recorded of a session, each chunk verified against the log before anything of it is shown.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/recording", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn replay(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<SessionId>,
) -> Answer<Response> {
    app.engine.session_seen(identity.caller, id).await?;
    let front = front(&app)?;
    let identities = front.identities.clone().ok_or_else(|| {
        Failure::new(Code::NotFound, "this server cannot open recordings: it has the public key only")
            .hint("open its files with age and the private key (docs/audit.md), or name recordings.identity in server.yaml")
    })?;
    let place = app.places.stream(identity.caller.person, "streams")?;
    app.engine.note_replayed(identity.caller, id).await?;
    Ok(lines(|pieces| async move {
        let _place = place;
        let end = tokio::select! {
            end = pour(&app, &front, id, &identities, &pieces) => end,
            end = until_unwelcome(&app, &identity, id) => end,
        };
        let _ = edge::within(KEEP_ALIVE, pieces.send(end)).await;
    }))
}

/// Everything that is stored of it; the line that says how it ended.
async fn pour(app: &Parts, front: &Front, id: SessionId, identities: &Identities, pieces: &Pieces) -> Bytes {
    let broken = |error: &dyn std::fmt::Display| ended("broken", &error.to_string());
    let (name, logged) = match (gateway::recording(id), gateway::logged(&app.engine, id).await) {
        (Ok(name), Ok(logged)) => (name, logged),
        (Err(error), _) | (_, Err(error)) => return broken(&error),
    };
    let mut replay = match front.records.all().replay(&name, &logged, identities) {
        Ok(replay) => replay,
        Err(error) => return broken(&error),
    };
    loop {
        match replay.next().await {
            Ok(Some(piece)) => {
                let mut text = piece.lines.join("\n");
                text.push('\n');
                if !sent(pieces, text.into()).await {
                    return Bytes::new();
                }
            }
            Ok(None) => return ended("complete", "all of it"),
            Err(daypass_recording::Error::Fault(fault @ daypass_recording::Fault::Cut { .. })) => {
                return ended("cut", &fault.to_string());
            }
            Err(error) => return broken(&error),
        }
    }
}

/// Shows what happens in a session from now on.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/watch", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn watch(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<SessionId>,
) -> Answer<Response> {
    let (session, _) = app.engine.session_seen(identity.caller, id).await?;
    if !session.is_live() {
        // It says what to do instead.
        app.engine.note_watched(identity.caller, id).await?;
    }
    let front = front(&app)?;
    let place = app.places.stream(identity.caller.person, "streams")?;
    let name = gateway::recording(id).map_err(|error| Failure::internal(&error))?;
    let watcher = front.records.all().watch(&name).ok_or_else(|| {
        Failure::new(Code::NotFound, "nothing is being recorded of it here")
            .hint("what was recorded: daypass session replay")
    })?;
    app.engine.note_watched(identity.caller, id).await?;
    Ok(lines(move |pieces| async move {
        let _place = place;
        let end = tokio::select! {
            end = follow(watcher, &pieces) => end,
            end = until_unwelcome(&app, &identity, id) => end,
            () = pieces.closed() => return,
        };
        let _ = edge::within(KEEP_ALIVE, pieces.send(end)).await;
    }))
}

/// Returns once whoever looks may not look any more: logged out, switched off, locked, no auditor any more; or the server stops.
async fn until_unwelcome(app: &Parts, identity: &Identity, id: SessionId) -> Bytes {
    let mut stop = app.stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return ended("stopped", "the server stops"),
            () = edge::sleep(LOOK) => {}
        }
        if !is_welcome(app, identity, id).await {
            return ended("stopped", "you may not look any more");
        }
    }
}

/// What cannot be found out is a no.
async fn is_welcome(app: &Parts, identity: &Identity, id: SessionId) -> bool {
    let Ok(Some(now)) = access::identified(app, identity.token.hash).await else {
        return false;
    };
    let locked = app.engine.locked_now().await;
    let locked = locked.is_ok_and(|locked| locked.locked(&On::Person(now.person.id)).is_none());
    locked && app.engine.may_look_into(now.caller, id).await.is_ok()
}

async fn follow(mut watcher: Watcher, pieces: &Pieces) -> Bytes {
    loop {
        let line = match edge::within(KEEP_ALIVE, watcher.next()).await {
            Ok(Ok(line)) => format!("{}\n", line.text),
            Ok(Err(End::Finished)) => return ended("complete", "the session is over"),
            Ok(Err(end @ End::Cut)) => return ended("cut", &end.to_string()),
            Ok(Err(end @ End::TooSlow)) => return ended("stopped", &end.to_string()),
            Err(_) => String::from("\n"),
        };
        if !sent(pieces, line.into()).await {
            return Bytes::new();
        }
    }
}

/// Whether a piece went on its way: who reads nothing for so long keeps nobody's place.
pub(super) async fn sent(pieces: &Pieces, piece: Bytes) -> bool {
    matches!(edge::within(KEEP_ALIVE, pieces.send(piece)).await, Ok(Ok(())))
}

/// The last line.
fn ended(how: &str, why: &str) -> Bytes {
    let line = json!({"kind": "end", "how": how, "why": why});
    format!("{line}\n").into()
}

/// An answer of lines, made as fast as they are read.
pub(super) fn lines<F>(make: impl FnOnce(Pieces) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(make(sender));
    let stream = unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(stream)).into_response()
}
