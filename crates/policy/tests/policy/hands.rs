//! Who reviews when accounts are locked, when somebody else could ask through one, and when one person is in several steps.

use daypass_core::id::TokenId;
use daypass_core::person::Change;
use daypass_core::refusal::Refusal;
use daypass_core::request::Request;
use daypass_core::review::{Decision as Vote, Review};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Decision, Policy};

use crate::office::{Office, ask, id, now, policy};
use crate::review::{made, refused, vote, waiting};

const POLICY: &str = "
version: 1
people:
  engineers: {group: engineering}
  leads: {group: leads}
  security: {group: security}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}}}
rules:
  - {name: read, allow: engineers, to: {env: production}, roles: [read], approval: [{from: leads}]}
  - {name: write, allow: engineers, to: {env: production}, roles: [write], approval: [{from: leads}, {from: security, count: 2}]}
";

const PEOPLE: &str = "
    ana engineering
    bo leads
    cy leads,security
    di security
    ed security
";

fn setting() -> (Policy, Office) {
    (policy(POLICY), Office::new(PEOPLE))
}

#[track_caller]
fn no_reviewer(policy: &Policy, office: &Office, question: &str) {
    match ask(policy, office, question) {
        Decision::Refused(refusal) => assert_eq!(refusal.code.as_str(), "no-reviewer", "{refusal}"),
        Decision::Allowed(_) => panic!("{question} is allowed"),
    }
}

fn votes(policy: &Policy, office: &Office, mut request: Request, who: &str) -> Request {
    for login in who.split_whitespace() {
        request =
            vote(policy, office, &request, login).unwrap_or_else(|refusal| panic!("{login}: {refusal}"));
    }
    request
}

#[test]
fn who_is_locked_reviews_nothing_and_is_waited_for_by_nobody() {
    let (policy, mut office) = setting();
    let request = made(&policy, &office, "ana orders/read");
    assert_eq!(waiting(&policy, &office, &request), "bo cy");
    office.lock("bo");
    refused(&policy, &office, &request, "bo", "locked");
    assert_eq!(waiting(&policy, &office, &request), "cy");
    office.lock("cy");
    assert_eq!(waiting(&policy, &office, &request), "");
    no_reviewer(&policy, &office, "ana orders/read");
}

#[test]
fn what_they_said_before_they_were_locked_does_not_count() {
    let (policy, mut office) = setting();
    let request = made(&policy, &office, "ana orders/write");
    let request = votes(&policy, &office, request, "bo di");
    office.lock("di");
    let request = votes(&policy, &office, request, "ed");
    assert_eq!(
        request.state.name(),
        "pending",
        "two were asked, and one of them is locked"
    );
    assert_eq!(waiting(&policy, &office, &request), "cy");
    // Nor at an earlier step, which is open again.
    let mut other = office.clone();
    other.lock("bo");
    let back = votes(&policy, &other, request.clone(), "cy");
    assert_eq!((back.state.name(), back.open_step().unwrap().0), ("pending", 0));
    assert_eq!(votes(&policy, &office, request, "cy").state.name(), "approved");
}

fn issued(token: u8, minutes: u64) -> Change {
    Change::TokenIssued {
        token: TokenId::from_bytes([token; 10]),
        expires_at: now() + Span::minutes(minutes),
        key: None,
    }
}

#[test]
fn who_could_ask_through_an_account_does_not_agree_to_what_it_asks() {
    let (policy, office) = setting();
    let groups = Change::Groups {
        groups: ["engineering".parse().unwrap()].into(),
    };
    for change in [Change::Credentials, groups, Change::Reactivated, issued(1, 1)] {
        let mut office = office.clone();
        let request = made(&policy, &office, "ana orders/read");
        office.change("ana", &change, "bo", 10);
        // What is done as the account afterwards hides nothing.
        office.change("ana", &Change::Credentials, "ana", 5);
        refused(&policy, &office, &request, "bo", "own-request");
        assert_eq!(waiting(&policy, &office, &request), "cy", "{change:?}");
        office.change("ana", &Change::Credentials, "cy", 1);
        no_reviewer(&policy, &office, "ana orders/read");
    }
}

#[test]
fn it_is_forgotten_once_it_has_settled_but_not_while_a_token_is_taken() {
    let (policy, office) = setting();
    let request = made(&policy, &office, "ana orders/read");
    let (just, past) = (24 * 60 - 1, 24 * 60);
    for (change, ago, counts) in [
        (Change::Credentials, just, true),
        (Change::Credentials, past, false),
        (issued(1, 1), 90 * 24 * 60, true),
        (
            Change::Role {
                role: daypass_core::person::SystemRole::Member,
            },
            1,
            false,
        ),
        (Change::Mail { mail: None }, 1, false),
    ] {
        let mut office = office.clone();
        office.change("ana", &change, "bo", ago);
        let voted = vote(&policy, &office, &request, "bo");
        assert_eq!(voted.is_err(), counts, "{change:?} {ago} minutes ago");
    }
    let mut office = office;
    office.change("ana", &issued(1, 60), "bo", past + 10);
    let revoked = Change::TokenRevoked {
        token: TokenId::from_bytes([1; 10]),
    };
    office.change("ana", &revoked, "bo", 10);
    refused(&policy, &office, &request, "bo", "own-request");
}

fn review(request: &Request, login: &str, step: usize) -> Review {
    Review {
        reviewer: id(login),
        on_behalf: None,
        step,
        decision: Vote::Approve {
            duration: None,
            items: None,
        },
        digest: request.digest,
        comment: None,
        at: Timestamp::EPOCH,
    }
}

fn leaves_open(policy: &Policy, office: &Office, request: &Request, login: &str) -> Result<(), Refusal> {
    let step = request.open_step().unwrap().0;
    policy.leaves_open(request, &review(request, login, step), office, now())
}

#[test]
fn a_vote_that_uses_up_whom_a_later_step_needs_is_refused() {
    let (policy, mut office) = setting();
    let request = made(&policy, &office, "ana orders/write");
    assert_eq!(
        leaves_open(&policy, &office, &request, "cy"),
        Ok(()),
        "di and ed are left"
    );
    office.lock("ed");
    let refusal = leaves_open(&policy, &office, &request, "cy").unwrap_err();
    assert_eq!(refusal.code.as_str(), "no-reviewer");
    assert!(
        refusal
            .what
            .contains("you are needed at step 2, which asks security"),
        "{refusal}"
    );
    assert_eq!(leaves_open(&policy, &office, &request, "bo"), Ok(()));
    // Nor does any list say that it waits for them: what would refuse the vote is asked there too.
    assert_eq!(waiting(&policy, &office, &request), "bo");
    let would = |login| policy.may_agree(&request, id(login), &office, now());
    assert_eq!((would("bo"), would("cy")), (Ok(None), Err(refusal)));
    let request = votes(&policy, &office, request, "bo");
    assert_eq!(
        leaves_open(&policy, &office, &request, "cy"),
        Ok(()),
        "this is where they are needed"
    );
    // What nobody can complete any more is not held up by it.
    office.lock("di");
    assert_eq!(leaves_open(&policy, &office, &request, "cy"), Ok(()));
}

#[test]
fn what_was_agreed_on_lasts_as_long_as_those_who_agreed_are_asked() {
    let (policy, office) = setting();
    let request = made(&policy, &office, "ana orders/write");
    let request = votes(&policy, &office, request, "bo di ed");
    assert_eq!(request.state.name(), "approved");
    let holds = |office: &Office| policy.still_agreed(&request, office, now()).is_ok();
    assert!(holds(&office));
    let mut settling = office.clone();
    settling.change("bo", &Change::Credentials, "bo", 0);
    settling.change("ana", &Change::Credentials, "di", 0);
    assert!(holds(&settling), "what has to settle takes no access away");
    type Loses = fn(&mut Office);
    let cases: [(&str, Loses); 3] = [
        ("a lock", |office| office.lock("di")),
        ("a group that was left", |office| office.leave("bo", "leads")),
        ("an account that was switched off", |office| {
            office.change("ed", &Change::Deactivated, "bo", 0);
        }),
    ];
    for (what, loses) in cases {
        let mut office = office.clone();
        loses(&mut office);
        assert!(!holds(&office), "{what}");
    }
}

#[test]
fn what_was_agreed_to_because_it_is_recorded_is_not_had_unrecorded() {
    let office = Office::new(PEOPLE);
    let recorded = "labels: {env: production}, access: gateway, recording: required";
    let before = policy(&POLICY.replace("labels: {env: production}", recorded));
    let request = made(&before, &office, "ana orders/read");
    assert_eq!(before.may_hold(&request, &office, now()), Ok(()));
    let refusal = policy(POLICY).may_hold(&request, &office, now()).unwrap_err();
    assert_eq!(refusal.code.as_str(), "recording", "{refusal}");
}
