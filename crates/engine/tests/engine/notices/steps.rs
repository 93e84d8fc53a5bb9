//! Whom a step asks where the chain is not what counting approvals says: reviewers used up by another step, or no longer ones.

use super::*;

const TWO_STEPS: &str = "
      - {from: leads, within: 30m, else: deny}
      - {from: security, within: 30m, else: deny}
";

fn with_steps(steps: &str) -> String {
    let policy = POLICY.replace(TWO_STEPS, steps);
    assert_ne!(policy, POLICY);
    policy
}

fn asked_of(all: &[Told]) -> Vec<&str> {
    let asked = all.iter().filter(|(kind, ..)| kind == "request.review_asked");
    asked.map(|(_, who, _)| who.as_str()).collect()
}

#[tokio::test]
async fn those_who_stand_in_at_once_are_told_at_once_and_not_again() {
    let mut house = House::writing().await;
    house
        .policy(&with_steps(
            "
      - {from: manager, within: 30m, else: deny}
      - {from: leads, within: 30m, else: {escalate: security, within: 20m}}
",
        ))
        .await;
    house
        .engine
        .set_manager(house.caller("root"), "ana", Some("bo"))
        .await
        .unwrap();
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.mailed().await;
    // bo is the manager and the only lead: after the first step only security can take the second.
    house.approve("bo", &made.request).await.unwrap();
    let told_now = house.mailed().await;
    assert_eq!(asked_of(&told_now), ["cy", "di"]);
    house.live(Span::minutes(31)).await;
    assert_eq!(
        asked_of(&house.mailed().await),
        Vec::<&str>::new(),
        "nobody is asked twice"
    );
    house.approve("cy", &made.request).await.unwrap();
}

#[tokio::test]
async fn an_approval_that_lost_its_standing_does_not_hide_the_step_that_waits() {
    let mut house = House::writing().await;
    house
        .policy(&with_steps(
            "
      - {from: leads, within: 30m, else: {escalate: security, within: 20m}}
      - {from: security, within: 30m, else: deny}
",
        ))
        .await;
    let root = house.caller("root");
    let group = |text: &str| [name(text)].into();
    house
        .engine
        .change_groups(root, "ed", group("eng-leads"), [].into())
        .await
        .unwrap();
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    // bo leads no more: the first step waits again, whatever was approved.
    house
        .engine
        .change_groups(root, "bo", [].into(), group("eng-leads"))
        .await
        .unwrap();
    house.approve("cy", &made.request).await.unwrap();
    house.mailed().await;
    house.live(Span::minutes(31)).await;
    let rows = house.rows("mail").await;
    let directory = house.engine.current().directory;
    let asked = rows
        .iter()
        .find(|row| row.notice == "request.review_asked")
        .unwrap();
    assert_eq!(directory.login(asked.recipient.unwrap()), "di", "{rows:?}");
    let ready = house
        .engine
        .notice(asked, &rules(), house.now())
        .await
        .unwrap()
        .unwrap();
    assert!(said(&ready.letter).contains("step 1 of 2"), "{:?}", ready.letter);
}
