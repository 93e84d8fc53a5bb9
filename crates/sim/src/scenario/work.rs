//! Draws what people do: ask, agree and disagree, lengthen, give back, and change the house around them.

use daypass_core::time::Span;

use super::policy::Set;
use super::{Element, Person, Scenario, Vote, What, draw};
use crate::dice::Dice;

/// Over how long asks are spread.
const LENGTH: Span = Span::minutes(45);

/// Adds it to the scenario.
pub(super) fn draw(dice: &mut Dice, scenario: &mut Scenario) {
    let mass = dice.chance(20);
    let asks = if mass {
        30 + dice.index(40)
    } else {
        1 + dice.index(7)
    };
    // Of a mass, all ask within a few seconds, for the same length.
    let together = dice.span(Span::ZERO, Span::minutes(5));
    for _ in 0..asks {
        let at = if mass {
            together + dice.span(Span::ZERO, Span::seconds(5))
        } else {
            dice.span(Span::ZERO, LENGTH)
        };
        ask(dice, scenario, at, mass);
    }
    for _ in 0..dice.number(0..5) {
        let at = dice.span(Span::ZERO, LENGTH);
        let what = change(dice, scenario);
        scenario.elements.push(Element { at, what });
    }
}

fn ask(dice: &mut Dice, scenario: &mut Scenario, at: Span, mass: bool) {
    let (who, items) = asked(dice, scenario);
    let number = scenario.elements.len();
    let what = What::Ask {
        who,
        items,
        duration: if mass {
            Some(Span::minutes(3))
        } else {
            dice.chance(700).then(|| Span::minutes(1 + dice.number(0..15)))
        },
        start_after: dice
            .chance(150)
            .then(|| dice.span(Span::seconds(10), Span::minutes(10))),
        copies: if dice.chance(200) {
            2 + u32::try_from(dice.index(3)).unwrap_or(0)
        } else {
            1
        },
    };
    scenario.elements.push(Element { at, what });
    votes(dice, scenario, number, at);
    if mass {
        return;
    }
    let later = |dice: &mut Dice| at + dice.span(Span::seconds(30), Span::minutes(25));
    if dice.chance(350) {
        let extension = What::Extend {
            ask: number,
            who,
            duration: Span::minutes(1 + dice.number(0..12)),
            copies: if dice.chance(300) { 2 } else { 1 },
        };
        let at = at + dice.span(Span::minutes(1), Span::minutes(14));
        let extend = scenario.elements.len();
        scenario.elements.push(Element { at, what: extension });
        votes(dice, scenario, extend, at);
    }
    for _ in 0..dice.number(0..3) {
        let at = later(dice);
        let stays = dice.span(Span::seconds(5), Span::minutes(40));
        scenario.elements.push(Element {
            at,
            what: What::Connect { ask: number, stays },
        });
    }
    if dice.chance(300) {
        let at = later(dice);
        let other = dice.index(scenario.people.len());
        let copies = if dice.chance(300) { 3 } else { 1 };
        let what = match dice.number(0..5) {
            0 => What::Withdraw { ask: number, who },
            1 | 2 => What::Release {
                ask: number,
                who: if dice.chance(900) { who } else { other },
                copies,
            },
            _ => What::Revoke {
                ask: number,
                who: other,
                copies,
            },
        };
        scenario.elements.push(Element { at, what });
    }
}

/// Mostly somebody whom some rule admits asks for what it gives; sometimes anybody for anything.
fn asked(dice: &mut Dice, scenario: &Scenario) -> (usize, Vec<String>) {
    let who = dice.index(scenario.people.len());
    let policy = scenario.policies.first();
    let Some((policy, rule)) = policy.and_then(|policy| Some((policy, dice.pick(&policy.rules)?))) else {
        return (who, Vec::new());
    };
    if dice.chance(200) {
        return (who, items(dice, scenario));
    }
    let in_set = |person: &Person| {
        rule.allow.iter().any(|set| match policy.sets.get(set) {
            Some(Set::Group(group)) => person.groups.contains(group) && !person.service,
            Some(Set::Logins(logins)) => logins.contains(&person.login),
            None => false,
        })
    };
    let admitted: Vec<_> = (0..scenario.people.len())
        .filter(|at| scenario.people.get(*at).is_some_and(in_set))
        .collect();
    let given = policy
        .resources
        .iter()
        .filter(|resource| resource.env == rule.env);
    let given = given.flat_map(|resource| resource.roles.keys().map(move |role| (resource, role)));
    let given = given.filter(|(_, role)| rule.roles.as_ref().is_none_or(|roles| roles.contains(*role)));
    let given: Vec<_> = given
        .map(|(resource, role)| format!("{}/{role}", resource.name))
        .collect();
    let mut items = Vec::new();
    for _ in 0..(if dice.chance(250) { 3 } else { 1 }) {
        items.extend(dice.pick(&given).cloned());
    }
    items.sort();
    items.dedup();
    (dice.pick(&admitted).copied().unwrap_or(who), items)
}

fn items(dice: &mut Dice, scenario: &Scenario) -> Vec<String> {
    let Some(policy) = scenario.policies.first() else {
        return Vec::new();
    };
    let count = if dice.chance(250) { 2 + dice.index(2) } else { 1 };
    let mut items = Vec::new();
    for _ in 0..count {
        let role = if dice.chance(500) { "read" } else { "write" };
        items.extend(
            dice.pick(&policy.resources)
                .map(|resource| format!("{}/{role}", resource.name)),
        );
    }
    items.sort();
    items.dedup();
    items
}

/// Most of the people have an opinion, whether or not anybody asked them; the requester too.
fn votes(dice: &mut Dice, scenario: &mut Scenario, ask: usize, asked_at: Span) {
    let mut votes = Vec::new();
    for who in 0..scenario.people.len() {
        for _ in 0..*dice.pick(&[0, 1, 1, 1, 2]).unwrap_or(&1) {
            votes.push(Vote {
                ask,
                who,
                approve: dice.chance(980),
                shorter: dice.chance(150).then(|| Span::minutes(dice.number(0..8))),
                fewer: dice.chance(100),
                token: dice.chance(40),
                other_digest: dice.chance(30),
            });
        }
    }
    if dice.chance(150) {
        let at = asked_at + dice.span(Span::seconds(1), Span::minutes(4));
        scenario.elements.push(Element {
            at,
            what: What::Votes(votes),
        });
        return;
    }
    let soon = dice.chance(600);
    for vote in votes {
        let most = if soon { Span::seconds(90) } else { Span::minutes(9) };
        let at = asked_at + dice.span(Span::millis(100), most);
        scenario.elements.push(Element {
            at,
            what: What::Vote(vote),
        });
    }
}

fn change(dice: &mut Dice, scenario: &Scenario) -> What {
    let who = dice.index(scenario.people.len());
    match dice.number(0..10) {
        0..4 => What::Policy {
            number: dice.index(scenario.policies.len()),
        },
        4..6 => What::Groups {
            who,
            groups: draw::groups(dice),
        },
        6 => What::Manager {
            who,
            manager: dice.chance(700).then(|| dice.index(scenario.people.len())),
        },
        7 | 8 => What::Deactivate { who },
        _ => What::Reactivate { who },
    }
}
