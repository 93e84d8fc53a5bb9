//! What access may last in total: an extension is held to it when it is agreed to, not only when it is asked for.

use daypass_core::grant::State;
use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::NewRequest;
use daypass_policy::Source;

use crate::house::{House, POLICY, asked, code};

/// Production may be had for two hours by its rule; from some day on for one.
async fn shortened(house: &House) {
    let text = format!("{POLICY}guardrails:\n  - {{name: short, to: {{env: production}}, max: 1h}}\n");
    let sources = [Source {
        name: "policy.yaml".into(),
        text,
    }];
    house.engine.load_policy(&sources).await.unwrap();
}

/// Ana has orders/read for half an hour, which could be two.
async fn half_an_hour() -> (House, GrantId, Timestamp) {
    let mut house = House::new().await;
    let mut new = asked(&["orders/read"]);
    new.duration = Some(Span::minutes(30));
    let made = house
        .engine
        .request(house.caller("ana"), new, None)
        .await
        .unwrap();
    let id = house.agreed(&made.request).await;
    house.reconcile().await;
    let since = house.grant(id).await.active_since().unwrap();
    assert_eq!(expires_at(&house, id).await, since + Span::minutes(30));
    (house, id, since)
}

async fn expires_at(house: &House, id: GrantId) -> Timestamp {
    match house.grant(id).await.state {
        State::Active { expires_at, .. } => expires_at,
        other => panic!("{other:?}"),
    }
}

fn longer(id: GrantId, minutes: u64) -> NewRequest {
    NewRequest {
        extends: Some(id),
        duration: Some(Span::minutes(minutes)),
        ..asked(&[])
    }
}

async fn extend(house: &House, id: GrantId, minutes: u64) -> Request {
    let ana = house.caller("ana");
    let made = house.engine.request(ana, longer(id, minutes), None).await;
    made.unwrap().request
}

#[tokio::test]
async fn a_maximum_that_came_while_an_extension_waited_bounds_it() {
    let (house, id, since) = half_an_hour().await;
    let extension = extend(&house, id, 60).await;
    shortened(&house).await;
    house.approve("bo", &extension).await.unwrap();
    house.approve("cy", &extension).await.unwrap();
    assert_eq!(expires_at(&house, id).await, since + Span::hours(1));
    let more = house
        .engine
        .request(house.caller("ana"), longer(id, 1), None)
        .await;
    assert_eq!(code(more), Code::OverLatestEnd);
}

/// Each would fit by itself.
#[tokio::test]
async fn two_extensions_do_not_pass_the_maximum_of_the_day_together() {
    let (house, id, since) = half_an_hour().await;
    shortened(&house).await;
    let first = extend(&house, id, 20).await;
    let second = extend(&house, id, 20).await;
    for request in [&first, &second] {
        house.approve("bo", request).await.unwrap();
        house.approve("cy", request).await.unwrap();
    }
    assert_eq!(expires_at(&house, id).await, since + Span::hours(1));
}

#[tokio::test]
async fn an_extension_for_which_there_is_no_room_any_more_is_refused_when_it_is_agreed_to() {
    let (house, id, since) = half_an_hour().await;
    shortened(&house).await;
    let first = extend(&house, id, 30).await;
    let second = extend(&house, id, 30).await;
    house.approve("bo", &first).await.unwrap();
    house.approve("cy", &first).await.unwrap();
    house.approve("bo", &second).await.unwrap();
    assert_eq!(code(house.approve("cy", &second).await), Code::OverLatestEnd);
    assert_eq!(expires_at(&house, id).await, since + Span::hours(1));
}
