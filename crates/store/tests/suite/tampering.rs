//! The table of tampering: each way to change a store by hand is found, by the check that is named, in words that say where. And
//! each column that the events decide is held against them.

use std::path::Path;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::key::{Event as KeyEvent, Key};
use daypass_store::{Check, Error, Outcome, Scope, Store, verify_sqlite};

use self::Sql::{Both, Each};
use crate::bench::{Bench, On, on_every_engine};
use crate::signed::{expect, signer, told};
use crate::story::*;
use crate::{changes, locks, sessions};

on_every_engine!(tampering_is_found);

/// What is done by hand.
enum Sql {
    /// SQL that both databases take.
    Both(&'static str),
    /// SQL that each has of its own.
    Each {
        sqlite: &'static str,
        postgres: &'static str,
    },
}

/// One way to tamper: what it is called, the statements, which check finds it, and what its message says.
struct Tampering {
    name: &'static str,
    sql: Sql,
    check: Check,
    says: &'static str,
}

/// Each is done to a store of its own.
const TABLE: [Tampering; 23] = [
    Tampering {
        name: "one byte of an event is flipped",
        sql: Each {
            sqlite: "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"v\":1', '\"v\":3') AS BLOB) WHERE leaf_index = 0",
            postgres: "UPDATE events SET bytes = set_byte(bytes, 10, get_byte(bytes, 10) # 1) WHERE leaf_index = 0",
        },
        check: Check::Entry,
        says: "entry 0 is not what its leaf is the hash of",
    },
    Tampering {
        name: "an event's bytes are changed, and its hash with them",
        sql: Both(
            "UPDATE events SET (bytes, leaf_hash) = (SELECT bytes, leaf_hash FROM events WHERE leaf_index = 200) WHERE leaf_index = 100",
        ),
        check: Check::Checkpoint,
        says: "the first 264 entries are not those that the checkpoint of 264 was signed over",
    },
    Tampering {
        name: "an entry's hash is cut",
        sql: Each {
            sqlite: "UPDATE events SET leaf_hash = x'00' WHERE leaf_index = 5",
            postgres: "UPDATE events SET leaf_hash = '\\x00' WHERE leaf_index = 5",
        },
        check: Check::Entry,
        says: "entry 5: column 2 of a result is not of the expected type",
    },
    Tampering {
        name: "what lists go by is changed beside an event",
        sql: Both("UPDATE events SET subject = 'R0000000000000000' WHERE leaf_index = 0"),
        check: Check::Entry,
        says: "its column subject says something else",
    },
    Tampering {
        name: "a state row is changed",
        sql: Both("UPDATE grants SET document = replace(document, '\"1h\"', '\"9h\"')"),
        check: Check::Tables,
        says: "the tables say \"9h\", the log says \"1h\"",
    },
    Tampering {
        name: "a deadline is changed beside a state row",
        sql: Both("UPDATE grants SET wakes_at = 4102444800000000, due_at = 4102444800000000"),
        check: Check::Tables,
        says: "its column due_at says 2100-01-01T00:00:00Z",
    },
    Tampering {
        name: "a state row is deleted",
        sql: Both(
            "DELETE FROM request_items WHERE request_id IN (SELECT id FROM requests WHERE state = 'pending'); \
             DELETE FROM requests WHERE state = 'pending'",
        ),
        check: Check::Tables,
        says: "the log has it, and the tables do not",
    },
    Tampering {
        name: "a node of a tile is changed",
        sql: Both("UPDATE nodes SET hash = (SELECT leaf_hash FROM events WHERE leaf_index = 0)"),
        check: Check::Nodes,
        says: "node 0 of level 8 is not that of the entries below it",
    },
    Tampering {
        name: "the last event is deleted",
        sql: Both("DELETE FROM events WHERE leaf_index = 263"),
        check: Check::Checkpoint,
        says: "a checkpoint of 264 entries was signed, and the log has 263",
    },
    Tampering {
        name: "an event in the middle is deleted",
        sql: Both("DELETE FROM events WHERE leaf_index = 100"),
        check: Check::Place,
        says: "entry 100 is missing",
    },
    Tampering {
        name: "two events are reordered",
        sql: Both(
            "UPDATE events SET leaf_index = 100000 WHERE leaf_index = 100; \
              UPDATE events SET leaf_index = 100 WHERE leaf_index = 101; \
              UPDATE events SET leaf_index = 101 WHERE leaf_index = 100000",
        ),
        check: Check::Checkpoint,
        says: "the first 264 entries are not those",
    },
    Tampering {
        name: "an event is inserted",
        sql: Both(
            "UPDATE events SET leaf_index = 264 WHERE leaf_index = 100; \
              INSERT INTO events (id, leaf_index, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash) \
              SELECT 100000, 100, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash FROM events WHERE leaf_index = 101",
        ),
        check: Check::Checkpoint,
        says: "the first 264 entries are not those",
    },
    Tampering {
        name: "all checkpoints are deleted",
        sql: Both("DELETE FROM checkpoints"),
        check: Check::Checkpoint,
        says: "nothing of the log's 264 entries was ever signed",
    },
    Tampering {
        name: "a checkpoint is put in the place of another",
        sql: Both(
            "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 4) WHERE size = 264",
        ),
        check: Check::Checkpoint,
        says: "the checkpoint of 264: it says 4 entries",
    },
    Tampering {
        name: "somebody's words are changed",
        sql: Both("UPDATE texts SET words = salt"),
        check: Check::Words,
        says: "are not those that were written",
    },
    Tampering {
        name: "an event is taken out of the log before it is signed",
        sql: Both("UPDATE events SET leaf_index = NULL WHERE leaf_index = 263"),
        check: Check::Place,
        says: "has no place and does not wait for one in outbox",
    },
    Tampering {
        name: "an event is given a place outside the log",
        sql: Each {
            sqlite: "PRAGMA ignore_check_constraints = ON; UPDATE events SET leaf_index = -1 WHERE leaf_index = 263",
            postgres: "ALTER TABLE events DROP CONSTRAINT events_leaf_index_check; \
                       UPDATE events SET leaf_index = -1 WHERE leaf_index = 263",
        },
        check: Check::Place,
        says: "has the place -1, which no log has",
    },
    Tampering {
        name: "an entry is told to take a second place",
        sql: Both("INSERT INTO outbox (event_id) SELECT id FROM events WHERE leaf_index = 0"),
        check: Check::Place,
        says: "it would get two",
    },
    Tampering {
        name: "what a grant gives is deleted, by which locks find it",
        sql: Both("DELETE FROM grant_parts"),
        check: Check::Tables,
        says: ":0: the log has it, and the tables do not",
    },
    Tampering {
        name: "what a grant gives is moved to another resource",
        sql: Both("UPDATE grant_parts SET resource = 'other'"),
        check: Check::Tables,
        says: "its column resource says \"other\", the log says \"orders\"",
    },
    Tampering {
        name: "a step that no access takes is made legal",
        sql: Both("INSERT INTO legal_transitions VALUES ('grant', 'ended', 'active')"),
        check: Check::Tables,
        says: "the step of a grant from ended to active was put in or taken out",
    },
    Tampering {
        name: "the installation is given another id",
        sql: Both("UPDATE meta SET value = 'other' WHERE name = 'installation'"),
        check: Check::Tables,
        says: "by it this is the store of daypass/other",
    },
    Tampering {
        name: "a checkpoint is put in for another size",
        sql: Both(
            "INSERT INTO checkpoints (size, note, at) SELECT 200, note, at FROM checkpoints WHERE size = 264",
        ),
        check: Check::Checkpoint,
        says: "the checkpoint of 200: it says 264 entries",
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
        check_row(one, row).await;
    }
}

async fn check_row(bench: Bench, row: &Tampering) {
    let key = &signer(1);
    told(&bench.store, key).await;
    let sql = match (&row.sql, &bench.on) {
        (Both(sql), _) => sql,
        (Each { postgres, .. }, On::Postgres { .. }) => postgres,
        (Each { sqlite, .. }, _) => sqlite,
    };
    bench.by_hand(sql).await.unwrap().unwrap();
    let verified = bench.store.verify_signed(expect(key)).await;
    found(verified, row.check, row.says, row.name);
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
pub(crate) fn found<T: std::fmt::Debug>(verified: Result<T, Error>, expected: Check, says: &str, name: &str) {
    match verified {
        Err(Error::Differs { check, what }) => {
            assert_eq!(check, expected, "{name}: {what}");
            assert!(what.contains(says), "{name}: {what}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// Ways to tamper that the page has and other tests do.
const ELSEWHERE: [&str; 5] = [
    // `a_store_that_was_put_back_is_found_by_who_saw_more`; the server's own tests put a store back.
    "the last events are deleted with their checkpoints, and the head is rewritten",
    "the store's file is copied back to yesterday",
    // The same test, and that of the client.
    "the log is signed with another key",
    // `yesterdays_store_is_found_by_the_witness_and_by_the_pins`, with the built binary; and the tests of the pins.
    "the store's file and the server's own memory are copied back to yesterday",
    "the log is rewritten from some entry on and signed anew, with the server's key",
];

/// The page for auditors has the table, says of each row what is so, and has no row that no test does.
#[test]
fn the_table_of_the_page_is_the_one_that_is_tested() {
    let page = include_str!("../../../../docs/audit.md");
    for row in &TABLE {
        let line = format!("| {} | `{}` |", row.name, row.check.name());
        assert!(page.contains(&line), "docs/audit.md lacks: {line}");
    }
    let (_, list) = page
        .split_once("| what somebody does to the database | found by |\n")
        .unwrap();
    let rows = list.lines().skip(1).take_while(|line| line.starts_with("| "));
    for line in rows {
        let name = line.split(" | ").next().unwrap().trim_start_matches("| ");
        let tested = TABLE.iter().any(|row| row.name == name) || ELSEWHERE.contains(&name);
        assert!(tested, "no test does: {name}");
    }
}

/// Something in every table that the events make.
async fn everything(store: &Store) {
    add(store, person(1, "ana"), Vec::new()).await.unwrap();
    apply_policy(store, "version: 1").await.unwrap();
    changes::propose(store, 1).await.unwrap();
    ask(store, Asked::new(1, &[])).await.unwrap();
    ask(store, Asked::new(2, &[1])).await.unwrap();
    activate(store, 1).await;
    sessions::open(store, 1, 1, "gw").await.unwrap();
    locks::set(store, locks::orders(), true).await.unwrap();
    let decide = |_: &_, _| {
        let event = KeyEvent::Resealed {
            id: "5f".into(),
            values: 0,
        };
        Ok(Outcome::one(
            Actor::System,
            Subject::Key(Key::Sealing),
            What::Key(event),
        ))
    };
    store.transition(Scope::Key(Key::Sealing), decide).await.unwrap();
    while !store.sequence(100).await.unwrap().is_empty() {}
}

/// The tables that the events make, row by row.
const MADE: [&str; 15] = [
    "requests",
    "request_items",
    "grants",
    "grant_parts",
    "entitlements",
    "sessions",
    "people",
    "locks",
    "changes",
    "change_files",
    "key_states",
    "policy_state",
    "policies",
    "directory_state",
    "legal_transitions",
];

#[tokio::test]
async fn no_column_that_the_events_decide_can_be_changed_unseen() {
    let bench = Bench::file().await;
    everything(&bench.store).await;
    let On::File { path, .. } = &bench.on else {
        unreachable!("it is one")
    };
    bench.store.verify().await.unwrap();
    drop(bench.store);
    verify_sqlite(path, Default::default()).await.unwrap();
    let copy = path.with_extension("copy");
    for table in MADE {
        for (column, kind) in columns(path, table) {
            // Which kind of row it is, a check of the database alone says; nothing reads it.
            if column == "kind" && table != "legal_transitions"
                || column == "id" && table == "directory_state"
            {
                continue;
            }
            let other = if kind == "INTEGER" {
                format!("coalesce({column}, 0) + 1")
            } else {
                format!("coalesce({column}, '') || 'x'")
            };
            std::fs::copy(path, &copy).unwrap();
            by_force(&copy, table, &format!("UPDATE {table} SET {column} = {other}"));
            let verified = verify_sqlite(&copy, Default::default()).await;
            assert!(
                matches!(
                    verified,
                    Err(Error::Differs {
                        check: Check::Tables,
                        ..
                    })
                ),
                "{table}.{column}: {verified:?}"
            );
        }
        std::fs::copy(path, &copy).unwrap();
        by_force(&copy, table, &format!("DELETE FROM {table}"));
        let verified = verify_sqlite(&copy, Default::default()).await;
        assert!(verified.is_err(), "{table}: {verified:?}");
    }
}

/// The columns of a table and what they hold. Those that the database computes cannot be written.
fn columns(path: &Path, table: &str) -> Vec<(String, String)> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let text = format!("SELECT name, type FROM pragma_table_xinfo('{table}') WHERE hidden = 0");
    let mut statement = connection.prepare(&text).unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// Does what the database would refuse.
fn by_force(path: &Path, table: &str, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; \
             DROP TRIGGER IF EXISTS {table}_begins; DROP TRIGGER IF EXISTS {table}_steps"
        ))
        .unwrap();
    let changed = connection.execute(sql, []).unwrap();
    assert!(changed > 0, "nothing is in {table}");
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}
