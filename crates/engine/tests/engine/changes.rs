//! Change control: another policy waits for those whom the policy in force asks, and nothing gets around them.

use daypass_core::change::{Change, Lapse, State};
use daypass_core::id::ChangeId;
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{Caller, ChangeVerdict, Checked, Error, Lockable, NewPerson, Via};
use daypass_policy::Source;
use futures_util::future::join_all;

use crate::house::{House, POLICY, code, name, person};

const CONTROL: &str = "policy: {approval: [{from: security, within: 4h, else: deny}]}\n";

fn source(text: &str) -> [Source; 1] {
    [Source {
        name: "policy.yaml".into(),
        text: text.into(),
    }]
}

/// The policy of the house under this control, with one rule's length as told: a policy for each length.
fn policy(control: &str, max: &str) -> String {
    format!("{POLICY}{control}").replace(
        "approval: none, max: 2h}",
        &format!("approval: none, max: {max}}}"),
    )
}

/// A house whose policy may be changed only as `control` says.
async fn controlled(control: &str) -> House {
    let house = House::new().await;
    let first = source(&policy(control, "2h"));
    let checked = house.engine.apply_policy(house.caller("root"), &first).await;
    assert!(
        checked.unwrap().change.is_none(),
        "the policy before asked nobody"
    );
    house
}

async fn apply(house: &House, who: &str, text: &str) -> Result<Checked, Error> {
    house.engine.apply_policy(house.caller(who), &source(text)).await
}

async fn propose(house: &House, who: &str, text: &str) -> Change {
    *apply(house, who, text).await.unwrap().change.expect("it waits")
}

fn verdict(change: &Change, agrees: bool) -> ChangeVerdict {
    ChangeVerdict {
        agrees,
        digest: change.digest,
        comment: None,
    }
}

async fn agree(house: &House, who: &str, change: &Change) -> Result<Change, Error> {
    let verdict = verdict(change, true);
    house
        .engine
        .review_change(house.caller(who), change.id, verdict)
        .await
}

async fn found(house: &House, id: ChangeId) -> Change {
    house.engine.store().change(id).await.unwrap().unwrap()
}

async fn add(house: &House, new: NewPerson) {
    house.engine.add_person(house.caller("root"), new).await.unwrap();
}

#[tokio::test]
async fn another_policy_comes_in_force_with_the_last_review_and_not_before() {
    let house = controlled("policy: {approval: [{from: leads}, {from: security, count: 2}]}\n").await;
    let before = house.engine.current().policy.revision();
    let change = propose(&house, "root", &policy("", "1h")).await;
    assert_eq!(house.engine.current().policy.revision(), before);
    let again = propose(&house, "root", &policy("", "1h")).await;
    assert_eq!(again.id, change.id, "the same proposal twice is one change");
    assert_eq!(code(agree(&house, "cy", &change).await), Code::NotReviewer);
    agree(&house, "bo", &change).await.unwrap();
    let waiting = agree(&house, "cy", &change).await.unwrap();
    assert!(waiting.is_pending());
    assert_eq!(code(agree(&house, "cy", &change).await), Code::AlreadyReviewed);
    assert_eq!(house.engine.current().policy.revision(), before);
    let done = agree(&house, "di", &change).await.unwrap();
    assert!(matches!(done.state, State::Applied { .. }));
    assert_ne!(house.engine.current().policy.revision(), before);
    let log = house.log().await;
    let told = log.split_at(log.len() - 5).1;
    let expect = [
        "change.proposed",
        "change.reviewed",
        "change.reviewed",
        "change.applied",
        "policy.applied",
    ];
    assert_eq!(told, expect);
    house.engine.store().verify().await.unwrap();
    assert_eq!(code(agree(&house, "di", &change).await), Code::AlreadyDecided);
}

#[tokio::test]
async fn nobody_agrees_to_their_own_and_only_who_is_asked_agrees_at_all() {
    let house = controlled(CONTROL).await;
    let admin = |login: &str, groups: &[&str]| NewPerson {
        role: SystemRole::Administrator,
        ..person(login, groups)
    };
    add(&house, admin("max", &["security"])).await;
    add(&house, admin("eve", &[])).await;
    let bot = NewPerson {
        kind: Kind::Service,
        owner: Some(name("ed")),
        ..person("bot", &["security"])
    };
    add(&house, bot).await;
    let change = propose(&house, "max", &policy("", "1h")).await;
    assert_eq!(code(agree(&house, "max", &change).await), Code::OwnRequest);
    for who in ["eve", "bo", "bot"] {
        assert_eq!(
            code(agree(&house, who, &change).await),
            Code::NotReviewer,
            "{who}"
        );
    }
    let token = Caller {
        via: Via::Token,
        ..house.caller("cy")
    };
    let by_token = house
        .engine
        .review_change(token, change.id, verdict(&change, true))
        .await;
    assert_eq!(code(by_token), Code::MayNotReview);
    let other = ChangeVerdict {
        digest: Hash::of(b"another"),
        ..verdict(&change, true)
    };
    let blind = house
        .engine
        .review_change(house.caller("cy"), change.id, other)
        .await;
    assert_eq!(code(blind), Code::DigestMismatch);
    assert!(found(&house, change.id).await.reviews().is_empty());
    agree(&house, "cy", &change).await.unwrap();
}

#[tokio::test]
async fn one_no_ends_it_and_only_the_proposer_takes_it_back() {
    let house = controlled(CONTROL).await;
    let change = propose(&house, "root", &policy("", "1h")).await;
    let back = house.engine.withdraw_change(house.caller("cy"), change.id).await;
    assert_eq!(code(back), Code::NotHolder);
    let no = verdict(&change, false);
    let denied = house
        .engine
        .review_change(house.caller("cy"), change.id, no)
        .await
        .unwrap();
    assert!(matches!(denied.state, State::Denied { .. }));
    assert_eq!(code(agree(&house, "di", &change).await), Code::AlreadyDecided);
    let second = propose(&house, "root", &policy("", "1h")).await;
    assert_ne!(second.id, change.id);
    let back = house
        .engine
        .withdraw_change(house.caller("root"), second.id)
        .await;
    assert!(matches!(back.unwrap().state, State::Withdrawn { .. }));
    assert_eq!(code(agree(&house, "di", &second).await), Code::AlreadyDecided);
    house.engine.store().verify().await.unwrap();
}

/// An administrator who makes themselves a second reviewer, or a puppet of one, waits for a day like everybody.
#[tokio::test]
async fn a_sock_puppet_has_not_settled() {
    let mut house = House::new().await;
    let settles = format!("{POLICY}{CONTROL}").replace("settle: 0s", "settle: 24h");
    apply(&house, "root", &settles).await.unwrap();
    house.live(Span::hours(25)).await;
    add(&house, person("puppet", &["security"])).await;
    let into = house
        .engine
        .change_groups(house.caller("root"), "ed", [name("security")].into(), [].into());
    into.await.unwrap();
    let hash = String::from("$argon2id$x");
    let login = house.engine.set_password(house.caller("root"), "di", None, hash);
    login.await.unwrap();
    let change = propose(&house, "root", &settles.replace("settle: 24h", "settle: 1h")).await;
    for who in ["puppet", "ed", "di"] {
        let refused = code(agree(&house, who, &change).await);
        assert_eq!(refused, Code::MayNotReview, "{who}");
    }
    agree(&house, "cy", &change).await.unwrap();
}

#[tokio::test]
async fn what_was_proposed_for_another_policy_is_stale() {
    let house = controlled(CONTROL).await;
    let first = propose(&house, "root", &policy(CONTROL, "1h")).await;
    let second = propose(&house, "root", &policy("", "30m")).await;
    agree(&house, "cy", &first).await.unwrap();
    let lapsed = found(&house, second.id).await;
    assert!(
        matches!(
            lapsed.state,
            State::Lapsed {
                why: Lapse::Stale,
                ..
            }
        ),
        "{lapsed:?}"
    );
    assert_eq!(code(agree(&house, "di", &second).await), Code::AlreadyDecided);
    // The operator's own files wait for nobody, and leave nothing that was proposed for another policy.
    let third = propose(&house, "root", &policy("", "30m")).await;
    let loaded = house.engine.load_policy(&source(&policy(CONTROL, "90m"))).await;
    assert!(loaded.unwrap().change.is_none());
    assert!(!found(&house, third.id).await.is_pending());
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn silence_asks_others_and_then_lets_it_lapse() {
    let control = "policy: {approval: [{from: security, within: 1h, else: {escalate: leads, within: 1h}}]}\n";
    let mut house = controlled(control).await;
    let change = propose(&house, "root", &policy("", "1h")).await;
    assert_eq!(code(agree(&house, "bo", &change).await), Code::NotReviewer);
    house.live(Span::minutes(61)).await;
    assert!(found(&house, change.id).await.is_pending());
    agree(&house, "bo", &change).await.unwrap();
    let change = propose_under(&house, control).await;
    house.live(Span::minutes(121)).await;
    let lapsed = found(&house, change.id).await;
    assert!(matches!(
        lapsed.state,
        State::Lapsed {
            why: Lapse::Silence,
            ..
        }
    ));
    house.engine.store().verify().await.unwrap();
}

/// The control comes back by an administrator alone, as nothing asks for more any more, and a change waits under it.
async fn propose_under(house: &House, control: &str) -> Change {
    apply(house, "root", &policy(control, "2h")).await.unwrap();
    propose(house, "root", &policy("", "1h")).await
}

#[tokio::test]
async fn a_policy_that_nobody_could_change_again_is_not_put_in_force() {
    let house = House::new().await;
    for control in [
        "policy: {approval: [{from: security, count: 3}]}\n",
        "policy: {approval: [{from: manager}]}\n",
        "policy: {approval: [{from: leads}, {from: leads}]}\n",
    ] {
        let refused = apply(&house, "root", &policy(control, "2h")).await;
        assert_eq!(code(refused), Code::NoReviewer, "{control}");
        let loaded = house.engine.load_policy(&source(&policy(control, "2h"))).await;
        assert_eq!(code(loaded), Code::NoReviewer, "{control}");
    }
    // Nor is one proposed to those who are no more.
    apply(&house, "root", &policy(CONTROL, "2h")).await.unwrap();
    for who in ["cy", "di"] {
        house.engine.deactivate(house.caller("root"), who).await.unwrap();
    }
    let refused = apply(&house, "root", &policy("", "2h")).await;
    assert_eq!(code(refused), Code::NoReviewer);
}

#[tokio::test]
async fn what_a_proposer_may_no_longer_do_is_not_done_for_them() {
    let house = controlled(CONTROL).await;
    let max = NewPerson {
        role: SystemRole::Administrator,
        ..person("max", &[])
    };
    add(&house, max).await;
    let change = propose(&house, "max", &policy("", "1h")).await;
    let on = Lockable::Person(String::from("max"));
    house
        .engine
        .lock(house.caller("root"), &on, "laptop stolen")
        .await
        .unwrap();
    assert_eq!(code(agree(&house, "cy", &change).await), Code::Locked);
    house
        .engine
        .unlock(house.caller("root"), &on, "found")
        .await
        .unwrap();
    house
        .engine
        .set_role(house.caller("root"), "max", SystemRole::Member)
        .await
        .unwrap();
    assert_eq!(code(agree(&house, "cy", &change).await), Code::Forbidden);
    assert!(found(&house, change.id).await.is_pending());
}

#[tokio::test]
async fn what_could_not_be_applied_now_is_not_agreed_to() {
    let mut house = controlled(CONTROL).await;
    let change = propose(&house, "root", "version: 1\n").await;
    house.granted(&["orders/write"]).await;
    assert_eq!(code(agree(&house, "cy", &change).await), Code::InUse);
    assert!(found(&house, change.id).await.reviews().is_empty());
}

#[tokio::test]
async fn sixty_four_last_votes_apply_it_once() {
    let house = controlled(CONTROL).await;
    for number in 0..64 {
        add(&house, person(&format!("sec{number}"), &["security"])).await;
    }
    let change = propose(&house, "root", &policy("", "1h")).await;
    let callers: Vec<String> = (0..64).map(|number| format!("sec{number}")).collect();
    let votes = callers.iter().map(|who| agree(&house, who, &change));
    let outcomes = join_all(votes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(code(refused), Code::AlreadyDecided);
    }
    let log = house.log().await;
    let applied = log.iter().filter(|name| **name == "policy.applied").count();
    assert_eq!(applied, 3, "the first, the one with the control, and this one");
}

/// A server that has not heard of the control yet does not put a policy in force without it.
#[tokio::test]
async fn another_server_asks_as_well() {
    let house = House::new().await;
    let there = house.beside().await;
    apply(&house, "root", &policy(CONTROL, "2h")).await.unwrap();
    let next = source(&policy("", "1h"));
    let checked = there.apply_policy(house.caller("root"), &next).await.unwrap();
    let change = checked.change.expect("it waits");
    agree(&house, "cy", &change).await.unwrap();
    there.refresh_policy().await.unwrap();
    let (one, other) = (house.engine.current().policy, there.current().policy);
    assert_eq!(one.revision(), other.revision());
}
