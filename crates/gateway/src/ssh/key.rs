//! Public keys and certificates as SSH writes them, and whether a signature is of one. Without IO.
//!
//! Whose a client's key is, and whether a client's certificate is good, is decided by whoever decides; here is only checked that the client has the
//! private key. Of a *target* it is decided here: its key is one that is pinned, or certified by one of the authorities. Sources: RFC
//! 4253, 6.6; RFC 5656; RFC 8332; RFC 8709; OpenSSH's PROTOCOL.certkeys.

use std::fmt;

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

/// What a signature may be made with. SHA-1 is not among them.
pub const SIGNATURES: [&str; 6] = [
    ED,
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// The kind of key that a signature of this algorithm is made with.
fn kind_of(algorithm: &str) -> &str {
    match algorithm {
        "rsa-sha2-512" | "rsa-sha2-256" => RSA,
        other => other,
    }
}

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
        Self::from_seed(&*Zeroizing::new(edge::random::<32>()))
    }

    /// Its public key in SSH's encoding.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        Writer::default().string(ED).string(self.pair.public_key()).done()
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

    /// Checks a signature; the fields after the key are returned.
    fn verify(self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<Reader<'a>, Malformed> {
        let mut signed = Reader(signature);
        let (by, bytes) = (signed.text()?, signed.string()?);
        signed.end()?;
        // What was announced is what was done: nobody is talked down to something weaker.
        if by != algorithm || !SIGNATURES.contains(&algorithm) || kind_of(algorithm) != self.kind {
            return Err(Malformed);
        }
        let mut fields = self.fields;
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
        Ok(fields)
    }
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
/// own name).
///
/// # Errors
/// They did not, or it cannot be read.
pub fn verify(announced: &str, blob: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Malformed> {
    match announced.strip_suffix(CERTIFIED) {
        None => Public::read(blob)?.verify(announced, message, signature)?.end(),
        Some(algorithm) => Certificate::holder(blob, algorithm)?
            .verify(algorithm, message, signature)
            .map(drop),
    }
}

/// Whether such a key or certificate may be offered at all.
#[must_use]
pub fn is_known(announced: &str) -> bool {
    SIGNATURES.contains(&announced.strip_suffix(CERTIFIED).unwrap_or(announced))
}

/// A host's certificate.
struct Certificate;

impl Certificate {
    /// The key in a certificate: behind the nonce are the fields of the key.
    fn holder<'a>(blob: &'a [u8], algorithm: &'a str) -> Result<Public<'a>, Malformed> {
        let kind = kind_of(algorithm);
        let mut fields = Reader(blob);
        if fields.text()?.strip_suffix(CERTIFIED) != Some(kind) {
            return Err(Malformed);
        }
        fields.string()?;
        Ok(Public { kind, fields })
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
        Public::read(authority)?.verify(by, message, signature)?.end()
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
        let pinned = SIGNATURES.iter().filter(|name| kinds.contains(&kind_of(name)));
        let certified = SIGNATURES.iter().filter(|_| !self.authorities.is_empty());
        certified
            .map(|name| format!("{name}{CERTIFIED}"))
            .chain(pinned.map(|name| (*name).to_owned()))
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
        let Some(signed_by) = algorithm.strip_suffix(CERTIFIED) else {
            let is_pinned = self.keys.iter().any(|key| key == blob);
            return is_pinned
                .then(|| verify(algorithm, blob, message, signature))
                .ok_or(Malformed)?;
        };
        let fields = Certificate::holder(blob, signed_by)?.verify(signed_by, message, signature)?;
        Certificate::is_good(blob, fields, &self.name, &self.authorities, edge::now())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn keygen(dir: &tempfile::TempDir, args: &[&str]) {
        let done = Command::new("ssh-keygen")
            .args(args)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn a_signature_is_of_its_key_its_message_and_its_algorithm_only() {
        let (ours, other) = (PrivateKey::draw().unwrap(), PrivateKey::draw().unwrap());
        let signature = ours.sign(b"message");
        assert_eq!(verify(ED, &ours.public(), b"message", &signature), Ok(()));
        assert_eq!(
            verify(ED, &other.public(), b"message", &signature),
            Err(Malformed)
        );
        assert_eq!(verify(ED, &ours.public(), b"massage", &signature), Err(Malformed));
        assert_eq!(
            verify("rsa-sha2-256", &ours.public(), b"message", &signature),
            Err(Malformed)
        );
        let line = format!("{} a comment", ours.line());
        assert_eq!(from_line(&line), Ok(ours.public()));
    }

    #[test]
    fn a_host_is_known_by_its_certificate_for_its_name_alone() {
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir, &["-q", "-t", "ecdsa", "-N", "", "-f", "ca"]);
        keygen(&dir, &["-q", "-t", "ed25519", "-N", "", "-f", "host"]);
        keygen(
            &dir,
            &[
                "-q", "-s", "ca", "-h", "-I", "h", "-n", "web-1", "-V", "+1h", "host.pub",
            ],
        );
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let (ca, blob) = (
            from_line(&read("ca.pub")).unwrap(),
            from_line(&read("host-cert.pub")).unwrap(),
        );
        let algorithm = "ssh-ed25519-cert-v01@openssh.com";
        let mut fields = Certificate::holder(&blob, ED).unwrap().fields;
        fields.string().unwrap();
        let good = |name: &str, authorities: &[Vec<u8>], now| {
            Certificate::is_good(&blob, fields, name, authorities, now)
        };
        let now = edge::now();
        assert_eq!(good("WEB-1", &[ca.clone()], now), Ok(()));
        assert_eq!(good("web-2", &[ca.clone()], now), Err(Malformed));
        assert_eq!(
            good("web-1", &[PrivateKey::draw().unwrap().public()], now),
            Err(Malformed)
        );
        assert_eq!(good("web-1", &[ca.clone()], Timestamp::EPOCH), Err(Malformed));
        let known = Known {
            name: "web-1".to_owned(),
            keys: Vec::new(),
            authorities: vec![ca],
        };
        let nobody = PrivateKey::draw().unwrap();
        assert_eq!(
            known.check(algorithm, &blob, b"m", &nobody.sign(b"m")),
            Err(Malformed)
        );
        assert_eq!(
            known.check(ED, &nobody.public(), b"m", &nobody.sign(b"m")),
            Err(Malformed)
        );
    }
}
