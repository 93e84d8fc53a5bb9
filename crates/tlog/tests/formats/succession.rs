//! From a key to the one after it: by the word of the key itself, and by nothing less.

use daypass_tlog::key::{NoKey, Signer, Use};
use daypass_tlog::note::Unverified;
use daypass_tlog::proof::{Invalid, Proof};
use daypass_tlog::succession::{Announcement, Unannounced, announced, successor, successors};
use daypass_tlog::{Checkpoint, Hash, Note, Tree, leaf, node};

use crate::note::signer;

const ORIGIN: &str = "log.example";

fn key(seed: u8) -> Signer {
    signer(ORIGIN, Use::Note, seed)
}

fn staged(next: &str) -> Vec<u8> {
    format!(
        r#"{{"actor":"system","at":"2026-11-21T12:00:00Z","subject":{{"id":"log","kind":"key"}},"what":{{"key":{{"event":"staged","next":"{next}"}}}}}}"#
    )
    .into_bytes()
}

/// What shows that entry `at` of a log of these entries announces a key, in a checkpoint of the first `size` that `by` signed.
fn shown(entries: &[Vec<u8>], at: usize, size: usize, by: &Signer) -> Announcement {
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf(entry)).collect();
    let tree: Tree = leaves[..size].iter().copied().collect();
    let mut note = Note::new(Checkpoint::of(ORIGIN, &tree).to_string()).unwrap();
    note.sign(by, 0);
    let (index, size) = (u64::try_from(at).unwrap(), u64::try_from(size).unwrap());
    let proof = Proof::of_inclusion(index, size).map_or_else(
        |_| Vec::new(),
        |proof| {
            proof
                .build(|part| {
                    let from = usize::try_from(part.index << part.level).unwrap();
                    let mut level = leaves[from..from + (1 << part.level)].to_vec();
                    while level.len() > 1 {
                        level = level.chunks(2).map(|two| node(&two[0], &two[1])).collect();
                    }
                    level.first().copied()
                })
                .unwrap()
        },
    );
    Announcement {
        note: note.to_string().into_bytes(),
        index,
        entry: entries[at].clone(),
        proof,
    }
}

fn log(next: &Signer) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = (0..6).map(|n| format!("entry {n}").into_bytes()).collect();
    entries[3] = staged(&next.verifier().to_string());
    entries
}

#[test]
fn a_key_that_the_one_before_announced_and_signed_is_the_next_one() {
    let (old, new) = (key(1), key(2));
    let entries = log(&new);
    for size in 4..=6 {
        let next = successor(old.verifier(), &shown(&entries, 3, size, &old)).unwrap();
        assert_eq!(
            (&next.from, &next.key, next.index),
            (old.verifier(), new.verifier(), 3)
        );
        assert_eq!(next.checkpoint.size, u64::try_from(size).unwrap());
    }
}

#[test]
fn what_the_key_did_not_sign_is_not_its_word() {
    let (old, new, other) = (key(1), key(2), key(3));
    let entries = log(&new);
    // The last that it signed ends before the announcement.
    let early = shown(&entries, 3, 3, &old);
    assert_eq!(
        successor(old.verifier(), &early),
        Err(Unannounced::Entry {
            index: 3,
            why: Invalid::NotWithin { part: 3, size: 3 }
        })
    );
    // Only the next key, or somebody else, signed that.
    for by in [&new, &other] {
        let why = successor(old.verifier(), &shown(&entries, 3, 6, by));
        assert!(
            matches!(why, Err(Unannounced::Signature(Unverified::Missing(_)))),
            "{why:?}"
        );
    }
    // Another entry in the place of what was signed.
    let mut swapped = shown(&entries, 3, 6, &old);
    swapped.entry = staged(&other.verifier().to_string());
    assert!(matches!(
        successor(old.verifier(), &swapped),
        Err(Unannounced::Entry {
            why: Invalid::Head,
            ..
        })
    ));
    // Another place, another proof, other bytes of the note.
    let good = shown(&entries, 3, 6, &old);
    let mut moved = good.clone();
    moved.index = 2;
    let mut short = good.clone();
    short.proof.pop();
    let mut bent = good.clone();
    bent.note[12] ^= 1;
    for wrong in [moved, short, bent] {
        assert!(successor(old.verifier(), &wrong).is_err());
    }
    // An entry that was signed and announces nothing.
    assert_eq!(
        successor(old.verifier(), &shown(&entries, 2, 6, &old)),
        Err(Unannounced::Nothing(2))
    );
}

#[test]
fn what_is_announced_must_be_another_key_of_the_same_log() {
    let old = key(1);
    let witness = signer(ORIGIN, Use::Cosignature, 2);
    let stranger = signer("log.elsewhere", Use::Note, 2);
    for (text, why) in [
        (old.verifier().to_string(), NoKey::Name),
        (stranger.verifier().to_string(), NoKey::Name),
        (witness.verifier().to_string(), NoKey::Kind),
        (String::from("SHA256:abc"), NoKey::Form),
    ] {
        let mut entries = log(&old);
        entries[3] = staged(&text);
        assert_eq!(
            successor(old.verifier(), &shown(&entries, 3, 6, &old)),
            Err(Unannounced::NoKey { index: 3, why }),
            "{text}"
        );
    }
}

#[test]
fn only_events_about_the_logs_own_key_announce() {
    let good = staged("x+00000000+AQ==");
    assert_eq!(announced(&good).as_deref(), Some("x+00000000+AQ=="));
    let text = String::from_utf8(good).unwrap();
    for (from, to) in [
        (r#""id":"log""#, r#""id":"ssh/fleet""#),
        (r#""kind":"key""#, r#""kind":"log""#),
        (r#""event":"staged""#, r#""event":"changed""#),
        (r#""next""#, r#""to""#),
        (r#"{"key":{"#, r#"{"grant":{"#),
    ] {
        assert_eq!(announced(text.replace(from, to).as_bytes()), None, "{to}");
    }
    for bad in [&b""[..], b"{}", b"null", b"\xff", &text.as_bytes()[..40]] {
        assert_eq!(announced(bad), None);
    }
}

#[test]
fn a_chain_is_gone_along_from_wherever_one_stands_and_no_further_than_it_is_whole() {
    let keys = [key(1), key(2), key(3), key(4)];
    let mut entries = log(&keys[1]);
    entries.extend([
        staged(&keys[2].verifier().to_string()),
        b"more".to_vec(),
        staged(&keys[3].verifier().to_string()),
    ]);
    let links = [
        shown(&entries, 3, 5, &keys[0]),
        shown(&entries, 6, 7, &keys[1]),
        shown(&entries, 8, 9, &keys[2]),
    ];
    for from in 0..4 {
        let found = successors(keys[from].verifier(), &links);
        let found: Vec<_> = found.iter().map(|next| &next.key).collect();
        let expected: Vec<_> = keys[from + 1..].iter().map(Signer::verifier).collect();
        assert_eq!(found, expected, "from {from}");
    }
    let gap = [links[0].clone(), links[2].clone()];
    assert_eq!(successors(keys[0].verifier(), &gap).len(), 1);
    assert!(successors(key(9).verifier(), &links).is_empty());
    // Round in a circle leads nowhere.
    entries.push(staged(&keys[0].verifier().to_string()));
    let round = [links.to_vec(), vec![shown(&entries, 9, 10, &keys[3])]].concat();
    assert_eq!(successors(keys[0].verifier(), &round).len(), 3);
}
