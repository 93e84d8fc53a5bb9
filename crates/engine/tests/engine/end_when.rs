//! Access that ends when the work is over: the ticket is closed, the last session is, or nobody does anything.

use daypass_core::entitlement::Fault;
use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_engine::NewRequest;
use daypass_policy::Source;
use daypass_providers::memory::{Op, SessionId, Trouble};

use crate::house::{House, POLICY, asked, code};

/// The house's policy with one rule before the others, for everything in it.
pub(crate) async fn house(end_when: &str) -> House {
    let house = House::new().await;
    house.engine.load_policy(&policy(end_when)).await.unwrap();
    house
}

fn policy(end_when: &str) -> [Source; 1] {
    let rule = format!(
        "rules:\n  - {{name: work, allow: engineers, to: {{kind: memory}}, approval: none, max: 4h, {end_when}}}\n"
    );
    let (before, _) = POLICY.split_once("rules:\n").unwrap();
    [Source {
        name: "policy.yaml".into(),
        text: format!("{before}{rule}"),
    }]
}

async fn hold(house: &mut House, items: &[&str], ticket: Option<&str>) -> GrantId {
    let ask = NewRequest {
        ticket: ticket.map(str::to_owned),
        duration: Some(Span::hours(3)),
        ..asked(items)
    };
    let made = house
        .engine
        .request(house.caller("ana"), ask, None)
        .await
        .unwrap();
    house.reconcile().await;
    let id = made.grant.unwrap().id;
    assert_eq!(house.state(id).await, "active");
    id
}

/// Lets so many half minutes pass, with the looks that fall due.
async fn half_minutes(house: &mut House, count: u32) {
    for _ in 0..count {
        house.pass(Span::seconds(30));
        house.reconcile().await;
    }
}

pub(crate) async fn open(house: &House, grant: GrantId, item: &str) -> SessionId {
    let item = Some(item.parse().unwrap());
    let (_, credential) = house
        .engine
        .credential(house.caller("ana"), grant, item)
        .await
        .unwrap();
    house.target.open(&credential, house.now()).unwrap()
}

async fn keys(house: &House, grant: GrantId) -> Vec<String> {
    let parts = house.grant(grant).await.parts;
    parts.into_iter().map(|part| part.target.key).collect()
}

#[tokio::test]
async fn a_closed_ticket_ends_what_was_asked_for_with_it() {
    let mut house = house("when: {ticket: required}, end_when: [ticket_closed]").await;
    let active = hold(&mut house, &["orders/read"], Some("PAY-7")).await;
    let other = hold(&mut house, &["orders/read"], Some("PAY-70")).await;
    let later = NewRequest {
        ticket: Some("PAY-7".into()),
        start: Some(house.now() + Span::hours(1)),
        ..asked(&["staging/read"])
    };
    let later = house
        .engine
        .request(house.caller("ana"), later, None)
        .await
        .unwrap();
    let later = later.grant.unwrap().id;
    for nobody in ["ana", "bo", "ed"] {
        let told = house.engine.ticket_closed(house.caller(nobody), "PAY-7").await;
        assert_eq!(code(told), Code::Forbidden, "{nobody}");
    }
    let root = house.caller("root");
    for bad in ["", "  ", "PAY-7\u{1b}[2J"] {
        assert_eq!(
            code(house.engine.ticket_closed(root, bad).await),
            Code::Invalid,
            "{bad:?}"
        );
    }
    assert!(
        house
            .engine
            .ticket_closed(root, "pay-7")
            .await
            .unwrap()
            .is_empty()
    );
    let mut ended = house.engine.ticket_closed(root, " PAY-7 ").await.unwrap();
    ended.sort();
    let mut expected = [active, later];
    expected.sort();
    assert_eq!(ended, expected);
    house.reconcile().await;
    for id in expected {
        assert_eq!(house.ended_reason(id).await, "completed");
        assert_eq!(house.state(id).await, "ended");
    }
    assert_eq!(house.state(other).await, "active");
    assert!(
        house
            .engine
            .ticket_closed(root, "PAY-7")
            .await
            .unwrap()
            .is_empty(),
        "once more"
    );
}

#[tokio::test]
async fn a_closed_ticket_ends_what_was_lengthened_for_it() {
    let mut house = house("when: {ticket: required}, end_when: [ticket_closed]").await;
    let grant = hold(&mut house, &["orders/read"], Some("PAY-7")).await;
    let more = NewRequest {
        ticket: Some("PAY-8".into()),
        duration: Some(Span::minutes(30)),
        extends: Some(grant),
        ..asked(&[])
    };
    house
        .engine
        .request(house.caller("ana"), more, None)
        .await
        .unwrap();
    let root = house.caller("root");
    assert_eq!(house.engine.ticket_closed(root, "PAY-8").await.unwrap(), [grant]);
    house.reconcile().await;
    assert_eq!(house.ended_reason(grant).await, "completed");
}

#[tokio::test]
async fn a_rule_that_does_not_say_so_goes_on_after_its_ticket() {
    let mut house = house("when: {ticket: required}").await;
    let grant = hold(&mut house, &["orders/read"], Some("PAY-7")).await;
    let ended = house
        .engine
        .ticket_closed(house.caller("root"), "PAY-7")
        .await
        .unwrap();
    assert!(ended.is_empty());
    assert_eq!(house.state(grant).await, "active");
}

#[tokio::test]
async fn it_ends_once_its_last_session_was_closed_for_two_looks() {
    let mut house = house("end_when: last_session_closed").await;
    let grant = hold(&mut house, &["orders/read"], None).await;
    half_minutes(&mut house, 10).await;
    assert_eq!(house.state(grant).await, "active", "nobody has come yet");
    let one = open(&house, grant, "orders/read").await;
    half_minutes(&mut house, 2).await;
    let two = open(&house, grant, "orders/read").await;
    house.target.close(one);
    half_minutes(&mut house, 4).await;
    assert_eq!(house.state(grant).await, "active", "one is left");
    house.target.close(two);
    half_minutes(&mut house, 1).await;
    assert_eq!(
        house.state(grant).await,
        "active",
        "one look is not enough: who reconnects goes on"
    );
    let back = open(&house, grant, "orders/read").await;
    half_minutes(&mut house, 2).await;
    house.target.close(back);
    half_minutes(&mut house, 2).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
    assert_eq!(house.state(grant).await, "ended");
}

#[tokio::test]
async fn it_ends_once_nobody_did_anything_for_so_long() {
    let mut house = house("end_when: [idle 30m]").await;
    let grant = hold(&mut house, &["orders/read"], None).await;
    let key = house.key(grant).await;
    open(&house, grant, "orders/read").await;
    half_minutes(&mut house, 100).await;
    assert_eq!(house.state(grant).await, "active", "it is at work");
    for _ in 0..2 {
        house.target.set_quiet(&key, Span::minutes(20));
        half_minutes(&mut house, 4).await;
        house.target.set_quiet(&key, Span::ZERO);
        half_minutes(&mut house, 1).await;
    }
    assert_eq!(house.state(grant).await, "active");
    house.target.set_quiet(&key, Span::minutes(31));
    half_minutes(&mut house, 1).await;
    assert_eq!(
        house.state(grant).await,
        "active",
        "work that was seen counts, whatever the target says of the session that is left"
    );
    half_minutes(&mut house, 62).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
    assert_eq!(house.state(grant).await, "ended");
}

#[tokio::test]
async fn no_session_at_all_is_idle_too() {
    let mut house = house("end_when: [idle 5m]").await;
    let grant = hold(&mut house, &["orders/read"], None).await;
    half_minutes(&mut house, 9).await;
    assert_eq!(house.state(grant).await, "active");
    half_minutes(&mut house, 3).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
}

#[tokio::test]
async fn all_items_of_a_bundle_must_be_idle() {
    let mut house = house("end_when: [idle 5m]").await;
    let grant = hold(&mut house, &["orders/read", "staging/read"], None).await;
    let keys = keys(&house, grant).await;
    open(&house, grant, "orders/read").await;
    open(&house, grant, "staging/read").await;
    house.target.set_quiet(&keys[0], Span::hours(1));
    half_minutes(&mut house, 20).await;
    assert_eq!(house.state(grant).await, "active", "the other is at work");
    house.target.set_quiet(&keys[1], Span::hours(1));
    half_minutes(&mut house, 12).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
}

#[tokio::test]
async fn what_cannot_be_told_ends_nothing_and_begins_anew() {
    let mut house = house("end_when: [idle 5m, last_session_closed]").await;
    let grant = hold(&mut house, &["orders/read"], None).await;
    half_minutes(&mut house, 8).await;
    let calls = house.target.calls(Op::Activity);
    for _ in 0..20 {
        house
            .target
            .fail_next(Op::Activity, Trouble::Fails(Fault::Unavailable));
    }
    half_minutes(&mut house, 20).await;
    assert_eq!(
        house.target.calls(Op::Activity) - calls,
        20,
        "at most one look every half minute"
    );
    assert_eq!(house.state(grant).await, "active");
    half_minutes(&mut house, 9).await;
    assert_eq!(
        house.state(grant).await,
        "active",
        "counted from the first look that told"
    );
    half_minutes(&mut house, 3).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
}

#[tokio::test]
async fn a_restart_observes_anew_and_the_deadline_holds() {
    let mut house = house("end_when: [idle 10m]").await;
    let grant = hold(&mut house, &["orders/read"], None).await;
    half_minutes(&mut house, 18).await;
    house = house.restart("two").await;
    half_minutes(&mut house, 15).await;
    assert_eq!(
        house.state(grant).await,
        "active",
        "what the first one saw is forgotten"
    );
    half_minutes(&mut house, 8).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
    let busy = hold(&mut house, &["orders/read"], None).await;
    open(&house, busy, "orders/read").await;
    half_minutes(&mut house, 361).await;
    assert_eq!(house.ended_reason(busy).await, "expired");
}

#[tokio::test]
async fn it_is_frozen_with_the_request() {
    let mut house = house("end_when: [idle 5m]").await;
    let grant = hold(&mut house, &["orders/read"], None).await;
    house
        .engine
        .load_policy(&policy("max: 3h").map(|one| Source {
            text: one.text.replace("max: 4h, ", ""),
            ..one
        }))
        .await
        .unwrap();
    let more = hold(&mut house, &["staging/read"], None).await;
    half_minutes(&mut house, 14).await;
    assert_eq!(house.ended_reason(grant).await, "completed");
    assert_eq!(house.state(more).await, "active");
    assert!(house.grant(more).await.end_when.is_empty());
}

#[tokio::test]
async fn a_kind_that_cannot_tell_of_sessions_is_refused_where_the_rule_says_so() {
    let house = House::new().await;
    let [source] = policy("end_when: [ticket_closed, idle 5m], when: {ticket: required}");
    let text = source
        .text
        .replace("connectors:\n", "connectors:\n  - {name: run, kind: command, config: {program: queue}}\n")
        .replace("resources:\n", "resources:\n  - {name: queue, kind: command, connector: run, config: {}, roles: {operator: {}}}\n")
        .replace("to: {kind: memory}", "to: {kind: [memory, command]}");
    let checked = house.engine.check_policy(&[Source { text, ..source }]).unwrap();
    let found: Vec<_> = checked
        .findings
        .iter()
        .map(|one| (one.location.line, one.message.as_str()))
        .collect();
    let told = "the rule work ends access by \"idle 5m\", and no target of kind command can tell of sessions: queue is one";
    assert!(
        found.iter().any(|(line, message)| *line > 10 && *message == told),
        "{found:?}"
    );
    assert!(!checked.is_sound());
}

/// Two looks at a time, whatever there is to look at: each has its turn.
#[tokio::test]
async fn of_many_each_is_looked_at_in_turn() {
    let mut house = house("end_when: [idle 5m]").await;
    let mut grants = Vec::new();
    for _ in 0..9 {
        grants.push(hold(&mut house, &["orders/read"], None).await);
    }
    half_minutes(&mut house, 14).await;
    for grant in grants {
        assert_eq!(house.ended_reason(grant).await, "completed");
    }
}
