//! Who may review, who is waited for, and whether a frozen path still leads to access.

use daypass_core::id::PersonId;
use daypass_core::id::RequestId;
use daypass_core::refusal::Refusal;
use daypass_core::request::{self, Request, Standing};
use daypass_core::review::{Decision as Vote, Review, Step, Voter};
use daypass_core::text::Prose;
use daypass_core::time::Timestamp;
use daypass_policy::{Decision, Policy};

use crate::office::{Office, ask, id, items, now, policy};

const POLICY: &str = "
version: 1
defaults: {duration: 1h, max: 4h, pending: 8h}
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
  security: {group: security}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}}}
rules:
  - name: prod-write
    allow: engineers
    to: {env: production}
    roles: [write]
    approval:
      - {from: manager, within: 15m, else: {escalate: leads, within: 15m}}
      - {from: security, within: 30m, else: {escalate: leads, within: 15m}}
    max: 2h
";

const PEOPLE: &str = "
    ana engineering manager=bo
    solo engineering
    bo eng-leads,security
    cy security
    di eng-leads
    eve marketing
    mal security new
    bot security service
    off security off
";

/// What the engine is to the core: the policy's answers at one instant.
pub(crate) struct Now<'a>(pub(crate) &'a Policy, pub(crate) &'a Office);

impl Standing for Now<'_> {
    fn may_review(
        &self,
        request: &Request,
        step: &Step,
        escalated: bool,
        voter: Voter<'_>,
    ) -> Result<Option<PersonId>, Refusal> {
        self.0.may_review(request, step, escalated, voter, self.1, now())
    }

    fn may_hold(&self, request: &Request) -> Result<(), Refusal> {
        self.0.may_hold(request, self.1, now())
    }
}

pub(crate) fn made(policy: &Policy, office: &Office, question: &str) -> Request {
    made_by(policy, office, question, None)
}

/// A request that was made while this person answered for the account.
pub(crate) fn made_under(policy: &Policy, office: &Office, question: &str, owner: &str) -> Request {
    made_by(policy, office, question, Some(id(owner)))
}

fn made_by(policy: &Policy, office: &Office, question: &str, owner: Option<PersonId>) -> Request {
    let Decision::Allowed(allowed) = ask(policy, office, question) else {
        panic!("{question} is refused")
    };
    let mut words = question.split_whitespace();
    let asked = request::Ask {
        requester: id(words.next().unwrap()),
        items: items(words.next().unwrap()),
        duration: allowed.duration,
        start: None,
        extends: None,
        reason: Prose::new([0; 16], "because"),
        ticket: None,
        source: None,
        owner,
    };
    Request::new(RequestId::from_bytes([7; 10]), asked, allowed.path, now()).unwrap()
}

pub(crate) fn vote(
    policy: &Policy,
    office: &Office,
    request: &Request,
    login: &str,
) -> Result<Request, Refusal> {
    let review = Review {
        reviewer: id(login),
        on_behalf: None,
        step: 0,
        decision: Vote::Approve {
            duration: None,
            items: None,
        },
        digest: request.digest,
        comment: None,
        at: Timestamp::EPOCH,
    };
    let event = request.review(review, &Now(policy, office), now())?;
    Ok(request.clone().evolve(&event, now()).unwrap())
}

#[track_caller]
pub(crate) fn refused(policy: &Policy, office: &Office, request: &Request, login: &str, code: &str) {
    let refusal = vote(policy, office, request, login).expect_err(login);
    assert_eq!(refusal.code.as_str(), code, "{login}: {refusal}");
}

pub(crate) fn waiting(policy: &Policy, office: &Office, request: &Request) -> String {
    office
        .logins(&policy.waiting_for(request, office, now()))
        .join(" ")
}

#[test]
fn only_whom_the_step_asks_may_review() {
    let (policy, office) = (policy(POLICY), Office::new(PEOPLE));
    let request = made(&policy, &office, "ana orders/write");
    assert_eq!(waiting(&policy, &office, &request), "bo");
    refused(&policy, &office, &request, "ana", "own-request");
    refused(&policy, &office, &request, "cy", "not-reviewer");
    refused(&policy, &office, &request, "di", "not-reviewer");
    refused(&policy, &office, &request, "nobody", "unknown-person");
    let request = vote(&policy, &office, &request, "bo").unwrap();
    assert_eq!(waiting(&policy, &office, &request), "cy", "bo has counted");
    refused(&policy, &office, &request, "bo", "already-reviewed");
    refused(&policy, &office, &request, "di", "not-reviewer");
    refused(&policy, &office, &request, "mal", "may-not-review");
    refused(&policy, &office, &request, "off", "not-reviewer");
    refused(&policy, &office, &request, "bot", "not-reviewer");
    let request = vote(&policy, &office, &request, "cy").unwrap();
    assert_eq!(request.state.name(), "approved");
    assert_eq!(
        waiting(&policy, &office, &request),
        "",
        "nobody is waited for any more"
    );
}

#[test]
fn a_step_without_its_people_escalates_at_once() {
    let (policy, office) = (policy(POLICY), Office::new(PEOPLE));
    // No manager: the leads are asked from the beginning.
    let request = made(&policy, &office, "solo orders/write");
    assert_eq!(waiting(&policy, &office, &request), "bo di");
    let request = vote(&policy, &office, &request, "di").unwrap();
    assert_eq!(waiting(&policy, &office, &request), "bo cy");
    // cy leaves, bo has counted as the manager: nobody of security remains, and the leads are asked at once.
    let mut office = office;
    let request = made(&policy, &office, "ana orders/write");
    let request = vote(&policy, &office, &request, "bo").unwrap();
    office.leave("cy", "security");
    assert_eq!(waiting(&policy, &office, &request), "di");
    assert_eq!(
        vote(&policy, &office, &request, "di").unwrap().state.name(),
        "approved"
    );
}

#[test]
fn escalation_asks_the_others_as_well_and_nobody_else() {
    let (policy, office) = (policy(POLICY), Office::new(PEOPLE));
    let request = made(&policy, &office, "ana orders/write");
    let step = &request.path.steps[0];
    let asked = |escalated| office.logins(&policy.reviewers(id("ana"), step, escalated, &office, now()));
    assert_eq!(asked(false), ["bo"]);
    assert_eq!(asked(true), ["bo", "di"]);
    assert!(
        policy
            .may_review(&request, step, true, Voter::Would(id("di")), &office, now())
            .is_ok()
    );
    assert!(
        policy
            .may_review(&request, step, true, Voter::Would(id("cy")), &office, now())
            .is_err()
    );
}

#[test]
fn a_review_loses_its_standing_with_the_reviewer() {
    let (policy, mut office) = (policy(POLICY), Office::new(PEOPLE));
    let request = made(&policy, &office, "solo orders/write");
    let request = vote(&policy, &office, &request, "di").unwrap();
    office.leave("di", "eng-leads");
    // The tally asks again: di's vote counts no longer, so the last one does not complete the chain.
    let request = vote(&policy, &office, &request, "cy").unwrap();
    assert_eq!(request.state.name(), "pending");
}

#[test]
fn a_frozen_rule_does_not_outlive_the_right_to_use_it() {
    let (before, mut office) = (policy(POLICY), Office::new(PEOPLE));
    let request = made(&before, &office, "ana orders/write 2h");
    let holds = |policy: &Policy, office: &Office| {
        policy
            .may_hold(&request, office, now())
            .map_err(|refusal| format!("{}: {refusal}", refusal.code))
    };
    assert_eq!(holds(&before, &office), Ok(()));
    for (from, to, why) in [
        (
            "name: prod-write",
            "name: other",
            "not-eligible: the rule prod-write is no longer in the policy",
        ),
        (
            "allow: engineers",
            "allow: security",
            "not-eligible: the rule prod-write no longer lets ana have this",
        ),
        (
            "roles: [write]",
            "roles: [read]",
            "not-eligible: the rule prod-write no longer lets ana have this",
        ),
        (
            "name: orders",
            "name: sales",
            "unknown-resource: there is no resource orders",
        ),
        (
            "write: {}}}",
            "edit: {}}}\n  - {name: stock, kind: postgres, connector: pg, labels: {env: production}, roles: {write: {}}}",
            "unknown-role: orders has no role write",
        ),
        (
            "max: 2h",
            "max: 1h",
            "over-max: orders/write for 2h is over the limit of 1h (rule prod-write, policy.yaml:12)",
        ),
        (
            "rules:",
            "guardrails: [{name: short, max: 30m}]\nrules:",
            "over-max: orders/write for 2h is over the limit of 30m (guardrail short, policy.yaml:11)",
        ),
    ] {
        assert!(POLICY.contains(from), "{from}");
        let after = policy(&POLICY.replace(from, to));
        assert_eq!(holds(&after, &office), Err(why.to_owned()), "{from} → {to}");
    }
    // A chain that asks for more meanwhile does not touch what was frozen.
    let stricter = policy(&POLICY.replace("from: security", "count: 2, from: security"));
    assert_eq!(holds(&stricter, &office), Ok(()));
    office.leave("ana", "engineering");
    assert_eq!(
        holds(&before, &office),
        Err(String::from(
            "not-eligible: the rule prod-write no longer lets ana have this"
        ))
    );
    assert_eq!(
        holds(&before, &Office::new("ana engineering off")),
        Err(String::from("not-eligible: the account ana is switched off"))
    );
}

#[test]
fn what_was_agreed_on_is_what_must_still_be_allowed() {
    let (before, office) = (policy(POLICY), Office::new(PEOPLE));
    let mut request = made(&before, &office, "ana orders/write 2h");
    for (login, minutes) in [("bo", 30), ("cy", 60)] {
        let review = Review {
            reviewer: id(login),
            on_behalf: None,
            step: 0,
            decision: Vote::Approve {
                duration: Some(daypass_core::time::Span::minutes(minutes)),
                items: None,
            },
            digest: request.digest,
            comment: None,
            at: Timestamp::EPOCH,
        };
        let event = request.review(review, &Now(&before, &office), now()).unwrap();
        request = request.evolve(&event, now()).unwrap();
    }
    let shorter = policy(&POLICY.replace("max: 2h", "max: 1h"));
    assert_eq!(
        shorter.may_hold(&request, &office, now()),
        Ok(()),
        "30m were agreed on"
    );
}

#[test]
fn a_service_account_reviews_nowhere() {
    let text = POLICY.replace("security: {group: security}", "security: {logins: [bot, cy]}");
    let (policy, office) = (policy(&text), Office::new(PEOPLE));
    let request = made(&policy, &office, "ana orders/write");
    let request = vote(&policy, &office, &request, "bo").unwrap();
    assert_eq!(waiting(&policy, &office, &request), "cy");
    refused(&policy, &office, &request, "bot", "may-not-review");
}
