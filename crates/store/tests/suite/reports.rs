//! What reports count, and who has what.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, Reason};
use daypass_core::review::Decision;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_store::{Outcome, ReportFilter, Scope, Store};

use crate::bench::{Bench, On, on_every_engine};
use crate::break_glass::taken;
use crate::sessions;
use crate::story::*;

on_every_engine!(
    requests_are_counted_by_state_way_and_slot,
    waits_are_those_of_people,
    only_some_resources_are_counted_where_only_some_are_asked_for,
    grants_that_nobody_used_are_told_from_those_that_somebody_did,
    what_is_late_is_counted_and_named,
    who_has_what_is_read_from_live_grants,
);

const EVER: Timestamp = Timestamp::EPOCH;

/// All that there is, in one slot.
fn ever(resources: Option<&[&str]>) -> ReportFilter {
    ReportFilter {
        from: EVER,
        until: Timestamp::MAX,
        slot: Timestamp::MAX.since(EVER),
        resources: resources.map(|some| some.iter().map(|one| name(one)).collect()),
        unseen: Vec::new(),
    }
}

async fn report(store: &Store, filter: ReportFilter) -> daypass_store::Report {
    let now = store.now().await.unwrap();
    store.report(filter, now).await.unwrap()
}

/// A request of `n` for these.
fn of(n: u8, steps: &[u32], items: &[&'static str]) -> Asked {
    Asked {
        items: items.to_vec(),
        ..Asked::new(n, steps)
    }
}

/// 1 and 2 at once, 3 agreed to, 4 denied, 5 open and for two resources, 6 in an emergency.
async fn six(bench: &Bench) {
    let store = &bench.store;
    for asked in [
        of(1, &[], &["orders/read"]),
        of(2, &[], &["stock/read", "stock/write"]),
        of(3, &[1], &["orders/write"]),
        of(4, &[1], &["orders/write"]),
        of(5, &[1], &["orders/write", "stock/read"]),
        taken(6, Span::hours(1)),
    ] {
        ask(store, asked).await.unwrap();
    }
    bench.advance(Span::minutes(10));
    review(store, request_id(3), person_id(9), YES, None)
        .await
        .unwrap();
    review(store, request_id(4), person_id(9), Decision::Deny, Some("no"))
        .await
        .unwrap();
}

async fn requests_are_counted_by_state_way_and_slot(bench: Bench) {
    six(&bench).await;
    let store = &bench.store;
    let counted = |report: &daypass_store::Report| -> Vec<(u64, String, String, u64)> {
        let rows = report.requests.iter();
        rows.map(|row| (row.slot, row.state.clone(), row.way.clone(), row.count))
            .collect()
    };
    let row = |slot: u64, state: &str, way: &str, count| (slot, state.to_owned(), way.to_owned(), count);
    let all = report(store, ever(None)).await;
    assert_eq!(
        counted(&all),
        [
            row(0, "approved", "emergency", 1),
            row(0, "approved", "instant", 2),
            row(0, "approved", "reviewed", 1),
            row(0, "denied", "reviewed", 1),
            row(0, "pending", "reviewed", 1),
        ]
    );
    let busiest: Vec<_> = all
        .busiest
        .iter()
        .map(|busy| (busy.resource.as_str(), busy.requests, busy.people, busy.denied))
        .collect();
    assert_eq!(busiest, [("orders", 5, 5, 1), ("stock", 2, 2, 0)]);
    // A period ends before its end, and its slots count from its beginning.
    let first = store.request(request_id(1)).await.unwrap().unwrap().created_at;
    let last = store.request(request_id(6)).await.unwrap().unwrap().created_at;
    let before = ReportFilter {
        until: first,
        ..ever(None)
    };
    assert_eq!(report(store, before).await.requests, []);
    let slots = ReportFilter {
        from: first - Span::seconds(7),
        until: last + Span::seconds(1),
        slot: Span::seconds(5),
        ..ever(None)
    };
    let slots = report(store, slots).await.requests;
    assert!(slots.iter().all(|row| row.slot >= 1), "{slots:?}");
    assert_eq!(slots.iter().map(|row| row.count).sum::<u64>(), 6);
    store.verify().await.unwrap();
}

async fn waits_are_those_of_people(bench: Bench) {
    let store = &bench.store;
    assert_eq!(report(store, ever(None)).await.waits, Default::default());
    for n in 1..=10 {
        ask(store, of(n, &[1], &["orders/write"])).await.unwrap();
        bench.advance(Span::minutes(u64::from(n)));
        review(store, request_id(n), person_id(99), YES, None)
            .await
            .unwrap();
    }
    // Neither what nobody was asked about nor what was denied took anybody time to agree.
    ask(store, of(11, &[], &["orders/read"])).await.unwrap();
    ask(store, of(12, &[1], &["orders/write"])).await.unwrap();
    bench.advance(Span::hours(9));
    review(store, request_id(12), person_id(99), Decision::Deny, None)
        .await
        .ok();
    let waits = report(store, ever(None)).await.waits;
    assert_eq!((waits.count, waits.spread.iter().sum::<u64>()), (10, 10));
    let (median, p90) = (waits.median.unwrap(), waits.p90.unwrap());
    if matches!(bench.on, On::Postgres { .. }) {
        // Its clock goes as it goes.
        assert!(median <= p90 && waits.spread[0] == 10);
        return;
    }
    assert_eq!((median, p90), (Span::minutes(5), Span::minutes(9)));
    assert_eq!(waits.spread, [4, 6, 0, 0, 0, 0]);
}

async fn only_some_resources_are_counted_where_only_some_are_asked_for(bench: Bench) {
    six(&bench).await;
    let store = &bench.store;
    let total = |report: &daypass_store::Report| report.requests.iter().map(|row| row.count).sum::<u64>();
    let stock = report(store, ever(Some(&["stock"]))).await;
    assert_eq!(total(&stock), 2);
    assert_eq!(stock.busiest.len(), 1);
    assert_eq!(stock.grants.opened, 1);
    assert_eq!(
        stock.now.unwanted, None,
        "nobody can say of which resource that is"
    );
    // One for both is one, however many are named and whatever else is.
    let both = report(store, ever(Some(&["nothing", "stock", "orders"]))).await;
    assert_eq!((total(&both), both.grants.opened), (6, 4));
    assert_eq!(both.waits.count, 1);
    let none = report(
        store,
        ever(Some(&["'; DROP TABLE requests; --".get(3..7).unwrap()])),
    )
    .await;
    assert_eq!((total(&none), none.busiest.len(), none.grants.opened), (0, 0, 0));
    let empty = report(store, ever(Some(&[]))).await;
    assert_eq!((total(&empty), empty.grants.opened), (0, 0));
}

/// Credentials for the grant of `n`.
async fn issue(store: &Store, n: u8) {
    let id = grant_id(n);
    let decide = move |world: &World, now| {
        let grant = found(world.grants.get(&id))?;
        let event = grant.issue_credential(grant.holder, grant.parts[0].item(), now)?;
        Ok(Outcome::one(
            Actor::System,
            Subject::Grant(id),
            What::Grant(event),
        ))
    };
    store.transition(Scope::Grant(id), decide).await.unwrap();
}

async fn grants_that_nobody_used_are_told_from_those_that_somebody_did(bench: Bench) {
    let store = &bench.store;
    // 1 was given credentials, twice; 2 had a session; 3 nothing; 4 nothing, and still has it; 5 never came to be; 6 cannot tell.
    for n in 1..=5 {
        ask(store, of(n, &[], &["orders/read", "orders/write"]))
            .await
            .unwrap();
    }
    ask(store, of(6, &[], &["door/open"])).await.unwrap();
    let mut keys = Vec::new();
    for n in [1, 2, 3, 4, 6] {
        keys.push((n, activate(store, n).await));
    }
    issue(store, 1).await;
    issue(store, 1).await;
    sessions::open(store, 1, 2, "gw").await.unwrap();
    bench.advance(Span::minutes(30));
    for (n, key) in keys.iter().filter(|(n, _)| [1, 2, 3, 6].contains(n)) {
        finish(store, *n, key).await;
    }
    let all = report(store, ever(None)).await;
    let counts = &all.grants;
    assert_eq!(
        (counts.opened, counts.active, counts.over, counts.unused),
        (6, 5, 4, 2)
    );
    let filter = ReportFilter {
        unseen: vec![name("door")],
        ..ever(None)
    };
    let seen = report(store, filter.clone()).await;
    assert_eq!((seen.grants.over, seen.grants.unused), (3, 1));
    let unused: Vec<_> = seen
        .unused
        .iter()
        .map(|one| (one.resource.as_str(), one.over, one.unused))
        .collect();
    assert_eq!(unused, [("orders", 3, 1)], "two roles are one grant");
    let both = ReportFilter {
        resources: Some(vec![name("door"), name("orders"), name("a")]),
        ..filter
    };
    assert_eq!(report(store, both).await.grants, seen.grants);
    assert_eq!(all.exposure.pairs, 5);
    if !matches!(bench.on, On::Postgres { .. }) {
        assert_eq!(all.exposure.held_seconds, 5 * 30 * 60);
    }
    assert_eq!(
        (all.now.grants, all.now.people, all.now.resources, all.now.soon),
        (1, 1, 1, 1)
    );
    assert_eq!(all.now.unwanted, Some(0));
    store.verify().await.unwrap();
}

async fn what_is_late_is_counted_and_named(bench: Bench) {
    let store = &bench.store;
    for n in 1..=3 {
        ask(store, of(n, &[], &["orders/read"])).await.unwrap();
        activate(store, n).await;
    }
    for n in [1, 2] {
        change_grant(store, grant_id(n), |grant, now| grant.end(Reason::Released, now))
            .await
            .unwrap();
    }
    change_grant(store, grant_id(1), |grant: &Grant, _| grant.mark_overdue())
        .await
        .unwrap();
    ask(store, taken(7, Span::ZERO)).await.unwrap();
    ask(store, taken(8, Span::hours(9))).await.unwrap();
    let decide = move |world: &World, now| {
        let event = found(world.requests.get(&request_id(7)))?.silence(now).unwrap();
        Ok(Outcome::one(
            Actor::System,
            Subject::Request(request_id(7)),
            What::Request(event),
        ))
    };
    store
        .transition(Scope::Request(request_id(7)), decide)
        .await
        .unwrap();
    while !store.sequence(100).await.unwrap().is_empty() {}
    let late = report(store, ever(None)).await.late;
    assert_eq!((late.revocations, late.revocations_now), (1, 1));
    assert_eq!((late.reviews_owed, late.reviews_overdue), (2, 1));
    assert_eq!((late.grants.len(), late.requests.len()), (1, 1));
    assert_eq!(
        (late.grants[0].id, late.grants[0].holder),
        (grant_id(1), person_id(1))
    );
    assert_eq!(late.requests[0].id, request_id(7));
    assert_eq!(late.requests[0].items[0].to_string(), "orders/write");
    let other = report(store, ever(Some(&["stock"]))).await.late;
    assert_eq!(other, Default::default());
    let none = ReportFilter {
        until: EVER,
        ..ever(None)
    };
    let none = report(store, none).await.late;
    assert_eq!(
        (none.revocations, none.revocations_now),
        (0, 1),
        "what is late is late now, whatever the period"
    );
}

async fn who_has_what_is_read_from_live_grants(bench: Bench) {
    let store = &bench.store;
    ask(store, of(1, &[], &["orders/read", "orders/write", "stock/read"]))
        .await
        .unwrap();
    ask(store, of(2, &[1], &["orders/read"])).await.unwrap();
    ask(store, of(3, &[], &["orders/read"])).await.unwrap();
    ask(store, taken(4, Span::hours(1))).await.unwrap();
    bench.advance(Span::seconds(1));
    review(store, request_id(2), person_id(9), YES, None)
        .await
        .unwrap();
    for n in 1..=3 {
        let key = activate(store, n).await;
        if n == 3 {
            finish(store, 3, &key).await;
        }
    }
    let listed = async |holder, resource: Option<&str>, limit| -> Vec<String> {
        let found = store.holdings(holder, resource.map(name), limit).await.unwrap();
        let one = |held: &daypass_store::Holding| {
            assert_eq!(held.grant, grant_id(held.holder.bytes()[0]));
            assert_eq!(held.since.is_some(), held.state == "active");
            let who = held.holder.bytes()[0];
            format!("{who} {} {} {}", held.item, held.state, held.way)
        };
        found.iter().map(one).collect()
    };
    let all = listed(None, None, 100).await;
    assert_eq!(
        all,
        [
            "1 orders/read active instant",
            "1 orders/write active instant",
            "1 stock/read active instant",
            "4 orders/write scheduled emergency",
            "2 orders/read active reviewed",
        ]
    );
    assert_eq!(listed(Some(person_id(2)), None, 100).await, [all[4].clone()]);
    assert_eq!(listed(None, Some("stock"), 100).await, [all[2].clone()]);
    assert_eq!(listed(None, None, 2).await, all[..2]);
    let deadline = store.grant(grant_id(1)).await.unwrap().unwrap().expires_at();
    let held = store.holdings(Some(person_id(1)), None, 1).await.unwrap();
    assert_eq!(held[0].until, deadline);
}
