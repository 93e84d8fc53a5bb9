//! The log: what it costs a transition to be in it, and how long it takes to verify.
//!
//! Beside raw SHA-256 over the same bytes stand the tree over them (each leaf and node hashed: what a verifier of the log alone
//! does) and `audit verify --store`, which reads each row, parses and replays each event, and compares the tables.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use daypass_core::time::Timestamp;
use daypass_store::Store;
use daypass_tlog::{Tree, leaf};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::ROUNDS;
use crate::spread::Spread;
use crate::work::Work;

/// Transitions in each round.
const TRANSITIONS: usize = 6_400;
/// How often all bytes are hashed in a round: once is too short to be told from noise.
const TIMES: u32 = 20;

pub(crate) async fn run() -> Value {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(|| Timestamp::EPOCH);
    let store = Store::open_sqlite(&folder.path().join("store.sqlite"), clock, "bench")
        .await
        .unwrap();
    let work = Work::on(store.clone());
    let mut size = 0;
    let (mut appended, mut hashed, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    println!(
        "The log: µs a transition (64 clients), its place in the tree; µs an entry: raw SHA-256, tree, verify --store"
    );
    for _ in 0..ROUNDS {
        let transition = 1e6 / work.transitions(64, TRANSITIONS).await;
        let place = timed(async { while !store.sequence(1_000).await.unwrap().is_empty() {} }).await;
        let place = place / count(TRANSITIONS);
        let before = std::mem::replace(&mut size, store.log_head().await.unwrap().size);
        let bytes = store.log_bytes(before..size).await.unwrap();
        let joined = bytes.concat();
        let raw = often(|| {
            black_box(Sha256::digest(black_box(&joined)));
        });
        let tree = often(|| {
            let tree: Tree = bytes.iter().map(|bytes| leaf(bytes)).collect();
            black_box(tree.head());
        });
        let verified = timed(async {
            store.verify().await.unwrap();
        })
        .await;
        let [raw, tree] = [raw, tree].map(|time| time / count(bytes.len()));
        let verified = verified / f64::from(u32::try_from(size).unwrap());
        println!("  {transition:8.1} {place:8.1} {raw:8.3} {tree:8.3} {verified:8.1}");
        appended.push(place / transition);
        hashed.push(raw / tree);
        whole.push(raw / verified);
    }
    let [appended, hashed, whole] = [appended, hashed, whole].map(Spread::of);
    println!("  its place in the tree / a transition: {appended} (target: at most 0.1)");
    println!("  raw SHA-256 / the tree: {hashed} (target: at least 0.5)");
    println!("  raw SHA-256 / verify --store, which replays: {whole} (no target)");
    json!({
        "benchmark": "log", "rounds": ROUNDS, "append": appended.json(), "tree": hashed.json(), "verify": whole.json(),
    })
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}

/// In µs.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
async fn timed(work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_secs_f64() * 1e6
}

/// The mean of [`TIMES`], in µs.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn often(mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    for _ in 0..TIMES {
        work();
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}
