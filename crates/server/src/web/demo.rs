//! A demo's door: who has its key chooses who they are, and changes it at any time. Of a server that is no demo's, none of this is there: the
//! routes are not, and nobody has anything to give to them.
//!
//! Who is chosen is logged in as everybody is, with their password. So there is no session that the API did not give.

use askama::Template;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use daypass_api::Secret;
use daypass_api::login::Login;
use secrecy::SecretString;
use serde::Deserialize;

use super::failed::Failed;
use super::sign_in::end_session;
use super::within::From;
use super::{Web, cookie};
use crate::http::address::Peer;
use crate::personas::{Persona, Personas};

/// What a session is called among those of its owner.
const NAME: &str = "browser, in the demo";

/// A page that leads to another.
#[derive(Template)]
#[template(path = "enter.html")]
struct Leads<'a> {
    address: &'a str,
}

/// A page of one's own that leads to this address: for a browser that is not to be told it where everybody can see.
pub(crate) fn leading_to(address: &str) -> Option<String> {
    Leads { address }.render().ok()
}

/// The door.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/demo/enter/{key}", get(enter))
        .route("/demo/as", post(be))
}

#[derive(Debug, Deserialize)]
struct Chosen {
    login: String,
}

/// Whom this browser may be; nobody where it has not the demo's key, or this is no demo.
pub(super) fn cast<'w>(web: &'w Web, headers: &HeaderMap) -> &'w [Persona] {
    let_in(web, headers).map_or(&[], Personas::cast)
}

fn let_in<'w>(web: &'w Web, headers: &HeaderMap) -> Option<&'w Personas> {
    let personas = web.personas.as_deref()?;
    let key = cookie::demo(headers)?;
    personas.is_key(&key).then_some(personas)
}

fn closed() -> Failed {
    Failed::invalid("the demo's door opens with the address that it printed when it began")
}

/// By the address that the demo printed. The browser keeps the key, so that the address need not stay where everybody sees it.
async fn enter(State(web): State<Web>, Path(key): Path<String>) -> Result<Response, Failed> {
    let key = SecretString::from(key);
    let personas = web.personas.as_deref().filter(|personas| personas.is_key(&key));
    personas.ok_or_else(closed)?;
    let kept = cookie::set_demo(&key).ok_or_else(closed)?;
    Ok(([(SET_COOKIE, kept)], Redirect::to("/sign-in")).into_response())
}

/// As somebody, from now on.
async fn be(
    State(web): State<Web>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failed> {
    let personas = let_in(&web, &headers).ok_or_else(closed)?;
    let chosen = Form::<Chosen>::from_request(request, &()).await;
    let Form(Chosen { login }) = chosen.map_err(|_| Failed::invalid("this form cannot be read"))?;
    let password = personas.password_of(&login).ok_or_else(closed)?;
    let ask = Login {
        login,
        password: Secret::new(password.clone()),
        profile: Some(NAME.to_owned()),
    };
    let from = From::of(peer, &headers);
    let entered = from.clone().scope(web.api.login(&ask)).await?;
    // Who one was, one is no more. Where that session was over already, all the better.
    let _over = end_session(&web, &from, &headers).await;
    let session = cookie::set(&entered.token.into_inner(), web.secure)
        .ok_or_else(|| Failed::internal(&"a session that fits no cookie"))?;
    Ok((AppendHeaders([(SET_COOKIE, session)]), Redirect::to("/")).into_response())
}
