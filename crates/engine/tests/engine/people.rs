//! The directory and what people prove who they are with.

use daypass_core::event::{Actor, Subject};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{NewPerson, NewToken, Proof};
use daypass_store::{EventFilter, From, TokenKind};

use crate::house::{House, code, name, person};

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
        owner: Some(name("root")),
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

/// The other server read the directory before, and nobody has told it of anything since.
#[tokio::test]
async fn groups_that_another_server_gave_or_took_stay_so() {
    let house = House::new().await;
    let (here, there, root) = (&house.engine, house.beside().await, house.caller("root"));
    let set = |group: &str| [name(group)].into();
    here.change_groups(root, "ana", set("on-call"), set("engineering"))
        .await
        .unwrap();
    let ana = there
        .change_groups(root, "ana", set("night"), [].into())
        .await
        .unwrap();
    assert_eq!(ana.groups, [name("night"), name("on-call")].into());

    house.pass(Span::hours(1));
    let again = here
        .change_groups(root, "ana", set("night"), set("engineering"))
        .await;
    assert_eq!(again.unwrap().changed_at, ana.changed_at, "nothing has changed");
    let both = here.change_groups(root, "ana", set("night"), set("night")).await;
    assert_eq!(code(both), Code::Invalid);
}

#[tokio::test]
async fn the_last_administrator_stays_whatever_another_server_remembers() {
    let house = House::new().await;
    let (here, root) = (&house.engine, house.caller("root"));
    here.set_role(root, "cy", SystemRole::Administrator)
        .await
        .unwrap();
    let there = house.beside().await;
    here.set_role(root, "root", SystemRole::Auditor).await.unwrap();
    let cy = house.caller("cy");
    let demoted = there.set_role(cy, "cy", SystemRole::Member).await;
    assert_eq!(code(demoted), Code::InUse);
    assert_eq!(code(there.deactivate(cy, "cy").await), Code::InUse);
    there.deactivate(cy, "root").await.unwrap();
    there.set_role(cy, "cy", SystemRole::Administrator).await.unwrap();
}

/// Between the look at the old password and the session stands the change that ends all sessions.
#[tokio::test]
async fn an_old_password_that_was_found_right_is_good_for_nothing_once_there_is_another() {
    let house = House::new().await;
    let (engine, root) = (&house.engine, house.caller("root"));
    let eve = NewPerson {
        password: Some("the old hash".into()),
        ..person("eve", &[])
    };
    let id = engine.add_person(root, eve).await.unwrap().id;
    let eve = house.caller("eve");
    let session = || new_token(TokenKind::Session);
    let old = Proof::new(id, "the old hash");
    engine.log_in(old, session()).await.unwrap();
    let set = |hash: &str| engine.set_password(eve, "eve", Some(old), hash.into());
    set("the new hash").await.unwrap();

    assert_eq!(code(engine.log_in(old, session()).await), Code::Stale);
    assert!(engine.store().tokens_of(id).await.unwrap().is_empty());
    assert_eq!(code(set("a thief's hash").await), Code::Stale);
    let new = Proof::new(id, "the new hash");
    engine.log_in(new, session()).await.unwrap();
    let without = engine
        .set_password(eve, "eve", None, "a thief's hash".into())
        .await;
    assert_eq!(code(without), Code::Forbidden);
    let roots = engine
        .set_password(root, "root", None, "a thief's hash".into())
        .await;
    assert_eq!(code(roots), Code::Forbidden, "an open session is not enough");
    let of_another = engine
        .set_password(eve, "root", Some(new), "a thief's hash".into())
        .await;
    assert_eq!(code(of_another), Code::Forbidden);
}
