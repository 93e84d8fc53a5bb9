//! Signatures of every kind, by their own keys and by none else; what OpenSSH's own program says of them.

use std::fs;
use std::process::{Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

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
    assert_eq!(good("WEB-1", std::slice::from_ref(&ca), now), Ok(()));
    assert_eq!(good("web-2", std::slice::from_ref(&ca), now), Err(Malformed));
    assert_eq!(
        good("web-1", &[PrivateKey::draw().unwrap().public()], now),
        Err(Malformed)
    );
    assert_eq!(
        good("web-1", std::slice::from_ref(&ca), Timestamp::EPOCH),
        Err(Malformed)
    );
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

/// Keys as hardware has them: what it signs is made here, and OpenSSH's own program is asked whether that is right.
struct Hardware {
    kind: &'static str,
    ed: PrivateKey,
    ecdsa: EcdsaKeyPair,
}

const WHERE: &str = "ssh:";

impl Hardware {
    fn of(kind: &'static str) -> Self {
        let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let ed = PrivateKey::draw().unwrap();
        Self { kind, ed, ecdsa }
    }

    fn public(&self) -> Vec<u8> {
        let written = Writer::default().string(self.kind);
        if self.kind == HARDWARE_ED {
            written.string(self.ed.pair.public_key()).string(WHERE).done()
        } else {
            written
                .string("nistp256")
                .string(self.ecdsa.public_key())
                .string(WHERE)
                .done()
        }
    }

    fn sign(&self, message: &[u8], flags: u8) -> Vec<u8> {
        let mut said = digest(&SHA256, WHERE.as_bytes()).as_ref().to_vec();
        said.push(flags);
        said.extend_from_slice(&7_u32.to_be_bytes());
        said.extend_from_slice(digest(&SHA256, message).as_ref());
        let signature = if self.kind == HARDWARE_ED {
            self.ed.pair.sign(&said).as_ref().to_vec()
        } else {
            let signed = self.ecdsa.sign(&SystemRandom::new(), &said).unwrap();
            // A sequence of two numbers, each below 128 bytes: those are SSH's numbers but for their heads.
            let mut rest = &signed.as_ref()[2..];
            let mut numbers = Writer::default();
            while let [2, length, after @ ..] = rest {
                let (number, after) = after.split_at(usize::from(*length));
                numbers = numbers.string(number);
                rest = after;
            }
            numbers.done()
        };
        Writer::default()
            .string(self.kind)
            .string(signature)
            .u8(flags)
            .u32(7)
            .done()
    }

    fn line(&self) -> String {
        format!("{} {} key\n", self.kind, STANDARD.encode(self.public()))
    }
}

#[test]
fn a_key_on_hardware_signs_when_somebody_touches_it() {
    let message = b"message";
    for kind in [HARDWARE_ED, HARDWARE_ECDSA] {
        assert!(is_known(kind) && SIGNATURES.contains(&kind));
        let (ours, other) = (Hardware::of(kind), Hardware::of(kind));
        let public = ours.public();
        for (flags, is_good) in [
            (TOUCHED, true),
            (TOUCHED | VERIFIED, true),
            (0, false),
            (VERIFIED, false),
        ] {
            let signature = ours.sign(message, flags);
            assert_eq!(
                verify(kind, &public, message, &signature).is_ok(),
                is_good,
                "{kind} {flags}"
            );
            assert!(verify(kind, &public, b"massage", &signature).is_err());
            assert!(verify(kind, &other.public(), message, &signature).is_err());
            // What the hardware says is signed.
            let mut changed = signature.clone();
            let at = changed.len() - 5;
            changed[at] ^= TOUCHED;
            assert!(verify(kind, &public, message, &changed).is_err());
        }
        // For another purpose than SSH's.
        let mut elsewhere = public.clone();
        let last = elsewhere.len() - 1;
        elsewhere[last] = b'!';
        assert!(verify(kind, &elsewhere, message, &ours.sign(message, TOUCHED)).is_err());
        assert!(verify(ED, &public, message, &ours.sign(message, TOUCHED)).is_err());
        let longer = [ours.sign(message, TOUCHED), vec![0]].concat();
        assert!(verify(kind, &public, message, &longer).is_err());
    }
}

#[test]
fn openssh_takes_the_same_signatures_of_keys_on_hardware() {
    for kind in [HARDWARE_ED, HARDWARE_ECDSA] {
        let ours = Hardware::of(kind);
        let hash = digest(&aws_lc_rs::digest::SHA512, b"message");
        let signed = Writer(b"SSHSIG".to_vec())
            .string("test")
            .string("")
            .string("sha512")
            .string(hash)
            .done();
        let signature = ours.sign(&signed, TOUCHED);
        assert_eq!(verify(kind, &ours.public(), &signed, &signature), Ok(()));
        let file = Writer(b"SSHSIG".to_vec())
            .u32(1)
            .string(ours.public())
            .string("test")
            .string("")
            .string("sha512")
            .string(&signature)
            .done();
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            STANDARD.encode(file)
        );
        fs::write(dir.path().join("signature"), text).unwrap();
        fs::write(dir.path().join("message"), "message").unwrap();
        let checked = Command::new("ssh-keygen")
            .args(["-Y", "check-novalidate", "-n", "test", "-s", "signature"])
            .current_dir(dir.path())
            .stdin(Stdio::from(fs::File::open(dir.path().join("message")).unwrap()))
            .output()
            .unwrap();
        assert!(
            checked.status.success(),
            "{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

#[test]
fn a_certificate_says_whether_hardware_must_be_touched() {
    for kind in [HARDWARE_ED, HARDWARE_ECDSA] {
        let ours = Hardware::of(kind);
        let announced = format!("{}{CERTIFIED}", kind.strip_suffix("@openssh.com").unwrap());
        assert!(is_known(&announced));
        for (option, good) in [
            ("permit-pty", [false, true, true]),
            ("no-touch-required", [true, true, true]),
            ("verify-required", [false, false, true]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            keygen(&dir, &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
            fs::write(dir.path().join("key.pub"), ours.line()).unwrap();
            keygen(
                &dir,
                &["-q", "-s", "ca", "-I", "i", "-n", "ada", "-O", option, "key.pub"],
            );
            let line = fs::read_to_string(dir.path().join("key-cert.pub")).unwrap();
            let blob = from_line(&line).unwrap();
            for (flags, good) in [0, TOUCHED, TOUCHED | VERIFIED].into_iter().zip(good) {
                let found = verify(&announced, &blob, b"m", &ours.sign(b"m", flags));
                assert_eq!(found.is_ok(), good, "{kind} {option} {flags}");
            }
            assert!(verify(kind, &blob, b"m", &ours.sign(b"m", TOUCHED)).is_err());
        }
    }
}

#[test]
fn what_openssh_signs_with_any_kind_of_key_is_taken_and_nothing_that_is_weak() {
    for (kind, bits, algorithm) in [
        ("ed25519", "256", Some(ED)),
        ("ecdsa", "256", Some("ecdsa-sha2-nistp256")),
        ("ecdsa", "384", Some("ecdsa-sha2-nistp384")),
        ("ecdsa", "521", Some("ecdsa-sha2-nistp521")),
        ("rsa", "2048", Some("rsa-sha2-512")),
        ("rsa", "1024", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir, &["-q", "-t", kind, "-b", bits, "-N", "", "-f", "key"]);
        fs::write(dir.path().join("message"), "message").unwrap();
        keygen(&dir, &["-q", "-Y", "sign", "-n", "test", "-f", "key", "message"]);
        let text = fs::read_to_string(dir.path().join("message.sig")).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let file = STANDARD.decode(body).unwrap();
        let mut fields = Reader(file.strip_prefix(b"SSHSIG").unwrap());
        assert_eq!(fields.u32(), Ok(1));
        let public = fields.string().unwrap();
        let (namespace, reserved, hash) = (
            fields.string().unwrap(),
            fields.string().unwrap(),
            fields.string().unwrap(),
        );
        let signature = fields.string().unwrap();
        assert_eq!((namespace, hash), (&b"test"[..], &b"sha512"[..]));
        let signed = Writer(b"SSHSIG".to_vec())
            .string(namespace)
            .string(reserved)
            .string(hash)
            .string(digest(&aws_lc_rs::digest::SHA512, b"message"))
            .done();
        for name in SIGNATURES {
            let found = verify(name, public, &signed, signature);
            assert_eq!(found.is_ok(), algorithm == Some(name), "{kind} {bits} {name}");
        }
        assert!(verify("ssh-rsa", public, &signed, signature).is_err());
        assert!(verify("ssh-dss", public, &signed, signature).is_err());
    }
}
