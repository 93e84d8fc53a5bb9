//! Policies through the engine: what is not sound is not put in force.

use daypass_core::refusal::Code;
use daypass_engine::Error;
use daypass_policy::Source;

use crate::house::{House, POLICY, code};

fn source(text: &str) -> [Source; 1] {
    [Source {
        name: "policy.yaml".into(),
        text: text.into(),
    }]
}

#[tokio::test]
async fn only_an_administrator_applies_a_policy() {
    let house = House::new().await;
    let changed = source(&POLICY.replace("max: 2h}", "max: 3h}"));
    assert_eq!(
        code(house.engine.apply_policy(house.caller("ana"), &changed).await),
        Code::Forbidden
    );
    let before = house.engine.current().policy.revision();
    house
        .engine
        .apply_policy(house.caller("root"), &changed)
        .await
        .unwrap();
    assert_ne!(house.engine.current().policy.revision(), before);
    assert!(house.log().await.contains(&"policy.applied"));
}

#[tokio::test]
async fn a_policy_whose_own_tests_fail_is_not_loaded() {
    let house = House::new().await;
    let failing = format!(
        "{POLICY}\ntests:\n  - {{as: ana, in: [engineering], ask: orders/read, for: 1h, expect: {{refused: over-max}}}}\n"
    );
    let before = house.engine.current().policy.revision();
    let refused = house
        .engine
        .apply_policy(house.caller("root"), &source(&failing))
        .await;
    assert_eq!(code(refused), Code::PolicyTestFailed);
    assert_eq!(house.engine.current().policy.revision(), before);
}

#[tokio::test]
async fn what_a_provider_finds_wrong_is_told_with_its_place() {
    let house = House::new().await;
    let wrong = POLICY.replace("{can: [write]}", "{cam: [write]}");
    let checked = house.engine.check_policy(&source(&wrong)).unwrap();
    let finding = checked
        .findings
        .first()
        .expect("the role's configuration is wrong");
    assert!(finding.location.line > 10, "{finding:?}");
    assert_eq!(
        code(
            house
                .engine
                .apply_policy(house.caller("root"), &source(&wrong))
                .await
        ),
        Code::PolicyInvalid
    );
}

#[tokio::test]
async fn a_malformed_policy_answers_with_diagnostics() {
    let house = House::new().await;
    let refused = house
        .engine
        .apply_policy(house.caller("root"), &source("version: 1\nrulez: []\n"))
        .await;
    assert!(matches!(refused, Err(Error::Policy(_))));
}

#[tokio::test]
async fn a_connector_with_access_standing_stays() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let without = source("version: 1\n");
    assert_eq!(
        code(house.engine.apply_policy(house.caller("root"), &without).await),
        Code::InUse
    );
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    house
        .engine
        .apply_policy(house.caller("root"), &without)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connector_with_access_standing_does_not_move() {
    let mut house = House::new().await;
    house.granted(&["orders/write"]).await;
    let moved = source(
        "version: 1\nconnectors:\n  - {name: box, kind: postgres, config: {host: h, admin: {user: d, password: {secret: s}}}}\n",
    );
    // Whatever is read at another target under this name never had the access.
    assert_eq!(
        code(house.engine.apply_policy(house.caller("root"), &moved).await),
        Code::InUse
    );
}

#[tokio::test]
async fn access_ends_although_the_policy_lost_its_resource() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let without_orders = POLICY.replace("name: orders,", "name: another,");
    house
        .engine
        .apply_policy(house.caller("root"), &source(&without_orders))
        .await
        .unwrap();
    house.live(daypass_core::time::Span::hours(2)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert!(!house.target.stands(&house.key(grant).await));
}

#[tokio::test]
async fn what_another_server_put_in_force_is_what_is_decided_by() {
    let house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    let stricter = POLICY
        .replace(
            "allow: engineers, to: {env: staging}",
            "allow: security, to: {env: staging}",
        )
        .replace("    allow: engineers", "    allow: security");
    house
        .beside()
        .await
        .load_policy(&source(&stricter))
        .await
        .unwrap();
    assert_eq!(
        code(house.ask("ana", &["staging/read"]).await),
        Code::NotEligible,
        "not by what this server read before"
    );
    assert_eq!(code(house.approve("cy", &made.request).await), Code::NotEligible);
}
