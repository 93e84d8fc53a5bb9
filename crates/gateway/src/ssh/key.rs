//! Public keys and certificates as SSH writes them, and whether a signature is of one. Without IO.
//!
//! Whose a client's key is, and whether a client's certificate is good, is decided by whoever decides; here is only checked that the client has the
//! private key. Of a *target* it is decided here: its key is one that is pinned, or certified by one of the authorities. Sources: RFC
//! 4253, 6.6; RFC 5656; RFC 8332; RFC 8709; OpenSSH's PROTOCOL.certkeys and PROTOCOL.u2f.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::time::Timestamp;
use zeroize::Zeroizing;

use super::wire::{Malformed, Reader, Writer};
use crate::edge;

const ED: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
const CERTIFIED: &str = "-cert-v01@openssh.com";

/// What a client's signature may be made with. SHA-1 is not among them. The last two are of keys on hardware.
pub const SIGNATURES: [&str; 8] = [
    ED,
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    HARDWARE_ED,
    HARDWARE_ECDSA,
];
const HARDWARE_ED: &str = "sk-ssh-ed25519@openssh.com";
const HARDWARE_ECDSA: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// What a host may show itself by.
fn of_hosts() -> impl Iterator<Item = &'static str> {
    SIGNATURES.into_iter().filter(|name| !name.starts_with("sk-"))
}

/// The kind of key that a signature of this algorithm is made with.
fn kind_of(algorithm: &str) -> &str {
    match algorithm {
        "rsa-sha2-512" | "rsa-sha2-256" => RSA,
        other => other,
    }
}

/// What a certificate of this name has a key and signature of; nothing where it is no certificate's.
fn of_certificate(name: &str) -> Option<Cow<'_, str>> {
    let plain = name.strip_suffix(CERTIFIED)?;
    Some(if plain.starts_with("sk-") {
        format!("{plain}@openssh.com").into()
    } else {
        plain.into()
    })
}

/// What a key on hardware says with its signature.
const TOUCHED: u8 = 1;
const VERIFIED: u8 = 4;

/// A key that one can hold: an Ed25519 one. Of the gateway itself, or drawn for one session.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// Of its 32 bytes.
    ///
    /// # Errors
    /// They are no key.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Malformed> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Malformed)?;
        Ok(Self { pair })
    }

    /// A new one.
    pub(super) fn draw() -> Result<Self, Malformed> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *seed).map_err(|_| Malformed)?;
        Self::from_seed(&seed)
    }

    /// Its public key in SSH's encoding.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        Writer::default().string(ED).string(self.pair.public_key()).done()
    }

    /// The digest of its public key: what a gateway says that it shows to clients.
    #[must_use]
    pub fn end_point(&self) -> Vec<u8> {
        digest(&SHA256, &self.public()).as_ref().to_vec()
    }

    /// Its public key as a line of OpenSSH's.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{ED} {}", STANDARD.encode(self.public()))
    }

    /// A signature in SSH's encoding.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        Writer::default()
            .string(ED)
            .string(self.pair.sign(message))
            .done()
    }
}

/// The bytes of a key or certificate that is a line of OpenSSH's: `ssh-ed25519 AAAA… comment`.
///
/// # Errors
/// It is none.
pub fn from_line(line: &str) -> Result<Vec<u8>, Malformed> {
    let mut words = line.split_ascii_whitespace();
    let (Some(named), Some(encoded)) = (words.next(), words.next()) else {
        return Err(Malformed);
    };
    let blob = STANDARD.decode(encoded).map_err(|_| Malformed)?;
    (Reader(&blob).string()? == named.as_bytes())
        .then_some(blob)
        .ok_or(Malformed)
}

/// A public key, as far as it is looked at.
struct Public<'a> {
    kind: &'a str,
    fields: Reader<'a>,
}

impl<'a> Public<'a> {
    fn read(blob: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Reader(blob);
        Ok(Self {
            kind: fields.text()?,
            fields,
        })
    }

    /// Checks a signature; the fields after the key are returned, and what the hardware says that has the key.
    fn verify(
        self,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(Reader<'a>, u8), Malformed> {
        let mut signed = Reader(signature);
        let (by, bytes) = (signed.text()?, signed.string()?);
        // What was announced is what was done: nobody is talked down to something weaker.
        if by != algorithm || !SIGNATURES.contains(&algorithm) || kind_of(algorithm) != self.kind {
            return Err(Malformed);
        }
        let mut fields = self.fields;
        if self.kind.starts_with("sk-") {
            return hardware(self.kind, fields, message, (bytes, signed));
        }
        signed.end()?;
        match algorithm {
            ED => check(&ED25519, fields.string()?, message, bytes)?,
            "rsa-sha2-256" | "rsa-sha2-512" => {
                let (e, n) = (fields.mpint()?, fields.mpint()?);
                let how = if algorithm == "rsa-sha2-256" {
                    &RSA_PKCS1_2048_8192_SHA256
                } else {
                    &RSA_PKCS1_2048_8192_SHA512
                };
                let key = RsaPublicKeyComponents { n, e };
                key.verify(how, message, bytes).map_err(|_| Malformed)?;
            }
            _ => {
                let (how, half): (&dyn VerificationAlgorithm, usize) = match algorithm {
                    "ecdsa-sha2-nistp256" => (&ECDSA_P256_SHA256_FIXED, 32),
                    "ecdsa-sha2-nistp384" => (&ECDSA_P384_SHA384_FIXED, 48),
                    _ => (&ECDSA_P521_SHA512_FIXED, 66),
                };
                let (curve, point) = (fields.text()?, fields.string()?);
                if Some(curve) != self.kind.strip_prefix("ecdsa-sha2-") {
                    return Err(Malformed);
                }
                check(how, point, message, &fixed(bytes, half)?)?;
            }
        }
        Ok((fields, TOUCHED | VERIFIED))
    }
}

/// Checks a signature that a key on hardware made: of who asked, of what the hardware says, and of the message.
fn hardware<'a>(
    kind: &str,
    mut fields: Reader<'a>,
    message: &[u8],
    (bytes, mut signed): (&[u8], Reader<'_>),
) -> Result<(Reader<'a>, u8), Malformed> {
    let said = signed.0;
    let flags = signed.u8()?;
    signed.u32()?;
    signed.end()?;
    let curve = if kind == HARDWARE_ECDSA {
        fields.text()?
    } else {
        ""
    };
    let (key, application) = (fields.string()?, fields.string()?);
    // What it signs for others, a web site's login, is no proof here.
    if !application.starts_with(b"ssh:") {
        return Err(Malformed);
    }
    let mut message_said = digest(&SHA256, application).as_ref().to_vec();
    message_said.extend_from_slice(said);
    message_said.extend_from_slice(digest(&SHA256, message).as_ref());
    match (kind, curve) {
        (HARDWARE_ED, _) => check(&ED25519, key, &message_said, bytes)?,
        (HARDWARE_ECDSA, "nistp256") => {
            check(&ECDSA_P256_SHA256_FIXED, key, &message_said, &fixed(bytes, 32)?)?;
        }
        _ => return Err(Malformed),
    }
    Ok((fields, flags))
}

fn check(
    how: &dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Malformed> {
    how.verify_sig(key, message, signature).map_err(|_| Malformed)
}

/// Both numbers of an ECDSA signature, each with all of its bytes.
fn fixed(signature: &[u8], half: usize) -> Result<Vec<u8>, Malformed> {
    let mut numbers = Reader(signature);
    let mut both = Vec::with_capacity(2 * half);
    for number in [numbers.mpint()?, numbers.mpint()?] {
        let zeros = half.checked_sub(number.len()).ok_or(Malformed)?;
        both.extend(std::iter::repeat_n(0, zeros));
        both.extend_from_slice(number);
    }
    numbers.end()?;
    Ok(both)
}

/// Whether the holder of this key or certificate made the signature, by the algorithm that was announced (for a certificate, its
/// own name). Somebody must have touched the hardware that has the key, unless the certificate says that nobody need; and they must have
/// proved to it who they are where the certificate asks for that.
///
/// # Errors
/// They did not, or it cannot be read.
pub fn verify(announced: &str, blob: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Malformed> {
    let (flags, wanted) = match of_certificate(announced) {
        None => {
            let (rest, flags) = Public::read(blob)?.verify(announced, message, signature)?;
            rest.end()?;
            (flags, TOUCHED)
        }
        Some(algorithm) => {
            let holder = Certificate::holder(blob, &algorithm)?;
            let (fields, flags) = holder.verify(&algorithm, message, signature)?;
            (flags, Certificate::wanted(fields)?)
        }
    };
    if flags & wanted == wanted {
        Ok(())
    } else {
        Err(Malformed)
    }
}

/// Whether such a key or certificate may be offered at all.
#[must_use]
pub fn is_known(announced: &str) -> bool {
    let plain = of_certificate(announced);
    SIGNATURES.contains(&plain.as_deref().unwrap_or(announced))
}

/// Who certified a key, for what.
struct Certificate;

impl Certificate {
    /// The key in a certificate: behind the nonce are the fields of the key.
    fn holder<'a>(blob: &'a [u8], algorithm: &'a str) -> Result<Public<'a>, Malformed> {
        let kind = kind_of(algorithm);
        let mut fields = Reader(blob);
        if of_certificate(fields.text()?).as_deref() != Some(kind) {
            return Err(Malformed);
        }
        fields.string()?;
        Ok(Public { kind, fields })
    }

    /// What hardware must say that has the key. `fields` are behind the holder's key.
    fn wanted(mut fields: Reader<'_>) -> Result<u8, Malformed> {
        fields.u64()?;
        fields.u32()?;
        fields.string()?;
        fields.string()?;
        fields.u64()?;
        fields.u64()?;
        let has = |options: &[u8], wanted: &str| -> Result<bool, Malformed> {
            let mut options = Reader(options);
            let mut found = false;
            while !options.0.is_empty() {
                found |= options.string()? == wanted.as_bytes();
                options.string()?;
            }
            Ok(found)
        };
        let (critical, extensions) = (fields.string()?, fields.string()?);
        let touched = if has(extensions, "no-touch-required")? {
            0
        } else {
            TOUCHED
        };
        let verified = if has(critical, "verify-required")? {
            VERIFIED
        } else {
            0
        };
        Ok(touched | verified)
    }

    /// Whether it is a host's, for this name, now, and by one of these authorities. `fields` are behind the holder's key.
    fn is_good(
        blob: &[u8],
        fields: Reader<'_>,
        name: &str,
        authorities: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<(), Malformed> {
        let mut fields = fields;
        fields.u64()?;
        let kind = fields.u32()?;
        fields.string()?;
        let mut names = Reader(fields.string()?);
        let (after, before) = (fields.u64()?, fields.u64()?);
        let critical = fields.string()?;
        fields.string()?;
        fields.string()?;
        let authority = fields.string()?;
        let signed = blob.len() - fields.0.len();
        let signature = fields.string()?;
        fields.end()?;
        let seconds = u64::try_from(now.micros() / 1_000_000).map_err(|_| Malformed)?;
        let mut named = false;
        while !names.0.is_empty() {
            named |= names.text()?.eq_ignore_ascii_case(name);
        }
        // There is no critical option for hosts: one that is there says something that we do not understand.
        if kind != 2 || !named || !critical.is_empty() || !(after..before).contains(&seconds) {
            return Err(Malformed);
        }
        if !authorities.iter().any(|known| known == authority) {
            return Err(Malformed);
        }
        let by = Reader(signature).text()?;
        let message = blob.get(..signed).ok_or(Malformed)?;
        let (rest, flags) = Public::read(authority)?.verify(by, message, signature)?;
        rest.end()?;
        if flags & TOUCHED == TOUCHED {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// What a target must show to be it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its name, as a certificate names it.
    pub name: String,
    /// Its keys.
    pub keys: Vec<Vec<u8>>,
    /// Who certifies keys of hosts.
    pub authorities: Vec<Vec<u8>>,
}

impl Known {
    /// The algorithms that it may show itself by, the best first.
    #[must_use]
    pub fn algorithms(&self) -> Vec<String> {
        let kinds: Vec<&str> = self
            .keys
            .iter()
            .filter_map(|key| Reader(key).text().ok())
            .collect();
        let pinned = of_hosts().filter(|name| kinds.contains(&kind_of(name)));
        let certified = of_hosts().filter(|_| !self.authorities.is_empty());
        certified
            .map(|name| format!("{name}{CERTIFIED}"))
            .chain(pinned.map(str::to_owned))
            .collect()
    }

    /// Whether who signed is it.
    pub(super) fn check(
        &self,
        algorithm: &str,
        blob: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Malformed> {
        let Some(signed_by) = of_certificate(algorithm) else {
            let is_pinned = self.keys.iter().any(|key| key == blob);
            return is_pinned
                .then(|| verify(algorithm, blob, message, signature))
                .ok_or(Malformed)?;
        };
        let (fields, _) = Certificate::holder(blob, &signed_by)?.verify(&signed_by, message, signature)?;
        Certificate::is_good(blob, fields, &self.name, &self.authorities, edge::now())
    }
}
