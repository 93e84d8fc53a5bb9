//! The outbox of notices: queued once, claimed by one, kept in order, tried again, given up.

use daypass_core::id::PersonId;
use daypass_core::time::{Span, Timestamp};
use daypass_store::{Claim, Delivery, Fate, ORDER_KEPT, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    nobody_hears_of_what_was_before,
    what_is_queued_is_queued_once,
    one_of_two_workers_gets_it,
    a_claim_that_ran_out_is_anybodys,
    a_late_failure_does_not_undo_anothers_claim,
    one_lane_keeps_its_order_for_a_while,
    what_is_urgent_goes_before_all_that_waits,
    a_failure_waits_and_the_dead_stay_visible,
    what_is_too_old_is_given_up_and_then_forgotten,
);

const T: Timestamp = Timestamp::EPOCH;

fn at(minutes: u64) -> Timestamp {
    T + Span::hours(24 * 400) + Span::minutes(minutes)
}

fn delivery(index: u64, notice: &str, lane: &str) -> Delivery {
    Delivery {
        channel: "chat".to_owned(),
        index,
        notice: notice.to_owned(),
        recipient: None,
        lane: lane.to_owned(),
        since: at(0),
        tries: 0,
    }
}

fn to(person: PersonId, of: Delivery) -> Delivery {
    Delivery {
        channel: "mail".to_owned(),
        recipient: Some(person),
        ..of
    }
}

fn claim(worker: &str, channel: &str, now: Timestamp) -> Claim {
    Claim {
        channel: channel.to_owned(),
        worker: worker.to_owned(),
        now,
        until: now + Span::minutes(2),
        limit: 10,
    }
}

async fn queued(store: &Store, all: Vec<Delivery>) {
    let from = store.notices_begin().await.unwrap();
    assert!(store.queue_notices(from, from + 1, all).await.unwrap());
}

async fn take(store: &Store, worker: &str, now: Timestamp) -> Vec<u64> {
    let taken = store.claim_notices(&claim(worker, "chat", now)).await.unwrap();
    taken.iter().map(|one| one.index).collect()
}

async fn nobody_hears_of_what_was_before(bench: Bench) {
    ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    bench.store.sequence(10).await.unwrap();
    let size = bench.store.log_head().await.unwrap().size;
    assert!(size > 0);
    assert_eq!(bench.store.notices_begin().await.unwrap(), size);
    ask(&bench.store, Asked::new(2, &[1])).await.unwrap();
    bench.store.sequence(10).await.unwrap();
    assert_eq!(
        bench.store.notices_begin().await.unwrap(),
        size,
        "it stays where it was"
    );
}

async fn what_is_queued_is_queued_once(bench: Bench) {
    let store = &bench.store;
    let one = delivery(0, "grant.ended", "G1");
    assert_eq!(store.notices_begin().await.unwrap(), 0);
    assert!(
        store
            .queue_notices(0, 3, vec![one.clone(), one.clone()])
            .await
            .unwrap()
    );
    let other = delivery(1, "grant.ended", "G2");
    assert!(
        !store.queue_notices(0, 3, vec![other]).await.unwrap(),
        "another process was there before"
    );
    assert_eq!(store.notices_begin().await.unwrap(), 3);
    assert_eq!(take(store, "a", at(1)).await, [0]);
    let person = to(person_id(7), delivery(0, "grant.ended", "G1"));
    assert!(store.queue_notices(3, 4, vec![person.clone()]).await.unwrap());
    assert_eq!(
        store.claim_notices(&claim("a", "mail", at(1))).await.unwrap(),
        [person]
    );
}

async fn what_is_urgent_goes_before_all_that_waits(bench: Bench) {
    let ask = |n| delivery(n, "request.review_asked", &format!("R{n}"));
    let mut all: Vec<_> = (0..30).map(ask).collect();
    all.push(delivery(30, "break_glass.taken", "R30"));
    all.push(delivery(31, "grant.overdue", "G31"));
    all.push(delivery(32, "lock.locked", "P32"));
    all.push(delivery(33, "lock.unlocked", "P33"));
    queued(&bench.store, all).await;
    let taken = take(&bench.store, "a", at(1)).await;
    assert_eq!(taken, [30, 31, 32, 0, 1, 2, 3, 4, 5, 6]);
}

async fn one_of_two_workers_gets_it(bench: Bench) {
    let all = (0..20)
        .map(|n| delivery(n, "grant.ended", &format!("G{n}")))
        .collect();
    queued(&bench.store, all).await;
    let second = bench.second().await.unwrap_or_else(|| bench.store.clone());
    let (here, there) = tokio::join!(
        async {
            (
                take(&bench.store, "a", at(1)).await,
                take(&bench.store, "a", at(1)).await,
            )
        },
        async { (take(&second, "b", at(1)).await, take(&second, "b", at(1)).await) }
    );
    let mut all: Vec<u64> = [here.0, here.1, there.0, there.1].concat();
    let taken = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), taken, "nothing is taken twice");
    // Where both looked at the same rows, the slower one goes without; the next look finds the rest.
    all.extend(take(&bench.store, "a", at(1)).await);
    all.extend(take(&bench.store, "a", at(1)).await);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<u64>>());
}

async fn a_claim_that_ran_out_is_anybodys(bench: Bench) {
    let store = &bench.store;
    queued(store, vec![delivery(4, "grant.ended", "G1")]).await;
    assert_eq!(take(store, "a", at(0)).await, [4]);
    assert_eq!(take(store, "b", at(1)).await, [0u64; 0]);
    assert_eq!(
        take(store, "b", at(2)).await,
        [4],
        "its worker fell; it is told again"
    );
    let one = delivery(4, "grant.ended", "G1");
    assert!(
        store.settle_notice(&one, "a", Fate::Done).await.unwrap(),
        "it was told after all"
    );
    assert!(!store.settle_notice(&one, "b", Fate::Done).await.unwrap());
    assert_eq!(take(store, "c", at(60)).await, [0u64; 0]);
}

async fn a_late_failure_does_not_undo_anothers_claim(bench: Bench) {
    let store = &bench.store;
    queued(store, vec![delivery(4, "grant.ended", "G1")]).await;
    take(store, "a", at(0)).await;
    take(store, "b", at(2)).await;
    let one = delivery(4, "grant.ended", "G1");
    let later = Fate::Later {
        at: at(3),
        fault: "no answer".to_owned(),
    };
    assert!(!store.settle_notice(&one, "a", later.clone()).await.unwrap());
    assert_eq!(take(store, "c", at(3)).await, [0u64; 0], "b has it");
    assert!(store.settle_notice(&one, "b", later).await.unwrap());
    let again = store.claim_notices(&claim("c", "chat", at(3))).await.unwrap();
    assert_eq!(again[0].tries, 1);
}

async fn one_lane_keeps_its_order_for_a_while(bench: Bench) {
    let store = &bench.store;
    let (first, second) = (
        delivery(1, "grant.active", "G1"),
        delivery(5, "grant.ended", "G1"),
    );
    let reminder = Delivery {
        since: at(60),
        ..delivery(0, "grant.ending_soon", "G1")
    };
    let other = delivery(6, "grant.ended", "G2");
    queued(
        store,
        vec![second.clone(), first.clone(), other.clone(), reminder],
    )
    .await;
    assert_eq!(
        take(store, "a", at(1)).await,
        [1, 6],
        "what is planned for later holds nothing up"
    );
    store.settle_notice(&other, "a", Fate::Done).await.unwrap();
    let later = |minute| Fate::Later {
        at: at(minute),
        fault: "500".to_owned(),
    };
    store.settle_notice(&first, "a", later(2)).await.unwrap();
    assert_eq!(take(store, "a", at(1)).await, [0u64; 0]);
    let kept = ORDER_KEPT.micros() / 60_000_000;
    assert_eq!(take(store, "a", at(kept - 1)).await, [1]);
    store.settle_notice(&first, "a", later(1_000)).await.unwrap();
    assert_eq!(take(store, "a", at(kept - 1)).await, [0u64; 0]);
    assert_eq!(
        take(store, "a", at(kept)).await,
        [5],
        "a late answer is worth more than the order"
    );
}

async fn a_failure_waits_and_the_dead_stay_visible(bench: Bench) {
    let store = &bench.store;
    let (one, two) = (
        delivery(1, "grant.active", "G1"),
        delivery(2, "grant.active", "G2"),
    );
    queued(store, vec![one.clone(), two.clone()]).await;
    assert_eq!(take(store, "a", at(1)).await, [1, 2]);
    let fault = format!("a fault\0 with {}", "é".repeat(2_000));
    store
        .settle_notice(
            &one,
            "a",
            Fate::Later {
                at: at(9),
                fault: fault.clone(),
            },
        )
        .await
        .unwrap();
    store
        .settle_notice(&two, "a", Fate::Dead { fault })
        .await
        .unwrap();
    assert_eq!(take(store, "a", at(8)).await, [0u64; 0]);
    let stands = store.notices_waiting(at(8)).await.unwrap();
    assert_eq!(stands.len(), 1);
    assert_eq!(
        (
            stands[0].waiting,
            stands[0].failing,
            stands[0].planned,
            stands[0].dead,
            stands[0].oldest
        ),
        (1, 1, 0, 1, Some(at(0)))
    );
    assert_eq!(take(store, "a", at(9)).await, [1]);
    assert_eq!(
        take(store, "a", at(5_000)).await,
        [1],
        "the dead are not tried again"
    );
}

async fn what_is_too_old_is_given_up_and_then_forgotten(bench: Bench) {
    let store = &bench.store;
    let young = Delivery {
        since: at(10),
        ..delivery(2, "grant.ended", "G2")
    };
    queued(store, vec![delivery(1, "grant.ended", "G1"), young]).await;
    assert_eq!(
        store.give_up_notices(at(10)).await.unwrap(),
        [("chat".to_owned(), 1)].into()
    );
    assert_eq!(take(store, "a", at(11)).await, [2]);
    assert_eq!(store.forget_notices(at(0)).await.unwrap(), 0);
    assert_eq!(store.forget_notices(at(1)).await.unwrap(), 1);
    assert_eq!(store.notices_waiting(at(11)).await.unwrap()[0].dead, 0);
}
