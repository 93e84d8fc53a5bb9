//! How both sides agree on keys: what is offered and chosen, the exchange hash, and the keys that follow from it. Without IO.
//!
//! Sources: RFC 4253, sections 7 and 8; RFC 8731 (curve25519-sha256); draft-ietf-sshm-mlkem-hybrid-kex; OpenSSH's PROTOCOL, 1.9
//! (strict key exchange).

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use super::cipher::{CIPHERS, Key};
use super::msg;
use super::wire::{Malformed, Reader, Writer};

/// How keys are exchanged, what we like best first: also by a method that no quantum computer breaks, which both need to agree. The
/// last two names are of the same.
const METHODS: [&str; 3] = [HYBRID, "curve25519-sha256", "curve25519-sha256@libssh.org"];
const HYBRID: &str = "mlkem768x25519-sha256";

/// A half of X25519; and of ML-KEM-768, which stands before it, the client's and the server's.
const CURVE: usize = 32;
const CLIENT: usize = 1184;
const SERVER: usize = 1088;

/// What says that nothing may be slipped in before keys are agreed.
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
const EXT_INFO_CLIENT: &str = "ext-info-c";

/// What one side offers, as it is sent.
pub(super) fn offer(is_server: bool, host_keys: &[String], cookie: &[u8; 16]) -> Vec<u8> {
    let marks: &[&str] = if is_server {
        &[STRICT_SERVER]
    } else {
        &[EXT_INFO_CLIENT, STRICT_CLIENT]
    };
    let methods = [&METHODS[..], marks].concat().join(",");
    let ciphers = CIPHERS.join(",");
    let mut written = Writer::message(msg::KEXINIT).raw(cookie);
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
    pub(super) method: &'static str,
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
    // What both like best (RFC 4253, 7).
    let right =
        methods.first() == METHODS.first() && keys.first().copied() == host_keys.first().map(String::as_str);
    Ok(Chosen {
        method,
        up: best(&CIPHERS, &up)?,
        down: best(&CIPHERS, &down)?,
        strict: methods.contains(&mark),
        ext_info: methods.contains(&EXT_INFO_CLIENT),
        wrong_guess: guesses && !right,
        host_key,
    })
}

/// What both sides know now, as it is hashed.
pub(super) type Agreed = Zeroizing<Vec<u8>>;

/// A half of the secret: what a client begins with.
pub(super) struct Half {
    curve: PrivateKey,
    kem: Option<DecapsulationKey>,
    pub(super) public: Vec<u8>,
}

fn curve() -> Result<(PrivateKey, Vec<u8>), Malformed> {
    let private = PrivateKey::generate(&X25519).map_err(|_| Malformed)?;
    let public = private.compute_public_key().map_err(|_| Malformed)?;
    Ok((private, public.as_ref().to_vec()))
}

/// A half that makes it foreseeable is refused.
fn shared(ours: &PrivateKey, theirs: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    agreement::agree(ours, theirs, Malformed, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

/// The secret of one method is a number, that of two a string.
fn agreed(kem: Option<&[u8]>, curve: &[u8]) -> Agreed {
    // What grows leaves copies behind.
    let space = Writer(Vec::with_capacity(64));
    let written = match kem {
        Some(kem) => {
            let both = Zeroizing::new(sha256(&[kem, curve]));
            space.string(both.as_slice())
        }
        None => space.mpint(curve),
    };
    Zeroizing::new(written.done())
}

impl Half {
    pub(super) fn draw(method: &str) -> Result<Self, Malformed> {
        let (curve, mut public) = curve()?;
        let mut kem = None;
        if method == HYBRID {
            let drawn = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| Malformed)?;
            let key = drawn.encapsulation_key().map_err(|_| Malformed)?;
            let before = key.key_bytes().map_err(|_| Malformed)?;
            public.splice(0..0, before.as_ref().iter().copied());
            kem = Some(drawn);
        }
        Ok(Self { curve, kem, public })
    }

    /// The secret of both, by what the server answered.
    pub(super) fn agree(&self, theirs: &[u8]) -> Result<Agreed, Malformed> {
        let Some(kem) = &self.kem else {
            return Ok(agreed(None, &shared(&self.curve, theirs)?));
        };
        let (sealed, theirs) = split(theirs, SERVER)?;
        let secret = kem.decapsulate(Ciphertext::from(sealed)).map_err(|_| Malformed)?;
        Ok(agreed(Some(secret.as_ref()), &shared(&self.curve, theirs)?))
    }
}

fn split(half: &[u8], kem: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let both = half.split_at_checked(kem).ok_or(Malformed)?;
    if both.1.len() == CURVE {
        Ok(both)
    } else {
        Err(Malformed)
    }
}

/// A server's half, and the secret of both, by what the client began with.
pub(super) fn answer(method: &str, theirs: &[u8]) -> Result<(Vec<u8>, Agreed), Malformed> {
    let (ours, mut public) = curve()?;
    if method != HYBRID {
        return Ok((public, agreed(None, &shared(&ours, theirs)?)));
    }
    let (key, theirs) = split(theirs, CLIENT)?;
    let key = EncapsulationKey::new(&ML_KEM_768, key).map_err(|_| Malformed)?;
    let (sealed, secret) = key.encapsulate().map_err(|_| Malformed)?;
    public.splice(0..0, sealed.as_ref().iter().copied());
    Ok((public, agreed(Some(secret.as_ref()), &shared(&ours, theirs)?)))
}

/// What both sides said, for the exchange hash; always the client first.
pub(super) struct Said<'a> {
    pub(super) versions: [&'a str; 2],
    pub(super) offers: [&'a [u8]; 2],
    pub(super) host_key: &'a [u8],
    pub(super) halves: [&'a [u8]; 2],
}

impl Said<'_> {
    /// All of it, with the secret: its hash names the connection.
    pub(super) fn written(&self, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        let parts = [
            self.offers[0],
            self.offers[1],
            self.host_key,
            self.halves[0],
            self.halves[1],
        ];
        let length: usize = parts.iter().map(|part| part.len() + 4).sum();
        // Once and for all: what grows leaves copies behind.
        let space = Vec::with_capacity(length + secret.len() + 1024);
        let said = Writer(space)
            .string(self.versions[0])
            .string(self.versions[1])
            .string(self.offers[0])
            .string(self.offers[1])
            .string(self.host_key)
            .string(self.halves[0])
            .string(self.halves[1])
            .raw(secret)
            .done();
        Zeroizing::new(said)
    }
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
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
        let (client, server) = (offer(false, &names(), &[0; 16]), offer(true, &names(), &[1; 16]));
        let (by_server, by_client) = (
            choose(&client, true, &names()).unwrap(),
            choose(&server, false, &names()).unwrap(),
        );
        assert!(by_server.strict && by_client.strict && by_server.ext_info);
        assert_eq!((by_server.up, by_server.down), (by_client.up, by_client.down));
        assert_eq!((by_server.method, by_client.method), (HYBRID, HYBRID));
    }

    #[test]
    fn both_sides_know_the_same_by_every_method_and_nothing_else_is_a_half() {
        for method in METHODS {
            let begun = Half::draw(method).unwrap();
            let (answered, secret) = answer(method, &begun.public).unwrap();
            assert_eq!(begun.agree(&answered).unwrap(), secret);
            for length in [0, 31, 33, begun.public.len() - 1, begun.public.len() + 1] {
                assert!(answer(method, &vec![1; length]).is_err(), "{method} {length}");
            }
            for length in [0, 31, 33, answered.len() - 1, answered.len() + 1] {
                assert!(begun.agree(&vec![1; length]).is_err(), "{method} {length}");
            }
            // A point that makes the secret foreseeable.
            let low = |half: &[u8]| {
                let mut half = half.to_vec();
                let at = half.len() - CURVE;
                half[at..].fill(0);
                half
            };
            assert!(answer(method, &low(&begun.public)).is_err());
            assert!(begun.agree(&low(&answered)).is_err());
            // What is changed on the way leads to another secret.
            let mut changed = answered.clone();
            changed[0] ^= 1;
            assert!(begun.agree(&changed).ok() != Some(secret));
        }
        // Coefficients beyond the modulus (FIPS 203, 7.2).
        let mut beyond = Half::draw(HYBRID).unwrap().public;
        beyond[..CLIENT - 32].fill(0xff);
        assert!(answer(HYBRID, &beyond).is_err());
    }

    #[test]
    fn a_guess_is_right_where_both_like_the_same_best() {
        let guessing = |methods: &str, keys: &str| {
            let mut said = Writer::message(msg::KEXINIT)
                .raw(&[0; 16])
                .string(methods)
                .string(keys);
            for list in [CIPHERS[0], CIPHERS[0], "", "", "none", "none", "", ""] {
                said = said.string(list);
            }
            choose(&said.bool(true).u32(0).done(), true, &names()).map(|chosen| chosen.wrong_guess)
        };
        assert_eq!(guessing(HYBRID, "ssh-ed25519"), Ok(false));
        assert_eq!(guessing("curve25519-sha256", "ssh-ed25519"), Ok(true));
        assert_eq!(guessing("mlkem768x25519-sha256", "ssh-rsa,ssh-ed25519"), Ok(true));
    }

    #[test]
    fn what_has_nothing_in_common_is_refused() {
        let client = offer(false, &["rsa-sha2-512".to_owned()], &[0; 16]);
        assert_eq!(choose(&client, true, &names()), Err(Malformed));
        assert_eq!(choose(&client[..40], true, &names()), Err(Malformed));
    }
}
