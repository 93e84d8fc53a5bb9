//! Every mistake that is recognised, and how it is told: file, line, column, what, and what was probably meant.

use crate::office::{load, policy};

/// A sound policy to make one mistake in: the text after `// ` replaces what stands before it.
const SOUND: &str = "version: 1
people:
  engineers: {group: engineering}
  leads: {logins: [bo, cy]}
connectors:
  - {name: pg, kind: postgres, config: {host: db}}
resources:
  - name: orders
    kind: postgres
    connector: pg
    labels: {env: production}
    roles: {read: {}, write: {}}
guardrails:
  - {name: short, to: {env: production}, max: 2h}
rules:
  - name: prod
    allow: engineers
    to: {env: production}
    roles: [write]
    approval:
      - {from: leads, within: 30m}
    max: 2h
tests:
  - {as: ana, in: [engineering], ask: orders/write, expect: {steps: [leads]}}
";

/// Makes one change in the sound policy and compares all that is then told.
#[track_caller]
fn check(from: &str, to: &str, expect: &str) {
    assert_eq!(SOUND.matches(from).count(), 1, "{from:?} is there once");
    told(&SOUND.replace(from, to), expect);
}

#[track_caller]
fn told(text: &str, expect: &str) {
    let found = match load(text) {
        Ok(_) => String::from("nothing is wrong"),
        Err(found) => found.to_string(),
    };
    let expect: Vec<&str> = expect.trim().lines().map(str::trim).collect();
    assert_eq!(found, expect.join("\n"));
}

#[test]
fn the_sound_policy_is_sound() {
    let outcomes = policy(SOUND).run_tests();
    assert!(outcomes.iter().all(|outcome| outcome.passed), "{outcomes:?}");
}

#[test]
fn unknown_keys_are_told_with_the_nearest() {
    check(
        "    approval:",
        "    approvel:",
        r#"policy.yaml:20:5: unknown key "approvel" in a rule; did you mean "approval"?"#,
    );
    check(
        "version: 1",
        "version: 1\nrule: []",
        r#"policy.yaml:2:1: unknown key "rule" in a policy file; did you mean "rules"?"#,
    );
    check(
        "{group: engineering}",
        "{grup: engineering}",
        r#"policy.yaml:3:15: unknown key "grup" in a set of people; did you mean "group"?"#,
    );
    check(
        "kind: postgres, config: {host: db}",
        "kind: postgres, konfig: {host: db}",
        r#"policy.yaml:6:32: unknown key "konfig" in a connector; did you mean "config"?"#,
    );
    check(
        "    labels: {env: production}",
        "    label: {env: production}",
        r#"policy.yaml:11:5: unknown key "label" in a resource; did you mean "labels"?"#,
    );
    check(
        "max: 2h}",
        "max: 2h, colour: red}",
        r#"policy.yaml:14:51: unknown key "colour" in a guardrail; it may have name, to, max, max_total, forbid, steps, mfa, record"#,
    );
    check(
        "{from: leads, within: 30m}",
        "{from: leads, withing: 30m}",
        r#"policy.yaml:21:23: unknown key "withing" in a step; did you mean "within"?"#,
    );
    check(
        "{as: ana, in:",
        "{as: ana, groups:",
        r#"policy.yaml:24:15: unknown key "groups" in a test; it may have as, in, manager, ask, for, at, start, ticket and 7 more"#,
    );
    check(
        "{steps: [leads]}",
        "{step: [leads]}",
        r#"policy.yaml:24:62: unknown key "step" in an expectation; did you mean "steps"?"#,
    );
}

#[test]
fn what_is_not_supported_yet_is_refused_and_never_ignored() {
    check(
        "version: 1",
        "version: 1\npolicy: {approval: none}",
        r#"policy.yaml:2:20: these steps ask nobody; where nobody need agree to another policy, leave "policy" out"#,
    );
    check(
        "    max: 2h\n",
        "    max: 2h\n    agents: true\n    notify: [\"slack:#x\"]\n",
        r#"
            policy.yaml:23:13: "agents: true" in a rule is not supported in this version; remove it: a policy that says more than is done does not load
            policy.yaml:24:14: "slack:#x" in "notify" is not supported in this version; name sets of people, such as notify: [security]; webhooks stand in server.yaml
        "#,
    );
    check(
        "version: 1",
        "version: 1\npolicy: {approval: [{from: leads, mfa: 10m}]}",
        r#"policy.yaml:2:22: "mfa" in a step of policy is not supported in this version; remove it: a policy that says more than is done does not load"#,
    );
}

#[test]
fn references_must_lead_somewhere() {
    check(
        "allow: engineers",
        "allow: enginers",
        r#"policy.yaml:17:12: there is no set of people enginers; did you mean "engineers"?"#,
    );
    check(
        "allow: engineers",
        "allow: [engineers, marketing]",
        "policy.yaml:17:24: there is no set of people marketing; known: engineers, leads",
    );
    check(
        "from: leads",
        "from: leeds",
        r#"policy.yaml:21:16: there is no set of people leeds; did you mean "leads"?"#,
    );
    check(
        "from: leads, within: 30m",
        "from: manager, within: 30m, else: {escalate: laeds, within: 5m}",
        r#"policy.yaml:21:55: there is no set of people laeds; did you mean "leads"?"#,
    );
    check(
        "    connector: pg\n",
        "    connector: pgmain\n",
        "policy.yaml:10:16: there is no connector pgmain; known: pg",
    );
    check(
        "    connector: pg\n",
        "    connector: pg\n    owner: nobody\n",
        "policy.yaml:11:12: there is no set of people nobody; known: engineers, leads",
    );
    check(
        "roles: [write]",
        "roles: [writ]",
        r#"policy.yaml:19:13: no resource that the rule prod selects has a role writ; did you mean "write"?"#,
    );
    check(
        "    to: {env: production}\n",
        "    to: {env: prodution}\n",
        r#"policy.yaml:18:15: the rule prod selects env: prodution, which no resource has; did you mean "production"?"#,
    );
    check(
        "    to: {env: production}\n",
        "    to: {evn: production}\n",
        r#"policy.yaml:18:10: the rule prod selects by the label evn, which no resource has; did you mean "env"?"#,
    );
    check(
        "    to: {env: production}\n",
        "    to: {kind: postgras}\n",
        r#"policy.yaml:18:16: the rule prod selects the kind postgras, which no resource has; did you mean "postgres"?"#,
    );
    check(
        "    to: {env: production}\n",
        "    to: {resource: [orders, order]}\n",
        r#"policy.yaml:18:29: the rule prod selects the resource name order, which no resource has; did you mean "orders"?"#,
    );
    check(
        "to: {env: production}, max",
        "to: {env: prod}, max",
        "policy.yaml:14:29: the guardrail short selects env: prod, which no resource has; known: production",
    );
}

#[test]
fn a_rule_says_who_what_and_by_whose_leave() {
    check(
        "    approval:\n      - {from: leads, within: 30m}\n",
        "",
        r#"policy.yaml:16:5: a rule needs "approval": a list of steps, or none (or "break_glass", for emergencies); where nobody need agree, write approval: none"#,
    );
    check(
        "    approval:\n      - {from: leads, within: 30m}\n",
        "    approval: []\n",
        "policy.yaml:20:15: the list of steps is empty; where nobody need agree, write approval: none",
    );
    check(
        "    approval:\n      - {from: leads, within: 30m}\n",
        "    approval: maybe\n",
        r#"policy.yaml:20:15: "approval" must be a list of steps, or none; this is text"#,
    );
    check(
        "    allow: engineers\n",
        "",
        r#"policy.yaml:16:5: a rule needs the key "allow""#,
    );
    check(
        "    to: {env: production}\n",
        "",
        r#"policy.yaml:16:5: a rule needs the key "to""#,
    );
    check(
        "    to: {env: production}\n",
        "    to: {}\n",
        "policy.yaml:18:9: this selects everything, without saying so; name a label, a kind or a resource, such as {env: production}",
    );
    check(
        "allow: engineers",
        "allow: manager",
        r#"policy.yaml:17:12: "manager" depends on who asks, so it cannot say who may ask; name a set of people"#,
    );
    check(
        "allow: engineers",
        "allow: []",
        r#"policy.yaml:17:12: "allow" is empty; name at least one"#,
    );
    check(
        "  - name: prod\n    allow",
        "  - allow",
        r#"policy.yaml:16:5: a rule needs the key "name""#,
    );
    check(
        "from: leads, within: 30m",
        "within: 30m, else: approve",
        r#"
            policy.yaml:21:10: a step needs the key "from"
            policy.yaml:21:29: "else" says what follows silence: deny, or {escalate: …, within: …}; silence never approves
        "#,
    );
    check(
        "from: leads, within: 30m",
        "from: leads, count: 0",
        "policy.yaml:21:30: count must be a number from 1 to 100",
    );
    check(
        "from: leads, within: 30m",
        "from: leads, count: 3",
        "policy.yaml:21:10: only bo, cy can fill this step, which asks for 3; one person counts once in the whole chain; ask for fewer, or name more people",
    );
    check(
        "      - {from: leads, within: 30m}\n",
        "      - {from: leads, count: 2}\n      - {from: leads}\n",
        "policy.yaml:22:10: only bo, cy can fill this step, which asks for 1; one person counts once in the whole chain; ask for fewer, or name more people",
    );
}

#[test]
fn lengths_of_time_must_make_sense() {
    check(
        "    max: 2h\n",
        "    max: 2 hours\n",
        r#"policy.yaml:22:10: max: "2 hours" is not a length of time; write it as 90s, 45m, 1h30m or 7d"#,
    );
    check(
        "    max: 2h\n",
        "    max: 0s\n",
        "policy.yaml:22:10: max must be longer than nothing",
    );
    check(
        "    max: 2h\n",
        "    max: 2h\n    duration: 3h\n",
        "policy.yaml:23:15: duration 3h is longer than max 2h; shorten the one or lengthen the other",
    );
    check(
        "    max: 2h\n",
        "    duration: 5h\n",
        "policy.yaml:16:11: duration 5h is longer than the default max of 4h; give the rule a max of its own",
    );
    check(
        "version: 1",
        "version: 1\ndefaults: {duration: 3h, max: 2h}",
        "policy.yaml:2:22: duration 3h is longer than max 2h; shorten the one or lengthen the other",
    );
    check(
        "within: 30m",
        "within: 3h",
        "policy.yaml:16:11: the steps of the rule prod may take 3h, but a request lapses after 2h; shorten them, or write defaults: {pending: 3h}",
    );
    check(
        "version: 1",
        "version: 1\ndefaults: {reason: sometimes}",
        r#"policy.yaml:2:20: "reason" must be required or optional; this is text"#,
    );
    check(
        "max: 2h}",
        "max: [2h]}",
        r#"policy.yaml:14:47: "max" must be one value; this is a list"#,
    );
}

#[test]
fn names_are_plain_and_unique() {
    check(
        "name: pg,",
        "name: \"pg main\",",
        r#"policy.yaml:6:12: name: "pg main" is not a name: letters, digits and . _ - @ + (a letter or digit first, at most 63 in all)"#,
    );
    check(
        "  engineers:",
        "  manager: {group: x}\n  engineers:",
        r#"policy.yaml:3:3: no set of people may be called manager; "manager" is always the requester's manager; call the set something else"#,
    );
    check(
        "  engineers:",
        "  \"еngineers\": {group: x}\n  engineers:",
        r#"policy.yaml:3:3: people: "еngineers" is not a name: letters, digits and . _ - @ + (a letter or digit first, at most 63 in all)"#,
    );
    check(
        "rules:\n",
        "rules:\n  - {name: prod, allow: leads, to: {resource: orders}, approval: none}\n",
        "policy.yaml:17:11: the rule prod is there twice; the first is at policy.yaml:16; names are unique over all files",
    );
    check(
        "{env: production}\n    roles: {",
        "{kind: production}\n    roles: {",
        "policy.yaml:11:14: no label may be called kind; selectors mean something else by that word",
    );
    check(
        "{group: engineering}",
        "{group: engineering, logins: [ana]}",
        "policy.yaml:3:15: a set of people has exactly one of group, logins and schedule; write for instance {group: engineering}",
    );
    check(
        "{logins: [bo, cy]}",
        "{logins: []}",
        "policy.yaml:4:19: this set of people is empty; name at least one account, or remove the set",
    );
}

#[test]
fn resources_have_roles_and_fit_their_connector() {
    check(
        "roles: {read: {}, write: {}}",
        "roles: {}",
        "policy.yaml:12:12: the resource orders has no roles, so nothing of it could be asked for; write for instance roles: {read: {…}}, with what its provider reads",
    );
    check(
        "    roles: {read: {}, write: {}}\n",
        "",
        "policy.yaml:8:5: the resource orders has no roles, so nothing of it could be asked for; write for instance roles: {read: {…}}, with what its provider reads",
    );
    check(
        "    kind: postgres\n",
        "    kind: azure-vm\n",
        "policy.yaml:8:11: the resource orders is of kind azure-vm, its connector pg of kind postgres; a connector of kind postgres reaches postgres and kinds that begin with postgres-",
    );
}

#[test]
fn tests_expect_something_that_can_come() {
    check(
        "expect: {steps: [leads]}",
        "expect: {refused: overmax}",
        r#"policy.yaml:24:71: "overmax" is no code of a refusal; did you mean "over-max"?"#,
    );
    check(
        "expect: {steps: [leads]}",
        "expect: {refused: over-max, rule: prod}",
        r#"policy.yaml:24:62: an answer cannot be refused and have "rule"; expect the one or the other"#,
    );
    check(
        "expect: {steps: [leads]}",
        "expect: {allowed: false}",
        r#"policy.yaml:24:71: "allowed" can only be true; write refused: CODE for what must be refused"#,
    );
    check(
        "expect: {steps: [leads]}",
        "expect: {}",
        "policy.yaml:24:61: nothing is expected; expect allowed: true, rule, steps, max, ends_by, review_by or refused",
    );
    check(
        ", expect: {steps: [leads]}",
        "",
        r#"policy.yaml:24:6: a test needs the key "expect""#,
    );
    check(
        "ask: orders/write",
        "ask: orders",
        r#"policy.yaml:24:39: ask: "orders" names no role; write RESOURCE/ROLE, such as orders-prod/read"#,
    );
    check(
        "ask: orders/write",
        "ask: orders/write, at: yesterday",
        r#"policy.yaml:24:57: at: "yesterday" is not a time in RFC 3339, such as 2026-03-07T22:10:00+01:00"#,
    );
}

#[test]
fn a_file_says_its_version() {
    check(
        "version: 1\n",
        "",
        r#"policy.yaml:1:1: a policy file needs the key "version""#,
    );
    check(
        "version: 1\n",
        "version: 2\n",
        r#"policy.yaml:1:10: version "2" of the language is not known; this version of Daypass reads version: 1"#,
    );
    told(
        "",
        "policy.yaml:1:1: the file is empty; a policy file begins with version: 1",
    );
    told(
        "# nothing\n",
        "policy.yaml:2:1: the file is empty; a policy file begins with version: 1",
    );
    told(
        "- a\n",
        "policy.yaml:1:1: a policy file must be a map of keys; this is a list",
    );
    told(
        "just text",
        "policy.yaml:1:1: a policy file must be a map of keys; this is text",
    );
}

#[test]
fn text_that_is_no_yaml_is_told_by_its_place() {
    check(
        "version: 1\n",
        "version: 1\n\tdefaults: {}\n",
        "policy.yaml:1:10: while scanning a plain scalar, found a tab; YAML is indented by spaces, never by tabs",
    );
    check(
        "    allow: engineers",
        "    allow: engineers\n    allow: leads",
        r#"policy.yaml:18:5: the key "allow" is there twice; a later one would silently replace the first; remove one of them"#,
    );
    check(
        "    allow: engineers",
        "    <<: {allow: engineers}",
        "policy.yaml:17:5: merge keys (<<) are not taken; write the keys out, so that each rule can be read by itself",
    );
    check(
        "    allow: engineers",
        "    allow: !set engineers",
        "policy.yaml:17:17: unsupported tag `!set`",
    );
    check(
        "    allow: engineers",
        "    allow: *engineers",
        "policy.yaml:17:12: alias references unknown anchor",
    );
    check(
        "{group: engineering}",
        "{group: engineering",
        "policy.yaml:4:8: while parsing a flow mapping, did not find expected ',' or '}'",
    );
    check(
        "rules:\n",
        "---\nrules:\n",
        "policy.yaml:16:1: the file holds more than one YAML document; one document per file; put the rest into a file of its own",
    );
}

/// One run tells all of it, ordered by place; what follows from another mistake is not told.
#[test]
fn many_mistakes_are_told_at_once() {
    told(
        "
version: 1
defaults: {max: forever, cool_down: 40d}
peple: {}
connectors:
  - {name: pg, kind: postgres}
resources:
  - {name: orders, kind: mysql, connector: gp, roles: {read: {}}}
rules:
  - {name: a, allow: everyone, to: {resource: orders}, aproval: none, max: soon}
  - {name: b, allow: everyone, to: {resource: order}, approval: [{frm: x}, {from: manager, within: 9h}]}
",
        r#"
            policy.yaml:3:17: max: "forever" is not a length of time; write it as 90s, 45m, 1h30m or 7d
            policy.yaml:3:37: cool_down: 40d is too long; the longest is 31d
            policy.yaml:4:1: unknown key "peple" in a policy file; did you mean "people"?
            policy.yaml:8:44: there is no connector gp; did you mean "pg"?
            policy.yaml:10:56: unknown key "aproval" in a rule; did you mean "approval"?
            policy.yaml:10:76: max: "soon" is not a length of time; write it as 90s, 45m, 1h30m or 7d
            policy.yaml:11:12: the steps of the rule b may take 9h, but a request lapses after 2h; shorten them, or write defaults: {pending: 9h}
            policy.yaml:11:47: the rule b selects the resource name order, which no resource has; did you mean "orders"?
            policy.yaml:11:67: unknown key "frm" in a step; did you mean "from"?
        "#,
    );
}
