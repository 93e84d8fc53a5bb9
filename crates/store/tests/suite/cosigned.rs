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
    let any = store.newest_cosigned(vec!["w/1".to_owned()], 1).await.unwrap();
    assert_eq!(any, None);
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
    let newest = async |by: &[&str], least| {
        let by = by.iter().map(|&name| name.to_owned()).collect();
        let kept = store.newest_cosigned(by, least).await.unwrap();
        kept.map(|kept| kept.size)
    };
    let both = ["w/1", "w/2"];
    assert_eq!(newest(&both, 1).await, Some(5));
    assert_eq!(newest(&both, 2).await, Some(3));
    assert_eq!(newest(&both, 3).await, None);
    // Who is no witness any more does not count.
    assert_eq!(newest(&["w/1"], 1).await, Some(3));
    assert_eq!(newest(&["w/1", "w/3"], 2).await, None);
}
