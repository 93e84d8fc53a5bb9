//! What is demanded beside approval: what is frozen, what the guardrails of the day make of it, and what does not load.

use daypass_core::demand::Recording;
use daypass_core::id::RequestId;
use daypass_core::request::{self, Request};
use daypass_core::review::Step;
use daypass_core::text::Prose;
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Ask, Decision, Policy};

use crate::office::{Office, check, id, items, load, now, policy};

const POLICY: &str = "
version: 1
people: {engineers: {group: engineering}, leads: {group: eng-leads}, security: {group: security}}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}}}
  - {name: users, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}}}
  - {name: ledger, kind: postgres, connector: pg, labels: {env: audited}, access: gateway, roles: {read: {}}}
guardrails:
  - {name: two, to: {env: production}, max: 4h}
  - {name: recorded, to: {env: audited}, max: 4h}
rules:
  - {name: one-step, allow: engineers, to: {env: production}, approval: [{from: leads, within: 30m}]}
  - {name: two-steps, allow: engineers, to: {env: production}, approval: [{from: leads}, {from: leads}], max: 8h}
  - {name: audited, allow: engineers, to: {env: audited}, approval: none}
  - {name: glass, allow: leads, to: {env: production}, break_glass: {page: security, review_by: security, within: 1h}}
";

const PEOPLE: &str = "
    ana engineering
    bo eng-leads
    cy eng-leads
    di security
    ed security
";

/// The policy with the two guardrails saying this as well.
fn with(two: &str, recorded: &str) -> Policy {
    let text = POLICY
        .replace(
            "{env: production}, max: 4h",
            &format!("{{env: production}}, max: 4h{two}"),
        )
        .replace(
            "{env: audited}, max: 4h",
            &format!("{{env: audited}}, max: 4h{recorded}"),
        );
    policy(&text)
}

fn made(policy: &Policy, who: &str, wanted: &str, break_glass: bool) -> Request {
    let (office, items) = (Office::new(PEOPLE), items(wanted));
    let ask = Ask {
        break_glass,
        confirmed: Some(now()),
        ..Ask::new(id(who), &items, now())
    };
    let allowed = match policy.decide(&ask, &office) {
        Decision::Allowed(allowed) => allowed,
        Decision::Refused(refusal) => panic!("{wanted}: {refusal}"),
    };
    let asked = request::Ask {
        requester: id(who),
        items,
        duration: allowed.duration,
        start: None,
        extends: None,
        reason: Prose::new([1; 16], "PAY-7"),
        ticket: None,
        source: None,
        owner: None,
    };
    Request::new(RequestId::from_bytes([1; 10]), asked, allowed.path, now()).unwrap()
}

/// `not-eligible: …`, or that it may be held.
fn held(policy: &Policy, request: &Request) -> String {
    match policy.may_hold(request, &Office::new(PEOPLE), now()) {
        Ok(()) => String::from("may be held"),
        Err(refusal) => format!("{}: {refusal}", refusal.code),
    }
}

const SECURITY: &str = ", steps: [{from: security, within: 30m, else: deny}]";

#[test]
fn the_choice_counts_the_steps_of_guardrails_and_an_emergency_has_none() {
    let office = Office::new(PEOPLE);
    let guarded = with(SECURITY, "");
    check(
        &guarded,
        &office,
        "ana orders/write",
        "one-step: leads (bo, cy) then security (di, ed); 1h of 4h; or two-steps",
    );
    check(
        &guarded,
        &office,
        "!bo orders/write",
        "glass: nobody; 1h of 4h; pages security, reviewed by security (di, ed) within 1h",
    );
    let request = made(&guarded, "ana", "orders/read+users/read", false);
    let names: Vec<Option<&str>> = request
        .path
        .steps
        .iter()
        .map(|step: &Step| step.guardrail.as_ref().map(|name| name.as_str()))
        .collect();
    assert_eq!(names, [None, Some("two")], "once for both items");
}

#[test]
fn a_step_that_nobody_can_fill_is_told_before() {
    let office = Office::new("ana engineering\nbo eng-leads\ncy eng-leads\ndi security");
    let guarded = with(", steps: [{from: security, count: 2}]", "");
    check(
        &guarded,
        &office,
        "ana orders/write",
        "no-reviewer: nobody can complete the approval that the rule one-step (policy.yaml:13) wants: step 2 asks for 2 of security, \
         and too few others remain who may review it
         hint: nobody reviews their own request, and one person counts once in the whole chain; \
         an administrator can add people to the groups that the rule asks",
    );
}

#[test]
fn what_demands_nothing_is_frozen_as_it_always_was() {
    let request = made(&with("", ""), "ana", "orders/write", false);
    let json = serde_json::to_value(&request.path).unwrap();
    let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["activation", "max", "pending", "policy", "rule", "steps"]);
    let mut keys: Vec<&str> = json["steps"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, ["count", "from", "silence", "within"]);
    let read: request::Path = serde_json::from_value(json).unwrap();
    assert_eq!(read, request.path);
}

#[test]
fn a_frozen_chain_must_have_what_the_guardrails_of_the_day_demand() {
    let before = made(&with("", ""), "ana", "orders/write", false);
    assert_eq!(
        held(&with(SECURITY, ""), &before),
        "not-eligible: the guardrail two demands the agreement of security as well; \
         this was asked for before that, without it"
    );
    // The rule's own step is not the guardrail's: both are wanted.
    let own = made(&with("", ""), "ana", "orders/write", false);
    let leads = with(", steps: [{from: leads, within: 30m}]", "");
    assert!(
        held(&leads, &own).starts_with("not-eligible"),
        "{}",
        held(&leads, &own)
    );

    let guarded = made(&with(SECURITY, ""), "ana", "orders/write", false);
    for (today, fits) in [
        (SECURITY, true),
        ("", true),
        // How long people have may change; whom it asks, how many, and whom silence brings in may not become more.
        (", steps: [{from: security, within: 10m}]", true),
        (
            ", steps: [{from: security, within: 10m, else: {escalate: leads, within: 5m}}]",
            true,
        ),
        (", steps: [{from: security, count: 2}]", false),
        (", steps: [{from: leads}]", false),
        (", steps: [{from: security}, {from: security}]", false),
        (", steps: [{from: security, mfa: 5m}]", false),
    ] {
        let told = held(&with(today, ""), &guarded);
        assert_eq!(told == "may be held", fits, "{today}: {told}");
    }
    let softer = made(
        &with(
            ", steps: [{from: security, else: {escalate: leads, within: 5m}}]",
            "",
        ),
        "ana",
        "orders/write",
        false,
    );
    assert!(held(&with(SECURITY, ""), &softer).starts_with("not-eligible"));
    // Nobody can be waited for in an emergency.
    let glass = made(&with("", ""), "bo", "orders/write", true);
    assert_eq!(held(&with(SECURITY, ""), &glass), "may be held");
}

#[test]
fn a_frozen_path_must_be_as_fresh_and_as_recorded_as_the_guardrails_of_the_day_demand() {
    let before = made(&with("", ""), "ana", "orders/write", false);
    let ten = made(&with(", mfa: 10m", ""), "ana", "orders/write", false);
    assert_eq!(ten.path.demands.mfa, Some(Span::minutes(10)));
    for (request, today, fits) in [
        (&before, ", mfa: 10m", false),
        (&ten, ", mfa: 10m", true),
        (&ten, ", mfa: 11m", true),
        (&ten, "", true),
        (&ten, ", mfa: 9m", false),
    ] {
        let told = held(&with(today, ""), request);
        assert_eq!(told == "may be held", fits, "{today}: {told}");
        assert!(
            !told.contains("mfa-required"),
            "a password now would not help: {told}"
        );
    }
    let glass = made(&with("", ""), "bo", "orders/write", true);
    assert!(held(&with(", mfa: 10m", ""), &glass).starts_with("not-eligible"));

    let before = made(&with("", ""), "ana", "ledger/read", false);
    let recorded = made(&with("", ", record: required"), "ana", "ledger/read", false);
    assert_eq!(recorded.path.demands.recording, Some(Recording::Required));
    assert_eq!(held(&with("", ", record: required"), &recorded), "may be held");
    assert_eq!(
        held(&with("", ", record: required"), &before),
        "recording: access to ledger/read must be recorded now; this was asked for before that, without it"
    );
    // And where it can be recorded no more.
    let text = POLICY.replace("access: gateway, ", "").replace(
        "{env: audited}, max: 4h",
        "{env: audited}, max: 4h, record: required",
    );
    let told = held(&policy(&text), &recorded);
    assert!(
        told.starts_with("recording: the guardrail recorded (policy.yaml:11)"),
        "{told}"
    );
}

#[test]
fn a_reviewer_proves_it_as_freshly_as_anything_demands() {
    let ask = |guard: &str, step: &str| {
        let text = POLICY
            .replace(
                "{env: production}, max: 4h",
                &format!("{{env: production}}, max: 4h{guard}"),
            )
            .replace(
                "{from: leads, within: 30m}",
                &format!("{{from: leads, within: 30m{step}}}"),
            );
        policy(&text)
    };
    for (frozen, step, today, minutes) in [
        ("", "", "", None),
        (", mfa: 10m", "", "", Some(10)),
        ("", ", mfa: 5m", "", Some(5)),
        (", mfa: 10m", ", mfa: 5m", "", Some(5)),
        (", mfa: 3m", ", mfa: 5m", "", Some(3)),
        ("", "", ", mfa: 7m", Some(7)),
        (", mfa: 10m", "", ", mfa: 7m", Some(7)),
    ] {
        let request = made(&ask(frozen, step), "ana", "orders/write", false);
        let policy = ask(today, step);
        let open = &request.path.steps[0];
        let told = |proved_at: Option<Timestamp>| policy.proved(&request, open, proved_at, now()).is_ok();
        let what = format!("{frozen} {step} {today}");
        let Some(minutes) = minutes else {
            assert!(told(None), "{what}");
            continue;
        };
        let within = Span::minutes(minutes);
        assert!(told(Some(now() - within + Span::from_micros(1))), "{what}");
        assert!(!told(Some(now() - within)), "{what}");
        assert!(!told(Some(now() - within - Span::seconds(1))), "{what}");
        assert!(!told(Some(now() + Span::seconds(1))), "{what}: from the future");
        assert!(!told(None), "{what}: by a token");
    }
}

#[track_caller]
fn mistake(from: &str, to: &str, expect: &str) {
    assert_eq!(POLICY.matches(from).count(), 1, "{from:?} is there once");
    let found = load(&POLICY.replace(from, to))
        .err()
        .map(|found| found.to_string());
    assert_eq!(found.as_deref(), Some(expect));
}

#[test]
fn what_contradicts_itself_does_not_load() {
    mistake(
        "connector: pg, labels: {env: production}, roles: {read: {}}}",
        "connector: pg, labels: {env: production}, access: direct, recording: required, roles: {read: {}}}",
        "policy.yaml:7:104: access to users must be recorded, and it is reached directly (at policy.yaml:7): nothing could record it; \
         write access: gateway, which is what records, or remove recording",
    );
    mistake(
        "{env: production}, max: 4h",
        "{env: production}, steps: [{from: security, within: 100m}]",
        "policy.yaml:13:12: the steps of the rule one-step and the guardrail two may take 2h10m, but a request lapses after 2h; \
         shorten them, or write defaults: {pending: 2h10m}",
    );
    mistake(
        "{env: production}, max: 4h",
        "{env: production}, steps: [{from: securty}]",
        "policy.yaml:10:55: there is no set of people securty; did you mean \"security\"?",
    );
    mistake(
        "{env: production}, max: 4h",
        "{env: production}, steps: []",
        "policy.yaml:10:47: the list of steps is empty; remove it",
    );
    mistake(
        "{env: audited}, approval: none",
        "{env: audited}, approval: none, notify: [\"slack:#x\"]",
        "policy.yaml:15:84: \"slack:#x\" in \"notify\" is not supported in this version; \
         name sets of people, such as notify: [security]; webhooks stand in server.yaml",
    );
    mistake(
        "{env: audited}, approval: none",
        "{env: audited}, approval: none, notify: nobody",
        "policy.yaml:15:83: there is no set of people nobody; known: engineers, leads, security",
    );
    mistake(
        "{env: audited}, approval: none",
        "{env: audited}, approval: none, notify: manager",
        "policy.yaml:15:83: \"notify\" names sets of people, and the manager is none; name a set of people",
    );
    mistake(
        "{env: audited}, approval: none",
        "{env: audited}, approval: none, agents: true",
        "policy.yaml:15:83: \"agents: true\" in a rule is not supported in this version; \
         remove it: a policy that says more than is done does not load",
    );
    for (from, to) in [
        ("{env: audited}, max: 4h", "{env: audited}, record: sometimes"),
        ("{env: audited}, max: 4h", "{env: audited}, mfa: 0s"),
        ("{env: audited}, max: 4h", "{env: audited}, mfa: often"),
        ("{env: audited}, max: 4h", "{env: audited}, steps: security"),
        ("access: gateway", "access: gateway, recording: always"),
        (
            "{from: leads, within: 30m}",
            "{from: leads, within: 30m, mfa: 0s}",
        ),
    ] {
        assert!(load(&POLICY.replace(from, to)).is_err(), "{to}");
    }
    assert!(load(&POLICY.replace("{env: audited}, max: 4h", "{env: audited}, mfa: 10m")).is_ok());
}
