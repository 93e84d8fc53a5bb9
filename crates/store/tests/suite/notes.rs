//! Notes of connectors: each has its name, and nothing else of the store is one.

use crate::bench::{Bench, on_every_engine};

on_every_engine!(a_note_is_there_until_it_is_struck);

async fn a_note_is_there_until_it_is_struck(bench: Bench) {
    let store = &bench.store;
    assert!(
        store.notes("").await.unwrap().is_empty(),
        "no other fact is a note"
    );
    for (name, text) in [
        ("a/1", "given"),
        ("a/2", "given"),
        ("A/1", "x"),
        ("a_1", "x"),
        ("a/1", "taken"),
    ] {
        store.write_note(name, text).await.unwrap();
    }
    let under = store.notes("a/").await.unwrap();
    let under: Vec<_> = under
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(under, [("a/1", "taken"), ("a/2", "given")]);
    assert!(
        store.notes("a%").await.unwrap().is_empty(),
        "a prefix is no pattern"
    );
    store.strike_note("a/1").await.unwrap();
    store.strike_note("a/1").await.unwrap();
    assert_eq!(store.notes("a/").await.unwrap().len(), 1);
    assert!(store.write_note("a/3", &"x".repeat(5000)).await.is_err());
}
