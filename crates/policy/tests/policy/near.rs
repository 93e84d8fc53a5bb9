//! Who is too near to something to answer it, whose vote binds whom, and that a vote and its recount are one question.

use daypass_core::change::{Change as Proposed, Proposal};
use daypass_core::edit::{Act, Edit};
use daypass_core::id::{ChangeId, PersonId};
use daypass_core::person::{Change, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Event, Request};
use daypass_core::review::{Decision as Vote, Review, Voter};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Decision, Directory as _, Policy};

use crate::office::{Office, ask, id, now, policy};
use crate::review::{Now, made, made_under, refused, vote, waiting};

const POLICY: &str = "
version: 1
defaults: {duration: 1h, max: 4h, pending: 8h, delegates: [deputies, security, leads]}
people:
  robots: {logins: [ci]}
  engineers: {group: engineering}
  leads: {group: leads}
  security: {group: security}
  deputies: {logins: [dep]}
  only-di: {logins: [di]}
connectors: [{name: k, kind: x}]
resources:
  - {name: orders, kind: x, connector: k, labels: {env: p}, roles: {read: {}, write: {}, admin: {}, owner: {}}}
rules:
  - {name: leads, allow: [robots, engineers], to: {env: p}, roles: [write], approval: [{from: leads, within: 30m}]}
  - name: managed
    allow: [robots, engineers]
    to: {env: p}
    roles: [read]
    approval: [{from: manager, within: 15m, else: {escalate: leads, within: 15m}}]
  - {name: two, allow: engineers, to: {env: p}, roles: [admin], approval: [{from: security, count: 2, within: 1h}]}
  - name: chain
    allow: engineers
    to: {env: p}
    roles: [owner]
    approval: [{from: manager, within: 15m, else: {escalate: leads, within: 15m}}, {from: only-di, within: 4h, else: {escalate: security, within: 15m}}]
policy: {approval: [{from: leads}, {from: security}], covers: [policy, people, groups, credentials]}
";

/// A vote of this kind, so many hours ago.
fn cast(
    (policy, office): (&Policy, &Office),
    request: &Request,
    (login, decision, ago): (&str, Vote, u64),
) -> Result<Request, Refusal> {
    let review = Review {
        reviewer: id(login),
        on_behalf: None,
        step: 0,
        decision,
        digest: request.digest,
        comment: None,
        at: Timestamp::EPOCH,
    };
    let at = now() - Span::hours(ago);
    let event = request.review(review, &Now(policy, office), at)?;
    Ok(request.clone().evolve(&event, at).unwrap())
}

const YES: Vote = Vote::Approve {
    duration: None,
    items: None,
};

/// Whoever set the owner's password could have asked through the owner's program.
#[test]
fn who_could_ask_through_the_owner_does_not_agree_to_what_the_program_asks() {
    let policy = policy(POLICY);
    let office = Office::new("ci service owner=bo\nbo staff\nxi leads\ncy leads\nol staff");
    let request = made_under(&policy, &office, "ci orders/write", "bo");
    for (whose, owner_now) in [("bo", None), ("ol", Some("ol")), ("bo", Some("ol"))] {
        let mut office = office.clone();
        if let Some(other) = owner_now {
            let owner = id(other);
            office.change("ci", &Change::Owner { owner }, "root", 60 * 48);
        }
        office.change(whose, &Change::Credentials, "xi", 60);
        // What is done as the owner afterwards hides nothing.
        office.change(whose, &Change::Credentials, whose, 30);
        refused(&policy, &office, &request, "xi", "own-request");
        assert_eq!(waiting(&policy, &office, &request), "cy", "{whose} {owner_now:?}");
        let borrowed = policy.not_borrowed(office.person(id(whose)).unwrap(), now());
        assert_eq!(borrowed.unwrap_err().code, Code::Forbidden);
    }
    let mut settled = office;
    settled.change("bo", &Change::Credentials, "xi", 24 * 60);
    assert_eq!(waiting(&policy, &settled, &request), "cy xi");
    let bo = settled.person(id("bo")).unwrap();
    assert_eq!(policy.not_borrowed(bo, now()), Ok(()));
}

#[test]
fn a_delegation_silences_nobody_who_would_deny() {
    let policy = policy(POLICY);
    let office = Office::new("ana engineering\ncy security to=di\ndi security\ned security");
    let request = made(&policy, &office, "ana orders/admin");
    let request = vote(&policy, &office, &request, "cy").unwrap();
    refused(&policy, &office, &request, "di", "already-reviewed");
    let denied = cast((&policy, &office), &request, ("di", Vote::Deny, 0)).unwrap();
    assert_eq!(denied.state.name(), "denied");
    // Who was only heard through their delegate may say no themselves.
    let office = Office::new("ana engineering\ncy security to=dep\ndi security\ned security\ndep staff");
    let request = made(&policy, &office, "ana orders/admin");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    refused(&policy, &office, &request, "cy", "already-reviewed");
    let denied = cast((&policy, &office), &request, ("cy", Vote::Deny, 0)).unwrap();
    assert_eq!(denied.state.name(), "denied");
    // Once is enough, and nobody says no for somebody who was heard, or whom the step does not ask.
    let twice = |who| {
        cast((&policy, &office), &request, (who, Vote::Deny, 0))
            .unwrap_err()
            .code
    };
    assert_eq!(twice("dep"), Code::AlreadyReviewed);
    assert_eq!(twice("ana"), Code::OwnRequest);
}

#[test]
fn a_delegation_made_after_a_vote_binds_nobody_by_it() {
    let policy = policy(POLICY);
    let before = Office::new("ana engineering\ncy security\ndi security\ned security");
    let request = made(&policy, &before, "ana orders/admin");
    let request = cast((&policy, &before), &request, ("cy", YES, 2)).unwrap();
    // cy has voted, and delegates since an hour.
    let office = Office::new("ana engineering\ncy security to=di\ndi security\ned security");
    assert_eq!(waiting(&policy, &office, &request), "di ed");
    let done = vote(&policy, &office, &request, "di").unwrap();
    assert_eq!(done.state.name(), "approved", "they were two when cy voted");
    // Nor does it bring in the others at once: the only one of the next step is there.
    let before = Office::new("ana engineering manager=cy\ncy security\ndi security\ned security");
    let request = made(&policy, &before, "ana orders/owner");
    let request = cast((&policy, &before), &request, ("cy", YES, 2)).unwrap();
    let office = Office::new("ana engineering manager=cy\ncy security to=di\ndi security\ned security");
    assert_eq!(waiting(&policy, &office, &request), "di");
    refused(&policy, &office, &request, "ed", "not-reviewer");
    vote(&policy, &office, &request, "di").unwrap();
}

#[test]
fn an_auditor_reviews_nothing_asks_for_nothing_and_is_nobodys_delegate() {
    let policy = policy(POLICY);
    let with = |auditor: &str, people: &str| {
        let mut office = Office::new(people);
        let role = SystemRole::Auditor;
        office.change(auditor, &Change::Role { role }, "root", 60 * 48);
        office
    };
    let people = "ana engineering\nbo leads to=dep\ncy leads\ndep staff";
    let office = with("bo", people);
    let request = made(&policy, &office, "ana orders/write");
    refused(&policy, &office, &request, "bo", "may-not-review");
    refused(&policy, &office, &request, "dep", "not-reviewer");
    assert_eq!(waiting(&policy, &office, &request), "cy");
    assert!(policy.asked_as(office.person(id("bo")).unwrap()).is_empty());
    // Whom only auditors could answer asks nobody.
    let alone = with("bo", "ana engineering\nbo leads");
    let Decision::Refused(refusal) = ask(&policy, &alone, "ana orders/write") else {
        panic!("nobody could review it")
    };
    assert_eq!(refusal.code, Code::NoReviewer);
    let office = with("dep", people);
    refused(&policy, &office, &request, "dep", "not-reviewer");
    let dep = office.person(id("dep")).unwrap();
    assert_eq!(policy.may_be_delegate(dep).unwrap_err().code, Code::Forbidden);
    let office = with("ana", people);
    let Decision::Refused(refusal) = ask(&policy, &office, "ana orders/write") else {
        panic!("an auditor asks")
    };
    assert_eq!(refusal.code, Code::Forbidden);
}

#[test]
fn a_vote_in_somebodys_place_is_recounted_as_it_was_counted() {
    let policy = policy(POLICY);
    let office = Office::new("ana engineering\nbo leads to=dep\ncy leads\ndep staff\ndup staff");
    let request = made(&policy, &office, "ana orders/write");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    assert_eq!(request.state.name(), "approved");
    let holds = |office: &Office, now| policy.still_agreed(&request, office, now).is_ok();
    assert!(holds(&office, now()));
    assert!(holds(&office, now() + Span::hours(3)), "it has only run out");
    let mut settling = office.clone();
    settling.change("dep", &Change::Credentials, "dep", 0);
    assert!(holds(&settling, now()), "what has to settle takes no access away");
    let mut back = office.clone();
    back.back("bo");
    assert!(!holds(&back, now()), "it was taken back");
    let another = Office::new("ana engineering\nbo leads to=cy\ncy leads\ndep staff");
    assert!(!holds(&another, now()), "another one has taken its place");
    let mut reset = office.clone();
    reset.change("bo", &Change::Credentials, "root", 0);
    assert!(!holds(&reset, now()), "another password ends it");
    let without = crate::office::policy(&POLICY.replace("delegates: [deputies, ", "delegates: ["));
    assert!(without.still_agreed(&request, &office, now()).is_err());
}

#[test]
fn the_owners_delegation_does_not_bring_in_the_others_at_once() {
    let policy = policy(POLICY);
    let office = Office::new("ci service owner=ol\nol staff manager=bo to=bo\nbo leads\nli leads");
    let request = made_under(&policy, &office, "ci orders/read", "ol");
    assert_eq!(waiting(&policy, &office, &request), "bo");
    refused(&policy, &office, &request, "li", "not-reviewer");
    vote(&policy, &office, &request, "bo").unwrap();
}

#[test]
fn nobody_votes_in_the_place_of_who_owned_it_when_it_asked() {
    let policy = policy(&POLICY.replace("pending: 8h,", "pending: 8h, settle: 0s,"));
    let then = Office::new("ci service owner=ol\nol leads to=dep\nli leads\ndep staff\npe staff");
    let request = made_under(&policy, &then, "ci orders/write", "ol");
    let since = Office::new("ci service owner=pe\nol leads to=dep\nli leads\ndep staff\npe staff");
    for office in [then, since] {
        refused(&policy, &office, &request, "dep", "not-reviewer");
        assert_eq!(waiting(&policy, &office, &request), "li");
    }
}

fn proposed(proposer: &str, account: &str, act: Act) -> Proposed {
    let edit = Edit {
        person: id(account),
        act,
    };
    let steps = policy(POLICY).control().unwrap();
    let proposal = Proposal::Directory { edit: Box::new(edit) };
    let change = ChangeId::from_bytes([1; 10]);
    Proposed::new(change, id(proposer), proposal, Hash::of(b"p"), steps, now()).unwrap()
}

fn may_agree(policy: &Policy, office: &Office, change: &Proposed, who: &str) -> Result<(), Code> {
    let step = (change.open_step().unwrap().1, false);
    let right = policy.may_review_change(change, step, Voter::Would(id(who)), office, now());
    right.map(drop).map_err(|refusal| refusal.code)
}

#[test]
fn who_gains_by_a_change_does_not_agree_to_it() {
    let policy = policy(POLICY);
    let office = Office::new("root ops\nana staff\nbo leads\nli leads\nci service owner=bo\ncy security");
    let (from, to): (Option<PersonId>, PersonId) = (None, id("bo"));
    let role = Act::Role {
        from: SystemRole::Member,
        to: SystemRole::Administrator,
    };
    let back = Act::Reactivate {
        role: SystemRole::Member,
        groups: [].into(),
        handles: [].into(),
    };
    for (account, act) in [
        ("ci", Act::Owner { from, to }),
        ("ci", role.clone()),
        ("ci", back),
        ("ana", Act::Manager { from, to: Some(to) }),
    ] {
        let change = proposed("root", account, act);
        assert_eq!(may_agree(&policy, &office, &change, "bo"), Err(Code::OwnRequest));
        assert_eq!(may_agree(&policy, &office, &change, "li"), Ok(()));
        let waits = policy.change_waits_for(&change, &office, now());
        assert_eq!(office.logins(&waits), ["li"]);
    }
    // Nor does who has ana's password in their hands.
    let mut office = office;
    office.change("ana", &Change::Credentials, "bo", 60);
    let change = proposed("root", "ana", role);
    assert_eq!(may_agree(&policy, &office, &change, "bo"), Err(Code::OwnRequest));
    assert_eq!(may_agree(&policy, &office, &change, "li"), Ok(()));
}

#[test]
fn what_a_vote_leaves_of_a_change_is_asked_of_those_who_may_vote() {
    let policy = policy(POLICY);
    let office = Office::new("root ops\nbo leads,security\ncy leads\nana security");
    let change = proposed(
        "root",
        "ana",
        Act::Mail {
            from: None,
            to: Some(Prose::new([0; 16], "ana@example.com")),
        },
    );
    policy.can_agree(&change, &change.steps, &office, now()).unwrap();
    let vote = |login: &str| Review {
        reviewer: id(login),
        on_behalf: None,
        step: 0,
        decision: YES,
        digest: change.digest,
        comment: None,
        at: now(),
    };
    let left = |login| policy.leaves_change_open(&change, &vote(login), &office, now());
    assert_eq!(
        left("bo").unwrap_err().code,
        Code::NoReviewer,
        "ana cannot be the second"
    );
    assert_eq!(left("cy"), Ok(()));
}

#[test]
fn a_void_vote_that_keeps_its_caster_out_asks_the_others_at_once() {
    let policy = policy(POLICY);
    let people = "ana engineering manager=bo\nbo staff to=dep\nli leads\ndi security\ndep staff";
    let mut office = Office::new(people);
    let request = made(&policy, &office, "ana orders/owner");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    office.back("bo");
    let request = vote(&policy, &office, &request, "di").unwrap();
    assert_eq!(request.open_step().unwrap().0, 0, "dep's vote for bo is void");
    refused(&policy, &office, &request, "bo", "already-reviewed");
    assert_eq!(waiting(&policy, &office, &request), "li");
    assert_eq!(
        vote(&policy, &office, &request, "li").unwrap().state.name(),
        "approved"
    );
}

/// What a denial is, is said by the vote itself: an approval under another question is none.
#[test]
fn a_denial_by_a_delegate_is_asked_as_an_approval_is() {
    let policy = policy(POLICY);
    let office = Office::new("ana engineering\nbo leads to=dep\ncy leads\ndep staff");
    let request = made(&policy, &office, "ana orders/write");
    let review = Review {
        reviewer: id("dep"),
        on_behalf: None,
        step: 0,
        decision: Vote::Deny,
        digest: request.digest,
        comment: None,
        at: now(),
    };
    let event = request.review(review, &Now(&policy, &office), now()).unwrap();
    assert!(matches!(event, Event::Denied { review } if review.on_behalf == Some(id("bo"))));
}
