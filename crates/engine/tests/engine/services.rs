//! Service accounts: who answers for them agrees to nothing of theirs, and without somebody they hold nothing.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::person::{Change, Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{Lockable, NewDelegation, NewPerson, NewToken};
use daypass_policy::{Decision, Source};
use daypass_store::{Outcome, Scope, TokenKind};

use crate::house::{House, POLICY, asked, code, name, person};

const RULES: &str = "
  - {name: machines-staging, allow: robots, to: {env: staging}, approval: none, max: 2h}
  - name: machines-write
    allow: robots
    to: {env: production}
    roles: [write]
    approval: [{from: security, within: 30m, else: {escalate: leads, within: 30m}}]
  - name: machines-read
    allow: robots
    to: {env: production}
    roles: [read]
    approval: [{from: security, count: 2, within: 30m, else: {escalate: leads, within: 30m}}]
";

fn service(login: &str, owner: &str) -> NewPerson {
    NewPerson {
        kind: Kind::Service,
        owner: Some(name(owner)),
        ..person(login, &[])
    }
}

/// The usual people, and `ci`, which this person answers for.
async fn with_ci(owner: &str) -> House {
    let house = House::new().await;
    let root = house.caller("root");
    house.engine.add_person(root, service("ci", owner)).await.unwrap();
    load(&house, POLICY).await;
    house
}

async fn load(house: &House, text: &str) {
    let people = "people:\n  robots: {logins: [ci, old]}\n";
    let text = text.replacen("people:\n", people, 1) + RULES;
    let sources = [Source {
        name: "policy.yaml".into(),
        text,
    }];
    house.engine.load_policy(&sources).await.unwrap();
}

async fn give(house: &House, owner: &str) {
    let root = house.caller("root");
    house.engine.set_owner(root, "ci", owner).await.unwrap();
}

fn token(text: &str) -> NewToken {
    NewToken {
        hash: Hash::of(text.as_bytes()),
        kind: TokenKind::Api {
            scopes: [String::from("request")].into(),
        },
        name: text.into(),
        lifetime: Span::hours(1),
    }
}

#[tokio::test]
async fn the_owner_of_then_and_of_now_agree_to_nothing() {
    let house = with_ci("cy").await;
    let first = house.ask("ci", &["orders/write"]).await.unwrap().request;
    assert_eq!(first.ask.owner, Some(house.caller("cy").person));
    assert_eq!(code(house.approve("cy", &first).await), Code::OwnRequest);
    assert!(house.approve("di", &first).await.unwrap().grant.is_some());

    let second = house.ask("ci", &["orders/write"]).await.unwrap().request;
    give(&house, "di").await;
    for owner in ["cy", "di"] {
        assert_eq!(
            code(house.approve(owner, &second).await),
            Code::OwnRequest,
            "{owner}"
        );
    }
    // Nobody of those who are asked first is left.
    assert!(house.approve("bo", &second).await.unwrap().grant.is_some());
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn an_agreement_of_whoever_became_the_owner_does_not_count() {
    let house = with_ci("ed").await;
    let request = house.ask("ci", &["orders/read"]).await.unwrap().request;
    house.approve("cy", &request).await.unwrap();
    give(&house, "cy").await;
    assert!(house.approve("di", &request).await.unwrap().grant.is_none());
    assert!(house.approve("bo", &request).await.unwrap().grant.is_some());
}

#[tokio::test]
async fn what_an_orphan_holds_ends_and_it_gets_nothing_until_it_has_an_owner() {
    let mut house = with_ci("ed").await;
    let (root, ci) = (house.caller("root"), house.caller("ci"));
    let issued = house
        .engine
        .issue_token(house.caller("ed"), ci.person, token("one"));
    issued.await.unwrap();
    let held = house
        .ask("ci", &["staging/read"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    let waits = house.ask("ci", &["orders/write"]).await.unwrap().request;
    house.reconcile().await;
    house.engine.credential(ci, held, None).await.unwrap();

    house.engine.deactivate(root, "ed").await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(held).await, "ended");
    assert_eq!(house.ended_reason(held).await, "ineligible");
    assert_eq!(code(house.ask("ci", &["staging/read"]).await), Code::Orphaned);
    assert_eq!(code(house.approve("cy", &waits).await), Code::Orphaned);
    let preview = house.engine.preview(ci, &asked(&["staging/read"])).await.unwrap();
    assert!(matches!(preview.decision, Decision::Refused(refusal) if refusal.code == Code::Orphaned));

    give(&house, "di").await;
    let left = house.engine.store().tokens_of(ci.person).await.unwrap();
    assert!(left.is_empty(), "who left knew them: {left:?}");
    house.ask("ci", &["staging/read"]).await.unwrap();
    assert!(house.approve("cy", &waits).await.unwrap().grant.is_some());
    house.engine.store().verify().await.unwrap();
}

/// Whoever switched the owner off was cut short, or knew of no services: the reconciler makes sure.
#[tokio::test]
async fn an_account_of_an_earlier_version_is_an_orphan_and_the_reconciler_ends_what_it_holds() {
    let mut house = with_ci("ed").await;
    let held = house
        .ask("ci", &["staging/read"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.reconcile().await;
    let directory = house.engine.current().directory;
    let ed = directory
        .people()
        .find(|one| one.login.text() == "ed")
        .unwrap()
        .id;
    let off = move |_: &_, _| {
        let what = What::Person(Change::Deactivated);
        Ok(Outcome::one(Actor::System, Subject::Person(ed), what))
    };
    house
        .engine
        .store()
        .transition(Scope::Person(ed), off)
        .await
        .unwrap();
    house.engine.refresh_directory().await.unwrap();
    house.reconcile().await;
    assert_eq!(house.ended_reason(held).await, "ineligible");

    let ci = directory.people().find(|one| one.login.text() == "ci").unwrap();
    let mut old = ci.clone();
    old.id = PersonId::from_bytes([77; 10]);
    old.login = daypass_core::text::Prose::new([9; 16], "old");
    old.owner = None;
    let id = old.id;
    let add = move |_: &_, _| {
        let what = What::Person(Change::Added { person: old });
        Ok(Outcome::one(Actor::System, Subject::Person(id), what))
    };
    let scope = Scope::NewPerson {
        id,
        login: "old".into(),
    };
    house.engine.store().transition(scope, add).await.unwrap();
    house.engine.refresh_directory().await.unwrap();
    assert_eq!(code(house.ask("old", &["staging/read"]).await), Code::Orphaned);
    let root = house.caller("root");
    house.engine.set_owner(root, "old", "bo").await.unwrap();
    house.ask("old", &["staging/read"]).await.unwrap();
}

#[tokio::test]
async fn a_lock_of_the_owner_is_one_of_the_service() {
    let mut house = with_ci("ed").await;
    let (root, ci) = (house.caller("root"), house.caller("ci"));
    let held = house
        .ask("ci", &["staging/read"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    let waits = house.ask("ci", &["orders/write"]).await.unwrap().request;
    house.reconcile().await;
    let ed = Lockable::Person("ed".into());
    let locked = house.engine.lock(root, &ed, "laptop stolen").await.unwrap();
    assert_eq!(locked.ending, 1);
    assert_eq!(
        code(house.engine.credential(ci, held, None).await),
        Code::GrantOver
    );
    house.reconcile().await;
    assert_eq!(house.ended_reason(held).await, "locked");
    assert_eq!(code(house.ask("ci", &["staging/read"]).await), Code::Locked);
    assert_eq!(code(house.approve("cy", &waits).await), Code::Locked);
    house
        .engine
        .add_person(root, service("other", "di"))
        .await
        .unwrap();
    let given = house.engine.set_owner(root, "other", "ed").await;
    assert_eq!(code(given), Code::Locked);
    house.engine.unlock(root, &ed, "found").await.unwrap();
    house.ask("ci", &["staging/read"]).await.unwrap();
}

#[tokio::test]
async fn credentials_are_not_for_an_owner_who_agreed_to_the_access() {
    let mut house = with_ci("ed").await;
    let request = house.ask("ci", &["orders/write"]).await.unwrap().request;
    let grant = house.approve("di", &request).await.unwrap().grant.unwrap().id;
    house.reconcile().await;
    let ci = house.caller("ci");
    house.engine.credential(ci, grant, None).await.unwrap();
    give(&house, "di").await;
    assert_eq!(
        code(house.engine.credential(ci, grant, None).await),
        Code::OwnRequest
    );
    give(&house, "bo").await;
    house.engine.credential(ci, grant, None).await.unwrap();
    // Who answers for it ends what it holds; who does not any more knows of nothing.
    assert_eq!(
        code(house.engine.revoke(house.caller("ed"), grant, None).await),
        Code::NotFound
    );
    house
        .engine
        .revoke(house.caller("bo"), grant, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn nor_for_an_owner_in_whose_place_somebody_agreed() {
    let mut house = with_ci("ed").await;
    load(
        &house,
        &POLICY.replace("settle: 0s}", "settle: 0s, delegates: [leads]}"),
    )
    .await;
    let away = NewDelegation {
        to: "bo".into(),
        from: None,
        until: house.now() + Span::hours(24),
        why: None,
    };
    house.engine.delegate(house.caller("di"), away).await.unwrap();
    let request = house.ask("ci", &["orders/write"]).await.unwrap().request;
    let made = house.approve("bo", &request).await.unwrap();
    assert_eq!(
        made.request.reviews()[0].on_behalf,
        Some(house.caller("di").person)
    );
    let grant = made.grant.unwrap().id;
    house.reconcile().await;
    let ci = house.caller("ci");
    for (owner, refused) in [("di", true), ("bo", true), ("cy", false)] {
        give(&house, owner).await;
        let answer = house.engine.credential(ci, grant, None).await;
        assert_eq!(answer.is_err(), refused, "{owner}");
    }
}

#[tokio::test]
async fn an_owner_is_an_active_person_and_only_administrators_name_one() {
    let house = with_ci("ed").await;
    let (engine, root) = (&house.engine, house.caller("root"));
    engine.deactivate(root, "bo").await.unwrap();
    for (owner, expect) in [
        ("ci", Code::Invalid),
        ("bo", Code::UnknownPerson),
        ("nobody", Code::UnknownPerson),
    ] {
        let added = engine.add_person(root, service("other", owner)).await;
        assert_eq!(code(added), expect, "{owner}");
        assert_eq!(code(engine.set_owner(root, "ci", owner).await), expect, "{owner}");
    }
    let without = NewPerson {
        owner: None,
        ..service("other", "ed")
    };
    let of_a_person = NewPerson {
        owner: Some(name("ed")),
        ..person("other", &[])
    };
    let managed = NewPerson {
        manager: Some(name("di")),
        ..service("other", "ed")
    };
    for new in [without, of_a_person, managed] {
        assert_eq!(code(engine.add_person(root, new).await), Code::Invalid);
    }
    assert_eq!(code(engine.set_owner(root, "ana", "ed").await), Code::Invalid);
    let ed = house.caller("ed");
    assert_eq!(code(engine.set_owner(ed, "ci", "ed").await), Code::Forbidden);
    assert_eq!(
        code(engine.set_manager(root, "ci", Some("di")).await),
        Code::Invalid
    );
    engine.set_manager(root, "ci", None).await.unwrap();
    let mail = engine.set_mail(root, "ci", Some("ci@example.com")).await;
    assert_eq!(code(mail), Code::Invalid);
    // The same owner once more changes nothing, and ends no token.
    let ci = house.caller("ci").person;
    engine.issue_token(ed, ci, token("kept")).await.unwrap();
    give(&house, "ed").await;
    assert_eq!(engine.store().tokens_of(ci).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_owner_makes_its_tokens_and_the_owner_ends_them() {
    let house = with_ci("ed").await;
    let (engine, root, ed) = (&house.engine, house.caller("root"), house.caller("ed"));
    let ci = house.caller("ci").person;
    for other in [root, house.caller("ana")] {
        assert_eq!(
            code(engine.issue_token(other, ci, token("x")).await),
            Code::Forbidden
        );
    }
    let ana = house.caller("ana").person;
    assert_eq!(
        code(engine.issue_token(root, ana, token("x")).await),
        Code::Forbidden
    );
    let one = engine.issue_token(ed, ci, token("one")).await.unwrap().id;
    let two = engine.issue_token(ed, ci, token("two")).await.unwrap().id;
    assert_eq!(
        code(engine.revoke_token(house.caller("ana"), one).await),
        Code::NotFound
    );
    engine.revoke_token(ed, one).await.unwrap();
    engine.revoke_token(root, two).await.unwrap();
    assert!(engine.store().tokens_of(ci).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_program_is_never_more_in_daypass_than_who_answers_for_it() {
    let house = with_ci("ed").await;
    let root = house.caller("root");
    let ci = house
        .engine
        .set_role(root, "ci", SystemRole::Administrator)
        .await
        .unwrap();
    let role = || daypass_engine::role_of(&ci, &house.engine.current().directory);
    assert_eq!(role(), SystemRole::Member);
    // It counts for no administrator who could help: whoever is the last person among them stays.
    assert_eq!(code(house.engine.deactivate(root, "root").await), Code::InUse);
    house
        .engine
        .set_role(root, "ed", SystemRole::Auditor)
        .await
        .unwrap();
    assert_eq!(role(), SystemRole::Auditor);
    house.engine.deactivate(root, "ed").await.unwrap();
    assert_eq!(role(), SystemRole::Member);
}
