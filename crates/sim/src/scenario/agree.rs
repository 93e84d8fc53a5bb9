//! Draws what people make of a policy that is proposed, and of tickets.

use daypass_core::time::Span;

use super::{ChangeVote, Element, Scenario, What};
use crate::dice::Dice;

/// Somebody applies a policy, mostly whoever administers; where others must agree, they have their say.
pub(super) fn policy(dice: &mut Dice, scenario: &mut Scenario, at: Span) {
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
    if scenario.policies.iter().all(|policy| policy.control.is_empty()) {
        return;
    }
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

/// Tickets are closed: those that asks named, and sometimes others.
pub(super) fn tickets(dice: &mut Dice, scenario: &mut Scenario, over: Span) {
    for _ in 0..dice.number(1..5) {
        let at = dice.span(Span::ZERO, over);
        let what = What::CloseTicket {
            ticket: dice.index(super::TICKETS),
        };
        scenario.elements.push(Element { at, what });
    }
}
