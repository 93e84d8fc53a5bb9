//! Takes passwords out of what is recorded. The record says that one was there, not which.
//!
//! It follows the word PASSWORD: `ALTER ROLE … PASSWORD '…'`, `OPTIONS (password '…')`, `password = '…'`, `password=…` in a
//! connection string, however deep in strings of strings; and `://user:…@`. What it cannot know is a secret that nothing calls so.

use super::lexer::{Lexer, Token};

const HIDDEN: &str = "***";

/// Strings in strings are looked into so deep; what is deeper is hidden.
const DEEPEST: usize = 4;

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
    bytes
        .windows(word.len())
        .position(|here| here.eq_ignore_ascii_case(word))
}

/// Where there is something that may be about a password.
fn suspect(bytes: &[u8]) -> Option<usize> {
    let found = [find(bytes, b"password"), find(bytes, b"://")];
    found.into_iter().flatten().min()
}

fn is_suspect(text: &str) -> bool {
    suspect(text.as_bytes()).is_some()
}

fn redact(text: &str, depth: usize) -> String {
    if !is_suspect(text) {
        return text.to_owned();
    }
    if depth > DEEPEST {
        return HIDDEN.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    // Whether a value that stands here is a password; in a string it may stand there without quotes.
    let (mut expected, mut assigned) = (false, false);
    for token in Lexer::new(text) {
        match token {
            Token::Space(_) | Token::Comment(_) => {}
            Token::Quoted {
                open,
                text,
                close,
                continued,
            } => {
                out.push_str(open);
                // A password may go over the seam of a string that goes on in another line.
                let hide = expected || (continued && is_suspect(text));
                out.push_str(&inside(text, hide, depth, true));
                out.push_str(close);
                // What follows may be another spelling of it: it stays expected.
                continue;
            }
            Token::Dollar { tag, text, close } => {
                out.push_str(tag);
                out.push_str(&inside(text, expected, depth, false));
                out.push_str(close);
                continue;
            }
            Token::Word(word) if expected && assigned && depth > 0 => {
                let _ = word;
                hide(&mut out);
                continue;
            }
            Token::Word(word) => {
                expected = word.len() >= 8 && word.to_ascii_lowercase().ends_with("password");
                assigned = false;
            }
            Token::Name(name) => {
                expected = name.trim_matches('"').eq_ignore_ascii_case("password");
                assigned = false;
            }
            Token::Other('=' | ':' | '>' | '&' | '(') if expected => assigned = true,
            Token::Other(_) if expected && assigned && depth > 0 => {
                hide(&mut out);
                continue;
            }
            Token::Other(_) => expected = false,
        }
        if let Token::Space(_) = token
            && out.ends_with(HIDDEN)
            && depth > 0
        {
            expected = false;
        }
        push(&mut out, token);
    }
    without_userinfo(&out)
}

/// Puts the mark, once.
fn hide(out: &mut String) {
    if !out.ends_with(HIDDEN) {
        out.push_str(HIDDEN);
    }
}

fn push(out: &mut String, token: Token<'_>) {
    match token {
        Token::Space(text) | Token::Comment(text) | Token::Word(text) | Token::Name(text) => {
            out.push_str(text)
        }
        Token::Other(c) => out.push(c),
        Token::Quoted { .. } | Token::Dollar { .. } => {}
    }
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

/// `scheme://user:secret@host` without the secret.
fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("://");
        let end = part
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"'))
            .unwrap_or(part.len());
        let (authority, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        match authority
            .rsplit_once('@')
            .map(|(info, host)| (info.split_once(':'), host))
        {
            Some((Some((user, _)), host)) => {
                out.push_str(&format!("{user}:{HIDDEN}@{host}"));
            }
            _ => out.push_str(authority),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret is always `hunter2`.
    fn check(text: &str, expected: &str) {
        let shown = redacted(text.as_bytes(), true);
        assert_eq!(shown, expected);
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn passwords_of_roles_are_hidden_however_they_are_written() {
        check(
            "ALTER ROLE ada PASSWORD 'hunter2'",
            "ALTER ROLE ada PASSWORD '***'",
        );
        check(
            "CREATE USER b WITH ENCRYPTED password E'hunter2' LOGIN",
            "CREATE USER b WITH ENCRYPTED password E'***' LOGIN",
        );
        check(
            "ALTER ROLE a PASSWORD/**/$$hunter2$$ VALID UNTIL 'x'",
            "ALTER ROLE a PASSWORD/**/$$***$$ VALID UNTIL 'x'",
        );
        check(
            "ALTER ROLE a PASSWORD 'hunt'\n'hunter2'",
            "ALTER ROLE a PASSWORD '***'",
        );
        check("ALTER ROLE a PASSWORD U&'hunter2", "ALTER ROLE a PASSWORD U&'***");
        check(
            "ALTER ROLE a PASSWORD NULL; SELECT 'x'",
            "ALTER ROLE a PASSWORD NULL; SELECT 'x'",
        );
    }

    #[test]
    fn passwords_in_strings_are_hidden_and_the_rest_of_the_string_is_not() {
        check(
            "DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''hunter2'' LOGIN'; DROP TABLE t; END$$",
            "DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''***'' LOGIN'; DROP TABLE t; END$$",
        );
        check(
            "SELECT dblink_connect('host=x password=hunter2 user=y')",
            "SELECT dblink_connect('host=x password=*** user=y')",
        );
        check(
            "SELECT dblink('password=hunter2!x')",
            "SELECT dblink('password=***')",
        );
        check(
            "CREATE SUBSCRIPTION s CONNECTION 'password=''hunter2'''",
            "CREATE SUBSCRIPTION s CONNECTION 'password=''***'''",
        );
        check(
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'hunter2')",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password '***')",
        );
        check(
            "SELECT dblink('postgres://u:hunter2@h/d')",
            "SELECT dblink('postgres://u:***@h/d')",
        );
        check(
            "SELECT 1 WHERE user_password = 'hunter2'",
            "SELECT 1 WHERE user_password = '***'",
        );
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "SELECT 1",
            "SELECT password FROM users WHERE name = 'ada'",
            "INSERT INTO t VALUES ('forgot my password', 'x')",
            "SELECT 'http://example.com/a'",
        ] {
            check(text, text);
        }
        assert_eq!(redacted(b"SELECT '\xff'", true), r"SELECT \'\xff\'");
    }

    #[test]
    fn where_a_text_may_be_read_otherwise_nothing_behind_the_word_is_shown() {
        let hides = |text: &[u8], plain, expected: &str| {
            let shown = redacted(text, plain);
            assert_eq!(shown, expected);
            assert!(!shown.contains("hunter2"));
        };
        // In LATIN1 the byte is a letter, in others half of one.
        hides(
            b"ALTER ROLE \xff PASSWORD 'hunter2'",
            true,
            r"ALTER ROLE \xff *** (18 bytes that may hold a password)",
        );
        let backslash = br"ALTER ROLE a PASSWORD 'a\'hunter2'";
        hides(
            backslash,
            false,
            "ALTER ROLE a *** (21 bytes that may hold a password)",
        );
        let itself = br"SET standard_conforming_strings = off; ALTER ROLE a PASSWORD 'a\'hunter2'";
        assert!(!redacted(itself, true).contains("hunter2"));
        // Without a backslash it is read in one way.
        hides(
            b"ALTER ROLE a PASSWORD 'hunter2'",
            false,
            "ALTER ROLE a PASSWORD '***'",
        );
    }
}
