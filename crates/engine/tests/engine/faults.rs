//! Targets that fail, answers that are lost, processes that die, hands that meddle: access still ends, and only once it is seen.

use daypass_core::entitlement::Fault;
use daypass_core::time::Span;
use daypass_providers::memory::{Op, Trouble};

use daypass_policy::Source;

use crate::house::{House, POLICY};

#[tokio::test]
async fn a_target_down_across_the_deadline_keeps_the_grant_ending_overdue_and_visible() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    house.target.set_down(true);
    house.live(Span::hours(3)).await;
    assert_eq!(house.state(grant).await, "ending");
    let log = house.log().await;
    assert!(log.contains(&"grant.overdue"), "{log:?}");
    assert_eq!(
        log.iter()
            .filter(|event| **event == "entitlement.failing")
            .count(),
        1,
        "told once, not at each attempt"
    );
    house.target.set_down(false);
    house.live(Span::seconds(31)).await;
    assert_eq!(
        house.state(grant).await,
        "ended",
        "as soon as it answers, and no later than one pause"
    );
}

#[tokio::test]
async fn every_kind_of_failure_while_ending_is_repeated_until_it_works() {
    for fault in [
        Fault::NotFound,
        Fault::Denied,
        Fault::RateLimited,
        Fault::Conflict,
        Fault::Unavailable,
        Fault::Misconfigured,
        Fault::Bug,
    ] {
        let mut house = House::new().await;
        let grant = house.granted(&["orders/write"]).await;
        for _ in 0..3 {
            house.target.fail_next(Op::Revoke, Trouble::Fails(fault));
            house.target.fail_next(Op::Inspect, Trouble::Fails(fault));
        }
        house.engine.release(house.caller("ana"), grant).await.unwrap();
        house.live(Span::minutes(2)).await;
        assert_eq!(house.state(grant).await, "ended", "{fault}");
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_leaves_nothing_over() {
    let mut house = House::new().await;
    house.target.fail_next(Op::Provision, Trouble::LosesAnswer);
    let grant = house.granted(&["orders/write"]).await;
    house.live(Span::minutes(1)).await;
    assert_eq!(
        house.state(grant).await,
        "active",
        "the repeated call finds what the first one made"
    );
    house.target.fail_next(Op::Revoke, Trouble::LosesAnswer);
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.live(Span::minutes(1)).await;
    assert_eq!(house.state(grant).await, "ended");
}

#[tokio::test]
async fn what_cannot_be_provisioned_in_its_window_fails_and_leaves_nothing() {
    let mut house = House::new().await;
    for _ in 0..1000 {
        house
            .target
            .fail_next(Op::Provision, Trouble::Fails(Fault::Denied));
    }
    let grant = house.granted(&["orders/read", "orders/write"]).await;
    house.live(Span::minutes(6)).await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "failed")
    );
    for part in house.grant(grant).await.parts {
        assert!(!house.target.stands(&part.target.key));
    }
}

#[tokio::test]
async fn what_stood_there_before_is_neither_adopted_nor_removed() {
    let mut house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    let grant = house.approve("cy", &made.request).await.unwrap().grant.unwrap();
    let key = grant.parts[0].target.key.clone();
    house.target.add_by_hand(&key, "theirs");
    house.live(Span::seconds(2)).await;
    assert_eq!(
        (house.state(grant.id).await, house.ended_reason(grant.id).await),
        ("ended", "failed")
    );
    assert!(house.target.stands(&key), "it is somebody else's");
    let told = format!("{:?}", house.grant(grant.id).await.state);
    assert!(
        told.contains("has this already, outside Daypass, which did not take it over"),
        "{told}"
    );
}

#[tokio::test]
async fn access_taken_away_by_hand_ends_the_grant() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    house.target.remove_by_hand(&house.key(grant).await);
    house.live(Span::minutes(2)).await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "removed")
    );
}

#[tokio::test]
async fn a_limit_that_was_changed_by_hand_is_found_and_set_right() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let key = house.key(grant).await;
    let limit = house.target.until(&key);
    assert!(limit.is_some());
    let hours = [
        limit.map(|limit| limit + Span::hours(9)),
        limit.map(|limit| limit - Span::hours(9)),
    ];
    for other in [None, hours[0], hours[1]] {
        assert!(house.target.limit_by_hand(&key, other));
        house.live(Span::minutes(2)).await;
        assert_eq!(house.target.until(&key), limit, "it was {other:?}");
    }
    assert_eq!(house.state(grant).await, "active");
    let log = house.log().await;
    let found = log.iter().filter(|name| **name == "entitlement.drift_found");
    assert_eq!(found.count(), 3, "{log:?}");
}

#[tokio::test]
async fn access_that_no_grant_holds_is_found_and_removed() {
    let mut house = House::new().await;
    house.target.add_unrecorded("stray", "test");
    house.target.add_unrecorded("foreign", "another installation");
    house.live(Span::minutes(2)).await;
    assert!(!house.target.stands("stray"));
    assert!(
        house.target.stands("foreign"),
        "another installation's is not ours to remove"
    );
    let log = house.log().await;
    assert!(
        log.contains(&"entitlement.drift_found") && log.contains(&"entitlement.verified_absent"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_clock_set_back_lets_nothing_outlive_its_deadline() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    house.live(Span::minutes(1)).await;
    house.back(Span::hours(10));
    house.live(Span::minutes(61)).await;
    assert_eq!(
        house.state(grant).await,
        "ended",
        "time goes on at the clock's rate"
    );
    assert!(!house.target.stands(&house.key(grant).await));
}

#[tokio::test]
async fn drift_is_left_to_people_where_the_connector_says_so() {
    let mut house = House::new().await;
    let alarm = POLICY.replace(
        "{name: box, kind: memory,",
        "{name: box, kind: memory, drift: alarm,",
    );
    let sources = [Source {
        name: "policy.yaml".into(),
        text: alarm,
    }];
    house
        .engine
        .apply_policy(house.caller("root"), &sources)
        .await
        .unwrap();
    house.target.add_unrecorded("stray", "test");
    let grant = house.granted(&["orders/write"]).await;
    house.live(Span::hours(2)).await;
    assert!(house.target.stands("stray"));
    assert_eq!(
        house
            .log()
            .await
            .iter()
            .filter(|event| **event == "entitlement.drift_found")
            .count(),
        1,
        "told once"
    );
    assert_eq!(house.state(grant).await, "ended", "a grant's own end is no drift");
}

#[tokio::test]
async fn a_process_that_died_between_call_and_record_leaves_nothing_over() {
    let mut house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let grant = house.agreed(&made.request).await;
    let key = house.key(grant).await;
    // One step begins the grant and starts the call; nobody takes its outcome in.
    house.reconciler.step().await.unwrap();
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    let mut house = house.restart("two").await;
    house.live(Span::minutes(3)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert!(!house.target.stands(&key));
}

#[tokio::test]
async fn a_clock_that_jumps_forward_ends_early_and_back_revives_nothing() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    house.pass(Span::hours(30));
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
    house.back(Span::hours(30));
    house.live(Span::minutes(5)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert!(!house.target.stands(&house.key(grant).await));
}

/// It never becomes what it was told, and nothing is gained by telling it again at once.
#[tokio::test]
async fn a_limit_that_is_shown_differently_is_not_asked_for_in_a_storm() {
    let mut house = House::new().await;
    house.target.set_coarse(Span::minutes(1));
    house.pass(Span::seconds(1));
    let grant = house.granted(&["orders/write"]).await;
    house.live(Span::minutes(10)).await;
    assert_eq!(house.state(grant).await, "active", "it is there");
    let calls = house.target.calls(Op::Provision);
    assert!((10..60).contains(&calls), "{calls} calls in ten minutes");
    let log = house.log().await;
    let told = log.iter().filter(|event| **event == "entitlement.failing");
    assert_eq!(told.count(), 1, "told once");
    house.live(Span::minutes(60)).await;
    assert_eq!(house.state(grant).await, "ended");
}

/// Nobody wants it any more when it is about to be tried again. That says nothing of the first call.
#[tokio::test]
async fn a_provisioning_without_an_answer_is_waited_for_although_nobody_wants_it_any_more() {
    let mut house = House::new().await;
    let lost = Trouble::Fails(Fault::Unavailable);
    house.target.fail_next(Op::Provision, lost);
    let grant = house.granted(&["orders/write"]).await;
    let key = house.key(grant).await;
    house.pass(Span::seconds(1));
    house.reconciler.step().await.unwrap();
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(
        house.state(grant).await,
        "ending",
        "the first call may still land"
    );
    house.target.add_unrecorded(&key, "test");
    house.live(Span::seconds(10)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert!(!house.target.stands(&key), "and what it brought was seen");
}
