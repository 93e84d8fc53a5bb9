//! Conditions beside the person and the resource, through the whole life of a request: they are looked at again at each vote
//! and before access begins, with the words that the request was made with.

use std::net::IpAddr;

use daypass_core::grant::State;
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_engine::{Error, Made, NewRequest};
use daypass_policy::{Decision, Source};
use daypass_store::EventFilter;

use crate::house::{House, POLICY, asked, code};

/// What production asks for besides, instead of nothing.
async fn house(more: &str) -> House {
    let house = House::new().await;
    load(&house, more).await;
    house
}

async fn load(house: &House, more: &str) {
    let text = POLICY.replace(
        "to: {env: production}",
        &format!("to: {{env: production}}\n    {more}"),
    );
    assert_ne!(text, POLICY);
    let sources = [Source {
        name: "policy.yaml".into(),
        text: format!("{text}tickets: {{jira: \"[A-Z]+-[0-9]+\", change: \"CHG[0-9]+\"}}\n"),
    }];
    house.engine.load_policy(&sources).await.unwrap();
}

fn ticket(ticket: &str) -> NewRequest {
    NewRequest {
        ticket: Some(ticket.into()),
        ..asked(&["orders/read"])
    }
}

async fn from(house: &House, new: NewRequest, from: Option<&str>) -> Result<Made, Error> {
    let from: Option<IpAddr> = from.map(|from| from.parse().unwrap());
    house
        .engine
        .request_from(house.caller("ana"), new, None, from)
        .await
}

/// Both vote, and it begins: each looks at the conditions again.
async fn through(house: &mut House, id: RequestId) -> Result<&'static str, Error> {
    let request = house.request(id).await;
    house.approve("bo", &request).await?;
    let made = house.approve("cy", &request).await?;
    house.reconcile().await;
    Ok(house.state(made.grant.unwrap().id).await)
}

#[tokio::test]
async fn a_ticket_is_kept_and_looked_at_again() {
    let mut house = house("when: {ticket: required}").await;
    assert_eq!(
        code(from(&house, asked(&["orders/read"]), None).await),
        Code::Ticket
    );
    assert_eq!(code(from(&house, ticket("later"), None).await), Code::Ticket);
    let made = from(&house, ticket("PAY-7"), None).await.unwrap();
    assert_eq!(through(&mut house, made.request.id).await.unwrap(), "active");
    // A format that came since: what was asked with another ticket goes no further.
    let made = from(&house, ticket("PAY-8"), None).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    load(&house, "when: {ticket: change}").await;
    assert_eq!(code(house.approve("cy", &made.request).await), Code::Ticket);
}

/// Also where no rule asks for one: it is shown to those who review, and expressions look at it.
#[tokio::test]
async fn a_ticket_is_short_and_all_of_it_is_seen() {
    let house = House::new().await;
    for bad in [&*"a".repeat(129), "\u{200b}", "PAY-7\n", "\u{202e}7-YAP"] {
        assert_eq!(
            code(from(&house, ticket(bad), None).await),
            Code::Invalid,
            "{bad:?}"
        );
        let ahead = house.engine.preview(house.caller("ana"), &ticket(bad)).await;
        assert_eq!(code(ahead), Code::Invalid, "{bad:?}");
    }
    from(&house, ticket(&"a".repeat(128)), None).await.unwrap();
}

#[tokio::test]
async fn an_expression_is_looked_at_again() {
    let mut house = house(
        "when: {if: \"now < timestamp('2027-01-15T08:20:00Z') && request.duration <= duration('1h')\"}",
    )
    .await;
    let made = from(&house, asked(&["orders/read"]), None).await.unwrap();
    assert_eq!(through(&mut house, made.request.id).await.unwrap(), "active");
    let made = from(&house, asked(&["orders/read"]), None).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    house.pass(Span::minutes(20));
    assert_eq!(code(house.approve("cy", &made.request).await), Code::Condition);
    assert_eq!(
        code(from(&house, asked(&["orders/read"]), None).await),
        Code::Condition
    );
}

#[tokio::test]
async fn an_address_is_asked_for_kept_and_looked_at_again() {
    let mut house = house("source: [203.0.113.0/24, my-ip]").await;
    let read = || asked(&["orders/read"]);
    assert_eq!(code(from(&house, read(), None).await), Code::Source);
    assert_eq!(
        code(from(&house, read(), Some("198.51.100.9")).await),
        Code::Source
    );
    let address = "203.0.113.77";
    let preview = house
        .engine
        .preview_from(house.caller("ana"), &read(), Some(address.parse().unwrap()))
        .await
        .unwrap();
    assert!(matches!(preview.decision, Decision::Allowed(_)));
    let preview = house.engine.preview(house.caller("ana"), &read()).await.unwrap();
    assert!(matches!(preview.decision, Decision::Refused(refusal) if refusal.code == Code::Source));
    let made = from(&house, read(), Some(address)).await.unwrap();
    let kept = house.request(made.request.id).await.ask.source.unwrap();
    assert_eq!(kept.text(), address);
    assert_eq!(through(&mut house, made.request.id).await.unwrap(), "active");
    // A network that is no longer admitted, before the last vote.
    let made = from(&house, read(), Some(address)).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    load(&house, "source: 192.0.2.0/24").await;
    assert_eq!(code(house.approve("cy", &made.request).await), Code::Source);
    // More time is asked for from somewhere, too.
    let grant = house
        .engine
        .store()
        .live_grants_of(house.caller("ana").person)
        .await
        .unwrap()[0]
        .clone();
    assert!(matches!(grant.state, State::Active { .. }));
    let extension = NewRequest {
        extends: Some(grant.id),
        duration: Some(Span::minutes(5)),
        ..asked(&[])
    };
    assert_eq!(
        code(from(&house, extension.clone(), Some(address)).await),
        Code::Source
    );
    from(&house, extension, Some("192.0.2.9")).await.unwrap();
}

/// An address is personal: the log knows it by its hash, and keeps none that no rule asked for.
#[tokio::test]
async fn the_log_does_not_hold_addresses() {
    let house = house("source: my-ip").await;
    let address = "203.0.113.77";
    let read = from(&house, asked(&["orders/read"]), Some(address))
        .await
        .unwrap();
    assert!(read.request.ask.source.is_some());
    let free = from(&house, asked(&["staging/read"]), Some(address))
        .await
        .unwrap();
    assert!(free.request.ask.source.is_none(), "no rule asked");
    while !house.engine.store().sequence(100).await.unwrap().is_empty() {}
    let entries = house
        .engine
        .store()
        .events(daypass_store::From::First, EventFilter::default(), 1_000)
        .await
        .unwrap();
    for entry in entries {
        let event = serde_json::to_string(&entry.event).unwrap();
        assert!(!event.contains(address), "{event}");
    }
}
