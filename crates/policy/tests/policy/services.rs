//! Service accounts: they ask only while somebody answers for them, and whoever does counts as the requester.

use daypass_core::review::Voter;
use daypass_policy::{Decision, Policy};

use crate::office::{Office, ask, check, id, now, policy};
use crate::review::made_under;

const POLICY: &str = "version: 1
defaults: {settle: 1h}
people: {robots: {logins: [ci]}, leads: {group: leads}, security: {group: security}}
connectors: [{name: k, kind: x}]
resources:
  - {name: orders, kind: x, connector: k, labels: {env: p}, roles: {read: {}, write: {}, admin: {}, owner: {}}}
rules:
  - {name: alone, allow: robots, to: {env: p}, roles: [read], approval: none}
  - name: leads
    allow: robots
    to: {env: p}
    roles: [write]
    approval: [{from: leads, within: 30m, else: {escalate: security, within: 30m}}]
  - {name: managed, allow: robots, to: {env: p}, roles: [admin], approval: [{from: manager, within: 30m, else: deny}]}
  - {name: strict, allow: robots, to: {env: p}, roles: [owner], approval: [{from: leads, within: 30m, else: deny}]}
";

fn refused(policy: &Policy, office: &Office, question: &str) -> (String, String, String) {
    let Decision::Refused(refusal) = ask(policy, office, question) else {
        panic!("{question} is allowed")
    };
    (
        refusal.code.to_string(),
        refusal.what,
        refusal.hint.unwrap_or_default(),
    )
}

#[test]
fn who_has_nobody_to_answer_for_them_gets_nothing() {
    let policy = policy(POLICY);
    for (why, people) in [
        ("it has no owner", "ci service"),
        ("it has no owner", "ci service owner=nobody"),
        (
            "its owner bo is switched off",
            "ci service owner=bo\nbo leads off",
        ),
    ] {
        let (code, what, hint) = refused(&policy, &Office::new(people), "ci orders/read");
        assert_eq!(code, "orphaned");
        assert!(what.contains(why), "{what}");
        assert!(hint.contains("daypass service owner ci PERSON"), "{hint}");
    }
    // A program answers for nobody.
    let (code, ..) = refused(
        &policy,
        &Office::new("ci service owner=bot\nbot service owner=bo\nbo leads"),
        "ci orders/read",
    );
    assert_eq!(code, "orphaned");
    let cared = Office::new("ci service owner=bo\nbo leads");
    check(&policy, &cared, "ci orders/read", "alone: nobody; 1h of 4h");
}

#[test]
fn the_owner_does_not_fill_a_step() {
    let policy = policy(POLICY);
    let two = Office::new("ci service owner=bo\nbo leads\ncy leads\ndi security");
    check(
        &policy,
        &two,
        "ci orders/write",
        "leads: leads else security (cy); 1h of 4h",
    );
    // The only lead is the owner: those it escalates to are asked at once, and where there are none it is refused.
    let one = Office::new("ci service owner=bo\nbo leads\ndi security");
    check(
        &policy,
        &one,
        "ci orders/write",
        "leads: leads else security (di); 1h of 4h",
    );
    let (code, _, hint) = refused(&policy, &one, "ci orders/owner");
    assert_eq!(code, "no-reviewer");
    assert!(hint.contains("its owner does not review"), "{hint}");
}

#[test]
fn a_service_accounts_manager_is_its_owners() {
    let policy = policy(POLICY);
    let admin = "ci orders/admin";
    let managed = Office::new("ci service owner=bo\nbo leads manager=di\ndi security");
    check(&policy, &managed, admin, "managed: manager (di); 1h of 4h");
    for people in [
        // What an earlier version wrote down as its own manager means nothing.
        "ci service owner=bo manager=di\nbo leads\ndi security",
        // Nobody makes themselves the manager by way of another owner, or of the owner.
        "ci service new-owner=bo\nbo leads manager=di\ndi security",
        "ci service owner=bo\nbo leads new-manager=di\ndi security",
    ] {
        let (code, _, hint) = refused(&policy, &Office::new(people), admin);
        assert_eq!(code, "no-reviewer", "{people}");
        assert!(hint.contains("bo has no manager"), "{hint}");
    }
}

#[test]
fn who_answered_for_it_when_it_asked_and_who_does_now_review_nothing() {
    let policy = policy(POLICY);
    let then = Office::new("ci service owner=bo\nbo leads\ncy leads\ndi security\ned leads");
    let request = made_under(&policy, &then, "ci orders/write", "bo");
    let may = |office: &Office, login: &str| {
        let step = &request.path.steps[0];
        let answer = policy.may_review(&request, step, false, Voter::Would(id(login)), office, now());
        answer.err().map(|refusal| refusal.code.to_string())
    };
    let own = Some(String::from("own-request"));
    assert_eq!((may(&then, "bo"), may(&then, "cy")), (own.clone(), None));
    let now_cys = Office::new("ci service owner=cy\nbo leads\ncy leads\ndi security\ned leads");
    assert_eq!((may(&now_cys, "bo"), may(&now_cys, "cy")), (own.clone(), own));
    assert_eq!(may(&now_cys, "ed"), None);
    let waiting = policy.waiting_for(&request, &now_cys, now());
    assert_eq!(now_cys.logins(&waiting), ["ed"]);
    // With both of them out of the leads, nobody is left to be asked first.
    let few = Office::new("ci service owner=cy\nbo leads\ncy leads\ndi security");
    assert_eq!(few.logins(&policy.waiting_for(&request, &few, now())), ["di"]);
    assert_eq!(may(&few, "di"), None);
}

/// Who answered for it when it asked is as absent from its chain as one who asks: nobody speaks for them either.
#[test]
fn nobody_reviews_in_the_place_of_who_answered_for_it_when_it_asked() {
    let text = POLICY.replace("{settle: 1h}", "{settle: 1h, delegates: [leads, security]}");
    let policy = policy(&text);
    let then = Office::new("ci service owner=bo\nbo leads\ncy leads\ndi security\ned leads");
    let request = made_under(&policy, &then, "ci orders/write", "bo");
    // bo, who answered for it then, is away; so is ed, who has nothing to do with it.
    let later = |away: &str| {
        Office::new(&format!(
            "ci service owner=cy\nbo leads {}\ncy leads\ndi security\ned leads {}",
            if away == "bo" { "to=di" } else { "" },
            if away == "ed" { "to=di" } else { "" },
        ))
    };
    let may = |office: &Office| {
        let step = &request.path.steps[0];
        policy.may_review(&request, step, false, Voter::Would(id("di")), office, now())
    };
    assert_eq!(may(&later("ed")).unwrap(), Some(id("ed")));
    let refusal = may(&later("bo")).unwrap_err();
    assert_eq!(refusal.code.as_str(), "not-reviewer", "{refusal}");
    let waiting = policy.waiting_for(&request, &later("bo"), now());
    assert_eq!(then.logins(&waiting), ["ed"]);
}
