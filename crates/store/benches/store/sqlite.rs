//! Transitions on SQLite against raw commits of as many bytes, both in WAL mode with `synchronous = FULL`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use daypass_core::time::Timestamp;
use daypass_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::spread::Spread;
use crate::work::{people, transitions};
use crate::{COMMITS, ROUNDS};

/// About what an event of a person and its row take.
const BYTES: usize = 700;

pub(crate) async fn run() -> Value {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(|| Timestamp::EPOCH);
    let file = Store::open_sqlite(&folder.path().join("store.sqlite"), clock, "bench")
        .await
        .unwrap();
    people(&file).await;
    let raw = raw_open(&folder.path().join("raw.sqlite"));
    let (mut one, mut many) = (Vec::new(), Vec::new());
    println!("SQLite: raw commits/s, transitions/s with 1 client, with 64 clients");
    for _ in 0..ROUNDS {
        let peer = rate(COMMITS, || raw_commits(&raw));
        let single = transitions(&file, 1, COMMITS).await;
        let group = transitions(&file, 64, COMMITS * 20).await;
        println!("  {peer:8.0} {single:8.0} {group:8.0}");
        one.push(single / peer);
        many.push(group / peer);
    }
    let (one, many) = (Spread::of(one), Spread::of(many));
    println!("  ratio with 1 client: {one} (target: at least 0.8), with 64: {many} (target: at least 5)");
    json!({"benchmark": "transitions-sqlite", "rounds": ROUNDS, "ratio_1": one.json(), "ratio_64": many.json()})
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
                 CREATE TABLE c (id INTEGER PRIMARY KEY, d BLOB); INSERT INTO c VALUES (1, zeroblob(10));";
    connection.execute_batch(setup).unwrap();
    connection
}

fn raw_commits(connection: &rusqlite::Connection) {
    for n in 0..COMMITS {
        let bytes = vec![u8::try_from(n % 256).unwrap(); BYTES];
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        connection
            .prepare_cached("INSERT INTO a (b) VALUES (?1)")
            .unwrap()
            .execute([&bytes])
            .unwrap();
        connection
            .prepare_cached("UPDATE c SET d = ?1")
            .unwrap()
            .execute([&bytes])
            .unwrap();
        connection.execute_batch("COMMIT").unwrap();
    }
}
