//! How both sides agree on keys: what is offered and chosen, the exchange hash, and the keys that follow from it. Without IO.
//!
//! Sources: RFC 4253, sections 7 and 8; RFC 8731 (curve25519-sha256); OpenSSH's PROTOCOL, 1.9 (strict key exchange).

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::cipher::{self, CIPHERS, Key};
use super::msg;
use super::wire::{Malformed, Reader, Writer};

/// How keys are exchanged. Both names are of the same.
const METHODS: [&str; 2] = ["curve25519-sha256", "curve25519-sha256@libssh.org"];

/// What says that nothing may be slipped in before keys are agreed.
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
const EXT_INFO_CLIENT: &str = "ext-info-c";

/// What one side offers, as it is sent.
pub(super) fn offer(is_server: bool, host_keys: &[String]) -> Vec<u8> {
    let marks: &[&str] = if is_server {
        &[STRICT_SERVER]
    } else {
        &[EXT_INFO_CLIENT, STRICT_CLIENT]
    };
    let methods = [&METHODS[..], marks].concat().join(",");
    let ciphers = CIPHERS.join(",");
    let mut written = Writer::message(msg::KEXINIT).raw(&cipher::cookie());
    // The codes are a part of the ciphers, and nothing is compressed.
    for list in [&methods, &host_keys.join(","), &ciphers, &ciphers] {
        written = written.string(list);
    }
    // A client that has no cipher with its own code looks for a name here all the same.
    for list in ["hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""] {
        written = written.string(list);
    }
    written.bool(false).u32(0).done()
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) host_key: String,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    /// The other side wants it strict.
    pub(super) strict: bool,
    /// The client takes `EXT_INFO`.
    pub(super) ext_info: bool,
    /// The next packet is a guess, and a wrong one.
    pub(super) wrong_guess: bool,
}

/// Reads an offer and chooses, as both sides do alike.
pub(super) fn choose(theirs: &[u8], is_server: bool, host_keys: &[String]) -> Result<Chosen, Malformed> {
    let mut fields = Reader(theirs);
    fields.u8()?;
    let (_, rest) = fields.0.split_at_checked(16).ok_or(Malformed)?;
    fields.0 = rest;
    let mut list = || fields.text().map(|names| names.split(',').collect::<Vec<_>>());
    let (methods, keys, up, down) = (list()?, list()?, list()?, list()?);
    for _ in 0..2 {
        list()?;
    }
    let compression = [list()?, list()?];
    list()?;
    list()?;
    let guesses = fields.bool()?;
    if compression.iter().any(|names| !names.contains(&"none")) {
        return Err(Malformed);
    }
    // What the client likes best of what the server has.
    let best = |ours: &[&'static str], theirs: &[&str]| -> Result<&'static str, Malformed> {
        let found = if is_server {
            theirs
                .iter()
                .find_map(|name| ours.iter().find(|one| *one == name))
        } else {
            ours.iter().find(|name| theirs.contains(name))
        };
        found.copied().ok_or(Malformed)
    };
    let host_key = if is_server {
        keys.iter()
            .find_map(|name| host_keys.iter().find(|one| one == name))
    } else {
        host_keys.iter().find(|name| keys.contains(&name.as_str()))
    };
    let method = best(&METHODS, &methods)?;
    let host_key = host_key.cloned().ok_or(Malformed)?;
    let mark = if is_server { STRICT_CLIENT } else { STRICT_SERVER };
    let right = methods.first() == Some(&method) && keys.first() == Some(&host_key.as_str());
    Ok(Chosen {
        up: best(&CIPHERS, &up)?,
        down: best(&CIPHERS, &down)?,
        strict: methods.contains(&mark),
        ext_info: methods.contains(&EXT_INFO_CLIENT),
        // Where it is ours too that both like best, it is right; we do not look, and let it be sent again.
        wrong_guess: guesses && !(right && METHODS.first() == Some(&method)),
        host_key,
    })
}

/// Our half of the secret.
pub(super) struct Half {
    private: PrivateKey,
    pub(super) public: Vec<u8>,
}

impl Half {
    pub(super) fn draw() -> Result<Self, Malformed> {
        let private = PrivateKey::generate(&X25519).map_err(|_| Malformed)?;
        let public = private
            .compute_public_key()
            .map_err(|_| Malformed)?
            .as_ref()
            .to_vec();
        Ok(Self { private, public })
    }

    /// The secret of both, as it is hashed. A half that makes it foreseeable is refused.
    pub(super) fn agree(&self, theirs: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        agreement::agree(&self.private, theirs, Malformed, |secret| {
            Ok(Zeroizing::new(Writer::default().mpint(secret).done()))
        })
    }
}

/// What both sides said, for the exchange hash; always the client first.
pub(super) struct Said<'a> {
    pub(super) versions: [&'a str; 2],
    pub(super) offers: [&'a [u8]; 2],
    pub(super) host_key: &'a [u8],
    pub(super) halves: [&'a [u8]; 2],
}

impl Said<'_> {
    pub(super) fn hash(&self, secret: &[u8]) -> [u8; 32] {
        let said = Writer::default()
            .string(self.versions[0])
            .string(self.versions[1])
            .string(self.offers[0])
            .string(self.offers[1])
            .string(self.host_key)
            .string(self.halves[0])
            .string(self.halves[1])
            .raw(secret)
            .done();
        sha256(&[&said])
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    let hash = context.finish();
    out.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    out
}

/// The keys of both directions: up (from the client) and down.
pub(super) fn keys(
    chosen: &Chosen,
    secret: &[u8],
    hash: &[u8; 32],
    session: &[u8; 32],
) -> Result<(Key, Key), Malformed> {
    // As long as the longest that is needed, which is as long as the hash.
    let derive = |letter: &[u8]| Zeroizing::new(sha256(&[secret, hash, letter, session]));
    let up = Key::new(chosen.up, &*derive(b"C"), &*derive(b"A"))?;
    let down = Key::new(chosen.down, &*derive(b"D"), &*derive(b"B"))?;
    Ok((up, down))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["ssh-ed25519".to_owned()]
    }

    #[test]
    fn both_sides_choose_the_same() {
        let (client, server) = (offer(false, &names()), offer(true, &names()));
        let (by_server, by_client) = (
            choose(&client, true, &names()).unwrap(),
            choose(&server, false, &names()).unwrap(),
        );
        assert!(by_server.strict && by_client.strict && by_server.ext_info);
        assert_eq!((by_server.up, by_server.down), (by_client.up, by_client.down));
        let (one, other) = (Half::draw().unwrap(), Half::draw().unwrap());
        let secret = one.agree(&other.public).unwrap();
        assert_eq!(secret, other.agree(&one.public).unwrap());
        assert!(one.agree(&[0; 32]).is_err() && one.agree(&[1; 31]).is_err());
    }

    #[test]
    fn what_has_nothing_in_common_is_refused() {
        let client = offer(false, &["rsa-sha2-512".to_owned()]);
        assert_eq!(choose(&client, true, &names()), Err(Malformed));
        assert_eq!(choose(&client[..40], true, &names()), Err(Malformed));
    }
}
