//! A server that only takes away: every door by which something would be given is shut, and every one by which it ends is open.

use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::review::Decision as Vote;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{Error, Lockable, LookBack, NewDelegation, NewRequest, NewToken, Verdict};
use daypass_policy::{Decision, Source};
use daypass_store::TokenKind;

use crate::house::{House, POLICY, asked, person};

/// With everything that a door may be about.
const MORE: &str = "
  - name: emergency
    allow: [engineers, security]
    to: {env: production}
    max: 30m
    break_glass: {page: leads, review_by: security, within: 1h}
";

async fn house() -> House {
    let house = House::new().await;
    let source = Source {
        name: "policy.yaml".into(),
        text: format!("{POLICY}{MORE}").replace("settle: 0s}", "settle: 0s, delegates: [security]}"),
    };
    house.engine.load_policy(&[source]).await.unwrap();
    house
}

fn refused<T>(doors: &mut Vec<(&'static str, Code)>, door: &'static str, answer: Result<T, Error>) {
    match answer {
        Err(Error::Refused(refusal)) => doors.push((door, refusal.code)),
        Err(other) => panic!("{door}: a failure, no refusal: {other}"),
        Ok(_) => panic!("{door} is open"),
    }
}

fn token(scope: Option<&str>) -> NewToken {
    NewToken {
        hash: Hash::of(scope.unwrap_or("session").as_bytes()),
        kind: scope.map_or(TokenKind::Session, |scope| TokenKind::Api {
            scopes: [scope.to_owned()].into(),
        }),
        name: "laptop".into(),
        lifetime: Span::hours(1),
    }
}

fn no(request: &Request) -> Verdict {
    Verdict {
        vote: Vote::Deny,
        digest: request.digest,
        comment: Some("not now".into()),
    }
}

fn all_shut(doors: &[(&str, Code)], count: usize) {
    assert_eq!(doors.len(), count);
    for (door, code) in doors {
        assert_eq!(*code, Code::OnlyTakesAway, "{door}");
    }
}

#[tokio::test]
async fn every_door_by_which_access_is_given_is_shut() {
    let mut house = house().await;
    let grant = house.granted(&["orders/write"]).await;
    let pending = house.ask("ana", &["orders/read"]).await.unwrap().request;
    let both = house.ask("ana", &["orders/read", "orders/write"]).await;
    let half = both.unwrap().request;
    house.approve("bo", &half).await.unwrap();
    let (ana, cy) = (house.caller("ana"), house.caller("cy"));
    let taken = house.engine.break_glass(ana, asked(&["orders/read"]), None);
    let taken = taken.await.unwrap().request;
    house.engine.only_take_away();

    let engine = &house.engine;
    let mut doors = Vec::new();
    refused(&mut doors, "request", house.ask("ana", &["staging/read"]).await);
    let extend = NewRequest {
        extends: Some(grant),
        ..asked(&[])
    };
    refused(&mut doors, "extend", engine.request(ana, extend, None).await);
    let glass = engine.break_glass(ana, asked(&["orders/write"]), None).await;
    refused(&mut doors, "break glass", glass);
    refused(&mut doors, "approve first", house.approve("bo", &pending).await);
    refused(&mut doors, "approve last", house.approve("cy", &half).await);
    refused(
        &mut doors,
        "credential",
        engine.credential(ana, grant, None).await,
    );
    let look = LookBack {
        digest: taken.digest,
        comment: "right call".into(),
        revoke: false,
    };
    refused(
        &mut doors,
        "look back",
        engine.acknowledge(cy, taken.id, look).await,
    );
    let token = engine.issue_token(ana, ana.person, token(Some("request"))).await;
    refused(&mut doors, "an API token", token);
    all_shut(&doors, 8);
    let preview = engine.preview(ana, &asked(&["staging/read"])).await.unwrap();
    assert!(
        matches!(preview.decision, Decision::Refused(refusal) if refusal.code == Code::OnlyTakesAway),
        "the preview says so too"
    );
}

#[tokio::test]
async fn every_door_by_which_people_and_rules_change_is_shut() {
    let house = house().await;
    let (root, bo) = (house.caller("root"), house.caller("bo"));
    house.engine.deactivate(root, "ed").await.unwrap();
    let locked = Lockable::Person("di".into());
    house.engine.lock(root, &locked, "laptop stolen").await.unwrap();
    house.engine.only_take_away();

    let engine = &house.engine;
    let mut doors = Vec::new();
    let delegation = NewDelegation {
        to: "cy".into(),
        from: None,
        until: house.now() + Span::hours(2),
        why: None,
    };
    refused(&mut doors, "delegate", engine.delegate(bo, delegation).await);
    refused(&mut doors, "unlock", engine.unlock(root, &locked, "found").await);
    let source = [Source {
        name: "policy.yaml".into(),
        text: POLICY.replace("max: 2h", "max: 4h"),
    }];
    refused(&mut doors, "apply", engine.apply_policy(root, &source).await);
    refused(&mut doors, "load", engine.load_policy(&source).await);
    let eve = engine.add_person(root, person("eve", &[])).await;
    refused(&mut doors, "add", eve);
    refused(&mut doors, "reactivate", engine.reactivate(root, "ed").await);
    let security = ["security".parse().unwrap()].into();
    let groups = engine.change_groups(root, "bo", security, [].into()).await;
    refused(&mut doors, "groups", groups);
    let manager = engine.set_manager(root, "ana", Some("bo")).await;
    refused(&mut doors, "manager", manager);
    let role = daypass_core::person::SystemRole::Administrator;
    refused(&mut doors, "role", engine.set_role(root, "bo", role).await);
    let mail = engine.set_mail(root, "ana", Some("a@example.com")).await;
    refused(&mut doors, "mail", mail);
    let password = engine.set_password(root, "ana", None, "$argon2id$x".into());
    refused(&mut doors, "password", password.await);
    all_shut(&doors, 11);
}

#[tokio::test]
async fn every_door_by_which_something_ends_is_open() {
    let mut house = house().await;
    let (given_back, revoked) = (
        house.granted(&["orders/write"]).await,
        house.granted(&["orders/read"]).await,
    );
    let locked = agreed(&house).await;
    let [denied, withdrawn] = [
        house.ask("ana", &["orders/read"]).await.unwrap().request,
        house.ask("ana", &["orders/write"]).await.unwrap().request,
    ];
    house.reconcile().await;
    house.engine.only_take_away();

    let (ana, bo, root) = (house.caller("ana"), house.caller("bo"), house.caller("root"));
    let engine = &house.engine;
    let session = engine.issue_token(root, root.person, token(None)).await.unwrap();
    engine.revoke_token(root, session.id).await.unwrap();
    engine.release(ana, given_back).await.unwrap();
    engine.revoke(root, revoked, Some("enough")).await.unwrap();
    engine.review(bo, denied.id, no(&denied)).await.unwrap();
    engine.withdraw(ana, withdrawn.id).await.unwrap();
    let ended = engine
        .lock(root, &Lockable::Person("ana".into()), "stolen")
        .await
        .unwrap();
    assert_eq!(ended.ending, 1);
    engine.deactivate(root, "cy").await.unwrap();
    house.reconcile().await;
    for grant in [given_back, revoked, locked] {
        assert_eq!(house.state(grant).await, "ended");
        assert!(!house.target.stands(&house.key(grant).await));
    }
}

/// A grant of ana's that is agreed to and has not begun.
async fn agreed(house: &House) -> GrantId {
    let asked = house.ask("ana", &["staging/read"]).await.unwrap();
    asked.grant.unwrap().id
}

/// One that is to begin in ten minutes.
async fn scheduled(house: &House) -> GrantId {
    let later = NewRequest {
        start: Some(house.now() + Span::minutes(10)),
        ..asked(&["staging/read"])
    };
    let asked = house.engine.request(house.caller("ana"), later, None).await;
    asked.unwrap().grant.unwrap().id
}

/// How often something was set up, begun or became active.
fn begun(log: &[&str]) -> usize {
    let begins = ["entitlement.intended", "grant.begun", "grant.activated"];
    log.iter().filter(|name| begins.contains(name)).count()
}

#[tokio::test]
async fn what_is_due_ends_and_nothing_begins() {
    let mut house = house().await;
    let held = house.granted(&["orders/write"]).await;
    let scheduled = scheduled(&house).await;
    let silent = house.ask("ana", &["orders/read"]).await.unwrap().request;
    let setting_up = agreed(&house).await;
    house.target.set_down(true);
    house.reconcile().await;
    house.target.set_down(false);
    assert_eq!(house.state(setting_up).await, "activating");
    // What the lost part of a store had given, and nothing here knows of.
    house.target.add_unrecorded("d-unknown", "test");
    let before = begun(&house.log().await);
    house.engine.only_take_away();

    house.live(Span::minutes(5)).await;
    assert!(
        !house.target.stands("d-unknown"),
        "what no grant gives is drift, as ever"
    );
    assert!(
        house.target.stands(&house.key(held).await),
        "what is held stays until its time"
    );
    house.live(Span::hours(2)).await;
    assert_eq!(
        (house.state(held).await, house.ended_reason(held).await),
        ("ended", "expired")
    );
    assert_eq!(
        (
            house.state(setting_up).await,
            house.ended_reason(setting_up).await
        ),
        ("ended", "failed"),
        "its window is over"
    );
    assert_eq!(house.state(scheduled).await, "scheduled");
    let log = house.log().await;
    assert_eq!(begun(&log), before, "{log:?}");
    let silent = house.request(silent.id).await;
    assert_eq!(
        silent.state.name(),
        "pending",
        "nobody knows who has answered since"
    );
}

#[tokio::test]
async fn what_had_not_begun_ends_where_the_loss_is_accepted() {
    let mut house = house().await;
    let held = house.granted(&["orders/write"]).await;
    let scheduled = scheduled(&house).await;
    let setting_up = agreed(&house).await;
    assert_eq!(house.engine.end_what_had_not_begun().await.unwrap(), 2);
    assert_eq!(house.engine.end_what_had_not_begun().await.unwrap(), 0);
    house.live(Span::minutes(20)).await;
    for grant in [scheduled, setting_up] {
        assert_eq!(
            (house.state(grant).await, house.ended_reason(grant).await),
            ("ended", "ineligible")
        );
    }
    assert_eq!(house.state(held).await, "active");
    assert!(
        house.ask("ana", &["staging/read"]).await.is_ok(),
        "who still needs it asks again"
    );
}
