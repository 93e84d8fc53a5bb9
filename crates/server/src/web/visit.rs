//! Who looks at a page: whose session the browser has, as the API says. Who has none is asked to sign in, and comes back.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use daypass_api::ProblemCode;
use daypass_api::change::{ChangeQuery, ChangeState};
use daypass_api::client::Client;
use daypass_api::login::Whoami;
use daypass_api::request::RequestQuery;
use futures_util::try_join;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::within::From;
use super::{Web, cookie, demo};
use crate::http::address::Peer;
use crate::personas::Persona;

/// Somebody who is signed in.
#[derive(Clone)]
pub(super) struct Visit {
    /// The API, as they.
    pub(super) api: Client,
    /// Who they are.
    pub(super) me: Whoami,
    pub(super) from: From,
    /// Who they could be as well, in a demo.
    cast: Vec<Persona>,
}

/// Who `entry.rs` found to be there, in the extensions of a request.
#[derive(Clone)]
pub(super) struct Known(pub(super) Option<Visit>);

impl FromRequestParts<Web> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Response> {
        let at = parts
            .uri
            .path_and_query()
            .map_or("/", |at| at.as_str())
            .to_owned();
        // A form whose session is over is lost: back to where it was.
        let back = if parts.method == Method::GET {
            at.as_str()
        } else {
            "/"
        };
        // Who is behind no door is nobody.
        let known = parts.extensions.get::<Known>().cloned();
        let visit = known.and_then(|known| known.0);
        visit.ok_or_else(|| sign_in(back).into_response())
    }
}

/// Whose session a browser has, as the API says.
///
/// # Errors
/// Where it does not say.
pub(super) async fn visitor(parts: &Parts, web: &Web) -> Result<Option<Visit>, Failed> {
    let Some(token) = cookie::read(&parts.headers, web.secure) else {
        return Ok(None);
    };
    let Ok(api) = web.api.with_token(&token) else {
        return Ok(None);
    };
    let from = from(parts)?;
    match from.clone().scope(api.whoami()).await {
        Ok(me) => Ok(Some(Visit {
            api,
            me,
            from,
            cast: demo::cast(web, &parts.headers).to_vec(),
        })),
        Err(error) if error.code() == Some(ProblemCode::Unauthenticated) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where to sign in, and where to go on.
fn sign_in(back: &str) -> Redirect {
    Redirect::to(&format!("/sign-in?next={}", encoded(back)))
}

/// As it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// From where a browser asks.
pub(super) fn from(parts: &Parts) -> Result<From, Failed> {
    let peer = parts.extensions.get::<Peer>().copied();
    let peer = peer.ok_or_else(|| Failed::internal(&"a request without a peer"))?;
    Ok(From::of(peer, &parts.headers))
}

/// A place on this site; the start where somebody made the link lead elsewhere.
pub(super) fn within_this_site(next: Option<&str>) -> &str {
    let is_here = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains(['\\', '\r', '\n'])
            && path.parse::<Uri>().is_ok_and(|uri| uri.host().is_none())
    };
    next.filter(is_here).unwrap_or("/")
}

impl Visit {
    /// What all pages share, for this one.
    ///
    /// # Errors
    /// Where the API does not answer.
    pub(super) async fn frame(&self, tab: Tab, title: &str) -> Result<Frame, Failed> {
        let waiting = RequestQuery {
            reviewable: Some(true),
            limit: Some(Frame::MOST),
            ..RequestQuery::default()
        };
        let changes = ChangeQuery {
            state: Some(ChangeState::Pending),
            reviewable: Some(true),
            limit: Some(Frame::MOST),
            ..ChangeQuery::default()
        };
        let (waiting, changes) = try_join!(self.api.requests(&waiting), self.api.changes(&changes))?;
        let me = &self.me.person;
        let frame = Frame::new(
            (tab, title),
            (me.login.as_str(), me.role),
            (
                waiting.items.len() + changes.items.len(),
                waiting.next.is_some() || changes.next.is_some(),
            ),
        );
        Ok(Frame {
            cast: self.cast.clone(),
            ..frame
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_sign_in_leads_back_here_and_nowhere_else() {
        for here in ["/", "/requests/R7", "/catalogue?env=prod"] {
            assert_eq!(within_this_site(Some(here)), here);
        }
        for there in [
            "//evil",
            "https://evil",
            "/\\evil",
            "evil",
            "",
            "/a\r\nb",
            "javascript:alert(1)",
        ] {
            assert_eq!(within_this_site(Some(there)), "/", "{there}");
        }
        assert_eq!(encoded("/a?b=c&d"), "/a%3Fb%3Dc%26d");
    }
}
