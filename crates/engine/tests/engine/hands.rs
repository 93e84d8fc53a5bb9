//! Who agreed, and who could have asked: locked accounts, accounts that others can ask through, and reviewers who are asked no
//! more when access is to begin.

use std::collections::BTreeSet;

use daypass_core::id::GrantId;
use daypass_core::person::Kind;
use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{ChangeVerdict, Lockable, NewPerson, NewRequest, NewToken, Question, Verdict};
use daypass_policy::{Decision, Source};
use daypass_store::TokenKind;

use crate::house::{House, POLICY, asked, code, name, person};

async fn put(house: &House, text: &str) {
    let source = Source {
        name: "policy.yaml".into(),
        text: text.into(),
    };
    house.engine.load_policy(&[source]).await.unwrap();
}

/// The usual policy, in which accounts have to settle.
fn settling() -> String {
    POLICY.replace("settle: 0s", "settle: 24h")
}

async fn lock(house: &House, login: &str) {
    let what = Lockable::Person(login.into());
    house
        .engine
        .lock(house.caller("root"), &what, "laptop stolen")
        .await
        .unwrap();
}

async fn groups(house: &House, login: &str, join: &[&str], leave: &[&str]) {
    let named = |names: &[&str]| names.iter().map(|one| name(one)).collect::<BTreeSet<_>>();
    let root = house.caller("root");
    let changed = house
        .engine
        .change_groups(root, login, named(join), named(leave))
        .await;
    changed.unwrap();
}

async fn token(house: &House, owner: &str, lifetime: Span) {
    let new = NewToken {
        hash: Hash::of(owner.as_bytes()),
        kind: TokenKind::Api {
            scopes: BTreeSet::new(),
        },
        name: "ci".into(),
        lifetime,
    };
    let owner = house.engine.find(owner).unwrap().id;
    house
        .engine
        .issue_token(house.caller("root"), owner, new)
        .await
        .unwrap();
}

/// ana's access that begins in an hour; all have agreed.
async fn scheduled(house: &House) -> GrantId {
    let later = NewRequest {
        start: Some(house.now() + Span::hours(1)),
        ..asked(&["orders/write"])
    };
    let made = house
        .engine
        .request(house.caller("ana"), later, None)
        .await
        .unwrap();
    house.agreed(&made.request).await
}

#[tokio::test]
async fn a_vote_does_not_count_any_more_once_its_voter_is_locked() {
    let house = House::new().await;
    groups(&house, "ed", &["eng-leads"], &[]).await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    // Another server, which nobody tells, decides by the locks of its own transaction.
    let there = house.beside().await;
    lock(&house, "bo").await;
    let verdict = Verdict {
        vote: daypass_core::review::Decision::Approve {
            duration: None,
            items: None,
        },
        digest: made.request.digest,
        comment: None,
    };
    let second = there
        .review(house.caller("cy"), made.request.id, verdict)
        .await
        .unwrap();
    assert!(second.grant.is_none());
    assert_eq!(
        second.request.open_step().unwrap().0,
        0,
        "somebody else is asked at the first step"
    );
    assert!(house.approve("ed", &made.request).await.unwrap().grant.is_some());
}

#[tokio::test]
async fn nobody_is_asked_whom_a_lock_keeps_from_answering() {
    let house = House::new().await;
    lock(&house, "bo").await;
    assert_eq!(code(house.ask("ana", &["orders/write"]).await), Code::NoReviewer);
    let root = house.caller("root");
    let bo = Lockable::Person("bo".into());
    house.engine.unlock(root, &bo, "found again").await.unwrap();
    assert!(house.ask("ana", &["orders/write"]).await.is_ok());
}

#[tokio::test]
async fn a_change_of_the_policy_counts_nobody_who_is_locked() {
    let house = House::new().await;
    put(
        &house,
        &format!("{POLICY}policy: {{approval: [{{from: security, count: 2}}]}}\n"),
    )
    .await;
    groups(&house, "ed", &["security"], &[]).await;
    let next = [Source {
        name: "policy.yaml".into(),
        text: POLICY.into(),
    }];
    let checked = house
        .engine
        .apply_policy(house.caller("root"), &next)
        .await
        .unwrap();
    let change = checked.change.unwrap();
    let agree = async |who: &str| {
        let verdict = ChangeVerdict {
            agrees: true,
            digest: change.digest,
            comment: None,
        };
        house
            .engine
            .review_change(house.caller(who), change.id, verdict)
            .await
    };
    agree("cy").await.unwrap();
    lock(&house, "cy").await;
    assert!(agree("di").await.unwrap().is_pending());
    assert!(!agree("ed").await.unwrap().is_pending());
}

/// Of all that an administrator can do to ask through another account, nothing lets them agree to it themselves.
#[tokio::test]
async fn an_administrator_does_not_agree_to_what_their_puppet_asks() {
    let house = House::new().await;
    put(&house, &settling()).await;
    for login in ["root", "ed"] {
        groups(&house, login, &["eng-leads"], &[]).await;
    }
    house.pass(Span::hours(25));
    let root = house.caller("root");
    let puppet = async |house: &House, who: &str| -> Request {
        let made = house.ask(who, &["orders/write"]).await.unwrap();
        assert_eq!(
            code(house.approve("root", &made.request).await),
            Code::OwnRequest,
            "{who}"
        );
        house.approve("ed", &made.request).await.unwrap();
        made.request
    };
    // An account of their own making.
    house
        .engine
        .add_person(root, person("puppet", &["engineering"]))
        .await
        .unwrap();
    puppet(&house, "puppet").await;
    // Somebody's password, and what is done with it.
    let ana = house.caller("ana");
    house
        .engine
        .set_password(root, "ana", None, "hash".into())
        .await
        .unwrap();
    puppet(&house, "ana").await;
    house.pass(Span::hours(25));
    let settled = house
        .engine
        .request(ana, asked(&["orders/read"]), None)
        .await
        .unwrap();
    house.approve("root", &settled.request).await.unwrap();
    // A token that acts as somebody else there is none.
    let new = NewToken {
        hash: Hash::of(b"theirs"),
        kind: TokenKind::Api {
            scopes: BTreeSet::new(),
        },
        name: "ci".into(),
        lifetime: Span::hours(48),
    };
    let issued = house.engine.issue_token(root, ana.person, new).await;
    assert_eq!(code(issued), Code::Forbidden);
    // The log says all of that by itself.
    house.log().await;
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn a_token_for_a_program_keeps_who_issued_it_from_agreeing_on_every_server() {
    let house = House::new().await;
    let named = POLICY
        .replace(
            "security: {group: security}",
            "security: {group: security}\n  robots: {logins: [ci]}",
        )
        .replace(
            "name: prod\n    allow: engineers",
            "name: prod\n    allow: [engineers, robots]",
        );
    put(&house, &named).await;
    groups(&house, "root", &["eng-leads"], &[]).await;
    let ci = NewPerson {
        kind: Kind::Service,
        owner: Some(name("root")),
        ..person("ci", &[])
    };
    house.engine.add_person(house.caller("root"), ci).await.unwrap();
    let there = house.beside().await;
    token(&house, "ci", Span::hours(24)).await;
    let made = there
        .request(house.caller("ci"), asked(&["orders/write"]), None)
        .await
        .unwrap();
    assert_eq!(code(house.approve("root", &made.request).await), Code::OwnRequest);
    // Where there is nobody else, it cannot be asked for.
    groups(&house, "bo", &[], &["eng-leads"]).await;
    let alone = there
        .request(house.caller("ci"), asked(&["orders/read"]), None)
        .await;
    assert_eq!(code(alone), Code::NoReviewer);
}

#[tokio::test]
async fn access_does_not_begin_once_who_agreed_is_asked_no_more() {
    let mut house = House::new().await;
    put(&house, &settling().replace("max: 2h", "max: 4h")).await;
    house.pass(Span::hours(25));
    // What has to settle only takes nothing away.
    let kept = scheduled(&house).await;
    let root = house.caller("root");
    house
        .engine
        .set_password(root, "bo", None, "hash".into())
        .await
        .unwrap();
    house.live(Span::minutes(61)).await;
    assert_eq!(house.state(kept).await, "active");
    house.live(Span::hours(26)).await;

    for how in ["group", "lock", "off"] {
        let grant = scheduled(&house).await;
        match how {
            "group" => groups(&house, "bo", &[], &["eng-leads"]).await,
            "lock" => lock(&house, "bo").await,
            _ => drop(house.engine.deactivate(root, "cy").await.unwrap()),
        }
        house.live(Span::minutes(61)).await;
        let ended = (house.state(grant).await, house.ended_reason(grant).await);
        assert_eq!(ended, ("ended", "ineligible"), "{how}");
        if how == "group" {
            groups(&house, "bo", &["eng-leads"], &[]).await;
            house.pass(Span::hours(25));
        } else if how == "lock" {
            let bo = Lockable::Person("bo".into());
            house
                .engine
                .unlock(house.caller("root"), &bo, "found")
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn the_right_to_access_is_looked_at_again_when_all_of_it_is_there() {
    let mut house = House::new().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    house.target.set_down(true);
    let grant = house
        .approve("cy", &made.request)
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "activating");
    put(&house, &POLICY.replace("name: prod\n", "name: another\n")).await;
    house.target.set_down(false);
    house.live(Span::minutes(2)).await;
    assert_eq!(house.ended_reason(grant).await, "ineligible");
}

#[tokio::test]
async fn a_vote_that_leaves_a_later_step_to_nobody_is_refused() {
    let house = House::new().await;
    let both = POLICY
        .replace("leads: {group: eng-leads}", "leads: {logins: [bo, cy]}")
        .replace("security: {group: security}", "security: {logins: [cy]}");
    let control = "policy: {approval: [{from: leads}, {from: security}]}\n";
    put(&house, &format!("{both}{control}")).await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let refused = house.approve("cy", &made.request).await;
    assert_eq!(code(refused), Code::NoReviewer);
    house.approve("bo", &made.request).await.unwrap();
    assert!(house.approve("cy", &made.request).await.unwrap().grant.is_some());

    let next = [Source {
        name: "policy.yaml".into(),
        text: both,
    }];
    let checked = house
        .engine
        .apply_policy(house.caller("root"), &next)
        .await
        .unwrap();
    let change = checked.change.unwrap();
    let agree = async |who: &str| {
        let verdict = ChangeVerdict {
            agrees: true,
            digest: change.digest,
            comment: None,
        };
        house
            .engine
            .review_change(house.caller(who), change.id, verdict)
            .await
    };
    assert_eq!(code(agree("cy").await), Code::NoReviewer);
    agree("bo").await.unwrap();
    assert!(!agree("cy").await.unwrap().is_pending());
}

#[tokio::test]
async fn credentials_are_handed_out_by_the_policy_in_force() {
    let mut house = House::new().await;
    let grant = house.granted(&["orders/write"]).await;
    // Another server has not heard of the policy that comes in force here.
    let there = house.beside().await;
    let ana = house.caller("ana");
    there.credential(ana, grant, None).await.unwrap();
    let gateway = POLICY.replace(
        "labels: {env: production}",
        "labels: {env: production}, access: gateway",
    );
    put(&house, &gateway).await;
    assert_eq!(code(there.credential(ana, grant, None).await), Code::GatewayOnly);
}

#[tokio::test]
async fn what_was_agreed_to_as_recorded_is_never_handed_out() {
    let mut house = House::new().await;
    let recorded = "labels: {env: production}, access: gateway, recording: required";
    put(&house, &POLICY.replace("labels: {env: production}", recorded)).await;
    let grant = house.granted(&["orders/write"]).await;
    put(&house, POLICY).await;
    let refused = house.engine.credential(house.caller("ana"), grant, None).await;
    assert_eq!(code(refused), Code::Recording);
}

#[tokio::test]
async fn an_explanation_says_what_asking_would() {
    let mut house = House::new().await;
    let limited = POLICY.replace(
        "approval: none, max: 2h",
        "approval: none, max: 2h, mfa: 10m, when: {uses: 1/day}",
    );
    put(&house, &limited).await;
    let ana = house.caller("ana");
    let mut question = Question {
        items: BTreeSet::from(["staging/read".parse().unwrap()]),
        ..Question::default()
    };
    let told = house
        .engine
        .explain(ana, ana.person, &question, None)
        .await
        .unwrap();
    assert!(
        matches!(told.explanation.decision, Decision::Allowed(_)),
        "{}",
        told.explanation
    );
    assert!(!told.limits_left_out);
    house.ask("ana", &["staging/read"]).await.unwrap();
    house.reconcile().await;
    let told = house
        .engine
        .explain(ana, ana.person, &question, None)
        .await
        .unwrap();
    let Decision::Refused(refusal) = told.explanation.decision else {
        panic!("its only use is spent")
    };
    assert_eq!(refusal.code, Code::Uses);
    question.at = Some(house.now() + Span::hours(1));
    let told = house
        .engine
        .explain(ana, ana.person, &question, None)
        .await
        .unwrap();
    assert!(told.limits_left_out, "of another time nothing is known");
}
