//! What a policy covers beside itself, who may agree to such a change, and what it would do.

use daypass_core::change::{Change, Proposal};
use daypass_core::edit::{Act, Area, Edit};
use daypass_core::id::ChangeId;
use daypass_core::person::SystemRole;
use daypass_core::refusal::Code;
use daypass_core::review::{Decision, Review, Voter};
use daypass_core::text::Hash;
use daypass_policy::{Directory as _, Effect};

use crate::office::{Office, id, load, now, policy};

const POLICY: &str = "
version: 1
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
  security: {group: security}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, roles: {read: {}, write: {}}}
rules:
  - {name: reads, allow: engineers, to: {resource: orders}, roles: [read], approval: [{from: security}]}
  - {name: writes, allow: security, to: {resource: orders}, roles: [write], approval: [{from: leads, else: {escalate: security, within: 1h}}]}
guardrails:
  - {name: two, to: {resource: orders}, steps: [{from: security}]}
";

const PEOPLE: &str = "
    root ops
    ana engineering
    cy security
    di security
    bo eng-leads manager=cy
";

fn covering(words: &str) -> String {
    format!("{POLICY}policy: {{approval: [{{from: security}}], covers: {words}}}\n")
}

#[test]
fn what_is_covered_is_what_is_said_and_the_policy_always() {
    let plain = policy(&format!("{POLICY}policy: {{approval: [{{from: security}}]}}\n"));
    assert!(plain.covers(&[Area::Policy].into()) && !plain.covers(&[Area::People].into()));
    assert!(!policy(POLICY).covers(&Area::ALL.into()), "nobody is asked");
    let some = policy(&covering("[policy, groups]"));
    assert!(some.covers(&[Area::Groups].into()) && !some.covers(&[Area::People, Area::Credentials].into()));
    assert!(
        some.covers(&[Area::People, Area::Groups].into()),
        "one of them is enough"
    );
    for (words, told) in [
        ("[people]", "\"covers\" leaves out the policy itself"),
        (
            "[policy, peple]",
            "\"peple\" is nothing that can be covered; did you mean \"people\"?",
        ),
        ("[policy, policy]", "\"policy\" is there twice"),
        ("[]", "\"covers\" leaves out the policy itself"),
        (
            "[policy, {people: yes}]",
            "\"covers\" must be a word such as people",
        ),
    ] {
        let found = load(&covering(words)).map(drop).unwrap_err().to_string();
        assert!(found.contains(told), "{words}: {found}");
    }
}

#[test]
fn another_cover_is_told_among_what_changes() {
    let (one, other) = (
        policy(&covering("[policy]")),
        policy(&covering("[policy, people]")),
    );
    let lines = daypass_policy::Policy::diff(Some(&one), &other);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("covers"), "{lines:?}");
}

fn about(login: &str) -> Change {
    by("root", login)
}

fn by(proposer: &str, login: &str) -> Change {
    let edit = Edit {
        person: id(login),
        act: Act::Role {
            from: SystemRole::Member,
            to: SystemRole::Administrator,
        },
    };
    let steps = policy(&covering("[policy, people]")).control().unwrap();
    let proposal = Proposal::Directory { edit: Box::new(edit) };
    Change::new(
        ChangeId::from_bytes([1; 10]),
        id(proposer),
        proposal,
        Hash::of(b"p"),
        steps,
        now(),
    )
    .unwrap()
}

#[test]
fn whose_account_it_is_reviews_it_as_little_as_who_proposes_it() {
    let (policy, office) = (policy(&covering("[policy, people]")), Office::new(PEOPLE));
    let change = about("cy");
    let may = |who: &str| {
        policy.may_review_change(
            &change,
            (&change.steps[0], false),
            Voter::Would(id(who)),
            &office,
            now(),
        )
    };
    assert_eq!(may("cy").unwrap_err().code, Code::OwnRequest);
    assert_eq!(may("root").unwrap_err().code, Code::OwnRequest);
    assert_eq!(may("bo").unwrap_err().code, Code::NotReviewer);
    assert!(may("di").is_ok());
    assert_eq!(policy.change_waits_for(&change, &office, now()), [id("di")]);
    // With them alone it could not be agreed to.
    let mut alone = office.clone();
    alone.leave("di", "security");
    let agree = |login: &str| policy.can_agree(&about(login), &change.steps, &alone, now());
    let any = policy.can_agree(id("root"), &change.steps, &alone, now());
    assert!(any.is_ok() && agree("ana").is_ok());
    assert_eq!(agree("cy").unwrap_err().code, Code::NoReviewer);
}

/// A vote uses up nobody whom a later step has only with the help of whose account it is.
#[test]
fn whose_account_it_is_is_not_counted_on_for_a_later_step() {
    let text = covering("[policy, people]").replace(
        "policy: {approval: [{from: security}]",
        "policy: {approval: [{from: both}, {from: security}]",
    );
    let text = text.replace(
        "  leads: {group: eng-leads}",
        "  leads: {group: eng-leads}\n  both: {logins: [bo, di]}",
    );
    let (policy, office) = (policy(&text), Office::new(PEOPLE));
    let change = Change {
        steps: policy.control().unwrap(),
        ..about("cy")
    };
    let vote = |who: &str| Review {
        reviewer: id(who),
        on_behalf: None,
        step: 0,
        decision: Decision::Approve {
            duration: None,
            items: None,
        },
        digest: change.digest,
        comment: None,
        at: now(),
    };
    let leaves = |who: &str| policy.leaves_change_open(&change, &vote(who), &office, now());
    assert!(leaves("bo").is_ok());
    assert_eq!(
        leaves("di").unwrap_err().code,
        Code::NoReviewer,
        "cy is all that is left"
    );
}

/// The manager of who proposes is asked, also where the proposer changes their own account; unless it is the manager's.
#[test]
fn a_manager_is_asked_about_others_only() {
    let text = covering("[policy, people]").replace(
        "policy: {approval: [{from: security}]",
        "policy: {approval: [{from: manager}]",
    );
    let (policy, office) = (policy(&text), Office::new(PEOPLE));
    let steps = policy.control().unwrap();
    let agree = |login: &str| policy.can_agree(&by("bo", login), &steps, &office, now());
    assert!(agree("ana").is_ok() && agree("bo").is_ok());
    assert_eq!(agree("cy").unwrap_err().code, Code::NoReviewer);
}

#[test]
fn what_a_group_gives_and_asks_is_told_for_one_person() {
    let policy = policy(POLICY);
    let before = Office::new(PEOPLE);
    let after = Office::new(&PEOPLE.replace("ana engineering", "ana engineering,security"));
    let plan = policy.plan_people([id("ana")], (&before, &after), now());
    let told: Vec<_> = plan
        .changes
        .iter()
        .map(|change| {
            (
                change.effect,
                change.items.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(told, [(Effect::Gained, vec![String::from("orders/write")])]);
    assert_eq!((plan.people, plan.roles, plan.left_out), (1, 2, 0));
    let back = policy.plan_people([id("ana")], (&after, &before), now());
    assert_eq!(back.changes[0].effect, Effect::Lost);
    assert!(
        policy
            .plan_people([id("ana")], (&before, &before), now())
            .changes
            .is_empty()
    );
    let asked = |office: &Office| -> Vec<(String, usize)> {
        let person = office.person(id("ana")).unwrap();
        policy
            .asked_as(person)
            .into_iter()
            .map(|(set, times)| (set.to_string(), times))
            .collect()
    };
    assert_eq!(asked(&before), []);
    // Two rules, one of them after silence, and a guardrail.
    assert_eq!(asked(&after), [(String::from("security"), 3)]);
    let service = Office::new("ana engineering,security service");
    assert_eq!(asked(&service), []);
}
