//! Which sets of people are too small for what the rules ask of them.

use daypass_policy::{Lack, Membership};

use crate::office::{Office, now, policy};

const POLICY: &str = "
version: 1
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
  security: {group: security}
  sre: {group: sre}
  db-oncall: {schedule: pagerduty/PDB42}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}}}
rules:
  - {name: one, allow: engineers, to: {env: production}, roles: [read], approval: [{from: leads}, {from: manager}]}
  - {name: two, allow: engineers, to: {env: production}, roles: [write], approval: [{from: leads, count: 2}, {from: security}]}
  - {name: on-call, allow: db-oncall, to: {env: production}, approval: none}
  - {name: emergency, allow: sre, to: {env: production}, break_glass: {page: leads, review_by: security, within: 24h}}
";

fn told(people: &str) -> Vec<String> {
    policy(POLICY)
        .vacancies(&Office::new(people), now())
        .into_iter()
        .map(|vacancy| {
            let rules: Vec<&str> = vacancy.rules.iter().map(|rule| rule.as_str()).collect();
            let lack = match vacancy.lack {
                Lack::Reviewers { have, need } => format!("{have} of {need}"),
                Lack::Askers => "nobody asks".to_owned(),
            };
            format!("{}: {lack} ({})", vacancy.set, rules.join(", "))
        })
        .collect()
}

#[test]
fn a_house_that_is_complete_lacks_nobody_but_who_is_on_call() {
    let full = "ana engineering\nbo eng-leads\ndi eng-leads\ncy security\nsam sre";
    assert_eq!(told(full), ["db-oncall: nobody asks (on-call)"]);
}

#[test]
fn who_may_not_review_fills_no_step() {
    // One lead is there, one is new, and of security there are a program and somebody who left.
    let few = "ana engineering\nbo eng-leads\ndi eng-leads new\nbot security service\nout security off";
    assert_eq!(
        told(few),
        [
            "leads: 1 of 2 (one, two)",
            "security: 0 of 1 (two, emergency)",
            "db-oncall: nobody asks (on-call)",
            "sre: nobody asks (emergency)",
        ]
    );
}

/// One that another set gets something by is of use, whoever is in this one.
#[test]
fn a_rule_admits_nobody_only_where_each_of_its_sets_is_empty() {
    let rules = |allow: &str| {
        let text = POLICY.replace("allow: sre", &format!("allow: [{allow}]"));
        assert_ne!(text, POLICY);
        let vacancies = policy(&text).vacancies(&Office::new("ana engineering\nbo eng-leads"), now());
        let asking = vacancies
            .into_iter()
            .filter(|vacancy| vacancy.lack == Lack::Askers);
        let named = asking.filter(|vacancy| vacancy.rules.iter().any(|rule| rule.as_str() == "emergency"));
        named
            .map(|vacancy| (vacancy.set.to_string(), vacancy.of))
            .collect::<Vec<_>>()
    };
    assert_eq!(rules("engineers, sre"), []);
    let of = |group: &str| (group.to_owned(), Membership::Group(group.parse().unwrap()));
    assert_eq!(rules("security, sre"), [of("security"), of("sre")]);
}

#[test]
fn it_says_where_and_whom() {
    let vacancies = policy(POLICY).vacancies(&Office::new("ana engineering\nsam sre"), now());
    let said: Vec<String> = vacancies
        .iter()
        .map(|vacancy| format!("{:#} {}", vacancy.location, vacancy.who))
        .collect();
    assert_eq!(
        said,
        [
            "policy.yaml:13 leads (group eng-leads)",
            "policy.yaml:14 security",
            "policy.yaml:15 the schedule pagerduty/PDB42, which this version does not read",
        ]
    );
    assert_eq!(vacancies[0].of, Membership::Group("eng-leads".parse().unwrap()));
    assert_eq!(vacancies[2].of, Membership::Schedule);
}
