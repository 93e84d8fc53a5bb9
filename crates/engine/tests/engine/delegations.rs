//! Delegation for absence on the real store: made, used, guarded, taken back, told.

use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::review::Decision as Vote;
use daypass_core::time::Span;
use daypass_engine::{Awaits, Caller, ChangeVerdict, Engine, Lockable, Made, NewDelegation, Verdict, Via};
use daypass_policy::Source;

use crate::house::{House, POLICY, asked, code, person};

const SETS: &str = "settle: 0s, delegates: [deputies]}\npeople:\n  deputies: {group: deputies}";

fn with(text: &str) -> String {
    text.replace("settle: 0s}\npeople:", SETS)
}

/// The usual people, and dep and dup whom the policy lets be delegates.
async fn house() -> House {
    let house = House::new().await;
    let root = house.caller("root");
    for login in ["dep", "dup"] {
        let deputy = person(login, &["deputies"]);
        house.engine.add_person(root, deputy).await.unwrap();
    }
    apply(&house, &with(POLICY)).await;
    house
}

async fn apply(house: &House, text: &str) {
    let source = Source {
        name: "policy.yaml".into(),
        text: text.into(),
    };
    house.engine.load_policy(&[source]).await.unwrap();
}

fn to(house: &House, login: &str) -> NewDelegation {
    NewDelegation {
        to: login.into(),
        from: None,
        until: house.now() + Span::hours(24),
        why: Some("on holiday".into()),
    }
}

async fn away(house: &House, of: &str, delegate: &str) {
    let caller = house.caller(of);
    let new = to(house, delegate);
    house.engine.delegate(caller, new).await.unwrap();
}

async fn vote(engine: &Engine, caller: Caller, request: &Request) -> Result<Made, daypass_engine::Error> {
    let verdict = Verdict {
        vote: Vote::Approve {
            duration: None,
            items: None,
        },
        digest: request.digest,
        comment: None,
    };
    engine.review(caller, request.id, verdict).await
}

#[tokio::test]
async fn a_delegate_reviews_and_the_log_says_in_whose_place() {
    let house = house().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let dep = house.caller("dep");
    assert_eq!(code(house.approve("dep", &made.request).await), Code::NotReviewer);
    assert!(!house.engine.may_see(dep, &made.request, house.now()));
    away(&house, "bo", "dep").await;
    assert!(house.engine.may_see(dep, &made.request, house.now()));
    let bo = house.caller("bo").person;
    let awaits = |login: &str| {
        house
            .engine
            .awaits(house.caller(login).person, &made.request, house.now())
    };
    assert_eq!(awaits("dep"), Awaits::InPlaceOf(bo));
    assert_eq!(awaits("bo"), Awaits::Them, "who is away still sees it");
    assert_eq!(awaits("dup"), Awaits::No);
    let after = house.approve("dep", &made.request).await.unwrap().request;
    assert_eq!(after.reviews()[0].on_behalf, Some(bo));
    assert_eq!(code(house.approve("bo", &after).await), Code::AlreadyReviewed);
    let done = house.approve("cy", &after).await.unwrap();
    assert!(done.grant.is_some());
    let log = house.log().await;
    assert!(log.contains(&"person.delegated"), "{log:?}");
    house.engine.store().verify().await.unwrap();
    // Coming back, bo need not settle: a policy that asks for it would refuse them otherwise.
    house
        .engine
        .end_delegation(house.caller("bo"), "bo")
        .await
        .unwrap();
    let strict = with(POLICY).replace("settle: 0s", "settle: 24h");
    house.pass(Span::hours(25));
    away(&house, "bo", "dep").await;
    house
        .engine
        .end_delegation(house.caller("bo"), "bo")
        .await
        .unwrap();
    apply(&house, &strict).await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    assert!(house.approve("bo", &made.request).await.is_ok());
    house.engine.store().verify().await.unwrap();
}

/// Whose voice a later step needs is not listed as one who may agree to this one: the same that refuses their vote says so.
#[tokio::test]
async fn whose_vote_would_be_refused_for_a_delegation_finds_nothing_in_the_inbox() {
    let house = house().await;
    let li = person("li", &["eng-leads", "deputies"]);
    house.engine.add_person(house.caller("root"), li).await.unwrap();
    let both = with(POLICY).replace("{from: security,", "{from: security, count: 2,");
    apply(&house, &both).await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let awaits = |login: &str, request: &Request| {
        house
            .engine
            .awaits(house.caller(login).person, request, house.now())
    };
    assert_eq!(awaits("li", &made.request), Awaits::Them);
    away(&house, "cy", "li").await;
    assert_eq!(awaits("li", &made.request), Awaits::No);
    let refused = house.approve("li", &made.request).await.unwrap_err();
    let told = refused.to_string();
    assert!(
        told.starts_with("delegations make cy and you one voice"),
        "{told}"
    );
    assert_eq!(code::<()>(Err(refused)), Code::NoReviewer);
    assert_eq!(awaits("bo", &made.request), Awaits::Them);
    let after = house.approve("bo", &made.request).await.unwrap().request;
    let cy = house.caller("cy").person;
    assert_eq!(awaits("li", &after), Awaits::InPlaceOf(cy));
    assert!(house.approve("li", &after).await.is_ok());
}

#[tokio::test]
async fn who_may_delegate_to_whom() {
    let house = house().await;
    let (bo, root) = (house.caller("bo"), house.caller("root"));
    let refused = async |caller, new| code(house.engine.delegate(caller, new).await);
    let token = Caller {
        via: Via::Token,
        ..bo
    };
    assert_eq!(refused(token, to(&house, "dep")).await, Code::MayNotReview);
    assert_eq!(refused(bo, to(&house, "cy")).await, Code::Forbidden, "no deputy");
    assert_eq!(refused(bo, to(&house, "nobody")).await, Code::UnknownPerson);
    assert_eq!(refused(bo, to(&house, "bo")).await, Code::Invalid);
    let past = NewDelegation {
        from: Some(house.now() - Span::hours(1)),
        ..to(&house, "dep")
    };
    assert_eq!(refused(bo, past).await, Code::Invalid);
    let long = NewDelegation {
        until: house.now() + Span::hours(24 * 31),
        ..to(&house, "dep")
    };
    assert_eq!(refused(bo, long).await, Code::OverMax);
    let hostile = NewDelegation {
        why: Some("a\u{1b}[2Jb".into()),
        ..to(&house, "dep")
    };
    assert_eq!(refused(bo, hostile).await, Code::Invalid);
    house.pass(Span::minutes(16));
    let stale = refused(bo, to(&house, "dep")).await;
    assert_eq!(stale, Code::MfaRequired, "a session that was left open");
    house
        .engine
        .lock(root, &Lockable::Person("dep".into()), "stolen")
        .await
        .unwrap();
    assert_eq!(refused(house.caller("bo"), to(&house, "dep")).await, Code::Locked);
    away(&house, "bo", "dup").await;
    assert_eq!(refused(house.caller("bo"), to(&house, "dup")).await, Code::Exists);
    // An administrator may end it; nobody else may.
    let ended = async |caller| house.engine.end_delegation(caller, "bo").await;
    assert_eq!(code(ended(house.caller("ana")).await), Code::NotFound);
    assert_eq!(code(ended(house.caller("dup")).await), Code::NotFound);
    ended(root).await.unwrap();
    assert_eq!(code(ended(root).await), Code::WrongState);
    assert_eq!(house.engine.delegations(root.person, true, house.now()), []);
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn without_the_policys_leave_one_made_earlier_is_nothing() {
    let house = house().await;
    away(&house, "bo", "dep").await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let after = house.approve("dep", &made.request).await.unwrap().request;
    apply(&house, POLICY).await;
    assert_eq!(
        code(house.engine.delegate(house.caller("bo"), to(&house, "dep")).await),
        Code::Exists
    );
    assert_eq!(
        code(house.engine.delegate(house.caller("cy"), to(&house, "dep")).await),
        Code::Forbidden
    );
    let other = house.ask("ana", &["orders/read"]).await.unwrap();
    assert_eq!(
        code(house.approve("dep", &other.request).await),
        Code::NotReviewer
    );
    // Nor does the vote that it gave: the chain waits for the leads again.
    let waits = house.approve("cy", &after).await.unwrap();
    assert!(waits.grant.is_none());
    assert_eq!(waits.request.open_step().map(|(step, _)| step), Some(0));
}

#[tokio::test]
async fn a_server_that_has_not_heard_of_the_end_decides_by_it_all_the_same() {
    let house = house().await;
    away(&house, "bo", "dep").await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let (other, dep) = (house.beside().await, house.caller("dep"));
    house
        .engine
        .end_delegation(house.caller("bo"), "bo")
        .await
        .unwrap();
    let refused = vote(&other, dep, &made.request).await;
    assert_eq!(code(refused), Code::NotReviewer);
    // And the other way round: one that was just made is known.
    away(&house, "bo", "dep").await;
    vote(&other, dep, &made.request).await.unwrap();
}

#[tokio::test]
async fn nothing_is_delegated_while_one_of_the_two_is_locked() {
    let house = house().await;
    away(&house, "bo", "dep").await;
    let root = house.caller("root");
    let first = house.ask("ana", &["orders/write"]).await.unwrap().request;
    let voted = house.approve("dep", &first).await.unwrap().request;
    let second = house.ask("ana", &["orders/read"]).await.unwrap().request;
    let bo = Lockable::Person("bo".into());
    house.engine.lock(root, &bo, "stolen").await.unwrap();
    assert_eq!(code(house.approve("dep", &second).await), Code::NotReviewer);
    // The vote that was cast counts no longer either.
    let waits = house.approve("cy", &voted).await.unwrap();
    assert!(waits.grant.is_none());
    house.engine.unlock(root, &bo, "found").await.unwrap();
    // Unlocking revives nothing: who is found again delegates anew.
    assert_eq!(code(house.approve("dep", &second).await), Code::NotReviewer);
    away(&house, "bo", "dep").await;
    house.approve("dep", &second).await.unwrap();
    assert_eq!(
        waits.request.open_step().map(|(step, _)| step),
        Some(0),
        "leads are waited for"
    );
    // Switched off, it is gone for good.
    house.engine.deactivate(root, "bo").await.unwrap();
    house.engine.reactivate(root, "bo").await.unwrap();
    assert_eq!(house.engine.delegations(root.person, true, house.now()), []);
}

#[tokio::test]
async fn the_look_back_at_an_emergency_and_a_change_of_the_policy_are_delegated_too() {
    let house = house().await;
    let text = format!(
        "{}\n  - {{name: emergency, allow: [engineers], to: {{env: production}}, max: 30m, \
         break_glass: {{page: leads, review_by: leads, within: 1h}}}}\npolicy: {{approval: [{{from: leads}}]}}\n",
        with(POLICY)
    );
    apply(&house, &text).await;
    away(&house, "bo", "dep").await;
    let (ana, dep, bo) = (
        house.caller("ana"),
        house.caller("dep"),
        house.caller("bo").person,
    );
    let taken = house
        .engine
        .break_glass(ana, asked(&["orders/read"]), None)
        .await
        .unwrap()
        .request;
    assert_eq!(
        house.engine.awaits(dep.person, &taken, house.now()),
        Awaits::InPlaceOf(bo)
    );
    let look = daypass_engine::LookBack {
        digest: taken.digest,
        comment: "right call".into(),
        revoke: false,
    };
    house.engine.acknowledge(dep, taken.id, look).await.unwrap();
    let taken = house.request(taken.id).await;
    let written = serde_json::to_value(taken.owed()).unwrap();
    assert_eq!(written["for"], serde_json::to_value(bo).unwrap());
    let next = Source {
        name: "policy.yaml".into(),
        text: text.replace("max: 2h", "max: 1h"),
    };
    let checked = house.engine.apply_policy(house.caller("root"), &[next]).await;
    let change = checked.unwrap().change.unwrap();
    assert_eq!(
        house.engine.change_awaits(dep.person, &change, house.now()),
        Awaits::InPlaceOf(bo)
    );
    assert!(house.engine.may_see_change(dep, &change, house.now()));
    let verdict = ChangeVerdict {
        agrees: true,
        digest: change.digest,
        comment: None,
    };
    let done = house.engine.review_change(dep, change.id, verdict).await.unwrap();
    assert_eq!(done.reviews()[0].on_behalf, Some(bo));
    assert_eq!(done.state.name(), "applied");
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn a_request_that_two_who_are_one_would_have_to_answer_is_refused() {
    let house = house().await;
    let text = with(POLICY).replace("deputies: {group: deputies}", "deputies: {logins: [bo, cy]}");
    apply(&house, &text).await;
    house.engine.deactivate(house.caller("root"), "di").await.unwrap();
    away(&house, "cy", "bo").await;
    let refused = house.ask("ana", &["orders/write"]).await;
    assert_eq!(code(refused), Code::NoReviewer);
    house
        .engine
        .end_delegation(house.caller("cy"), "cy")
        .await
        .unwrap();
    house.ask("ana", &["orders/write"]).await.unwrap();
}
