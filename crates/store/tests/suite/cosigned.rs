//! What witnesses signed, beside the checkpoints.

use daypass_core::time::Timestamp;
use daypass_store::{Cosignature, KeptCheckpoint};

use crate::bench::{Bench, on_every_engine};

on_every_engine!(what_witnesses_signed_is_kept_by_size_and_name);

async fn what_witnesses_signed_is_kept_by_size_and_name(bench: Bench) {
    let store = &bench.store;
    let at = Timestamp::EPOCH;
    for size in [3, 5, 8_u64] {
        let note = format!("note of {size}\n");
        store
            .keep_checkpoint(KeptCheckpoint { size, note, at })
            .await
            .unwrap();
    }
    let keep = async |size: u64, witness: &str, line: &str| {
        let (witness, line) = (witness.to_owned(), line.to_owned());
        let kept = Cosignature {
            size,
            witness,
            line,
            at,
        };
        store.keep_cosignature(kept).await.unwrap();
    };
    assert_eq!(store.last_cosigned("w/1").await.unwrap(), 0);
    assert_eq!(store.newest_cosigned(1).await.unwrap(), None);
    keep(3, "w/1", "a").await;
    keep(3, "w/2", "b").await;
    keep(5, "w/2", "c").await;
    keep(5, "w/2", "d").await;
    assert_eq!(store.last_cosigned("w/1").await.unwrap(), 3);
    assert_eq!(store.last_cosigned("w/2").await.unwrap(), 5);
    let lines =
        |signed: Vec<Cosignature>| -> Vec<String> { signed.into_iter().map(|one| one.line).collect() };
    assert_eq!(lines(store.cosignatures(3).await.unwrap()), ["a", "b"]);
    assert_eq!(
        lines(store.cosignatures(5).await.unwrap()),
        ["d"],
        "the later one"
    );
    assert_eq!(store.cosignatures(8).await.unwrap(), []);
    let newest = async |least| store.newest_cosigned(least).await.unwrap().map(|kept| kept.size);
    assert_eq!(
        (newest(1).await, newest(2).await, newest(3).await),
        (Some(5), Some(3), None)
    );
}
