//! Explains a decision: every rule that is about the question, and why it fits or not. It asks what [`Policy::decide`] asks.

use std::collections::BTreeSet;
use std::fmt;

use daypass_core::demand::{Demands, Recording, is_fresh};
use daypass_core::name::Name;
use daypass_core::refusal::Refusal;
use daypass_core::review::{From, Silence, Step};
use daypass_core::time::Span;

use crate::condition::Supposing;
use crate::decide::{Decision, Fit};
use crate::diagnostic::Location;
use crate::document::Rule;
use crate::scene::Scene;
use crate::trial::told;
use crate::{Ask, Directory, Policy};

/// A decision and what every rule said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision, as [`Policy::decide`] makes it.
    pub decision: Decision,
    /// Each rule that is about all of what was asked for, in file order.
    pub verdicts: Vec<Verdict>,
    /// Whether one of them asks from where it is asked.
    pub by_source: bool,
}

/// What one rule said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's name.
    pub rule: Name,
    /// Where it is written.
    pub location: Location,
    /// Whether it fits, and how.
    pub outcome: Outcome,
}

/// Whether a rule fits a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It does, and it is the one that is taken.
    Chosen {
        /// Who would have to agree.
        steps: Vec<Step>,
        /// How long access may last in total.
        max: Span,
        /// What is demanded besides.
        demands: Demands,
        /// What sessions keep, in words, item by item; empty where nothing is said of them.
        sessions: Vec<String>,
    },
    /// It does, and another one asks for less.
    Fits {
        /// Who would have to agree.
        steps: Vec<Step>,
        /// How long access may last in total.
        max: Span,
        /// What is demanded besides.
        demands: Demands,
        /// What sessions keep, in words, item by item; empty where nothing is said of them.
        sessions: Vec<String>,
    },
    /// It admits others; whom, in words.
    AdmitsOthers(String),
    /// It is for emergencies and this is none, or the other way round.
    OtherVerb,
    /// It admits the person, and something else stands in the way.
    Obstructed(Refusal),
}

impl Policy {
    /// Every rule that is about a question, and why it fits or not.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>, directory: &dyn Directory) -> Explanation {
        let decision = self.decide(ask, directory);
        let chosen = match &decision {
            Decision::Allowed(allowed) => Some(&allowed.path.rule),
            Decision::Refused(_) => None,
        };
        let mut about: Option<BTreeSet<usize>> = None;
        for item in ask.items {
            let concerning = self.index.concerning(item);
            about = Some(match about {
                None => concerning,
                Some(about) => about.intersection(&concerning).copied().collect(),
            });
        }
        let about: Vec<(usize, &Rule)> = about
            .unwrap_or_default()
            .into_iter()
            .filter_map(|place| Some((place, self.document.rules.get(place)?)))
            .collect();
        let verdict = |(place, rule): &(usize, &Rule)| Verdict {
            rule: rule.name.clone(),
            location: rule.at.location(&self.sources),
            outcome: self.outcome(*place, rule, ask, directory, chosen),
        };
        Explanation {
            verdicts: about.iter().map(verdict).collect(),
            by_source: about.iter().any(|(_, rule)| rule.origin.is_some()),
            decision,
        }
    }

    fn outcome(
        &self,
        place: usize,
        rule: &Rule,
        ask: &Ask<'_>,
        directory: &dyn Directory,
        chosen: Option<&Name>,
    ) -> Outcome {
        if rule.break_glass.is_some() != ask.break_glass {
            return Outcome::OtherVerb;
        }
        let person = match self.asker(ask.who, directory) {
            Ok(person) => person,
            Err(refusal) => return Outcome::Obstructed(refusal),
        };
        let sets = self.index.sets_of(person);
        let admits = |(set, _): &(Name, _)| self.index.set(set).is_some_and(|set| sets.contains(&set));
        if !rule.allow.iter().any(admits) {
            let sets = rule.allow.iter();
            let sets = sets.map(|(set, _)| self.describe(&From::People(set.clone())));
            return Outcome::AdmitsOthers(sets.collect::<Vec<_>>().join(" and "));
        }
        let scene = Scene::new(ask.who, directory, ask.now);
        match self.judge((place, rule), ask, (person, scene), Supposing::Nothing) {
            Ok(Fit {
                demands: Demands {
                    mfa: Some(within), ..
                },
                ..
            }) if !is_fresh(ask.confirmed, within, ask.now) => {
                Outcome::Obstructed(self.unproved(rule, within, ask))
            }
            Ok(fit) => {
                let (steps, max, demands) = (fit.steps, fit.bounds.max, fit.demands);
                let sessions = self.sessions(ask.items, &demands);
                if chosen == Some(&rule.name) {
                    Outcome::Chosen {
                        steps,
                        max,
                        demands,
                        sessions,
                    }
                } else {
                    Outcome::Fits {
                        steps,
                        max,
                        demands,
                        sessions,
                    }
                }
            }
            Err(obstacle) => Outcome::Obstructed(self.told(rule, &obstacle, ask, person, scene)),
        }
    }
}

impl fmt::Display for Explanation {
    /// The answer, then one line for each rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Decision::Allowed(allowed) => {
                write!(
                    f,
                    "allowed by the rule {}: {} of at most {}",
                    allowed.path.rule, allowed.duration, allowed.path.max
                )?;
                if let (Some(at), Some(why)) = (allowed.path.ends_by, &allowed.ends_because) {
                    write!(f, ", until {at} at the latest: {why}")?;
                }
            }
            Decision::Refused(refusal) => {
                write!(f, "refused ({}): {refusal}", refusal.code)?;
                if let Some(hint) = &refusal.hint {
                    write!(f, "; {hint}")?;
                }
            }
        }
        for verdict in &self.verdicts {
            write!(f, "\n- {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#}): {}", self.rule, self.location, self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen {
                steps,
                max,
                demands,
                sessions,
            } => {
                let (asked, besides) = (asked(steps), besides(demands, sessions));
                write!(f, "fits and is taken: {asked}, at most {max}{besides}")
            }
            Self::Fits {
                steps,
                max,
                demands,
                sessions,
            } => {
                let (asked, besides) = (asked(steps), besides(demands, sessions));
                write!(f, "fits and asks for more: {asked}, at most {max}{besides}")
            }
            Self::AdmitsOthers(sets) => write!(f, "does not fit: it admits {sets}"),
            Self::OtherVerb => {
                f.write_str("does not fit: it is asked by the other verb (request, break-glass)")
            }
            Self::Obstructed(refusal) => write!(f, "does not fit ({}): {refusal}", refusal.code),
        }
    }
}

/// Whom steps ask, in short.
pub(crate) fn asked(steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::from("nobody must agree");
    }
    let told: Vec<String> = steps
        .iter()
        .map(|step| {
            let mut text = match &step.silence {
                Silence::Deny => told(&step.from, step.count),
                Silence::Escalate { to, .. } => format!("{}, else {to}", told(&step.from, step.count)),
            };
            if let Some(within) = step.mfa {
                text.push_str(&format!(" with a proof less than {within} old"));
            }
            if let Some(guardrail) = &step.guardrail {
                text.push_str(&format!(" (guardrail {guardrail})"));
            }
            text
        })
        .collect();
    told.join(", then ")
}

/// What is demanded besides, for the end of a sentence.
fn besides(demands: &Demands, sessions: &[String]) -> String {
    let mut text = String::new();
    if let Some(within) = demands.mfa {
        text.push_str(&format!(
            ", with a proof less than {within} old of who asks and reviews"
        ));
    }
    if demands.recording == Some(Recording::Required) {
        text.push_str(", recorded");
    }
    for session in sessions {
        text.push_str(&format!("; {session}"));
    }
    text
}
