//! Environments: what they stand for, what of them does not load, and how a refusal of one reads.

use std::collections::BTreeSet;

use daypass_core::environment::{EnvironmentRole, Wanted};
use daypass_core::id::GrantId;
use daypass_core::name::Item;
use daypass_core::past::{Held, Past, Time};
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_policy::{Ask, Decision, Onlooker, Policy};

use crate::office::{Office, id, items, load, now, policy};

const POLICY: &str = "version: 1
people: {engineers: {group: engineering}, leads: {group: eng-leads}, sre: {group: sre}}
connectors: [{name: pg, kind: postgres}, {name: run, kind: command}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: staging}, roles: {read: {}, write: {}}}
  - {name: users, kind: postgres, connector: pg, labels: {env: staging}, roles: {read: {}}}
  - {name: queue, kind: command, connector: run, labels: {env: staging}, roles: {operator: {}}}
  - {name: vault, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}}}
environments:
  staging: {resources: {env: staging}, roles: {debug: {postgres: read, command: operator}, look: {postgres: read}}}
  everything: {resources: {env: [staging, production]}, roles: {look: {postgres: read}}}
guardrails: [{name: users-are-short, to: {resource: users}, max: 30m}]
rules:
  - {name: staging, allow: engineers, to: {env: staging}, approval: [{from: leads}], max: 4h}
  - {name: vault, allow: engineers, to: {resource: vault}, approval: [{from: leads}]}
  - {name: emergency, allow: sre, to: {env: staging}, break_glass: {page: leads, review_by: leads, within: 1h}}
tests:
  - {as: ana, in: [engineering], ask: env:staging/debug, expect: {rule: staging, steps: [leads], max: 30m}}
  - {as: ana, in: [engineering], ask: env:staging/debug, for: 1h, expect: {refused: over-max}}
  - {as: ana, in: [engineering], ask: [env:staging/look, orders/write], expect: {rule: staging}}
  - {as: ana, in: [engineering], ask: env:everything/look, expect: {refused: no-common-rule}}
  - {as: ana, in: [engineering], ask: env:stagin/debug, expect: {refused: unknown-resource}}
  - {as: ana, in: [engineering], ask: env:staging/root, expect: {refused: unknown-role}}
  - {as: sam, in: [sre], break_glass: true, ask: env:staging/debug, expect: {rule: emergency}}
";

fn named(text: &str) -> EnvironmentRole {
    match text.parse() {
        Ok(Wanted::Environment(role)) => role,
        other => panic!("{text}: {other:?}"),
    }
}

fn office() -> Office {
    Office::new("ana engineering\nbo eng-leads\neve marketing\nsam sre")
}

/// What somebody is answered who asks for the role of an environment and perhaps for more.
fn answer(policy: &Policy, who: &str, environment: &str, besides: &[&str]) -> Decision {
    let environments = [named(environment)];
    let mut items = policy.expand(&environments).unwrap();
    items.extend(besides.iter().map(|item| item.parse::<Item>().unwrap()));
    let ask = Ask {
        environments: &environments,
        ..Ask::new(id(who), &items, now())
    };
    policy.decide(&ask, &office())
}

#[track_caller]
fn refusal(decision: Decision) -> (Code, String, String) {
    match decision {
        Decision::Refused(refusal) => (refusal.code, refusal.what, refusal.hint.unwrap_or_default()),
        Decision::Allowed(allowed) => panic!("allowed by {}", allowed.path.rule),
    }
}

#[test]
fn the_policys_own_tests_ask_for_environments() {
    let outcomes = policy(POLICY).run_tests();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(outcomes.len(), 7);
    assert_eq!(outcomes[0].question, "ana asks for env:staging/debug");
    assert_eq!(
        outcomes[2].question,
        "ana asks for env:staging/look and orders/write"
    );
}

#[test]
fn it_stands_for_a_role_of_each_resource_whose_kind_it_names() {
    let policy = policy(POLICY);
    let expand = |texts: &[&str]| {
        let environments: Vec<EnvironmentRole> = texts.iter().map(|text| named(text)).collect();
        policy.expand(&environments)
    };
    assert_eq!(
        expand(&["env:staging/debug"]).unwrap(),
        items("orders/read+users/read+queue/operator")
    );
    assert_eq!(
        expand(&["env:staging/look"]).unwrap(),
        items("orders/read+users/read"),
        "a kind that the role does not name is left out"
    );
    assert_eq!(
        expand(&["env:staging/look", "env:everything/look"]).unwrap(),
        items("orders/read+users/read+vault/read")
    );
    assert_eq!(expand(&[]).unwrap(), BTreeSet::new());
    let unknown = expand(&["env:stagin/debug"]).unwrap_err();
    assert_eq!(unknown.what, "there is no environment stagin");
    assert_eq!(unknown.hint.as_deref(), Some("did you mean \"staging\"?"));
    let unknown = expand(&["env:staging/debgu"]).unwrap_err();
    assert_eq!(unknown.what, "the environment staging has no role debgu");
    assert_eq!(unknown.hint.as_deref(), Some("did you mean \"debug\"?"));
}

#[test]
fn a_refusal_names_the_environment_and_what_stands_in_the_way() {
    let policy = policy(POLICY);
    let (code, what, _) = refusal(answer(&policy, "sam", "env:staging/look", &[]));
    assert_eq!(code, Code::NotEligible);
    assert_eq!(
        what,
        "env:staging/look (orders/read, users/read): no rule lets sam have orders/read"
    );
    let (code, what, _) = refusal(answer(&policy, "ana", "env:everything/look", &[]));
    assert_eq!(code, Code::NoCommonRule);
    assert_eq!(
        what,
        "env:everything/look (orders/read, users/read, vault/read): no single rule covers orders/read and users/read and \
         vault/read together; one rule must fit every item"
    );
    let environments = [named("env:staging/look")];
    let items = items("orders/read+orders/write+users/read");
    let ask = Ask {
        environments: &environments,
        duration: Some(daypass_core::time::Span::hours(1)),
        ..Ask::new(id("ana"), &items, now())
    };
    let (code, what, hint) = refusal(policy.decide(&ask, &office()));
    assert_eq!(code, Code::OverMax);
    assert!(
        what.ends_with("one rule must fit every item, and in the way stands users/read"),
        "{what}"
    );
    assert!(
        hint.starts_with("daypass request env:staging/look orders/write --for 30m"),
        "{hint}"
    );
}

#[test]
fn the_catalogue_lists_each_role_with_what_it_takes() {
    let policy = policy(POLICY);
    let offers = policy.environments(&Onlooker::new(id("ana"), now()), &office());
    let told: Vec<_> = offers
        .iter()
        .map(|offer| {
            let terms = offer.terms.as_ref().map(|terms| terms.rule.to_string());
            let terms = terms.map_err(|refusal| refusal.code);
            (
                offer.role.to_string(),
                offer.items.len(),
                terms,
                offer.break_glass,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("env:staging/debug".into(), 3, Ok("staging".into()), false),
            ("env:staging/look".into(), 2, Ok("staging".into()), false),
            ("env:everything/look".into(), 3, Err(Code::NoCommonRule), false),
        ]
    );
    let sams = policy.environments(&Onlooker::new(id("sam"), now()), &office());
    assert_eq!(sams[0].terms.as_ref().unwrap_err().code, Code::NotEligible);
    assert!(sams[0].break_glass);
}

/// The diagnostics of a policy with this section of environments.
fn mistakes(environments: &str) -> String {
    let (before, rest) = POLICY.split_once("environments:").unwrap();
    let (_, after) = rest.split_once("guardrails:").unwrap();
    let (after, _) = after.split_once("tests:").unwrap();
    let text = format!("{before}environments:\n  {environments}\nguardrails:{after}");
    match load(&text) {
        Ok(_) => String::new(),
        Err(found) => found.to_string(),
    }
}

#[test]
fn what_it_cannot_stand_for_does_not_load() {
    for (environments, told) in [
        (
            "staging: {resources: {env: staging}, roles: {debug: {postgres: write}}}",
            "policy.yaml:10:66: env:staging/debug stands for the role write, which is missing from users; there is read",
        ),
        (
            "staging: {resources: {env: staging}, roles: {debug: {postgres: reed}}}",
            "policy.yaml:10:66: env:staging/debug stands for the role reed, which is missing from orders, users; \
             did you mean \"read\"?",
        ),
        (
            "live: {resources: {env: production}, roles: {debug: {command: operator}}}",
            "policy.yaml:10:48: env:live/debug stands for nothing; what the environment selects is of kind postgres",
        ),
        (
            "staging: {resources: {env: staging}, roles: {debug: {postgers: read}}}",
            "policy.yaml:10:56: env:staging/debug names the kind postgers, which no resource has; did you mean \"postgres\"?",
        ),
        (
            "staging: {resources: {env: stagin}, roles: {debug: {postgres: read}}}",
            "policy.yaml:10:30: the environment staging selects env: stagin, which no resource has; did you mean \"staging\"?",
        ),
        (
            "staging: {resources: {}, roles: {debug: {postgres: read}}}",
            "this selects everything, without saying so",
        ),
        (
            "staging: {resources: {env: staging}, roles: {}}",
            "\"roles\" stands for nothing",
        ),
        (
            "staging: {resources: {env: staging}, roles: {debug: {}}}",
            "the role debug stands for nothing",
        ),
        (
            "staging: {resources: {env: staging}, roles: {debug: {postgres: [read, write]}}}",
            "\"postgres\" must be one value; this is a list",
        ),
        (
            "staging: {roles: {debug: {postgres: read}}}",
            "an environment needs the key \"resources\"",
        ),
        (
            "staging: {resources: {env: staging}, roles: {debug: {postgres: read}}, approval: none}",
            "unknown key \"approval\" in an environment",
        ),
        (
            "\"st aging\": {resources: {env: staging}, roles: {debug: {postgres: read}}}",
            "is not a name",
        ),
        (
            "\"env:x\": {resources: {env: staging}, roles: {debug: {postgres: read}}}",
            "is not a name",
        ),
        (
            "staging: nothing",
            "an environment must be a map of keys; this is text",
        ),
    ] {
        let found = mistakes(environments);
        assert!(found.contains(told), "{environments}\n{found}");
    }
    let whole = "staging: {resources: {env: staging}, roles: {debug: {postgres: read, command: operator}}}";
    assert_eq!(mistakes(whole), "");
}

#[test]
fn a_name_is_one_environment_over_all_files() {
    let more =
        "version: 1\nenvironments: {staging: {resources: {env: staging}, roles: {x: {postgres: read}}}}\n";
    let sources = [
        crate::office::source("a.yaml", POLICY),
        crate::office::source("b.yaml", more),
    ];
    let found = Policy::load(&sources).unwrap_err().to_string();
    assert!(
        found.contains("the environment staging is there twice"),
        "{found}"
    );
}

#[test]
fn a_change_of_an_environment_is_told() {
    let old = policy(POLICY);
    let new = policy(&POLICY.replace(
        "look: {postgres: read}}}\n  every",
        "look: {postgres: read, command: operator}}}\n  every",
    ));
    assert_eq!(
        Policy::diff(Some(&old), &new),
        [
            "~ environment staging: roles debug: postgres read, command operator; look: postgres read → debug: postgres read, \
             command operator; look: postgres read, command operator"
        ]
    );
}

#[test]
fn an_environment_whose_limit_is_spent_is_offered_from_when_on_it_is_not() {
    let policy = policy(&POLICY.replace(
        "guardrails: [",
        "guardrails: [{name: little, to: {resource: users}, max_total: 1h/24h}, ",
    ));
    let held = Held {
        grant: GrantId::from_bytes([1; 10]),
        resources: BTreeSet::from(["users".parse().unwrap()]),
        time: Time::Begun {
            from: now() - Span::hours(2),
            until: now() - Span::hours(1),
        },
    };
    let past = Past {
        held: vec![held],
        ..Past::nothing().clone()
    };
    let looks = |past: &Past| {
        let onlooker = Onlooker {
            past,
            ..Onlooker::new(id("ana"), now())
        };
        let mut offers = policy.environments(&onlooker, &office()).into_iter();
        offers
            .find(|offer| offer.role == named("env:staging/look"))
            .unwrap()
            .terms
    };
    assert!(looks(Past::nothing()).is_ok());
    let depends = looks(&past).unwrap().depends.unwrap();
    assert!(depends.why.contains("nothing of that is left"), "{}", depends.why);
    let again = "daypass request env:staging/look --start 2026-03-08T10:00:00Z";
    assert!(
        depends.hint.unwrap().ends_with(again),
        "by the name that it is asked for"
    );
}
