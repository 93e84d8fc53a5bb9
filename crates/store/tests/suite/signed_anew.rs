//! A log whose key was rotated: whom a verifier believes who has the key of before, of after, or of neither.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::key::{Event, Key};
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Check, Error, Expect, KeptCheckpoint, LogServer, Outcome, Scope, Store, Verified};
use daypass_tlog::key::{Signer, Use};
use daypass_tlog::{Checkpoint, Note};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    the_key_of_before_leads_to_the_one_of_now,
    what_the_key_of_before_did_not_sign_is_not_believed,
    a_key_that_was_taken_out_of_use_signs_no_more,
    a_stolen_key_leads_nowhere,
    steps_that_do_not_follow_are_refused,
    servers_say_which_keys_they_have,
);

fn key(seed: u8) -> Signer {
    Signer::new("daypass/test".parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
}

fn line(key: &Signer) -> String {
    key.verifier().to_string()
}

/// All that is recorded, signed by these.
async fn sign(store: &Store, keys: &[&Signer]) {
    while !store.sequence(100).await.unwrap().is_empty() {}
    let head = store.log_head().await.unwrap();
    let tree = store.log_tree(head.size).await.unwrap();
    let mut note = Note::new(Checkpoint::of("daypass/test", &tree).to_string()).unwrap();
    for key in keys {
        note.sign(key, 0);
    }
    let kept = KeptCheckpoint {
        size: head.size,
        note: note.to_string(),
        at: Timestamp::EPOCH,
    };
    store.keep_checkpoint(kept).await.unwrap();
}

async fn says(store: &Store, event: Event) -> Result<(), Error> {
    let decide = move |_: &_, _| {
        Ok(Outcome::one(
            Actor::System,
            Subject::Key(Key::Log),
            What::Key(event),
        ))
    };
    store.transition(Scope::Key(Key::Log), decide).await.map(drop)
}

fn staged(next: &Signer) -> Event {
    Event::Staged { next: line(next) }
}

fn changed(from: &Signer, to: &Signer) -> Event {
    Event::Changed {
        to: line(to),
        from: line(from),
        without: Vec::new(),
    }
}

fn withdrawn(old: &Signer, early: bool) -> Event {
    Event::Withdrawn {
        old: line(old),
        early,
    }
}

async fn verified(store: &Store, keys: &[&Signer]) -> Result<Verified, Error> {
    let expect = Expect {
        keys: keys.iter().map(|key| key.verifier().clone()).collect(),
        seen: Vec::new(),
    };
    store.verify_signed(expect).await
}

#[track_caller]
fn refused(verified: Result<Verified, Error>, says: &str) {
    match verified {
        Err(Error::Differs { check, what }) => {
            assert_eq!(check, Check::Checkpoint, "{what}");
            assert!(what.contains(says), "{what}");
        }
        other => panic!("{other:?}"),
    }
}

/// A log that went from one key to the next, with both signing for a while; `early`: that somebody else may have the first.
async fn rotated(store: &Store, (old, new): (&Signer, &Signer), early: bool) {
    ask(store, Asked::new(1, &[])).await.unwrap();
    sign(store, &[old]).await;
    says(store, staged(new)).await.unwrap();
    sign(store, &[old, new]).await;
    says(store, changed(old, new)).await.unwrap();
    sign(store, &[old, new]).await;
    // A server that has only the key of before.
    ask(store, Asked::new(2, &[])).await.unwrap();
    sign(store, &[old]).await;
    says(store, withdrawn(old, early)).await.unwrap();
    sign(store, &[new]).await;
    ask(store, Asked::new(3, &[])).await.unwrap();
    sign(store, &[new]).await;
}

async fn the_key_of_before_leads_to_the_one_of_now(bench: Bench) {
    let store = &bench.store;
    let (old, new, last, other) = (key(1), key(2), key(3), key(4));
    rotated(store, (&old, &new), false).await;
    let found = verified(store, &[&old]).await.unwrap();
    assert_eq!(found.followed.len(), 1);
    let one = &found.followed[0];
    assert_eq!((&one.from, &one.to), (old.verifier(), new.verifier()));
    let told = store.log_bytes(one.index..one.index + 1).await.unwrap();
    assert!(String::from_utf8(told[0].clone()).unwrap().contains("\"staged\""));
    // Who has the present key believes what was signed before it: it signed the whole.
    assert_eq!(verified(store, &[&new]).await.unwrap().followed, []);
    assert_eq!(verified(store, &[&new, &old]).await.unwrap().followed, []);
    refused(verified(store, &[&other]).await, "is not signed by");

    says(store, staged(&last)).await.unwrap();
    sign(store, &[&new, &last]).await;
    says(store, changed(&new, &last)).await.unwrap();
    sign(store, &[&new, &last]).await;
    says(store, withdrawn(&new, false)).await.unwrap();
    sign(store, &[&last]).await;
    assert_eq!(verified(store, &[&old]).await.unwrap().followed.len(), 2);
    assert_eq!(verified(store, &[&new]).await.unwrap().followed.len(), 1);
    assert_eq!(verified(store, &[&last]).await.unwrap().followed, []);
}

async fn what_the_key_of_before_did_not_sign_is_not_believed(bench: Bench) {
    let store = &bench.store;
    let (old, evil) = (key(1), key(66));
    ask(store, Asked::new(1, &[])).await.unwrap();
    sign(store, &[&old]).await;
    // A key that nobody announced.
    ask(store, Asked::new(2, &[])).await.unwrap();
    sign(store, &[&evil]).await;
    refused(verified(store, &[&old]).await, "is not signed by");
    // Somebody who has the database, and a key of their own: all steps, after the last that was signed.
    says(store, staged(&evil)).await.unwrap();
    sign(store, &[&evil]).await;
    refused(verified(store, &[&old]).await, "is not signed by");
    says(store, changed(&old, &evil)).await.unwrap();
    says(store, withdrawn(&old, false)).await.unwrap();
    sign(store, &[&evil]).await;
    refused(verified(store, &[&old]).await, "is not signed by");
}

async fn a_key_that_was_taken_out_of_use_signs_no_more(bench: Bench) {
    let store = &bench.store;
    let (old, new) = (key(1), key(2));
    rotated(store, (&old, &new), false).await;
    ask(store, Asked::new(4, &[])).await.unwrap();
    sign(store, &[&old]).await;
    refused(
        verified(store, &[&old]).await,
        "which the log took out of use in entry",
    );
    refused(verified(store, &[&new]).await, "is not signed by");
}

async fn a_stolen_key_leads_nowhere(bench: Bench) {
    let store = &bench.store;
    let (old, new) = (key(1), key(2));
    rotated(store, (&old, &new), true).await;
    refused(verified(store, &[&old]).await, "as stolen, in entry");
    verified(store, &[&new]).await.unwrap();
    verified(store, &[&old, &new]).await.unwrap();
}

async fn steps_that_do_not_follow_are_refused(bench: Bench) {
    let store = &bench.store;
    let (old, new, other) = (key(1), key(2), key(3));
    let illegal = |done: Result<(), Error>| assert!(matches!(done, Err(Error::Illegal(_))), "{done:?}");
    illegal(says(store, changed(&old, &new)).await);
    illegal(says(store, withdrawn(&old, false)).await);
    says(store, staged(&new)).await.unwrap();
    illegal(says(store, staged(&other)).await);
    illegal(says(store, changed(&old, &other)).await);
    says(store, changed(&old, &new)).await.unwrap();
    illegal(says(store, withdrawn(&new, false)).await);
    says(store, withdrawn(&old, false)).await.unwrap();
    while !store.sequence(100).await.unwrap().is_empty() {}
    store.verify().await.unwrap();
}

async fn servers_say_which_keys_they_have(bench: Bench) {
    let store = &bench.store;
    let now = store.now().await.unwrap();
    let server = |name: &str, keys: &[&str], at| LogServer {
        name: name.into(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        at,
    };
    let stale = now - Span::hours(1);
    store
        .log_server_is(server("b", &["k1"], now), stale)
        .await
        .unwrap();
    store
        .log_server_is(
            server("a", &["k1", "k2"], now - Span::hours(2)),
            stale - Span::hours(2),
        )
        .await
        .unwrap();
    assert_eq!(store.log_servers().await.unwrap().len(), 2);
    store
        .log_server_is(server("b", &["k1", "k2"], now), stale)
        .await
        .unwrap();
    assert_eq!(
        store.log_servers().await.unwrap(),
        [server("b", &["k1", "k2"], now)]
    );
    store.log_server_ends("b".into()).await.unwrap();
    assert_eq!(store.log_servers().await.unwrap(), []);
}
