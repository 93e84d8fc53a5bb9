//! Draws what goes wrong.

use daypass_core::time::Span;

use super::{Deed, Element, Flavour, Outage, Scenario, What};
use crate::dice::Dice;

/// Over how long it is spread.
const LENGTH: Span = Span::minutes(60);

/// Adds it to the scenario. One seed in ten is spared, so that what goes wrong without any trouble is seen as such.
pub(super) fn draw(dice: &mut Dice, scenario: &mut Scenario) {
    if dice.chance(100) {
        scenario.mishaps = 0;
        scenario.lost_answers = 0;
        return;
    }
    for _ in 0..dice.number(0..6) {
        let at = dice.span(Span::ZERO, LENGTH);
        let what = one(dice, scenario);
        if matches!(what, What::Jump { by } if by < 0) && dice.chance(600) {
            // Whoever knew how far it was set back is gone soon after.
            let at = at + dice.span(Span::seconds(10), Span::minutes(6));
            for server in 0..scenario.servers {
                let what = What::Crash {
                    server,
                    points: dice.number(0..6),
                    at: None,
                };
                scenario.elements.push(Element { at, what });
            }
        }
        scenario.elements.push(Element { at, what });
    }
    if scenario.flavour == Flavour::Crowded {
        for _ in 0..dice.number(0..6) {
            let at = dice.span(Span::ZERO, Span::minutes(15));
            let server = dice.index(scenario.servers);
            let what = What::Stall {
                server,
                lasts: dice.span(Span::millis(50), Span::seconds(20)),
            };
            scenario.elements.push(Element { at, what });
        }
    }
    if scenario.flavour == Flavour::Hasty {
        for _ in 0..dice.number(0..6) {
            let at = dice.span(Span::ZERO, Span::minutes(45));
            let what = crash(dice, scenario);
            scenario.elements.push(Element { at, what });
        }
    }
    if dice.chance(400) {
        for _ in 0..(1 + dice.number(0..4)) {
            let at = dice.span(Span::ZERO, LENGTH);
            let what = crash(dice, scenario);
            scenario.elements.push(Element { at, what });
        }
    }
}

fn one(dice: &mut Dice, scenario: &Scenario) -> What {
    let target = dice.index(scenario.targets.len());
    let server = dice.index(scenario.servers);
    match dice.number(0..20) {
        0..6 => What::Outage {
            target,
            how: *dice
                .pick(&[
                    Outage::Down,
                    Outage::Down,
                    Outage::Denies,
                    Outage::Limits,
                    Outage::Shrugs,
                    Outage::LosesAnswers,
                    Outage::HalfRemoves,
                ])
                .unwrap_or(&Outage::Down),
            lasts: lasts(dice),
        },
        // A server asks a store that is gone or full each second: hours of it would be most of what is simulated.
        6 | 7 if scenario.servers > 1 && dice.chance(500) => What::CutOff {
            server,
            lasts: lasts(dice).min(Span::minutes(20)),
        },
        6 | 7 => What::StoreGone {
            lasts: lasts(dice).min(Span::minutes(20)),
        },
        8 | 9 => What::StoreFull {
            lasts: lasts(dice).min(Span::minutes(20)),
        },
        10..15 => What::Hand {
            target,
            deed: *dice
                .pick(&[
                    Deed::AddMarked,
                    Deed::AddForeign,
                    Deed::Remove,
                    Deed::Remove,
                    Deed::PutBack,
                    Deed::Change,
                ])
                .unwrap_or(&Deed::Remove),
        },
        15..17 => What::Stall {
            server,
            lasts: dice.span(Span::millis(200), Span::minutes(4)),
        },
        17 | 18 => {
            let by = i64::try_from(dice.span(Span::seconds(1), Span::hours(3)).micros()).unwrap_or(0);
            What::Jump {
                by: if dice.chance(500) { by } else { -by },
            }
        }
        _ => crash(dice, scenario),
    }
}

/// The kinds of points that crashes are aimed at: twice in each call, before it is sent and when its answer has come.
const POINTS: [&str; 6] = [
    "a write",
    "the answer to a write",
    "provision",
    "revoke",
    "inspect",
    "list",
];

pub(super) fn crash(dice: &mut Dice, scenario: &Scenario) -> What {
    let server = dice.index(scenario.servers);
    // A server that waits reads, most of the time: what is rarer has to be aimed at.
    if dice.chance(500) {
        return What::Crash {
            server,
            points: dice.number(0..4),
            at: dice.pick(&POINTS).copied(),
        };
    }
    What::Crash {
        server,
        points: dice.number(0..60),
        at: None,
    }
}

/// Mostly minutes; sometimes hours.
fn lasts(dice: &mut Dice) -> Span {
    if dice.chance(60) {
        dice.span(Span::minutes(40), Span::hours(3))
    } else {
        dice.span(Span::seconds(1), Span::minutes(8))
    }
}
