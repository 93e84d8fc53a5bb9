//! Draws a scenario from a seed: the house first (people, targets, policies), then what happens in it.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::time::Span;

use super::policy::{Bounds, Guardrail, Policy, Resource, Rule, Set, Step};
use super::{Character, Flavour, Person, Scenario, bounds, states, trouble, work};
use crate::dice::Dice;

/// The labels that resources have.
const ENVS: [&str; 2] = ["prod", "stage"];

/// The scenario of a seed.
pub(crate) fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice::of(seed, "house");
    let flavour = match dice.number(0..100) {
        0..40 => Flavour::Plain,
        40..48 => Flavour::Thrifty,
        48..65 => Flavour::Crowded,
        65..78 => Flavour::Hasty,
        78..98 => Flavour::Debated,
        _ => Flavour::Mass,
    };
    let targets = targets(&mut dice, flavour);
    let mut people = people(&mut dice);
    let mut first = policy(&mut dice, &targets, &people, flavour);
    let mut more = Dice::of(seed, "bounds");
    bounds::add(&mut more, &mut first, &people, flavour);
    let mut of_people = Dice::of(seed, "states");
    states::house(&mut of_people, &mut people, &mut first, flavour);
    let mut policies = vec![first];
    for _ in 0..dice.number(0..3) {
        let mut changed = policies.last().map(|last| change(&mut dice, last));
        if let Some(changed) = changed.as_mut().filter(|_| more.chance(250)) {
            bounds::change(&mut more, changed, &people);
        }
        if let Some(changed) = changed.as_mut() {
            states::change(&mut of_people, changed);
        }
        policies.extend(changed);
    }
    let mut scenario = Scenario {
        seed,
        flavour,
        servers: match flavour {
            Flavour::Crowded => 2 + dice.index(2),
            Flavour::Debated => 1 + dice.index(3),
            _ if dice.chance(350) => 2,
            _ => 1,
        },
        people,
        policies,
        targets,
        sweep_every: Span::minutes(if dice.chance(300) { 1 } else { 5 }),
        batch: *Dice::of(seed, "batch").pick(&[500, 500, 20, 3]).unwrap_or(&500),
        mishaps: match flavour {
            Flavour::Hasty => 300,
            _ => *dice.pick(&[0, 0, 20, 100, 250]).unwrap_or(&0),
        },
        lost_answers: *dice.pick(&[0, 0, 0, 10, 40]).unwrap_or(&0),
        elements: Vec::new(),
    };
    work::draw(&mut Dice::of(seed, "work"), &mut scenario);
    trouble::draw(&mut Dice::of(seed, "trouble"), &mut scenario);
    states::draw(&mut of_people, &mut scenario);
    scenario
}

fn targets(dice: &mut Dice, flavour: Flavour) -> Vec<Character> {
    let count = if flavour == Flavour::Crowded {
        1
    } else {
        1 + dice.index(3)
    };
    (0..count)
        .map(|number| {
            let ceiling = Span::seconds(*dice.pick(&[2, 10, 60]).unwrap_or(&10));
            let lags = dice.chance(400);
            Character {
                connector: format!("c{number}"),
                own_expiry: dice.chance(600),
                propagation: if lags {
                    Span::seconds(1 + dice.number(0..40))
                } else {
                    Span::ZERO
                },
                breaks_promise: lags && dice.chance(150),
                ceiling,
                timeout: dice.span(Span::millis(500), Span::millis(ceiling.micros() / 1000)),
                fenced: dice.chance(300),
                shared: flavour == Flavour::Crowded || dice.chance(600),
                pending: if dice.chance(250) { 400 } else { 0 },
                alarm_only: dice.chance(100),
            }
        })
        .collect()
}

fn people(dice: &mut Dice) -> Vec<Person> {
    let count = 3 + dice.index(6);
    let mut people: Vec<_> = (0..count)
        .map(|number| Person {
            login: format!("p{number}"),
            service: number > 2 && dice.chance(120),
            administrator: dice.chance(150),
            groups: groups(dice),
            absent: false,
            late: false,
            manager: dice
                .chance(600)
                .then(|| dice.index(number.max(1)))
                .filter(|manager| *manager != number),
        })
        .collect();
    people.push(Person {
        login: "root".into(),
        service: false,
        administrator: true,
        groups: groups(dice),
        manager: None,
        absent: false,
        late: false,
    });
    people
}

/// Some of the groups that there are.
pub(super) fn groups(dice: &mut Dice) -> Vec<String> {
    (0..3)
        .filter(|_| dice.chance(550))
        .map(|number| format!("g{number}"))
        .collect()
}

fn resources(dice: &mut Dice, targets: &[Character]) -> Vec<Resource> {
    let mut resources = Vec::new();
    for number in 0..(1 + dice.index(4)) {
        let env = ENVS.get(number % 2).copied().unwrap_or("prod").to_owned();
        let Some(target) = dice.pick(targets) else {
            continue;
        };
        let shared = if target.shared { 600 } else { 0 };
        let role = |dice: &mut Dice| dice.chance(shared).then(|| format!("door{}", dice.number(0..2)));
        resources.push(Resource {
            name: format!("r{number}"),
            connector: target.connector.clone(),
            env,
            roles: ["read", "write"]
                .into_iter()
                .map(|name| (name.to_owned(), role(dice)))
                .collect(),
        });
    }
    resources
}

fn policy(dice: &mut Dice, targets: &[Character], people: &[Person], flavour: Flavour) -> Policy {
    let mut sets: BTreeMap<_, _> = (0..3)
        .map(|number| (format!("s{number}"), Set::Group(format!("g{number}"))))
        .collect();
    let named = |(at, _): &(usize, &Person)| *at < 2 || dice.chance(500);
    let some: Vec<_> = people
        .iter()
        .enumerate()
        .filter(named)
        .map(|(_, person)| person.login.clone())
        .collect();
    sets.insert("named".into(), Set::Logins(some));
    let mut policy = Policy {
        settle: if dice.chance(700) {
            Span::ZERO
        } else {
            Span::minutes(1)
        },
        pending: Span::minutes(25),
        activation: Span::minutes(1 + dice.number(0..4)),
        cool_down: Span::minutes(5),
        sets,
        windows: BTreeMap::new(),
        connectors: targets
            .iter()
            .map(|target| (target.connector.clone(), target.alarm_only))
            .collect(),
        resources: resources(dice, targets),
        guardrails: Vec::new(),
        rules: Vec::new(),
        control: Vec::new(),
        covers: BTreeSet::new(),
        delegates: Vec::new(),
    };
    for number in 0..(1 + dice.index(4)) {
        let rule = rule(dice, &policy, number, flavour);
        policy.rules.push(rule);
    }
    if dice.chance(350) {
        let ordinary = rule(dice, &policy, 9, flavour);
        let groups: Vec<_> = policy
            .sets
            .keys()
            .filter(|set| *set != "named")
            .cloned()
            .collect();
        let glass = (
            dice.pick(&groups).cloned().unwrap_or_default(),
            Span::minutes(1 + dice.number(0..8)),
        );
        policy.rules.push(Rule {
            name: "emergency".into(),
            steps: Vec::new(),
            glass: Some(glass),
            ..ordinary
        });
    }
    if dice.chance(300) {
        policy.guardrails.push(guardrail(dice, &policy, 0));
    }
    policy
}

fn rule(dice: &mut Dice, policy: &Policy, number: usize, flavour: Flavour) -> Rule {
    let names: Vec<_> = policy.sets.keys().cloned().collect();
    let mut allow: BTreeSet<_> = dice.pick(&names).cloned().into_iter().collect();
    if dice.chance(300) {
        allow.extend(dice.pick(&names).cloned());
    }
    let steps = match (flavour, dice.number(0..10)) {
        (Flavour::Crowded | Flavour::Mass, _) => 0,
        (Flavour::Debated, _) => 2 + dice.index(2),
        (Flavour::Thrifty, 0..6) => 0,
        (Flavour::Thrifty, _) => 1,
        (_, 0..4) => 0,
        (_, 4..7) => 1,
        (_, 7..9) => 2,
        _ => 3,
    };
    Rule {
        name: format!("rule{number}"),
        allow: allow.into_iter().collect(),
        env: policy
            .resources
            .get(dice.index(policy.resources.len()))
            .map(|resource| resource.env.clone())
            .unwrap_or_default(),
        roles: dice.chance(300).then(|| {
            BTreeSet::from([dice
                .pick(&["read", "write"])
                .map_or("read", |role| role)
                .to_owned()])
        }),
        steps: (0..steps).map(|_| step(dice, &names)).collect(),
        max: Span::minutes(3 + dice.number(0..25)),
        glass: None,
        bounds: Bounds::default(),
    }
}

/// A step asks groups: a chain that a list of names cannot fill does not load.
pub(super) fn step(dice: &mut Dice, sets: &[String]) -> Step {
    let sets: Vec<_> = sets.iter().filter(|set| *set != "named").cloned().collect();
    let from = if dice.chance(200) {
        "manager".to_owned()
    } else {
        dice.pick(&sets).cloned().unwrap_or_default()
    };
    Step {
        count: if from != "manager" && dice.chance(300) {
            2
        } else {
            1
        },
        from,
        within: Span::minutes(1 + dice.number(0..4)),
        escalate: dice.chance(400).then(|| {
            (
                dice.pick(&sets).cloned().unwrap_or_default(),
                Span::minutes(1 + dice.number(0..3)),
            )
        }),
    }
}

fn guardrail(dice: &mut Dice, policy: &Policy, number: usize) -> Guardrail {
    let env = policy
        .resources
        .get(dice.index(policy.resources.len()))
        .map(|resource| resource.env.clone());
    Guardrail {
        name: format!("guard{number}"),
        env: env.filter(|_| dice.chance(500)),
        max: Some(Span::minutes(2 + dice.number(0..15))),
        ..Guardrail::default()
    }
}

/// A policy that differs from the last in one thing.
fn change(dice: &mut Dice, last: &Policy) -> Policy {
    let mut next = last.clone();
    let number = next.guardrails.len();
    match dice.number(0..7) {
        0 if next.rules.len() > 1 => {
            let at = dice.index(next.rules.len());
            next.rules.remove(at);
        }
        1 => {
            let at = dice.index(next.rules.len());
            let names: Vec<_> = next.sets.keys().cloned().collect();
            if let Some(rule) = next.rules.get_mut(at).filter(|rule| rule.glass.is_none()) {
                rule.steps.push(step(dice, &names));
                rule.steps.truncate(3);
            }
        }
        2 => {
            let at = dice.index(next.rules.len());
            if let Some(rule) = next.rules.get_mut(at) {
                rule.steps.clear();
            }
        }
        3 => {
            let at = dice.index(next.rules.len());
            if let Some(rule) = next.rules.get_mut(at) {
                rule.max = Span::minutes(1 + dice.number(0..10));
            }
        }
        4 => {
            let at = dice.index(next.resources.len());
            if let Some(resource) = next.resources.get_mut(at) {
                let shared = resource.roles.values().any(Option::is_some);
                let door = (shared && dice.chance(500)).then(|| "door0".to_owned());
                resource.roles.insert("write".into(), door);
            }
        }
        5 => {
            next.settle = if next.settle == Span::ZERO {
                Span::minutes(2)
            } else {
                Span::ZERO
            }
        }
        _ => {
            let guardrail = guardrail(dice, &next, number);
            next.guardrails.push(guardrail);
        }
    }
    next
}
