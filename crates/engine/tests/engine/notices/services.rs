//! What is to be told of a service account is told to who answers for it.

use daypass_core::person::Kind as PersonKind;
use daypass_core::time::Span;
use daypass_engine::NewPerson;
use daypass_engine::notices::Kind;

use super::told;
use crate::house::{House, POLICY, name, person};

#[tokio::test]
async fn the_owner_hears_for_their_service_and_is_not_asked() {
    let mut house = House::writing().await;
    let ci = NewPerson {
        kind: PersonKind::Service,
        owner: Some(name("cy")),
        ..person("ci", &[])
    };
    house.engine.add_person(house.caller("root"), ci).await.unwrap();
    let people = "people:\n  robots: {logins: [ci]}\n";
    let rule = "
  - {name: machines, allow: robots, to: {env: production}, approval: [{from: security, within: 30m, else: deny}], max: 2h}
";
    let text = POLICY.replacen("people:\n", people, 1) + rule;
    house.policy(&text).await;

    let request = house.ask("ci", &["orders/write"]).await.unwrap().request;
    let asked = [
        ("request.review_asked", "di", 0),
        ("request.review_reminder", "di", 15),
    ];
    assert_eq!(house.mailed().await, told(&asked));
    house.approve("di", &request).await.unwrap();
    let ready = house.ready(Kind::Decided, "cy", Span::ZERO).await.unwrap();
    assert!(
        ready.letter.subject.starts_with("Approved: ci: orders/write"),
        "{}",
        ready.letter.subject
    );
    house.reconcile().await;
    let soon = house.mailed().await;
    assert!(
        soon.iter()
            .any(|(kind, who, _)| kind == "grant.ending_soon" && who == "cy"),
        "{soon:?}"
    );
    assert!(!soon.iter().any(|(_, who, _)| who == "ci"));
}
