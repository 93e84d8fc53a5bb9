//! What sessions through the gateway keep: what is said of them, what a change of that tells, and what does not load.

use daypass_core::demand::{Demands, Recording};
use daypass_policy::{Ask, GatewayTerms, OnFailure, Policy, Section};

use crate::office::{Office, id, items, load, now, policy};

const POLICY: &str = "version: 1
people: {engineers: {group: engineering}}
connectors: [{name: pg, kind: postgres}, {name: ca, kind: ssh}]
resources:
  - name: orders
    kind: postgres
    connector: pg
    labels: {env: production}
    access: gateway
    gateway: {values: true}
    statements: {deny: [ddl]}
    roles:
      read: {member_of: [pg_read_all_data], statements: {deny: write}}
      write: {member_of: [app_writer], statements: {deny: [unqualified-write, ddl]}}
      admin:
  - name: notes
    kind: postgres
    connector: pg
    labels: {env: staging}
    access: gateway
    gateway: {on_recording_failure: continue}
    roles: {read: {}}
  - {name: plain, kind: postgres, connector: pg, access: gateway, roles: {read: {}}}
  - {name: straight, kind: postgres, connector: pg, roles: {read: {}}}
  - {name: web, kind: ssh, connector: ca, access: gateway, roles: {shell: {}}}
rules:
  - {name: production, allow: engineers, to: {env: production}, approval: none}
  - {name: staging, allow: engineers, to: {env: staging}, approval: none}
";

fn terms(policy: &Policy, item: &str, recording: Option<Recording>) -> Option<GatewayTerms> {
    let agreed = Demands {
        recording,
        ..Demands::default()
    };
    policy.gateway(&item.parse().unwrap(), &agreed)
}

/// What a session of which nothing is said keeps.
const USUAL: GatewayTerms = GatewayTerms {
    values: false,
    on_failure: OnFailure::End,
    read_only: false,
    no_ddl: false,
    qualified: false,
};

#[test]
fn what_is_said_of_a_resource_and_of_its_role_counts_together() {
    let policy = policy(POLICY);
    let orders = GatewayTerms {
        values: true,
        no_ddl: true,
        ..USUAL
    };
    for (item, expect) in [
        (
            "orders/read",
            Some(GatewayTerms {
                read_only: true,
                ..orders
            }),
        ),
        (
            "orders/write",
            Some(GatewayTerms {
                qualified: true,
                ..orders
            }),
        ),
        ("orders/admin", Some(orders)),
        ("plain/read", Some(USUAL)),
        ("web/shell", Some(USUAL)),
        ("straight/read", None),
        ("orders/none", None),
        ("none/read", None),
    ] {
        assert_eq!(terms(&policy, item, None), expect, "{item}");
    }
}

/// Whoever agreed because it is recorded agreed to nothing that goes on unrecorded.
#[test]
fn what_was_agreed_to_as_recorded_ends_when_recording_fails() {
    let policy = policy(POLICY);
    let on_failure = |agreed| terms(&policy, "notes/read", agreed).unwrap().on_failure;
    assert_eq!(on_failure(None), OnFailure::Continue);
    assert_eq!(on_failure(Some(Recording::BestEffort)), OnFailure::Continue);
    assert_eq!(on_failure(Some(Recording::Required)), OnFailure::End);
}

#[test]
fn what_the_gateway_refuses_is_not_the_providers() {
    let policy = policy(POLICY);
    let orders = policy.resource("orders").unwrap();
    let read = &orders.roles["read"].config;
    assert_eq!(*read, serde_json::json!({"member_of": ["pg_read_all_data"]}));
    let at = policy.locate(Section::Role("orders", "read"), "/member_of/0");
    assert_eq!(at.to_string(), "policy.yaml:13:26");
}

#[track_caller]
fn changed(from: &str, to: &str, expect: &[&str]) -> (Policy, Policy) {
    assert_eq!(POLICY.matches(from).count(), 1, "{from:?} is there once");
    let (before, after) = (policy(POLICY), policy(&POLICY.replace(from, to)));
    assert_eq!(Policy::diff(Some(&before), &after), expect);
    (before, after)
}

#[test]
fn every_change_of_it_is_told() {
    for (from, to, expect) in [
        (
            "gateway: {values: true}",
            "gateway: {values: false}",
            "~ resource orders: values true → false",
        ),
        (
            "    gateway: {on_recording_failure: continue}\n",
            "",
            "~ resource notes: on_recording_failure continue → end",
        ),
        (
            "    statements: {deny: [ddl]}\n",
            "",
            "~ resource orders: statements deny ddl → nothing",
        ),
        (
            "statements: {deny: write}",
            "statements: {deny: [ddl, unqualified-write]}",
            "~ role orders/read: statements deny write → deny ddl, unqualified-write",
        ),
        (
            ", statements: {deny: [unqualified-write, ddl]}",
            "",
            "~ role orders/write: statements deny ddl, unqualified-write → nothing",
        ),
    ] {
        changed(from, to, &[expect]);
    }
    // What is said where it holds anyway changes nothing, and neither does the order.
    changed(
        "gateway: {values: true}",
        "gateway: {on_recording_failure: end, values: true}",
        &[],
    );
    changed("[unqualified-write, ddl]", "[ddl, unqualified-write]", &[]);
}

/// A plan tells whose access is loosened, role by role.
#[test]
fn a_plan_tells_whose_sessions_change() {
    let office = Office::new("ana engineering\neve marketing");
    let people = [id("ana"), id("eve")];
    let told = |from: &str, to: &str| -> Vec<String> {
        let (before, after) = (policy(POLICY), policy(&POLICY.replace(from, to)));
        let plan = before.plan(&after, people, &office, now());
        let told = plan.changes.iter().map(|change| {
            let items: Vec<String> = change.items.iter().map(ToString::to_string).collect();
            let after = &change.after.as_ref().unwrap().conditions;
            format!(
                "{:?} {} {}: {after:?}",
                change.effect,
                office.logins(&change.people).join(","),
                items.join(",")
            )
        });
        told.collect()
    };
    assert_eq!(
        told(", statements: {deny: write}", ""),
        [r#"Conditions ana orders/read: ["statements deny ddl", "values recorded"]"#]
    );
    assert_eq!(
        told("on_recording_failure: continue", "values: true"),
        [r#"Conditions ana notes/read: ["values recorded"]"#]
    );
    // What the resource refuses anyway is refused still.
    assert!(told("[unqualified-write, ddl]", "[unqualified-write]").is_empty());
    assert_eq!(
        told(
            "    access: gateway\n    gateway: {on_recording_failure: continue}\n",
            ""
        ),
        ["Conditions ana notes/read: []"]
    );
}

/// Whoever asks why is told what they may send before they find out.
#[test]
fn an_explanation_says_what_sessions_keep() {
    let (policy, office) = (policy(POLICY), Office::new("ana engineering"));
    let explained = |wanted: &str| {
        let items = items(wanted);
        policy
            .explain(&Ask::new(id("ana"), &items, now()), &office)
            .verdicts[0]
            .outcome
            .to_string()
    };
    assert_eq!(
        explained("orders/admin+orders/read"),
        "fits and is taken: nobody must agree, at most 4h; sessions of orders/admin: statements deny ddl, values recorded; \
         sessions of orders/read: statements deny ddl, write, values recorded"
    );
    assert_eq!(
        explained("notes/read"),
        "fits and is taken: nobody must agree, at most 4h; sessions of notes/read: on_recording_failure continue"
    );
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
fn what_is_reached_directly_has_no_sessions() {
    mistake(
        "name: straight, kind: postgres, connector: pg,",
        "name: straight, kind: postgres, connector: pg, gateway: {values: true},",
        "policy.yaml:24:62: \"gateway\" is about sessions through it, and straight is reached directly \
         (which it is where nothing is said); write access: gateway, or remove gateway",
    );
    mistake(
        "name: straight, kind: postgres, connector: pg,",
        "name: straight, kind: postgres, connector: pg, access: direct, statements: {deny: [ddl]},",
        "policy.yaml:24:81: statements to straight are to be refused, and straight is reached directly \
         (at policy.yaml:24): nothing could refuse them; write access: gateway, or remove statements",
    );
    mistake(
        "name: straight, kind: postgres, connector: pg, roles: {read: {}}",
        "name: straight, kind: postgres, connector: pg, roles: {read: {statements: {deny: [ddl]}}}",
        "policy.yaml:24:80: statements to straight/read are to be refused, and straight is reached directly \
         (which it is where nothing is said): nothing could refuse them; write access: gateway, or remove statements",
    );
}

#[test]
fn only_what_has_statements_refuses_any() {
    mistake(
        "connector: ca, access: gateway,",
        "connector: ca, access: gateway, statements: {deny: [ddl]},",
        "policy.yaml:25:72: statements to web are to be refused, and web is of kind ssh: \
         the gateway knows those of postgres alone; remove statements",
    );
    mistake(
        "{shell: {}}",
        "{shell: {statements: {deny: [ddl]}}}",
        "policy.yaml:25:88: statements to web/shell are to be refused, and web is of kind ssh: \
         the gateway knows those of postgres alone; remove statements",
    );
    mistake(
        "connector: ca, access: gateway,",
        "connector: ca, access: gateway, gateway: {values: true},",
        "policy.yaml:25:78: \"values\" are those of statements, and web is of kind ssh: \
         only sessions with postgres have any; remove values",
    );
    let other = "connector: ca, access: gateway, gateway: {values: false, on_recording_failure: end},";
    assert!(load(&POLICY.replace("connector: ca, access: gateway,", other)).is_ok());
}

#[test]
fn nothing_goes_on_unrecorded_that_must_be_recorded() {
    mistake(
        "gateway: {on_recording_failure: continue}",
        "recording: required\n    gateway: {on_recording_failure: continue}",
        "policy.yaml:22:37: access to notes must be recorded (at policy.yaml:21), and would go on unrecorded where recording fails; \
         write on_recording_failure: end, or recording: best-effort",
    );
    let guarded = |says: &str| {
        let guardrails = format!("guardrails: [{{name: seen, {says}}}]\nrules:\n");
        load(&POLICY.replace("rules:\n", &guardrails))
            .err()
            .map(|found| found.to_string())
    };
    let expect = "policy.yaml:21:37: the guardrail seen (at policy.yaml:26) demands that access to notes is recorded, \
         which would go on unrecorded where recording fails; write on_recording_failure: end";
    assert_eq!(
        guarded("to: {env: staging}, record: required").as_deref(),
        Some(expect)
    );
    assert_eq!(
        guarded("record: required").as_deref(),
        Some(expect),
        "it is over everything"
    );
    assert_eq!(guarded("to: {env: production}, record: required"), None);
    assert_eq!(guarded("to: {env: staging}, max: 1h"), None);
    let best_effort = "recording: best-effort\n    gateway: {on_recording_failure: continue}";
    let text = POLICY.replace("gateway: {on_recording_failure: continue}", best_effort);
    assert!(load(&text).is_ok());
}

#[test]
fn what_cannot_be_read_does_not_load() {
    let watch = "{on_recording_failure: continue}";
    mistake(
        watch,
        "{on_recording_failure: maybe}",
        "policy.yaml:21:37: \"on_recording_failure\" must be end or continue; this is text",
    );
    mistake(
        watch,
        "{values: sometimes}",
        "policy.yaml:21:23: \"values\" must be true or false; this is text",
    );
    mistake(
        watch,
        "{}",
        "policy.yaml:21:14: \"gateway\" says nothing; it may have values, on_recording_failure",
    );
    mistake(
        watch,
        "{value: true}",
        "policy.yaml:21:15: unknown key \"value\" in gateway; did you mean \"values\"?",
    );
    mistake(
        watch,
        "continue",
        "policy.yaml:21:14: gateway must be a map of keys; this is text",
    );
    let denied = "{deny: write}";
    mistake(
        denied,
        "{deny: [wirte]}",
        "policy.yaml:13:65: there is no class of statements \"wirte\"; did you mean \"write\"?",
    );
    mistake(
        denied,
        "{deny: [read-only]}",
        "policy.yaml:13:65: there is no class of statements \"read-only\"; known: ddl, unqualified-write, write",
    );
    mistake(
        denied,
        "{deny: [[ddl]]}",
        "policy.yaml:13:65: \"deny\" must be a class of statements; this is a list",
    );
    mistake(
        denied,
        "{deny: []}",
        "policy.yaml:13:64: \"deny\" is empty; name at least one",
    );
    mistake(
        denied,
        "{}",
        "policy.yaml:13:57: statements needs the key \"deny\"",
    );
    mistake(
        denied,
        "{allow: [ddl]}",
        "policy.yaml:13:58: unknown key \"allow\" in statements; it may have deny\n\
         policy.yaml:13:58: statements needs the key \"deny\"",
    );
    mistake(
        denied,
        "[write]",
        "policy.yaml:13:57: statements must be a map of keys; this is a list",
    );
    // A word without a value refuses nothing, and looks as if it did.
    mistake(
        denied,
        "",
        "policy.yaml:13:55: statements must be a map of keys; this is nothing",
    );
}
