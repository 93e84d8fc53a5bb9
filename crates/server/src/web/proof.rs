//! A fresh proof of who somebody is, where a command demands one: it is asked for on a page of its own, and the command goes on from there.
//!
//! What was refused is in the page that asks, and is sent again beside the proof, to the same place: nothing of it is kept here, and every form
//! gets this without knowing of it.

use askama::Template;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::login::Confirm;
use daypass_api::{ProblemCode, Secret};
use daypass_core::refusal::Code;
use url::form_urlencoded::parse;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Known, Visit, encoded};
use crate::http::intake::MAX_POLICY;

/// What the field is called in which the proof comes. No form of ours has one of that name.
const FIELD: &str = "proof";
/// What the name is at its longest, in bytes: each of its letters as `%70`.
const LONGEST: usize = 3 * FIELD.len();
/// So many fields are sent again beside a proof. Only a policy of hundreds of files has more: it is applied from the command line.
const FIELDS: usize = 1_000;
const FORM: &str = "application/x-www-form-urlencoded";

/// On an answer: the command was not carried out, for want of a proof.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted;

/// Whether that is why the API refused something.
pub(super) fn is_wanted(code: Option<ProblemCode>) -> bool {
    code == Some(ProblemCode::Refusal(Code::MfaRequired))
}

#[derive(Template)]
#[template(path = "proof.html")]
struct Page {
    frame: Frame,
    /// Where the form goes, and what is in it.
    action: String,
    fields: Vec<(String, String)>,
    failed: Option<Failed>,
}

/// A form, as somebody sent it.
struct Sent {
    parts: Parts,
    visit: Visit,
    fields: Vec<(String, String)>,
}

/// Whether this is a form. What stands behind the kind is about how it is written, and forms have one way (URL Standard, 5).
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

/// Whether a proof is in it, as whoever reads the form will find it.
fn has_proof(body: &[u8]) -> bool {
    let mut names = body.split(|byte| *byte == b'&').map(|pair| {
        let mut parts = pair.split(|byte| *byte == b'=');
        parts.next().unwrap_or_default()
    });
    names.any(|name| name.len() <= LONGEST && parse(name).next().is_some_and(|(name, _)| name == FIELD))
}

impl Sent {
    /// Reads it.
    fn read(parts: Parts, visit: Visit, body: &[u8]) -> Result<Self, Failed> {
        let fields: Vec<_> = parse(body).into_owned().take(FIELDS + 1).collect();
        if fields.len() > FIELDS {
            return Err(Failed::invalid(format!(
                "this wants a proof of who you are, and a form that waits for one has at most {FIELDS} fields: use the command line"
            )));
        }
        Ok(Self { parts, visit, fields })
    }

    /// The proof that came along, which goes no further.
    fn proof(&mut self) -> Option<Secret> {
        taken(&mut self.fields)
    }

    /// The form without it.
    fn request(&self) -> Request {
        let mut parts = self.parts.clone();
        // It was that of the form with the proof in it.
        parts.headers.remove(CONTENT_LENGTH);
        Request::from_parts(parts, Body::from(written(&self.fields)))
    }

    /// Asks for a proof.
    async fn ask(self, failed: Option<Failed>) -> Response {
        let visit = self.visit;
        let status = failed.as_ref().map_or(StatusCode::UNAUTHORIZED, Failed::status);
        let frame = visit.frame(Tab::Account, "Is it you?");
        let page = async {
            let page = Page {
                frame: visit.from.clone().scope(frame).await?,
                action: self.parts.uri.path().to_owned(),
                fields: self.fields,
                failed,
            };
            Ok::<_, Failed>((status, Html(page.render()?)).into_response())
        };
        page.await.unwrap_or_else(|failed| failed.into_response())
    }
}

/// Takes every proof out of a form; the first of them.
fn taken(fields: &mut Vec<(String, String)>) -> Option<Secret> {
    let mut proofs = fields.extract_if(.., |(name, _)| name == FIELD);
    let (_, proof) = proofs.next()?;
    proofs.for_each(drop);
    Some(Secret::new(proof))
}

/// Fields as a form writes them.
fn written(fields: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{}={}", encoded(name), encoded(value));
    let pairs: Vec<String> = fields.iter().map(pair).collect();
    pairs.join("&")
}

/// See the module.
pub(super) async fn proving(request: Request, next: Next) -> Response {
    let known = request.extensions().get::<Known>().cloned();
    let visit = known.and_then(|known| known.0);
    let is_ours = request.method() == Method::POST && is_form(request.headers());
    let Some(visit) = visit.filter(|_| is_ours) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    // It is whole already (`entry.rs`).
    let Ok(body) = to_bytes(body, MAX_POLICY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let proven = proven(parts, visit, body, next).await;
    proven.unwrap_or_else(|failed| failed.into_response())
}

async fn proven(parts: Parts, visit: Visit, body: Bytes, next: Next) -> Result<Response, Failed> {
    if !has_proof(&body) {
        let answer = next
            .run(Request::from_parts(parts.clone(), Body::from(body.clone())))
            .await;
        return Ok(match answer.extensions().get::<Wanted>() {
            Some(Wanted) => Sent::read(parts, visit, &body)?.ask(None).await,
            None => answer,
        });
    }
    let mut sent = Sent::read(parts, visit, &body)?;
    if let Some(password) = sent.proof() {
        let confirm = Confirm { password };
        let visit = &sent.visit;
        if let Err(error) = visit.from.clone().scope(visit.api.confirm(&confirm)).await {
            return Ok(sent.ask(Some(error.into())).await);
        }
    }
    let answer = next.run(sent.request()).await;
    Ok(match answer.extensions().get::<Wanted>() {
        Some(Wanted) => sent.ask(None).await,
        None => answer,
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn headers(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    #[test]
    fn a_form_is_one_whoever_wrote_it() {
        for form in [
            FORM,
            "application/x-www-form-urlencoded;charset=UTF-8",
            "Application/X-WWW-Form-URLencoded ; charset=utf-8",
        ] {
            assert!(is_form(&headers(form)), "{form}");
        }
        for other in [
            "application/json",
            "text/plain;application/x-www-form-urlencoded",
            "",
        ] {
            assert!(!is_form(&headers(other)), "{other}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }

    #[test]
    fn a_proof_is_found_however_it_is_written() {
        for with in [
            "proof=x",
            "a=b&proof=",
            "proof",
            "a&%70r%6Fof=x",
            "%70%72%6f%6F%66=1",
        ] {
            assert!(has_proof(with.as_bytes()), "{with}");
        }
        for without in ["", "proofs=x", "a=proof", "aproof=x&a=%26proof%3Dx", "Proof=x"] {
            assert!(!has_proof(without.as_bytes()), "{without}");
        }
    }

    #[test]
    fn a_proof_goes_no_further_than_here_and_all_else_does() {
        let typed = b"comment=a%26b+%3Cc%3E&proof=hunter%262&for=&name=%C3%A4&%70roof=again";
        let mut fields: Vec<(String, String)> = parse(typed).into_owned().collect();
        assert_eq!(
            taken(&mut fields).unwrap().into_inner().expose_secret(),
            "hunter&2"
        );
        assert!(taken(&mut fields).is_none());
        assert_eq!(written(&fields), "comment=a%26b%20%3Cc%3E&for=&name=%C3%A4");
    }

    #[test]
    fn a_proof_is_wanted_where_the_api_says_so_and_nowhere_else() {
        assert!(is_wanted(Some(Code::MfaRequired.into())));
        assert!(!is_wanted(Some(ProblemCode::Unauthenticated)));
        assert!(!is_wanted(None));
    }
}
