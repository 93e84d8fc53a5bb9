//! Asking and reviewing through the engine: races, repeats, and who may not.

use std::sync::Arc;

use daypass_core::id::GrantId;
use daypass_core::refusal::Code;
use daypass_core::review::Decision as Vote;
use daypass_core::time::Span;
use daypass_engine::{Caller, NewRequest, Verdict, Via};

use crate::house::{House, asked, code, name, person};

#[tokio::test]
async fn sixty_four_last_votes_at_once_make_one_grant() {
    let house = House::new().await;
    let root = house.caller("root");
    for n in 0..64 {
        house
            .engine
            .add_person(root, person(&format!("sec{n}"), &["security"]))
            .await
            .unwrap();
    }
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    let votes = (0..64).map(|n| {
        let verdict = Verdict {
            vote: Vote::Approve {
                duration: None,
                items: None,
            },
            digest: made.request.digest,
            comment: None,
        };
        let (engine, caller, id) = (
            Arc::clone(&house.engine),
            house.caller(&format!("sec{n}")),
            made.request.id,
        );
        async move { engine.review(caller, id, verdict).await }
    });
    let outcomes = futures_util::future::join_all(votes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(
        house
            .log()
            .await
            .iter()
            .filter(|event| **event == "grant.opened")
            .count(),
        1
    );
}

#[tokio::test]
async fn the_same_request_twice_with_one_key_is_one() {
    let house = House::new().await;
    let ana = house.caller("ana");
    let first = house
        .engine
        .request(ana, asked(&["staging/read"]), Some("key"))
        .await
        .unwrap();
    let again = house
        .engine
        .request(ana, asked(&["staging/read"]), Some("key"))
        .await
        .unwrap();
    assert_eq!((first.request.id, first.fresh), (again.request.id, true));
    assert!(!again.fresh);
    assert_eq!(again.grant.unwrap().id, first.grant.unwrap().id);
    let other = house
        .engine
        .request(ana, asked(&["staging/read"]), Some("other"))
        .await
        .unwrap();
    assert_ne!(other.request.id, first.request.id);
    let another = house
        .engine
        .request(ana, asked(&["orders/read"]), Some("key"))
        .await;
    assert_eq!(code(another), Code::Exists, "a key stands for one request");
    let extension = NewRequest {
        extends: Some(GrantId::from(first.request.id)),
        ..asked(&[])
    };
    assert_eq!(
        code(house.engine.request(ana, extension, Some("key")).await),
        Code::NotActive,
        "another command than the request, and decided as what it is"
    );
}

#[tokio::test]
async fn an_api_token_never_reviews() {
    let house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let by_token = Caller {
        via: Via::Token,
        ..house.caller("bo")
    };
    let verdict = Verdict {
        vote: Vote::Approve {
            duration: None,
            items: None,
        },
        digest: made.request.digest,
        comment: None,
    };
    assert_eq!(
        code(house.engine.review(by_token, made.request.id, verdict).await),
        Code::MayNotReview
    );
}

#[tokio::test]
async fn nobody_outside_the_step_reviews_administrators_included() {
    let house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    assert_eq!(
        code(house.approve("root", &made.request).await),
        Code::NotReviewer
    );
    assert_eq!(
        code(house.approve("cy", &made.request).await),
        Code::NotReviewer,
        "not her step yet"
    );
    assert_eq!(code(house.approve("ana", &made.request).await), Code::OwnRequest);
}

#[tokio::test]
async fn silence_lapses_a_request() {
    let mut house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.live(Span::minutes(31)).await;
    assert_eq!(house.request(made.request.id).await.state.name(), "lapsed");
    assert_eq!(
        code(house.approve("bo", &made.request).await),
        Code::AlreadyDecided
    );
}

#[tokio::test]
async fn a_reviewer_who_left_the_group_does_not_count() {
    let house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    house
        .engine
        .set_groups(house.caller("root"), "bo", [].into())
        .await
        .unwrap();
    let again = house.approve("cy", &made.request).await.unwrap();
    assert_eq!(
        again.request.state.name(),
        "pending",
        "the first step is open again"
    );
}

#[tokio::test]
async fn bad_input_is_refused_with_its_code() {
    let house = House::new().await;
    let refused = async |items: &[&str], change: fn(NewRequest) -> NewRequest| {
        code(
            house
                .engine
                .request(house.caller("ana"), change(asked(items)), None)
                .await,
        )
    };
    assert_eq!(refused(&["nothing/read"], |ask| ask).await, Code::UnknownResource);
    assert_eq!(refused(&["orders/admin"], |ask| ask).await, Code::UnknownRole);
    assert_eq!(
        refused(&["orders/read"], |ask| NewRequest {
            reason: " ".into(),
            ..ask
        })
        .await,
        Code::ReasonRequired
    );
    let long = |ask| NewRequest {
        duration: Some(Span::hours(3)),
        ..ask
    };
    assert_eq!(refused(&["orders/read"], long).await, Code::OverMax);
    assert_eq!(refused(&[], |ask| ask).await, Code::Invalid);
    let ansi = |ask| NewRequest {
        reason: "fine \u{1b}[2J".into(),
        ..ask
    };
    assert_eq!(refused(&["orders/read"], ansi).await, Code::Invalid);
    assert_eq!(code(house.ask("ed", &["orders/read"]).await), Code::NotEligible);
}

#[tokio::test]
async fn preview_says_what_a_request_would_get() {
    let house = House::new().await;
    let preview = house
        .engine
        .preview(house.caller("ana"), &asked(&["orders/write"]))
        .await
        .unwrap();
    let daypass_policy::Decision::Allowed(allowed) = preview.decision else {
        panic!("it is allowed")
    };
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    assert_eq!(allowed.path, made.request.path);
}

/// Another server has changed the directory, and nobody has told this one yet.
#[tokio::test]
async fn a_decision_from_an_old_directory_is_made_anew() {
    let house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    let other = house.beside().await;
    let root = house.caller("root");
    other.set_groups(root, "cy", [].into()).await.unwrap();
    let security =
        daypass_policy::Directory::members(house.engine.current().directory.as_ref(), &name("security"));
    assert_eq!(security.len(), 2, "this server does not know");
    assert_eq!(code(house.approve("cy", &made.request).await), Code::NotReviewer);
    assert_eq!(house.request(made.request.id).await.state.name(), "pending");
    house.approve("di", &made.request).await.unwrap();

    other.set_groups(root, "ana", [].into()).await.unwrap();
    assert_eq!(code(house.ask("ana", &["staging/read"]).await), Code::NotEligible);
    let back = [name("engineering")].into();
    other.set_groups(root, "ana", back).await.unwrap();
    house.ask("ana", &["staging/read"]).await.unwrap();
}
