//! What one pastes: it loads beside the policy that it is pasted into, whatever the target calls things.

use daypass_core::name::Name;
use daypass_core::time::Span;
use daypass_policy::{Asks, Policy, Proposal, ProposedResource, Source, propose_resources};
use serde_json::json;

const POLICY: &str = r#"
version: 1
people:
  leads: {group: leads}
connectors:
  - {name: pg-main, kind: postgres, config: {}}
resources:
  - {name: orders, kind: postgres, connector: pg-main, config: {database: orders}, roles: {read: {member_of: [r]}}}
rules:
  - {name: leads-read, allow: leads, to: {resource: orders}, roles: [read], approval: none}
"#;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The policy with a file beside it.
fn beside(file: &str) -> Policy {
    let source = |name: &str, text: &str| Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let sources = [source("policy.yaml", POLICY), source("standing.yaml", file)];
    Policy::load(&sources).unwrap_or_else(|found| panic!("{found}\n{file}"))
}

fn shed() -> ProposedResource {
    ProposedResource {
        name: name("shed"),
        kind: name("postgres"),
        connector: name("pg-main"),
        told: "database shed".into(),
        labels: vec![(name("env"), name("no"))],
        config: json!({"database": "shed", "deep": {"true": [1, null, "on", "1e3", "a: b # c"]}}),
        roles: vec![(
            name("write"),
            json!({"member_of": ["app \"writer\" \\ \u{1f4a9} é - x: y #"]}),
        )],
    }
}

#[test]
fn what_nobody_sees_is_left_out_and_that_is_said() {
    let mut odd = shed();
    odd.roles
        .push((name("odd"), json!({"member_of": ["a\u{202e}b"]})));
    let mut gone = shed();
    (gone.name, gone.config) = (name("gone"), json!({"database": "a\nb"}));
    let file = propose_resources(&[odd, gone]);
    assert!(
        file.contains("# odd is left out") && file.contains("# is left out"),
        "{file}"
    );
    let policy = beside(&file);
    assert_eq!(policy.resource("shed").unwrap().roles.len(), 1);
    assert!(policy.resource("gone").is_none());
}

fn proposal(asks: Asks) -> Proposal {
    Proposal {
        asks,
        items: vec!["orders/read".parse().unwrap(), "shed/write".parse().unwrap()],
        resources: vec![shed()],
        told: vec!["member of r\nversion: 2 \u{202e}".into()],
        from: name("manager"),
        max: Span::hours(4),
    }
}

#[test]
fn what_is_proposed_loads_and_says_what_the_target_says() {
    for asks in [
        Asks::Login(name("bob")),
        Asks::Login(name("on")),
        Asks::Group(name("7")),
    ] {
        let policy = beside(&proposal(asks).file());
        let resource = policy.resource("shed").unwrap();
        assert_eq!(resource.config, shed().config);
        assert_eq!(resource.roles[&name("write")].config, shed().roles[0].1);
        assert_eq!(resource.labels[&name("env")], name("no"));
    }
}

#[test]
fn what_is_found_loads_as_it_is() {
    let policy = beside(&propose_resources(&[shed()]));
    assert_eq!(policy.resources().len(), 2);
    assert_eq!(policy.resource("shed").unwrap().config, shed().config);
}

#[test]
fn a_short_file_reads_as_people_write_it() {
    let mut short = proposal(Asks::Login(name("bob")));
    short.resources.clear();
    short.items.truncate(1);
    short.told = vec!["member of r on database orders".into()];
    let expect = "# Instead of what stands at the target for good:
# - member of r on database orders
# A file of its own beside the others of the policy. Check and apply it, try it,
# and only then take the standing access away.
version: 1

people:
  asks-bob: {logins: [bob]}

rules:
  - name: bob-orders-read
    allow: asks-bob
    to: {resource: orders}
    roles: [read]
    approval:
      - {from: manager, within: 1h, else: deny}
    max: 4h
";
    assert_eq!(short.file(), expect);
}
