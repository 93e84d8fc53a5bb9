//! Takes passwords out of what is recorded. The record says that one was there, not which.
//!
//! It follows the word PASSWORD (or `passwd`, `passphrase`): `ALTER ROLE … PASSWORD '…'`, `OPTIONS (password '…')`, `password = '…'`,
//! columns of an INSERT, calls of functions that are called so and of `crypt`, `password=…` in a connection string and `"password": …` in
//! JSON, however deep in strings of strings; `://user:…@`; and what stands in a command line behind whatever may name one. Where it
//! cannot say where a password ends, nothing is shown from there on. What it cannot know is a secret that nothing calls so.

mod token;
mod values;

use super::lexer::Lexer;
use token::Redaction;
pub(super) use values::{hide_value, is_about_a_password};

const HIDDEN: &str = "***";

/// Strings in strings are looked into so deep; what is deeper is hidden.
const DEEPEST: usize = 4;

/// What a password is called, at the end of a word. `find` wants them in small letters.
const CALLED: [&str; 3] = ["password", "passwd", "passphrase"];

/// Functions whose arguments are passwords.
const CALLS: [&str; 3] = ["crypt", "pgp_sym_encrypt", "pgp_sym_decrypt"];

/// Settings that decide how a text is read.
const READING: [&[u8]; 2] = [b"standard_conforming_strings", b"client_encoding"];

/// The text of a statement as it is recorded. Bytes that are no UTF-8 are written as escapes. `plain`: the target reads it as UTF-8
/// and takes a backslash for a character like others. Where it may read it otherwise, nobody can say where a password ends:
/// nothing is shown from the first word on that may be about one.
#[must_use]
pub(super) fn redacted(text: &[u8], plain: bool) -> String {
    let Ok(shown) = std::str::from_utf8(text) else {
        return suspect(text).map_or_else(
            || text.escape_ascii().to_string(),
            |at| hidden(text.get(..at).unwrap_or_default(), text.len() - at),
        );
    };
    let Some(at) = suspect(text) else {
        return shown.to_owned();
    };
    let depends = shown.contains('\\') || !shown.is_ascii();
    let plain = plain && !READING.iter().any(|name| find(text, name).is_some());
    if depends && !plain {
        return hidden(text.get(..at).unwrap_or_default(), text.len() - at);
    }
    redact(shown, 0)
}

fn hidden(before: &[u8], bytes: usize) -> String {
    let before =
        std::str::from_utf8(before).map_or_else(|_| before.escape_ascii().to_string(), str::to_owned);
    format!("{before}{HIDDEN} ({bytes} bytes that may hold a password)")
}

/// Where `word` is, in capitals or not.
fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let first = word.first()?;
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        // Nearly all that there is goes by here: texts may be long.
        at += rest.iter().position(|byte| byte.eq_ignore_ascii_case(first))?;
        let here = bytes.get(at..at + word.len())?;
        if here.eq_ignore_ascii_case(word) {
            return Some(at);
        }
        at += 1;
    }
}

/// Where there is something that may be about a password.
fn suspect(bytes: &[u8]) -> Option<usize> {
    // Each of the words holds one of these.
    let found = [&b"pass"[..], b"crypt", b"://", b"program"];
    found.into_iter().filter_map(|word| find(bytes, word)).min()
}

fn is_suspect(text: &str) -> bool {
    suspect(text.as_bytes()).is_some()
}

/// Whether a word calls something a password.
fn calls_a_password(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'', '{', '}', '$', '.', ' ']).as_bytes();
    CALLED.iter().any(|name| {
        let end = word.len().checked_sub(name.len()).and_then(|at| word.get(at..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()))
    })
}

fn redact(text: &str, depth: usize) -> String {
    if !is_suspect(text) {
        return text.to_owned();
    }
    if depth > DEEPEST {
        return HIDDEN.to_owned();
    }
    // A backslash may be an escape, in a connection string, in JSON, in a string of strings.
    if depth > 0
        && text.contains('\\')
        && let Some(at) = suspect(text.as_bytes())
    {
        return text.get(..at).unwrap_or_default().to_owned() + HIDDEN;
    }
    let mut redaction = Redaction::new(text.len(), depth);
    for token in Lexer::new(text) {
        redaction.token(token);
    }
    without_userinfo(&redaction.out, depth)
}

fn inside(text: &str, expected: bool, depth: usize, doubled: bool) -> String {
    if expected {
        HIDDEN.to_owned()
    } else if !is_suspect(text) {
        text.to_owned()
    } else if doubled {
        redact(&text.replace("''", "'"), depth + 1).replace('\'', "''")
    } else {
        redact(text, depth + 1)
    }
}

/// A command line: from the first word on that may be about a secret, nothing of it is shown.
fn command(text: &str) -> String {
    const TELLING: [&str; 6] = ["pass", "pwd", "secret", "token", "key", "auth"];
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let lower = word.to_ascii_lowercase();
        let tells = TELLING.iter().any(|part| lower.contains(part))
            || ["-u", "-p", "--user"]
                .iter()
                .any(|option| lower.starts_with(option))
            || lower.contains('@');
        if tells {
            return text.get(..at).unwrap_or_default().to_owned() + HIDDEN;
        }
        at += word.len();
    }
    text.to_owned()
}

/// `scheme://user:secret@host` without the secret, which may have anything in it but a space; outside of a string, but a quote.
fn without_userinfo(text: &str, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = behind
            .find(|c: char| c.is_whitespace() || (depth == 0 && matches!(c, '\'' | '"')))
            .unwrap_or(behind.len());
        let (whole, after) = behind.split_at_checked(end).unwrap_or((behind, ""));
        let secret = whole
            .rsplit_once('@')
            .and_then(|(info, host)| Some((info.split_once(':')?.0, host)));
        match secret {
            Some((user, host)) => out.push_str(&format!("{user}:{HIDDEN}@{host}")),
            None => out.push_str(whole),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
