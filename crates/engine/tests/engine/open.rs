//! How many requests of one person may wait for others.

use daypass_core::refusal::Code;
use daypass_store::MOST_OPEN;

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
