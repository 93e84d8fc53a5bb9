//! What must hold for any policy: a guardrail never widens, losing a group never grants, who decides is never who asks, and a
//! file of any bytes is read or refused. The seed is fixed; change it to look further.

use std::collections::BTreeSet;

use daypass_core::id::PersonId;
use daypass_policy::{Allowed, Decision, Policy, Source};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;

use crate::office::{Office, ask, id, load};

pub(crate) const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
pub(crate) const LOGINS: [&str; 5] = ["ana", "bo", "cy", "di", "eve"];
const ITEMS: [&str; 6] = ["one/r", "one/w", "two/r", "three/w", "one/r+two/r", "one/r+one/w"];
const LENGTHS: [&str; 6] = ["1m", "30m", "1h", "2h", "4h", "8h"];
/// What may be said of time: hours around the tests' noon, on a Saturday.
const WINDOWS: &str = "windows:
  morning: {from: '08:00', to: '12:30', tz: UTC}
  noon: {days: [sat], from: '11:00', to: '13:00', tz: UTC}
  evening: {days: [sat, sun], from: '18:00', to: '02:00', tz: UTC}
";
/// Fixed parts: three resources of which two share a label, and a set for each group and one by login.
pub(crate) const BASE: &str = "version: 1
defaults: {pending: 9d}
people: {a: {group: a}, b: {group: b}, c: {group: c}, d: {group: d}, named: {logins: [ana, bo]}}
connectors: [{name: k, kind: x}]
resources:
  - {name: one, kind: x, connector: k, labels: {env: p}, roles: {r: {}, w: {}}}
  - {name: two, kind: x, connector: k, labels: {env: p, tier: t}, roles: {r: {}, w: {}}}
  - {name: three, kind: x, connector: k, labels: {env: s}, roles: {r: {}, w: {}}}
";

fn selector() -> impl Strategy<Value = String> {
    select(vec![
        "{env: p}",
        "{env: s}",
        "{env: [p, s]}",
        "{tier: t}",
        "{resource: one}",
        "{resource: [one, two]}",
        "{kind: x}",
        "{env: p, resource: [two, three]}",
    ])
    .prop_map(str::to_owned)
}

fn step() -> impl Strategy<Value = String> {
    let from = || select(vec!["manager", "a", "b", "c", "d", "named"]);
    (from(), 1..3u32, proptest::option::of(from())).prop_map(|(from, count, others)| {
        // A manager is one person, a set of two logins two.
        let count = if from == "manager" { 1 } else { count };
        let silence = others
            .map(|others| format!(", else: {{escalate: {others}, within: 1m}}"))
            .unwrap_or_default();
        format!("{{from: {from}, count: {count}, within: 1m{silence}}}")
    })
}

/// The body of a rule, without its name.
pub(crate) fn rule() -> impl Strategy<Value = String> {
    let allow = subsequence(vec!["a", "b", "c", "d", "named"], 1..3);
    let roles = select(vec!["", ", roles: [r]", ", roles: [w]", ", roles: [r, w]"]);
    let steps = vec(step(), 0..3);
    let when = select(vec![
        "",
        "",
        ", when: {window: noon}",
        ", when: {window: [morning, evening]}",
        ", when: {if: 'request.duration <= duration(\"1h\")'}",
    ]);
    let drawn = (allow, selector(), roles, steps, select(LENGTHS.to_vec()), when);
    drawn.prop_map(|(allow, to, roles, steps, max, when)| {
        let approval = if steps.is_empty() {
            String::from("none")
        } else {
            format!("[{}]", steps.join(", "))
        };
        let allow = allow.join(", ");
        format!("allow: [{allow}], to: {to}{roles}, approval: {approval}, max: {max}{when}")
    })
}

pub(crate) fn guardrail() -> impl Strategy<Value = String> {
    let forbid = select(vec![
        "",
        "",
        ", forbid: {window: noon}",
        ", forbid: {window: [evening]}",
    ]);
    (selector(), select(LENGTHS.to_vec()), forbid)
        .prop_map(|(to, max, forbid)| format!("to: {to}, max: {max}{forbid}"))
}

/// The policy of these parts; `None` where they contradict each other, such as a step that two logins cannot fill.
fn built(rules: &[String], guardrails: &[String]) -> Option<Policy> {
    built_on(BASE, rules, guardrails)
}

/// The same with other fixed parts.
pub(crate) fn built_on(base: &str, rules: &[String], guardrails: &[String]) -> Option<Policy> {
    let section = |title: &str, bodies: &[String]| {
        let lines = bodies.iter().enumerate();
        let lines = lines.map(|(number, body)| format!("  - {{name: {title}{number}, {body}}}\n"));
        format!("{title}:\n{}", lines.collect::<String>())
    };
    load(&format!(
        "{base}{WINDOWS}{}{}",
        section("rules", rules),
        section("guardrails", guardrails)
    ))
    .ok()
}

/// Everybody with some groups and a manager.
fn office() -> impl Strategy<Value = Vec<(Vec<&'static str>, Option<&'static str>)>> {
    let person = (
        subsequence(GROUPS.to_vec(), 0..4),
        proptest::option::of(select(LOGINS.to_vec())),
    );
    vec(person, LOGINS.len())
}

fn staffed(people: &[(Vec<&str>, Option<&str>)]) -> Office {
    let lines: Vec<String> = LOGINS
        .iter()
        .zip(people)
        .map(|(login, (groups, manager))| {
            let manager = manager
                .map(|manager| format!("manager={manager}"))
                .unwrap_or_default();
            format!("{login} {} {manager}", groups.join(","))
        })
        .collect();
    Office::new(&lines.join("\n"))
}

fn question() -> impl Strategy<Value = String> {
    let length = proptest::option::of(select(LENGTHS.to_vec()));
    (select(ITEMS.to_vec()), length)
        .prop_map(|(items, length)| format!("ana {items} {}", length.unwrap_or_default()))
}

fn allowed(decision: Decision) -> Option<Allowed> {
    match decision {
        Decision::Allowed(allowed) => Some(*allowed),
        Decision::Refused(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn a_guardrail_never_widens(
        rules in vec(rule(), 1..5),
        guardrails in vec(guardrail(), 0..3),
        added in guardrail(),
        people in office(),
        question in question(),
    ) {
        let Some(before) = built(&rules, &guardrails) else { return Ok(()) };
        let more: Vec<String> = guardrails.into_iter().chain([added]).collect();
        let after = built(&rules, &more).unwrap();
        let office = staffed(&people);
        let Some(after) = allowed(ask(&after, &office, &question)) else { return Ok(()) };
        let before = allowed(ask(&before, &office, &question));
        prop_assert!(before.is_some(), "refused before, allowed after");
        let before = before.unwrap();
        // Of the rules that fitted before some may fit no longer; none fits that did not.
        let earlier: BTreeSet<_> = before.others.iter().map(|other| &other.rule).chain([&before.path.rule]).collect();
        prop_assert!(earlier.contains(&after.path.rule));
        prop_assert!(after.others.iter().all(|other| earlier.contains(&other.rule)));
        prop_assert!(before.path.steps.len() <= after.path.steps.len(), "an easier path");
        if before.path.rule == after.path.rule {
            prop_assert!(after.path.max <= before.path.max && after.duration <= before.duration);
            let (later, earlier) = (before.path.ends_by, after.path.ends_by);
            prop_assert!(later.is_none_or(|later| earlier.is_some_and(|earlier| earlier <= later)));
        }
    }

    #[test]
    fn losing_a_group_never_grants(
        rules in vec(rule(), 1..5),
        people in office(),
        lost in select(GROUPS.to_vec()),
        question in question(),
    ) {
        let Some(policy) = built(&rules, &[]) else { return Ok(()) };
        let with = staffed(&people);
        let mut without = with.clone();
        without.leave("ana", lost);
        if let Some(after) = allowed(ask(&policy, &without, &question)) {
            let before = allowed(ask(&policy, &with, &question));
            prop_assert!(before.is_some(), "refused with the group, allowed without");
            prop_assert!(before.unwrap().path.steps.len() <= after.path.steps.len());
        }
    }

    /// The answer is checked against the rules as they are written, one by one: the index finds the same.
    #[test]
    fn what_is_allowed_fits_and_can_be_completed(
        rules in vec(rule(), 1..5),
        guardrails in vec(guardrail(), 0..3),
        people in office(),
        question in question(),
    ) {
        let Some(policy) = built(&rules, &guardrails) else { return Ok(()) };
        let office = staffed(&people);
        let whole = allowed(ask(&policy, &office, &question));
        // Each rule alone is allowed exactly if the whole policy offers it.
        let alone: Vec<bool> = rules
            .iter()
            .map(|rule| {
                let policy = built(std::slice::from_ref(rule), &guardrails).unwrap();
                allowed(ask(&policy, &office, &question)).is_some()
            })
            .collect();
        let offered: BTreeSet<String> = whole
            .iter()
            .flat_map(|whole| whole.others.iter().map(|other| &other.rule).chain([&whole.path.rule]))
            .map(ToString::to_string)
            .collect();
        for (number, fits) in alone.iter().enumerate() {
            prop_assert_eq!(offered.contains(&format!("rules{number}")), *fits, "rule {}", number);
        }
        let Some(whole) = whole else { return Ok(()) };
        let everybody: BTreeSet<PersonId> = whole.reviewers.iter().flatten().copied().collect();
        prop_assert!(!everybody.contains(&id("ana")), "nobody reviews their own request");
        prop_assert!(whole.duration <= whole.path.max);
        let needed: u32 = whole.path.steps.iter().map(|step| step.count).sum();
        prop_assert!(needed < 5, "four others cannot be {} reviewers", needed);
        prop_assert_eq!(whole.reviewers.len(), whole.path.steps.len());
        prop_assert!(whole.reviewers.iter().all(|asked| !asked.is_empty()), "each step asks somebody");
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = load(&text);
        let _ = load(&format!("version: 1\nrules:\n{text}"));
    }

    /// Nor does an expression end the process, whatever it says.
    #[test]
    fn any_expression_is_compiled_or_refused(
        noise in "\\PC{0,80}",
        words in vec(select(vec![
            "subject", ".login", "resource", ".labels", "request", ".duration", "now", "==", "&&", "||", "!", "(", ")", "[", "]",
            "'a'", "1", "-", "+", "in", "?", ":", "has(", "duration('1h')", ".matches('a*')", ".size()", ".all(x,", " ", "\n", "{",
        ]), 0..60),
    ) {
        for text in [noise, words.concat(), words.join(" ")] {
            let said = serde_json::to_string(&text).unwrap();
            let text = format!("{BASE}rules: [{{name: r, allow: a, to: {{env: p}}, approval: none, when: {{if: {said}}}}}]\n");
            if let Ok(policy) = load(&text) {
                let _ = ask(&policy, &Office::new("ana a"), "ana one/r");
            }
        }
    }

    /// A sound policy with some of its characters replaced.
    #[test]
    fn a_damaged_policy_is_read_or_refused(edits in vec((0..10_000usize, any::<char>()), 1..6)) {
        let mut text: Vec<char> = include_str!("../../../../examples/policy.yaml").chars().collect();
        for (at, c) in edits {
            let at = at % text.len();
            text[at] = c;
        }
        let text: String = text.into_iter().collect();
        let source = Source { name: String::from("p"), text };
        if let Err(found) = Policy::load(&[source]) {
            prop_assert!(!found.all().is_empty());
            prop_assert!(found.all().iter().all(|one| one.location.line > 0 && !one.message.is_empty()), "{}", found);
        }
    }
}
