//! What another site's link leads to, where looking is an event of the log: a page that says so first. So no site makes somebody's browser look.

use askama::Template;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse as _, Response};

use super::Web;
use super::failed::Failed;
use super::guard::is_from_here;

#[derive(Template)]
#[template(path = "led.html")]
struct Page {
    /// Where it goes on.
    path: String,
}

/// Somebody who came by a page of ours, or by an address of their own. Whoever was led here by another site is asked first.
pub(super) struct OnPurpose;

impl FromRequestParts<Web> for OnPurpose {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        if is_from_here(&parts.headers) {
            return Ok(Self);
        }
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, web)
            .await
            .map_err(|none| none.into_response())?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let page = Page { path }.render().map_err(Failed::from);
        Err(page.map_or_else(|failed| failed.into_response(), |page| Html(page).into_response()))
    }
}

/// A script of ours that asks, and nobody else's.
pub(super) struct ByOurScript;

impl FromRequestParts<Web> for ByOurScript {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Failed> {
        if is_from_here(&parts.headers) {
            Ok(Self)
        } else {
            Err(Failed::forbidden("another site may not have this looked at"))
        }
    }
}
