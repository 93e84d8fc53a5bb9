//! A policy as a whole: its files, its revision, its places, what changed, what it offers, and its own tests.

use daypass_policy::{Access, Onlooker, Policy, Section};
use miette::Diagnostic as _;

use crate::office::{Office, check, id, now, policy, source};

const TARGETS: &str = "version: 1
connectors:
  - name: pg
    kind: postgres
    config:
      host: db
      admin: {user: daypass, password: {secret: pg-admin}}
resources:
  - name: orders
    kind: postgres
    connector: pg
    owner: leads
    access: gateway
    labels: {env: production}
    config: {database: orders, \"a/b~c\": [1, {x: 2}]}
    roles:
      read: {member_of: [pg_read_all_data]}
      write:
  - {name: notes, kind: postgres, connector: pg, roles: {read: {}}}
";

const PEOPLE: &str = "version: 1
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
";

const RULES: &str = "version: 1
rules:
  - {name: read, allow: engineers, to: {env: production}, roles: [read], approval: none, max: 2h}
  - {name: write, allow: engineers, to: {env: production}, roles: [write], approval: [{from: leads}], max: 1h}
tests:
  - {as: ana, in: [engineering], ask: orders/read, expect: {rule: read, steps: none, max: 2h}}
  - {as: ana, in: [engineering], ask: orders/write, for: 1h, expect: {steps: [leads]}}
  - {as: ana, in: [engineering], ask: orders/write, for: 2h, expect: {allowed: true}}
  - {as: ana, in: [engineering], ask: orders/write, expect: {steps: [{from: leads, count: 2}]}}
  - {as: eve, ask: [orders/read, orders/write], for: 1h, expect: {rule: read}}
";

fn files() -> Vec<daypass_policy::Source> {
    vec![
        source("b/rules.yaml", RULES),
        source("a/targets.yaml", TARGETS),
        source("a/people.yaml", PEOPLE),
    ]
}

fn loaded(files: &[daypass_policy::Source]) -> Policy {
    Policy::load(files).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn several_files_are_one_policy_in_the_order_of_their_names() {
    let policy = loaded(&files());
    let names: Vec<&str> = policy.sources().iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a/people.yaml", "a/targets.yaml", "b/rules.yaml"]);
    let mut turned = files();
    turned.reverse();
    assert_eq!(loaded(&turned).revision(), policy.revision());
    check(
        &policy,
        &Office::new("ana engineering\nbo eng-leads"),
        "ana orders/write 3h",
        "over-max: orders/write for 3h is over the limit of 1h (rule write, b/rules.yaml:4)
        hint: daypass request orders/write --for 1h --reason \"…\"",
    );
}

#[test]
fn the_revision_is_of_names_and_texts() {
    let of = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(name, text)| source(name, text)).collect();
        loaded(&files).revision()
    };
    let one = of(&[("a", "version: 1\n")]);
    assert_eq!(one, of(&[("a", "version: 1\n")]));
    assert_ne!(one, of(&[("a", "version: 1 \n")]));
    assert_ne!(one, of(&[("b", "version: 1\n")]));
    assert_ne!(
        of(&[("a", "version: 1\n"), ("b", "version: 1 \n")]),
        of(&[("a", "version: 1 \n"), ("b", "version: 1\n")])
    );
}

#[test]
fn files_are_there_and_named_once() {
    let found = Policy::load(&[]).unwrap_err();
    assert_eq!(found.all().len(), 1);
    let twice = [source("a", "version: 1\n"), source("a", "version: 1\n")];
    assert!(
        Policy::load(&twice)
            .unwrap_err()
            .to_string()
            .contains("have this name")
    );
    let defaults = [
        source("a", "version: 1\ndefaults: {max: 1h}\n"),
        source("b", "version: 1\ndefaults: {max: 9h}\n"),
    ];
    let found = Policy::load(&defaults).unwrap_err().to_string();
    assert_eq!(
        found,
        "b:2:12: the defaults are there twice; the first are at a:2"
    );
}

/// A file that cannot be read is told alone: what it may have declared is not called missing.
#[test]
fn a_file_that_cannot_be_read_causes_no_further_complaints() {
    let mut files = files();
    files[1].text.push_str("  - {name: [\n");
    let found = Policy::load(&files).unwrap_err();
    assert_eq!(found.all().len(), 1, "{found}");
    assert_eq!(found.all()[0].location.file, "a/targets.yaml");
}

#[test]
fn parts_of_a_configuration_are_found_by_their_pointer() {
    let policy = loaded(&files());
    let find = |section, pointer| policy.locate(section, pointer).to_string();
    assert_eq!(find(Section::Connector("pg"), "/host"), "a/targets.yaml:6:13");
    assert_eq!(
        find(Section::Connector("pg"), "/admin/password/secret"),
        "a/targets.yaml:7:49"
    );
    assert_eq!(
        find(Section::Connector("pg"), "/admin/port"),
        "a/targets.yaml:7:14",
        "missing"
    );
    assert_eq!(
        find(Section::Resource("orders"), "/a~1b~0c/1/x"),
        "a/targets.yaml:15:49"
    );
    assert_eq!(
        find(Section::Role("orders", "read"), "/member_of/0"),
        "a/targets.yaml:17:26"
    );
    assert_eq!(
        find(Section::Role("orders", "write"), "/member_of"),
        "a/targets.yaml:18:7"
    );
    assert_eq!(find(Section::Resource("none"), ""), "a/people.yaml:1:1");
    let wrong = policy.diagnostic(Section::Connector("pg"), "/host", "the host does not resolve");
    let wrong = policy.refuse(vec![wrong]).unwrap();
    assert_eq!(
        wrong.to_string(),
        "a/targets.yaml:6:13: the host does not resolve"
    );
    assert!(policy.refuse(Vec::new()).is_none());
}

#[test]
fn configurations_are_handed_on_as_they_are() {
    let policy = loaded(&files());
    let orders = policy.resource("orders").unwrap();
    assert_eq!(orders.access, Access::Gateway);
    assert_eq!(orders.environment().unwrap().as_str(), "production");
    assert_eq!(
        orders.config,
        serde_json::json!({"database": "orders", "a/b~c": [1, {"x": 2}]})
    );
    assert_eq!(orders.roles["write"].config, serde_json::json!({}));
    assert_eq!(policy.connector("pg").unwrap().config["host"], "db");
    assert_eq!(
        (
            policy.resources().len(),
            policy.connectors().len(),
            policy.tests()
        ),
        (2, 1, 5)
    );
    assert!(policy.resource("none").is_none() && policy.connector("none").is_none());
}

#[test]
fn the_policys_own_tests_are_told_with_what_came() {
    let told: Vec<String> = loaded(&files())
        .run_tests()
        .into_iter()
        .map(|one| {
            let mark = if one.passed { "✓" } else { "✗" };
            let Some((got, _)) = one.got.split_once(" (") else {
                return format!(
                    "{mark} {:#}: {}: {} / {}",
                    one.location, one.question, one.expected, one.got
                );
            };
            format!(
                "{mark} {:#}: {}: {} / {got}",
                one.location, one.question, one.expected
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "✓ b/rules.yaml:6: ana asks for orders/read: allowed, rule read, steps [], max 2h / allowed, rule read, steps [], max 2h",
            "✓ b/rules.yaml:7: ana asks for orders/write for 1h: allowed, steps [leads] / allowed, rule write, steps [leads], max 1h",
            "✗ b/rules.yaml:8: ana asks for orders/write for 2h: allowed / refused: over-max",
            "✗ b/rules.yaml:9: ana asks for orders/write: allowed, steps [2 of leads] / allowed, rule write, steps [leads], max 1h",
            "✗ b/rules.yaml:10: eve asks for orders/read and orders/write for 1h: allowed, rule read / refused: not-eligible",
        ]
    );
}

#[test]
fn the_catalogue_says_what_it_takes_or_why_not() {
    let policy = loaded(&files());
    let told = |office: &Office, who: &str| -> Vec<String> {
        policy
            .catalogue(&Onlooker::new(id(who), now()), office)
            .into_iter()
            .map(|offer| match &offer.terms {
                Ok(terms) if terms.is_instant() => {
                    format!("{} instant, {} of {}", offer.item, terms.duration, terms.max)
                }
                Ok(terms) => format!(
                    "{} {} step by {}, {}",
                    offer.item,
                    terms.steps.len(),
                    terms.rule,
                    terms.max
                ),
                Err(refusal) => format!("{} {}, owner {:?}", offer.item, refusal.code, offer.owner),
            })
            .collect()
    };
    let office = Office::new("ana engineering\nbo eng-leads\neve marketing");
    assert_eq!(
        told(&office, "ana"),
        [
            "notes/read not-eligible, owner None",
            "orders/read instant, 1h of 2h",
            "orders/write 1 step by write, 1h"
        ]
    );
    assert_eq!(
        told(&office, "eve")[1],
        "orders/read not-eligible, owner Some(\"leads\")"
    );
    let unled = Office::new("ana engineering");
    assert_eq!(
        told(&unled, "ana")[2],
        "orders/write no-reviewer, owner Some(\"leads\")"
    );
}

#[test]
fn what_changed_is_told_in_lines() {
    let before = loaded(&files());
    assert!(Policy::diff(Some(&before), &before).is_empty());
    let first = Policy::diff(None, &before);
    assert_eq!(
        first[..3],
        ["+ people engineers", "+ people leads", "+ connector pg"]
    );
    let mut files = files();
    files[0].text = RULES
        .replace("approval: [{from: leads}], max: 1h", "approval: none, max: 3h")
        .replace("name: read,", "name: look,")
        .replace("rule: read", "rule: look");
    files[1].text = TARGETS
        .replace("host: db", "host: 10.0.0.9")
        .replace("[pg_read_all_data]", "[pg_write_all_data]")
        .replace("env: production", "env: production, team: shop");
    files[2].text = PEOPLE
        .replace("group: eng-leads", "logins: [bo]")
        .replace("version: 1", "version: 1\ndefaults: {settle: 0s}");
    assert_eq!(
        Policy::diff(Some(&before), &loaded(&files)),
        [
            "~ defaults: settle 1d → 0s",
            "~ people leads: who group eng-leads → logins bo",
            "~ connector pg: config changed",
            "~ resource orders: labels {env: production} → {env: production, team: shop}",
            "~ role orders/read: config changed",
            "+ rule look",
            "- rule read",
            "~ rule write: approval leads → none, max 1h → 3h",
        ]
    );
}

/// What an administrator drops or loosens is told to those who are asked to agree to it, whichever field it is.
#[test]
fn no_field_of_a_guardrail_or_of_the_defaults_goes_unsaid() {
    let head = "version: 1\ndefaults: {settle: 12h}\npeople: {leads: {group: leads}}\n";
    let with = |guardrail: &str| {
        let text = format!("{head}guardrails: [{{name: floor{guardrail}}}]\n");
        loaded(&[source("policy.yaml", &text)])
    };
    let all = ", max: 1h, max_total: 8h/24h, mfa: 10m, record: required, steps: [{from: leads}]";
    let parts = [
        ("max: 1h", "max 1h → nothing"),
        ("max_total: 8h/24h", "max_total 8h/1d → nothing"),
        ("mfa: 10m", "mfa 10m → nothing"),
        ("record: required", "record required → nothing"),
        ("steps: [{from: leads}]", "steps leads → nothing"),
    ];
    for (part, told) in parts {
        let less = all.replace(&format!(", {part}"), "");
        assert_eq!(
            Policy::diff(Some(&with(all)), &with(&less)),
            [format!("~ guardrail floor: {told}")]
        );
    }
    let usual = loaded(&[source("policy.yaml", "version: 1\n")]);
    let none = loaded(&[source(
        "policy.yaml",
        "version: 1\ndefaults: {settle: 0s, cool_down: 0s}\n",
    )]);
    let told = Policy::diff(Some(&usual), &none);
    assert_eq!(told, ["~ defaults: cool_down 5m → 0s, settle 1d → 0s"]);
    let told = Policy::diff(None, &none);
    assert_eq!(
        told,
        ["~ defaults: cool_down 5m → 0s, settle 1d → 0s"],
        "a first policy too"
    );
}

#[test]
fn a_diagnostic_shows_the_text_around_it() {
    let found = Policy::load(&[source("db.yaml", "version: 1\nrulez: []\n")]).unwrap_err();
    let report = &found.reports()[0];
    let label = report.labels().unwrap().next().unwrap();
    let shown = report
        .source_code()
        .unwrap()
        .read_span(label.inner(), 0, 0)
        .unwrap();
    assert_eq!(shown.name(), Some("db.yaml"));
    assert_eq!(std::str::from_utf8(shown.data()).unwrap().trim(), "rulez");
    assert_eq!(report.help().unwrap().to_string(), "did you mean \"rules\"?");
    let json = serde_json::to_value(&found.all()[0]).unwrap();
    assert_eq!(
        json["location"],
        serde_json::json!({"file": "db.yaml", "line": 2, "column": 1})
    );
}

/// The server shares one policy between its threads.
#[test]
fn a_policy_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Policy>();
    shared::<daypass_policy::Diagnostics>();
}

/// An empty policy is sound: nobody may have anything.
#[test]
fn an_empty_policy_gives_nothing() {
    let policy = policy("version: 1\n");
    assert!(
        policy
            .catalogue(&Onlooker::new(id("ana"), now()), &Office::new("ana x"))
            .is_empty()
    );
    check(
        &policy,
        &Office::new("ana x"),
        "ana orders/read",
        "unknown-resource: there is no resource orders
        hint: daypass ls shows what there is",
    );
}
