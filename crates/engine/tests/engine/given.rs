//! To whom and to which address something is given: known before anybody is asked to agree, from the directory and the connection,
//! and never from who asks. Two people behind one address share an opening, and neither cuts the other.

use std::net::IpAddr;

use daypass_core::event::{Actor, Subject, What};
use daypass_core::grant::State;
use daypass_core::id::GrantId;
use daypass_core::person::Change;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_engine::{Error, Lockable, Made, NewRequest};
use daypass_policy::{Decision, Source};
use daypass_store::{Outcome, Scope};

use crate::house::{House, asked, code, name};

const POLICY: &str = r#"
version: 1
defaults: {duration: 1h, max: 4h, pending: 2h, activation: 5m, reason: required, settle: 0s}
people: {engineers: {group: engineering}, leads: {group: eng-leads}}
connectors:
  - {name: box, kind: memory, config: {shared: true, subjects: entra}}
resources:
  - name: vm
    kind: memory
    connector: box
    config: {}
    roles:
      ssh: {can: [use], opening: ssh, to: address}
      owner: {can: [manage], opening: owner, to: person}
      look: {can: [read]}
rules:
  - {name: ports, allow: engineers, to: {resource: vm}, roles: [ssh], source: [my-ip], approval: none, max: 4h}
  - {name: owners, allow: engineers, to: {resource: vm}, roles: [owner], approval: [{from: leads, within: 30m}], max: 2h}
  - {name: looks, allow: engineers, to: {resource: vm}, roles: [look], approval: none, max: 2h}
"#;

const HERE: &str = "203.0.113.7";
const THERE: &str = "198.51.100.9";
const PORT: &str = "opening_ssh_to_203.0.113.7";
const OWNED: &str = "opening_owner_to_7f1c-ana";

/// ana and bo are engineers, and cy leads.
async fn house() -> House {
    let house = House::new().await;
    let root = house.caller("root");
    for (login, group) in [("bo", "engineering"), ("cy", "eng-leads")] {
        let join = [name(group)].into();
        let joined = house.engine.change_groups(root, login, join, [].into()).await;
        joined.unwrap();
    }
    house.under(POLICY).await;
    house
}

async fn ask(house: &House, who: &str, new: NewRequest, from: Option<&str>) -> Result<Made, Error> {
    let from: Option<IpAddr> = from.map(|from| from.parse().unwrap());
    house
        .engine
        .request_from(house.caller(who), new, None, from)
        .await
}

/// Somebody has the port open for so long, from here.
async fn open(house: &mut House, who: &str, minutes: u64) -> GrantId {
    let new = NewRequest {
        duration: Some(Span::minutes(minutes)),
        ..asked(&["vm/ssh"])
    };
    let grant = ask(house, who, new, Some(HERE)).await.unwrap().grant.unwrap().id;
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "active");
    grant
}

async fn call(house: &House, who: &str, handle: Option<&str>) -> Result<(), Error> {
    let root = house.caller("root");
    let set = house.engine.set_handle(root, who, name("entra"), handle).await;
    set.map(drop)
}

/// ana owns the machine, and cy agreed.
async fn owning(house: &mut House) -> GrantId {
    let made = ask(house, "ana", asked(&["vm/owner"]), None).await.unwrap();
    let agreed = house.approve("cy", &made.request).await.unwrap();
    let grant = agreed.grant.unwrap().id;
    house.reconcile().await;
    assert!(house.target.stands(OWNED));
    grant
}

#[tokio::test]
async fn a_port_is_opened_to_the_address_that_the_server_saw() {
    let mut house = house().await;
    let mapped = ask(&house, "ana", asked(&["vm/ssh"]), Some("::ffff:203.0.113.7")).await;
    let grant = mapped.unwrap().grant.unwrap().id;
    house.reconcile().await;
    assert!(house.target.stands(PORT), "in one form, whichever it came in");
    let spec = house.grant(grant).await.parts.swap_remove(0).spec;
    assert_eq!((spec.source, spec.subject), (Some(HERE.parse().unwrap()), None));
    assert_eq!(
        code(ask(&house, "ana", asked(&["vm/ssh"]), None).await),
        Code::Source
    );
    let from = None;
    let preview = house
        .engine
        .preview_from(house.caller("ana"), &asked(&["vm/ssh"]), from)
        .await;
    let decision = preview.unwrap().decision;
    assert!(matches!(decision, Decision::Refused(refusal) if refusal.code == Code::Source));
    // What is opened to nobody in particular knows no address, although the rule's neighbour does.
    let look = ask(&house, "ana", asked(&["vm/look"]), Some(HERE)).await.unwrap();
    assert_eq!(look.grant.unwrap().parts[0].spec.source, None);
}

#[tokio::test]
async fn without_a_handle_nobody_is_asked_and_the_refusal_says_what_to_do() {
    let mut house = house().await;
    let preview = house
        .engine
        .preview(house.caller("ana"), &asked(&["vm/owner"]))
        .await;
    let Decision::Refused(refusal) = preview.unwrap().decision else {
        panic!("nothing can be given to her");
    };
    assert_eq!(refusal.code, Code::NoHandle);
    assert!(refusal.hint.unwrap().contains("daypass user handle ana entra ID"));
    let refused = ask(&house, "ana", asked(&["vm/owner"]), None).await;
    assert_eq!(code(refused), Code::NoHandle);
    assert!(!house.log().await.contains(&"request.created"));
    call(&house, "ana", Some("7F1C-ana")).await.unwrap();
    let grant = owning(&mut house).await;
    let spec = house.grant(grant).await.parts.swap_remove(0).spec;
    assert_eq!((spec.subject.as_deref(), spec.source), (Some("7F1C-ana"), None));
    // It is hers: bo's request is not opened to it.
    let theirs = ask(&house, "bo", asked(&["vm/owner"]), None).await;
    assert_eq!(code(theirs), Code::NoHandle);
}

#[tokio::test]
async fn a_handle_that_went_before_the_last_review_opens_nothing() {
    let house = house().await;
    call(&house, "ana", Some("7f1c-ana")).await.unwrap();
    let made = ask(&house, "ana", asked(&["vm/owner"]), None).await.unwrap();
    call(&house, "ana", None).await.unwrap();
    assert_eq!(code(house.approve("cy", &made.request).await), Code::NoHandle);
    assert!(!house.log().await.contains(&"grant.opened"));
}

#[tokio::test]
async fn a_handle_is_set_by_administrators_and_is_one_accounts() {
    let house = house().await;
    call(&house, "ana", Some("7f1c")).await.unwrap();
    assert_eq!(code(call(&house, "bo", Some("7F1C")).await), Code::Exists);
    for hostile in ["", " ", "a\u{202e}b", "a\nb", &"x".repeat(257)] {
        let refused = call(&house, "bo", Some(hostile)).await;
        assert_eq!(code(refused), Code::Invalid, "{hostile:?}");
    }
    let (bo, entra) = (house.caller("bo"), name("entra"));
    let own = house.engine.set_handle(bo, "bo", entra, Some("7f2c")).await;
    assert_eq!(code(own), Code::Forbidden);
    assert!(house.engine.find("bo").unwrap().handles.is_empty());
    // Once it is free, it may be another's; and whoever had it does not come back to it.
    let root = house.caller("root");
    house.engine.deactivate(root, "ana").await.unwrap();
    call(&house, "bo", Some("7F1C")).await.unwrap();
    assert_eq!(code(house.engine.reactivate(root, "ana").await), Code::Exists);
    call(&house, "bo", None).await.unwrap();
    house.engine.reactivate(root, "ana").await.unwrap();
}

#[tokio::test]
async fn what_was_given_to_a_handle_ends_with_it_and_nothing_else_does() {
    let mut house = house().await;
    call(&house, "ana", Some("7f1c-ana")).await.unwrap();
    let owns = owning(&mut house).await;
    let port = open(&mut house, "ana", 60).await;
    call(&house, "ana", Some("other")).await.unwrap();
    house.reconcile().await;
    let ended = (house.state(owns).await, house.ended_reason(owns).await);
    assert_eq!(ended, ("ended", "ineligible"));
    assert!(!house.target.stands(OWNED));
    assert_eq!(house.state(port).await, "active", "no handle is behind a port");
}

/// Sets a handle as another server would that dies before it ends anything.
async fn behind_our_back(house: &House, handle: &str) {
    let (ana, handle) = (house.engine.find("ana").unwrap().id, handle.parse().unwrap());
    let change = What::Person(Change::Handle {
        namespace: name("entra"),
        handle: Some(handle),
    });
    let done = move |_: &_, _| Ok(Outcome::one(Actor::System, Subject::Person(ana), change));
    let set = house.engine.store().transition(Scope::Person(ana), done).await;
    set.unwrap();
}

#[tokio::test]
async fn what_another_server_did_not_end_is_ended_here() {
    let mut house = house().await;
    call(&house, "ana", Some("7f1c-ana")).await.unwrap();
    house.reconcile().await;
    let owns = owning(&mut house).await;
    behind_our_back(&house, "other").await;
    house.engine.refresh_directory().await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(owns).await, "ended");
    assert!(!house.target.stands(OWNED));
}

#[tokio::test]
async fn a_start_ends_what_was_given_to_handles_of_yesterday() {
    let mut house = house().await;
    call(&house, "ana", Some("7f1c-ana")).await.unwrap();
    let owns = owning(&mut house).await;
    behind_our_back(&house, "other").await;
    let mut house = house.restart("two").await;
    house.reconcile().await;
    assert_eq!(house.state(owns).await, "ended");
    assert!(!house.target.stands(OWNED));
}

#[tokio::test]
async fn what_is_lengthened_stays_open_to_the_same_address() {
    let mut house = house().await;
    let grant = open(&mut house, "ana", 60).await;
    let longer = || NewRequest {
        extends: Some(grant),
        duration: Some(Span::minutes(30)),
        ..asked(&[])
    };
    assert_eq!(
        code(ask(&house, "ana", longer(), Some(THERE)).await),
        Code::Source
    );
    assert_eq!(code(ask(&house, "ana", longer(), None).await), Code::Source);
    ask(&house, "ana", longer(), Some(HERE)).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.target.until(PORT), house.grant(grant).await.expires_at());
    house.live(Span::minutes(89)).await;
    assert!(house.target.stands(PORT));
    house.live(Span::minutes(2)).await;
    assert_eq!(house.state(grant).await, "ended");
    assert!(!house.target.stands(PORT));
}

#[tokio::test]
async fn a_policy_that_binds_nobody_to_an_address_does_not_open_ports() {
    let house = house().await;
    for (was, is) in [(", source: [my-ip]", ""), ("roles: [look], approval", "approval")] {
        let sources = [Source {
            name: "policy.yaml".into(),
            text: POLICY.replace(was, is),
        }];
        let found = house.engine.check_policy(&sources).unwrap().findings;
        let told: Vec<_> = found.iter().map(|one| one.message.as_str()).collect();
        assert!(
            matches!(told[..], [one] if one.contains("vm/ssh is opened to the address")),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn two_people_behind_one_address_neither_cut_nor_shut_out_each_other() {
    let mut house = house().await;
    let anas = open(&mut house, "ana", 120).await;
    let until = house.target.until(PORT);
    let bos = open(&mut house, "bo", 30).await;
    assert_eq!(house.target.until(PORT), until, "a shorter one cuts nothing");
    // bo's runs out.
    house.live(Span::minutes(31)).await;
    assert_eq!(
        (house.state(bos).await, house.state(anas).await),
        ("ended", "active")
    );
    assert!(house.target.stands(PORT));
    let State::Ended { evidence, .. } = house.grant(bos).await.state else {
        panic!("it ended");
    };
    assert!(format!("{evidence:?}").contains("HeldBy"), "{evidence:?}");
    // And ana's does while bo has it again, for longer.
    let again = open(&mut house, "bo", 120).await;
    house.engine.release(house.caller("ana"), anas).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(anas).await, "ended");
    assert!(house.target.stands(PORT), "bo is not shut out");
    assert_eq!(house.target.until(PORT), house.grant(again).await.expires_at());
    house.engine.release(house.caller("bo"), again).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(again).await, "ended");
    assert!(!house.target.stands(PORT), "and nobody has it");
}

#[tokio::test]
async fn one_of_two_behind_an_address_is_lengthened_revoked_or_locked_alone() {
    let mut house = house().await;
    let root = house.caller("root");
    let anas = open(&mut house, "ana", 60).await;
    let bos = open(&mut house, "bo", 60).await;
    let longer = NewRequest {
        extends: Some(anas),
        duration: Some(Span::minutes(60)),
        ..asked(&[])
    };
    ask(&house, "ana", longer, Some(HERE)).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.target.until(PORT), house.grant(anas).await.expires_at());
    // bo's end is bo's, and the opening's limit stays ana's.
    let ended = house.engine.revoke(root, bos, Some("enough")).await.unwrap();
    drop(ended);
    house.reconcile().await;
    assert_eq!(
        (house.state(bos).await, house.state(anas).await),
        ("ended", "active")
    );
    assert_eq!(house.target.until(PORT), house.grant(anas).await.expires_at());
    let bos = open(&mut house, "bo", 60).await;
    let what = Lockable::Person("ana".into());
    house.engine.lock(root, &what, "a stolen laptop").await.unwrap();
    house.reconcile().await;
    assert_eq!(
        (house.state(anas).await, house.state(bos).await),
        ("ended", "active")
    );
    assert!(house.target.stands(PORT));
    // The limit that ana's had is not bo's.
    house.live(Span::minutes(1)).await;
    assert_eq!(house.target.until(PORT), house.grant(bos).await.expires_at());
    house.live(Span::minutes(60)).await;
    assert_eq!(house.state(bos).await, "ended");
    assert!(!house.target.stands(PORT));
}
