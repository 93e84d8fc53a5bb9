//! Several grants at once: each has its own, and ending one never touches another.

use daypass_core::time::Span;
use daypass_policy::Source;

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
    for _ in 0..1_200 {
        let made = house.ask("ana", &["staging/read"]).await.unwrap();
        grants.push(made.grant.unwrap().id);
    }
    house.reconcile().await;
    house.live(Span::hours(1)).await;
    for grant in grants {
        assert_eq!(house.state(grant).await, "ended");
    }
}
