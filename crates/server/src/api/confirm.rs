//! Proving anew who one is, on the session that one calls with: for what the policy wants a fresh proof of.

use axum::extract::State;
use daypass_api::login::{Confirm, Confirmed};
use daypass_api::{Problem, ProblemCode};
use daypass_core::refusal::Code;
use daypass_engine::{Error, Proof};

use crate::app::App;
use crate::http::access::{Client, Identity};
use crate::http::intake::Json;
use crate::http::problem::{Answer, Failure};

/// Notes on the session that its holder has just proved anew, by their password, who they are. It is limited as logins are, for each
/// session: one that somebody left open is no place to guess in, and strangers who guess at the login do not get in its way.
#[utoipa::path(post, path = "/api/v1/session/confirm", tag = "identity", request_body = Confirm,
    responses((status = 200, body = Confirmed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn confirm(
    State(app): State<App>,
    identity: Identity,
    client: Client,
    Json(body): Json<Confirm>,
) -> Answer<Json<Confirmed>> {
    identity.caller.interactive()?;
    let person = identity.caller.person;
    if let Err(too_fast) = app.limits.proof(identity.token.id) {
        app.metrics.login("limited");
        return Err(too_fast.into());
    }
    let stored = app.engine.store().password(person).await?;
    let proof = stored.as_deref().map(|stored| Proof::new(person, stored));
    // An account without a password takes as long.
    let fits = app.passwords.verify(stored, body.password.into_inner()).await?;
    let refused = || {
        app.metrics.login("refused");
        tracing::info!(client = %client.0, %person, "a confirmation was refused");
        Failure::new(ProblemCode::LoginFailed, "the password is wrong")
    };
    let (Some(proof), true) = (proof, fits) else {
        return Err(refused());
    };
    let confirmed_at = match app
        .engine
        .confirm(identity.caller, identity.token.id, proof)
        .await
    {
        // It was right when it was looked at, and another one was set since: now it is wrong.
        Err(Error::Refused(refusal)) if refusal.code == Code::Stale => return Err(refused()),
        confirmed => confirmed?,
    };
    tracing::info!(client = %client.0, %person, "proved anew who they are");
    Ok(Json(Confirmed { confirmed_at }))
}
