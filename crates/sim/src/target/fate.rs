//! What becomes of a call: whether it arrives, takes effect, and is answered.

use daypass_core::entitlement::Fault;
use daypass_core::time::Span;

use super::Target;
use crate::dice::Dice;
use crate::lock;
use crate::scenario::Outage;

/// The fate of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It takes effect after so long, and is answered after so much more.
    Done { there: Span, back: Span },
    /// It is refused, and changes nothing.
    Refused { fault: Fault, after: Span },
    /// It never arrives, and nobody answers.
    Lost,
    /// It takes effect after so long, and nobody answers.
    Unanswered { lands: Span },
    /// Whoever makes it has a bug.
    Panics,
    /// It does half of what it should, and fails.
    Half { there: Span },
    /// It is answered as if it were done, and nothing was.
    Hollow { after: Span },
    /// It is answered without saying anything.
    Shrugs { after: Span },
}

impl Target {
    /// The fate of the next call of this kind.
    pub(super) fn fate(&self, seed: u64, mishaps: u32, op: &'static str, key: &str) -> Fate {
        let number = {
            let mut state = lock(&self.state);
            let calls = state.calls.entry((op, key.to_owned())).or_default();
            *calls += 1;
            *calls
        };
        let connector = &self.character.connector;
        let mut dice = Dice::of(seed, &format!("call/{connector}/{key}/{op}/{number}"));
        let quick = |dice: &mut Dice| dice.span(Span::ZERO, Span::millis(40));
        let after = quick(&mut dice);
        let timeout = self.character.timeout;
        match self.outage() {
            Some(Outage::Down) => Fate::Lost,
            Some(Outage::Denies) => Fate::Refused {
                fault: Fault::Denied,
                after,
            },
            Some(Outage::Limits) => Fate::Refused {
                fault: Fault::RateLimited,
                after,
            },
            Some(Outage::Shrugs) => Fate::Shrugs { after },
            Some(Outage::LosesAnswers) => Fate::Unanswered { lands: after },
            Some(Outage::HalfRemoves) => Fate::Half { there: after },
            None if dice.chance(mishaps) => self.mishap(&mut dice),
            None => {
                let slow = dice.chance(50);
                let half = Span::millis(timeout.micros() / 2000);
                let there = if slow { dice.span(Span::ZERO, half) } else { after };
                Fate::Done {
                    there,
                    back: quick(&mut dice),
                }
            }
        }
    }

    fn mishap(&self, dice: &mut Dice) -> Fate {
        let character = &self.character;
        let after = dice.span(Span::ZERO, character.timeout);
        match dice.number(0..15) {
            0 => Fate::Lost,
            1 => Fate::Panics,
            2 => Fate::Half { there: after },
            3 => Fate::Shrugs { after },
            4 => Fate::Hollow { after },
            5..8 => Fate::Refused {
                fault: *dice
                    .pick(&[
                        Fault::NotFound,
                        Fault::Denied,
                        Fault::RateLimited,
                        Fault::Conflict,
                        Fault::Unavailable,
                        Fault::Misconfigured,
                        Fault::Bug,
                    ])
                    .unwrap_or(&Fault::Bug),
                after,
            },
            8..11 => Fate::Unanswered { lands: after },
            // It was given up, and still on its way.
            _ if character.fenced => Fate::Unanswered {
                lands: dice.span(character.timeout, Span::minutes(10)),
            },
            _ => Fate::Unanswered {
                lands: dice.span(character.timeout, character.ceiling),
            },
        }
    }
}
