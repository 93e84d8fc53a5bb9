//! Several grants at once: each has its own, and ending one never touches another.

use daypass_core::time::Span;

use crate::house::House;

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
