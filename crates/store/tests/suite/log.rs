//! The log: places in it, pages of it, and edits by hand that a check finds.

use daypass_core::event::{Actor, Subject};
use daypass_core::review::Decision;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Error, EventFilter, From};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    events_get_places_in_order,
    the_head_is_the_merkle_tree_head_of_the_bytes,
    pages_go_both_ways,
    filters_narrow_by_what_it_is_about,
    filters_narrow_by_time,
    a_timeline_tells_one_story,
    edits_by_hand_are_found,
    erased_words_leave_the_log_intact,
);

async fn events_get_places_in_order(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.sequence(10).await.unwrap(), []);
    for n in 0..5 {
        ask(store, Asked::new(n, &[1])).await.unwrap();
    }
    assert_eq!(store.verify().await.unwrap().waiting, 5);
    let listed = store
        .events(From::First, EventFilter::default(), 10)
        .await
        .unwrap();
    assert_eq!(listed, [], "what has no place yet is not in the log");
    let first = store.sequence(3).await.unwrap();
    let rest = store.sequence(3).await.unwrap();
    let all: Vec<_> = first.into_iter().chain(rest).collect();
    assert!(all.iter().map(|entry| entry.index).eq(0..5));
    let subjects: Vec<_> = all.iter().map(|entry| entry.event.subject.clone()).collect();
    assert_eq!(
        subjects,
        (0..5).map(request_id).map(Subject::Request).collect::<Vec<_>>()
    );
    assert_eq!(
        store
            .events(From::First, EventFilter::default(), 10)
            .await
            .unwrap(),
        all,
        "words and all"
    );
    assert_eq!(store.sequence(3).await.unwrap(), []);
    assert_eq!(store.verify().await.unwrap().waiting, 0);
}

async fn the_head_is_the_merkle_tree_head_of_the_bytes(bench: Bench) {
    let store = &bench.store;
    let empty = store.log_head().await.unwrap();
    assert_eq!((empty.size, empty.root), (0, Hash::of(b"")));
    let mut tree = daypass_tlog::Tree::default();
    for n in 0..9 {
        ask(store, Asked::new(n, &[])).await.unwrap();
        for entry in store.sequence(usize::from(n) + 1).await.unwrap() {
            assert_eq!(entry.bytes, entry.event.canonical().unwrap());
            assert_eq!(*entry.leaf.bytes(), daypass_tlog::leaf(&entry.bytes));
            tree.push(daypass_tlog::leaf(&entry.bytes));
        }
        let head = store.log_head().await.unwrap();
        assert_eq!((head.size, *head.root.bytes()), (tree.size(), tree.head()));
    }
    assert!(tree.size() > 20);
}

async fn ten(bench: &Bench) {
    for n in 0..10 {
        ask(&bench.store, Asked::new(n, &[1])).await.unwrap();
    }
    bench.store.sequence(100).await.unwrap();
}

async fn pages_go_both_ways(bench: Bench) {
    ten(&bench).await;
    for (from, expected) in [
        (From::First, vec![0, 1, 2]),
        (From::After(2), vec![3, 4, 5]),
        (From::After(8), vec![9]),
        (From::After(9), vec![]),
        (From::After(u64::MAX), vec![]),
        (From::Last, vec![9, 8, 7]),
        (From::Before(7), vec![6, 5, 4]),
        (From::Before(1), vec![0]),
        (From::Before(0), vec![]),
    ] {
        let page = bench.store.events(from, EventFilter::default(), 3).await.unwrap();
        assert_eq!(
            page.iter().map(|entry| entry.index).collect::<Vec<_>>(),
            expected,
            "{from:?}"
        );
    }
}

/// Ten requests, ten minutes later a denial of the fourth, and ten minutes later an account; answers that last instant.
async fn twelve(bench: &Bench) -> Timestamp {
    ten(bench).await;
    bench.advance(Span::minutes(10));
    let denied = review(
        &bench.store,
        request_id(3),
        person_id(4),
        Decision::Deny,
        Some("no"),
    );
    denied.await.unwrap();
    bench.advance(Span::minutes(10));
    add(&bench.store, person(1, "ana"), Vec::new()).await.unwrap();
    bench.store.sequence(100).await.unwrap().pop().unwrap().event.at
}

async fn check(bench: &Bench, filter: EventFilter, expected: &[u64]) {
    let page = bench
        .store
        .events(From::First, filter.clone(), 100)
        .await
        .unwrap();
    let found: Vec<_> = page.iter().map(|entry| entry.index).collect();
    assert_eq!(found, expected, "{filter:?}");
}

async fn filters_narrow_by_what_it_is_about(bench: Bench) {
    twelve(&bench).await;
    let about = |subject| EventFilter {
        subject: Some(subject),
        ..EventFilter::default()
    };
    check(&bench, about(Subject::Request(request_id(3))), &[3, 10]).await;
    check(&bench, about(Subject::Grant(grant_id(3))), &[]).await;
    let kind = |kind: &str| EventFilter {
        kind: Some(kind.to_owned()),
        ..EventFilter::default()
    };
    check(&bench, kind("person"), &[11]).await;
    check(&bench, kind("';--"), &[]).await;
    let by = |actor| EventFilter {
        actor: Some(actor),
        ..EventFilter::default()
    };
    check(&bench, by(Actor::Person(person_id(4))), &[4]).await;
    check(&bench, by(Actor::System), &[10, 11]).await;
    let names = ["request.denied", "person.added"].map(str::to_owned).to_vec();
    check(
        &bench,
        EventFilter {
            names,
            ..EventFilter::default()
        },
        &[10, 11],
    )
    .await;
}

async fn filters_narrow_by_time(bench: Bench) {
    let last = twelve(&bench).await;
    let since = EventFilter {
        since: Some(last),
        ..EventFilter::default()
    };
    check(&bench, since.clone(), &[11]).await;
    let both = EventFilter {
        kind: Some(String::from("request")),
        ..since
    };
    check(&bench, both, &[]).await;
    let until = EventFilter {
        until: Some(last),
        ..EventFilter::default()
    };
    check(&bench, until, &(0..11).collect::<Vec<_>>()).await;
}

async fn a_timeline_tells_one_story(bench: Bench) {
    let store = &bench.store;
    // Somebody else held the same opening before.
    ask(
        store,
        Asked {
            items: vec!["shared/port"],
            ..Asked::new(1, &[])
        },
    )
    .await
    .unwrap();
    let key = activate(store, 1).await;
    finish(store, 1, &key).await;
    bench.advance(Span::minutes(1));
    ask(
        store,
        Asked {
            items: vec!["shared/port"],
            ..Asked::new(2, &[1])
        },
    )
    .await
    .unwrap();
    review(store, request_id(2), person_id(9), YES, None)
        .await
        .unwrap();
    activate(store, 2).await;
    ask(
        store,
        Asked {
            extends: Some(grant_id(2)),
            ..Asked::new(3, &[])
        },
    )
    .await
    .unwrap();
    finish(store, 2, &key).await;
    bench.advance(Span::minutes(1));
    ask(store, Asked::new(4, &[])).await.unwrap();
    store.sequence(100).await.unwrap();
    let names: Vec<_> = store
        .timeline(request_id(2))
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.event.what.name())
        .collect();
    assert_eq!(
        names,
        [
            "request.created",
            "request.approved",
            "grant.opened",
            "grant.begun",
            "entitlement.intended",
            "entitlement.provisioned",
            "grant.activated",
            "request.created",
            "request.approved",
            "grant.extended",
            "grant.ending",
            "entitlement.revoked",
            "entitlement.verified_absent",
            "grant.ended",
        ]
    );
    assert_eq!(store.timeline(request_id(200)).await.unwrap(), []);
}

async fn edits_by_hand_are_found(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    ask(&bench.store, Asked::new(2, &[])).await.unwrap();
    bench.store.sequence(100).await.unwrap();
    bench.store.verify().await.unwrap();
    for (edit, undo) in [
        (
            "UPDATE grants SET document = replace(document, '\"1h\"', '\"9h\"')",
            "UPDATE grants SET document = replace(document, '\"9h\"', '\"1h\"')",
        ),
        (
            "UPDATE events SET leaf_index = 99 WHERE leaf_index = 2",
            "UPDATE events SET leaf_index = 2 WHERE leaf_index = 99",
        ),
        (
            "UPDATE log_head SET size = size + 2",
            "UPDATE log_head SET size = size - 2",
        ),
        (
            "UPDATE events SET to_state = 'denied' WHERE name = 'request.approved'",
            "UPDATE events SET to_state = 'approved' WHERE name = 'request.approved'",
        ),
    ] {
        let Some(done) = bench.by_hand(edit).await else {
            return;
        };
        done.unwrap();
        let found = bench.store.verify().await;
        assert!(matches!(found, Err(Error::Differs { .. })), "{edit}: {found:?}");
        bench.by_hand(undo).await.unwrap().unwrap();
        bench.store.verify().await.unwrap();
    }
    // What was said, who said it, and that it was said at all.
    bench
        .by_hand("UPDATE events SET leaf_hash = (SELECT leaf_hash FROM events WHERE leaf_index = 0)")
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(bench.store.verify().await, Err(Error::Differs { .. })));
    bench
        .by_hand("DELETE FROM events WHERE leaf_index = 1")
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(bench.store.verify().await, Err(Error::Differs { .. })));
}

async fn erased_words_leave_the_log_intact(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    let before = bench.store.sequence(10).await.unwrap();
    let Some(done) = bench.by_hand("DELETE FROM texts").await else {
        return;
    };
    done.unwrap();
    assert_eq!(
        bench
            .store
            .request(request_id(1))
            .await
            .unwrap()
            .unwrap()
            .ask
            .reason
            .text(),
        ""
    );
    let after = bench
        .store
        .events(From::First, EventFilter::default(), 10)
        .await
        .unwrap();
    assert_eq!(after[0].bytes, before[0].bytes);
    bench.store.verify().await.unwrap();
    // The request goes on without its words.
    review(&bench.store, request_id(1), person_id(2), YES, Some("fine"))
        .await
        .unwrap();
    assert_eq!(
        bench.store.sequence(10).await.unwrap()[0].event.actor,
        Actor::System
    );
    bench.store.verify().await.unwrap();
}
