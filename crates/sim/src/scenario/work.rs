//! Draws what people do: ask, agree and disagree, lengthen, give back, and change the house around them.

use daypass_core::time::Span;

use super::policy::{End, Set};
use super::{Element, Flavour, On, Person, Scenario, Vote, What, agree, draw};
use crate::dice::Dice;

/// Over how long asks are spread.
const LENGTH: Span = Span::minutes(45);

/// Adds it to the scenario.
pub(super) fn draw(dice: &mut Dice, scenario: &mut Scenario) {
    let asks = match scenario.flavour {
        Flavour::Mass => 30 + dice.index(40),
        Flavour::Crowded => 5 + dice.index(8),
        Flavour::Thrifty => 4 + dice.index(8),
        Flavour::Plain | Flavour::Hasty | Flavour::Debated => 1 + dice.index(6),
    };
    // Of a mass, all ask within a few seconds, for the same length.
    let together = dice.span(Span::ZERO, Span::minutes(5));
    let mut last = Span::ZERO;
    for _ in 0..asks {
        let at = match scenario.flavour {
            // Of two at the same time the second must see the first.
            Flavour::Thrifty if dice.chance(350) => last + dice.span(Span::ZERO, Span::seconds(2)),
            Flavour::Mass => together + dice.span(Span::ZERO, Span::seconds(5)),
            Flavour::Crowded => dice.span(Span::ZERO, Span::minutes(12)),
            Flavour::Thrifty => dice.span(Span::ZERO, Span::minutes(30)),
            Flavour::Plain | Flavour::Hasty | Flavour::Debated => dice.span(Span::ZERO, LENGTH),
        };
        last = at;
        ask(dice, scenario, at);
    }
    let changes = if scenario.flavour == Flavour::Debated {
        dice.number(2..12)
    } else {
        dice.number(0..5)
    };
    for _ in 0..changes {
        let at = dice.span(Span::ZERO, LENGTH);
        match change(dice, scenario) {
            None => agree::policy(dice, scenario, at),
            Some(what) => scenario.elements.push(Element { at, what }),
        }
    }
    let mut rules = scenario.policies.iter().flat_map(|policy| &policy.rules);
    if rules.any(|rule| rule.bounds.ends.contains(&End::TicketClosed)) {
        agree::tickets(dice, scenario, LENGTH);
    }
}

fn ask(dice: &mut Dice, scenario: &mut Scenario, at: Span) {
    let (who, mut items, glass) = asked(dice, scenario);
    let number = scenario.elements.len();
    let duration = match scenario.flavour {
        Flavour::Mass => Some(Span::minutes(3)),
        Flavour::Crowded => Some(Span::minutes(1 + dice.number(0..2))),
        Flavour::Thrifty => Some(Span::minutes(1 + dice.number(0..6))),
        _ => dice.chance(700).then(|| Span::minutes(1 + dice.number(0..15))),
    };
    let later = dice.chance(150) && !glass;
    let environment = items.first().filter(|_| dice.chance(60));
    let environment = environment.and_then(|item| of_environment(scenario, item));
    if environment.is_some() && dice.chance(700) {
        items.clear();
    }
    let what = What::Ask {
        who,
        items,
        duration,
        glass,
        environment,
        start_after: later.then(|| dice.span(Span::seconds(10), Span::minutes(10))),
        copies: copies(dice, 200),
    };
    scenario.elements.push(Element { at, what });
    votes(dice, scenario, number, at);
    if scenario.flavour == Flavour::Mass {
        return;
    }
    if dice.chance(350) {
        extend(dice, scenario, (number, who), at, duration);
    }
    if dice.chance(60) {
        let at = at + dice.span(Span::ZERO, Span::minutes(6));
        scenario.elements.push(Element {
            at,
            what: What::Lock { on: On::Person(who) },
        });
    }
    for _ in 0..dice.number(0..3) {
        let at = at + dice.span(Span::seconds(30), Span::minutes(25));
        let stays = dice.span(Span::seconds(5), Span::minutes(40));
        let what = What::Connect { ask: number, stays };
        scenario.elements.push(Element { at, what });
    }
    for _ in 0..(if glass { dice.number(0..4) } else { 0 }) {
        let at = at + dice.span(Span::seconds(10), Span::minutes(12));
        let (who, revoke) = (dice.index(scenario.people.len()), dice.chance(300));
        let what = What::LookBack {
            ask: number,
            who,
            revoke,
        };
        scenario.elements.push(Element { at, what });
    }
    if matches!(scenario.flavour, Flavour::Hasty | Flavour::Thrifty) || dice.chance(300) {
        give_back(dice, scenario, (number, who), at);
    }
}

/// Mostly one; several this many times in a thousand.
fn copies(dice: &mut Dice, permille: u32) -> u32 {
    if dice.chance(permille) {
        *dice.pick(&[2, 3, 4]).unwrap_or(&2)
    } else {
        1
    }
}

/// Somebody asks for more time, often at the very moment of the deadline, as far as that can be told beforehand.
fn extend(
    dice: &mut Dice,
    scenario: &mut Scenario,
    (ask, who): (usize, usize),
    at: Span,
    lasts: Option<Span>,
) {
    let deadline = lasts.filter(|_| dice.chance(400));
    let stalls = deadline.map(|lasts| at + lasts);
    let deadline = stalls.map(|ends| ends + dice.span(Span::ZERO, Span::millis(300)));
    if let Some(at) = stalls.filter(|_| dice.chance(400)) {
        // Servers that stand still over the deadline find both to do when they go on: what ends, and what asks for more.
        for server in 0..scenario.servers {
            let lasts = dice.span(Span::seconds(1), Span::seconds(6));
            let what = What::Stall { server, lasts };
            scenario.elements.push(Element { at, what });
        }
    }
    let at = deadline.unwrap_or_else(|| at + dice.span(Span::minutes(1), Span::minutes(14)));
    let number = scenario.elements.len();
    let (duration, copies) = (Span::minutes(1 + dice.number(0..12)), copies(dice, 300));
    let what = What::Extend {
        ask,
        who,
        duration,
        copies,
    };
    scenario.elements.push(Element { at, what });
    votes(dice, scenario, number, at);
}

/// It is taken back, given back or taken away: mostly after a while, sometimes at once.
fn give_back(dice: &mut Dice, scenario: &mut Scenario, (ask, who): (usize, usize), at: Span) {
    let (least, most) = match scenario.flavour {
        Flavour::Hasty => (Span::ZERO, Span::seconds(20)),
        Flavour::Thrifty => (Span::seconds(30), Span::minutes(6)),
        _ => (Span::seconds(30), Span::minutes(25)),
    };
    let at = at + dice.span(least, most);
    let other = dice.index(scenario.people.len());
    let copies = copies(dice, 300);
    let what = match dice.number(0..5) {
        0 => What::Withdraw { ask, who },
        1..4 => What::Release {
            ask,
            who: if dice.chance(900) { who } else { other },
            copies,
        },
        _ => What::Revoke {
            ask,
            who: other,
            copies,
        },
    };
    scenario.elements.push(Element { at, what });
}

/// Mostly somebody whom some rule admits asks for what it gives; sometimes anybody for anything.
fn asked(dice: &mut Dice, scenario: &Scenario) -> (usize, Vec<String>, bool) {
    let who = dice.index(scenario.people.len());
    let policy = scenario.policies.first();
    let thrifty = scenario.flavour == Flavour::Thrifty && !dice.chance(150);
    let drawn = policy.and_then(|policy| {
        let drawn = dice.pick(&policy.rules)?;
        let rule = if thrifty { policy.rules.first()? } else { drawn };
        Some((policy, rule))
    });
    let Some((policy, rule)) = drawn else {
        return (who, Vec::new(), false);
    };
    if !thrifty && dice.chance(200) {
        return (who, items(dice, scenario), dice.chance(100));
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
    let glass = rule.glass.is_some() != dice.chance(50);
    if let Some(first) = admitted.first().filter(|_| thrifty && dice.chance(750)) {
        return (*first, items, glass);
    }
    (dice.pick(&admitted).copied().unwrap_or(who), items, glass)
}

/// The role of an environment that this item is one of.
fn of_environment(scenario: &Scenario, item: &str) -> Option<(String, String)> {
    let (resource, role) = item.split_once('/')?;
    let resource = scenario.policies.first()?.resource(resource)?;
    Some((resource.env.clone(), role.to_owned()))
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
pub(super) fn votes(dice: &mut Dice, scenario: &mut Scenario, ask: usize, asked_at: Span) {
    let mut votes = Vec::new();
    for who in 0..scenario.people.len() {
        for _ in 0..*dice.pick(&[0, 1, 1, 1, 2]).unwrap_or(&1) {
            votes.push(Vote {
                ask,
                who,
                approve: dice.chance(if scenario.flavour == Flavour::Thrifty {
                    850
                } else {
                    980
                }),
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
        let after = dice.span(Span::millis(600), most);
        if scenario.flavour == Flavour::Debated && dice.chance(350) {
            // They leave their groups at this very moment, or once they have voted and others have not.
            let earlier = Span::millis(after.micros() / 1000 - dice.number(0..600));
            let left = if dice.chance(500) {
                earlier
            } else {
                after + dice.span(Span::ZERO, Span::minutes(4))
            };
            let what = What::Groups {
                who: vote.who,
                groups: Vec::new(),
            };
            scenario.elements.push(Element {
                at: asked_at + left,
                what,
            });
        }
        let what = What::Vote(vote);
        scenario.elements.push(Element {
            at: asked_at + after,
            what,
        });
    }
}

/// A change of the house; `None` where it is the policy.
fn change(dice: &mut Dice, scenario: &Scenario) -> Option<What> {
    let who = dice.index(scenario.people.len());
    Some(match dice.number(0..15) {
        10..13 => What::Lock {
            on: lockable(dice, scenario),
        },
        13 | 14 => What::Unlock {
            on: lockable(dice, scenario),
        },
        0..4 => return None,
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
    })
}

/// A person, or a resource of the first policy.
fn lockable(dice: &mut Dice, scenario: &Scenario) -> On {
    let resources = scenario
        .policies
        .first()
        .map(|policy| policy.resources.as_slice())
        .unwrap_or_default();
    let resource = dice.pick(resources).cloned();
    match resource.filter(|_| dice.chance(500)) {
        Some(resource) => On::Resource(resource.name),
        None => On::Person(dice.index(scenario.people.len())),
    }
}
