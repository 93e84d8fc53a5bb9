//! Keys that sign notes, in the form that public tools read (C2SP `signed-note`).
//!
//! A verifier key is `name+id+key`, as in Go's `golang.org/x/mod/sumdb/note`; a signer key that with `PRIVATE+KEY+` before it. Of the
//! kinds of signature that C2SP names, those with Ed25519 (RFC 8032) are here: a log's own (type 1) and a witness's (type 4).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// The text of a note: a log, its checkpoints.
    Note,
    /// A checkpoint with the time at which a witness saw it (`tlog-cosignature`).
    Cosignature,
}

impl Use {
    /// The byte that says so in a key and in its id.
    const fn byte(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosignature => 4,
        }
    }
}

/// The name of who signs: one word without `+`, by custom a host and path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// The longest name, in bytes. The specification bounds none; ours are short.
const LONGEST_NAME: usize = 255;

/// The text is no key, or no name of one. What it was is not said: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The name is empty, too long, or has spaces, control characters or a plus.
    #[error("a key's name is one word without spaces or plus, of at most 255 bytes")]
    Name,
    /// It is not `name+id+key`.
    #[error("this is no key of the form name+id+key")]
    Form,
    /// It is a key of a kind that is not used here.
    #[error("this key is neither an Ed25519 key of a log nor one of a witness")]
    Kind,
    /// Its id is not that of its name and key: a piece was lost or changed.
    #[error("the key's id is not that of its name and bytes")]
    Id,
}

impl KeyName {
    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > LONGEST_NAME || text.contains(bad) {
            return Err(NoKey::Name);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The lines of a file of keys that say one: without empty ones and those that begin with `#`.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The public half of a key: what somebody verifies with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verifier {
    name: KeyName,
    what: Use,
    key: [u8; 32],
}

impl Verifier {
    /// Whose it is.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub const fn what(&self) -> Use {
        self.what
    }

    /// Whether it is the same pair of keys, whatever each is called.
    #[must_use]
    pub fn is_same_pair(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// The id that its signatures bear: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key).
    #[must_use]
    pub fn id(&self) -> u32 {
        let digest = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', self.what.byte()])
            .chain_update(self.key)
            .finalize();
        digest
            .first_chunk::<4>()
            .copied()
            .map(u32::from_be_bytes)
            .unwrap_or_default()
    }

    /// Whether this is its signature of the message.
    #[must_use]
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.name, self.id(), self.what, &self.key))
    }
}

impl FromStr for Verifier {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let Parts { name, id, what, key } = Parts::of(text)?;
        let found = Self {
            name,
            what,
            key: *key,
        };
        if found.id() == id {
            Ok(found)
        } else {
            Err(NoKey::Id)
        }
    }
}

/// A key that signs. What it is made of is never shown but by [`Signer::to_secret`].
pub struct Signer {
    verifier: Verifier,
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signer {
    /// The key of these 32 random bytes.
    ///
    /// # Errors
    /// Where the cryptographic library takes no such key.
    pub fn new(name: KeyName, what: Use, seed: Zeroizing<[u8; 32]>) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| NoKey::Form)?;
        let public = pair.public_key().as_ref();
        let key = <[u8; 32]>::try_from(public).map_err(|_| NoKey::Form)?;
        let verifier = Verifier { name, what, key };
        Ok(Self { verifier, pair, seed })
    }

    /// Reads what [`Self::to_secret`] wrote.
    ///
    /// # Errors
    /// Where it is none. The error does not repeat it.
    pub fn from_secret(text: &str) -> Result<Self, NoKey> {
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(NoKey::Form)?;
        let Parts { name, id, what, key } = Parts::of(rest)?;
        let found = Self::new(name, what, key)?;
        if found.verifier.id() == id {
            Ok(found)
        } else {
            Err(NoKey::Id)
        }
    }

    /// The whole key, to keep in a file that nobody else reads.
    #[must_use]
    pub fn to_secret(&self) -> Zeroizing<String> {
        let Verifier { name, what, .. } = &self.verifier;
        let text = Zeroizing::new(joined(name, self.verifier.id(), *what, &self.seed));
        Zeroizing::new(format!("PRIVATE+KEY+{}", *text))
    }

    /// Its public half.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

fn joined(name: &KeyName, id: u32, what: Use, key: &[u8; 32]) -> String {
    let mut bytes = Zeroizing::new(Vec::with_capacity(33));
    bytes.push(what.byte());
    bytes.extend_from_slice(key);
    format!("{name}+{id:08x}+{}", STANDARD.encode(bytes.as_slice()))
}

/// What stands in the text of a key.
struct Parts {
    name: KeyName,
    id: u32,
    what: Use,
    key: Zeroizing<[u8; 32]>,
}

impl Parts {
    fn of(text: &str) -> Result<Self, NoKey> {
        // The key itself may have a plus, in base64.
        let mut parts = text.splitn(3, '+');
        let mut next = || parts.next().ok_or(NoKey::Form);
        let name = next()?.parse()?;
        let id = next()?;
        let bytes = Zeroizing::new(STANDARD.decode(next()?).map_err(|_| NoKey::Form)?);
        let hex = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u32::from_str_radix(id, 16)
            .ok()
            .filter(|_| hex)
            .ok_or(NoKey::Form)?;
        let (what, key) = bytes.split_first().ok_or(NoKey::Form)?;
        let what = [Use::Note, Use::Cosignature]
            .into_iter()
            .find(|one| one.byte() == *what)
            .ok_or(NoKey::Kind)?;
        let key = <[u8; 32]>::try_from(key).map_err(|_| NoKey::Form)?;
        Ok(Self {
            name,
            id,
            what,
            key: Zeroizing::new(key),
        })
    }
}
