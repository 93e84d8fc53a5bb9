//! One request across several connectors: all of it is given or nothing, and what was made for it is taken away again.

use daypass_core::entitlement::Fault;
use daypass_core::environment::Wanted;
use daypass_core::evidence::Proof;
use daypass_core::grant::State;
use daypass_core::id::GrantId;
use daypass_core::time::Span;
use daypass_engine::NewRequest;
use daypass_providers::memory::{Op, Target, Trouble};

use crate::house::{House, asked};

const POLICY: &str = r#"
version: 1
defaults: {duration: 1h, max: 4h, pending: 2h, activation: 5m, reason: required, settle: 0s}
people: {engineers: {group: engineering}}
connectors:
  - {name: one, kind: memory, config: {}}
  - {name: two, kind: memory, config: {shared: true}}
  - {name: three, kind: memory, config: {}}
resources:
  - {name: db, kind: memory, connector: one, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
  - {name: host, kind: memory, connector: two, labels: {env: staging}, config: {}, roles: {read: {can: [read], opening: door}}}
  - {name: vm, kind: memory, connector: three, labels: {env: staging}, config: {}, roles: {read: {can: [read]}}}
environments:
  staging: {resources: {env: staging}, roles: {debug: {memory: read}}}
rules:
  - {name: debug, allow: engineers, to: {env: staging}, approval: none, max: 2h}
"#;

/// The three targets, in the order of their connectors.
fn targets(house: &House) -> [Target; 3] {
    ["one", "two", "three"].map(|connector| house.target_of(connector))
}

async fn house() -> House {
    let house = House::new().await;
    house.under(POLICY).await;
    house
}

/// ana asks for `env:staging/debug`, which nobody has to agree to.
async fn debugs(house: &House) -> GrantId {
    let Ok(Wanted::Environment(role)) = "env:staging/debug".parse() else {
        panic!("that is a role of an environment");
    };
    let new = NewRequest {
        environments: vec![role],
        ..asked(&[])
    };
    let made = house.engine.request(house.caller("ana"), new, None).await;
    let grant = made.unwrap().grant.unwrap();
    assert_eq!(grant.parts.len(), 3);
    grant.id
}

/// Which of the grant's parts stand, in the order of the connectors.
async fn standing(house: &House, id: GrantId) -> [bool; 3] {
    let parts = house.grant(id).await.parts;
    let [one, two, three] = ["one", "two", "three"].map(|connector| {
        let part = parts
            .iter()
            .find(|part| part.target.connector.as_str() == connector);
        house.target_of(connector).stands(&part.unwrap().target.key)
    });
    [one, two, three]
}

/// It failed, and each of its items was read at its target and not found, or was never made.
async fn failed(house: &House, id: GrantId) {
    assert_eq!(
        (house.state(id).await, house.ended_reason(id).await),
        ("ended", "failed")
    );
    assert_eq!(standing(house, id).await, [false; 3]);
    let State::Ended { evidence, .. } = house.grant(id).await.state else {
        panic!("it ended");
    };
    assert_eq!(evidence.len(), 3);
    for item in evidence {
        assert!(
            matches!(item.proof, Proof::TargetRead { .. } | Proof::NeverProvisioned),
            "{item:?}"
        );
    }
}

#[tokio::test]
async fn all_of_it_is_given_and_ends_as_one() {
    let mut house = house().await;
    let grant = debugs(&house).await;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "active");
    assert_eq!(standing(&house, grant).await, [true; 3]);
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
    assert_eq!(standing(&house, grant).await, [false; 3]);
}

#[tokio::test]
async fn where_the_last_one_fails_for_good_the_others_are_taken_away() {
    for fault in [
        Fault::Denied,
        Fault::Unavailable,
        Fault::Conflict,
        Fault::Misconfigured,
    ] {
        let mut house = house().await;
        let [_, _, three] = targets(&house);
        for _ in 0..1000 {
            three.fail_next(Op::Provision, Trouble::Fails(fault));
        }
        let grant = debugs(&house).await;
        house.reconcile().await;
        assert_eq!(house.state(grant).await, "activating");
        assert_eq!(standing(&house, grant).await, [true, true, false]);
        house.live(Span::minutes(6)).await;
        failed(&house, grant).await;
    }
}

#[tokio::test]
async fn where_it_took_effect_without_an_answer_it_is_taken_away_too() {
    let mut house = house().await;
    let [_, _, three] = targets(&house);
    three.fail_next(Op::Provision, Trouble::LosesAnswer);
    for _ in 0..1000 {
        three.fail_next(Op::Provision, Trouble::Fails(Fault::Denied));
    }
    let grant = debugs(&house).await;
    house.reconcile().await;
    let key = house.grant(grant).await.parts;
    let key = key.iter().find(|part| part.target.connector.as_str() == "three");
    assert!(three.stands(&key.unwrap().target.key), "its answer was lost");
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.live(Span::minutes(6)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert_eq!(standing(&house, grant).await, [false; 3]);
}

#[tokio::test]
async fn half_done_across_a_restart_it_is_taken_away() {
    let mut house = house().await;
    let [_, _, three] = targets(&house);
    three.set_down(true);
    let grant = debugs(&house).await;
    house.reconcile().await;
    assert_eq!(standing(&house, grant).await, [true, true, false]);
    house.pass(Span::minutes(2));
    let mut house = house.restart("two").await;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "activating", "its window is not over");
    house.live(Span::minutes(4)).await;
    assert_eq!(house.ended_reason(grant).await, "failed");
    assert_eq!(standing(&house, grant).await, [false; 3]);
    // Whether it took effect there nobody can know before it answers.
    assert_eq!(house.state(grant).await, "ending");
    three.set_down(false);
    house.live(Span::minutes(1)).await;
    failed(&house, grant).await;
}

#[tokio::test]
async fn a_restart_after_the_window_takes_the_half_away() {
    let mut house = house().await;
    let [_, _, three] = targets(&house);
    three.set_down(true);
    let grant = debugs(&house).await;
    house.reconcile().await;
    house.pass(Span::minutes(20));
    three.set_down(false);
    let mut house = house.restart("two").await;
    house.live(Span::minutes(1)).await;
    failed(&house, grant).await;
}

#[tokio::test]
async fn what_cannot_be_taken_back_yet_is_overdue_and_seen() {
    let mut house = house().await;
    let [one, _, three] = targets(&house);
    for _ in 0..1000 {
        three.fail_next(Op::Provision, Trouble::Fails(Fault::Denied));
    }
    let grant = debugs(&house).await;
    house.reconcile().await;
    one.set_down(true);
    house.live(Span::minutes(10)).await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ending", "failed")
    );
    assert_eq!(
        standing(&house, grant).await,
        [true, false, false],
        "only what could not go"
    );
    assert!(house.log().await.contains(&"grant.overdue"));
    one.set_down(false);
    house.live(Span::minutes(1)).await;
    failed(&house, grant).await;
}

/// What another grant holds too stays for that one.
#[tokio::test]
async fn a_roll_back_leaves_to_others_what_they_hold() {
    let mut house = house().await;
    let [_, two, three] = targets(&house);
    let door = house.ask("ana", &["host/read"]).await.unwrap().grant.unwrap().id;
    house.reconcile().await;
    for _ in 0..1000 {
        three.fail_next(Op::Provision, Trouble::Fails(Fault::Denied));
    }
    let bundle = debugs(&house).await;
    house.live(Span::minutes(6)).await;
    assert_eq!(
        (house.state(bundle).await, house.state(door).await),
        ("ended", "active")
    );
    assert_eq!(standing(&house, bundle).await, [false, true, false]);
    assert_eq!(two.until("opening_door"), house.grant(door).await.expires_at());
}
