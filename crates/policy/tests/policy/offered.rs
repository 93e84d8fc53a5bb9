//! What the catalogue says is what the decision says: of whom asks and from where all is known, and of what a request may still
//! add it says that it depends on it.

use std::net::IpAddr;

use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Addition, Ask, Decision, Offer, Onlooker, Policy, Terms};

use crate::office::{Office, id, items, policy};

const BASE: &str = "version: 1
people: {engineers: {group: engineering}, leads: {group: leads}}
tickets: {change: \"CHG[0-9]{7}\"}
connectors: [{name: pg, kind: postgres}]
resources: [{name: web, kind: postgres, connector: pg, labels: {env: production}, roles: {ssh: {}}}]
environments: {prod: {resources: {env: production}, roles: {in: {postgres: ssh}}}}
";

fn now() -> Timestamp {
    "2026-03-07T12:00:00Z".parse().unwrap()
}

fn office() -> Office {
    Office::new("ana engineering\nbo leads\ncy leads")
}

/// The base with rules, each with this said of it besides.
fn with(rules: &[&str]) -> Policy {
    let rules = rules.iter().enumerate().map(|(number, more)| {
        format!("{{name: r{number}, allow: engineers, to: {{env: production}}, {more}}}")
    });
    policy(&format!(
        "{BASE}rules: [{}]\n",
        rules.collect::<Vec<_>>().join(", ")
    ))
}

/// The one role there is, as somebody sees it.
fn offered(policy: &Policy, onlooker: &Onlooker<'_>) -> Offer {
    let mut offers = policy.catalogue(onlooker, &office());
    assert_eq!(offers.len(), 1);
    let offer = offers.remove(0);
    // An environment that stands for the same says the same, but for its name in commands.
    let environments = policy.environments(onlooker, &office());
    let said = |terms: &Result<Terms, Refusal>| {
        let mut terms = terms.clone().map_err(|refusal| refusal.code);
        let depends = terms.as_mut().ok().and_then(|terms| terms.depends.as_mut());
        if let Some(hint) = depends.and_then(|depends| depends.hint.as_mut()) {
            *hint = hint.replace("env:prod/in", "web/ssh");
        }
        terms
    };
    assert_eq!(said(&environments[0].terms), said(&offer.terms));
    offer
}

fn ana() -> Onlooker<'static> {
    Onlooker::new(id("ana"), now())
}

/// On what it depends; `None` where it is refused.
fn depends(policy: &Policy) -> Option<Vec<&'static str>> {
    let terms = offered(policy, &ana()).terms.ok()?;
    let on = terms.depends.map(|depends| depends.on).unwrap_or_default();
    Some(on.into_iter().map(Addition::field).collect())
}

#[test]
fn what_a_request_may_still_add_is_not_held_against_anybody() {
    for (expression, expect) in [
        ("request.duration <= duration('20m')", Some(vec!["duration"])),
        ("duration('20m') >= request.duration", Some(vec!["duration"])),
        ("request.start > now", Some(vec!["start"])),
        ("request.ticket.startsWith('CHG')", Some(vec!["ticket"])),
        (
            "has(request.ticket) && request.ticket != ''",
            Some(vec!["ticket"]),
        ),
        (
            "request.ticket != '' || request.duration <= duration('20m')",
            Some(vec!["duration", "ticket"]),
        ),
        // It holds as it is asked by itself, for an hour from now on.
        ("request.duration <= duration('1h')", Some(vec![])),
        ("request.start <= now", Some(vec![])),
        // The rest decides alone, whatever is added.
        (
            "resource.role == 'read' && request.duration <= duration('20m')",
            None,
        ),
        (
            "request.duration <= duration('20m') && subject.kind == 'service'",
            None,
        ),
        (
            "resource.role == 'ssh' || request.duration <= duration('20m')",
            Some(vec![]),
        ),
        // That is for the verb to say, not for what is added to it.
        ("request.emergency", None),
        ("request.extends", None),
        // What cannot be told counts as not met.
        ("resource.labels.team == 'x'", None),
    ] {
        let policy = with(&[&format!("approval: none, when: {{if: \"{expression}\"}}")]);
        assert_eq!(depends(&policy), expect, "{expression}");
    }
}

#[test]
fn what_it_depends_on_is_told_with_the_rule() {
    let told = |more: &str| {
        let terms = offered(&with(&[more]), &ana()).terms.unwrap();
        terms.depends.map(|depends| depends.why).unwrap_or_default()
    };
    assert_eq!(
        told("approval: none, when: {if: \"request.duration <= duration('20m')\"}"),
        "the rule r0 (policy.yaml:7) gives access only where \"request.duration <= duration('20m')\" holds"
    );
    assert_eq!(
        told("approval: none, when: {ticket: change}"),
        "the rule r0 (policy.yaml:7) needs a ticket of the format change (CHG[0-9]{7})"
    );
    assert_eq!(told("approval: none"), "");
}

/// What is offered as dependent is had by a request that adds it, and not by one that does not.
#[test]
fn the_decision_agrees() {
    let policy = with(&["approval: none, when: {if: \"request.duration <= duration('20m')\"}"]);
    assert_eq!(depends(&policy), Some(vec!["duration"]));
    let asked = items("web/ssh");
    let decided = |duration| {
        let ask = Ask {
            duration,
            ..Ask::new(id("ana"), &asked, now())
        };
        policy.decide(&ask, &office())
    };
    assert!(matches!(decided(Some(Span::minutes(20))), Decision::Allowed(_)));
    let refused = |decision| match decision {
        Decision::Allowed(_) => None,
        Decision::Refused(refusal) => Some(refusal.code),
    };
    assert_eq!(refused(decided(None)), Some(Code::Condition));
    assert_eq!(refused(decided(Some(Span::minutes(21)))), Some(Code::Condition));
}

#[test]
fn what_fits_as_it_is_asked_goes_first() {
    let short = "approval: none, when: {if: \"request.duration <= duration('20m')\"}";
    let rule = |rules: &[&str]| {
        let terms = offered(&with(rules), &ana()).terms.unwrap();
        (terms.rule.to_string(), terms.depends.is_some())
    };
    assert_eq!(rule(&[short, "approval: none"]), ("r1".to_owned(), false));
    assert_eq!(
        rule(&["approval: [{from: leads}]", short]),
        ("r1".to_owned(), true),
        "what asks nobody goes first all the same"
    );
}

#[test]
fn from_where_it_is_asked_is_known() {
    let policy = with(&["approval: none, source: 10.0.0.0/8"]);
    let seen = |from: Option<&str>| {
        let from: Option<IpAddr> = from.map(|from| from.parse().unwrap());
        offered(&policy, &Onlooker { from, ..ana() })
            .terms
            .map_err(|refusal| refusal.code)
            .err()
    };
    assert_eq!(seen(Some("10.1.2.3")), None);
    assert_eq!(seen(Some("127.0.0.1")), Some(Code::Source));
    assert_eq!(
        seen(None),
        Some(Code::Source),
        "what is not certain is in no network"
    );
}

#[test]
fn whoever_cannot_prove_who_they_are_is_told_so() {
    let policy = with(&["approval: none, mfa: 10m"]);
    let seen = |confirmed| {
        offered(&policy, &Onlooker { confirmed, ..ana() })
            .terms
            .map_err(|refusal| refusal.code)
            .err()
    };
    assert_eq!(seen(Some(now())), None);
    assert_eq!(seen(None), Some(Code::MfaRequired));
}

/// A closed window, and rules that were used as often as they may be, are a matter of when; a denial just now is not, nor what
/// lies further ahead than anybody may ask.
#[test]
fn what_another_start_would_give_is_offered_with_that_start() {
    let windows =
        |days: &str| format!("windows: {{w: {{{days}, from: \"22:00\", to: \"23:30\", tz: UTC}}}}\n");
    let with = |windows: &str, more: &str| {
        policy(&format!(
            "{BASE}{windows}rules: [{{name: r0, allow: engineers, to: {{env: production}}, approval: none, {more}}}]\n"
        ))
    };
    let terms = offered(
        &with(&windows("days: [sat]"), "when: {window: w}, max: 4h"),
        &ana(),
    )
    .terms
    .unwrap();
    let depends = terms.depends.unwrap();
    assert_eq!(
        depends.on.iter().map(|on| on.field()).collect::<Vec<_>>(),
        ["start"]
    );
    assert!(depends.why.contains("which is not open now"), "{}", depends.why);
    let hint = depends.hint.unwrap();
    assert!(
        hint.ends_with("daypass request web/ssh --start 2026-03-07T22:00:00Z"),
        "{hint}"
    );
    assert_eq!(terms.max, Span::minutes(90), "no access outlives the window");
    // Open now, for a quarter of an hour yet.
    let late = Onlooker::new(id("ana"), "2026-03-07T23:15:00Z".parse().unwrap());
    let terms = offered(
        &with(&windows("days: [sat]"), "when: {window: w}, max: 4h"),
        &late,
    )
    .terms
    .unwrap();
    assert_eq!((terms.max, terms.depends), (Span::minutes(15), None));
    // And an environment says it by its own name.
    let policy = with(&windows("days: [sat]"), "when: {window: w}");
    let environments = policy.environments(&ana(), &office());
    let depends = environments[0].terms.clone().unwrap().depends.unwrap();
    assert!(
        depends
            .hint
            .unwrap()
            .contains("daypass request env:prod/in --start")
    );
    // What can be had now goes before what can be had later, though it asks somebody.
    let both =
        "rules: [{name: later, allow: engineers, to: {env: production}, approval: none, when: {window: w}},
        {name: now, allow: engineers, to: {env: production}, approval: [{from: leads}]}]\n";
    let both = crate::office::policy(&format!("{BASE}{}{both}", windows("days: [sat]")));
    let terms = offered(&both, &ana()).terms.unwrap();
    assert_eq!((terms.rule.as_str(), terms.depends), ("now", None));
}

/// Who may not read the policy is not sent to a line of it.
#[test]
fn where_a_condition_is_written_is_told_to_who_may_read_it() {
    let policy = with(&["approval: none, when: {if: \"subject.kind == 'service'\"}"]);
    let hint = |reads_policy| {
        let onlooker = Onlooker {
            reads_policy,
            ..ana()
        };
        offered(&policy, &onlooker).terms.unwrap_err().hint.unwrap()
    };
    assert_eq!(hint(true), "the condition is at policy.yaml:7");
    assert_eq!(hint(false), "an administrator can say more, or change the rule");
}

/// A start that has passed is refused by the decision itself, so that preview, explanation and enforcement say the same.
#[test]
fn nothing_begins_in_the_past() {
    let policy = with(&["approval: none"]);
    let asked = items("web/ssh");
    let begins = |start: Timestamp| {
        let ask = Ask {
            start: Some(start),
            ..Ask::new(id("ana"), &asked, now())
        };
        match policy.decide(&ask, &office()) {
            Decision::Allowed(_) => Ok(()),
            Decision::Refused(refusal) => Err(refusal),
        }
    };
    assert_eq!(begins(now() + Span::hours(2)), Ok(()));
    assert_eq!(begins(now() - Span::minutes(5)), Ok(()), "clocks differ a little");
    let refusal = begins(now() - Span::minutes(5) - Span::millis(1)).unwrap_err();
    assert_eq!(refusal.code, Code::Invalid);
    assert_eq!(
        refusal.what,
        "it cannot begin at 2026-03-07T11:54:59.999Z, which has passed"
    );
    assert!(
        refusal
            .hint
            .is_some_and(|hint| hint.contains("leave out the start"))
    );
    assert!(begins(Timestamp::EPOCH).is_err());
    assert_eq!(
        begins(Timestamp::MAX),
        Ok(()),
        "how far ahead is for the engine to say"
    );
}
