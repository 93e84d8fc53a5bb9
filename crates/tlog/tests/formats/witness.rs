//! What a witness signs, and what it must not.

use daypass_tlog::key::{Signer, Use};
use daypass_tlog::note::Unverified;
use daypass_tlog::proof::{Invalid, Proof};
use daypass_tlog::witness::{Malformed, Proposal, Refusal};
use daypass_tlog::{Checkpoint, Note};
use proptest::prelude::*;

use crate::forest::Forest;
use crate::note::signer;

const ORIGIN: &str = "log.example";

fn proposal(forest: &Forest, old: u64, size: u64, key: &Signer) -> Proposal {
    let checkpoint = Checkpoint {
        origin: String::from(ORIGIN),
        size,
        head: forest.head(size),
        extensions: Vec::new(),
    };
    let mut note = Note::new(checkpoint.to_string()).unwrap();
    note.sign(key, 0);
    let proof = Proof::of_consistency(old, size).unwrap();
    Proposal {
        old,
        proof: proof.build(|subtree| forest.node(subtree)).unwrap(),
        note,
    }
}

#[test]
fn a_log_that_goes_on_is_signed_and_a_proposal_survives_the_wire() {
    let (forest, key) = (Forest::of(20), signer(ORIGIN, Use::Note, 1));
    let mut last = None;
    for size in [0, 1, 7, 7, 20] {
        let old = last.map_or(0, |(size, _)| size);
        let sent = proposal(&forest, old, size, &key);
        let read = Proposal::parse(sent.to_string().as_bytes()).unwrap();
        assert_eq!(read, sent);
        let head = last.map(|(size, _)| (size, forest.head(size)));
        let known = head.as_ref().map(|(size, head)| (*size, head));
        let signed = read.check(key.verifier(), ORIGIN, known).unwrap();
        assert_eq!((signed.size, signed.head), (size, forest.head(size)));
        last = Some((size, ()));
    }
}

#[test]
fn a_log_that_goes_back_forks_or_is_somebody_elses_is_not_signed() {
    let (forest, key) = (Forest::of(20), signer(ORIGIN, Use::Note, 1));
    let other = Forest((0..20).map(|number: u8| daypass_tlog::leaf(&[number])).collect());
    let head = forest.head(7);
    let seven = Some((7, &head));
    let check = |proposal: &Proposal| proposal.check(key.verifier(), ORIGIN, seven);

    assert!(check(&proposal(&forest, 7, 20, &key)).is_ok());
    assert_eq!(
        check(&proposal(&other, 7, 20, &key)),
        Err(Refusal::Forked(Invalid::Head))
    );
    let twice = proposal(&other, 7, 7, &key);
    assert_eq!(check(&twice), Err(Refusal::Twice(7)));
    // Neither a proof that is none nor another old size hides it.
    let (junk, earlier) = (vec![[7; 32]], proposal(&other, 3, 7, &key));
    assert_eq!(check(&Proposal { proof: junk, ..twice }), Err(Refusal::Twice(7)));
    assert_eq!(check(&earlier), Err(Refusal::Twice(7)));
    assert_eq!(check(&proposal(&forest, 3, 20, &key)), Err(Refusal::Stale(7)));
    assert_eq!(check(&proposal(&forest, 0, 5, &key)), Err(Refusal::Stale(7)));
    let mut back = proposal(&forest, 0, 5, &key);
    back.old = 7;
    assert_eq!(check(&back), Err(Refusal::Smaller { old: 7, size: 5 }));
    let somebody = signer(ORIGIN, Use::Note, 2);
    assert!(matches!(
        check(&proposal(&forest, 7, 20, &somebody)),
        Err(Refusal::Unverified(Unverified::Missing(_)))
    ));
    let elsewhere = proposal(&forest, 7, 20, &key).check(key.verifier(), "log.example.org", seven);
    assert_eq!(elsewhere, Err(Refusal::Origin(String::from("log.example.org"))));
}

#[test]
fn what_is_no_proposal_is_not_read() {
    let key = signer(ORIGIN, Use::Note, 1);
    let good = proposal(&Forest::of(3), 2, 3, &key).to_string();
    let cases = [
        (String::new(), Malformed::Proof),
        (good.replacen("old 2", "old", 1), Malformed::Old),
        (good.replacen("old 2", "new 2", 1), Malformed::Old),
        (good.replacen("old 2", "old 02", 1), Malformed::Old),
        (good.replacen("old 2", "old 2\nAAAA", 1), Malformed::Proof),
        (
            good.replacen(
                "old 2",
                &format!("old 2{}", format!("\n{}=", "A".repeat(43)).repeat(63)),
                1,
            ),
            Malformed::Proof,
        ),
    ];
    for (text, why) in cases {
        assert_eq!(Proposal::parse(text.as_bytes()), Err(why), "{text:?}");
    }
    let unsigned = good.rsplit_once("\n\n").unwrap().0;
    assert!(Proposal::parse(unsigned.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_reading_fall(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Proposal::parse(&[b"old 1\n\n".as_slice(), &bytes].concat());
        let _ = Proposal::parse(&bytes);
    }
}
