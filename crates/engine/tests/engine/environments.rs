//! Asking for a role of an environment: one request for what it stands for, frozen as its items.

use std::collections::BTreeSet;

use daypass_core::environment::{EnvironmentRole, Wanted};
use daypass_core::name::Item;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_engine::{Made, NewRequest};
use daypass_policy::{Decision, Source};

use crate::house::{House, POLICY, asked, code};

const ENVIRONMENTS: &str = "environments:
  all: {resources: {env: [staging, production]}, roles: {look: {memory: read}}}
  quiet: {resources: {env: staging}, roles: {look: {memory: read}, change: {memory: write}}}
";

/// The house's policy with environments, in which staging can be written too, and one more rule for both.
fn policy(change: (&str, &str)) -> [Source; 1] {
    let text = POLICY
        .replace("labels: {env: staging}, config: {}, roles: {read: {can: [read]}}", "labels: {env: staging}, config: {}, roles: {read: {can: [read]}, write: {can: [write]}}")
        .replace("rules:\n", &format!("{ENVIRONMENTS}rules:\n  - {{name: look-at-all, allow: engineers, to: {{kind: memory}}, roles: [read], approval: none, max: 1h}}\n  - {{name: burns, allow: engineers, to: {{kind: memory}}, break_glass: {{page: leads, review_by: leads, within: 1h}}}}\n"))
        .replace(change.0, change.1);
    [Source {
        name: "policy.yaml".into(),
        text,
    }]
}

const GROWN: (&str, &str) = ("env: [staging, production]}, roles", "env: [staging]}, roles");

async fn house(change: (&str, &str)) -> House {
    let house = House::new().await;
    house.engine.load_policy(&policy(change)).await.unwrap();
    house
}

fn environment(text: &str, besides: &[&str]) -> NewRequest {
    let Ok(Wanted::Environment(role)) = text.parse() else {
        panic!("{text} is no environment")
    };
    NewRequest {
        environments: vec![role],
        ..asked(besides)
    }
}

fn items(texts: &[&str]) -> BTreeSet<Item> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

async fn ask(house: &House, asked: NewRequest, key: Option<&str>) -> Result<Made, daypass_engine::Error> {
    house.engine.request(house.caller("ana"), asked, key).await
}

#[tokio::test]
async fn it_is_one_request_and_is_granted_and_ended_as_one() {
    let mut house = house(("", "")).await;
    let made = ask(&house, environment("env:all/look", &[]), None).await.unwrap();
    assert_eq!(made.request.ask.items, items(&["orders/read", "staging/read"]));
    let grant = made.grant.unwrap().id;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "active");
    assert_eq!(house.grant(grant).await.parts.len(), 2);
    // The environment loses one and gets another role: what is held stays as it was agreed to.
    house.engine.load_policy(&policy(GROWN)).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.grant(grant).await.parts.len(), 2);
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
}

#[tokio::test]
async fn what_was_asked_is_what_it_stood_for_then() {
    let house = house(GROWN).await;
    let made = ask(&house, environment("env:all/look", &["staging/write"]), None).await;
    let made = made.unwrap();
    assert_eq!(made.request.ask.items, items(&["staging/read", "staging/write"]));
    house.engine.load_policy(&policy(("", ""))).await.unwrap();
    let later = house.request(made.request.id).await;
    assert_eq!(later.ask.items, made.request.ask.items);
    assert_eq!(later.digest, made.request.digest);
}

#[tokio::test]
async fn the_same_command_finds_its_first_answer_though_the_environment_grew() {
    let mut house = house(GROWN).await;
    let first = ask(&house, environment("env:all/look", &[]), Some("key"))
        .await
        .unwrap();
    assert!(first.fresh);
    assert_eq!(first.request.ask.items, items(&["staging/read"]));
    for (attempt, change) in [("the same policy", GROWN), ("a wider one", ("", ""))] {
        house.engine.load_policy(&policy(change)).await.unwrap();
        let again = ask(&house, environment("env:all/look", &[]), Some("key"))
            .await
            .unwrap();
        assert!(!again.fresh, "{attempt}");
        assert_eq!(again.request.id, first.request.id, "{attempt}");
        assert_eq!(again.request.ask.items, items(&["staging/read"]), "{attempt}");
    }
    // Also for another server, and after the environment went altogether.
    let none = Source {
        name: "policy.yaml".into(),
        text: POLICY.into(),
    };
    house.engine.load_policy(&[none]).await.unwrap();
    house = house.restart("two").await;
    let again = ask(&house, environment("env:all/look", &[]), Some("key"))
        .await
        .unwrap();
    assert_eq!(again.request.id, first.request.id);
}

#[tokio::test]
async fn another_command_under_the_key_is_refused() {
    let house = house(GROWN).await;
    let key = Some("key");
    ask(&house, environment("env:all/look", &[]), key).await.unwrap();
    house.engine.load_policy(&policy(("", ""))).await.unwrap();
    for other in [
        environment("env:quiet/change", &[]),
        environment("env:all/look", &["orders/write"]),
        environment("env:nothing/look", &[]),
        asked(&["staging/write"]),
        NewRequest {
            duration: Some(Span::minutes(3)),
            ..environment("env:all/look", &[])
        },
    ] {
        let told = format!("{other:?}");
        assert_eq!(code(ask(&house, other, key).await), Code::Exists, "{told}");
    }
    let glass = house
        .engine
        .break_glass(house.caller("ana"), environment("env:all/look", &[]), key);
    assert_eq!(code(glass.await), Code::Exists);
}

#[tokio::test]
async fn what_it_does_not_stand_for_is_refused_by_its_name() {
    let house = house(("", "")).await;
    let refused = |asked: NewRequest| {
        let house = &house;
        async move {
            let preview = house.engine.preview(house.caller("ana"), &asked).await.unwrap();
            let made = code(ask(house, asked, None).await);
            match preview.decision {
                Decision::Refused(refusal) => {
                    assert_eq!(refusal.code, made, "preview and request agree");
                    (refusal.code, refusal.what, refusal.hint.unwrap_or_default())
                }
                Decision::Allowed(_) => panic!("it is allowed"),
            }
        }
    };
    let (code, what, hint) = refused(environment("env:al/look", &[])).await;
    assert_eq!(
        (code, what.as_str()),
        (Code::UnknownResource, "there is no environment al")
    );
    assert_eq!(hint, "did you mean \"all\"?");
    let (code, _, hint) = refused(environment("env:all/lok", &[])).await;
    assert_eq!(
        (code, hint.as_str()),
        (Code::UnknownRole, "did you mean \"look\"?")
    );
    let (code, what, _) = refused(environment("env:all/look", &["staging/write"])).await;
    assert_eq!(code, Code::NoCommonRule, "{what}");
    assert!(
        what.starts_with("env:all/look (orders/read, staging/read, staging/write): "),
        "{what}"
    );
    let root = house.caller("root");
    let orders = daypass_engine::Lockable::Resource("orders".parse().unwrap());
    house.engine.lock(root, &orders, "it leaks").await.unwrap();
    let (code, what, _) = refused(environment("env:all/look", &[])).await;
    assert_eq!(code, Code::Locked);
    assert!(
        what.starts_with("env:all/look: ") && what.contains("orders"),
        "{what}"
    );
}

#[tokio::test]
async fn the_preview_names_it_and_says_what_it_stands_for() {
    let house = house(("", "")).await;
    let asked = environment("env:all/look", &[]);
    let preview = house.engine.preview(house.caller("ana"), &asked).await.unwrap();
    assert_eq!(preview.items, items(&["orders/read", "staging/read"]));
    let named: Vec<EnvironmentRole> = preview.environments;
    assert_eq!(named, asked.environments);
    assert!(matches!(preview.decision, Decision::Allowed(_)));
}

#[tokio::test]
async fn the_glass_can_be_broken_for_all_of_it() {
    let mut house = house(("", "")).await;
    let ana = house.caller("ana");
    let made = house
        .engine
        .break_glass(ana, environment("env:all/look", &[]), None)
        .await;
    let made = made.unwrap();
    assert_eq!(made.request.path.rule.as_str(), "burns");
    assert_eq!(made.request.ask.items.len(), 2);
    house.reconcile().await;
    assert_eq!(house.state(made.grant.unwrap().id).await, "active");
}
