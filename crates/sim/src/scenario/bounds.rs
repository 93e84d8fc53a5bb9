//! Draws what bounds access beside people and lengths: limits, windows, addresses, what ends it early, steps of guardrails,
//! and who must agree to another policy.
//!
//! Most seeds have little of it: what is refused leads to nothing that could break.

use std::collections::BTreeSet;

use daypass_core::time::Span;

use super::policy::{Bounds, End, Guardrail, Hours, Policy, Set, Step};
use super::{Flavour, Person, draw};
use crate::dice::Dice;

/// Adds it to the first policy of a scenario.
pub(super) fn add(dice: &mut Dice, policy: &mut Policy, people: &[Person], flavour: Flavour) {
    let thrifty = flavour == Flavour::Thrifty;
    policy.cool_down = *dice
        .pick(&[Span::minutes(5), Span::minutes(5), Span::minutes(12), Span::ZERO])
        .unwrap_or(&Span::ZERO);
    if thrifty || dice.chance(120) {
        limits(dice, policy, thrifty);
    }
    if dice.chance(if thrifty { 100 } else { 150 }) {
        windows(dice, policy);
    }
    if dice.chance(60) {
        for rule in &mut policy.rules {
            rule.bounds.network = dice.chance(600).then(|| u8::from(dice.chance(200)));
        }
    }
    // Looks at the sessions of a mass would take longer than what they look at lasts.
    if flavour != Flavour::Mass && dice.chance(200) {
        for rule in &mut policy.rules {
            rule.bounds.ends = ends(dice);
        }
    }
    if dice.chance(if flavour == Flavour::Debated { 250 } else { 80 }) {
        let guard = steps(dice, policy);
        policy.guardrails.push(guard);
        // All steps together must fit into it.
        policy.pending = Span::minutes(60);
    }
    if dice.chance(if flavour == Flavour::Debated { 400 } else { 150 }) {
        policy.control = control(dice, policy, people);
    }
}

/// Changes something of it, or adds something.
pub(super) fn change(dice: &mut Dice, policy: &mut Policy, people: &[Person]) {
    match dice.number(0..7) {
        0 => limits(dice, policy, true),
        1 => policy.control = control(dice, policy, people),
        2 => policy.control.clear(),
        3 => windows(dice, policy),
        4 => {
            let at = dice.index(policy.rules.len());
            if let Some(rule) = policy.rules.get_mut(at) {
                rule.bounds = Bounds {
                    ends: ends(dice),
                    network: dice.chance(200).then_some(0),
                    ..Bounds::default()
                };
            }
        }
        5 => {
            let guard = steps(dice, policy);
            policy.guardrails.push(guard);
            policy.pending = Span::minutes(90);
        }
        _ => {
            let at = dice.index(policy.guardrails.len());
            if at < policy.guardrails.len() {
                policy.guardrails.remove(at);
            }
        }
    }
}

fn limits(dice: &mut Dice, policy: &mut Policy, more: bool) {
    let often = if more { 650 } else { 400 };
    for rule in &mut policy.rules {
        let uses = (
            1 + u32::try_from(dice.index(3)).unwrap_or(0),
            Span::minutes(4 + dice.number(0..26)),
        );
        rule.bounds.uses = dice.chance(often).then_some(uses);
        let own = dice.chance(150) && rule.glass.is_none();
        rule.bounds.cool_down = own.then(|| Span::minutes(dice.number(0..8)));
    }
    if dice.chance(often) {
        let period = Span::minutes(6 + dice.number(0..30));
        let guard = Guardrail {
            total: Some((Span::minutes(2 + dice.number(0..8)).min(period), period)),
            ..named(dice, policy)
        };
        policy.guardrails.push(guard);
    }
}

/// A guardrail that guards nothing yet, over one environment or all.
fn named(dice: &mut Dice, policy: &Policy) -> Guardrail {
    let env = policy
        .resources
        .get(dice.index(policy.resources.len()))
        .map(|resource| resource.env.clone());
    Guardrail {
        // Some may have been removed.
        name: format!("guard{}-{}", policy.guardrails.len(), dice.number(0..1_000_000)),
        env: env.filter(|_| dice.chance(600)),
        ..Guardrail::default()
    }
}

/// Windows around the time in which things happen: from eight o'clock on, for an hour or so.
fn windows(dice: &mut Dice, policy: &mut Policy) {
    for number in 0..3 {
        let from = 7 * 60 + 30 + dice.number(0..90);
        let to = from + 5 + dice.number(0..60);
        policy.windows.insert(format!("w{number}"), Hours { from, to });
    }
    if dice.chance(100) {
        // Over midnight, and open all the while.
        policy.windows.insert("w0".into(), Hours { from: 1400, to: 600 });
    }
    for rule in &mut policy.rules {
        rule.bounds.windows = match dice.number(0..4) {
            0 => vec!["w0".into()],
            1 => vec!["w0".into(), "w1".into()],
            _ => Vec::new(),
        };
    }
    if dice.chance(600) {
        let guard = Guardrail {
            forbid: vec!["w2".into()],
            ..named(dice, policy)
        };
        policy.guardrails.push(guard);
    }
}

fn ends(dice: &mut Dice) -> Vec<End> {
    let mut ends = Vec::new();
    if dice.chance(550) {
        ends.push(End::TicketClosed);
    }
    if dice.chance(250) {
        ends.push(End::LastSession);
    }
    if dice.chance(250) {
        ends.push(End::Idle(Span::minutes(1 + dice.number(0..4))));
    }
    ends
}

fn steps(dice: &mut Dice, policy: &Policy) -> Guardrail {
    let sets: Vec<_> = policy.sets.keys().cloned().collect();
    Guardrail {
        steps: (0..(1 + dice.index(2)))
            .map(|_| draw::step(dice, &sets))
            .collect(),
        ..named(dice, policy)
    }
}

/// Steps that others than some administrator can fill; none where there are too few people. Nobody could ever replace a policy
/// that asks for more, and it is not put in force.
fn control(dice: &mut Dice, policy: &Policy, people: &[Person]) -> Vec<Step> {
    let sets: Vec<_> = policy.sets.keys().cloned().collect();
    let steps: Vec<_> = (0..(1 + dice.index(2)))
        .map(|_| draw::step(dice, &sets))
        .filter(|step| step.from != "manager")
        .collect();
    let administrators = (0..people.len()).filter(|at| {
        let person = people.get(*at);
        person.is_some_and(|person| person.administrator && !person.service)
    });
    let mut proposers = administrators;
    if proposers.any(|proposer| fill(policy, people, &steps, BTreeSet::from([proposer]))) {
        steps
    } else {
        Vec::new()
    }
}

/// Whether different people who have not been used yet can fill these steps, whom they escalate to left aside.
fn fill(policy: &Policy, people: &[Person], steps: &[Step], used: BTreeSet<usize>) -> bool {
    let Some((step, others)) = steps.split_first() else {
        return true;
    };
    let Some(Set::Group(group)) = policy.sets.get(&step.from) else {
        return false;
    };
    let fits = |at: &usize| {
        let person = people.get(*at);
        person.is_some_and(|person| !person.service && person.groups.contains(group)) && !used.contains(at)
    };
    let asked: Vec<usize> = (0..people.len()).filter(fits).collect();
    let (wanted, mut used) = (usize::try_from(step.count).unwrap_or(usize::MAX), used.clone());
    // Those first who are of no other group.
    let mut asked = asked;
    asked.sort_by_key(|at| people.get(*at).map_or(0, |person| person.groups.len()));
    used.extend(asked.iter().take(wanted));
    asked.len() >= wanted && fill(policy, people, others, used)
}
