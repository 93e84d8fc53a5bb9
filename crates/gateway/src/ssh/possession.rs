//! Whether somebody has the private key of a public one: a text that they signed by `ssh-keygen -Y sign`. Without IO.
//!
//! Source: OpenSSH's PROTOCOL.sshsig.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key;
use super::wire::{Malformed, Reader, Writer};

const MAGIC: &[u8; 6] = b"SSHSIG";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Whether `signature`, as `ssh-keygen -Y sign` prints it, is one of this text, for this purpose, by the key with this encoding.
#[must_use]
pub fn has_signed(blob: &[u8], purpose: &str, text: &[u8], signature: &str) -> bool {
    check(blob, purpose, text, signature).is_ok()
}

fn check(blob: &[u8], purpose: &str, text: &[u8], signature: &str) -> Result<(), Malformed> {
    let body = signature.trim().strip_prefix(BEGIN).ok_or(Malformed)?;
    let body: String = body
        .strip_suffix(END)
        .ok_or(Malformed)?
        .split_whitespace()
        .collect();
    let file = STANDARD.decode(body).map_err(|_| Malformed)?;
    let mut fields = Reader(file.strip_prefix(MAGIC).ok_or(Malformed)?);
    let (version, public) = (fields.u32()?, fields.string()?);
    let (namespace, reserved, hash) = (fields.text()?, fields.string()?, fields.text()?);
    let signature = fields.string()?;
    fields.end()?;
    let algorithm = match hash {
        "sha512" => &SHA512,
        "sha256" => &SHA256,
        _ => return Err(Malformed),
    };
    if version != 1 || public != blob || namespace != purpose {
        return Err(Malformed);
    }
    let signed = Writer(MAGIC.to_vec())
        .string(namespace)
        .string(reserved)
        .string(hash)
        .string(digest(algorithm, text))
        .done();
    let announced = Reader(signature).text()?;
    // A certificate is somebody's word for a key; here it is the key itself.
    if announced.contains("-cert-v") {
        return Err(Malformed);
    }
    key::verify(announced, public, &signed, signature)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(command: &mut Command) {
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[test]
    fn only_who_has_the_key_signs_for_it_and_only_what_is_said() {
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            for name in ["key", "other"] {
                run(Command::new("ssh-keygen")
                    .args(["-q", "-t", kind, "-N", "", "-f"])
                    .arg(at(name)));
            }
            let blob = |name: &str| {
                let line = std::fs::read_to_string(at(name)).unwrap();
                STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap()
            };
            let (key, other) = (blob("key.pub"), blob("other.pub"));
            std::fs::write(at("text"), "text").unwrap();
            run(Command::new("ssh-keygen")
                .args(["-q", "-Y", "sign", "-n", "daypass", "-f"])
                .arg(at("key"))
                .arg(at("text")));
            let signature = std::fs::read_to_string(at("text.sig")).unwrap();
            assert!(has_signed(&key, "daypass", b"text", &signature), "{kind}");
            assert!(!has_signed(&other, "daypass", b"text", &signature), "{kind}");
            assert!(!has_signed(&key, "file", b"text", &signature), "{kind}");
            assert!(!has_signed(&key, "daypass", b"another", &signature), "{kind}");
            let cut = signature.replace(END, "");
            assert!(!has_signed(&key, "daypass", b"text", &cut), "{kind}");
            assert!(!has_signed(&key, "daypass", b"text", ""), "{kind}");
        }
    }
}
