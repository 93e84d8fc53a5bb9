//! Notes and keys: Go's published example, another implementation, and what is no note.

use daypass_tlog::Note;
use daypass_tlog::key::{NoKey, Signer, Use, Verifier};
use daypass_tlog::note::{MOST_SIGNATURES, Malformed, Seen, Signature, Unverified};
use proptest::prelude::*;
use signed_note::Verifier as _;
use zeroize::Zeroizing;

/// golang.org/x/mod/sumdb/note, its package documentation.
const SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const SIGNED: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

pub(crate) fn signer(name: &str, what: Use, seed: u8) -> Signer {
    Signer::new(name.parse().unwrap(), what, Zeroizing::new([seed; 32])).unwrap()
}

fn note(text: &str) -> Note {
    Note::new(text.to_owned()).unwrap()
}

#[test]
fn the_published_example_is_signed_and_verified_alike() {
    let signer = Signer::from_secret(SECRET).unwrap();
    assert_eq!(signer.to_secret().as_str(), SECRET);
    assert_eq!(signer.verifier().to_string(), PUBLIC);
    let mut made = note(TEXT);
    made.sign(&signer, 0);
    assert_eq!(made.to_string(), SIGNED);
    let read = Note::parse(SIGNED.as_bytes()).unwrap();
    assert_eq!(read.text(), TEXT);
    let key: Verifier = PUBLIC.parse().unwrap();
    assert_eq!(read.verify(&key), Ok(Seen { at: 0 }));
}

#[test]
fn another_implementation_reads_what_is_written_here() {
    let signer = signer("log.example/daypass", Use::Note, 7);
    let mut made = note("log.example/daypass\n0\nabc\n");
    made.sign(&signer, 0);
    let verifier = signed_note::StandardVerifier::new(&signer.verifier().to_string()).unwrap();
    assert_eq!(verifier.key_id(), signer.verifier().id());
    let theirs = signed_note::Note::from_bytes(made.to_string().as_bytes()).unwrap();
    let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    assert_eq!(theirs.verify(&list).unwrap().0.len(), 1);
    assert_eq!(theirs.text(), made.text().as_bytes());
}

#[test]
fn what_a_witness_signs_bears_its_time() {
    let witness = signer("witness.example", Use::Cosignature, 3);
    let mut made = note("log.example\n1\nabc\n");
    made.sign(&witness, 1_790_000_000);
    let read = Note::parse(made.to_string().as_bytes()).unwrap();
    assert_eq!(read.verify(witness.verifier()), Ok(Seen { at: 1_790_000_000 }));
    // The same 32 bytes as a log's key are another key.
    let log = signer("witness.example", Use::Note, 3);
    assert_ne!(log.verifier().id(), witness.verifier().id());
    assert_eq!(
        read.verify(log.verifier()),
        Err(Unverified::Missing("witness.example".parse().unwrap()))
    );
    // A time that the witness did not sign.
    let line = made.signatures()[0].to_string();
    let (dash_and_name, encoded) = line.rsplit_once(' ').unwrap();
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut bytes = engine.decode(encoded).unwrap();
    bytes[11] ^= 1;
    let mut forged = note("log.example\n1\nabc\n");
    let line = format!("{dash_and_name} {}", engine.encode(bytes));
    forged.add([Signature::parse(&line).unwrap()]);
    assert_eq!(
        forged.verify(witness.verifier()),
        Err(Unverified::False("witness.example".parse().unwrap()))
    );
}

#[test]
fn a_key_signs_once() {
    let key = signer("log.example", Use::Note, 1);
    let mut made = note("one\n");
    made.sign(&key, 0);
    made.sign(&key, 0);
    let again = made.signatures().to_vec();
    made.add(again);
    assert_eq!(made.signatures().len(), 1);
}

#[test]
fn one_false_signature_beside_a_true_one_is_enough_to_refuse() {
    let key = signer("log.example", Use::Note, 1);
    let (mut one, mut two) = (note("one\n"), note("two\n"));
    one.sign(&key, 0);
    two.sign(&key, 0);
    let both = format!("{one}{}\n", two.signatures()[0]);
    let read = Note::parse(both.as_bytes()).unwrap();
    assert!(matches!(read.verify(key.verifier()), Err(Unverified::False(_))));
}

#[test]
fn what_is_no_note_is_not_read() {
    let cases: [(&str, Malformed); 12] = [
        ("", Malformed::Unsigned),
        ("text\n", Malformed::Unsigned),
        ("text\n\n", Malformed::Unsigned),
        ("text\n\n\n", Malformed::Text),
        ("\n\n\u{2014} a AAAAAAA=\n", Malformed::Text),
        ("te\u{0}xt\n\n\u{2014} a AAAAAAA=\n", Malformed::Text),
        ("te\rxt\n\n\u{2014} a AAAAAAA=\n", Malformed::Text),
        ("text\n\n- a AAAAAAA=\n", Malformed::Signature),
        ("text\n\n\u{2014} a+b AAAAAAA=\n", Malformed::Signature),
        ("text\n\n\u{2014} a AAAA\n", Malformed::Signature),
        ("text\n\n\u{2014} a AAAAAAA=", Malformed::Unsigned),
        ("text\n\n\u{2014} a AAAAAAA=\nmore\n", Malformed::Signature),
    ];
    for (text, why) in cases {
        assert_eq!(Note::parse(text.as_bytes()), Err(why), "{text:?}");
    }
    assert_eq!(Note::parse(b"te\xFFxt\n\n"), Err(Malformed::Text));
    assert_eq!(Note::parse(&vec![b'a'; 1_000_001]), Err(Malformed::TooLong));
    let line = "\u{2014} a AAAAAAA=\n";
    let many = format!("text\n\n{}", line.repeat(MOST_SIGNATURES + 1));
    assert_eq!(Note::parse(many.as_bytes()), Err(Malformed::TooMany));
}

#[test]
fn what_is_no_key_is_not_read_and_not_repeated() {
    let cases = [
        ("", NoKey::Name),
        ("a", NoKey::Form),
        ("a+c74f20a3", NoKey::Form),
        ("a b+c74f20a3+AA==", NoKey::Name),
        ("a+c74f20a3+ARpc", NoKey::Form),
        (
            "a+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            NoKey::Form,
        ),
        (
            "a++74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            NoKey::Form,
        ),
        (
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            NoKey::Id,
        ),
        (
            "PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            NoKey::Id,
        ),
        (
            "PeterNeumann+c74f20a3+AhpcWQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            NoKey::Kind,
        ),
    ];
    for (text, why) in cases {
        assert_eq!(text.parse::<Verifier>().unwrap_err(), why, "{text:?}");
        let secret = Signer::from_secret(&format!("PRIVATE+KEY+{text}"));
        assert!(secret.is_err(), "{text:?}");
    }
    assert_eq!(Signer::from_secret(PUBLIC).unwrap_err(), NoKey::Form);
    let shown = format!("{:?}", Signer::from_secret(SECRET).unwrap());
    assert_eq!(shown, format!("Signer({PUBLIC})"));
}

proptest! {
    #[test]
    fn what_is_read_is_written_alike(text in "[a-c\n\u{2014} +=A]{0,60}") {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn no_bytes_make_reading_fall(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Note::parse(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = text.parse::<Verifier>();
        }
    }
}
