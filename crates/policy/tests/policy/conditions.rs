//! What must hold besides: how mistakes in it are told, and that what was agreed to is looked at again.

use daypass_core::id::RequestId;
use daypass_core::request::{Ask as Asked, Request};
use daypass_core::text::Prose;
use daypass_core::time::Timestamp;
use daypass_policy::{Ask, Decision, Onlooker, Policy};

use crate::office::{Office, id, items, load, policy};

const BASE: &str = "version: 1
people: {engineers: {group: engineering}, oncall: {schedule: pagerduty/PDB42}}
connectors: [{name: pg, kind: postgres}]
resources: [{name: web, kind: postgres, connector: pg, labels: {env: production}, roles: {ssh: {}, read: {}}}]
";

/// All that is told of the base with this at its end; lines count from there.
#[track_caller]
fn refused(more: &str, expect: &str) {
    let found = match load(&format!("{BASE}{more}")) {
        Ok(_) => String::from("nothing is wrong"),
        Err(found) => found.to_string(),
    };
    let expect: Vec<&str> = expect.trim().lines().map(str::trim).collect();
    assert_eq!(found, expect.join("\n"), "{more}");
}

/// A rule with this said of it besides.
fn rule(more: &str) -> String {
    format!("rules: [{{name: r, allow: engineers, to: {{env: production}}, approval: none, {more}}}]\n")
}

#[test]
fn mistakes_in_a_window_are_told_where_they_stand() {
    for (window, expect) in [
        (
            "{days: [sat], from: \"22:00\", to: \"23:30\", tz: Europe/Madird}",
            "policy.yaml:5:60: there is no time zone \"Europe/Madird\"; did you mean \"Europe/Madrid\"?",
        ),
        (
            "{days: [sta], from: \"22:00\", to: \"23:30\", tz: UTC}",
            "policy.yaml:5:22: \"sta\" is no day; did you mean \"sat\"?",
        ),
        (
            "{days: [saturday], from: \"22:00\", to: \"23:30\", tz: UTC}",
            "policy.yaml:5:22: \"saturday\" is no day; the days are mon, tue, wed, thu, fri, sat, sun",
        ),
        (
            "{day: [sat], from: \"22:00\", to: \"23:30\", tz: UTC}",
            "policy.yaml:5:15: unknown key \"day\" in a window; did you mean \"days\"?",
        ),
        (
            "{from: 10pm, to: \"25:00\", tz: UTC}",
            "policy.yaml:5:21: from: \"10pm\" is no time of day; write it as \"22:00\"
             policy.yaml:5:31: to: \"25:00\" is no time of day; write it as \"22:00\"",
        ),
        (
            "{from: \"10:00\", to: \"10:00\", tz: UTC}",
            "policy.yaml:5:15: this window ends when it begins; for a whole day write {from: \"00:00\", to: \"24:00\"}",
        ),
        (
            "{from: \"24:00\", to: \"00:00\", tz: UTC}",
            "policy.yaml:5:21: no window begins when the day is over; write \"00:00\", and the day after",
        ),
        (
            "{from: \"24:00\", to: \"06:00\", tz: UTC}",
            "policy.yaml:5:21: no window begins when the day is over; write \"00:00\", and the day after",
        ),
        (
            "{from: \"10:00\", to: \"11:00\"}",
            "policy.yaml:5:15: a window needs the key \"tz\"",
        ),
        (
            "{days: [], from: \"10:00\", to: \"11:00\", tz: UTC}",
            "policy.yaml:5:21: \"days\" is empty; without \"days\" it is every day",
        ),
    ] {
        refused(&format!("windows: {{w: {window}}}\n"), expect);
    }
    refused(
        "windows: [w]\n",
        "policy.yaml:5:10: \"windows\" must be a map of names to windows; this is a list",
    );
    let whole = "windows: {w: {from: \"00:00\", to: \"24:00\", tz: UTC}}\n";
    refused(
        &format!("{whole}{}", rule("when: {window: w}")),
        "nothing is wrong",
    );
}

#[test]
fn a_window_that_is_named_is_declared() {
    let windows = "windows: {patching: {from: \"01:00\", to: \"02:00\", tz: UTC}}\n";
    refused(
        &format!("{windows}{}", rule("when: {window: [patching, paching]}")),
        "policy.yaml:6:102: there is no window paching; did you mean \"patching\"?",
    );
    refused(
        &format!("{windows}guardrails: [{{name: g, forbid: {{window: night}}}}]\n"),
        "policy.yaml:6:41: there is no window night; known: patching",
    );
    refused(
        &rule("when: {window: night}"),
        "policy.yaml:5:91: there is no window night; none is declared",
    );
    refused(
        "guardrails: [{name: g}]\n",
        "policy.yaml:5:15: this guardrail guards nothing; it may have max, max_total, forbid, steps, mfa, record",
    );
    refused(
        &format!("{windows}guardrails: [{{name: g, forbid: {{windows: patching}}}}]\n"),
        "policy.yaml:6:33: unknown key \"windows\" in forbid; did you mean \"window\"?",
    );
    refused(
        &rule("when: {}"),
        "policy.yaml:5:82: this asks for nothing; it may have window, ticket, uses, if, incident, oncall, risk",
    );
}

#[test]
fn mistakes_in_a_ticket_format_are_told_where_they_stand() {
    refused(
        "tickets: {jira: \"[A-Z\"}\n",
        "policy.yaml:5:17: \"[A-Z\" is no pattern: unclosed character class; \
         it is a regular expression for the whole name, such as \"[A-Z]+-[0-9]+\"",
    );
    refused(
        "tickets: {required: \"x\"}\n",
        "policy.yaml:5:11: no ticket format may be called required; \"required\" means a ticket of any format; call it something else",
    );
    refused(
        &format!("tickets: {{jira: \"x\"}}\n{}", rule("when: {ticket: jria}")),
        "policy.yaml:6:91: there is no ticket format jria; did you mean \"jira\"?",
    );
    refused(
        &rule("when: {ticket: []}"),
        "policy.yaml:5:91: \"ticket\" is empty; name at least one",
    );
    refused(
        "tickets: [x]\n",
        "policy.yaml:5:10: \"tickets\" must be a map of names to patterns; this is a list",
    );
}

#[test]
fn mistakes_in_an_expression_are_told_where_they_stand() {
    refused(
        &rule("when: {if: \"subjct.login == 'ana'\"}"),
        "policy.yaml:5:88: if: there is no variable \"subjct\"; did you mean \"subject\"?",
    );
    refused(
        &rule("when: {if: \"true && request.duration > 5\"}"),
        "policy.yaml:5:113: if: a length of time and a whole number cannot be compared",
    );
    refused(
        &rule("when: {if: request.ticket}"),
        "policy.yaml:5:94: if: an expression says true or false; this is text",
    );
    // In a block of several lines the place is that of the block.
    refused(
        "rules:\n  - name: r\n    allow: engineers\n    to: {env: production}\n    approval: none\n    when:\n      if: |\n        true &&\n        resource.nmae == 'x'\n",
        "policy.yaml:12:9: if: a resource has no \"nmae\"; did you mean \"name\"?",
    );
    refused(
        &rule("when: {if: [true]}"),
        "policy.yaml:5:87: \"if\" must be an expression such as \"request.duration <= duration('1h')\"; this is a list",
    );
    refused(&rule("when: {if: true}"), "nothing is wrong");
}

#[test]
fn mistakes_in_a_source_are_told_where_they_stand() {
    for (source, expect) in [
        (
            "source: 203.0.113.7",
            "policy.yaml:5:84: 203.0.113.7 is an address, no network; write 203.0.113.7/32",
        ),
        (
            "source: [my-ip, 10.0.0.1/8]",
            "policy.yaml:5:92: 10.0.0.1/8 has bits beyond its length; write 10.0.0.0/8",
        ),
        (
            "source: my_ip",
            "policy.yaml:5:84: \"my_ip\" is no network; write it as 203.0.113.0/24 or 2001:db8::/32, or my-ip",
        ),
        (
            "source: 0.0.0.0/0",
            "policy.yaml:5:84: these networks are every address there is; where that is meant, write anywhere: true beside it",
        ),
        (
            "source: [\"::/0\", my-ip]",
            "policy.yaml:5:84: these networks are every address there is; where that is meant, write anywhere: true beside it",
        ),
        (
            "source: [0.0.0.0/1, 128.0.0.0/1]",
            "policy.yaml:5:84: these networks are every address there is; where that is meant, write anywhere: true beside it",
        ),
        (
            "source: 10.0.0.0/8, anywhere: true",
            "policy.yaml:5:106: \"anywhere\" says that the source is everywhere, and it is not; remove it",
        ),
        (
            "anywhere: true",
            "policy.yaml:5:86: \"anywhere\" says that the source may be everywhere, and there is none; \
             without \"source\" nothing is asked of the address",
        ),
        (
            "source: 0.0.0.0/0, anywhere: yes",
            "policy.yaml:5:105: \"anywhere\" can only be true; leave it out where access is not for every address there is",
        ),
        (
            "source: []",
            "policy.yaml:5:84: \"source\" is empty; name a network, or my-ip",
        ),
        ("source: [{}]", "policy.yaml:5:85: \"source\" names networks"),
        ("source: [0.0.0.0/0], anywhere: true", "nothing is wrong"),
    ] {
        refused(&rule(source), expect);
    }
}

/// The address is kept with the request, and looked at again.
#[test]
fn what_was_asked_from_is_held_to_its_source() {
    let office = Office::new("ana engineering");
    let near = policy(&format!("{BASE}{}", rule("source: 203.0.113.0/24")));
    let now = at("2026-03-07T12:00:00Z");
    let items = items("web/ssh");
    let ask = Ask {
        from: Some("203.0.113.9".parse().unwrap()),
        ..Ask::new(id("ana"), &items, now)
    };
    let Decision::Allowed(allowed) = near.decide(&ask, &office) else {
        panic!("{:?}", near.decide(&ask, &office))
    };
    assert!(allowed.by_source);
    let free = policy(&format!("{BASE}{}", rule("max: 2h")));
    let mut request = made(&free, &office, None, now);
    let told = "2026-03-07T12:00:00Z";
    assert_eq!(code(&free, &request, told), None);
    let refused = Some(String::from("source"));
    assert_eq!(code(&near, &request, told), refused, "no address was kept");
    request.ask.source = Some(Prose::new([1; 16], "203.0.113.9"));
    assert_eq!(code(&near, &request, told), None);
    let far = policy(&format!("{BASE}{}", rule("source: 198.51.100.0/24")));
    assert_eq!(code(&far, &request, told), refused);
}

#[test]
fn conditions_that_come_later_are_read_strictly_too() {
    refused(
        &rule("when: {incident: opne, risk: tiny, oncall: [a]}"),
        "policy.yaml:5:93: \"incident\" cannot be \"opne\"; did you mean \"open\"?
         policy.yaml:5:105: \"risk\" cannot be \"tiny\"; it can be low, medium, high
         policy.yaml:5:119: \"oncall\" must be one value; this is a list",
    );
    refused(
        &rule("when: {incdent: open}"),
        "policy.yaml:5:83: unknown key \"incdent\" in when; did you mean \"incident\"?",
    );
    refused(
        &rule("when: {incident: open, risk: low, oncall: x}"),
        "nothing is wrong",
    );
    let glass = "{name: g, allow: engineers, to: {env: production}, when: {incident: open}, \
                 break_glass: {page: engineers, review_by: engineers, within: 1h}}";
    refused(
        &format!("rules: [{glass}]\n"),
        "policy.yaml:5:16: whether the glass may be broken must be known here, and incident: open is known elsewhere; remove the condition",
    );
}

/// The catalogue takes a ticket as given: it says what may be asked for, and by which rule.
#[test]
fn the_catalogue_shows_what_a_ticket_opens() {
    let policy = policy(&format!("{BASE}{}", rule("when: {ticket: required}")));
    let office = Office::new("ana engineering");
    let now = at("2026-03-07T12:00:00Z");
    let offers = policy.catalogue(&Onlooker::new(id("ana"), now), &office);
    assert!(offers.iter().all(|offer| offer.terms.is_ok()), "{offers:?}");
    let items = items("web/ssh");
    for (ticket, expect) in [
        (None, false),
        (Some(" "), false),
        (Some("anything"), true),
        (Some(&*"x".repeat(200)), false),
    ] {
        let ask = Ask {
            ticket,
            ..Ask::new(id("ana"), &items, now)
        };
        let allowed = matches!(policy.decide(&ask, &office), Decision::Allowed(_));
        assert_eq!(allowed, expect, "{ticket:?}");
    }
}

/// Likewise where an expression is about it; what an expression says besides is looked at when somebody asks.
#[test]
fn the_catalogue_does_not_refuse_for_a_ticket_that_can_still_be_named() {
    let office = Office::new("ana engineering");
    for (text, expect) in [
        ("request.ticket.startsWith('X')", true),
        ("request.emergency", false),
    ] {
        let policy = policy(&format!("{BASE}{}", rule(&format!("when: {{if: \"{text}\"}}"))));
        let offers = policy.catalogue(&Onlooker::new(id("ana"), at("2026-03-07T12:00:00Z")), &office);
        assert!(
            offers.iter().all(|offer| offer.terms.is_ok() == expect),
            "{offers:?}"
        );
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A request of ana for an hour of `web/ssh`, as a policy answers it.
fn made(policy: &Policy, office: &Office, start: Option<Timestamp>, now: Timestamp) -> Request {
    let items = items("web/ssh");
    let ask = Ask {
        start,
        ..Ask::new(id("ana"), &items, now)
    };
    let Decision::Allowed(allowed) = policy.decide(&ask, office) else {
        panic!("{:?}", policy.decide(&ask, office))
    };
    let ask = Asked {
        requester: id("ana"),
        items: items.clone(),
        duration: allowed.duration,
        start,
        extends: None,
        reason: Prose::new([0; 16], "why"),
        ticket: None,
        source: None,
        owner: None,
    };
    Request::new(RequestId::from_bytes([1; 10]), ask, allowed.path, now).unwrap()
}

/// The code of what stands in the way of a request now.
fn code(policy: &Policy, request: &Request, now: &str) -> Option<String> {
    let office = Office::new("ana engineering");
    let held = policy.may_hold(request, &office, at(now));
    held.err().map(|refusal| refusal.code.to_string())
}

/// The frozen end holds, the window must still be open, and a later policy may not be outlived.
#[test]
fn what_was_agreed_to_is_held_to_its_window() {
    let windows = "windows: {night: {from: \"22:00\", to: \"23:00\", tz: UTC}, dawn: {from: \"22:30\", to: \"23:30\", tz: UTC}}\n";
    let nightly = policy(&format!("{BASE}{windows}{}", rule("when: {window: night}")));
    let office = Office::new("ana engineering");
    let request = made(&nightly, &office, None, at("2026-03-07T22:10:00Z"));
    assert_eq!(request.path.ends_by, Some(at("2026-03-07T23:00:00Z")));
    assert_eq!(code(&nightly, &request, "2026-03-07T22:59:59Z"), None);
    let closed = Some(String::from("window"));
    assert_eq!(code(&nightly, &request, "2026-03-07T23:00:00Z"), closed);
    // The next night it is open again; what was asked for was last night's.
    assert_eq!(code(&nightly, &request, "2026-03-08T22:10:00Z"), closed);
    // Asked ahead, it is the start that counts.
    let ahead = made(
        &nightly,
        &office,
        Some(at("2026-03-08T22:15:00Z")),
        at("2026-03-07T12:00:00Z"),
    );
    assert_eq!(ahead.path.ends_by, Some(at("2026-03-08T23:00:00Z")));
    assert_eq!(code(&nightly, &ahead, "2026-03-07T13:00:00Z"), None);
    assert_eq!(code(&nightly, &ahead, "2026-03-08T22:20:00Z"), None);
    assert_eq!(code(&nightly, &ahead, "2026-03-08T23:00:00Z"), closed);
    // A rule that names another window by now: what is frozen is earlier, and holds.
    let later = policy(&format!("{BASE}{windows}{}", rule("when: {window: dawn}")));
    assert_eq!(code(&later, &request, "2026-03-07T22:40:00Z"), None);
    assert_eq!(code(&later, &request, "2026-03-07T22:20:00Z"), closed);
    // One that closes earlier by now: it could be outlived.
    let shorter = windows.replace("23:00", "22:50");
    let shorter = policy(&format!("{BASE}{shorter}{}", rule("when: {window: night}")));
    assert_eq!(code(&shorter, &request, "2026-03-07T22:20:00Z"), closed);
}

/// What comes with a later policy is not outlived either.
#[test]
fn a_window_that_is_forbidden_since_counts_where_it_could_be_reached() {
    let office = Office::new("ana engineering");
    let closed = Some(String::from("window"));
    let guarded = |hours: &str| {
        policy(&format!(
            "{BASE}windows: {{quiet: {{{hours}, tz: UTC}}}}\nguardrails: [{{name: g, forbid: {{window: quiet}}}}]\n{}",
            rule("max: 2h")
        ))
    };
    let free = policy(&format!("{BASE}{}", rule("max: 2h")));
    let request = made(&free, &office, None, at("2026-03-07T10:00:00Z"));
    assert_eq!(request.path.ends_by, None);
    assert_eq!(
        code(
            &guarded("from: \"12:00\", to: \"13:00\""),
            &request,
            "2026-03-07T10:05:00Z"
        ),
        None
    );
    assert_eq!(
        code(
            &guarded("from: \"11:00\", to: \"13:00\""),
            &request,
            "2026-03-07T10:05:00Z"
        ),
        closed
    );
    let mut extension = request;
    extension.ask.extends = Some(daypass_core::id::GrantId::from_bytes([2; 10]));
    assert_eq!(
        code(
            &guarded("from: \"12:00\", to: \"13:00\""),
            &extension,
            "2026-03-07T10:05:00Z"
        ),
        closed
    );
    assert_eq!(
        code(
            &guarded("from: \"18:00\", to: \"19:00\""),
            &extension,
            "2026-03-07T10:05:00Z"
        ),
        None
    );
}

/// Around the end of time nothing can be told of a window: what needs one is refused, and so is what one forbids.
#[test]
fn what_cannot_be_evaluated_refuses() {
    let windows = "windows: {w: {from: \"22:00\", to: \"23:00\", tz: UTC}}\n";
    let office = Office::new("ana engineering");
    for more in [
        rule("when: {window: w}"),
        format!(
            "guardrails: [{{name: g, forbid: {{window: w}}}}]\n{}",
            rule("max: 1h")
        ),
    ] {
        let policy = policy(&format!("{BASE}{windows}{more}"));
        let items = items("web/ssh");
        let Decision::Refused(refusal) = policy.decide(&Ask::new(id("ana"), &items, Timestamp::MAX), &office)
        else {
            panic!("{more}")
        };
        assert_eq!(refusal.code.as_str(), "window", "{}", refusal.what);
    }
}

#[test]
fn a_test_names_a_ticket_that_a_request_could_name() {
    let test = |ticket: &str| {
        let ask = format!(
            "{{as: ana, in: [engineering], ask: web/ssh, ticket: \"{ticket}\", expect: {{allowed: true}}}}"
        );
        format!("{}tests: [{ask}]\n", rule("when: {ticket: required}"))
    };
    refused(&test("PAY-7"), "nothing is wrong");
    refused(
        &test(&"a".repeat(129)),
        "policy.yaml:6:60: the ticket has 129 bytes; at most 128 are taken; no request can name it",
    );
    refused(
        &test("PAY\\t7"),
        "policy.yaml:6:60: the ticket holds the character U+0009, which nobody sees; no request can name it",
    );
}
