//! A user's public key, as a client hands it in: one line of OpenSSH's, read strictly. Pure.
//!
//! Sources: RFC 4253, section 6.6; RFC 5656, section 3.1; RFC 8709, section 4.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::wire::{Reader, Writer};

/// The longest line that is looked at, in bytes: more than an RSA key of 8192 bits takes.
const MAX_LINE: usize = 4096;
/// What an RSA modulus has, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 3072..=8192;
/// The same of a host's own key: many hosts have had theirs for years.
const HOST_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key that a certificate may be made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    /// Its algorithm, as SSH names it.
    pub(super) algorithm: &'static str,
    /// The fields that follow the algorithm in its encoding: a certificate holds them as they are.
    pub(super) fields: Vec<u8>,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub(super) fingerprint: String,
}

/// A key on hardware, which is no key to certify, and may be somebody's own. Source: OpenSSH's PROTOCOL.u2f.
const HARDWARE: [&str; 2] = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"];

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
/// Algorithm, curve, and the length of an uncompressed point in bytes.
const CURVES: [(&str, &str, usize); 3] = [
    ("ecdsa-sha2-nistp256", "nistp256", 65),
    ("ecdsa-sha2-nistp384", "nistp384", 97),
    ("ecdsa-sha2-nistp521", "nistp521", 133),
];

impl PublicKey {
    /// Reads one line: the algorithm, the key in base64, and perhaps a comment, which is forgotten. Options before the key,
    /// certificates, and keys on hardware (`sk-`) are not taken.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        Self::of(line, &RSA_BITS, &[])
    }

    /// The key of a host.
    pub(super) fn of_host(line: &str) -> Result<Self, String> {
        Self::of(line, &HOST_BITS, &[])
    }

    /// A key that somebody logs in with by themselves: it may be on hardware.
    pub(super) fn of_person(line: &str) -> Result<Self, String> {
        Self::of(line, &RSA_BITS, &HARDWARE)
    }

    /// The same key as a line without a comment.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.algorithm, STANDARD.encode(self.blob()))
    }

    /// The key in SSH's encoding.
    pub(super) fn blob(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.string(self.algorithm);
        out.0.extend_from_slice(&self.fields);
        out.0
    }

    fn of(
        line: &str,
        rsa_bits: &std::ops::RangeInclusive<usize>,
        more: &[&'static str],
    ) -> Result<Self, String> {
        if line.len() > MAX_LINE {
            return Err(format!("a public key has at most {MAX_LINE} bytes"));
        }
        let line = line.strip_suffix('\n').unwrap_or(line).trim_matches(' ');
        if line.chars().any(char::is_control) {
            return Err(String::from(
                "a public key is one line, without control characters",
            ));
        }
        let mut words = line.split(' ');
        let (Some(named), Some(encoded)) = (words.next(), words.next()) else {
            return Err(String::from(
                "this is no public key: it must be what is in a file such as id_ed25519.pub",
            ));
        };
        let algorithm = [ED25519, RSA]
            .into_iter()
            .chain(CURVES.map(|curve| curve.0))
            .chain(more.iter().copied())
            .find(|known| *known == named)
            .ok_or_else(|| {
                String::from(
                    "the key must be ssh-ed25519, ecdsa-sha2-nistp256/384/521 or ssh-rsa, and begin its line",
                )
            })?;
        let blob = STANDARD
            .decode(encoded)
            .map_err(|_| String::from("the key is not valid base64"))?;
        let mut reader = Reader(&blob);
        if reader.string() != Some(algorithm.as_bytes()) {
            return Err(String::from(
                "the key is not of the algorithm that its line begins with",
            ));
        }
        let fields = reader.0.to_vec();
        sound(algorithm, reader, rsa_bits)?;
        Ok(Self {
            algorithm,
            fields,
            fingerprint: fingerprint(&blob),
        })
    }
}

/// `SHA256:…` of a key in SSH's encoding.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// Whether the fields are those of such a key, and all of it.
fn sound(
    algorithm: &str,
    mut reader: Reader<'_>,
    rsa_bits: &std::ops::RangeInclusive<usize>,
) -> Result<(), String> {
    let broken = || format!("the key is not a sound {algorithm} key");
    if HARDWARE.contains(&algorithm) {
        return on_hardware(algorithm, reader).ok_or_else(broken);
    }
    if algorithm == ED25519 {
        let point = reader.string().ok_or_else(broken)?;
        return (point.len() == 32 && reader.is_empty())
            .then_some(())
            .ok_or_else(broken);
    }
    if let Some((_, curve, length)) = CURVES.iter().find(|curve| curve.0 == algorithm) {
        let (named, point) = (
            reader.string().ok_or_else(broken)?,
            reader.string().ok_or_else(broken)?,
        );
        let whole = named == curve.as_bytes() && point.len() == *length && point.first() == Some(&4);
        return (whole && reader.is_empty()).then_some(()).ok_or_else(broken);
    }
    let exponent = bits(reader.string().ok_or_else(broken)?).ok_or_else(broken)?;
    let modulus = bits(reader.string().ok_or_else(broken)?).ok_or_else(broken)?;
    if !(2..=64).contains(&exponent) || !reader.is_empty() {
        return Err(broken());
    }
    if !rsa_bits.contains(&modulus) {
        return Err(format!(
            "an RSA key must have {} to {} bits, and this has {modulus}",
            rsa_bits.start(),
            rsa_bits.end()
        ));
    }
    Ok(())
}

/// A key on hardware: that of its kind, and the application that it is for.
fn on_hardware(algorithm: &str, mut reader: Reader<'_>) -> Option<()> {
    if algorithm.starts_with("sk-ecdsa") {
        let (curve, point) = (reader.string()?, reader.string()?);
        (curve == b"nistp256" && point.len() == 65 && point.first() == Some(&4)).then_some(())?;
    } else {
        (reader.string()?.len() == 32).then_some(())?;
    }
    reader.string().filter(|application| !application.is_empty())?;
    reader.is_empty().then_some(())
}

/// A public key that somebody may log in to a gateway with: the key in SSH's encoding, its fingerprint, and its kind.
///
/// # Errors
/// Why it is none, for whoever handed it in.
pub fn own_key(line: &str) -> Result<(Vec<u8>, String), String> {
    let key = PublicKey::of_person(line)?;
    Ok((key.blob(), key.fingerprint))
}

/// How many bits a positive number has, where it is written as it must be: no sign, no needless zeros.
fn bits(number: &[u8]) -> Option<usize> {
    let digits = match number {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
        [first, ..] if *first != 0 && first & 0x80 == 0 => number,
        _ => return None,
    };
    let first = digits.first()?;
    Some(digits.len() * 8 - usize::try_from(first.leading_zeros()).ok()?)
}
