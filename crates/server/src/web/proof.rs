//! A fresh proof of who somebody is, where a command demands one: it is asked for on a page of its own, and the command goes on from there.
//!
//! What was refused is in the page that asks, and is sent again beside the proof, to the same place: nothing of it is kept here, and every form
//! gets this without knowing of it.

use askama::Template;
use axum::Form;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::login::Confirm;
use daypass_api::{ProblemCode, Secret};
use daypass_core::refusal::Code;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::{Web, cookie};

/// What the field is called in which the proof comes. No form of ours has one of that name.
const FIELD: &str = "proof";
/// The largest form that is taken, in bytes as forms write them: a policy of many files. A larger policy is applied from the command line.
pub(super) const LARGEST: usize = 8 * 1024 * 1024;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

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
    fields: Vec<(String, String)>,
}

/// What a call is.
enum Call {
    Form(Sent),
    /// None of ours, or of nobody: it goes on as it is.
    Other(Request),
    Refused(Response),
}

impl Sent {
    /// Reads it. Nobody without a session has it read.
    async fn read(web: &Web, request: Request) -> Call {
        let is_form = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == FORM);
        let is_ours = request.method() == Method::POST && is_form;
        if !is_ours || cookie::read(request.headers(), web.secure).is_none() {
            return Call::Other(request);
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, LARGEST).await else {
            return Call::Refused(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        let mut whole = Request::from_parts(parts.clone(), Body::from(body));
        DefaultBodyLimit::max(LARGEST).apply(&mut whole);
        match Form::from_request(whole, &()).await {
            Ok(Form(fields)) => Call::Form(Self { parts, fields }),
            Err(none) => Call::Refused(none.into_response()),
        }
    }

    /// The proof that came along, which goes no further.
    fn proof(&mut self) -> Option<Secret> {
        let at = self.fields.iter().position(|(name, _)| name == FIELD)?;
        let (_, proof) = self.fields.remove(at);
        Some(Secret::new(proof))
    }

    /// The form without it.
    fn request(&self) -> Request {
        let pair = |(name, value): &(String, String)| format!("{}={}", encoded(name), encoded(value));
        let body: Vec<String> = self.fields.iter().map(pair).collect();
        let mut parts = self.parts.clone();
        without_length(&mut parts.headers);
        Request::from_parts(parts, Body::from(body.join("&")))
    }

    /// Asks for a proof.
    async fn ask(mut self, web: &Web, failed: Option<Failed>) -> Response {
        let visit = match Visit::from_request_parts(&mut self.parts, web).await {
            Ok(visit) => visit,
            Err(answer) => return answer,
        };
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

/// The length was that of the form with the proof in it.
fn without_length(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
}

/// See the module.
pub(super) async fn proving(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut sent = match Sent::read(&web, request).await {
        Call::Form(sent) => sent,
        Call::Other(request) => return next.run(request).await,
        Call::Refused(answer) => return answer,
    };
    if let Some(password) = sent.proof() {
        let visit = match Visit::from_request_parts(&mut sent.parts, &web).await {
            Ok(visit) => visit,
            Err(answer) => return answer,
        };
        let confirm = Confirm { password };
        if let Err(error) = visit.from.clone().scope(visit.api.confirm(&confirm)).await {
            return sent.ask(&web, Some(error.into())).await;
        }
    }
    let answer = next.run(sent.request()).await;
    if answer.extensions().get::<Wanted>().is_some() {
        return sent.ask(&web, None).await;
    }
    answer
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    async fn sent(body: &str) -> Sent {
        let request = Request::post("/requests/1/review")
            .header(CONTENT_TYPE, FORM)
            .header(CONTENT_LENGTH, body.len())
            .body(Body::from(body.to_owned()))
            .unwrap();
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let Form(fields) = Form::from_request(whole, &()).await.unwrap();
        Sent { parts, fields }
    }

    #[tokio::test]
    async fn a_proof_goes_no_further_than_here_and_all_else_does() {
        let mut sent = sent("comment=a%26b+%3Cc%3E&proof=hunter%262&for=&name=%C3%A4").await;
        assert_eq!(sent.proof().unwrap().into_inner().expose_secret(), "hunter&2");
        assert!(sent.proof().is_none());
        let request = sent.request();
        assert_eq!(request.headers().get(CONTENT_LENGTH), None, "it is another one");
        let body = to_bytes(request.into_body(), LARGEST).await.unwrap();
        assert_eq!(body, "comment=a%26b%20%3Cc%3E&for=&name=%C3%A4");
    }

    #[test]
    fn a_proof_is_wanted_where_the_api_says_so_and_nowhere_else() {
        assert!(is_wanted(Some(Code::MfaRequired.into())));
        assert!(!is_wanted(Some(ProblemCode::Unauthenticated)));
        assert!(!is_wanted(None));
    }
}
