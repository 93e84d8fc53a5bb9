//! The signed log: what is kept of the tree and of checkpoints, and what a store is held against that was signed.

use std::ops::Range;

use daypass_core::event::{Actor, LogEvent, Subject, What};
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Check, Error, Expect, KeptCheckpoint, Outcome, Scope, Store, verify_sqlite};
use daypass_tlog::key::{Signer, Use};
use daypass_tlog::proof::{Proof, verify_consistency, verify_inclusion};
use daypass_tlog::tile::{Kind, Tile};
use daypass_tlog::{Checkpoint, Note, Tree, leaf};

use crate::bench::{Bench, On, on_every_engine};
use crate::story::*;
use crate::tampering::found;

on_every_engine!(
    nodes_tiles_and_proofs_are_those_of_the_entries,
    what_is_behind_the_log_is_not_to_be_had,
    what_is_not_signed_in_time_is_found,
    two_checkpoints_of_one_size_are_two_logs,
    a_store_that_was_put_back_is_found_by_who_saw_more,
    that_the_log_went_on_after_a_loss_is_an_entry,
    what_no_bundle_can_hold_is_not_recorded,
);

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::new("daypass/test".parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
}

pub(crate) fn signed(tree: &Tree, key: &Signer) -> KeptCheckpoint {
    let text = Checkpoint::of("daypass/test", tree).to_string();
    let mut note = Note::new(text).unwrap();
    note.sign(key, 0);
    KeptCheckpoint {
        size: tree.size(),
        note: note.to_string(),
        at: Timestamp::EPOCH,
    }
}

pub(crate) fn expect(key: &Signer) -> Expect {
    Expect {
        keys: vec![key.verifier().clone()],
        seen: Vec::new(),
    }
}

pub(crate) async fn sign(store: &Store, key: &Signer) {
    let head = store.log_head().await.unwrap();
    let tree = store.log_tree(head.size).await.unwrap();
    assert_eq!(tree.head(), *head.root.bytes());
    store.keep_checkpoint(signed(&tree, key)).await.unwrap();
}

/// Many events that cost little: each is about the log itself.
pub(crate) async fn fill(store: &Store, count: u64) {
    let event = |n: u64| LogEvent::Continued {
        signed_size: n,
        signed_head: Hash::of(&n.to_be_bytes()),
        kept_size: 0,
        kept_head: Hash::of(b""),
    };
    let events: Vec<_> = (0..count)
        .map(|n| (Actor::System, Subject::Log, What::Log(event(n))))
        .collect();
    let decide = move |_: &_, _| {
        Ok(Outcome {
            events,
            side: Vec::new(),
        })
    };
    store.transition(Scope::Log, decide).await.unwrap();
    while !store.sequence(300).await.unwrap().is_empty() {}
}

async fn nodes_tiles_and_proofs_are_those_of_the_entries(bench: Bench) {
    let store = &bench.store;
    fill(store, 600).await;
    let all = store.log_bytes(0..600).await.unwrap();
    let leaves: Vec<_> = all.iter().map(|bytes| leaf(bytes)).collect();
    for size in [1, 2, 255, 256, 257, 511, 512, 600_u64] {
        let tree: Tree = leaves[..usize::try_from(size).unwrap()].iter().copied().collect();
        assert_eq!(store.log_tree(size).await.unwrap(), tree, "{size}");
        for index in [0, size / 2, size - 1] {
            let proof = Proof::of_inclusion(index, size).unwrap();
            let [proof] = store
                .log_proofs(vec![proof], size)
                .await
                .unwrap()
                .try_into()
                .unwrap();
            let at = leaves[usize::try_from(index).unwrap()];
            verify_inclusion((index, &at), (size, &tree.head()), &proof).unwrap();
        }
        let whole: Tree = leaves.iter().copied().collect();
        let proof = Proof::of_consistency(size, 600).unwrap();
        let proof = store.log_proof(proof, 600).await.unwrap();
        verify_consistency((size, &tree.head()), (600, &whole.head()), &proof).unwrap();
    }
    for tile in Tile::all(Kind::Entries, 600) {
        let bytes = store.log_tile(tile).await.unwrap();
        let Range { start, end } = tile.nodes();
        let part = &all[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
        assert_eq!(
            tile.entries(&bytes).unwrap(),
            part.iter().map(Vec::as_slice).collect::<Vec<_>>()
        );
    }
    for level in [0, 1] {
        for tile in Tile::all(Kind::Hashes { level }, 600) {
            let bytes = store.log_tile(tile).await.unwrap();
            for (hash, at) in tile.hashes(&bytes).unwrap().iter().zip(tile.nodes()) {
                let from = usize::try_from(at << (8 * level)).unwrap();
                let below: Tree = leaves[from..from + (1 << (8 * level))].iter().copied().collect();
                assert_eq!(*hash, below.head(), "{tile}");
            }
        }
    }
    store.verify().await.unwrap();
}

async fn what_is_behind_the_log_is_not_to_be_had(bench: Bench) {
    fill(&bench.store, 3).await;
    let beyond = Tile::within(Kind::Entries, 0, 4).unwrap();
    assert!(matches!(
        bench.store.log_tile(beyond).await,
        Err(Error::Corrupt(_))
    ));
    assert!(matches!(bench.store.log_tree(4).await, Err(Error::Corrupt(_))));
    assert!(matches!(
        bench.store.log_bytes(2..9).await,
        Err(Error::Corrupt(_))
    ));
}

async fn that_the_log_went_on_after_a_loss_is_an_entry(bench: Bench) {
    fill(&bench.store, 1).await;
    let told = bench.store.log_bytes(0..1).await.unwrap();
    let text = String::from_utf8(told[0].clone()).unwrap();
    assert!(
        text.contains("\"continued\"") && text.contains("\"signed_size\""),
        "{text}"
    );
    bench.store.verify().await.unwrap();
}

async fn what_no_bundle_can_hold_is_not_recorded(bench: Bench) {
    let many: String = (0..2_000).map(|n| format!("group-{n},")).collect();
    let names: Vec<String> = many.split(',').map(str::to_owned).collect();
    let event = daypass_core::event::PolicyEvent::Applied {
        revision: Hash::of(b"x"),
        files: names
            .iter()
            .map(|name| (name.clone(), Hash::of(name.as_bytes())))
            .collect(),
        summary: Vec::new(),
        change: None,
    };
    let decide = move |_: &_, _| Ok(Outcome::one(Actor::System, Subject::Policy, What::Policy(event)));
    let refused = bench.store.transition(Scope::Policy, decide).await.unwrap_err();
    assert!(refused.to_string().contains("65535 at most"), "{refused}");
    bench.store.verify().await.unwrap();
}

/// A log of 260 entries: a request with its grant, others, and what fills a tile. Signed twice.
pub(crate) async fn told(store: &Store, key: &Signer) {
    ask(store, Asked::new(1, &[])).await.unwrap();
    ask(store, Asked::new(2, &[1])).await.unwrap();
    while !store.sequence(100).await.unwrap().is_empty() {}
    sign(store, key).await;
    fill(store, 260).await;
    sign(store, key).await;
    let head = store.log_head().await.unwrap();
    assert_eq!(head.size, 264, "what the table below counts on");
    store.verify_signed(expect(key)).await.unwrap();
}

/// The last event is taken away with all that would tell, then something else is signed in its place.
async fn a_store_that_was_put_back_is_found_by_who_saw_more(bench: Bench) {
    let (key, other) = (signer(1), signer(2));
    told(&bench.store, &key).await;
    let seen: Tree = bench.store.log_tree(264).await.unwrap();
    let before = bench.store.log_tree(263).await.unwrap();
    let peaks: String = before
        .peaks()
        .iter()
        .flatten()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let literal = match &bench.on {
        On::Postgres { .. } => format!("'\\x{peaks}'"),
        _ => format!("x'{peaks}'"),
    };
    let sql = format!(
        "DELETE FROM events WHERE leaf_index = 263; DELETE FROM checkpoints WHERE size = 264; \
         UPDATE log_head SET size = 263, peaks = {literal}"
    );
    let Some(done) = bench.by_hand(&sql).await else {
        return;
    };
    done.unwrap();
    // The store alone looks right, and so does a copy of yesterday's.
    bench.store.verify_signed(expect(&key)).await.unwrap();
    let saw = Expect {
        seen: vec![Checkpoint::of("daypass/test", &seen)],
        ..expect(&key)
    };
    let verified = bench.store.verify_signed(saw.clone()).await;
    found(
        verified,
        Check::Seen,
        "a checkpoint of 264 entries was signed, and the log has 263",
        "cut",
    );
    // Something else in its place.
    fill(&bench.store, 3).await;
    bench
        .store
        .keep_checkpoint(signed(&bench.store.log_tree(266).await.unwrap(), &other))
        .await
        .unwrap();
    let verified = bench.store.verify_signed(expect(&key)).await;
    found(
        verified,
        Check::Checkpoint,
        "the checkpoint of 266: the note is not signed by",
        "re-signed",
    );
    let verified = bench
        .store
        .verify_signed(Expect {
            keys: vec![other.verifier().clone(), key.verifier().clone()],
            ..saw
        })
        .await;
    found(
        verified,
        Check::Seen,
        "the first 264 entries are not those of the checkpoint that was seen",
        "forked",
    );
}

#[tokio::test]
async fn a_file_that_is_none_is_said_so_and_not_made() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("none.sqlite");
    assert!(matches!(
        verify_sqlite(&path, Expect::default()).await,
        Err(Error::Unavailable(_))
    ));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(verify_sqlite(&path, Expect::default()).await.is_err());
}

/// Where time is ours: what happens is signed soon, or somebody is told.
async fn what_is_not_signed_in_time_is_found(bench: Bench) {
    if matches!(bench.on, On::Postgres { .. }) {
        // Its clock goes as it goes.
        return;
    }
    let (store, key) = (&bench.store, signer(1));
    told(store, &key).await;
    ask(store, Asked::new(3, &[])).await.unwrap();
    bench.advance(Span::minutes(1));
    ask(store, Asked::new(4, &[])).await.unwrap();
    let verified = store.verify_signed(expect(&key)).await.unwrap();
    assert!(verified.waiting > 0, "a minute is not too long");
    bench.advance(Span::seconds(1));
    ask(store, Asked::new(5, &[])).await.unwrap();
    let says = "is not signed although there are events of";
    // Whether it waits for its place, or has it.
    found(
        store.verify_signed(expect(&key)).await,
        Check::Checkpoint,
        says,
        "waiting",
    );
    while !store.sequence(100).await.unwrap().is_empty() {}
    found(
        store.verify_signed(expect(&key)).await,
        Check::Checkpoint,
        says,
        "unsigned",
    );
    store.verify().await.unwrap();
    sign(store, &key).await;
    let verified = store.verify_signed(expect(&key)).await.unwrap();
    assert_eq!(
        (verified.signed, verified.signed_at),
        (Some(verified.head.size), verified.newest)
    );
    assert_eq!(verified.texts_missing, 0);
}

async fn two_checkpoints_of_one_size_are_two_logs(bench: Bench) {
    let (store, key) = (&bench.store, signer(1));
    told(store, &key).await;
    let whole = Checkpoint::of("daypass/test", &store.log_tree(4).await.unwrap());
    let other = Checkpoint {
        head: [7; 32],
        ..whole.clone()
    };
    for seen in [[whole.clone(), other.clone()], [other, whole]] {
        let saw = Expect {
            seen: seen.into(),
            ..expect(&key)
        };
        let verified = store.verify_signed(saw).await;
        found(
            verified,
            Check::Seen,
            "two checkpoints of 4 entries have two heads",
            "both",
        );
    }
}

#[tokio::test]
async fn a_copy_in_a_folder_that_cannot_be_written_is_looked_into() {
    let bench = Bench::file().await;
    let key = signer(1);
    told(&bench.store, &key).await;
    let On::File { path, .. } = &bench.on else {
        unreachable!("it is one")
    };
    let folder = tempfile::TempDir::new().unwrap();
    let copy = folder.path().join("a copy, 100% of #1?.sqlite");
    drop(bench.store);
    std::fs::copy(path, &copy).unwrap();
    verify_sqlite(&copy, expect(&key)).await.unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing is made beside it");
}

#[tokio::test]
async fn a_store_of_another_version_is_not_looked_into() {
    let bench = Bench::file().await;
    bench
        .by_hand("UPDATE refinery_schema_history SET checksum = '1'")
        .await
        .unwrap()
        .unwrap();
    let On::File { path, .. } = &bench.on else {
        unreachable!("it is one")
    };
    let refused = verify_sqlite(path, Expect::default()).await.unwrap_err();
    assert!(
        refused.to_string().contains("not those of this version"),
        "{refused}"
    );
}

#[tokio::test]
async fn looking_into_a_postgresql_store_makes_and_writes_nothing() {
    let bench = Bench::postgres().await;
    let key = signer(1);
    told(&bench.store, &key).await;
    let On::Postgres { database } = &bench.on else {
        unreachable!("it is one")
    };
    daypass_store::verify_postgres(&crate::bench::options(database), expect(&key))
        .await
        .unwrap();
    bench
        .by_hand("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .unwrap()
        .unwrap();
    let refused = daypass_store::verify_postgres(&crate::bench::options(database), Expect::default()).await;
    assert!(refused.is_err());
    let tables = bench
        .by_hand("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tables.trim(), "0", "no tables were made");
}
