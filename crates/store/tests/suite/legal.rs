//! The database refuses illegal transitions too, whoever writes them.

use std::collections::BTreeSet;

use daypass_core::world::LEGAL;

use crate::bench::{Bench, On, on_every_engine};
use crate::story::*;

on_every_engine!(
    the_table_of_legal_transitions_is_that_of_core,
    hand_written_lies_are_refused,
    an_event_of_an_illegal_step_is_refused,
);

async fn the_table_of_legal_transitions_is_that_of_core(bench: Bench) {
    let expected: BTreeSet<String> = LEGAL
        .iter()
        .map(|(kind, from, to)| format!("{kind}|{from}|{to}"))
        .collect();
    let query = "SELECT kind || '|' || from_state || '|' || to_state FROM legal_transitions";
    let found: BTreeSet<String> = match &bench.on {
        On::Memory => return,
        On::File { path, .. } => {
            let connection = rusqlite::Connection::open(path).unwrap();
            let mut statement = connection.prepare(query).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        }
        On::Postgres { .. } => {
            let lines = bench.by_hand(query).await.unwrap().unwrap();
            lines.lines().map(str::to_owned).collect()
        }
    };
    assert_eq!(found, expected);
}

async fn refused(bench: &Bench, sql: &str) {
    let before = bench.store.load_world().await.unwrap();
    if let Some(done) = bench.by_hand(sql).await {
        let error = done.expect_err(sql).to_lowercase();
        let told = [
            "foreign key",
            "previous_state",
            "comes from none",
            "check constraint",
        ];
        assert!(told.iter().any(|told| error.contains(told)), "{sql}: {error}");
    }
    assert_eq!(bench.store.load_world().await.unwrap(), before);
}

async fn hand_written_lies_are_refused(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    let key = activate(&bench.store, 1).await;
    finish(&bench.store, 1, &key).await;
    add(&bench.store, person(1, "ana"), Vec::new()).await.unwrap();
    apply_policy(&bench.store, "version: 1").await.unwrap();
    for sql in [
        // Back to life: the step itself, the step hidden in a lie, and a state that there is not.
        "UPDATE grants SET previous_state = state, state = 'active'",
        "UPDATE grants SET state = 'active'",
        "UPDATE grants SET previous_state = 'activating', state = 'active'",
        "UPDATE grants SET previous_state = state, state = 'eternal'",
        "UPDATE requests SET previous_state = state, state = 'pending'",
        "UPDATE requests SET previous_state = 'pending', state = 'denied'",
        "UPDATE entitlements SET previous_state = state, state = 'present'",
        "UPDATE entitlements SET previous_state = 'unknown', state = 'present'",
        "UPDATE people SET previous_state = 'none', state = 'active'",
        "UPDATE policy_state SET previous_state = 'none'",
        "UPDATE grants SET kind = 'person', previous_state = state, state = 'active'",
        "INSERT INTO grants (id, state, request, holder, opened_at, document) VALUES ('G2', 'active', 'R2', 'P2', 0, '{}')",
        "INSERT INTO grants (id, previous_state, state, request, holder, opened_at, document) \
         VALUES ('G2', 'activating', 'active', 'R2', 'P2', 0, '{}')",
        "INSERT INTO requests (id, state, requester, created_at, way, document) VALUES ('R2', 'approved', 'P2', 0, 'instant', '{}')",
    ] {
        refused(&bench, sql).await;
    }
}

async fn an_event_of_an_illegal_step_is_refused(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    let columns =
        "INSERT INTO events (id, at, actor, kind, subject, name, from_state, to_state, bytes, leaf_hash)";
    let rest = "FROM events LIMIT 1";
    let sql = format!(
        "{columns} SELECT 99, at, actor, kind, subject, name, 'approved', 'pending', bytes, leaf_hash {rest}"
    );
    refused(&bench, &sql).await;
}
