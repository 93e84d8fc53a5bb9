//! The plan of a change says what the decisions before and after say: to whom, to what, and in which direction.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::id::PersonId;
use daypass_core::name::Item;
use daypass_policy::{Allowed, Ask, Change, Decision, Effect, Plan, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;

use crate::office::{Office, id, now, policy};
use crate::properties::{BASE, GROUPS, LOGINS, built_on, guardrail, rule};

const GLASS: &str =
    "allow: [a, named], to: {env: p}, max: 1h, break_glass: {page: b, review_by: c, within: 1h}";

/// Everybody with groups, perhaps a manager, and perhaps something that keeps them from asking or reviewing.
fn office() -> impl Strategy<Value = Office> {
    let manager = proptest::option::of((select(vec!["manager", "new-manager"]), select(LOGINS.to_vec())));
    let person = (
        subsequence(GROUPS.to_vec(), 0..4),
        manager,
        select(vec![
            "",
            "",
            "",
            "",
            "new",
            "off",
            "service",
            "service owner=cy",
            "service owner=di",
        ]),
    );
    vec(person, LOGINS.len()).prop_map(|people| {
        let lines = LOGINS.iter().zip(people);
        let lines = lines.map(|(login, (groups, manager, what))| {
            let manager = manager.map(|(how, who)| format!("{how}={who}"));
            format!(
                "{login} {} {} {what}\n",
                groups.join(","),
                manager.unwrap_or_default()
            )
        });
        Office::new(&lines.collect::<String>())
    })
}

/// A policy of some rules, perhaps with one for emergencies, and with the set `d` of this group.
fn drawn() -> impl Strategy<Value = Option<(Vec<String>, Vec<String>, &'static str)>> {
    let rules = (vec(rule(), 1..4), any::<bool>()).prop_map(|(mut rules, glass)| {
        rules.extend(glass.then(|| GLASS.to_owned()));
        rules
    });
    (rules, vec(guardrail(), 0..3), select(GROUPS.to_vec())).prop_map(Some)
}

fn built(rules: &[String], guardrails: &[String], d: &str) -> Option<Policy> {
    let base = BASE.replace("d: {group: d}", &format!("d: {{group: {d}}}"));
    built_on(&base, rules, guardrails)
}

/// Without what a rule or guardrail says of times and lengths.
fn unconditional(bodies: &[String]) -> Vec<String> {
    let cut = |body: &String| {
        let body = body.split(", when:").next().unwrap();
        body.split(", forbid:").next().unwrap().to_owned()
    };
    bodies.iter().map(cut).collect()
}

fn everybody() -> Vec<PersonId> {
    LOGINS.iter().map(|login| id(login)).collect()
}

fn all_items() -> Vec<Item> {
    let names = ["one", "two", "three"].iter();
    names
        .flat_map(|name| ["r", "w"].map(|role| format!("{name}/{role}").parse().unwrap()))
        .collect()
}

fn decide(
    policy: &Policy,
    office: &Office,
    who: PersonId,
    item: &Item,
    break_glass: bool,
) -> Option<Allowed> {
    let items = BTreeSet::from([item.clone()]);
    let ask = Ask {
        break_glass,
        ..Ask::new(who, &items, now())
    };
    match policy.decide(&ask, office) {
        Decision::Allowed(allowed) => Some(*allowed),
        Decision::Refused(_) => None,
    }
}

type Key = (PersonId, Item, bool);

/// The plan, person by person and role by role.
fn spread(plan: &Plan) -> BTreeMap<Key, Change> {
    let mut all = BTreeMap::new();
    for change in &plan.changes {
        for person in &change.people {
            for item in &change.items {
                let one = Change {
                    people: vec![*person],
                    items: vec![item.clone()],
                    ..change.clone()
                };
                let twice = all.insert((*person, item.clone(), change.break_glass), one);
                assert!(twice.is_none(), "two changes of the same: {change:?}");
            }
        }
    }
    all
}

/// What the two decisions make of somebody's access, as far as they are about the rule's steps and maximum.
fn expected(before: Option<&Allowed>, after: Option<&Allowed>) -> Option<Effect> {
    let asks = |allowed: &Allowed| {
        let people: u32 = allowed.path.steps.iter().map(|step| step.count).sum();
        (allowed.path.steps.len(), people)
    };
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Effect::Gained),
        (Some(_), None) => Some(Effect::Lost),
        (Some(before), Some(after)) => match asks(after).cmp(&asks(before)) {
            std::cmp::Ordering::Less => Some(Effect::Easier),
            std::cmp::Ordering::Greater => Some(Effect::Harder),
            std::cmp::Ordering::Equal => match after.path.max.cmp(&before.path.max) {
                std::cmp::Ordering::Less => Some(Effect::Shorter),
                std::cmp::Ordering::Greater => Some(Effect::Longer),
                std::cmp::Ordering::Equal => None,
            },
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() })]

    /// Without conditions, the plan is what the decisions before and after say.
    #[test]
    fn gains_and_losses_are_those_of_the_decisions(before in drawn(), after in drawn(), office in office()) {
        let Some((rules, floors, d)) = before else { return Ok(()) };
        let Some(old) = built(&unconditional(&rules), &unconditional(&floors), d) else { return Ok(()) };
        let Some((rules, floors, d)) = after else { return Ok(()) };
        let Some(new) = built(&unconditional(&rules), &unconditional(&floors), d) else { return Ok(()) };
        let plan = spread(&old.plan(&new, everybody(), &office, now()));
        for person in everybody() {
            for item in all_items() {
                for glass in [false, true] {
                    let was = decide(&old, &office, person, &item, glass);
                    let is = decide(&new, &office, person, &item, glass);
                    let told = plan.get(&(person, item.clone(), glass)).map(|change| change.effect);
                    let expect = expected(was.as_ref(), is.as_ref());
                    let finer = [Effect::Asks, Effect::Conditions, Effect::Ways];
                    let told_more = expect.is_none() && told.is_some_and(|told| finer.contains(&told));
                    prop_assert!(told == expect || told_more, "{} {item}: {told:?}, not {expect:?}", office.login(person));
                }
            }
        }
    }

    /// With conditions: where the plan is silent, nothing changes, whatever holds at the moment.
    #[test]
    fn where_it_is_silent_nothing_changes(before in drawn(), after in drawn(), office in office()) {
        let Some((rules, floors, d)) = before else { return Ok(()) };
        let Some(old) = built(&rules, &floors, d) else { return Ok(()) };
        let Some((rules, floors, d)) = after else { return Ok(()) };
        let Some(new) = built(&rules, &floors, d) else { return Ok(()) };
        let plan = spread(&old.plan(&new, everybody(), &office, now()));
        for person in everybody() {
            for item in all_items() {
                for glass in [false, true] {
                    if plan.contains_key(&(person, item.clone(), glass)) {
                        continue;
                    }
                    let was = decide(&old, &office, person, &item, glass);
                    let is = decide(&new, &office, person, &item, glass);
                    let what = |one: &Allowed| (one.path.steps.clone(), one.path.max, one.duration, one.path.ends_by, one.reviewers.clone());
                    prop_assert_eq!(was.as_ref().map(what), is.as_ref().map(what), "{} {}", office.login(person), item);
                }
            }
        }
    }

    /// People are asked about in groups; asked about alone, each is told the same.
    #[test]
    fn whoever_is_counted_as_alike_is(before in drawn(), after in drawn(), office in office()) {
        let Some((rules, floors, d)) = before else { return Ok(()) };
        let Some(old) = built(&rules, &floors, d) else { return Ok(()) };
        let Some((rules, floors, d)) = after else { return Ok(()) };
        let Some(new) = built(&rules, &floors, d) else { return Ok(()) };
        let together = spread(&old.plan(&new, everybody(), &office, now()));
        let mut alone = BTreeMap::new();
        for person in everybody() {
            alone.extend(spread(&old.plan(&new, [person], &office, now())));
        }
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn no_change_is_an_empty_plan(before in drawn(), office in office()) {
        let Some((rules, floors, d)) = before else { return Ok(()) };
        let Some(old) = built(&rules, &floors, d) else { return Ok(()) };
        let plan = old.plan(&old, everybody(), &office, now());
        prop_assert!(plan.changes.is_empty(), "{:?}", plan.changes);
        // Nor is another name for the same rule a change; the order of rules is that of their names' file, not of the names.
        prop_assert_eq!(plan.left_out, 0);
    }
}

/// The changes in short: `gained ana,bo one/r: rule → rule`.
fn told(office: &Office, plan: &Plan) -> Vec<String> {
    let told = plan.changes.iter().map(|change| {
        let items: Vec<String> = change.items.iter().map(ToString::to_string).collect();
        let way =
            |way: Option<&daypass_policy::Way>| way.map_or("–".to_owned(), |way| way.rule.to_string());
        format!(
            "{:?} {} {}{}: {} → {}",
            change.effect,
            office.logins(&change.people).join(","),
            items.join(","),
            if change.break_glass { " !" } else { "" },
            way(change.before.as_ref()),
            way(change.after.as_ref()),
        )
    });
    told.collect()
}

#[track_caller]
fn check(before: &str, after: &str, people: &str, expect: &[&str]) {
    let office = Office::new(people);
    let (old, new) = (
        policy(&format!("{BASE}{before}")),
        policy(&format!("{BASE}{after}")),
    );
    let plan = old.plan(&new, everybody(), &office, now());
    assert_eq!(told(&office, &plan), expect, "{:#?}", plan.changes);
}

const PEOPLE: &str = "ana a\nbo a\ncy b\ndi c\neve d";

#[test]
fn the_same_change_is_told_once() {
    check(
        "rules: [{name: own, allow: d, to: {env: s}, approval: none}]\n",
        "rules:
  - {name: read, allow: a, to: {env: p}, roles: [r], approval: [{from: c}], max: 2h}
  - {name: glass, allow: c, to: {resource: one}, max: 30m, break_glass: {page: b, review_by: b, within: 1h}}
",
        PEOPLE,
        &[
            "Gained ana,bo one/r,two/r: – → read",
            "Gained di one/r,one/w !: – → glass",
            "Lost eve three/r,three/w: own → –",
        ],
    );
}

#[test]
fn what_becomes_easier_longer_or_other_is_told_as_that() {
    let with =
        |rest: &str| format!("rules: [{{name: r, allow: a, to: {{resource: one}}, roles: [r], {rest}}}]\n");
    let of = |before: &str, after: &str, expect: &str| {
        let line = format!("{expect} ana,bo one/r: r → r");
        check(&with(before), &with(after), PEOPLE, &[&line]);
    };
    of("approval: [{from: b}]", "approval: none", "Easier");
    of("approval: none", "approval: [{from: b}]", "Harder");
    of(
        "approval: [{from: named, count: 1}]",
        "approval: [{from: named, count: 1}, {from: b}]",
        "Harder",
    );
    of("approval: none, max: 1h", "approval: none, max: 2h", "Longer");
    of("approval: none, max: 2h", "approval: none, max: 1h", "Shorter");
    of("approval: [{from: b}]", "approval: [{from: c}]", "Asks");
    of(
        "approval: [{from: b, within: 1h}]",
        "approval: [{from: b, within: 2h}]",
        "Asks",
    );
    of(
        "approval: none",
        "approval: none, when: {ticket: required}",
        "Conditions",
    );
    of(
        "approval: none",
        "approval: none, source: 10.0.0.0/8",
        "Conditions",
    );
}

/// A rule of the same name whose words stay may still mean others: the sets, windows and formats that it names are looked at.
#[test]
fn what_a_name_stands_for_counts() {
    let with = |hours: &str, pattern: &str| {
        format!(
            "windows: {{w: {{from: '{hours}', to: '18:00', tz: UTC}}}}
tickets: {{t: '{pattern}'}}
rules:
  - {{name: r, allow: a, to: {{resource: one}}, approval: none, when: {{window: w}}}}
  - {{name: s, allow: a, to: {{resource: two}}, approval: none, when: {{ticket: t}}}}
"
        )
    };
    let all = &["Conditions ana,bo one/r,one/w: r → r"];
    check(&with("08:00", "A"), &with("09:00", "A"), PEOPLE, all);
    let all = &["Conditions ana,bo two/r,two/w: s → s"];
    check(&with("08:00", "A"), &with("08:00", "B"), PEOPLE, all);
    let guard = "guardrails: [{name: g, to: {resource: one}, forbid: {window: w}}]\n";
    let all = &["Conditions ana,bo one/r,one/w: r → r"];
    check(
        &with("08:00", "A"),
        &format!("{}{guard}", with("08:00", "A")),
        PEOPLE,
        all,
    );
}

/// A way that is not taken while an easier one holds is somebody's only way when that does not.
#[test]
fn other_ways_that_come_or_go_are_told() {
    let conditional = "{name: r, allow: a, to: {resource: one}, approval: none, when: {ticket: required}}";
    let always = "{name: s, allow: a, to: {resource: one}, approval: [{from: b}]}";
    let office = Office::new(PEOPLE);
    let old = policy(&format!("{BASE}rules: [{conditional}, {always}]\n"));
    let new = policy(&format!("{BASE}rules: [{conditional}]\n"));
    let plan = old.plan(&new, everybody(), &office, now());
    assert_eq!(told(&office, &plan), ["Ways ana,bo one/r,one/w: r → r"]);
    assert_eq!(plan.changes[0].dropped[0].rule.as_str(), "s");
    let back = new.plan(&old, everybody(), &office, now());
    assert_eq!(back.changes[0].added[0].asks, "b");
}

/// Who counts as one with somebody is like nobody else: of three leads, what one may ask for another may not.
#[test]
fn whom_a_delegation_ties_is_like_nobody_else() {
    let base = BASE.replace("pending: 9d", "pending: 9d, delegates: [a]");
    let office = Office::new("ana a to=bo\nbo a\ncy a");
    let own = "rules:\n  - {name: own, allow: d, to: {env: s}, approval: none}\n";
    let two = "  - {name: two, allow: a, to: {resource: one}, roles: [r], approval: [{from: a, count: 2}]}\n";
    let (old, new) = (
        policy(&format!("{base}{own}")),
        policy(&format!("{base}{own}{two}")),
    );
    let plan = old.plan(&new, everybody(), &office, now());
    assert_eq!(told(&office, &plan), ["Gained ana,bo one/r: – → two"]);
}
