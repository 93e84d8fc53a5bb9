//! The signed log: what is kept of the tree, and the table of tampering. Each way to change a store by hand is found, by the check
//! that is named, in words that say where.

use std::ops::Range;

use daypass_core::event::{Actor, LogEvent, Subject, What};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use daypass_store::{Check, Error, Expect, KeptCheckpoint, Outcome, Scope, Store, verify_sqlite};
use daypass_tlog::key::{Signer, Use};
use daypass_tlog::proof::{Proof, verify_consistency, verify_inclusion};
use daypass_tlog::tile::{Kind, Tile};
use daypass_tlog::{Checkpoint, Note, Tree, leaf};

use crate::bench::{Bench, On, on_every_engine};
use crate::story::*;

on_every_engine!(
    nodes_tiles_and_proofs_are_those_of_the_entries,
    what_is_behind_the_log_is_not_to_be_had,
    tampering_is_found,
    a_store_that_was_put_back_is_found_by_who_saw_more,
    that_the_log_went_on_after_a_loss_is_an_entry,
    what_no_bundle_can_hold_is_not_recorded,
);

fn signer(seed: u8) -> Signer {
    Signer::new("daypass/test".parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
}

fn signed(tree: &Tree, key: &Signer) -> KeptCheckpoint {
    let text = Checkpoint::of("daypass/test", tree).to_string();
    let mut note = Note::new(text).unwrap();
    note.sign(key, 0);
    KeptCheckpoint {
        size: tree.size(),
        note: note.to_string(),
        at: Timestamp::EPOCH,
    }
}

fn expect(key: &Signer) -> Expect {
    Expect {
        keys: vec![key.verifier().clone()],
        seen: Vec::new(),
    }
}

async fn sign(store: &Store, key: &Signer) {
    let head = store.log_head().await.unwrap();
    let tree = store.log_tree(head.size).await.unwrap();
    assert_eq!(tree.head(), *head.root.bytes());
    store.keep_checkpoint(signed(&tree, key)).await.unwrap();
}

/// Many events that cost little: each is about the log itself.
async fn fill(store: &Store, count: u64) {
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
async fn told(store: &Store, key: &Signer) {
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

/// One way to tamper: what it is called, the statements, which check finds it, and what its message says.
struct Tampering {
    name: &'static str,
    sql: &'static str,
    check: Check,
    says: &'static str,
}

/// SQL that both databases take.
const TABLE: [Tampering; 14] = [
    Tampering {
        name: "one byte of an event is flipped",
        sql: "UPDATE events SET bytes = (SELECT bytes FROM events WHERE leaf_index = 1) WHERE leaf_index = 0",
        check: Check::Entry,
        says: "entry 0 is not what its leaf is the hash of",
    },
    Tampering {
        name: "an event's bytes are changed, and its hash with them",
        sql: "UPDATE events SET (bytes, leaf_hash) = (SELECT bytes, leaf_hash FROM events WHERE leaf_index = 200) WHERE leaf_index = 100",
        check: Check::Checkpoint,
        says: "the first 264 entries are not those that the checkpoint of 264 was signed over",
    },
    Tampering {
        name: "what lists go by is changed beside an event",
        sql: "UPDATE events SET subject = 'R0000000000000000' WHERE leaf_index = 0",
        check: Check::Entry,
        says: "its column subject says something else",
    },
    Tampering {
        name: "a state row is changed",
        sql: "UPDATE grants SET document = replace(document, '\"1h\"', '\"9h\"')",
        check: Check::Tables,
        says: "the tables say \"9h\", the log says \"1h\"",
    },
    Tampering {
        name: "a deadline is changed beside a state row",
        sql: "UPDATE grants SET wakes_at = 4102444800000000, due_at = 4102444800000000",
        check: Check::Tables,
        says: "its column due_at says 2100-01-01T00:00:00Z",
    },
    Tampering {
        name: "a state row is deleted",
        sql: "DELETE FROM requests WHERE state = 'pending'",
        check: Check::Tables,
        says: "the log has it, and the tables do not",
    },
    Tampering {
        name: "a node of a tile is changed",
        sql: "UPDATE nodes SET hash = (SELECT leaf_hash FROM events WHERE leaf_index = 0)",
        check: Check::Nodes,
        says: "node 0 of level 8 is not that of the entries below it",
    },
    Tampering {
        name: "the last event is deleted",
        sql: "DELETE FROM events WHERE leaf_index = 263",
        check: Check::Checkpoint,
        says: "a checkpoint of 264 entries was signed, and the log has 263",
    },
    Tampering {
        name: "an event in the middle is deleted",
        sql: "DELETE FROM events WHERE leaf_index = 100",
        check: Check::Place,
        says: "entry 100 is missing",
    },
    Tampering {
        name: "two events are reordered",
        sql: "UPDATE events SET leaf_index = -1 WHERE leaf_index = 100; \
              UPDATE events SET leaf_index = 100 WHERE leaf_index = 101; \
              UPDATE events SET leaf_index = 101 WHERE leaf_index = -1",
        check: Check::Checkpoint,
        says: "the first 264 entries are not those",
    },
    Tampering {
        name: "an event is inserted",
        sql: "UPDATE events SET leaf_index = 264 WHERE leaf_index = 100; \
              INSERT INTO events (id, leaf_index, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash) \
              SELECT 100000, 100, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash FROM events WHERE leaf_index = 101",
        check: Check::Checkpoint,
        says: "the first 264 entries are not those",
    },
    Tampering {
        name: "all checkpoints are deleted",
        sql: "DELETE FROM checkpoints",
        check: Check::Checkpoint,
        says: "nothing of the log's 264 entries was ever signed",
    },
    Tampering {
        name: "a checkpoint is put in the place of another",
        sql: "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 4) WHERE size = 264",
        check: Check::Checkpoint,
        says: "the checkpoint of 264: it says 4 entries",
    },
    Tampering {
        name: "somebody's words are changed",
        sql: "UPDATE texts SET words = salt",
        check: Check::Words,
        says: "are not those that were written",
    },
];

async fn tampering_is_found(bench: Bench) {
    if matches!(bench.on, On::Memory) {
        // Nobody else gets at a database in memory.
        return;
    }
    for row in &TABLE {
        let one = match &bench.on {
            On::Postgres { .. } => Bench::postgres().await,
            On::Memory | On::File { .. } => Bench::file().await,
        };
        check_row(one, &signer(1), row).await;
    }
}

async fn check_row(bench: Bench, key: &Signer, row: &Tampering) {
    told(&bench.store, key).await;
    bench.by_hand(row.sql).await.unwrap().unwrap();
    found(
        bench.store.verify_signed(expect(key)).await,
        row.check,
        row.says,
        row.name,
    );
    if let On::File { path, .. } = &bench.on {
        // The same on the file itself, without a server.
        found(
            verify_sqlite(path, expect(key)).await,
            row.check,
            row.says,
            row.name,
        );
    }
}

#[track_caller]
fn found<T: std::fmt::Debug>(verified: Result<T, Error>, expected: Check, says: &str, name: &str) {
    match verified {
        Err(Error::Differs { check, what }) => {
            assert_eq!(check, expected, "{name}: {what}");
            assert!(what.contains(says), "{name}: {what}");
        }
        other => panic!("{name}: {other:?}"),
    }
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

/// The page for auditors has the table, and says of each row what is so.
#[test]
fn the_table_of_the_page_is_the_one_that_is_tested() {
    let page = include_str!("../../../../docs/audit.md");
    for row in &TABLE {
        let line = format!("| {} | `{}` |", row.name, row.check.name());
        assert!(page.contains(&line), "docs/audit.md lacks: {line}");
    }
}
