//! Locks in the store: seen by the transition itself, kept for ever, and no grant held under one is missed.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Grant, Reason};
use daypass_core::lock::{Lock, On};
use daypass_core::refusal::Code;
use daypass_core::text::Prose;
use daypass_core::world::World;
use daypass_store::{Committed, Error, EventFilter, From, Outcome, Scope, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    a_lock_is_kept_with_its_words,
    a_transition_sees_what_is_locked_at_that_moment,
    a_decision_under_way_is_not_overtaken_by_a_lock,
    what_is_held_under_a_lock_is_found,
    a_row_of_a_lock_cannot_be_forged,
);

pub(crate) fn orders() -> On {
    On::Resource(name("orders"))
}

/// Locks or unlocks, as person 250.
pub(crate) async fn set(store: &Store, on: On, shut: bool) -> Result<Committed, Error> {
    let (by, scope) = (person_id(250), Scope::Lock(on.clone()));
    let decide = move |world: &World, _| {
        let (existing, why) = (world.locks.get(&on), Prose::new([7; 16], "laptop stolen"));
        let event = if shut {
            Lock::lock(existing, by, why)?
        } else {
            Lock::unlock(existing, by, why)?
        };
        Ok(Outcome::one(
            Actor::Person(by),
            Subject::Lock(on),
            What::Lock(event),
        ))
    };
    store.transition(scope, decide).await
}

fn code<T>(result: Result<T, Error>) -> Option<Code> {
    match result {
        Err(Error::Refused(refusal)) => Some(refusal.code),
        Err(error) => panic!("a failure, no refusal: {error}"),
        Ok(_) => None,
    }
}

async fn a_lock_is_kept_with_its_words(bench: Bench) {
    let store = &bench.store;
    let committed = set(store, orders(), true).await.unwrap();
    let locks = store.locks().await.unwrap();
    let [lock] = locks.as_slice() else {
        panic!("{locks:?}")
    };
    assert_eq!(
        (&lock.on, lock.by, lock.at),
        (&orders(), person_id(250), committed.now)
    );
    assert_eq!(lock.why.text(), "laptop stolen");
    assert_eq!(code(set(store, orders(), true).await), Some(Code::Exists));
    set(store, orders(), false).await.unwrap();
    assert_eq!(store.locks().await.unwrap(), []);
    assert_eq!(code(set(store, orders(), false).await), Some(Code::WrongState));
    set(store, orders(), true).await.unwrap();
    assert_eq!(store.locks().await.unwrap().len(), 1);
    store.verify().await.unwrap();
    assert_eq!(store.replay().await.unwrap(), store.load_world().await.unwrap());
}

async fn a_transition_sees_what_is_locked_at_that_moment(bench: Bench) {
    let (store, second) = (&bench.store, bench.second().await);
    // Another server locks, where there can be one.
    let other = second.as_ref().unwrap_or(store);
    ask(store, Asked::new(1, &[1])).await.unwrap();
    ask(store, Asked::new(2, &[])).await.unwrap();
    set(other, orders(), true).await.unwrap();
    let vote = review(store, request_id(1), person_id(9), YES, None).await;
    assert_eq!(code(vote), Some(Code::Locked));
    assert_eq!(code(ask(store, Asked::new(3, &[1])).await), Some(Code::Locked));
    let begun = change_grant(store, grant_id(2), Grant::begin).await;
    assert_eq!(
        code(begun),
        Some(Code::Locked),
        "what is scheduled does not begin"
    );
    let ended = change_grant(store, grant_id(2), |grant, now| grant.end(Reason::Locked, now));
    ended.await.unwrap();
    assert_eq!(store.grant(grant_id(3)).await.unwrap(), None);
    set(other, orders(), false).await.unwrap();
    review(store, request_id(1), person_id(9), YES, None)
        .await
        .unwrap();
    // A person: what they ask, what they decide, and what is theirs.
    set(other, On::Person(person_id(1)), true).await.unwrap();
    let begun = change_grant(store, grant_id(1), Grant::begin).await;
    assert_eq!(code(begun), Some(Code::Locked));
    assert_eq!(
        code(ask(store, Asked::new(1, &[])).await),
        None,
        "the same command again"
    );
    let theirs = Asked {
        requester: person_id(1),
        ..Asked::new(4, &[1])
    };
    assert_eq!(code(ask(store, theirs).await), Some(Code::Locked));
    ask(store, Asked::new(5, &[1])).await.unwrap();
    store.verify().await.unwrap();
}

/// Many ask, on two servers where there can be two, while somebody locks: in the log nothing comes about after the lock, and
/// all that came about before it is found under it.
async fn a_decision_under_way_is_not_overtaken_by_a_lock(bench: Bench) {
    let second = bench.second().await.unwrap_or_else(|| bench.store.clone());
    let asking = (0..60u8).map(|n| {
        let store = if n % 2 == 0 {
            second.clone()
        } else {
            bench.store.clone()
        };
        tokio::spawn(async move {
            if n == 30 {
                set(&store, orders(), true).await.map(drop)
            } else {
                ask(&store, Asked::new(n, &[])).await.map(drop)
            }
        })
    });
    let mut refused = 0;
    for asked in asking.collect::<Vec<_>>() {
        let code = code(asked.await.unwrap());
        assert!(matches!(code, None | Some(Code::Locked)), "{code:?}");
        refused += usize::from(code.is_some());
    }
    while !bench.store.sequence(1000).await.unwrap().is_empty() {}
    let log = bench
        .store
        .events(From::First, EventFilter::default(), 1000)
        .await
        .unwrap();
    let last = log.last().map(|entry| entry.event.what.name());
    assert_eq!(last, Some("lock.locked"), "nothing comes about under a lock");
    let held = bench.store.held_under_locks(1000).await.unwrap();
    assert_eq!(held.len() + refused, 59, "what was there before is found");
    bench.store.verify().await.unwrap();
}

async fn what_is_held_under_a_lock_is_found(bench: Bench) {
    let store = &bench.store;
    let held = |n: u8, items: &[&'static str]| Asked {
        items: items.to_vec(),
        ..Asked::new(n, &[])
    };
    for (n, items) in [
        (1, &["orders/write"][..]),
        (2, &["billing/read", "orders/read"]),
        (3, &["billing/read"]),
        (4, &["orders/read"]),
    ] {
        ask(store, held(n, items)).await.unwrap();
    }
    activate(store, 1).await;
    let key = activate(store, 4).await;
    finish(store, 4, &key).await;
    let found = async || {
        let mut found = store.held_under_locks(10).await.unwrap();
        found.sort();
        found
    };
    assert_eq!(found().await, []);
    let mut live = store.live_grants_on(&name("orders")).await.unwrap();
    live.sort();
    assert_eq!(live, [grant_id(1), grant_id(2)]);
    assert_eq!(store.live_grants_on(&name("gone")).await.unwrap(), []);
    set(store, orders(), true).await.unwrap();
    assert_eq!(
        found().await,
        [grant_id(1), grant_id(2)],
        "live ones, with whichever item"
    );
    set(store, On::Person(person_id(3)), true).await.unwrap();
    set(store, On::Person(person_id(1)), true).await.unwrap();
    assert_eq!(
        found().await,
        [grant_id(1), grant_id(2), grant_id(3)],
        "each once"
    );
    assert_eq!(store.held_under_locks(2).await.unwrap().len(), 2);
    let ended = change_grant(store, grant_id(1), |grant, now| grant.end(Reason::Locked, now));
    ended.await.unwrap();
    set(store, orders(), false).await.unwrap();
    assert_eq!(found().await, [grant_id(3)]);
}

async fn a_row_of_a_lock_cannot_be_forged(bench: Bench) {
    set(&bench.store, orders(), true).await.unwrap();
    for sql in [
        "UPDATE locks SET state = 'unlocked'",
        "UPDATE locks SET previous_state = 'none', state = 'locked'",
        "UPDATE locks SET previous_state = state, state = 'open'",
        "INSERT INTO locks (id, state, person, document) VALUES ('person/P1', 'unlocked', 'P1', '{}')",
        "INSERT INTO locks (id, state, document) VALUES ('x', 'locked', '{}')",
    ] {
        if let Some(done) = bench.by_hand(sql).await {
            done.expect_err(sql);
        }
    }
    assert_eq!(bench.store.locks().await.unwrap().len(), 1);
    // Opened by hand with a plausible step, the log tells.
    if let Some(done) = bench.by_hand("UPDATE locks SET previous_state = state, state = 'unlocked', document = replace(document, '\"locked\"', '\"unlocked\"')").await {
        done.unwrap();
        let error = bench.store.verify().await.unwrap_err();
        let says = "lock resource/orders: its column state says \"unlocked\", the log says \"locked\"";
        assert!(error.to_string().contains(says), "{error}");
    }
}
