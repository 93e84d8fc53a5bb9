//! Several grants at once: each has its own, and ending one never touches another.

use daypass_core::entitlement::Fault;
use daypass_core::time::Span;
use daypass_policy::Source;
use daypass_providers::memory::{Op, Trouble};

use crate::house::{House, POLICY};

#[tokio::test]
async fn two_grants_on_one_role_do_not_cut_each_other() {
    let mut house = House::new().await;
    let first = house.granted(&["orders/write"]).await;
    house.live(Span::minutes(30)).await;
    let second = house.granted(&["orders/write"]).await;
    let ended = house.engine.release(house.caller("ana"), first).await.unwrap();
    assert_eq!(ended.surviving, [second], "the answer says what lives on");
    house.live(Span::minutes(31)).await;
    assert_eq!(
        (house.state(first).await, house.state(second).await),
        ("ended", "active")
    );
    assert!(house.target.stands(&house.key(second).await));
    house.live(Span::minutes(30)).await;
    assert_eq!(house.state(second).await, "ended");
}

#[tokio::test]
async fn many_that_expire_at_once_all_go() {
    let mut house = House::new().await;
    let mut grants = Vec::new();
    // More than one batch.
    for _ in 0..520 {
        grants.push(
            house
                .ask("ana", &["staging/read"])
                .await
                .unwrap()
                .grant
                .unwrap()
                .id,
        );
    }
    house.reconcile().await;
    house.live(Span::hours(1)).await;
    for grant in grants {
        assert_eq!(house.state(grant).await, "ended");
    }
}

/// A connector without anything to do must not make each step read all that is due for the other one.
#[tokio::test]
async fn many_that_expire_at_once_go_beside_an_idle_connector() {
    let mut house = House::new().await;
    let two = POLICY.replace(
        "resources:",
        "  - {name: idle, kind: memory, config: {}}\nresources:",
    );
    let sources = [Source {
        name: "policy.yaml".into(),
        text: two,
    }];
    house.engine.load_policy(&sources).await.unwrap();
    let mut grants = Vec::new();
    for _ in 0..1_000 {
        let made = house.ask("ana", &["staging/read"]).await.unwrap();
        grants.push(made.grant.unwrap().id);
    }
    house.reconcile().await;
    house.live(Span::hours(1)).await;
    for grant in grants {
        assert_eq!(house.state(grant).await, "ended");
    }
}

/// The key of the role `door` in [`with_a_door`], whoever holds it.
const DOOR: &str = "opening_door";

/// A house where `orders/door` is one opening for all who hold it.
async fn with_a_door() -> House {
    let house = House::new().await;
    let text = POLICY
        .replace(
            "kind: memory, config: {}}",
            "kind: memory, config: {shared: true}}",
        )
        .replace(
            "roles: {read:",
            "roles: {door: {can: [use], opening: door}, read:",
        );
    let name = "policy.yaml".into();
    house.engine.load_policy(&[Source { name, text }]).await.unwrap();
    house
}

/// What another grant holds too is no reason to leave standing what it does not hold.
#[tokio::test]
async fn a_bundle_that_shares_one_opening_loses_its_own_item_at_once() {
    let mut house = with_a_door().await;
    let bundle = house.granted(&["orders/door", "orders/write"]).await;
    let other = house.granted(&["orders/door"]).await;
    let parts = house.grant(bundle).await.parts;
    let own = parts.iter().find(|part| part.target.key != DOOR).unwrap();
    assert!(house.target.stands(&own.target.key) && house.target.stands(DOOR));
    house.engine.release(house.caller("ana"), bundle).await.unwrap();
    house.reconcile().await;
    assert!(!house.target.stands(&own.target.key), "without any time passing");
    assert_eq!(
        (house.state(bundle).await, house.state(other).await),
        ("ended", "active")
    );
    assert!(house.target.stands(DOOR));
    house.engine.release(house.caller("ana"), other).await.unwrap();
    house.reconcile().await;
    assert!(!house.target.stands(DOOR));
}

#[tokio::test]
async fn a_removal_without_an_answer_is_not_taken_for_access_by_the_next_holder() {
    let mut house = with_a_door().await;
    let first = house.granted(&["orders/door"]).await;
    house.target.fail_next(Op::Revoke, Trouble::LosesAnswer);
    house.engine.release(house.caller("ana"), first).await.unwrap();
    house.reconcile().await;
    assert!(!house.target.stands(DOOR), "it took effect");
    let second = house.granted(&["orders/door"]).await;
    assert_eq!(house.state(second).await, "activating", "nobody has looked since");
    house.live(Span::seconds(2)).await;
    assert!(house.target.stands(DOOR));
    assert_eq!(
        (house.state(first).await, house.state(second).await),
        ("ended", "active")
    );
    let log = house.log().await;
    assert!(log.contains(&"entitlement.removing"), "{log:?}");
}

/// The removal was on its way when the next grant was provisioned, and cuts it.
#[tokio::test]
async fn a_removal_that_lands_late_is_made_good() {
    let mut house = with_a_door().await;
    let first = house.granted(&["orders/door"]).await;
    // So that the next sweep comes while it may still land.
    house.live(Span::seconds(57)).await;
    house
        .target
        .fail_next(Op::Revoke, Trouble::Fails(Fault::Unavailable));
    house.engine.release(house.caller("ana"), first).await.unwrap();
    house.reconcile().await;
    let second = house.granted(&["orders/door"]).await;
    house.live(Span::seconds(2)).await;
    assert_eq!(house.state(second).await, "active");
    house.target.remove_by_hand(DOOR);
    house.live(Span::minutes(2)).await;
    assert_eq!(house.state(second).await, "active", "nobody took it away by hand");
    assert!(house.target.stands(DOOR));
    // And once that is over, it is left alone.
    let calls = house.target.calls(Op::Provision);
    house.live(Span::minutes(10)).await;
    assert_eq!(house.target.calls(Op::Provision), calls);
}
