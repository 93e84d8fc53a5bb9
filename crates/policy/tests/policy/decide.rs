//! What is decided: one rule is a whole path, guardrails only tighten, the least demanding chain is taken, the rest is refused
//! with what would help.

use std::collections::BTreeSet;

use daypass_core::time::Span;
use daypass_policy::{Ask, Decision, Policy};

use crate::office::{Office, ask, check, id, items, now, policy};

const BASE: &str = "
version: 1
defaults: {duration: 1h, max: 4h, pending: 8h}
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
  security: {group: security}
  sre: {group: sre}
  oncall: {schedule: pagerduty/PDB42}
  robots: {logins: [ci-bot]}
connectors:
  - {name: pg, kind: postgres, config: {host: db}}
resources:
  - {name: orders, kind: postgres, connector: pg, owner: leads, labels: {env: production, team: payments}, roles: {read: {}, write: {}, admin: {}}}
  - {name: reports, kind: postgres, connector: pg, labels: {env: production, team: data}, roles: {read: {}, write: {}}}
  - {name: sandbox, kind: postgres, connector: pg, labels: {env: staging}, roles: {read: {}, write: {}}}
";

const PEOPLE: &str = "
    ana engineering manager=bo
    bo eng-leads
    cy security
    di security,eng-leads
    eve marketing
    solo engineering
    ci-bot engineering service owner=eve
    gone engineering off
";

fn with(rest: &str) -> Policy {
    policy(&format!("{BASE}{rest}"))
}

fn office() -> Office {
    Office::new(PEOPLE)
}

const WRITE: &str = "
rules:
  - name: prod-write
    allow: engineers
    to: {env: production}
    roles: [write]
    approval:
      - {from: manager, within: 15m, else: {escalate: leads, within: 15m}}
      - {from: security, within: 30m, else: deny}
    max: 2h
";

#[test]
fn a_rule_is_a_complete_path() {
    let policy = with(WRITE);
    let write = "prod-write: manager else leads (bo) then security (cy, di);";
    check(
        &policy,
        &office(),
        "ana orders/write",
        &format!("{write} 1h of 2h"),
    );
    check(
        &policy,
        &office(),
        "ana orders/write 2h",
        &format!("{write} 2h of 2h"),
    );
    check(
        &policy,
        &office(),
        "ana orders/write+reports/write 90m",
        &format!("{write} 1h30m of 2h"),
    );
}

#[test]
fn what_is_too_long_names_the_rule_and_the_command_that_works() {
    check(
        &with(WRITE),
        &office(),
        "ana orders/write 3h",
        "over-max: orders/write for 3h is over the limit of 2h (rule prod-write, policy.yaml:19)
        hint: daypass request orders/write --for 2h --reason \"…\"",
    );
}

#[test]
fn what_nobody_may_have_names_the_owner_and_what_would_pass() {
    let policy = with(WRITE);
    check(
        &policy,
        &office(),
        "eve orders/write",
        "not-eligible: no rule lets eve have orders/write
        hint: the rule prod-write (policy.yaml:19) admits engineers (group engineering); orders belongs to leads (group eng-leads)",
    );
    check(
        &policy,
        &office(),
        "ana orders/admin",
        "not-eligible: no rule lets ana have orders/admin
        hint: what may be asked for is orders/write; no rule is about orders/admin; orders belongs to leads (group eng-leads)",
    );
    check(
        &policy,
        &office(),
        "gone orders/write",
        "not-eligible: the account gone is switched off
        hint: an administrator can switch it on",
    );
    check(
        &policy,
        &office(),
        "nobody orders/write",
        "unknown-person: there is no such person
        hint: none",
    );
}

#[test]
fn what_does_not_exist_is_told_with_the_nearest_name() {
    let policy = with(WRITE);
    check(
        &policy,
        &office(),
        "ana order/write",
        "unknown-resource: there is no resource order
        hint: did you mean \"orders\"?",
    );
    check(
        &policy,
        &office(),
        "ana orders/wriet",
        "unknown-role: orders has no role wriet
        hint: did you mean \"write\"?",
    );
    check(
        &policy,
        &office(),
        "ana orders/superuser",
        "unknown-role: orders has no role superuser
        hint: it has admin, read, write",
    );
}

#[test]
fn guardrails_shorten_each_rule_before_one_is_chosen() {
    let policy = with(
        "
guardrails:
  - {name: everywhere, max: 3h}
  - {name: payments-short, to: {team: payments}, max: 30m}
rules:
  - {name: any, allow: engineers, to: {env: [production, staging]}, approval: none, max: 8h}
",
    );
    check(&policy, &office(), "ana sandbox/read", "any: nobody; 1h of 3h");
    check(&policy, &office(), "ana orders/read", "any: nobody; 30m of 30m");
    check(
        &policy,
        &office(),
        "ana orders/read+sandbox/read",
        "any: nobody; 30m of 30m",
    );
    check(
        &policy,
        &office(),
        "ana orders/read 31m",
        "over-max: orders/read for 31m is over the limit of 30m (guardrail payments-short, policy.yaml:20)
        hint: daypass request orders/read --for 30m --reason \"…\"",
    );
}

#[test]
fn the_least_demanding_chain_is_taken_and_the_others_are_told() {
    let policy = with("
rules:
  - {name: two-steps, allow: engineers, to: {resource: orders}, max: 4h, approval: [{from: leads}, {from: security}]}
  - {name: two-people, allow: engineers, to: {resource: orders}, max: 3h, approval: [{from: leads, count: 2}]}
  - {name: one, allow: engineers, to: {resource: orders}, max: 2h, approval: [{from: leads}]}
  - {name: another, allow: engineers, to: {resource: orders}, max: 2h, approval: [{from: security}]}
  - {name: instant, allow: engineers, to: {resource: orders}, max: 1h, approval: none}
");
    let office = office();
    for (length, expect) in [
        (
            "1h",
            "instant: nobody; 1h of 1h; or one, another, two-people, two-steps",
        ),
        (
            "2h",
            "one: leads (bo, di); 2h of 2h; or another, two-people, two-steps",
        ),
        ("3h", "two-people: 2 of leads (bo, di); 3h of 3h; or two-steps"),
        ("4h", "two-steps: leads (bo, di) then security (cy, di); 4h of 4h"),
    ] {
        check(&policy, &office, &format!("ana orders/read {length}"), expect);
    }
    check(
        &policy,
        &office,
        "ana orders/read 5h",
        "over-max: orders/read for 5h is over the limit of 4h (rule two-steps, policy.yaml:19)
        hint: daypass request orders/read --for 4h --reason \"…\"",
    );
}

#[test]
fn rules_are_never_merged() {
    // The one rule is long and demanding, the other short and easy: no answer is long and easy.
    let policy = with("
rules:
  - {name: long, allow: engineers, to: {resource: orders}, roles: [read], max: 4h, approval: [{from: security}]}
  - {name: easy, allow: engineers, to: {resource: reports}, roles: [read], max: 4h, approval: none}
");
    check(
        &policy,
        &office(),
        "ana orders/read+reports/read",
        "no-common-rule: no single rule covers orders/read and reports/read together
        hint: daypass request orders/read; daypass request reports/read",
    );
}

#[test]
fn a_chain_that_nobody_can_complete_is_refused_at_once() {
    let policy = with("
rules:
  - {name: by-manager, allow: engineers, to: {resource: orders}, roles: [read], approval: [{from: manager}]}
  - {name: twice, allow: engineers, to: {resource: orders}, roles: [write], approval: [{from: security, count: 2}, {from: leads, count: 2}]}
  - {name: watch, allow: engineers, to: {resource: orders}, roles: [admin], approval: [{from: oncall}]}
");
    check(
        &policy,
        &office(),
        "solo orders/read",
        "no-reviewer: nobody can complete the approval that the rule by-manager (policy.yaml:19) wants: step 1 asks the \
         requester's manager, and too few others remain who may review it
        hint: solo has no manager in the directory; an administrator can enter one",
    );
    // di is in both groups and counts once.
    let Decision::Refused(refusal) = ask(&policy, &office(), "ana orders/write") else {
        panic!("three people cannot be four")
    };
    assert!(
        refusal.what.contains("step 2 asks for 2 of leads"),
        "{}",
        refusal.what
    );
    let Decision::Refused(refusal) = ask(&policy, &office(), "ana orders/admin") else {
        panic!("a schedule that nobody reads has nobody in it")
    };
    assert!(
        refusal
            .what
            .contains("oncall (schedule pagerduty/PDB42, which this version cannot read: nobody is in it)"),
        "{}",
        refusal.what
    );
}

#[test]
fn the_requester_is_none_of_the_reviewers() {
    let policy = with(
        "
rules:
  - {name: own, allow: leads, to: {resource: orders}, roles: [read], approval: [{from: leads, count: 1}]}
  - {name: own-two, allow: leads, to: {resource: orders}, roles: [write], approval: [{from: leads, count: 2}]}
",
    );
    check(&policy, &office(), "bo orders/read", "own: leads (di); 1h of 4h");
    let Decision::Refused(refusal) = ask(&policy, &office(), "bo orders/write") else {
        panic!("bo and di are two leads, and bo asks")
    };
    assert_eq!(refusal.code.as_str(), "no-reviewer");
    // Somebody who is their own manager has none.
    let alone = Office::new("ana engineering manager=ana\ncy security\nbo eng-leads");
    check(
        &with(WRITE),
        &alone,
        "ana orders/write",
        "prod-write: manager else leads (bo) then security (cy); 1h of 2h",
    );
}

#[test]
fn accounts_that_changed_lately_do_not_count_as_reviewers() {
    let policy = with(
        "
rules:
  - {name: secured, allow: engineers, to: {resource: orders}, approval: [{from: security}]}
",
    );
    let puppets = Office::new("ana engineering\nmallory security new");
    check(
        &policy,
        &puppets,
        "ana orders/read",
        "no-reviewer: nobody can complete the approval that the rule secured (policy.yaml:19) wants: step 1 asks \
         security, and too few others remain who may review it
        hint: accounts that changed less than 1d ago may not review; the first of them may from 2026-03-08T12:00:00Z",
    );
    // Who asks need not have settled: that would lock a newcomer out.
    let newcomer = Office::new("ana engineering new\ncy security");
    check(
        &policy,
        &newcomer,
        "ana orders/read",
        "secured: security (cy); 1h of 4h",
    );
}

#[test]
fn who_was_just_made_a_manager_does_not_approve_at_once() {
    let policy = with(
        "
rules:
  - {name: managed, allow: engineers, to: {resource: orders}, approval: [{from: manager}]}
",
    );
    let settled = Office::new("ana engineering manager=bo\nbo staff");
    check(
        &policy,
        &settled,
        "ana orders/read",
        "managed: manager (bo); 1h of 4h",
    );
    let grabbed = Office::new("ana engineering new-manager=root\nroot staff");
    let refused = ask(&policy, &grabbed, "ana orders/read");
    assert!(
        matches!(&refused, Decision::Refused(refusal) if refusal.code.as_str() == "no-reviewer"),
        "{refused:?}"
    );
}

#[test]
fn service_accounts_are_admitted_only_where_they_are_named() {
    let policy = with(
        "
rules:
  - {name: people, allow: engineers, to: {resource: orders}, roles: [read], approval: none}
  - {name: machines, allow: robots, to: {resource: orders}, roles: [write], approval: none}
",
    );
    check(&policy, &office(), "ana orders/read", "people: nobody; 1h of 4h");
    check(
        &policy,
        &office(),
        "ci-bot orders/write",
        "machines: nobody; 1h of 4h",
    );
    let Decision::Refused(refusal) = ask(&policy, &office(), "ci-bot orders/read") else {
        panic!("a group admits no service account")
    };
    assert!(
        refusal
            .hint
            .unwrap()
            .contains("only by a set of logins that names it")
    );
}

#[test]
fn a_reason_is_required_unless_the_policy_says_otherwise() {
    let text = "
rules:
  - {name: easy, allow: engineers, to: {resource: orders}, approval: none}
";
    let items = items("orders/read");
    let ask = Ask {
        has_reason: false,
        ..Ask::new(id("ana"), &items, now())
    };
    let Decision::Refused(refusal) = with(text).decide(&ask, &office()) else {
        panic!("no reason was given")
    };
    assert_eq!(refusal.code.as_str(), "reason-required");
    let optional = policy(&format!("{BASE}{text}").replace("defaults: {", "defaults: {reason: optional, "));
    assert!(matches!(optional.decide(&ask, &office()), Decision::Allowed(_)));
}

#[test]
fn nothing_and_no_time_are_refused() {
    let policy = with(WRITE);
    check(
        &policy,
        &office(),
        "ana orders/write 0s",
        "invalid: nothing can be granted for 0s
        hint: none",
    );
    let nothing = BTreeSet::new();
    let ask = Ask::new(id("ana"), &nothing, now());
    let Decision::Refused(refusal) = policy.decide(&ask, &office()) else {
        panic!("nothing was asked for")
    };
    assert_eq!(refusal.code.as_str(), "invalid");
}

#[test]
fn more_than_a_thousand_roles_are_too_many_for_one_request() {
    let policy = with(WRITE);
    let decided = |count: u32| {
        let items = (0..count).map(|number| format!("orders/r{number}").parse().unwrap());
        let items = items.collect();
        match policy.decide(&Ask::new(id("ana"), &items, now()), &office()) {
            Decision::Refused(refusal) => refusal.code.as_str(),
            Decision::Allowed(_) => "allowed",
        }
    };
    assert_eq!(decided(1_000), "unknown-role");
    assert_eq!(decided(1_001), "invalid");
}

#[test]
fn a_ticket_is_repeated_in_a_hint_only_where_a_shell_reads_it_as_it_stands() {
    let policy = with(WRITE);
    let items = items("orders/write");
    for (ticket, repeated) in [
        ("PAY-7", true),
        ("PAY-7; rm -rf /", false),
        ("$(id)", false),
        ("-x", false),
    ] {
        let ask = Ask {
            duration: Some("3h".parse().unwrap()),
            ticket: Some(ticket),
            ..Ask::new(id("ana"), &items, now())
        };
        let Decision::Refused(refusal) = policy.decide(&ask, &office()) else {
            panic!("too long")
        };
        assert_eq!(refusal.hint.unwrap().contains(ticket), repeated, "{ticket}");
    }
}

/// What was had already counts against the total.
#[test]
fn the_hint_of_an_extension_that_is_too_long_says_what_is_left() {
    let policy = policy(
        "version: 1
people: {a: {group: a}}
connectors: [{name: k, kind: x}]
resources: [{name: one, kind: x, connector: k, roles: {r: {}}}]
rules: [{name: p, allow: a, to: {resource: one}, approval: none, max: 2h}]
",
    );
    let office = Office::new("ana a");
    let items = items("one/r");
    for (since, deadline, hint) in [
        (1, 0, "extend it by at most 1h"),
        (2, 0, "ask for it anew: daypass request one/r"),
        (0, 1, "extend it by at most 1h"),
    ] {
        let ask = Ask {
            duration: Some(Span::hours(3)),
            extends: true,
            since: Some(now() - Span::hours(since)),
            deadline: Some(now() + Span::hours(deadline)),
            ..Ask::new(id("ana"), &items, now())
        };
        let Decision::Refused(refusal) = policy.decide(&ask, &office) else {
            panic!("3h of at most 2h")
        };
        assert_eq!(refusal.hint.as_deref(), Some(hint));
    }
}
