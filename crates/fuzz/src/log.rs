//! The log's formats. What is read and written again is the same, and what verifies verifies for one reading only.

use daypass_tlog::key::Verifier;
use daypass_tlog::note::Note;
use daypass_tlog::proof::{Proof, verify_consistency, verify_inclusion};
use daypass_tlog::tile::{Kind, Tile, bundle, root};
use daypass_tlog::witness::Proposal;
use daypass_tlog::{Checkpoint, Hash, Tree};

/// Proofs of trees larger than this are not made here: their lists are long before they say anything new.
const LARGEST: u64 = 1 << 20;

/// The first line may be a key; what follows is a note.
pub(crate) fn note(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (key, rest) = text.split_once('\n').unwrap_or(("", &text));
    let key: Option<Verifier> = key.parse().ok();
    if let Some(key) = &key {
        assert!(
            key.to_string().parse().as_ref() == Ok(key),
            "a key is not what it is written as"
        );
    }
    for bytes in [data, rest.as_bytes()] {
        let Ok(note) = Note::parse(bytes) else { continue };
        let again = note.to_string();
        assert_eq!(
            Note::parse(again.as_bytes()).as_ref(),
            Ok(&note),
            "a note is not what it is written as"
        );
        if let Some(key) = &key {
            let verified = note.verify(key).is_ok();
            let signed = note.signatures().iter().any(|signature| signature.is_by(key));
            assert!(signed || !verified, "a note verifies without a signature");
        }
    }
}

pub(crate) fn checkpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(read) = text.parse::<Checkpoint>() {
        assert_eq!(
            read.to_string().parse().as_ref(),
            Ok(&read),
            "a checkpoint is not what it is written as"
        );
    }
}

pub(crate) fn tile(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (path, rest) = data.split_at(end);
    let body = rest.get(1..).unwrap_or_default();
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let Ok(tile) = path.parse::<Tile>() else { return };
    assert_eq!(tile.to_string(), path, "one tile has two paths");
    assert_eq!(tile.nodes().count(), usize::from(tile.width()));
    match tile.kind() {
        Kind::Entries => {
            if let Ok(entries) = tile.entries(body) {
                assert_eq!(entries.len(), usize::from(tile.width()));
                let again = bundle(entries);
                assert_eq!(
                    again.as_deref(),
                    Ok(body),
                    "a bundle is not what it is written as"
                );
            }
        }
        Kind::Hashes { .. } => {
            if let Ok(hashes) = tile.hashes(body) {
                let whole = root(&hashes).is_some();
                assert_eq!(whole, hashes.len().is_power_of_two());
            }
        }
    }
}

fn number(data: &mut &[u8]) -> u64 {
    let Some((first, rest)) = data.split_first_chunk::<8>() else {
        return 0;
    };
    *data = rest;
    u64::from_be_bytes(*first)
}

fn hash(data: &mut &[u8]) -> Hash {
    let Some((first, rest)) = data.split_first_chunk::<32>() else {
        return Hash::default();
    };
    *data = rest;
    *first
}

pub(crate) fn proof(mut data: &[u8]) {
    let data = &mut data;
    let (part, size) = (number(data), number(data));
    let (of_part, head) = (hash(data), hash(data));
    let (hashes, _) = data.as_chunks::<32>();
    let _shown = verify_inclusion((part, &of_part), (size, &head), hashes);
    let _begins = verify_consistency((part, &of_part), (size, &head), hashes);
    let size = size % LARGEST;
    let part = part % (size + 2);
    for made in [Proof::of_inclusion(part, size), Proof::of_consistency(part, size)] {
        let Ok(made) = made else { continue };
        assert!(
            made.needs().all(|one| one
                .index
                .checked_shl(one.level.into())
                .is_some_and(|first| first < size)),
            "a proof needs what is not there"
        );
        let built = made.build(|_| Some(head));
        assert!(built.is_some(), "a proof cannot be built from all that it needs");
    }
    let peaks: Vec<Hash> = hashes.to_vec();
    if let Ok(tree) = Tree::resume(size, peaks) {
        assert_eq!(tree.size(), size);
    }
}

pub(crate) fn proposal(data: &[u8]) {
    let Ok(proposal) = Proposal::parse(data) else {
        return;
    };
    let again = Proposal::parse(proposal.to_string().as_bytes());
    assert!(again.is_ok(), "a proposal cannot be read as it is written");
}
