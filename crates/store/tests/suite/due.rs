//! What the reconciler is told to look at, and when to look again.

use daypass_core::entitlement::{Event, TargetKey};
use daypass_core::grant::{Grant, Reason};
use daypass_core::time::{Span, Timestamp};
use daypass_store::{DueCursor, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    a_grant_is_due_from_step_to_step,
    a_silent_request_is_due,
    access_that_nobody_wants_is_due,
    access_that_is_gone_and_wanted_is_due,
    a_limit_that_is_not_the_one_wanted_is_due,
    pages_get_past_what_cannot_be_done,
    the_held_are_closed_over_shared_targets,
);

async fn due(store: &Store, now: Timestamp) -> (Vec<Grant>, Vec<TargetKey>) {
    let due = store.due(now, 100).await.unwrap();
    assert_eq!(due.next, None);
    (
        due.grants,
        due.entitlements
            .into_iter()
            .map(|entitlement| entitlement.key)
            .collect(),
    )
}

/// How many grants and entitlements are due.
async fn check(store: &Store, now: Timestamp, grants: usize, entitlements: usize) {
    let found = due(store, now).await;
    assert_eq!((found.0.len(), found.1.len()), (grants, entitlements));
}

async fn a_grant_is_due_from_step_to_step(bench: Bench) {
    let store = &bench.store;
    let opened = ask(store, Asked::new(1, &[])).await.unwrap().now;
    check(store, opened - Span::seconds(1), 0, 0).await;
    check(store, opened, 1, 0).await;
    let begun = change_grant(store, grant_id(1), Grant::begin).await.unwrap().now;
    check(store, begun, 1, 0).await;
    assert_eq!(
        store.next_due(begun).await.unwrap(),
        Some(begun + Span::minutes(5)),
        "the activation window's end"
    );
    intend(store, grant_id(1), Span::seconds(30)).await.unwrap();
    let key = key_of(store, grant_id(1)).await;
    let now = store.now().await.unwrap();
    check(store, now, 1, 1).await;
    assert!(
        store.next_due(now).await.unwrap().unwrap() <= now + Span::seconds(30),
        "the claim's end"
    );
    observe(store, &key, Event::Provisioned { until: None })
        .await
        .unwrap();
    change_grant(store, grant_id(1), Grant::activate).await.unwrap();
    let grant = store.grant(grant_id(1)).await.unwrap().unwrap();
    let deadline = grant.expires_at().unwrap();
    check(store, deadline - Span::millis(1), 0, 0).await;
    assert_eq!(store.next_due(now).await.unwrap(), Some(deadline));
    assert_eq!(due(store, deadline).await.0, [grant]);
    change_grant(store, grant_id(1), |grant, now| grant.end(Reason::Released, now))
        .await
        .unwrap();
    let now = store.now().await.unwrap();
    check(store, now, 1, 1).await;
    observe(
        store,
        &key,
        Event::VerifiedAbsent {
            residue: Vec::new(),
            shown_by: None,
        },
    )
    .await
    .unwrap();
    check(store, now, 1, 0).await;
    assert_eq!(store.next_due(now).await.unwrap(), None);
}

async fn a_silent_request_is_due(bench: Bench) {
    let made = ask(&bench.store, Asked::new(1, &[1])).await.unwrap().now;
    ask(
        &bench.store,
        Asked {
            within: Span::minutes(5),
            ..Asked::new(2, &[1])
        },
    )
    .await
    .unwrap();
    let at = made + Span::minutes(15);
    assert!(bench.store.silent_requests(made, 10).await.unwrap().is_empty());
    let soon = bench.store.next_due(made).await.unwrap().unwrap();
    assert!(soon >= made + Span::minutes(5) && soon < at);
    assert_eq!(
        bench.store.silent_requests(soon, 10).await.unwrap(),
        [request_id(2)]
    );
    let all = bench.store.silent_requests(at, 10).await.unwrap();
    assert_eq!(all, [request_id(2), request_id(1)], "the longest silent first");
    assert_eq!(bench.store.silent_requests(at, 1).await.unwrap(), [request_id(2)]);
}

async fn access_that_nobody_wants_is_due(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    let key = activate(&bench.store, 1).await;
    finish(&bench.store, 1, &key).await;
    let now = bench.store.now().await.unwrap();
    check(&bench.store, now, 0, 0).await;
    // Added by hand at the target, and seen to stand.
    observe(&bench.store, &key, Event::DriftFound { key: key.clone() })
        .await
        .unwrap();
    check(&bench.store, now, 0, 1).await;
    observe(&bench.store, &key, Event::Provisioned { until: None })
        .await
        .unwrap();
    assert_eq!(due(&bench.store, now).await.1, [key]);
}

async fn access_that_is_gone_and_wanted_is_due(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    let key = activate(&bench.store, 1).await;
    observe(
        &bench.store,
        &key,
        Event::VerifiedAbsent {
            residue: Vec::new(),
            shown_by: None,
        },
    )
    .await
    .unwrap();
    let now = bench.store.now().await.unwrap();
    assert_eq!(due(&bench.store, now).await.1, [key]);
}

async fn a_limit_that_is_not_the_one_wanted_is_due(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[])).await.unwrap();
    let key = activate(&bench.store, 1).await;
    let now = bench.store.now().await.unwrap();
    // The limit that the target was given covers the activation window; the grant's deadline is earlier.
    assert_eq!(due(&bench.store, now).await.1, std::slice::from_ref(&key));
    let deadline = bench
        .store
        .grant(grant_id(1))
        .await
        .unwrap()
        .unwrap()
        .expires_at()
        .unwrap();
    observe(
        &bench.store,
        &key,
        Event::Provisioned {
            until: Some(deadline),
        },
    )
    .await
    .unwrap();
    check(&bench.store, now, 0, 0).await;
    let extension = Asked {
        extends: Some(grant_id(1)),
        requester: person_id(1),
        ..Asked::new(2, &[])
    };
    ask(&bench.store, extension).await.unwrap();
    assert_eq!(
        due(&bench.store, now).await.1,
        [key],
        "the extension is to reach the target"
    );
}

async fn pages_get_past_what_cannot_be_done(bench: Bench) {
    for n in 0..25 {
        ask(&bench.store, Asked::new(n, &[])).await.unwrap();
        change_grant(&bench.store, grant_id(n), Grant::begin)
            .await
            .unwrap();
        intend(&bench.store, grant_id(n), Span::ZERO).await.unwrap();
    }
    let now = bench.store.now().await.unwrap();
    let (mut grants, mut keys, mut pages) = (Vec::new(), Vec::new(), 0);
    let mut cursor = Some(DueCursor::default());
    while let Some(behind) = cursor {
        let page = bench.store.due_behind(now, behind, 10).await.unwrap();
        grants.extend(page.grants.into_iter().map(|grant| grant.id));
        keys.extend(page.entitlements.into_iter().map(|entitlement| entitlement.key));
        cursor = page.next;
        pages += 1;
    }
    assert_eq!(pages, 3);
    grants.sort_unstable();
    assert_eq!(grants, (0..25).map(grant_id).collect::<Vec<_>>());
    keys.dedup();
    assert_eq!(keys.len(), 25);
}

async fn the_held_are_closed_over_shared_targets(bench: Bench) {
    for (n, items) in [
        (1, vec!["shared/a"]),
        (2, vec!["shared/a", "shared/b"]),
        (3, vec!["shared/b", "orders/write"]),
        (4, vec!["shared/c"]),
        (5, vec!["shared/a"]),
    ] {
        ask(
            &bench.store,
            Asked {
                items,
                ..Asked::new(n, &[])
            },
        )
        .await
        .unwrap();
    }
    let key = activate(&bench.store, 5).await;
    finish(&bench.store, 5, &key).await;
    let held = bench.store.held(std::slice::from_ref(&key)).await.unwrap();
    let ids: Vec<_> = held.grants.keys().copied().collect();
    assert_eq!(
        ids,
        [grant_id(1), grant_id(2), grant_id(3)],
        "not the one that ended, not the one apart"
    );
    assert_eq!(held.entitlements.keys().collect::<Vec<_>>(), [&key]);
    assert_eq!(
        bench.store.held(&[]).await.unwrap(),
        daypass_core::world::World::default()
    );
    let in_use = bench.store.connectors_in_use().await.unwrap();
    assert_eq!(in_use.into_iter().collect::<Vec<_>>(), [name("pg-main")]);
    assert_eq!(
        bench.store.entitlements_of(&name("pg-main")).await.unwrap(),
        [],
        "the only one was seen absent"
    );
    assert!(bench.store.entitlement(&key).await.unwrap().is_some());
}
