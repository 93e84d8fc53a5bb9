//! No secret in what is shown: what a program says is searched for the secrets that it was given.

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// In the place of a secret.
const INSTEAD: &[u8] = b"[secret]";

/// Shorter lines of a secret of several lines (`}`, `--`) give nothing away, and would take every text apart.
const LINE_MIN: usize = 6;

/// The secrets of one call.
pub(super) struct Redactor {
    /// Longest first: what contains another is found before it.
    patterns: Vec<Zeroizing<Vec<u8>>>,
}

impl Redactor {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a SecretString>) -> Self {
        let mut patterns = Vec::new();
        for secret in secrets {
            let secret = secret.expose_secret();
            patterns.push(Zeroizing::new(secret.as_bytes().to_vec()));
            // As it stands in the JSON that the program read, and perhaps prints.
            if let Ok(quoted) = serde_json::to_string(secret).map(Zeroizing::new) {
                let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                patterns.push(Zeroizing::new(inner.as_bytes().to_vec()));
            }
            let lines = secret.lines().filter(|line| line.len() >= LINE_MIN);
            patterns.extend(lines.map(|line| Zeroizing::new(line.as_bytes().to_vec())));
        }
        patterns.retain(|pattern| !pattern.is_empty());
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        patterns.dedup();
        Self { patterns }
    }

    /// The text without the secrets.
    pub(super) fn clean(&self, text: &[u8]) -> String {
        let mut text = Zeroizing::new(text.to_vec());
        for pattern in &self.patterns {
            text = replace(&text, pattern);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn replace(text: &[u8], pattern: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(pattern) {
            out.extend_from_slice(INSTEAD);
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_as_it_is_as_json_and_line_by_line() {
        let secrets = [
            SecretString::from("tok\"en-1"),
            SecretString::from("-----BEGIN\nabcdefgh\nij\n"),
            SecretString::from("tok"),
        ];
        let redactor = Redactor::new(secrets.iter());
        let clean = |text: &str| redactor.clean(text.as_bytes());
        assert_eq!(clean("a tok\"en-1 b"), "a [secret] b");
        assert_eq!(clean(r#"{"token":"tok\"en-1"}"#), r#"{"[secret]en":"[secret]"}"#);
        assert_eq!(clean("+ abcdefgh"), "+ [secret]");
        assert_eq!(clean("nothing of it"), "nothing of it");
        let all = redactor.clean(b"-----BEGIN\nabcdefgh\nij\n\xff");
        assert_eq!(all, "[secret]\u{fffd}");
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        let empty = [SecretString::from("")];
        assert_eq!(Redactor::new(empty.iter()).clean(b"text"), "text");
    }
}
