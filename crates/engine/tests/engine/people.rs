//! The directory and what people prove who they are with.

use daypass_core::event::{Actor, Subject};
use daypass_core::person::Kind;
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{NewPerson, NewToken};
use daypass_store::{EventFilter, From, TokenKind};

use crate::house::{House, code, person};

fn new_token(kind: TokenKind) -> NewToken {
    NewToken {
        hash: Hash::of(b"a secret"),
        kind,
        name: "nightly".into(),
        lifetime: Span::hours(1),
    }
}

#[tokio::test]
async fn the_log_says_who_issued_a_token_and_to_whom() {
    let house = House::new().await;
    let root = house.caller("root");
    let bot = NewPerson {
        kind: Kind::Service,
        ..person("bot", &[])
    };
    let bot = house.engine.add_person(root, bot).await.unwrap().id;
    let new = || {
        new_token(TokenKind::Api {
            scopes: [String::from("read")].into(),
        })
    };
    let refused = house.engine.issue_token(house.caller("ana"), bot, new()).await;
    assert_eq!(code(refused), Code::Forbidden);
    let issued = house.engine.issue_token(root, bot, new()).await.unwrap();
    assert_eq!((issued.person, issued.created_at), (bot, house.now()));
    assert_eq!(house.engine.store().tokens_of(bot).await.unwrap(), [issued]);

    house.engine.store().sequence(1000).await.unwrap();
    let about_bot = EventFilter {
        subject: Some(Subject::Person(bot)),
        ..EventFilter::default()
    };
    let events = house.engine.store().events(From::First, about_bot, 1000).await;
    let last = events.unwrap().pop().unwrap().event;
    assert_eq!(
        (last.what.name(), last.actor),
        ("person.token_issued", Actor::Person(root.person))
    );
}
