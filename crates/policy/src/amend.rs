//! What a request would have to say so that a rule gives what it does not give as it is asked: a shorter length, or a later
//! start. For a list of what is possible; each way is judged as a request that says so would be, before anybody is told of it.

use std::collections::BTreeSet;

use daypass_core::past::AHEAD;
use daypass_core::person::Person;
use daypass_core::refusal::Refusal;
use daypass_core::time::{Span, Timestamp};

use crate::addition::Addition;
use crate::condition::{Supposing, Unmet};
use crate::decide::{Fit, Obstacle};
use crate::document::Rule;
use crate::scene::Scene;
use crate::spent::{Spent, whole_minutes};
use crate::{Ask, Policy};

/// How many things are changed, one after the other, before a rule is given up: a window opens while a guardrail forbids, and
/// once that is over the rule has been used too often.
const TRIES: usize = 8;

/// What a request would have to say otherwise.
#[derive(Debug)]
pub(crate) struct Amendment {
    /// Which of its options.
    pub(crate) on: BTreeSet<Addition>,
    /// What stands in the way without it, with the command that asks so.
    pub(crate) because: Refusal,
    duration: Option<Span>,
    start: Option<Timestamp>,
}

impl Amendment {
    /// The question as it would be asked then.
    pub(crate) fn of<'a>(&self, ask: &Ask<'a>) -> Ask<'a> {
        Ask {
            duration: self.duration,
            start: self.start,
            ..*ask
        }
    }
}

impl Policy {
    /// How a rule would fit this question, were less asked for or a later start.
    pub(crate) fn amended<'p>(
        &'p self,
        (place, rule): (usize, &'p Rule),
        ask: &Ask<'_>,
        (person, scene): (&Person, Scene<'_>),
        supposing: Supposing,
    ) -> Option<Fit<'p>> {
        let (mut asked, mut on, mut because) = (*ask, BTreeSet::new(), None);
        for _ in 0..TRIES {
            let obstacle = match self.judge((place, rule), &asked, (person, scene), supposing) {
                Err(obstacle) => obstacle,
                Ok(fit) => {
                    let amendment = because.map(|because| Amendment {
                        on,
                        because,
                        duration: asked.duration,
                        start: asked.start,
                    });
                    return Some(Fit { amendment, ..fit });
                }
            };
            on.insert(less_or_later(&mut asked, &obstacle)?);
            because.get_or_insert_with(|| self.told(rule, &obstacle, ask, person, scene));
        }
        None
    }

    /// How long what was judged so may last from its start on: within the rule and the guardrails, as far as what was had already
    /// leaves room, and to the end of a window. In whole minutes where it is not the rule that says so.
    pub(crate) fn longest(&self, ask: &Ask<'_>, fit: &Fit<'_>) -> Span {
        let (most, ends_by) = (fit.bounds.max, fit.ends_by.as_ref());
        let usual = ask.duration.unwrap_or(fit.bounds.duration);
        let left = match self.within_totals(ask, most, ends_by, Span::ZERO) {
            Ok(()) => most,
            Err(Spent::Total(over)) => over.left().unwrap_or(usual).max(usual),
            Err(_) => usual,
        };
        match ends_by.map(|ends_by| ends_by.at.since(ask.begins())) {
            Some(open) if open < left => at_least_something(open),
            _ => left,
        }
    }
}

/// Makes the question one that this obstacle does not stand in the way of, and says by what; `None` where neither less nor later
/// helps.
fn less_or_later(ask: &mut Ask<'_>, obstacle: &Obstacle<'_>) -> Option<Addition> {
    let later = match obstacle {
        Obstacle::Spent(Spent::Total(over)) => match over.left() {
            Some(left) if ask.duration.is_none_or(|asked| left < asked) => {
                ask.duration = Some(left);
                return Some(Addition::Duration);
            }
            _ => over.again(),
        },
        Obstacle::Unmet(Unmet::Closed(at) | Unmet::Forbidden(_, at))
        | Obstacle::Spent(Spent::Uses(_, at)) => *at,
        _ => None,
    }?;
    // Nobody can ask for what lies further ahead.
    if later <= ask.begins() || later > ask.now + AHEAD {
        return None;
    }
    ask.start = Some(later);
    Some(Addition::Start)
}

/// In whole minutes, where it is one.
fn at_least_something(span: Span) -> Span {
    match whole_minutes(span) {
        Span::ZERO => span,
        minutes => minutes,
    }
}
