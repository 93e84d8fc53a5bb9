//! Signing in and out, with an account of Daypass's own.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use daypass_api::login::Login;
use daypass_api::{ProblemCode, Secret};
use serde::Deserialize;

use super::failed::Failed;
use super::visit::within_this_site;
use super::within::From;
use super::{Web, cookie, demo};
use crate::http::address::Peer;
use crate::personas::Persona;

/// What a session is called among those of its owner.
const NAME: &str = "browser";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    next: &'a str,
    login: &'a str,
    failed: Option<Failed>,
    /// Who one can be, in a demo.
    cast: &'a [Persona],
    demo: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Entering {
    login: String,
    password: Secret,
    next: Option<String>,
}

/// Where somebody signs in.
pub(super) async fn page(
    State(web): State<Web>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Failed> {
    shown(
        (&web, &headers),
        within_this_site(asked.next.as_deref()),
        "",
        None,
    )
}

fn shown(
    (web, headers): (&Web, &HeaderMap),
    next: &str,
    login: &str,
    failed: Option<Failed>,
) -> Result<Response, Failed> {
    let status = failed.as_ref().map_or(StatusCode::OK, Failed::status);
    let page = Page {
        next,
        login,
        failed,
        cast: demo::cast(web, headers),
        demo: web.personas.is_some(),
    };
    Ok((status, Html(page.render()?)).into_response())
}

/// Signs in.
pub(super) async fn enter(
    State(web): State<Web>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
    Form(entering): Form<Entering>,
) -> Result<Response, Failed> {
    let next = within_this_site(entering.next.as_deref());
    let login = Login {
        login: entering.login.clone(),
        password: entering.password,
        profile: Some(NAME.to_owned()),
    };
    let from = From::of(peer, &headers);
    match from.clone().scope(web.api.login(&login)).await {
        Ok(entered) => {
            // Who was here before is here no more. Where that cannot be had now, their session runs out by itself.
            let _over = end_session(&web, &from, &headers).await;
            let token = entered.token.into_inner();
            let cookie = cookie::set(&token, web.secure)
                .ok_or_else(|| Failed::internal(&"a session that fits no cookie"))?;
            Ok(([(SET_COOKIE, cookie)], Redirect::to(next)).into_response())
        }
        Err(error) => shown((&web, &headers), next, &entering.login, Some(error.into())),
    }
}

/// Signs out, also where the session was over. Where the API does not say that it is, the browser keeps what it has, to try again.
pub(super) async fn leave(
    State(web): State<Web>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    end_session(&web, &From::of(peer, &headers), &headers).await?;
    let cookie = cookie::clear(web.secure).ok_or_else(|| Failed::internal(&"no cookie to take away"))?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}

/// Ends the session that a browser has, if it has one.
///
/// # Errors
/// Where it may still go on.
pub(super) async fn end_session(web: &Web, from: &From, headers: &HeaderMap) -> Result<(), Failed> {
    let token = cookie::read(headers, web.secure);
    // What is no token is no session either.
    let Some(api) = token.and_then(|token| web.api.with_token(&token).ok()) else {
        return Ok(());
    };
    match from.clone().scope(api.logout()).await {
        Err(error) if error.code() != Some(ProblemCode::Unauthenticated) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}
