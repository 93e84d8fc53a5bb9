//! Draws what people make of a policy that is proposed, and of tickets.

use daypass_core::time::Span;

use super::{ChangeVote, Element, Scenario, What};
use crate::dice::Dice;

/// Somebody applies a policy, mostly whoever administers; where others must agree, they have their say. Then another one often
/// waits at the same time.
pub(super) fn policy(dice: &mut Dice, scenario: &mut Scenario, at: Span) {
    propose(dice, scenario, at);
    let controlled = scenario.policies.iter().any(|policy| !policy.control.is_empty());
    if controlled && dice.chance(500) {
        let at = at + dice.span(Span::ZERO, Span::minutes(2));
        propose(dice, scenario, at);
    }
}

fn propose(dice: &mut Dice, scenario: &mut Scenario, at: Span) {
    let last = scenario.people.len().saturating_sub(1);
    let who = if dice.chance(850) {
        last
    } else {
        dice.index(scenario.people.len())
    };
    let number = dice.index(scenario.policies.len());
    let proposal = scenario.elements.len();
    let what = What::Policy { number, who };
    scenario.elements.push(Element { at, what });
    if scenario.policies.iter().any(|policy| !policy.control.is_empty()) {
        say(dice, scenario, (proposal, who), at);
    }
}

/// What people say to what the element `proposal` proposes, and whether `who` proposes it takes it back.
pub(super) fn say(dice: &mut Dice, scenario: &mut Scenario, (proposal, who): (usize, usize), at: Span) {
    let mut votes = Vec::new();
    for who in 0..scenario.people.len() {
        for _ in 0..*dice.pick(&[0, 1, 1, 1, 2]).unwrap_or(&1) {
            votes.push(ChangeVote {
                proposal,
                who,
                agrees: dice.chance(970),
                token: dice.chance(40),
                other_digest: dice.chance(30),
            });
        }
    }
    if dice.chance(40) {
        let at = at + dice.span(Span::ZERO, Span::minutes(2));
        let what = What::WithdrawChange {
            proposal,
            who: if dice.chance(800) { who } else { 0 },
        };
        scenario.elements.push(Element { at, what });
    }
    if dice.chance(300) {
        let at = at + dice.span(Span::millis(200), Span::minutes(2));
        let what = What::VotesOnChange(votes);
        return scenario.elements.push(Element { at, what });
    }
    for vote in votes {
        let at = at + dice.span(Span::millis(200), Span::minutes(3));
        let what = What::VoteOnChange(vote);
        scenario.elements.push(Element { at, what });
    }
}

/// Tickets are closed: some soon after somebody asked with them, some at any time.
pub(super) fn tickets(dice: &mut Dice, scenario: &mut Scenario, over: Span) {
    let asked = |(number, element): (usize, &Element)| match element.what {
        What::Ask { .. } => Some((element.at, number % super::TICKETS)),
        _ => None,
    };
    let asks: Vec<_> = scenario.elements.iter().enumerate().filter_map(asked).collect();
    for _ in 0..dice.number(1..5) {
        let soon = dice.pick(&asks).copied();
        let soon = soon.filter(|_| dice.chance(700));
        let (at, ticket) = match soon {
            Some((at, ticket)) => (at + dice.span(Span::seconds(1), Span::minutes(8)), ticket),
            None => (dice.span(Span::ZERO, over), dice.index(super::TICKETS)),
        };
        let what = What::CloseTicket { ticket };
        scenario.elements.push(Element { at, what });
    }
}
