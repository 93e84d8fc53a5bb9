//! How many requests of one person may wait for others, how many grants they may have.

use daypass_core::refusal::Code;
use daypass_store::{MOST_HELD, MOST_OPEN};

use crate::house::{House, code};

#[tokio::test]
async fn nobody_fills_the_mailboxes_of_reviewers() {
    let house = House::new().await;
    let mut last = None;
    for _ in 0..MOST_OPEN {
        last = Some(house.ask("ana", &["orders/write"]).await.unwrap().request);
    }
    let more = house.ask("ana", &["orders/write"]).await;
    assert_eq!(code(more), Code::TooManyOpen);
    let (ana, asked) = (house.caller("ana"), crate::house::asked(&["orders/write"]));
    let preview = house.engine.preview(ana, &asked).await.unwrap();
    let refused = format!("{:?}", preview.decision);
    assert!(
        refused.contains("TooManyOpen"),
        "the preview says the same: {refused}"
    );
    // What nobody is asked for goes on, and so does what is taken back.
    house.ask("ana", &["staging/read"]).await.unwrap();
    house.engine.withdraw(ana, last.unwrap().id).await.unwrap();
    house.ask("ana", &["orders/write"]).await.unwrap();
    assert_eq!(code(house.ask("ana", &["orders/read"]).await), Code::TooManyOpen);
}

#[tokio::test]
async fn nobody_has_more_than_a_thousand_grants_and_an_emergency_is_not_counted() {
    let mut house = House::new().await;
    let mut last = None;
    for _ in 0..MOST_HELD {
        last = house.ask("ana", &["staging/read"]).await.unwrap().grant;
    }
    let more = house.ask("ana", &["staging/read"]).await;
    assert_eq!(code(more), Code::TooManyOpen);
    let (ana, asked) = (house.caller("ana"), crate::house::asked(&["staging/read"]));
    let preview = house.engine.preview(ana, &asked).await.unwrap();
    assert!(format!("{:?}", preview.decision).contains("TooManyOpen"));
    // One that is lengthened is none more; and whoever gives one back has room, once it is gone.
    let grant = last.unwrap().id;
    house.reconcile().await;
    let longer = daypass_engine::NewRequest {
        extends: Some(grant),
        ..crate::house::asked(&["staging/read"])
    };
    house.engine.request(ana, longer, None).await.unwrap();
    house.engine.release(ana, grant).await.unwrap();
    house.reconcile().await;
    house.ask("ana", &["staging/read"]).await.unwrap();
}
