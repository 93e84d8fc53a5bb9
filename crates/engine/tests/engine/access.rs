//! Access from nothing to nothing: begun, used, ended, seen to be gone.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::{Proof, State};
use daypass_core::person::Change;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_engine::NewRequest;
use daypass_policy::Source;
use daypass_store::{Outcome, Scope};

use crate::house::{House, POLICY, asked, code, person};

#[tokio::test]
async fn the_main_job() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let key = house.key(grant).await;
    assert_eq!(house.state(grant).await, "active");
    assert!(house.target.stands(&key));
    assert_eq!(
        house.target.until(&key),
        house.grant(grant).await.expires_at(),
        "the target keeps the deadline itself"
    );

    let (_, credential) = house
        .engine
        .credential(house.caller("ana"), grant, None)
        .await
        .unwrap();
    let session = house.target.open(&credential, house.now()).unwrap();
    assert!(house.target.may(session, "write"));

    house.live(Span::hours(1)).await;
    assert!(!house.target.is_open(session), "the session is cut");
    assert!(
        house.target.open(&credential, house.now()).is_err(),
        "a new login is refused"
    );
    assert!(!house.target.stands(&key));
    let State::Ended { evidence, .. } = house.grant(grant).await.state else {
        panic!("it has ended")
    };
    assert!(matches!(evidence[0].proof, Proof::TargetRead { .. }));
    let log = house.log().await;
    let story = [
        "request.created",
        "request.reviewed",
        "request.approved",
        "grant.opened",
        "grant.begun",
        "entitlement.intended",
        "entitlement.provisioned",
        "grant.activated",
        "grant.credential_issued",
        "grant.ending",
        "entitlement.revoked",
        "entitlement.verified_absent",
        "grant.ended",
    ];
    let mut rest = log.iter();
    assert!(
        story.iter().all(|event| rest.any(|logged| logged == event)),
        "{log:?}"
    );
}

#[tokio::test]
async fn an_instant_rule_opens_the_grant_at_once() {
    let mut house = House::new().await;
    let made = house.ask("ana", &["staging/read"]).await.unwrap();
    let grant = made.grant.unwrap().id;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "active");
}

#[tokio::test]
async fn a_scheduled_start_is_waited_for() {
    let mut house = House::new().await;
    let start = Some(house.now() + Span::hours(1));
    let ask = NewRequest {
        start,
        ..asked(&["staging/read"])
    };
    let grant = house
        .engine
        .request(house.caller("ana"), ask, None)
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.live(Span::minutes(59)).await;
    assert_eq!(house.state(grant).await, "scheduled");
    house.live(Span::minutes(2)).await;
    assert_eq!(house.state(grant).await, "active");
}

#[tokio::test]
async fn release_and_revoke_end_it_at_once() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    assert_eq!(
        code(house.engine.release(house.caller("bo"), grant).await),
        Code::NotHolder
    );
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "released")
    );

    let grant = house.granted(&["orders/write"]).await;
    assert_eq!(
        code(house.engine.revoke(house.caller("ed"), grant, None).await),
        Code::NotFound,
        "who may not know of it"
    );
    house
        .engine
        .revoke(house.caller("cy"), grant, Some("incident over"))
        .await
        .unwrap();
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "revoked")
    );
    assert_eq!(
        code(house.engine.revoke(house.caller("root"), grant, None).await),
        Code::GrantOver
    );
}

#[tokio::test]
async fn what_ends_before_it_began_needs_no_evidence_but_that() {
    let mut house = House::new().await;
    let start = Some(house.now() + Span::hours(1));
    let ask = NewRequest {
        start,
        ..asked(&["staging/read"])
    };
    let grant = house
        .engine
        .request(house.caller("ana"), ask, None)
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    let State::Ended { evidence, .. } = house.grant(grant).await.state else {
        panic!("it has ended")
    };
    assert_eq!(evidence[0].proof, Proof::NeverProvisioned);
}

#[tokio::test]
async fn an_extension_is_reviewed_again_and_moves_the_limit_at_the_target() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let before = house.grant(grant).await.expires_at().unwrap();
    let extension = |hours| NewRequest {
        extends: Some(grant),
        duration: Some(Span::hours(hours)),
        ..asked(&[])
    };
    assert_eq!(
        code(house.engine.request(house.caller("bo"), extension(1), None).await),
        Code::NotFound
    );
    assert_eq!(
        code(
            house
                .engine
                .request(house.caller("ana"), extension(2), None)
                .await
        ),
        Code::OverLatestEnd
    );
    let made = house
        .engine
        .request(house.caller("ana"), extension(1), None)
        .await
        .unwrap();
    house.approve("bo", &made.request).await.unwrap();
    house.approve("di", &made.request).await.unwrap();
    house.reconcile().await;
    assert_eq!(
        house.grant(grant).await.expires_at(),
        Some(before + Span::hours(1))
    );
    assert_eq!(
        house.target.until(&house.key(grant).await),
        Some(before + Span::hours(1))
    );
    house.live(Span::hours(2)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert_eq!(
        code(
            house
                .engine
                .request(house.caller("ana"), extension(1), None)
                .await
        ),
        Code::GrantOver
    );
}

#[tokio::test]
async fn credentials_are_the_holders_alone() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    for other in ["bo", "root", "ed"] {
        assert_eq!(
            code(house.engine.credential(house.caller(other), grant, None).await),
            Code::NotHolder,
            "{other}"
        );
    }
}

#[tokio::test]
async fn switching_an_account_off_ends_what_it_holds() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let pending = house.ask("ana", &["orders/read"]).await.unwrap().request;
    house
        .engine
        .deactivate(house.caller("root"), "ana")
        .await
        .unwrap();
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "ineligible")
    );
    assert!(
        house.approve("bo", &pending).await.is_err(),
        "what it asked for is not granted any more"
    );
}

/// Another server switched the account off and died, or this one opened a grant before it knew.
#[tokio::test]
async fn what_an_account_holds_ends_although_nobody_is_left_to_end_it() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let ana = house.caller("ana").person;
    let off = move |_: &_, _| {
        let what = What::Person(Change::Deactivated);
        Ok(Outcome::one(Actor::System, Subject::Person(ana), what))
    };
    house
        .engine
        .store()
        .transition(Scope::Person(ana), off)
        .await
        .unwrap();
    house.engine.refresh_directory().await.unwrap();
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "ineligible")
    );
    house
        .engine
        .reactivate(house.caller("root"), "ana")
        .await
        .unwrap();
    let again = house.granted(&["orders/write"]).await;
    assert_eq!(house.state(again).await, "active");
}

/// It was on and off again before this reconciler looked, and whoever switched it off died over that.
#[tokio::test]
async fn what_an_account_got_between_two_looks_ends_too() {
    let mut house = House::new().await;
    let ana = house.caller("ana").person;
    let change = async |house: &House, change: Change| {
        let done = move |_: &_, _| {
            Ok(Outcome::one(
                Actor::System,
                Subject::Person(ana),
                What::Person(change),
            ))
        };
        let transition = house.engine.store().transition(Scope::Person(ana), done);
        transition.await.unwrap();
        house.engine.refresh_directory().await.unwrap();
    };
    change(&house, Change::Deactivated).await;
    house.reconcile().await;
    house.pass(Span::seconds(1));
    change(&house, Change::Reactivated).await;
    let grant = house
        .ask("ana", &["staging/read"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.pass(Span::seconds(1));
    change(&house, Change::Deactivated).await;
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "ineligible")
    );
}

#[tokio::test]
async fn an_extension_is_bounded_by_what_the_policy_allows_by_now() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let less = [Source {
        name: "policy.yaml".into(),
        text: POLICY.replace("    max: 2h", "    max: 90m"),
    }];
    house.engine.load_policy(&less).await.unwrap();
    let extension = |minutes| NewRequest {
        extends: Some(grant),
        duration: Some(Span::minutes(minutes)),
        ..asked(&[])
    };
    let ana = house.caller("ana");
    assert_eq!(
        code(house.engine.request(ana, extension(31), None).await),
        Code::OverLatestEnd
    );
    assert!(house.engine.request(ana, extension(30), None).await.is_ok());
}

#[tokio::test]
async fn of_several_who_had_a_login_the_last_one_comes_back() {
    let house = House::new().await;
    let root = house.caller("root");
    // Ids are random, so that their order says nothing; here they begin anew after so many.
    for _ in 0..150 {
        house.pass(Span::minutes(1));
        let made = house
            .engine
            .add_person(root, person("eve", &["engineering"]))
            .await;
        let id = made.unwrap().id;
        house.engine.deactivate(root, "eve").await.unwrap();
        assert_eq!(house.engine.reactivate(root, "eve").await.unwrap().id, id);
        house.engine.deactivate(root, "eve").await.unwrap();
    }
}

#[tokio::test]
async fn a_resource_that_left_the_policy_is_not_told_to_be_behind_a_gateway() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/read"]).await;
    let without = POLICY.replace("{name: orders,", "{name: orders-2,");
    let source = Source {
        name: "policy.yaml".into(),
        text: without,
    };
    house.engine.load_policy(&[source]).await.unwrap();
    let refused = house
        .engine
        .credential(house.caller("ana"), grant, None)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the policy in force has no resource orders any more"),
        "{refused}"
    );
    assert_eq!(code::<()>(Err(refused)), Code::NotFound);
}
