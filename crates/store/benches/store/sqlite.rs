//! Transitions on SQLite against raw commits of as many bytes, both in WAL mode with `synchronous = FULL`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use daypass_core::time::Timestamp;
use daypass_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::spread::{Spread, steady};
use crate::work::Work;
use crate::{COMMITS, TRIES, enough};

pub(crate) async fn run() -> Value {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(|| Timestamp::EPOCH);
    let store = Store::open_sqlite(&folder.path().join("store.sqlite"), clock, "bench")
        .await
        .unwrap();
    let work = Work::on(store);
    let bytes = work.bytes().await;
    let raw = raw_open(&folder.path().join("raw.sqlite"));
    let (mut one, mut many) = (Vec::new(), Vec::new());
    println!("SQLite: raw commits/s of {bytes} bytes twice, transitions/s with 1 client, with 64, raw again");
    for _ in 0..TRIES {
        let before = rate(COMMITS, || raw_commits(&raw, bytes));
        let single = work.transitions(1, COMMITS).await;
        let group = work.transitions(64, COMMITS * 8).await;
        let after = rate(COMMITS, || raw_commits(&raw, bytes));
        print!("  {before:8.0} {single:8.0} {group:8.0} {after:8.0}");
        if let Some(peer) = steady(before, after) {
            one.push(single / peer);
            many.push(group / peer);
        }
        if enough(&one) {
            break;
        }
    }
    let rounds = one.len();
    let (one, many) = (Spread::of(one), Spread::of(many));
    println!("  ratio with 1 client: {one} (target: at least 0.8), with 64: {many} (target: at least 5)");
    json!({"benchmark": "transitions-sqlite", "rounds": rounds, "ratio_1": one.json(), "ratio_64": many.json()})
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    f64::from(u32::try_from(count).unwrap()) / begun.elapsed().as_secs_f64()
}

fn raw_open(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    let setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE a (id INTEGER PRIMARY KEY, b BLOB); \
                 CREATE TABLE c (id INTEGER PRIMARY KEY, d BLOB);";
    connection.execute_batch(setup).unwrap();
    connection
}

/// What a transition writes at least: its event, and the state that it led to, which is about as long.
fn raw_commits(connection: &rusqlite::Connection, bytes: usize) {
    for n in 0..COMMITS {
        let bytes = vec![u8::try_from(n % 256).unwrap(); bytes];
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for text in ["INSERT INTO a (b) VALUES (?1)", "INSERT INTO c (d) VALUES (?1)"] {
            connection
                .prepare_cached(text)
                .unwrap()
                .execute([&bytes])
                .unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    }
}
