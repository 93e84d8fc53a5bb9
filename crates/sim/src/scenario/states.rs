//! Draws who reviews in whose place, programs and who answers for them, who has a hand in whose account, and changes of accounts
//! that others must agree to.
//!
//! Few seeds have any of it, and those have much of it.

use std::collections::BTreeSet;

use daypass_core::time::Span;

use super::policy::{Area, Policy, Set};
use super::{Act, Element, Flavour, On, Person, Scenario, What, agree, draw, trouble, work};
use crate::dice::Dice;

/// The longest that a delegation may last.
const LONGEST: Span = Span::hours(30 * 24);
/// To how many changes of accounts people say something. Each is dozens of commands.
const ANSWERED: usize = 6;

/// An ask: its element, when, and who asks.
type Asked = (usize, Span, usize);

/// Adds it to the people and the first policy of a scenario.
pub(super) fn house(dice: &mut Dice, people: &mut Vec<Person>, policy: &mut Policy, flavour: Flavour) {
    let (away, program) = match flavour {
        Flavour::Debated => (450, 130),
        Flavour::Plain | Flavour::Hasty => (160, 80),
        Flavour::Crowded | Flavour::Thrifty | Flavour::Mass => (10, 20),
    };
    if dice.chance(away) {
        policy.delegates = delegates(dice, policy);
    }
    if dice.chance(program) {
        robot(dice, people, policy);
    }
    if !policy.control.is_empty() && dice.chance(500) {
        policy.covers = covers(dice);
        if dice.chance(400) {
            late(dice, people);
        }
    }
}

/// Changes something of it in a later policy, where there is something.
pub(super) fn change(dice: &mut Dice, policy: &mut Policy) {
    if !policy.delegates.is_empty() && dice.chance(300) {
        policy.delegates = if dice.chance(400) {
            Vec::new()
        } else {
            delegates(dice, policy)
        };
    }
    if !policy.control.is_empty() && !policy.covers.is_empty() && dice.chance(300) {
        policy.covers = covers(dice);
    }
}

/// One set or two.
fn delegates(dice: &mut Dice, policy: &Policy) -> Vec<String> {
    let sets: Vec<_> = policy.sets.keys().cloned().collect();
    let some: BTreeSet<_> = (0..(1 + dice.index(2)))
        .filter_map(|_| dice.pick(&sets).cloned())
        .collect();
    some.into_iter().collect()
}

fn covers(dice: &mut Dice) -> BTreeSet<Area> {
    let all = [Area::People, Area::Groups, Area::Credentials];
    all.into_iter().filter(|_| dice.chance(700)).collect()
}

/// A program that some rules admit. Whoever administers stays the last of the people.
fn robot(dice: &mut Dice, people: &mut Vec<Person>, policy: &mut Policy) {
    let persons: Vec<_> = (0..people.len())
        .filter(|at| people.get(*at).is_some_and(|person| !person.service))
        .filter(|at| at + 1 < people.len())
        .collect();
    let robot = Person {
        login: "robot".into(),
        service: true,
        administrator: false,
        groups: draw::groups(dice),
        // Of a program it is who answers for it.
        manager: dice.pick(&persons).copied(),
        absent: false,
        late: false,
    };
    people.insert(people.len().saturating_sub(1), robot);
    if let Some(Set::Logins(named)) = policy.sets.get_mut("named") {
        named.push("robot".into());
    }
    let mut admits = false;
    for rule in policy.rules.iter_mut().filter(|rule| rule.glass.is_none()) {
        if (!admits || dice.chance(500)) && !rule.allow.iter().any(|set| set == "named") {
            rule.allow.push("named".into());
        }
        admits = true;
    }
}

/// Somebody who is not there yet.
fn late(dice: &mut Dice, people: &mut Vec<Person>) {
    let late = Person {
        login: "late".into(),
        service: false,
        administrator: dice.chance(200),
        groups: draw::groups(dice),
        manager: None,
        absent: false,
        late: true,
    };
    people.insert(people.len().saturating_sub(1), late);
}

/// Adds what happens.
pub(super) fn draw(dice: &mut Dice, scenario: &mut Scenario) {
    let robot = scenario.people.iter().position(|person| person.login == "robot");
    if let Some(robot) = robot {
        programs(dice, scenario, robot);
    }
    let asks = asks(scenario);
    if scenario
        .policies
        .iter()
        .any(|policy| !policy.delegates.is_empty())
    {
        delegations(dice, scenario, &asks);
    }
    if scenario.policies.iter().any(|policy| policy.settle > Span::ZERO) && dice.chance(600) {
        hands(dice, scenario, &asks);
    }
    if scenario.policies.iter().any(|policy| !policy.covers.is_empty()) {
        edits(dice, scenario, robot);
        answers(dice, scenario);
    }
}

fn asks(scenario: &Scenario) -> Vec<Asked> {
    let asked = |(number, element): (usize, &Element)| match element.what {
        What::Ask { who, .. } => Some((number, element.at, who)),
        _ => None,
    };
    scenario.elements.iter().enumerate().filter_map(asked).collect()
}

/// Within a minute before this or some minutes after.
fn around(dice: &mut Dice, at: Span) -> Span {
    let at = at + dice.span(Span::ZERO, Span::minutes(4));
    Span::millis((at.micros() / 1000).saturating_sub(60_000))
}

fn push(scenario: &mut Scenario, at: Span, what: What) {
    scenario.elements.push(Element { at, what });
}

/// People go away around the time at which something is asked, some in chains, some to the same.
fn delegations(dice: &mut Dice, scenario: &mut Scenario, asks: &[Asked]) {
    let count = scenario.people.len();
    let deputies = deputies(scenario);
    for _ in 0..dice.number(2..7) {
        let Some((_, asked, requester)) = dice.pick(asks).copied() else {
            return;
        };
        let at = around(dice, asked);
        let who = dice.index(count);
        let to = deputy(dice, count, &deputies);
        away(dice, scenario, at, (who, to));
        let further = at + dice.span(Span::ZERO, Span::minutes(1));
        match dice.number(0..10) {
            0..3 => {
                let next = deputy(dice, count, &deputies);
                away(dice, scenario, further, (to, next));
            }
            3..5 => {
                let other = dice.index(count);
                away(dice, scenario, further, (other, to));
            }
            5 => {
                let other = dice.index(count);
                away(dice, scenario, further, (other, requester));
            }
            _ => {}
        }
        if dice.chance(450) {
            let at = at + dice.span(Span::seconds(2), Span::minutes(5));
            let by = match dice.number(0..10) {
                0..7 => who,
                7 | 8 => count.saturating_sub(1),
                _ => dice.index(count),
            };
            push(scenario, at, What::EndDelegation { of: who, by });
        }
    }
}

/// Those whom some policy lets be delegates, as they are at the beginning.
fn deputies(scenario: &Scenario) -> Vec<usize> {
    let is_one = |person: &Person| {
        let named = |policy: &Policy, set: &String| match policy.sets.get(set) {
            Some(Set::Group(group)) => person.groups.contains(group),
            Some(Set::Logins(logins)) => logins.contains(&person.login),
            None => false,
        };
        let mut policies = scenario.policies.iter();
        !person.service && policies.any(|policy| policy.delegates.iter().any(|set| named(policy, set)))
    };
    let people = scenario.people.iter().enumerate();
    people
        .filter(|(_, person)| is_one(person))
        .map(|(at, _)| at)
        .collect()
}

/// Mostly one of them; sometimes anybody.
fn deputy(dice: &mut Dice, count: usize, deputies: &[usize]) -> usize {
    let anybody = dice.index(count);
    let one = dice.pick(deputies).copied();
    one.filter(|_| dice.chance(800)).unwrap_or(anybody)
}

fn away(dice: &mut Dice, scenario: &mut Scenario, at: Span, (who, to): (usize, usize)) {
    let lasts = match dice.number(0..20) {
        0..9 => dice.span(Span::seconds(20), Span::minutes(3)),
        9..17 => dice.span(Span::minutes(3), Span::minutes(30)),
        17 => LONGEST,
        _ => LONGEST + dice.span(Span::seconds(1), Span::hours(48)),
    };
    let what = What::Delegate {
        who,
        to,
        after: dice
            .chance(150)
            .then(|| dice.span(Span::seconds(2), Span::minutes(2))),
        lasts,
        proved: dice.chance(950),
    };
    push(scenario, at, what);
}

/// A program asks; who answers for it votes as everybody does, changes, or is switched off.
fn programs(dice: &mut Dice, scenario: &mut Scenario, robot: usize) {
    let (count, last) = (scenario.people.len(), scenario.people.len().saturating_sub(1));
    for _ in 0..dice.number(1..4) {
        let at = dice.span(Span::ZERO, Span::minutes(40));
        let items = given(dice, scenario);
        let number = scenario.elements.len();
        let what = What::Ask {
            who: robot,
            items,
            duration: dice.chance(700).then(|| Span::minutes(2 + dice.number(0..15))),
            start_after: dice
                .chance(100)
                .then(|| dice.span(Span::seconds(10), Span::minutes(5))),
            glass: false,
            environment: None,
            copies: 1,
        };
        push(scenario, at, what);
        work::votes(dice, scenario, number, at);
        let owner = scenario.people.get(robot).and_then(|robot| robot.manager);
        let mut owner = owner.unwrap_or(last);
        if dice.chance(450) {
            owner = dice.index(count);
            let act = Act::Owner(owner);
            let at = at + dice.span(Span::ZERO, Span::minutes(2));
            push(
                scenario,
                at,
                What::Edit {
                    by: last,
                    of: robot,
                    act,
                },
            );
        }
        if dice.chance(350) {
            let at = at + dice.span(Span::ZERO, Span::minutes(5));
            push(scenario, at, What::Deactivate { who: owner });
            if dice.chance(500) {
                let at = at + dice.span(Span::seconds(1), Span::minutes(9));
                push(scenario, at, What::Reactivate { who: owner });
            }
        } else if dice.chance(150) {
            let at = at + dice.span(Span::ZERO, Span::minutes(5));
            let on = On::Person(owner);
            push(scenario, at, What::Lock { on: on.clone() });
            let at = at + dice.span(Span::seconds(1), Span::minutes(9));
            push(scenario, at, What::Unlock { on });
        }
        if dice.chance(250) {
            let act = Act::Token(Span::minutes(1 + dice.number(0..20)));
            push(
                scenario,
                around(dice, at),
                What::Edit {
                    by: owner,
                    of: robot,
                    act,
                },
            );
        }
    }
}

/// What some rule gives to programs.
fn given(dice: &mut Dice, scenario: &Scenario) -> Vec<String> {
    let Some(policy) = scenario.policies.first() else {
        return Vec::new();
    };
    let rules = policy.rules.iter().filter(|rule| rule.glass.is_none());
    let rules: Vec<_> = rules
        .filter(|rule| rule.allow.iter().any(|set| set == "named"))
        .collect();
    let Some(rule) = dice.pick(&rules) else {
        return Vec::new();
    };
    let resources: Vec<_> = policy
        .resources
        .iter()
        .filter(|one| one.env == rule.env)
        .collect();
    let roles: Vec<_> = ["read", "write"]
        .into_iter()
        .filter(|role| rule.roles.as_ref().is_none_or(|roles| roles.contains(*role)))
        .collect();
    let (resource, role) = (dice.pick(&resources), dice.pick(&roles));
    let item = resource
        .zip(role)
        .map(|(one, role)| format!("{}/{role}", one.name));
    item.into_iter().collect()
}

/// Those who administer have a hand in the accounts that ask, shortly before they vote.
fn hands(dice: &mut Dice, scenario: &mut Scenario, asks: &[Asked]) {
    let administrators: Vec<_> = (0..scenario.people.len())
        .filter(|at| {
            let person = scenario.people.get(*at);
            person.is_some_and(|person| person.administrator && !person.service)
        })
        .collect();
    for _ in 0..dice.number(2..6) {
        let (Some((_, asked, of)), Some(by)) = (dice.pick(asks).copied(), dice.pick(&administrators)) else {
            return;
        };
        let act = match dice.number(0..4) {
            0 => Act::Join(format!("g{}", dice.number(0..3))),
            1 => Act::Manager(dice.chance(700).then(|| dice.index(scenario.people.len()))),
            _ => Act::Password,
        };
        let at = asked + dice.span(Span::ZERO, Span::minutes(1));
        push(scenario, at, What::Edit { by: *by, of, act });
    }
}

/// Those who administer, and some who do not, change accounts; often two at the same time change the same one.
fn edits(dice: &mut Dice, scenario: &mut Scenario, robot: Option<usize>) {
    let last = scenario.people.len().saturating_sub(1);
    let late = scenario.people.iter().position(|person| person.late);
    if let Some(of) = late {
        let at = dice.span(Span::ZERO, Span::minutes(15));
        push(
            scenario,
            at,
            What::Edit {
                by: last,
                of,
                act: Act::Add,
            },
        );
    }
    for _ in 0..dice.number(2..6) {
        let at = dice.span(Span::ZERO, Span::minutes(45));
        let of = dice.index(scenario.people.len());
        for _ in 0..*dice.pick(&[1, 1, 2, 3]).unwrap_or(&1) {
            let by = if dice.chance(800) {
                last
            } else {
                dice.index(scenario.people.len())
            };
            let (of, act) = act(dice, scenario, (of, robot));
            let at = at + dice.span(Span::ZERO, Span::seconds(30));
            let program = scenario.people.get(by).is_some_and(|person| person.service);
            if !program {
                push(scenario, at, What::Edit { by, of, act });
            }
        }
        if dice.chance(250) {
            let at = at + dice.span(Span::ZERO, Span::minutes(2));
            push(scenario, at, What::Deactivate { who: of });
        }
    }
}

fn act(dice: &mut Dice, scenario: &Scenario, (of, robot): (usize, Option<usize>)) -> (usize, Act) {
    let group = format!("g{}", dice.number(0..3));
    let somebody = dice.index(scenario.people.len());
    let last = scenario.people.len().saturating_sub(1);
    let act = match (dice.number(0..12), robot) {
        (0..3, _) => Act::Join(group),
        (3 | 4, _) => Act::Leave(group),
        (5, _) => Act::Manager(dice.chance(800).then_some(somebody)),
        // Without the last who administers nothing more would happen.
        (6, _) if of != last => Act::Administers(dice.chance(600)),
        (7 | 8, _) => Act::Password,
        (9, Some(robot)) => return (robot, Act::Owner(somebody)),
        (10, Some(robot)) => return (robot, Act::Token(Span::minutes(5))),
        _ => Act::Reactivate,
    };
    (of, act)
}

/// People say something to some of the changes of accounts that may wait, and servers crash just then.
fn answers(dice: &mut Dice, scenario: &mut Scenario) {
    let last = scenario.people.len().saturating_sub(1);
    let changes = |(number, element): (usize, &Element)| match element.what {
        What::Edit { by, .. } => Some((number, element.at, by)),
        What::Groups { .. } | What::Manager { .. } | What::Reactivate { .. } => {
            Some((number, element.at, last))
        }
        _ => None,
    };
    let mut changes: Vec<_> = scenario.elements.iter().enumerate().filter_map(changes).collect();
    for _ in 0..ANSWERED.min(changes.len()) {
        let at = dice.index(changes.len());
        let (number, at, by) = changes.swap_remove(at);
        agree::say(dice, scenario, (number, by), at);
        if scenario.mishaps > 0 && dice.chance(250) {
            let at = at + dice.span(Span::seconds(1), Span::minutes(2));
            let what = trouble::crash(dice, scenario);
            push(scenario, at, what);
        }
    }
}
