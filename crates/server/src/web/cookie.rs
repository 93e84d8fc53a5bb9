//! The session of a browser: a cookie that no script reads and no other site sends along with a form.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// Over TLS its name binds it to this host (RFC 6265bis, 4.1.3.2); in the clear, which is for one's own machine, no such name is taken.
const SECURE: &str = "__Host-daypass";
const PLAIN: &str = "daypass";

const fn name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

/// What it saw last of the log.
const LOG: &str = "-log";

/// What opens the door of a demo, which is on one's own machine: in the clear.
const DEMO: &str = "daypass-demo";

/// The session that a browser has, if it has one.
pub(super) fn read(headers: &HeaderMap, secure: bool) -> Option<SecretString> {
    value(headers, name(secure)).map(|value| value.to_owned().into())
}

/// The key of a demo's door that a browser has, if it has one.
pub(super) fn demo(headers: &HeaderMap) -> Option<SecretString> {
    value(headers, DEMO).map(|value| value.to_owned().into())
}

/// How many entries the log had when the browser last saw it, and its head.
pub(super) fn seen(headers: &HeaderMap, secure: bool) -> Option<(u64, [u8; 32])> {
    let (size, head) = value(headers, &format!("{}{LOG}", name(secure)))?.split_once(':')?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(head, &mut bytes).ok()?;
    Some((size.parse().ok()?, bytes))
}

/// Has it remember that, for a year.
pub(super) fn see((size, head): (u64, &[u8; 32]), secure: bool) -> Option<HeaderValue> {
    let only = if secure { "; Secure" } else { "" };
    let text = format!(
        "{}{LOG}={size}:{}; Path=/; HttpOnly; SameSite=Strict{only}; Max-Age=31536000",
        name(secure),
        hex::encode(head)
    );
    HeaderValue::from_str(&text).ok()
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut found = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    // Two of one name: somebody else put one there.
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        _ => None,
    }
}

/// Gives it one, for as long as the browser runs; how long it is good, the server says.
pub(super) fn set(token: &SecretString, secure: bool) -> Option<HeaderValue> {
    written(name(secure), token.expose_secret(), secure, "")
}

/// Gives it the key of a demo's door.
pub(super) fn set_demo(key: &SecretString) -> Option<HeaderValue> {
    written(DEMO, key.expose_secret(), false, "")
}

/// Takes it away.
pub(super) fn clear(secure: bool) -> Option<HeaderValue> {
    written(name(secure), "", secure, "; Max-Age=0")
}

fn written(name: &str, value: &str, secure: bool, more: &str) -> Option<HeaderValue> {
    let only = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{only}{more}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(lines: &[&str], secure: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        read(&headers, secure).map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn only_the_cookie_of_this_name_counts_and_two_are_none() {
        assert_eq!(read_of(&["a=1; daypass=x; b=2"], false).as_deref(), Some("x"));
        assert_eq!(read_of(&["daypass=x"], true), None, "not bound to this host");
        assert_eq!(read_of(&["__Host-daypass=x"], true).as_deref(), Some("x"));
        for bad in [
            &["daypass="][..],
            &["daypass=x; daypass=y"],
            &["daypass=x", "daypass=y"],
            &["xdaypass=x"],
            &[],
        ] {
            assert_eq!(read_of(bad, false), None, "{bad:?}");
        }
    }

    #[test]
    fn what_was_seen_of_the_log_is_read_as_it_was_written() {
        let cookie = see((42, &[7; 32]), true).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(
            cookie.contains("; HttpOnly; SameSite=Strict; Secure;"),
            "{cookie}"
        );
        let seen_of = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, line.parse().unwrap());
            seen(&headers, true)
        };
        assert_eq!(seen_of(cookie.split(';').next().unwrap()), Some((42, [7; 32])));
        for bad in [
            "__Host-daypass-log=42",
            "__Host-daypass-log=x:07",
            "__Host-daypass=1:07",
        ] {
            assert_eq!(seen_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_script_reads_it_and_no_other_site_sends_it_with_a_form() {
        let token = SecretString::from("dp_s_1");
        let written = set(&token, true).unwrap();
        assert_eq!(
            written.to_str().unwrap(),
            "__Host-daypass=dp_s_1; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert!(written.is_sensitive());
        assert!(
            clear(false)
                .unwrap()
                .to_str()
                .unwrap()
                .ends_with("SameSite=Lax; Max-Age=0")
        );
    }
}
