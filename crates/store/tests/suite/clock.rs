//! A clock that was set back: time goes on from where it was, also for a process that starts while the clock is wrong.

use daypass_core::time::Span;

use crate::bench::Bench;
use crate::story::*;

/// A server told the time, or recorded something, after the clock was set back ten hours; then nobody is there for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Told,
    Recorded,
}

async fn a_start_goes_on_from_the_shifted_time(bench: Bench, since: Since) {
    let made = ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    bench.set_clock(made.now - Span::hours(10));
    let before = match since {
        Since::Told => bench.store.now().await.unwrap(),
        Since::Recorded => ask(&bench.store, Asked::new(2, &[1])).await.unwrap().now,
    };
    assert_eq!(before, made.now, "time does not go back");
    let bench = bench.restart(Span::hours(1)).await;
    let after = bench.store.now().await.unwrap();
    assert_eq!(
        after,
        made.now + Span::hours(1),
        "an hour later it is an hour later"
    );
    let next = ask(&bench.store, Asked::new(3, &[1])).await.unwrap();
    assert_eq!(next.now, after);
    // Another jump adds to the first one.
    bench.set_clock(made.now - Span::hours(20));
    assert_eq!(bench.store.now().await.unwrap(), after);
    let bench = bench.restart(Span::minutes(1)).await;
    assert_eq!(bench.store.now().await.unwrap(), after + Span::minutes(1));
    // It stays ahead of a clock that is right again: a shift is never taken back by itself.
    bench.set_clock(made.now);
    assert_eq!(bench.store.now().await.unwrap(), made.now + Span::hours(21));
    bench.store.verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn told_in_memory() {
    a_start_goes_on_from_the_shifted_time(Bench::memory().await, Since::Told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_in_memory() {
    a_start_goes_on_from_the_shifted_time(Bench::memory().await, Since::Recorded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_in_a_file() {
    a_start_goes_on_from_the_shifted_time(Bench::file().await, Since::Told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_in_a_file() {
    a_start_goes_on_from_the_shifted_time(Bench::file().await, Since::Recorded).await;
}

/// A database's clock is not ours to turn. What was recorded ten hours ahead of it looks the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_keeps_the_shift_for_every_server() {
    let bench = Bench::postgres().await;
    let made = ask(&bench.store, Asked::new(1, &[1])).await.unwrap();
    let by_hand = async |sql: &str| bench.by_hand(sql).await.unwrap().unwrap();
    by_hand("UPDATE events SET at = at + 36000000000").await;
    let ahead = made.now + Span::hours(10);
    assert!(bench.store.now().await.unwrap() >= ahead);
    let kept = by_hand("SELECT shift > 35990000000 AND shift <= 36000000000 FROM clock_state").await;
    assert_eq!(kept.trim(), "t");
    // Not from what is recorded, which lies behind again: from what is kept.
    by_hand("UPDATE events SET at = at - 36000000000").await;
    let second = bench.second().await.unwrap();
    let told = second.now().await.unwrap();
    assert!(told >= ahead && told < ahead + Span::hours(1), "{told}");
    let next = ask(&second, Asked::new(2, &[1])).await.unwrap();
    assert!(next.now >= told);
    // Put right by hand, while no server runs: a new one tells the database's time, never before what is recorded.
    by_hand("UPDATE clock_state SET shift = 0; UPDATE events SET at = at - 36000000000 WHERE name = 'request.created'").await;
    let third = bench.second().await.unwrap();
    assert!(third.now().await.unwrap() < made.now + Span::hours(1));
}
