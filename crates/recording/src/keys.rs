//! The keys: whom recordings are sealed for, who opens them, and what only the server knows.

use std::fmt;

use age::x25519;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;

/// The beginning of a private key in age's text form.
const PRIVATE: &str = "AGE-SECRET-KEY-";

/// What is wrong with a key. It never repeats what was written: that may be the private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Nobody could ever open what is sealed.
    #[error(
        "no recipient for recordings is named: `age-keygen` makes a pair, and the line `age1…` of it belongs here"
    )]
    NoRecipient,
    /// Somebody pasted the wrong line.
    #[error(
        "recipient {0} of recordings is a private key: only the public one, `age1…`, belongs here. \
         Regard the private one as known, and make a new pair"
    )]
    Private(usize),
    /// Not in age's form.
    #[error("recipient {0} of recordings is no key of age: it is a line like `age1…`, of X25519")]
    Recipient(usize),
    /// The text has no private key.
    #[error("there is no private key of age: it is a line like `AGE-SECRET-KEY-1…`")]
    NoIdentity,
    /// Not in age's form.
    #[error("line {0} is no private key of age: it is a line like `AGE-SECRET-KEY-1…`")]
    Identity(usize),
}

/// A new pair: the public key, and the private one as age writes it.
#[must_use]
pub fn new_pair() -> (String, SecretString) {
    let pair = x25519::Identity::generate();
    (pair.to_public().to_string(), pair.to_string())
}

/// Whom a recording is sealed for: any one of them opens it. New ones are for new recordings; what is sealed stays as it is.
#[derive(Clone)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// From texts like `age1…`.
    ///
    /// # Errors
    /// Where there is none, or one is not a public key; it is told by its place, counted from 1.
    pub fn read<T: AsRef<str>>(texts: &[T]) -> Result<Self, BadKey> {
        let mut all = Vec::with_capacity(texts.len());
        for (at, text) in (1..).zip(texts) {
            let text = text.as_ref().trim();
            let private = text
                .get(..PRIVATE.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(PRIVATE));
            if private {
                return Err(BadKey::Private(at));
            }
            all.push(text.parse().map_err(|_| BadKey::Recipient(at))?);
        }
        if all.is_empty() {
            return Err(BadKey::NoRecipient);
        }
        Ok(Self(all))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(|recipient| recipient as &dyn age::Recipient)
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(ToString::to_string))
            .finish()
    }
}

/// The private keys that open recordings. They are wanted where somebody replays, and nowhere else.
pub struct Identities(Vec<x25519::Identity>);

impl Identities {
    /// From a file of age: a key in each line; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// Where there is none, or a line is not a private key; it is told by its number.
    pub fn read(file: &SecretString) -> Result<Self, BadKey> {
        let mut all = Vec::new();
        for (at, line) in (1..).zip(file.expose_secret().lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            all.push(line.parse().map_err(|_| BadKey::Identity(at))?);
        }
        if all.is_empty() {
            return Err(BadKey::NoIdentity);
        }
        Ok(Self(all))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|identity| identity as &dyn age::Identity)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({} of them)", self.0.len())
    }
}

/// 32 bytes that only the servers know. They open nothing: with them the server recognises, after a crash, a chunk that it stored
/// itself (anybody can seal for a public key), and salts what it hashes.
pub struct ServerKey(SecretBox<[u8; 32]>);

impl ServerKey {
    /// These bytes, drawn at random once and kept.
    #[must_use]
    pub fn new(bytes: SecretBox<[u8; 32]>) -> Self {
        Self(bytes)
    }

    fn hmac(&self, purpose: &str, words: &[String]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        mac.update(purpose.as_bytes());
        for word in words {
            mac.update(b" ");
            mac.update(word.as_bytes());
        }
        Some(mac)
    }

    /// HMAC-SHA-256 of the purpose and the words, joined by spaces, as hexadecimal digits.
    pub(crate) fn mark(&self, purpose: &str, words: &[String]) -> Option<String> {
        Some(hex::encode(self.hmac(purpose, words)?.finalize().into_bytes()))
    }

    /// Whether this is what [`Self::mark`] said; in constant time.
    pub(crate) fn knows(&self, purpose: &str, words: &[String], mark: &str) -> bool {
        let Ok(mark) = hex::decode(mark) else {
            return false;
        };
        self.hmac(purpose, words)
            .is_some_and(|mac| mac.verify_slice(&mark).is_ok())
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_never_repeated() {
        let pair = x25519::Identity::generate();
        let text = pair.to_string();
        let private = text.expose_secret();
        let told = |error: BadKey| format!("{error} {error:?}");
        let wrong = [pair.to_public().to_string(), private.to_owned()];
        assert_eq!(Recipients::read(&wrong).unwrap_err(), BadKey::Private(2));
        assert_eq!(
            Recipients::read(&[private.to_lowercase()]).unwrap_err(),
            BadKey::Private(1)
        );
        let broken = format!("# made by age-keygen\n{private}Q\n");
        let error = Identities::read(&broken.into()).unwrap_err();
        assert_eq!(error, BadKey::Identity(2));
        assert!(!told(error).contains(&private[20..40]));
        let good = Identities::read(&format!("# a comment\n\n{private}\n").into()).unwrap();
        assert_eq!(format!("{good:?}"), "Identities(1 of them)");
        let key = ServerKey::new(SecretBox::new(Box::new([7; 32])));
        assert_eq!(format!("{key:?}"), "ServerKey(…)");
    }

    #[test]
    fn somebody_must_be_able_to_open_it() {
        assert_eq!(Recipients::read::<&str>(&[]).unwrap_err(), BadKey::NoRecipient);
        assert_eq!(
            Recipients::read(&["age1nonsense"]).unwrap_err(),
            BadKey::Recipient(1)
        );
        assert_eq!(
            Identities::read(&SecretString::from("# nothing\n")).unwrap_err(),
            BadKey::NoIdentity
        );
    }
}
