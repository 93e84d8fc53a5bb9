//! A form that was refused, shown again: why, with what was typed still in it. Without a script it would be lost, and the way back with it.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::client::Error;

use super::failed::Failed;
use super::proof;

/// See the module. Templates show it by `refused.html`.
#[derive(Debug)]
pub(super) struct Refused<T> {
    pub(super) failed: Failed,
    /// What was typed.
    pub(super) typed: T,
}

impl<T> Refused<T> {
    /// What is to be shown with the page that the form is on.
    ///
    /// # Errors
    /// What is no refusal to be read beside the form: a fresh proof is asked for elsewhere, and all comes back as it is; a script still
    /// has the form, and says what is said.
    pub(super) fn beside(
        error: impl Into<Refusal>,
        headers: &HeaderMap,
        typed: impl FnOnce() -> T,
    ) -> Result<Self, Failed> {
        let Refusal { failed, elsewhere } = error.into();
        if elsewhere || by_script(headers) {
            return Err(failed);
        }
        Ok(Self {
            failed,
            typed: typed(),
        })
    }
}

/// Why a form was refused.
pub(super) struct Refusal {
    failed: Failed,
    /// It is answered by a page of its own.
    elsewhere: bool,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            elsewhere: proof::is_wanted(error.code()),
            failed: error.into(),
        }
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        Self {
            failed,
            elsewhere: false,
        }
    }
}

/// Whether a form was sent in the background. A browser that does not say (`Sec-Fetch-Dest`, Fetch Metadata) shows what it is answered.
fn by_script(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|to| to == "empty")
}

/// A page as the answer to a form that was refused, or to no form at all.
pub(super) fn answer<T>(page: String, refused: Option<&Refused<T>>) -> Response {
    let status = refused.map_or(StatusCode::OK, |refused| refused.failed.status());
    (status, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_and_whoever_has_none_sees_the_form_again() {
        let mut headers = HeaderMap::new();
        let refused = |headers: &HeaderMap| Refused::beside(Failed::invalid("no"), headers, || "typed");
        assert_eq!(refused(&headers).unwrap().typed, "typed");
        headers.insert("sec-fetch-dest", "document".parse().unwrap());
        assert!(refused(&headers).is_ok());
        headers.insert("sec-fetch-dest", "empty".parse().unwrap());
        assert!(refused(&headers).is_err());
    }
}
