//! Locks: nothing new comes about, what is held ends, and nobody finds a way round.

use daypass_core::event::{Actor, Subject, What};
use daypass_core::lock::{Lock, On};
use daypass_core::person::SystemRole;
use daypass_core::refusal::Code;
use daypass_core::text::Prose;
use daypass_core::time::Span;
use daypass_engine::{Caller, Lockable, NewRequest, Via};
use daypass_policy::Decision;
use daypass_store::{Outcome, Scope};

use crate::house::{House, asked, code, name, person};

fn ana() -> Lockable {
    Lockable::Person("ana".into())
}

fn orders() -> Lockable {
    Lockable::Resource(name("orders"))
}

impl House {
    async fn lock(&self, what: &Lockable) -> usize {
        let root = self.caller("root");
        self.engine
            .lock(root, what, "laptop stolen")
            .await
            .unwrap()
            .ending
    }

    async fn unlock(&self, what: &Lockable) {
        let root = self.caller("root");
        self.engine.unlock(root, what, "found again").await.unwrap();
    }
}

#[tokio::test]
async fn locking_a_person_ends_all_they_hold_and_unlocking_revives_nothing() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let start = Some(house.now() + Span::hours(1));
    let later = NewRequest {
        start,
        ..asked(&["staging/read"])
    };
    let scheduled = house
        .engine
        .request(house.caller("ana"), later, None)
        .await
        .unwrap();
    let scheduled = scheduled.grant.unwrap().id;
    let (_, credential) = house
        .engine
        .credential(house.caller("ana"), grant, None)
        .await
        .unwrap();
    let session = house.target.open(&credential, house.now()).unwrap();

    assert_eq!(house.lock(&ana()).await, 2);
    let refused = house.engine.credential(house.caller("ana"), grant, None).await;
    assert_eq!(code(refused), Code::GrantOver);
    house.reconcile().await;
    assert!(!house.target.is_open(session), "the session is cut");
    for id in [grant, scheduled] {
        assert_eq!(
            (house.state(id).await, house.ended_reason(id).await),
            ("ended", "locked")
        );
    }
    house.unlock(&ana()).await;
    house.live(Span::hours(2)).await;
    for id in [grant, scheduled] {
        assert_eq!(house.state(id).await, "ended");
    }
    assert!(house.ask("ana", &["staging/read"]).await.is_ok());
}

#[tokio::test]
async fn who_is_locked_asks_reviews_and_administers_nothing() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    let pending = house.ask("ana", &["orders/read"]).await.unwrap().request;
    house.lock(&Lockable::Person("bo".into())).await;
    assert_eq!(code(house.approve("bo", &pending).await), Code::Locked);
    let bo = house.caller("bo");
    assert_eq!(
        code(house.engine.revoke(bo, grant, None).await),
        Code::Locked,
        "what others hold is not theirs to end"
    );

    let (ana, root) = (house.caller("ana"), house.caller("root"));
    house.lock(&Lockable::Person("ana".into())).await;
    assert_eq!(code(house.ask("ana", &["staging/read"]).await), Code::Locked);
    let preview = house
        .engine
        .preview(ana, &asked(&["staging/read"]))
        .await
        .unwrap();
    assert!(
        matches!(preview.decision, Decision::Refused(refusal) if refusal.code == Code::Locked),
        "the preview says so too"
    );
    house.unlock(&Lockable::Person("bo".into())).await;
    assert_eq!(
        code(house.approve("bo", &pending).await),
        Code::Locked,
        "a pending request of theirs is not approved"
    );
    house.engine.withdraw(ana, pending.id).await.unwrap();

    // An administrator too, who cannot free themselves.
    let second = daypass_engine::NewPerson {
        role: SystemRole::Administrator,
        ..person("root2", &[])
    };
    house.engine.add_person(root, second).await.unwrap();
    house.lock(&Lockable::Person("root2".into())).await;
    let second = house.caller("root2");
    let myself = Lockable::Person("root2".into());
    assert_eq!(
        code(house.engine.unlock(second, &myself, "I say so").await),
        Code::Locked
    );
    assert_eq!(
        code(house.engine.lock(second, &orders(), "spite").await),
        Code::Locked
    );
    assert_eq!(code(house.engine.deactivate(second, "bo").await), Code::Locked);
}

#[tokio::test]
async fn locking_a_resource_ends_every_grant_with_an_item_on_it() {
    let mut house = House::new().await;
    let bundle = house.granted(&["orders/read", "orders/write"]).await;
    let other = house
        .ask("ana", &["staging/read"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    let pending = house.ask("ana", &["orders/read"]).await.unwrap().request;
    house.reconcile().await;
    assert_eq!(house.lock(&orders()).await, 1);
    house.reconcile().await;
    assert_eq!(
        (house.state(bundle).await, house.ended_reason(bundle).await),
        ("ended", "locked")
    );
    assert_eq!(
        house.state(other).await,
        "active",
        "another resource is another's"
    );
    assert_eq!(code(house.ask("ana", &["orders/read"]).await), Code::Locked);
    assert_eq!(code(house.approve("bo", &pending).await), Code::Locked);
    house.unlock(&orders()).await;
    assert!(house.approve("bo", &pending).await.is_ok());
}

/// The lock as it stands in the log, and nothing else done: as where the server that recorded it fell at once.
async fn only_recorded(house: &House, on: On) {
    let by = house.caller("root").person;
    let why = Prose::new([1; 16], "laptop stolen");
    let scope = Scope::Lock(on.clone());
    let decide = move |world: &daypass_core::world::World, _| {
        let event = Lock::lock(world.locks.get(&on), by, why)?;
        Ok(Outcome::one(
            Actor::Person(by),
            Subject::Lock(on),
            What::Lock(event),
        ))
    };
    house.engine.store().transition(scope, decide).await.unwrap();
}

#[tokio::test]
async fn a_server_that_falls_after_the_lock_leaves_the_rest_to_the_next_start() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    only_recorded(&house, On::Resource(name("orders"))).await;
    let refused = house.engine.credential(house.caller("ana"), grant, None).await;
    assert_eq!(code(refused), Code::Locked, "already");
    assert_eq!(house.state(grant).await, "active");
    let mut house = house.restart("two").await;
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "locked")
    );
}

#[tokio::test]
async fn what_is_scheduled_does_not_begin_under_a_lock() {
    let mut house = House::new().await;
    let start = Some(house.now() + Span::hours(1));
    let later = NewRequest {
        start,
        ..asked(&["staging/read"])
    };
    let made = house
        .engine
        .request(house.caller("ana"), later, None)
        .await
        .unwrap();
    let grant = made.grant.unwrap().id;
    only_recorded(&house, On::Person(house.caller("ana").person)).await;
    house.pass(Span::hours(2));
    house.reconcile().await;
    assert_eq!(
        (house.state(grant).await, house.ended_reason(grant).await),
        ("ended", "locked")
    );
    let log = house.log().await;
    assert!(!log.contains(&"grant.begun"), "{log:?}");
}

#[tokio::test]
async fn another_server_sees_the_lock_at_once() {
    let house = House::new().await;
    let beside = house.beside().await;
    house.lock(&ana()).await;
    let refused = beside
        .request(house.caller("ana"), asked(&["staging/read"]), None)
        .await;
    assert_eq!(code(refused), Code::Locked);
}

#[tokio::test]
async fn who_may_lock_what() {
    let house = House::new().await;
    let root = house.caller("root");
    for login in ["ana", "cy"] {
        let refused = house.engine.lock(house.caller(login), &orders(), "x").await;
        assert_eq!(code(refused), Code::Forbidden, "{login}");
        let refused = house.engine.unlock(house.caller(login), &orders(), "x").await;
        assert_eq!(code(refused), Code::Forbidden, "{login}");
    }
    for (what, expect) in [
        (Lockable::Person("nobody".into()), Code::UnknownPerson),
        (Lockable::Resource(name("nothing")), Code::UnknownResource),
        (Lockable::Person("root".into()), Code::InUse),
    ] {
        assert_eq!(
            code(house.engine.lock(root, &what, "x").await),
            expect,
            "{what:?}"
        );
    }
    assert_eq!(
        code(house.engine.lock(root, &ana(), "  ").await),
        Code::ReasonRequired
    );
    assert_eq!(
        code(house.engine.unlock(root, &ana(), "x").await),
        Code::WrongState
    );
    house.lock(&ana()).await;
    assert_eq!(code(house.engine.lock(root, &ana(), "x").await), Code::Exists);
    let token = Caller {
        via: Via::Token,
        ..root
    };
    assert_eq!(
        code(house.engine.unlock(token, &ana(), "x").await),
        Code::MayNotReview,
        "a person unlocks"
    );
    let locks = house.engine.store().locks().await.unwrap();
    assert_eq!(locks.len(), 1);
    assert_eq!((locks[0].by, locks[0].why.text()), (root.person, "laptop stolen"));
}

#[tokio::test]
async fn the_last_administrator_who_is_not_locked_stays() {
    let house = House::new().await;
    let root = house.caller("root");
    let second = daypass_engine::NewPerson {
        role: SystemRole::Administrator,
        ..person("root2", &[])
    };
    house.engine.add_person(root, second).await.unwrap();
    house.lock(&Lockable::Person("root2".into())).await;
    assert_eq!(code(house.engine.deactivate(root, "root").await), Code::InUse);
    let role = SystemRole::Member;
    assert_eq!(code(house.engine.set_role(root, "root", role).await), Code::InUse);
    let myself = Lockable::Person("root".into());
    assert_eq!(code(house.engine.lock(root, &myself, "x").await), Code::InUse);
}
