//! Signed notes (C2SP `signed-note`): a text, a blank line, and a line for each signature.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key::{KeyName, Signer, Use, Verifier};

/// The longest note that is read, in bytes. Go's implementation takes no longer ones either.
pub const LONGEST: usize = 1_000_000;
/// The most signatures that are read; as in Go's implementation.
pub const MOST_SIGNATURES: usize = 100;
/// What begins the line of a signature: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// A text with signatures. That it could be read says nothing: [`Note::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// One signature of a note, by whomever its name says, so far unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: KeyName,
    id: u32,
    bytes: Vec<u8>,
}

/// Why a note is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is longer than a million bytes.
    #[error("the note is longer than {LONGEST} bytes")]
    TooLong,
    /// Its text is not UTF-8, has control characters, is empty, or does not end with a line break.
    #[error("the note's text is not lines of UTF-8 without control characters")]
    Text,
    /// There is no blank line before the signatures, or no signature at all.
    #[error("the note has no signatures")]
    Unsigned,
    /// A line below the blank one is no signature.
    #[error("a line below the note's text is no signature")]
    Signature,
    /// More than a hundred.
    #[error("the note has more than {MOST_SIGNATURES} signatures")]
    TooMany,
}

/// Why a note is not by whom it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// No signature bears this key's name and id.
    #[error("the note is not signed by {0}")]
    Missing(KeyName),
    /// One does, and is false.
    #[error("the note's signature by {0} is false: somebody else wrote it, or changed it")]
    False(KeyName),
}

/// A signature by a witness: it saw the note at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// In seconds since 1970, by the witness's clock; 0 where a log signed.
    pub at: u64,
}

impl Note {
    /// A note without signatures.
    ///
    /// # Errors
    /// Where the text cannot be a note's.
    pub fn new(text: String) -> Result<Self, Malformed> {
        let bad = |c: char| c.is_control() && c != '\n';
        if text.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        if !text.ends_with('\n') || text.starts_with('\n') || text.contains("\n\n") || text.contains(bad) {
            return Err(Malformed::Text);
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Reads a signed note.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let all = std::str::from_utf8(bytes).map_err(|_| Malformed::Text)?;
        let (text, below) = all.rsplit_once("\n\n").ok_or(Malformed::Unsigned)?;
        let mut note = Self::new(format!("{text}\n"))?;
        let lines = below.strip_suffix('\n').ok_or(Malformed::Unsigned)?;
        for line in lines.split('\n') {
            if note.signatures.len() >= MOST_SIGNATURES {
                return Err(Malformed::TooMany);
            }
            note.signatures.push(Signature::parse(line)?);
        }
        Ok(note)
    }

    /// What is signed: lines, each with its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its signatures, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature. One that this key has made before gives way. `at`: for a witness's key the time, in seconds since 1970.
    pub fn sign(&mut self, key: &Signer, at: u64) -> &Signature {
        let verifier = key.verifier();
        let bytes = match verifier.what() {
            Use::Note => key.sign(self.text.as_bytes()),
            Use::Cosignature => [at.to_be_bytes().to_vec(), key.sign(&self.cosigned(at))].concat(),
        };
        self.signatures.retain(|one| !one.is_by(verifier));
        let signature = Signature {
            name: verifier.name().clone(),
            id: verifier.id(),
            bytes,
        };
        self.signatures.push_mut(signature)
    }

    /// Adds signatures that others made of the same text; those that are there already are not added twice.
    pub fn add(&mut self, signatures: impl IntoIterator<Item = Signature>) {
        for signature in signatures {
            let same = |one: &Signature| one.name == signature.name && one.id == signature.id;
            self.signatures.retain(|one| !same(one));
            self.signatures.push(signature);
        }
    }

    /// Whether somebody signed it, and when they saw it.
    ///
    /// # Errors
    /// Where there is no signature of this key, or any that claims to be is false.
    pub fn verify(&self, key: &Verifier) -> Result<Seen, Unverified> {
        let mut seen = None;
        for signature in self.signatures.iter().filter(|one| one.is_by(key)) {
            let at = self.verified(signature, key);
            seen = Some(at.ok_or_else(|| Unverified::False(key.name().clone()))?);
        }
        seen.ok_or_else(|| Unverified::Missing(key.name().clone()))
    }

    fn verified(&self, signature: &Signature, key: &Verifier) -> Option<Seen> {
        let (at, message, bytes) = match key.what() {
            Use::Note => (0, self.text.as_bytes().to_vec(), signature.bytes.as_slice()),
            Use::Cosignature => {
                let (at, bytes) = signature.bytes.split_first_chunk::<8>()?;
                let at = u64::from_be_bytes(*at);
                (at, self.cosigned(at), bytes)
            }
        };
        key.verifies(&message, bytes).then_some(Seen { at })
    }

    /// What a witness signs (C2SP `tlog-cosignature`, `cosignature/v1`).
    fn cosigned(&self, at: u64) -> Vec<u8> {
        format!("cosignature/v1\ntime {at}\n{}", self.text).into_bytes()
    }
}

impl Signature {
    /// Reads the line of a signature, without its end.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(line: &str) -> Result<Self, Malformed> {
        let rest = line.strip_prefix(DASH).ok_or(Malformed::Signature)?;
        let (name, encoded) = rest.split_once(' ').ok_or(Malformed::Signature)?;
        let name = name.parse().map_err(|_| Malformed::Signature)?;
        let all = STANDARD.decode(encoded).map_err(|_| Malformed::Signature)?;
        let (id, bytes) = all.split_first_chunk::<4>().ok_or(Malformed::Signature)?;
        if bytes.is_empty() {
            return Err(Malformed::Signature);
        }
        Ok(Self {
            name,
            id: u32::from_be_bytes(*id),
            bytes: bytes.to_vec(),
        })
    }

    /// Whose it claims to be.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Whether it claims to be this key's.
    #[must_use]
    pub fn is_by(&self, key: &Verifier) -> bool {
        self.name == *key.name() && self.id == key.id()
    }
}

/// Its line, without the end.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [&self.id.to_be_bytes(), self.bytes.as_slice()].concat();
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(all))
    }
}

/// The whole note, as it is sent and kept.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|one| writeln!(f, "{one}"))
    }
}
