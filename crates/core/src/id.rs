//! Ids: one letter for the kind, then 80 random bits in Crockford's base 32, such as `R7K2M9X0V3N5Q8TZB`.
//!
//! The core draws no randomness: whoever creates a thing hands in the ten bytes. People type the first few characters;
//! the client resolves a unique prefix to the full id before it acts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many characters of an id are shown to people, its letter included.
pub const SHORT_LEN: usize = 6;

/// Crockford's base 32: no I, L, O or U, so that an id survives being read aloud.
/// Source: <https://www.crockford.com/base32.html>.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an id of a {kind} (expected {letter} and 16 characters)")]
pub struct BadId {
    text: String,
    kind: &'static str,
    letter: char,
}

fn encode(letter: char, bytes: [u8; 10]) -> String {
    let mut out = String::with_capacity(17);
    out.push(letter);
    for group in bytes.chunks(5) {
        let bits = group
            .iter()
            .fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for place in (0..8).rev() {
            let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or(0);
            out.push(ALPHABET.get(digit).map_or('0', |c| char::from(*c)));
        }
    }
    out
}

fn digit(c: char) -> Option<u64> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    ALPHABET
        .iter()
        .position(|a| char::from(*a) == c)
        .and_then(|at| u64::try_from(at).ok())
}

fn decode(letter: char, text: &str) -> Option<[u8; 10]> {
    let mut chars = text.chars();
    if !chars.next()?.eq_ignore_ascii_case(&letter) {
        return None;
    }
    let digits = chars.map(digit).collect::<Option<Vec<_>>>()?;
    if digits.len() != 16 {
        return None;
    }
    let mut bytes = Vec::with_capacity(10);
    for group in digits.chunks(8) {
        let bits = group.iter().fold(0u64, |bits, digit| (bits << 5) | digit);
        bytes.extend_from_slice(bits.to_be_bytes().get(3..)?);
    }
    bytes.try_into().ok()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 10]);

        impl $name {
            /// The letter that every id of this kind begins with.
            pub const LETTER: char = $letter;

            /// An id from ten bytes that the caller drew at random (or derived, where repeating must give the same id).
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 10]) -> Self {
                Self(bytes)
            }

            /// The ten bytes behind the id.
            #[must_use]
            pub const fn bytes(self) -> [u8; 10] {
                self.0
            }

            /// The first characters, as people see them.
            #[must_use]
            pub fn short(self) -> String {
                self.to_string().chars().take(SHORT_LEN).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&encode($letter, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                decode($letter, text).map(Self).ok_or_else(|| BadId {
                    text: text.chars().take(40).collect(),
                    kind: $kind,
                    letter: $letter,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A request: the ask, with its reason.
    RequestId, 'R', "request"
);
id!(
    /// A grant: the access that a request led to. It shares its bytes with that request, so one request cannot lead to two.
    GrantId, 'G', "grant"
);
id!(
    /// A person or a service account of the directory. Events name people by this id, never by their name.
    PersonId, 'P', "person"
);
id!(
    /// A change of Daypass itself that waits for others.
    ChangeId, 'C', "change"
);
id!(
    /// A session: a connection under a grant, through a gateway.
    SessionId, 'S', "session"
);
id!(
    /// A login or an API token.
    TokenId, 'T', "token"
);

impl From<RequestId> for GrantId {
    fn from(request: RequestId) -> Self {
        Self(request.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_back() {
        for bytes in [[0; 10], [255; 10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] {
            let id = RequestId::from_bytes(bytes);
            assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
            assert_eq!(id.to_string().len(), 17);
        }
    }

    #[test]
    fn what_people_mistype_is_still_read() {
        let id = RequestId::from_bytes([0; 10]);
        assert_eq!("rOOOOOOOOOOOOOOOO".parse::<RequestId>(), Ok(id));
    }

    #[test]
    fn other_kinds_and_lengths_are_refused() {
        let grant = GrantId::from_bytes([7; 10]).to_string();
        assert!(grant.parse::<RequestId>().is_err());
        assert!("R7K2M".parse::<RequestId>().is_err());
        assert!("".parse::<RequestId>().is_err());
        assert!(
            "R7K2M9X0V3N5Q8TZU".parse::<RequestId>().is_err(),
            "U is not in the alphabet"
        );
    }

    #[test]
    fn a_grant_is_found_from_its_request() {
        let request = RequestId::from_bytes([9; 10]);
        assert_eq!(
            GrantId::from(request).to_string().get(1..),
            request.to_string().get(1..)
        );
    }
}
