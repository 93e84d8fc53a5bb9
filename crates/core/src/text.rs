//! Free text of people (reasons, comments, names) and how the log is bound to it without holding it.
//!
//! What is written into an event is a salted SHA-256 of the text; the text and its salt are kept beside. A lawful erasure
//! deletes those two, and the log still verifies: nobody can guess the text back from the hash without the salt.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The longest free text that is taken, in bytes.
pub const MAX_BYTES: usize = 4096;

/// Whether a character of somebody's text could make a reader or a terminal take it for another text: control characters,
/// bidirectional marks and overrides, invisible characters and tags.
///
/// Sources: Unicode Standard Annex 9 (bidirectional controls), Unicode Technical Report 36 (security considerations). The two
/// joiners U+200C and U+200D are none: some scripts cannot be written without them. Neither is an ordinary space; a line break
/// is, where the caller does not say otherwise.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From the 32 bytes of a hash made elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Text of a person, known to the log by its salted hash only.
///
/// Serialised it is that hash; the store keeps the words in a table of their own and puts them back with [`Prose::open`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prose {
    hash: Hash,
    #[serde(skip)]
    words: Option<Words>,
}

/// The words behind a [`Prose`], with the salt that bound them.
#[derive(Clone, PartialEq, Eq)]
pub struct Words {
    /// Sixteen random bytes.
    pub salt: [u8; 16],
    /// The text as the person wrote it.
    pub text: String,
}

impl Words {
    fn hash(&self) -> Hash {
        let mut bytes = Vec::with_capacity(16 + self.text.len());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(self.text.as_bytes());
        Hash::of(&bytes)
    }
}

impl Prose {
    /// Binds a text with a salt that the caller drew at random.
    #[must_use]
    pub fn new(salt: [u8; 16], text: impl Into<String>) -> Self {
        let words = Words {
            salt,
            text: text.into(),
        };
        Self {
            hash: words.hash(),
            words: Some(words),
        }
    }

    /// The salted hash, which is all that the log holds.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The words, unless they were erased or not loaded.
    #[must_use]
    pub const fn words(&self) -> Option<&Words> {
        self.words.as_ref()
    }

    /// The text, or `""` where it was erased.
    #[must_use]
    pub fn text(&self) -> &str {
        self.words.as_ref().map_or("", |words| &words.text)
    }

    /// Puts the words back. Words that do not hash to what the log holds are not taken, and `false` says so.
    #[must_use]
    pub fn open(&mut self, words: Words) -> bool {
        let fits = words.hash() == self.hash;
        if fits {
            self.words = Some(words);
        }
        fits
    }
}

impl fmt::Debug for Prose {
    /// Shows the hash: a reason may hold what does not belong into a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prose({})", self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_serialised_holds_the_hash_and_not_the_words() {
        let prose = Prose::new([7; 16], "restore the row that ana deleted");
        let json = serde_json::to_string(&prose).unwrap();
        assert!(!json.contains("ana"));
        let mut back: Prose = serde_json::from_str(&json).unwrap();
        assert_eq!(back.text(), "");
        assert!(back.open(prose.words().unwrap().clone()));
        assert_eq!(back, prose);
    }

    #[test]
    fn other_words_do_not_open_it() {
        let mut prose: Prose =
            serde_json::from_str(&serde_json::to_string(&Prose::new([7; 16], "a")).unwrap()).unwrap();
        assert!(!prose.open(Words {
            salt: [7; 16],
            text: "b".into()
        }));
        assert_eq!(prose.text(), "");
    }

    #[test]
    fn debug_shows_no_words() {
        assert!(!format!("{:?}", Prose::new([7; 16], "secret")).contains("secret"));
    }
}
