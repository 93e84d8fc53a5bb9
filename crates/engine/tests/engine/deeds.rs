//! What was done with access, as its target tells it: entered in the grant's timeline, all of it and each thing once.

use daypass_core::deed::{Deed, MOST};
use daypass_core::entitlement::Fault;
use daypass_core::event::What;
use daypass_core::grant::Event;
use daypass_core::id::{GrantId, RequestId};
use daypass_core::time::Span;
use daypass_engine::NewRequest;
use daypass_policy::Source;
use daypass_providers::memory::{Op, Trouble};

use crate::house::{House, POLICY, asked};

/// A house whose target tells what was done, ten minutes late.
async fn telling() -> House {
    let house = House::new().await;
    let text = POLICY.replace(
        "kind: memory, config: {}}",
        "kind: memory, config: {tells: true}}",
    );
    assert_ne!(text, POLICY);
    let name = "policy.yaml".into();
    house.engine.load_policy(&[Source { name, text }]).await.unwrap();
    house
}

fn deed(house: &House, what: &str) -> Deed {
    Deed::new(house.now(), what, "vm-1", Some("Succeeded"))
}

/// What was told of a grant: what was done each time, how much was left unsaid, and whether that was all or could not be read.
async fn told(house: &House, grant: GrantId) -> Vec<(Vec<String>, u64, bool, bool)> {
    while !house.engine.store().sequence(1_000).await.unwrap().is_empty() {}
    let timeline = house
        .engine
        .store()
        .timeline(RequestId::from_bytes(grant.bytes()))
        .await
        .unwrap();
    let of = timeline.into_iter().filter_map(|entry| match entry.event.what {
        What::Grant(Event::Told {
            deeds,
            unsaid,
            complete,
            lost,
            ..
        }) => {
            let what = deeds.into_iter().map(|deed| deed.what).collect();
            Some((what, unsaid, complete, lost))
        }
        _ => None,
    });
    of.collect()
}

fn said(what: &[&str], complete: bool) -> (Vec<String>, u64, bool, bool) {
    (
        what.iter().map(|&what| what.to_owned()).collect(),
        0,
        complete,
        false,
    )
}

#[tokio::test]
async fn what_was_done_is_told_while_it_lasts_and_to_its_end() {
    let mut house = telling().await;
    house.target.did("nobody", deed(&house, "before"));
    let grant = house.granted(&["orders/write"]).await;
    let key = house.key(grant).await;
    house.pass(Span::minutes(1));
    house.target.did(&key, deed(&house, "restart"));
    house.target.did("another", deed(&house, "of another"));
    house.live(Span::minutes(8)).await;
    assert_eq!(
        told(&house, grant).await,
        [],
        "the target's log is not complete yet"
    );
    house.live(Span::minutes(12)).await;
    assert_eq!(told(&house, grant).await, [said(&["restart"], false)]);
    house.target.did(&key, deed(&house, "resize"));
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
    house.pass(Span::seconds(1));
    house.target.did(&key, deed(&house, "after it"));
    house.live(Span::minutes(30)).await;
    let all = [said(&["restart"], false), said(&["resize"], true)];
    assert_eq!(told(&house, grant).await, all);
    let asked = house.target.calls(Op::Deeds);
    house.live(Span::hours(5)).await;
    assert_eq!(house.target.calls(Op::Deeds), asked, "there is no more to ask");
    assert_eq!(
        house.engine.store().replay().await.unwrap(),
        house.engine.store().load_world().await.unwrap()
    );
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn what_was_done_with_every_item_is_told_together() {
    let mut house = telling().await;
    let grant = house.granted(&["orders/write", "orders/read"]).await;
    let [first, second] = &house.grant(grant).await.parts[..] else {
        panic!("two items");
    };
    house.target.did(&second.target.key, deed(&house, "one"));
    house.pass(Span::seconds(1));
    house.target.did(&first.target.key, deed(&house, "two"));
    house.live(Span::minutes(20)).await;
    assert_eq!(told(&house, grant).await, [said(&["one", "two"], false)]);
}

#[tokio::test]
async fn a_grant_with_which_nothing_was_done_says_so() {
    let mut house = telling().await;
    let grant = house.granted(&["orders/write"]).await;
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.live(Span::hours(1)).await;
    assert_eq!(told(&house, grant).await, [said(&[], true)]);
}

#[tokio::test]
async fn what_never_was_there_and_what_cannot_tell_is_not_asked_about() {
    let mut house = telling().await;
    let later = NewRequest {
        start: Some(house.now() + Span::hours(2)),
        ..asked(&["orders/write"])
    };
    let made = house
        .engine
        .request(house.caller("ana"), later, None)
        .await
        .unwrap();
    let grant = house.agreed(&made.request).await;
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.live(Span::hours(1)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert_eq!(told(&house, grant).await, []);
    let mut silent = House::new().await;
    let grant = silent.granted(&["orders/write"]).await;
    silent.engine.release(silent.caller("ana"), grant).await.unwrap();
    silent.live(Span::hours(1)).await;
    assert_eq!(
        (told(&silent, grant).await, silent.target.calls(Op::Deeds)),
        (vec![], 0)
    );
}

#[tokio::test]
async fn an_outage_and_a_restart_lose_and_repeat_nothing() {
    let mut house = telling().await;
    let grant = house.granted(&["orders/write"]).await;
    let key = house.key(grant).await;
    house.target.did(&key, deed(&house, "one"));
    house.live(Span::minutes(20)).await;
    house.target.did(&key, deed(&house, "two"));
    for _ in 0..4 {
        house
            .target
            .fail_next(Op::Deeds, Trouble::Fails(Fault::Unavailable));
    }
    house.live(Span::minutes(16)).await;
    assert_eq!(told(&house, grant).await, [said(&["one"], false)]);
    let mut house = house.restart("second").await;
    house.live(Span::minutes(20)).await;
    let both = [said(&["one"], false), said(&["two"], false)];
    assert_eq!(told(&house, grant).await, both);
}

#[tokio::test]
async fn what_is_too_much_for_one_entry_is_counted() {
    let mut house = telling().await;
    let grant = house.granted(&["orders/write"]).await;
    let key = house.key(grant).await;
    for _ in 0..MOST + 7 {
        house.target.did(&key, deed(&house, "list\u{1b}[2J\u{202e}"));
    }
    house.live(Span::minutes(20)).await;
    let told = told(&house, grant).await;
    let [(deeds, 7, false, false)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(deeds.len(), MOST);
    assert!(
        deeds.iter().all(|what| what == "list [2J "),
        "without what harms a terminal"
    );
}

#[tokio::test]
async fn what_cannot_be_read_for_two_days_is_said_to_be_lost() {
    let mut house = telling().await;
    let grant = house.granted(&["orders/write"]).await;
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    for _ in 0..1_000 {
        house.target.fail_next(Op::Deeds, Trouble::Fails(Fault::Denied));
    }
    house.live(Span::hours(49)).await;
    assert_eq!(told(&house, grant).await, [(vec![], 0, true, true)]);
}
