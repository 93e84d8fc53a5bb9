//! What gateways that run apart ask: the same questions, answered at the same desk, as those of the gateway in this process.
//!
//! Who asks is the service account of the token, and what it may serve is what that names; nothing of it is in a body. What cannot be
//! answered just now is a 503, and allows nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts as RequestParts;
use axum::response::Response;
use bytes::Bytes;
use daypass_api::Route;
use daypass_api::gateway::{
    AskChallenge, AskWaited, CloseLease, DeliverRecords, HEARTBEAT_SECONDS, LONGEST_TEXT, LeaseEnding,
    MOST_LINES, OpenSession, OpenedSession, Prove, Proved, RUN_HEADER, RecordedLines, RegisterGateway,
    RegisteredGateway, RenewLeases, RenewedLeases, ScramChallenge, VERSION, WaitedFor,
};
use daypass_api::{Problem, ProblemCode};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_gateway::control::{Control as _, Ending, LeaseId, NotTaken, Unavailable};
use daypass_gateway::wire;
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::api::recordings::{Pieces, lines, sent};
use crate::app::{App, Parts};
use crate::edge;
use crate::gateway::{Asker, Desk, Elsewhere, Front};
use crate::http::access::{Identity, identified, not_locked, served};
use crate::http::intake::Json;
use crate::http::listen::stopped;
use crate::http::problem::{Answer, Failure};

/// How many endings wait for a gateway that reads slowly. It is cut off then: it asks how all of its sessions stand, and need not be told.
const MOST_WAITING: usize = 10_000;
/// The most leases that one call renews.
const MOST_LEASES: usize = 10_000;
/// The most certificates that one gateway shows.
const MOST_END_POINTS: usize = 16;
const HEARTBEAT: Duration = Duration::from_secs(HEARTBEAT_SECONDS);

impl FromRequestParts<App> for Desk {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Failure> {
        let Leaving(desk) = Leaving::from_request_parts(parts, app).await?;
        known(&desk.front, &desk.by.name)?;
        Ok(desk)
    }
}

/// The desk for what is over: also for a gateway that is none any more, which tells what became of its sessions.
pub(super) struct Leaving(Desk);

impl FromRequestParts<App> for Leaving {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Failure> {
        let identity = Identity::from_request_parts(parts, app).await?;
        let mut resources = served(&identity)?;
        let drawn = drawn(parts)?;
        let front = app.gateway.clone().ok_or_else(no_gateway)?;
        let name: Name = identity.person.login.text().parse().map_err(|_| {
            Failure::new(
                Code::Forbidden,
                "the service account of this gateway has no name any more",
            )
        })?;
        // What its token names and the operator does not, it does not serve.
        resources.retain(|resource| {
            front
                .elsewhere(&name)
                .is_some_and(|its| its.resources.contains(resource))
        });
        Ok(Self(Desk {
            app: Arc::clone(app),
            front,
            by: Arc::new(Asker::apart(name, &drawn, resources)),
        }))
    }
}

/// Which run of a gateway asks.
fn drawn(parts: &RequestParts) -> Answer<[u8; 32]> {
    let drawn = parts
        .headers
        .get(RUN_HEADER)
        .and_then(|drawn| drawn.to_str().ok());
    let drawn = drawn.and_then(|drawn| hex::decode(drawn).ok());
    drawn
        .and_then(|drawn| <[u8; 32]>::try_from(drawn).ok())
        .ok_or_else(|| {
            let what =
                format!("{RUN_HEADER} says which run of a gateway asks: 32 bytes in hexadecimal digits");
            Failure::new(Code::Invalid, what)
        })
}

fn no_gateway() -> Failure {
    let what = "this server has no gateway, and keeps no recordings";
    Failure::new(Code::NotFound, what).hint("an administrator adds gateway to server.yaml")
}

/// Whoever runs a gateway is given what it is to log in with at targets: the operator says which there are and what each may serve,
/// and nobody else.
fn known<'f>(front: &'f Front, name: &Name) -> Answer<&'f Elsewhere> {
    front.elsewhere(name).ok_or_else(|| {
        let what = format!("{name} is not among the gateways of this server");
        let hint = format!(
            "who runs it adds to server.yaml: gateway: {{apart: [{{name: {name}, resources: [RESOURCE], address: HOST:PORT}}]}}"
        );
        Failure::new(Code::Forbidden, what).hint(hint)
    })
}

/// Whether a service account may have a gateway's token for these resources.
///
/// # Errors
/// Where the operator does not say that it is one, or that it serves them.
pub(super) fn may_serve(app: &Parts, login: &str, resources: &BTreeSet<Name>) -> Answer<()> {
    let front = app.gateway.as_ref().ok_or_else(no_gateway)?;
    let name: Name = login.parse().map_err(|_| no_gateway())?;
    let its = &known(front, &name)?.resources;
    if let Some(other) = resources.iter().find(|resource| !its.contains(*resource)) {
        let what = format!("{name} does not serve {other}");
        let hint = "who runs the server says what its gateways serve, in server.yaml: gateway: {apart: […]}";
        return Err(Failure::new(Code::Forbidden, what).hint(hint));
    }
    Ok(())
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        // What the store said may name hosts and files of this server: that is for its own log.
        tracing::warn!(%error, "a gateway that runs apart was not answered");
        Self::new(ProblemCode::Unavailable, "it cannot be decided just now")
            .retry_after(Duration::from_secs(1))
    }
}

/// What a client said is passed on as it is, and is not long.
fn short<'a>(texts: impl IntoIterator<Item = &'a String>) -> Answer<()> {
    if texts.into_iter().all(|text| text.len() <= LONGEST_TEXT) {
        return Ok(());
    }
    let what = format!("a login, a target or a program's name has {LONGEST_TEXT} bytes at most");
    Err(Failure::new(Code::Invalid, what))
}

fn no_protocol() -> Failure {
    Failure::new(Code::Invalid, "there is no such protocol")
}

/// Says that a gateway which runs apart is there.
#[utoipa::path(post, path = "/api/v1/gateway/register", tag = "gateways", request_body = RegisterGateway,
    responses((status = 200, body = RegisteredGateway), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn register(
    desk: Desk,
    identity: Identity,
    Json(body): Json<RegisterGateway>,
) -> Answer<Json<RegisteredGateway>> {
    if body.version != VERSION {
        let what = format!(
            "this gateway speaks version {}, and this server {VERSION}",
            body.version
        );
        return Err(Failure::new(Code::Invalid, what).hint("run the same version of Daypass on both"));
    }
    let bad = || Failure::new(Code::Invalid, "an end point is a digest in hexadecimal digits");
    if body.end_points.len() > MOST_END_POINTS {
        return Err(Failure::new(Code::Invalid, "nobody shows so many certificates"));
    }
    let digests = body
        .end_points
        .iter()
        .map(|text| hex::decode(text).map_err(|_| bad()));
    let digests = digests.collect::<Answer<Vec<Vec<u8>>>>()?;
    // By the hash that signed the certificate: SHA-256 to SHA-512 (RFC 5929, 4.1).
    if !digests.iter().all(|digest| matches!(digest.len(), 32 | 48 | 64)) {
        return Err(bad());
    }
    desk.register(digests).map_err(|no| {
        let failure = Failure::new(Code::Forbidden, no.reason);
        match no.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    Ok(Json(RegisteredGateway {
        name: desk.by.name.clone(),
        resources: desk.by.named(),
        token_expires_at: identity.token.expires_at,
        now: desk.app.engine.store().now().await?,
    }))
}

/// Says what somebody who connects to a gateway is to prove.
#[utoipa::path(post, path = "/api/v1/gateway/challenge", tag = "gateways", request_body = AskChallenge,
    responses((status = 200, body = ScramChallenge), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn challenge(desk: Desk, Json(body): Json<AskChallenge>) -> Answer<Json<ScramChallenge>> {
    short([&body.user])?;
    let origin = wire::to_origin(&body.origin).ok_or_else(no_protocol)?;
    let given = desk.challenge(&body.user, &origin).await?;
    Ok(Json(wire::challenge(&given)))
}

/// Checks what they answered.
#[utoipa::path(post, path = "/api/v1/gateway/prove", tag = "gateways", request_body = Prove,
    responses((status = 200, body = Proved), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn prove(desk: Desk, Json(body): Json<Prove>) -> Answer<Json<Proved>> {
    short([&body.said])?;
    let origin = wire::to_origin(&body.origin).ok_or_else(no_protocol)?;
    let proved = match wire::to_proof(&body) {
        Some(proof) => desk.prove(proof, &origin).await?,
        None => None,
    };
    Ok(Json(wire::proved(proved.as_ref())))
}

/// Opens a session for somebody who proved who they are, or asks for it.
#[utoipa::path(post, path = "/api/v1/gateway/leases", tag = "gateways", request_body = OpenSession,
    responses((status = 200, body = OpenedSession), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn open(desk: Desk, Json(body): Json<OpenSession>) -> Answer<Json<OpenedSession>> {
    short([&body.target].into_iter().chain(&body.program))?;
    let opening = wire::to_opening(&body).ok_or_else(no_protocol)?;
    Ok(Json(wire::opened(desk.open(opening).await?)))
}

/// Says how it went on for somebody who waits; after some seconds in any case.
#[utoipa::path(post, path = "/api/v1/gateway/wait", tag = "gateways", request_body = AskWaited,
    responses((status = 200, body = WaitedFor), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn wait(desk: Desk, Json(body): Json<AskWaited>) -> Answer<Json<WaitedFor>> {
    let waited = desk.waited(&wire::to_ticket(&body.ticket)).await?;
    Ok(Json(wire::waited(waited)))
}

/// Renews leases. One that the caller does not hold has ended.
#[utoipa::path(post, path = "/api/v1/gateway/leases/renew", tag = "gateways", request_body = RenewLeases,
    responses((status = 200, body = RenewedLeases), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn renew(desk: Desk, Json(body): Json<RenewLeases>) -> Answer<Json<RenewedLeases>> {
    if body.leases.len() > MOST_LEASES {
        let what = format!("one call renews {MOST_LEASES} leases at most");
        return Err(Failure::new(Code::Invalid, what));
    }
    let leases: Vec<LeaseId> = body.leases.iter().map(|id| LeaseId::from(id.as_str())).collect();
    let renewed = desk.renew(&leases).await?;
    Ok(Json(RenewedLeases {
        renewed: renewed.into_iter().map(wire::renewed).collect(),
    }))
}

/// Takes it that a session is over. Of one that the caller does not have, or that is over already, it changes nothing.
#[utoipa::path(post, path = "/api/v1/gateway/leases/close", tag = "gateways", request_body = CloseLease,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn close(Leaving(desk): Leaving, Json(body): Json<CloseLease>) -> Answer<StatusCode> {
    desk.close(wire::to_closing(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes what happened in a session of the caller's.
#[utoipa::path(post, path = "/api/v1/gateway/records", tag = "gateways", request_body = DeliverRecords,
    responses((status = 200, body = RecordedLines), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn record(
    Leaving(desk): Leaving,
    Json(body): Json<DeliverRecords>,
) -> Answer<Json<RecordedLines>> {
    let no_such = || Failure::new(Code::NotFound, "this run of this gateway has no such session");
    if !desk.has(&body.session) {
        return Err(no_such());
    }
    if body.lines.len() > MOST_LINES {
        let what = format!("one call brings {MOST_LINES} lines at most");
        return Err(Failure::new(Code::Invalid, what));
    }
    let mut numbered = (body.first..).zip(&body.lines);
    if !numbered.all(|(number, line)| number > 0 && is_record(line, number)) {
        let what = "a record is a line of JSON with its number, and they follow one another from 1";
        return Err(Failure::new(Code::Invalid, what));
    }
    let progress = desk
        .take(&body.session, (body.first, &body.lines), body.flush)
        .await
        .map_err(|error| match error {
            NotTaken::Unavailable(error) | NotTaken::Unreached(error) => error.into(),
            NotTaken::Never(_) => no_such(),
        })?;
    Ok(Json(RecordedLines {
        taken: progress.taken,
        stored: progress.stored,
    }))
}

/// What every record has; whatever else it has is for who reads the recording.
#[derive(Deserialize)]
struct Numbered {
    n: u64,
    kind: Kind,
}

/// What records are of. What the server adds when it shows a recording, its end above all, is none of these.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Statement,
    Lost,
}

/// Whether a line is the record of this number: nothing else gets into a recording.
fn is_record(line: &str, number: u64) -> bool {
    let one_line = line.starts_with('{') && !line.contains(['\n', '\r']);
    one_line
        && serde_json::from_str(line).is_ok_and(
            |Numbered {
                 n,
                 kind: Kind::Statement | Kind::Lost,
             }| n == number,
        )
}

/// Streams which sessions end, as soon as it is known; with an empty line every few seconds.
#[utoipa::path(get, path = "/api/v1/gateway/events", tag = "gateways",
    responses((status = 200, body = LeaseEnding, content_type = "application/x-ndjson"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn events(State(app): State<App>, desk: Desk, identity: Identity) -> Answer<Response> {
    let place = app.places.stream(identity.caller.person, "streams of endings")?;
    let replaced = desk.listen().ok_or_else(|| {
        let what = "this run of this gateway has not registered since the server started";
        Failure::new(Code::NotFound, what)
    })?;
    // Before the answer begins: whoever reads its beginning is told of all that ends from then on.
    let endings = desk.endings();
    Ok(lines(move |pieces| async move {
        let _place = place;
        tokio::select! {
            // By a newer one, which asks how all stands.
            _ = replaced => {}
            () = no_more_welcome(&desk, &identity) => {}
            () = tell(&desk, endings, &pieces) => {}
        }
    }))
}

async fn tell(desk: &Desk, mut endings: UnboundedReceiver<Ending>, pieces: &Pieces) {
    let mut stop = desk.app.stop.clone();
    let mut line = Bytes::from_static(b"\n");
    loop {
        if endings.len() > MOST_WAITING || !sent(pieces, line).await {
            return;
        }
        let next = tokio::select! {
            () = stopped(&mut stop) => return,
            () = pieces.closed() => return,
            next = edge::within(HEARTBEAT, endings.recv()) => next,
        };
        line = match next {
            Ok(Some(ending)) => match written(desk, ending) {
                Some(line) => line,
                None => return,
            },
            // Something may have been missed: it comes back, and asks how all stands.
            Ok(None) => return,
            Err(_) => Bytes::from_static(b"\n"),
        };
    }
}

fn written(desk: &Desk, ending: Ending) -> Option<Bytes> {
    let ending = wire::ending(desk.told(ending));
    let line = serde_json::to_string(&ending).ok()?;
    Some(format!("{line}\n").into())
}

/// Returns once the token is not taken any more, or whose it is was locked. However much there is to tell.
async fn no_more_welcome(desk: &Desk, identity: &Identity) {
    while is_welcome(desk, identity).await {
        edge::sleep(HEARTBEAT).await;
    }
}

/// Whether the token is still taken. What cannot be found out is a no.
async fn is_welcome(desk: &Desk, identity: &Identity) -> bool {
    let Ok(Some(now)) = identified(&desk.app, identity.token.hash).await else {
        return false;
    };
    served(&now).is_ok() && not_locked(&desk.app, Route::GatewayEvents, &now).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_records_gets_into_a_recording() {
        assert!(is_record(r#"{"n":7,"kind":"statement"}"#, 7));
        for bad in [
            "",
            "7",
            r#"{"n":8}"#,
            r#"{"kind":"statement"}"#,
            r#"{"n":7}"#,
            r#"{"n":7,"kind":"end","how":"complete"}"#,
            "{\"n\":7}\n{\"n\":8}",
            "{\"n\":7,\n\"x\":1}",
            "#daypass-recording",
            r#"[7]"#,
        ] {
            assert!(!is_record(bad, 7), "{bad}");
        }
    }
}
