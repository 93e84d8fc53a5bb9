//! What every page's answer carries, and which forms are taken: those of our own pages.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Web;
use crate::http::observe::HSTS;

/// Nothing runs, is fetched or framed but what this server has; nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// See the module.
pub(super) async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if reads || is_ours(request.uri(), request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "this form is not from this site").into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Addresses name requests and people.
        (REFERRER_POLICY, "no-referrer"),
        (OPENER, "same-origin"),
        (RESOURCE, "same-origin"),
        (PERMISSIONS, "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if web.secure {
        let (name, value) = HSTS;
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a page of ours sent this. Every browser of today says so itself (`Sec-Fetch-Site`), which no page can forge; an older one names the origin.
/// Who says neither is no browser with a page of ours.
fn is_ours(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    // HTTP/2 names the host in the address, and nowhere else (RFC 9113, 8.3.1).
    let authority = uri.authority().map(Authority::as_str);
    let host = authority.or_else(|| headers.get(HOST)?.to_str().ok());
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let of = origin
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    host.is_some() && of == host
}

/// Whether a page of ours led here, or nobody did: an address that was typed, or opened from a mail. What only looking writes into the log must
/// not be what another site makes somebody's browser do. A browser that does not say is believed: it sends no picture's call with our cookie.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE);
    site.is_none_or(|site| site == "same-origin" || site == "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_form_is_taken_from_our_own_pages_alone() {
        let host = (HOST, "dp.example:7373");
        for (all, ours) in [
            (vec![host.clone(), (FETCH_SITE, "same-origin")], true),
            (vec![host.clone(), (FETCH_SITE, "same-site")], false),
            (vec![host.clone(), (FETCH_SITE, "cross-site")], false),
            (vec![host.clone(), (FETCH_SITE, "none")], false),
            (
                vec![
                    host.clone(),
                    (FETCH_SITE, "cross-site"),
                    (ORIGIN, "https://dp.example:7373"),
                ],
                false,
            ),
            (vec![host.clone(), (ORIGIN, "https://dp.example:7373")], true),
            (vec![host.clone(), (ORIGIN, "https://evil.example")], false),
            (vec![host.clone(), (ORIGIN, "null")], false),
            (vec![host], false),
            (vec![(ORIGIN, "https://dp.example:7373")], false),
        ] {
            assert_eq!(
                is_ours(&Uri::from_static("/ask"), &headers(&all)),
                ours,
                "{all:?}"
            );
        }
    }

    #[test]
    fn over_http2_the_host_is_in_the_address() {
        let uri = Uri::from_static("https://dp.example:7373/sign-out");
        assert!(is_ours(&uri, &headers(&[(ORIGIN, "https://dp.example:7373")])));
        assert!(!is_ours(&uri, &headers(&[(ORIGIN, "https://evil.example")])));
        let lies = [(HOST, "evil.example"), (ORIGIN, "https://evil.example")];
        assert!(!is_ours(&uri, &headers(&lies)));
    }

    #[test]
    fn another_site_leads_nowhere_where_looking_is_told() {
        for (site, here) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
        ] {
            assert_eq!(is_from_here(&headers(&[(FETCH_SITE, site)])), here, "{site}");
        }
        assert!(is_from_here(&HeaderMap::new()));
    }
}
