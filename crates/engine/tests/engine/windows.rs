//! Times that the policy names: nothing outlives the window of its rule, nor reaches into one that a guardrail forbids.

use daypass_core::grant::State;
use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Error, Made, NewRequest};
use daypass_policy::Source;

use crate::house::{House, POLICY, asked, code};

/// The house opens on a Friday at 08:00 UTC. Staging may be read for a while from then on, and production is closed at noon.
const TIMES: &str = r#"
windows:
  morning: {days: [fri], from: "08:00", to: "08:40", tz: UTC}
  noon: {from: "12:00", to: "13:00", tz: UTC}
guardrails:
  - {name: quiet-noon, to: {env: production}, forbid: {window: noon}}
"#;

async fn loaded(text: &str) -> House {
    let house = House::new().await;
    load(&house, text).await;
    house
}

async fn load(house: &House, text: &str) {
    let sources = [Source {
        name: "policy.yaml".into(),
        text: text.into(),
    }];
    house.engine.load_policy(&sources).await.unwrap();
}

fn timed() -> String {
    let rule = "approval: none, max: 2h";
    let text = POLICY.replace(rule, &format!("{rule}, when: {{window: morning}}"));
    assert_ne!(text, POLICY);
    format!("{text}{TIMES}")
}

fn at(time: &str) -> Timestamp {
    format!("2027-01-15T{time}Z").parse().unwrap()
}

fn expires_at(grant: &daypass_core::grant::Grant) -> Timestamp {
    match grant.state {
        State::Active { expires_at, .. } => expires_at,
        ref other => panic!("{other:?}"),
    }
}

async fn ask(house: &House, change: impl FnOnce(&mut NewRequest)) -> Result<Made, Error> {
    let mut new = asked(&["staging/read"]);
    change(&mut new);
    house.engine.request(house.caller("ana"), new, None).await
}

#[tokio::test]
async fn access_is_gone_when_its_window_closes() {
    let mut house = loaded(&timed()).await;
    assert_eq!(house.now(), at("08:00:00"));
    let made = ask(&house, |_| {}).await.unwrap();
    assert_eq!(made.request.ask.duration, Span::hours(1), "as the rule gives");
    let id = made.grant.unwrap().id;
    house.reconcile().await;
    let grant = house.grant(id).await;
    assert_eq!(expires_at(&grant), at("08:40:00"));
    assert_eq!(grant.latest_end, at("08:40:00"));
    let key = house.key(id).await;
    house.live(Span::minutes(39)).await;
    assert!(house.target.stands(&key), "until then it is there");
    house.live(Span::minutes(1)).await;
    assert!(!house.target.stands(&key));
    assert_eq!(
        (house.state(id).await, house.ended_reason(id).await),
        ("ended", "expired")
    );
    assert_eq!(code(ask(&house, |_| {}).await), Code::Window, "it is closed");
}

#[tokio::test]
async fn an_extension_ends_with_the_window_too() {
    let mut house = loaded(&timed()).await;
    let made = ask(&house, |new| new.duration = Some(Span::minutes(20)))
        .await
        .unwrap();
    let id = made.grant.unwrap().id;
    house.reconcile().await;
    let extend = |minutes| {
        move |new: &mut NewRequest| {
            new.items.clear();
            new.extends = Some(id);
            new.duration = Some(Span::minutes(minutes));
        }
    };
    assert_eq!(code(ask(&house, extend(30)).await), Code::OverLatestEnd);
    ask(&house, extend(20)).await.unwrap();
    assert_eq!(expires_at(&house.grant(id).await), at("08:40:00"));
    assert_eq!(code(ask(&house, extend(1)).await), Code::OverLatestEnd);
}

/// The grant was had without any window; only the extension's rule names one.
#[tokio::test]
async fn a_window_that_came_with_a_new_policy_bounds_the_extension() {
    let mut house = loaded(POLICY).await;
    let made = ask(&house, |new| new.duration = Some(Span::minutes(30)))
        .await
        .unwrap();
    let id = made.grant.unwrap().id;
    house.reconcile().await;
    load(&house, &timed()).await;
    let extend = |minutes| {
        move |new: &mut NewRequest| {
            new.items.clear();
            new.extends = Some(id);
            new.duration = Some(Span::minutes(minutes));
        }
    };
    assert_eq!(code(ask(&house, extend(11)).await), Code::OverLatestEnd);
    ask(&house, extend(10)).await.unwrap();
    assert_eq!(expires_at(&house.grant(id).await), at("08:40:00"));
}

/// Each would fit by itself; together they would reach into the noon that is forbidden since.
#[tokio::test]
async fn two_extensions_that_are_agreed_to_at_once_do_not_pass_it_together() {
    let mut house = loaded(POLICY).await;
    house.pass(at("10:50:00").since(house.now()));
    let mut new = asked(&["orders/read"]);
    new.duration = Some(Span::minutes(40));
    let made = house
        .engine
        .request(house.caller("ana"), new, None)
        .await
        .unwrap();
    let id = house.agreed(&made.request).await;
    house.reconcile().await;
    assert_eq!(expires_at(&house.grant(id).await), at("11:30:00"));
    load(&house, &timed()).await;
    let mut asked_for = Vec::new();
    for _ in 0..2 {
        let extend = |new: &mut NewRequest| {
            new.items.clear();
            new.extends = Some(id);
            new.duration = Some(Span::minutes(20));
        };
        asked_for.push(ask(&house, extend).await.unwrap().request);
    }
    for request in &asked_for {
        house.approve("bo", request).await.unwrap();
        house.approve("cy", request).await.unwrap();
    }
    assert_eq!(expires_at(&house.grant(id).await), at("12:00:00"));
}

#[tokio::test]
async fn what_was_asked_ahead_begins_in_the_window_and_ends_with_it() {
    let mut house = loaded(&timed()).await;
    house.pass(Span::hours(1));
    assert_eq!(code(ask(&house, |_| {}).await), Code::Window);
    let start = at("08:10:00") + Span::hours(7 * 24);
    let made = ask(&house, |new| new.start = Some(start)).await.unwrap();
    let id = made.grant.unwrap().id;
    house.live(Span::hours(7 * 24)).await;
    let ended = house.grant(id).await;
    assert_eq!(ended.latest_end, at("08:40:00") + Span::hours(7 * 24));
    assert_eq!(house.ended_reason(id).await, "expired");
}

#[tokio::test]
async fn a_last_vote_after_the_forbidden_window_opened_grants_nothing() {
    let house = loaded(&timed()).await;
    house.pass(Span::minutes(225));
    assert_eq!(house.now(), at("11:45:00"));
    let made = house.ask("ana", &["orders/read"]).await.unwrap();
    assert_eq!(made.request.path.ends_by, Some(at("12:00:00")));
    house.approve("bo", &made.request).await.unwrap();
    house.pass(Span::minutes(15));
    assert_eq!(code(house.approve("cy", &made.request).await), Code::Window);
    // Nor once it has closed again: what was agreed to was over by noon.
    house.pass(Span::minutes(14));
    assert_eq!(code(house.approve("cy", &made.request).await), Code::Window);
    let grant = house
        .engine
        .store()
        .grant(GrantId::from(made.request.id))
        .await
        .unwrap();
    assert!(grant.is_none());
}

#[tokio::test]
async fn nothing_begins_that_could_reach_into_a_window_forbidden_since() {
    let without = timed().replace("forbid: {window: noon}", "max: 4h");
    for (asked_at, minutes, reason) in [("11:30:00", 20, "active"), ("11:30:00", 40, "ineligible")] {
        let mut house = loaded(&without).await;
        house.pass(at(asked_at).since(house.now()));
        let mut new = asked(&["orders/read"]);
        new.duration = Some(Span::minutes(minutes));
        let made = house
            .engine
            .request(house.caller("ana"), new, None)
            .await
            .unwrap();
        house.approve("bo", &made.request).await.unwrap();
        let made = house.approve("cy", &made.request).await.unwrap();
        load(&house, &timed()).await;
        house.reconcile().await;
        let id = made.grant.unwrap().id;
        assert_eq!(
            house.ended_reason(id).await,
            reason,
            "{minutes} minutes from {asked_at} on"
        );
    }
}
