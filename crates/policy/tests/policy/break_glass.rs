//! Emergencies: only the explicit word reaches their rules, guardrails hold all the same, and somebody else looks back.

use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::request::{self, Request};
use daypass_core::review::Voter;
use daypass_core::text::Prose;
use daypass_policy::{Ask, Decision, Onlooker, Policy};

use crate::office::{Office, ask, check, id, items, load, now, policy};

const BASE: &str = "
version: 1
defaults: {duration: 1h, max: 4h, pending: 8h, reason: optional}
people:
  engineers: {group: engineering}
  sre: {group: sre}
  security: {group: security}
  oncall: {schedule: pagerduty/PDB42}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}}}
  - {name: reports, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}}}
guardrails: [{name: short, to: {resource: orders}, max: 20m}]
rules:
  - {name: prod, allow: [engineers, sre], to: {env: production}, roles: [read], approval: [{from: security}], max: 2h}
";

const GLASS: &str = "
  - name: emergency
    allow: sre
    to: {env: production}
    max: 30m
    break_glass: {page: oncall, review_by: security, within: 24h}
";

const PEOPLE: &str = "
    ana sre
    eve engineering
    cy security
    di security,sre
    mal security new
    bot security service
";

fn with(rest: &str) -> Policy {
    policy(&format!("{BASE}{rest}"))
}

fn office() -> Office {
    Office::new(PEOPLE)
}

#[test]
fn only_the_explicit_word_reaches_it_and_then_nothing_else() {
    let policy = with(GLASS);
    check(
        &policy,
        &office(),
        "!ana reports/read",
        "emergency: nobody; 30m of 30m; pages oncall, reviewed by security (cy, di) within 1d",
    );
    check(
        &policy,
        &office(),
        "ana reports/read",
        "prod: security (cy, di); 1h of 2h",
    );
    check(
        &policy,
        &office(),
        "ana orders/write",
        "not-eligible: no rule lets ana have orders/write
         hint: what may be asked for is orders/read; in an emergency: daypass break-glass orders/write --reason \"…\"; \
         no rule is about orders/write",
    );
    check(
        &policy,
        &office(),
        "!eve reports/read",
        "not-eligible: no rule for emergencies lets eve have reports/read
         hint: it can be asked for: daypass request reports/read; the rule emergency (policy.yaml:17) admits sre",
    );
    check(
        &policy,
        &office(),
        "eve orders/write",
        "not-eligible: no rule lets eve have orders/write
         hint: what may be asked for is orders/read; no rule is about orders/write",
    );
}

#[test]
fn guardrails_apply_and_the_limit_names_the_same_verb() {
    let policy = with(GLASS);
    check(
        &policy,
        &office(),
        "!ana orders/write",
        "emergency: nobody; 20m of 20m; pages oncall, reviewed by security (cy, di) within 1d",
    );
    check(
        &policy,
        &office(),
        "!ana orders/write 30m",
        "over-max: orders/write for 30m is over the limit of 20m (guardrail short, policy.yaml:13)
         hint: daypass break-glass orders/write --for 20m --reason \"…\"",
    );
}

#[test]
fn a_reason_is_always_required_and_more_time_is_asked_for() {
    let (policy, office) = (with(GLASS), office());
    let (who, items) = (id("ana"), items("reports/read"));
    let question = Ask {
        has_reason: false,
        break_glass: true,
        ..Ask::new(who, &items, now())
    };
    let code = |ask: &Ask<'_>| match policy.decide(ask, &office) {
        Decision::Refused(refusal) => refusal.code,
        Decision::Allowed(allowed) => panic!("{allowed:?}"),
    };
    assert_eq!(
        code(&question),
        Code::ReasonRequired,
        "though the defaults ask for none"
    );
    let extending = Ask {
        has_reason: true,
        extends: true,
        ..question
    };
    assert_eq!(code(&extending), Code::Invalid);
}

#[test]
fn that_nobody_can_look_back_today_keeps_nobody_out() {
    let policy = with(GLASS);
    let office = Office::new("ana sre,security\nmal security new");
    check(
        &policy,
        &office,
        "!ana reports/read",
        "emergency: nobody; 30m of 30m; pages oncall, reviewed by security () within 1d",
    );
}

fn made(policy: &Policy, office: &Office) -> Request {
    let Decision::Allowed(allowed) = ask(policy, office, "!ana reports/read") else {
        panic!("it is refused")
    };
    let asked = request::Ask {
        requester: id("ana"),
        items: items("reports/read"),
        duration: allowed.duration,
        start: None,
        extends: None,
        reason: Prose::new([0; 16], "it burns"),
        ticket: None,
        source: None,
        owner: None,
    };
    Request::new(RequestId::from_bytes([7; 10]), asked, allowed.path, now()).unwrap()
}

#[test]
fn who_looks_back_is_asked_settled_a_person_and_another() {
    let (policy, office) = (with(GLASS), office());
    let request = made(&policy, &office);
    let step = &request.path.break_glass.as_ref().unwrap().review;
    let may = |login| {
        let answer = policy.may_review(&request, step, false, Voter::Would(id(login)), &office, now());
        answer.map_err(|refusal| refusal.code)
    };
    assert_eq!(may("cy"), Ok(None));
    assert_eq!(
        may("di"),
        Ok(None),
        "in the set of who may break the glass too, and another"
    );
    assert_eq!(may("ana"), Err(Code::OwnRequest));
    assert_eq!(may("eve"), Err(Code::NotReviewer));
    assert_eq!(may("mal"), Err(Code::MayNotReview), "changed just now");
    // A group holds no service accounts, so it is not even asked.
    assert_eq!(may("bot"), Err(Code::NotReviewer));
}

#[test]
fn a_rule_that_stopped_being_for_emergencies_is_another_rule() {
    let office = office();
    let request = made(&with(GLASS), &office);
    let holds = |policy: &Policy| {
        policy
            .may_hold(&request, &office, now())
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(holds(&with(GLASS)), Ok(()));
    let asking = GLASS.replace(
        "break_glass: {page: oncall, review_by: security, within: 24h}",
        "approval: none",
    );
    assert_eq!(holds(&with(&asking)), Err(Code::NotEligible));
    assert_eq!(holds(&with("")), Err(Code::NotEligible));
}

#[test]
fn its_own_tests_ask_with_the_word() {
    let tests = "
tests:
  - {as: ana, in: [sre], break_glass: true, ask: orders/write, expect: {rule: emergency, steps: none, max: 20m, review_by: security}}
  - {as: ana, in: [sre], ask: orders/write, expect: {refused: not-eligible}}
  - {as: eve, in: [engineering], break_glass: true, ask: orders/write, expect: {refused: not-eligible}}
  - {as: ana, in: [sre], break_glass: true, ask: orders/write, expect: {review_by: sre}}
  - {as: ana, in: [sre], ask: orders/read, expect: {review_by: security}}
";
    let outcomes = with(&format!("{GLASS}{tests}")).run_tests();
    let passed: Vec<bool> = outcomes.iter().map(|outcome| outcome.passed).collect();
    assert_eq!(passed, [true, true, true, false, false], "{outcomes:#?}");
    assert_eq!(outcomes[3].question, "ana breaks the glass for orders/write");
    assert!(
        outcomes[3].got.ends_with("reviewed by security afterwards"),
        "{}",
        outcomes[3].got
    );
}

#[test]
fn what_cannot_be_meant_does_not_load() {
    let glass = |text: &str| GLASS.replace("{page: oncall, review_by: security, within: 24h}", text);
    for (rest, expect) in [
        (
            glass("{page: security, review_by: security}"),
            "needs the key \"within\"",
        ),
        (
            glass("{page: security, within: 24h}"),
            "needs the key \"review_by\"",
        ),
        (
            glass("{review_by: security, within: 24h}"),
            "needs the key \"page\"",
        ),
        (
            glass("{page: security, review_by: securty, within: 24h}"),
            "did you mean \"security\"?",
        ),
        (
            glass("{page: security, review_by: manager, within: 24h}"),
            "the manager may not be there",
        ),
        (
            glass("{page: security, review_by: oncall, within: 24h}"),
            "oncall is a schedule elsewhere",
        ),
        (
            glass("{page: security, review_by: security, within: 0s}"),
            "longer than nothing",
        ),
        (
            GLASS.replace("allow: sre", "allow: [sre, oncall]"),
            "oncall is a schedule elsewhere",
        ),
        (format!("{GLASS}    approval: none\n"), "not both"),
    ] {
        let found = load(&format!("{BASE}{rest}"))
            .err()
            .unwrap_or_else(|| panic!("{rest} loads"));
        let told = found.to_string();
        assert!(told.contains(expect), "{expect}: {told}");
        assert_eq!(found.all().len(), 1, "{told}");
    }
}

#[test]
fn the_catalogue_says_for_what_the_glass_may_be_broken() {
    let (policy, office) = (with(GLASS), office());
    let offered = |login: &str| -> Vec<String> {
        let offers = policy.catalogue(&Onlooker::new(id(login), now()), &office);
        let glass = offers.into_iter().filter(|offer| offer.break_glass);
        glass.map(|offer| offer.item.to_string()).collect()
    };
    assert_eq!(offered("ana"), ["orders/read", "orders/write", "reports/read"]);
    assert_eq!(offered("eve"), [""; 0]);
}

#[test]
fn a_change_of_it_is_shown() {
    let shorter = GLASS.replace("24h", "4h");
    let lines = Policy::diff(Some(&with(GLASS)), &with(&shorter));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("within 1d") && lines[0].contains("within 4h"),
        "{lines:?}"
    );
    let ordinary = with(&GLASS.replace(
        "break_glass: {page: oncall, review_by: security, within: 24h}",
        "approval: none",
    ));
    assert_eq!(
        Policy::diff(Some(&ordinary), &with(GLASS)).len(),
        1,
        "to an emergency rule is a change"
    );
}
