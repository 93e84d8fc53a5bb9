//! Proofs: those of the definition, of the reference implementation and of another one; and none that shows what is not so.

use daypass_tlog::proof::{Invalid, Proof, verify_consistency, verify_inclusion};
use daypass_tlog::{Hash, leaf, node};
use proptest::prelude::*;

use crate::forest::{Forest, Stored};

fn inclusion(forest: &Forest, index: u64, size: u64) -> Vec<Hash> {
    let proof = Proof::of_inclusion(index, size).unwrap();
    proof.build(|subtree| forest.node(subtree)).unwrap()
}

fn consistency(forest: &Forest, old: u64, size: u64) -> Vec<Hash> {
    let proof = Proof::of_consistency(old, size).unwrap();
    proof.build(|subtree| forest.node(subtree)).unwrap()
}

fn hexed(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(hex::encode).collect()
}

/// The example of RFC 9162, section 2.1.5, word for word.
#[test]
fn proofs_are_those_of_the_example_in_rfc_9162() {
    let forest = Forest((b'0'..b'7').map(|digit| leaf(&[b'd', digit])).collect());
    let [a, b, c, d, e, f, j] = forest.0.clone().try_into().unwrap();
    let (g, h, i) = (node(&a, &b), node(&c, &d), node(&e, &f));
    let (k, l) = (node(&g, &h), node(&i, &j));
    assert_eq!(forest.head(7), node(&k, &l));
    assert_eq!(inclusion(&forest, 0, 7), [b, h, l]);
    assert_eq!(inclusion(&forest, 3, 7), [c, g, l]);
    assert_eq!(inclusion(&forest, 4, 7), [f, j, k]);
    assert_eq!(inclusion(&forest, 6, 7), [i, k]);
    assert_eq!(consistency(&forest, 3, 7), [c, d, g, l]);
    assert_eq!(consistency(&forest, 4, 7), [l]);
    assert_eq!(consistency(&forest, 6, 7), [i, j, k]);
}

/// google/certificate-transparency, `cpp/merkletree/merkle_tree_test.cc`; its leaves are counted from 1.
#[test]
fn proofs_are_those_of_the_reference_implementation() {
    const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const F: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    const G: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
    const H: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    const I: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    let forest = Forest::ct();
    let paths: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[A, B, C]),
        (5, 8, &[D, E, F]),
        (2, 3, &[G]),
        (1, 5, &[H, B, D]),
    ];
    for (index, size, path) in paths {
        assert_eq!(hexed(&inclusion(&forest, index, size)), path, "{index} in {size}");
    }
    let proofs: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (1, 8, &[A, B, C]),
        (6, 8, &[I, E, F]),
        (2, 5, &[B, D]),
    ];
    for (old, size, proof) in proofs {
        assert_eq!(hexed(&consistency(&forest, old, size)), proof, "{old} to {size}");
    }
}

#[test]
fn proofs_are_those_of_another_implementation_and_hold_for_nothing_else() {
    const MOST: u64 = 40;
    let (forest, stored) = (Forest::of(MOST), Stored::of(MOST));
    for size in 1..=MOST {
        let head = forest.head(size);
        let other = tlog_tiles::tree_hash(size, &stored).unwrap();
        assert_eq!(other.0, head);
        for index in 0..size {
            let proof = inclusion(&forest, index, size);
            let theirs = tlog_tiles::prove_record(size, index, &stored).unwrap();
            assert_eq!(proof, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>());
            let hash = forest.0[usize::try_from(index).unwrap()];
            assert_eq!(verify_inclusion((index, &hash), (size, &head), &proof), Ok(()));
            for wrong in (0..size).filter(|wrong| *wrong != index) {
                assert!(verify_inclusion((wrong, &hash), (size, &head), &proof).is_err());
            }
        }
        for old in 1..=size {
            let (proof, old_head) = (consistency(&forest, old, size), forest.head(old));
            let theirs = tlog_tiles::prove_tree(size, old, &stored).unwrap();
            assert_eq!(proof, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>());
            assert_eq!(
                verify_consistency((old, &old_head), (size, &head), &proof),
                Ok(())
            );
            for wrong in (1..=size).filter(|wrong| *wrong != old) {
                assert!(verify_consistency((wrong, &old_head), (size, &head), &proof).is_err());
            }
        }
    }
}

#[test]
fn every_tree_begins_with_the_empty_one_and_only_with_its_head() {
    let forest = Forest::of(5);
    let (empty, head) = (forest.head(0), forest.head(5));
    assert_eq!(consistency(&forest, 0, 5), Vec::<Hash>::new());
    assert_eq!(verify_consistency((0, &empty), (5, &head), &[]), Ok(()));
    assert_eq!(
        verify_consistency((0, &head), (5, &head), &[]),
        Err(Invalid::Head)
    );
    assert_eq!(
        verify_consistency((0, &empty), (5, &head), &[head]),
        Err(Invalid::Length)
    );
    assert_eq!(
        verify_consistency((5, &head), (5, &empty), &[]),
        Err(Invalid::Head)
    );
}

#[test]
fn there_are_no_proofs_of_what_is_beyond_a_tree() {
    assert_eq!(
        Proof::of_inclusion(7, 7),
        Err(Invalid::NotWithin { part: 7, size: 7 })
    );
    assert_eq!(
        Proof::of_consistency(8, 7),
        Err(Invalid::NotWithin { part: 8, size: 7 })
    );
    let hash = leaf(b"");
    let beyond = verify_inclusion((u64::MAX, &hash), (u64::MAX, &hash), &[]);
    assert_eq!(
        beyond,
        Err(Invalid::NotWithin {
            part: u64::MAX,
            size: u64::MAX
        })
    );
    // The largest trees there can be: told in sizes only, without a leaf of theirs.
    for size in [u64::MAX, 1 << 63, (1 << 63) + 1] {
        for index in [0, size / 2, size - 1] {
            assert!(Proof::of_inclusion(index, size).unwrap().needs().count() <= 64 * 64);
            assert!(Proof::of_consistency(index, size).unwrap().needs().count() <= 64 * 64);
        }
    }
}

proptest! {
    /// Whatever is flipped, cut off or added: what a changed proof shows is nothing.
    #[test]
    fn a_changed_proof_shows_nothing(
        size in 1_u64..200,
        part in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        change in 0_u8..4,
    ) {
        let forest = Forest::of(size);
        let head = forest.head(size);
        let index = part.index(usize::try_from(size).unwrap());
        let leaf = forest.0[index];
        let index = u64::try_from(index).unwrap();
        let old = index + 1;
        let changed = |mut proof: Vec<Hash>| {
            match change {
                0 if !proof.is_empty() => {
                    let at = place.index(proof.len());
                    proof[at][usize::from(bit)] ^= 1 << bit;
                }
                1 if !proof.is_empty() => {
                    proof.remove(place.index(proof.len()));
                }
                2 if proof.len() > 1 && proof[0] != proof[proof.len() - 1] => proof.reverse(),
                _ => proof.insert(place.index(proof.len() + 1), leaf),
            }
            proof
        };
        let proof = changed(inclusion(&forest, index, size));
        prop_assert!(verify_inclusion((index, &leaf), (size, &head), &proof).is_err());
        let proof = changed(consistency(&forest, old, size));
        prop_assert!(verify_consistency((old, &forest.head(old)), (size, &head), &proof).is_err());
    }

    /// Sizes and proofs of anybody's making end with an answer.
    #[test]
    fn nothing_that_is_sent_makes_verification_fall(
        numbers in any::<(u64, u64)>(),
        proof in prop::collection::vec(any::<Hash>(), 0..80),
    ) {
        let hash = leaf(b"x");
        let _ = verify_inclusion((numbers.0, &hash), (numbers.1, &hash), &proof);
        let _ = verify_consistency((numbers.0, &hash), (numbers.1, &hash), &proof);
    }
}
