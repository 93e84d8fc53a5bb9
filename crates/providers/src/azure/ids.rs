//! Names at Azure that follow from a key alone, and the mark by which we know again what we made.
//!
//! Azure wants GUIDs for role assignments, and names of at most 80 characters for rules. Neither says whose it is: that is in the
//! description (or justification), which begins with a mark: `daypass INSTALLATION KEY`.

use aws_lc_rs::digest::{SHA256, digest};
use daypass_core::time::Timestamp;
use serde_json::Value;

use crate::command::keys;

/// The GUID that these words always have: the first 128 bits of their SHA-256, in the form of RFC 9562's version 8.
pub(super) fn guid(words: &[&str]) -> String {
    let mut hex: Vec<char> = digest_of(words).chars().take(32).collect();
    if let Some(version) = hex.get_mut(12) {
        *version = '8';
    }
    if let Some(variant) = hex.get_mut(16) {
        *variant = 'a';
    }
    let mut out = String::with_capacity(36);
    for (index, digit) in hex.into_iter().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

/// A GUID that nothing else has.
pub(super) fn fresh_guid() -> String {
    use secrecy::ExposeSecret as _;
    guid(&["fresh", crate::password::random().expose_secret()])
}

/// 128 bits of what these words are, as hexadecimal digits.
pub(super) fn short(words: &[&str]) -> String {
    digest_of(words).chars().take(32).collect()
}

/// Each word with its length before it, so that no two lists of words are spelled alike.
fn digest_of(words: &[&str]) -> String {
    let mut bytes = Vec::new();
    for word in words {
        bytes.extend_from_slice(&u64::try_from(word.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    hex::encode(digest(&SHA256, &bytes))
}

/// Whether it is a GUID as Azure writes one.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// What our things bear: who made it, for which key, for whom, and until when where the target keeps a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The key.
    pub(super) key: String,
    /// The limit that the target was told.
    pub(super) until: Option<Timestamp>,
}

/// The word that every mark begins with.
const MAKER: &str = "daypass";

/// The text of a mark, of at most so many characters. Only the holder's login is ever cut: it is for people.
pub(super) fn mark(asker: &str, key: &str, until: Option<Timestamp>, holder: &str, most: usize) -> String {
    let told = keys::told(key);
    let until = until.map(|until| format!(" until={until}")).unwrap_or_default();
    let holder = keys::holder(holder);
    let whole = format!("{MAKER} {asker} {told}{until} held by {holder}");
    match whole.chars().count() <= most {
        true => whole,
        false => format!("{MAKER} {asker} {told}{until}"),
    }
}

/// The mark in a description, where this installation made it by this connector.
pub(super) fn read_mark(asker: &str, text: &str) -> Option<Mark> {
    let mut words = text.split(' ');
    if words.next() != Some(MAKER) || words.next() != Some(asker) {
        return None;
    }
    let key = keys::heard(words.next()?)?;
    let until = words.next().and_then(|word| word.strip_prefix("until="));
    Some(Mark {
        key,
        until: until.and_then(|until| until.parse().ok()),
    })
}

/// The text at a place of an answer, `""` where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list at a place of an answer; none where there is no list.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The last part of an id.
pub(super) fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Whether two ids of Azure are the same: it does not mind capital letters.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/')
        .eq_ignore_ascii_case(other.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_follows_from_its_words_and_from_nothing_else() {
        let one = guid(&["a", "bc"]);
        assert_eq!(one, guid(&["a", "bc"]));
        assert_ne!(one, guid(&["ab", "c"]), "words are kept apart");
        assert!(is_guid(&one), "{one}");
        assert_ne!(fresh_guid(), fresh_guid());
        assert!(&one[14..15] == "8" && &one[19..20] == "a");
        for never in ["", "x", "0000000-00000-0000-0000-000000000000"] {
            assert!(!is_guid(never));
        }
    }

    #[test]
    fn a_mark_is_read_again_and_only_by_who_made_it() {
        let until: Timestamp = "2026-03-07T12:00:00.123456Z".parse().unwrap();
        for key in ["role-0f", "", "a b\0", "é中"] {
            let text = mark("aa", key, Some(until), "ana", 500);
            let read = read_mark("aa", &text).unwrap();
            assert_eq!((read.key.as_str(), read.until), (key, Some(until)));
            assert_eq!(read_mark("ab", &text), None);
        }
        let cut = mark("aa", "k", None, &"x".repeat(300), 140);
        assert_eq!(read_mark("aa", &cut).unwrap().key, "k");
        assert!(cut.len() <= 140);
        for foreign in [
            "",
            "daypass",
            "daypass aa",
            "Daypass aa k",
            "made by daypass aa k",
        ] {
            assert_eq!(read_mark("aa", foreign), None, "{foreign}");
        }
    }
}
