//! What ends access early: how it is read, what of it does not load, and that it is frozen into the path.

use daypass_core::end_when::EndWhen;
use daypass_core::time::Span;
use daypass_policy::{Decision, Policy};

use crate::office::{Office, ask, load, policy};

fn text(end_when: &str) -> String {
    format!(
        "version: 1
people: {{engineers: {{group: engineering}}}}
connectors: [{{name: pg, kind: postgres}}]
resources:
  - {{name: orders, kind: postgres, connector: pg, labels: {{env: staging}}, roles: {{read: {{}}}}}}
rules:
  - name: work
    allow: engineers
    to: {{env: staging}}
    approval: none
    {end_when}
"
    )
}

#[test]
fn it_is_frozen_into_the_path() {
    let policy = policy(&text(
        "end_when: [idle 1h30m, last_session_closed, ticket_closed]\n    when: {ticket: required}",
    ));
    let office = Office::new("ana engineering");
    let path = |policy: &Policy| match ask(policy, &office, "ana orders/read") {
        Decision::Allowed(allowed) => allowed.path.end_when,
        Decision::Refused(refusal) => panic!("{refusal}"),
    };
    assert!(policy.watches_sessions());
    assert_eq!(policy.session_endings().len(), 2);
    let plain = load(&text("end_when: last_session_closed")).unwrap();
    assert_eq!(path(&plain), [EndWhen::LastSessionClosed]);
    let idle = load(&text("end_when: idle 30m")).unwrap();
    let after = Span::minutes(30);
    assert_eq!(path(&idle), [EndWhen::Idle { after }]);
    let none = load(&text("max: 1h")).unwrap();
    assert!(path(&none).is_empty() && !none.watches_sessions());
    assert_eq!(
        Policy::diff(Some(&idle), &plain),
        ["~ rule work: end_when idle 30m → last_session_closed"]
    );
}

#[test]
fn what_could_never_come_true_does_not_load() {
    for (end_when, told) in [
        (
            "end_when: [ticket_closed]",
            "policy.yaml:11:16: \"ticket_closed\" ends nothing here: the rule asks for no ticket; add for instance when: \
             {ticket: required}",
        ),
        (
            "end_when: [incident_resolved]",
            "policy.yaml:11:16: \"incident_resolved\" in \"end_when\" is not supported in this version; remove it: nothing tells \
             this version of incidents",
        ),
        (
            "end_when: [idle 30s]",
            "policy.yaml:11:16: idle 30s is shorter than 1m; sessions are looked at every half minute",
        ),
        (
            "end_when: [idle 30m, idle 1h]",
            "policy.yaml:11:26: \"idle 1h\" is the second of its kind; remove one",
        ),
        (
            "end_when: idle",
            "\"idle\" does not say for how long; write for instance idle 30m",
        ),
        ("end_when: idle soon", "policy.yaml:11:15: idle: "),
        (
            "end_when: [last_sesion_closed]",
            "policy.yaml:11:16: \"last_sesion_closed\" is nothing that ends access; did you mean \"last_session_closed\"?",
        ),
        (
            "end_when: [last_session_closed 5m]",
            "is nothing that ends access",
        ),
        ("end_when: []", "\"end_when\" is empty"),
        (
            "end_when: {idle: 30m}",
            "\"end_when\" must be a word such as ticket_closed; this is a map",
        ),
        ("end_when: [\"idle 30m\\u202e\"]", "invisible character"),
    ] {
        let found = load(&text(end_when)).unwrap_err().to_string();
        assert!(found.contains(told), "{end_when}\n{found}");
    }
}
