//! Who is away has peace: their delegate is asked, and hears of being one.

use daypass_engine::NewDelegation;

use super::*;

/// bo leads and has delegated to ed, whom the policy lets be a delegate.
async fn away() -> House {
    let house = House::writing().await;
    let root = house.caller("root");
    house
        .engine
        .set_mail(root, "ed", Some("ed@example.com"))
        .await
        .unwrap();
    let text = POLICY.replace(
        "settle: 0s}\npeople:",
        "settle: 0s, delegates: [deputies]}\npeople:\n  deputies: {logins: [ed, ana]}",
    );
    house.policy(&format!("{text}{GLASS}")).await;
    house
}

async fn delegate(house: &House, to: &str) {
    let new = NewDelegation {
        to: to.into(),
        from: None,
        until: house.now() + Span::hours(24),
        why: Some("holiday".into()),
    };
    house.engine.delegate(house.caller("bo"), new).await.unwrap();
}

/// What was claimed for words is free again, and done.
async fn settled(house: &House) {
    house.pass(Span::minutes(2));
    house.queued().await;
}

#[tokio::test]
async fn a_delegate_hears_that_they_are_one_and_that_they_no_longer_are() {
    let house = away().await;
    delegate(&house, "ed").await;
    // Who delegated hears of it too: if it was somebody else in their name, they must know.
    let made = ["", "bo", "ed"].map(|who| ("delegation.made", who, 0));
    assert_eq!(house.queued().await, told(&made));
    house
        .engine
        .end_delegation(house.caller("bo"), "bo")
        .await
        .unwrap();
    let ended = [("delegation.ended", "", 0), ("delegation.ended", "ed", 0)];
    assert_eq!(house.queued().await, told(&ended));
    delegate(&house, "ed").await;
    let ready = house.ready(Kind::DelegationMade, "ed", Span::ZERO).await.unwrap();
    assert!(ready.letter.subject.starts_with("bo delegates to ed until "));
    assert!(said(&ready.letter).ends_with("Reason: «holiday»"));
    settled(&house).await;
    let root = house.caller("root");
    house.engine.end_delegation(root, "bo").await.unwrap();
    let ready = house
        .ready(Kind::DelegationEnded, "bo", Span::ZERO)
        .await
        .unwrap();
    let words = "bo no longer delegates to ed. | root took the delegation back. | What waits for you is yours to answer again.";
    assert_eq!(said(&ready.letter), words);
}

#[tokio::test]
async fn the_delegate_is_asked_in_the_place_of_who_is_away() {
    let house = away().await;
    delegate(&house, "ed").await;
    house.queued().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let asks = [
        ("request.review_asked", "ed", 0),
        ("request.review_reminder", "ed", 15),
    ];
    assert_eq!(house.mailed().await, told(&asks));
    house.ask("ana", &["orders/read"]).await.unwrap();
    let ready = house.ready(Kind::ReviewAsked, "ed", Span::ZERO).await.unwrap();
    assert!(
        said(&ready.letter).contains("You are the delegate of bo"),
        "{ready:?}"
    );
    settled(&house).await;
    let after = house.approve("ed", &made.request).await.unwrap().request;
    let heard: Vec<_> = house.mailed().await.into_iter().map(|(_, who, _)| who).collect();
    assert!(heard.iter().all(|who| who == "cy" || who == "di"), "{heard:?}");
    house.approve("cy", &after).await.unwrap();
    let ready = house.ready(Kind::Decided, "ana", Span::ZERO).await.unwrap();
    assert!(
        said(&ready.letter).contains("was approved by ed for bo, cy."),
        "{ready:?}"
    );
    settled(&house).await;
    // An emergency gives nobody peace: who is paged hears of it, and so does the delegate.
    let ana = house.caller("ana");
    let taken = house.engine.break_glass(ana, asked(&["orders/read"]), None).await;
    taken.unwrap();
    let paged = house.mailed().await;
    for who in ["bo", "ed"] {
        let hears = |told: &Told| told.0 == "break_glass.taken" && told.1 == who;
        assert!(paged.iter().any(hears), "{paged:?}");
    }
}

#[tokio::test]
async fn who_could_not_answer_is_not_asked_in_anybodys_place() {
    let house = away().await;
    // ana is the delegate, and asks herself.
    delegate(&house, "ana").await;
    house.queued().await;
    house.ask("ana", &["orders/write"]).await.unwrap();
    let asked: Vec<_> = house.mailed().await.into_iter().map(|(_, who, _)| who).collect();
    assert_eq!(asked, ["bo", "bo"]);
}
