//! Where two accounts are one hand: who borrows somebody's account gains nothing that outlasts it, a program is no more than who
//! answers for it, and what is decided about a policy is decided by what is there in that moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use daypass_core::change::Change;
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{ChangeVerdict, Error, Lockable, NewDelegation, NewPerson, NewRequest, NewToken};
use daypass_policy::{Decision, Source};
use daypass_store::{Access, Gate, TokenKind};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::house::{House, POLICY, asked, code, name, person};

fn source(text: &str) -> [Source; 1] {
    [Source {
        name: "policy.yaml".into(),
        text: text.into(),
    }]
}

async fn put(house: &House, text: &str) {
    house.engine.load_policy(&source(text)).await.unwrap();
}

/// The usual policy, in which programs may ask as engineers do, and accounts have to settle.
fn with_robots() -> String {
    POLICY
        .replace("settle: 0s", "settle: 24h, delegates: [security]")
        .replacen("people:\n", "people:\n  robots: {logins: [ci]}\n", 1)
        .replace(
            "name: prod\n    allow: engineers",
            "name: prod\n    allow: [engineers, robots]",
        )
}

fn service(login: &str, owner: &str) -> NewPerson {
    NewPerson {
        kind: Kind::Service,
        owner: Some(name(owner)),
        ..person(login, &[])
    }
}

fn token(text: &str) -> NewToken {
    NewToken {
        hash: Hash::of(text.as_bytes()),
        kind: TokenKind::Api {
            scopes: [String::from("request")].into(),
        },
        name: text.into(),
        lifetime: Span::hours(48),
    }
}

async fn password(house: &House, login: &str) {
    let root = house.caller("root");
    let set = house.engine.set_password(root, login, None, "hash".into()).await;
    set.unwrap();
}

async fn join(house: &House, who: &str, login: &str, group: &str) -> Result<(), Error> {
    let caller = house.caller(who);
    let joins = BTreeSet::from([name(group)]);
    let changed = house
        .engine
        .change_groups(caller, login, joins, BTreeSet::new())
        .await;
    changed.map(drop)
}

#[track_caller]
fn waits<T>(outcome: Result<T, Error>) -> Change {
    match outcome {
        Err(Error::Waits(change)) => *change,
        Err(other) => panic!("it does not wait: {other}"),
        Ok(_) => panic!("it was done at once"),
    }
}

async fn agree(house: &House, who: &str, change: &Change) -> Result<Change, Error> {
    let verdict = ChangeVerdict {
        agrees: true,
        digest: change.digest,
        comment: None,
    };
    house
        .engine
        .review_change(house.caller(who), change.id, verdict)
        .await
}

/// An administrator who is asked sets the owner's password, and uses what is the owner's.
#[tokio::test]
async fn an_administrator_does_not_agree_to_what_an_owners_program_asks() {
    let house = House::new().await;
    put(&house, &with_robots()).await;
    join(&house, "root", "root", "eng-leads").await.unwrap();
    let root = house.caller("root");
    house.engine.add_person(root, service("ci", "ed")).await.unwrap();
    house.pass(Span::hours(25));
    password(&house, "ed").await;
    let ci = house.caller("ci").person;
    let issued = house
        .engine
        .issue_token(house.caller("ed"), ci, token("theirs"))
        .await;
    assert_eq!(code(issued), Code::Forbidden, "it would outlast the borrowing");
    // A token that there was before works; who could have used it does not agree.
    let made = house.ask("ci", &["orders/write"]).await.unwrap();
    assert_eq!(code(house.approve("root", &made.request).await), Code::OwnRequest);
    house.approve("bo", &made.request).await.unwrap();
    house.pass(Span::hours(25));
    let ed = house.caller("ed");
    house.engine.issue_token(ed, ci, token("own")).await.unwrap();
    let made = house.ask("ci", &["orders/write"]).await.unwrap();
    house.approve("root", &made.request).await.unwrap();
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn a_borrowed_account_delegates_nothing_and_what_it_delegated_ends_when_it_is_taken_back() {
    let house = House::new().await;
    put(&house, &with_robots()).await;
    house.pass(Span::hours(25));
    let to_cy = || NewDelegation {
        to: "cy".into(),
        from: None,
        until: house.now() + Span::hours(24 * 20),
        why: None,
    };
    let root = house.caller("root");
    password(&house, "bo").await;
    let refused = house.engine.delegate(house.caller("bo"), to_cy()).await;
    assert_eq!(code(refused), Code::MayNotReview);
    house.pass(Span::hours(25));
    let none = || {
        house
            .engine
            .delegations(root.person, true, house.now())
            .is_empty()
    };
    house.engine.delegate(house.caller("bo"), to_cy()).await.unwrap();
    assert!(!none());
    password(&house, "bo").await;
    assert!(none(), "another password ends it");
    house.pass(Span::hours(25));
    house.engine.delegate(house.caller("bo"), to_cy()).await.unwrap();
    let bo = Lockable::Person("bo".into());
    house.engine.lock(root, &bo, "laptop stolen").await.unwrap();
    house.engine.unlock(root, &bo, "found").await.unwrap();
    assert!(none(), "unlocking revives nothing");
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    assert_eq!(code(house.approve("cy", &made.request).await), Code::NotReviewer);
    let log = house.log().await;
    assert!(log.contains(&"person.delegation_ended"), "{log:?}");
    house.engine.store().verify().await.unwrap();
}

/// bot administers, and max answers for it.
async fn with_bot() -> House {
    let house = House::new().await;
    let root = house.caller("root");
    let max = NewPerson {
        role: SystemRole::Administrator,
        ..person("max", &[])
    };
    house.engine.add_person(root, max).await.unwrap();
    house
        .engine
        .add_person(root, service("bot", "max"))
        .await
        .unwrap();
    let role = SystemRole::Administrator;
    house.engine.set_role(root, "bot", role).await.unwrap();
    let control = "policy: {approval: [{from: security, within: 4h}], covers: [policy, groups]}\n";
    put(&house, &format!("{POLICY}{control}")).await;
    house
}

#[tokio::test]
async fn what_a_program_proposed_is_not_done_once_its_owner_could_not_do_it() {
    let house = with_bot().await;
    let root = house.caller("root");
    let change = waits(join(&house, "bot", "ed", "security").await);
    let max = Lockable::Person("max".into());
    house.engine.lock(root, &max, "laptop stolen").await.unwrap();
    assert_eq!(code(agree(&house, "cy", &change).await), Code::Locked);
    house.engine.unlock(root, &max, "found").await.unwrap();
    let role = SystemRole::Member;
    house.engine.set_role(root, "max", role).await.unwrap();
    assert_eq!(code(agree(&house, "cy", &change).await), Code::Forbidden);
    house.engine.deactivate(root, "max").await.unwrap();
    assert_eq!(code(agree(&house, "cy", &change).await), Code::Forbidden);
    assert!(!house.engine.find("ed").unwrap().groups.contains("security"));
}

#[tokio::test]
async fn who_answers_for_a_program_takes_back_what_it_proposed() {
    let house = with_bot().await;
    let change = waits(join(&house, "bot", "ed", "security").await);
    let withdraw = async |who: &str| house.engine.withdraw_change(house.caller(who), change.id).await;
    let root = house.caller("root");
    assert_eq!(code(withdraw("root").await), Code::NotHolder);
    let role = SystemRole::Member;
    house.engine.set_role(root, "max", role).await.unwrap();
    let max = house.caller("max");
    assert!(house.engine.may_see_change(max, &change, house.now()));
    assert_eq!(withdraw("max").await.unwrap().state.name(), "withdrawn");
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn an_owner_of_programs_does_not_keep_others_from_proposing() {
    let house = House::new().await;
    let root = house.caller("root");
    for n in 0..7 {
        let new = service(&format!("ci-{n}"), "ed");
        house.engine.add_person(root, new).await.unwrap();
    }
    let control = "policy: {approval: [{from: security, within: 4h}], covers: [policy, credentials]}\n";
    put(&house, &format!("{POLICY}{control}")).await;
    let propose = async |n: u8, text: &str| {
        let account = house.caller(&format!("ci-{n}")).person;
        house
            .engine
            .issue_token(house.caller("ed"), account, token(text))
            .await
    };
    waits(propose(0, "one").await);
    assert_eq!(code(propose(0, "two").await), Code::Exists, "one at a time");
    for n in 1..5 {
        waits(propose(n, "one").await);
    }
    assert_eq!(code(propose(5, "one").await), Code::InUse);
    let next = format!("{}{control}", POLICY.replace("max: 2h", "max: 1h"));
    let applied = house.engine.apply_policy(root, &source(&next)).await.unwrap();
    assert!(applied.change.is_some());
}

#[tokio::test]
async fn who_agreed_to_more_time_is_not_given_credentials_as_the_owner() {
    let mut house = House::new().await;
    let settled = with_robots().replace(
        "settle: 24h, delegates: [security]",
        "settle: 0s, delegates: [leads]",
    );
    put(&house, &settled).await;
    let root = house.caller("root");
    house.engine.add_person(root, service("ci", "ed")).await.unwrap();
    let made = house.ask("ci", &["orders/write"]).await.unwrap();
    let grant = house.agreed(&made.request).await;
    house.reconcile().await;
    let more = NewRequest {
        items: BTreeSet::new(),
        extends: Some(grant),
        duration: Some(Span::minutes(10)),
        ..asked(&["orders/write"])
    };
    let ci = house.caller("ci");
    let more = house.engine.request(ci, more, None).await.unwrap().request;
    // bo agrees to the extension in the place of di, who is away, and in their own right to the rest.
    let to_bo = NewDelegation {
        to: "bo".into(),
        from: None,
        until: house.now() + Span::hours(24),
        why: None,
    };
    house
        .engine
        .add_person(root, person("max", &["eng-leads"]))
        .await
        .unwrap();
    house.approve("max", &more).await.unwrap();
    house.engine.delegate(house.caller("di"), to_bo).await.unwrap();
    let done = house.approve("bo", &more).await.unwrap();
    assert_eq!(done.request.state.name(), "approved");
    house.engine.credential(ci, grant, None).await.unwrap();
    house.engine.set_owner(root, "ci", "di").await.unwrap();
    assert_eq!(
        code(house.engine.credential(ci, grant, None).await),
        Code::OwnRequest
    );
    house.engine.set_owner(root, "ci", "ed").await.unwrap();
    house.engine.credential(ci, grant, None).await.unwrap();
}

#[tokio::test]
async fn access_does_not_begin_by_a_vote_whose_delegation_was_taken_back() {
    let mut house = House::new().await;
    put(
        &house,
        &POLICY
            .replace("settle: 0s", "settle: 0s, delegates: [deputies]")
            .replacen("people:\n", "people:\n  deputies: {logins: [ed]}\n", 1),
    )
    .await;
    let away = NewDelegation {
        to: "ed".into(),
        from: None,
        until: house.now() + Span::hours(24),
        why: None,
    };
    let bo = house.caller("bo");
    house.engine.delegate(bo, away).await.unwrap();
    let later = NewRequest {
        start: Some(house.now() + Span::hours(1)),
        ..asked(&["orders/write"])
    };
    let made = house
        .engine
        .request(house.caller("ana"), later, None)
        .await
        .unwrap();
    house.approve("ed", &made.request).await.unwrap();
    let agreed = house.approve("cy", &made.request).await.unwrap();
    let grant = agreed.grant.unwrap().id;
    house.engine.end_delegation(bo, "bo").await.unwrap();
    house.live(Span::minutes(61)).await;
    let ended = (house.state(grant).await, house.ended_reason(grant).await);
    assert_eq!(ended, ("ended", "ineligible"));
}

/// What is done once, when the first write is about to begin.
struct Between(Mutex<Option<BoxFuture<'static, ()>>>);

impl Gate for Between {
    fn before(&self, access: Access) -> BoxFuture<'_, Result<(), daypass_store::Error>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = slot.take_if(|_| access == Access::Write);
        async move {
            if let Some(first) = first {
                first.await;
            }
            Ok(())
        }
        .boxed()
    }

    fn after(&self, _: Access) -> BoxFuture<'_, Result<(), daypass_store::Error>> {
        async { Ok(()) }.boxed()
    }
}

#[tokio::test]
async fn no_connector_vanishes_whose_access_came_while_the_policy_was_checked() {
    let house = House::new().await;
    let gate = Arc::new(Between(Mutex::new(None)));
    let there = house.behind(Arc::clone(&gate) as Arc<dyn Gate>).await;
    let (engine, ana) = (Arc::clone(&house.engine), house.caller("ana"));
    let asks = async move {
        let made = engine.request(ana, asked(&["staging/read"]), None).await.unwrap();
        assert!(made.grant.is_some());
    };
    *gate.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asks.boxed());
    let without = source("version: 1\n");
    let applied = there.apply_policy(house.caller("root"), &without).await;
    assert_eq!(code(applied), Code::InUse);
}

#[tokio::test]
async fn reviewers_see_that_a_group_makes_delegates_and_what_stands_in_the_way() {
    let house = House::new().await;
    let control = "policy: {approval: [{from: security, within: 4h}], covers: [policy, people, groups]}\n";
    let sets = POLICY.replace("settle: 0s", "settle: 0s, delegates: [leads]");
    put(&house, &format!("{sets}{control}")).await;
    let root = house.caller("root");
    let change = waits(join(&house, "root", "ana", "eng-leads").await);
    let effects = || house.engine.current().effects(&change, house.now()).unwrap();
    let lines = effects().unwrap().reviews;
    assert!(
        lines.iter().any(|line| line.contains("may be a delegate")),
        "{lines:?}"
    );
    // The manager who is to be has gone since: nobody is shown what could not be done.
    let managed = waits(house.engine.set_manager(root, "ana", Some("ed")).await);
    house.engine.deactivate(root, "ed").await.unwrap();
    let told = house.engine.current().effects(&managed, house.now()).unwrap();
    assert!(told.unwrap_err().contains("switched off"));
}

#[tokio::test]
async fn a_preview_counts_nobody_who_was_locked_elsewhere() {
    let house = House::new().await;
    let there = house.beside().await;
    let bo = Lockable::Person("bo".into());
    house
        .engine
        .lock(house.caller("root"), &bo, "laptop stolen")
        .await
        .unwrap();
    let preview = there
        .preview(house.caller("ana"), &asked(&["orders/write"]))
        .await
        .unwrap();
    let Decision::Refused(refusal) = preview.decision else {
        panic!("nobody could review it")
    };
    assert_eq!(refusal.code, Code::NoReviewer);
}
