//! The decision: of the rules that fit the whole request, the one that asks least of others.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use daypass_core::break_glass::BreakGlass;
use daypass_core::demand::{Demands, is_fresh};
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::person::{Person, SystemRole};
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Path;
use daypass_core::review::{From, Silence, Step};
use daypass_core::time::{Span, Timestamp};

use crate::addition::{Addition, Depends};
use crate::amend::Amendment;
use crate::chain;
use crate::condition::{EndsBy, Hardness, Met, Supposing, Unmet};
use crate::demand::Unrecordable;
use crate::diagnostic::Location;
use crate::document::{self, Guardrail, Rule};
use crate::owner::{cared_for, role_of};
use crate::scene::Scene;
use crate::spent::Spent;
use crate::{Ask, Directory, Policy};

/// How far a start may lie back: whoever names one reads their own clock, which may be so far behind, and a command is repeated.
/// Source: RFC 4120 (Kerberos), 8.2 has 5 minutes for the difference of clocks.
const CLOCKS_DIFFER: Span = Span::minutes(5);

/// The policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This path leads there.
    Allowed(Box<Allowed>),
    /// None does. Of several reasons it is the one that is easiest to do something about, with what to do.
    Refused(Refusal),
}

/// The path that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// What is frozen into the request.
    pub path: Path,
    /// For how long: as asked, or as long as the rule gives by itself.
    pub duration: Span,
    /// Where the rule is written.
    pub location: Location,
    /// For each step whom it would ask, in the order of their ids.
    pub reviewers: Vec<Vec<PersonId>>,
    /// Who could look at it afterwards, in the order of their ids; nobody where it is no emergency. That there is nobody now
    /// keeps nobody out: it goes on being owed.
    pub after: Vec<PersonId>,
    /// What the policy says about when it is over at the latest, where a time is named ([`Path::ends_by`]).
    pub ends_because: Option<String>,
    /// What a request must still say for it. A decision takes nothing as given, and so depends on nothing more.
    pub(crate) depends: Option<Depends>,
    /// For a list: the longest that would be given now.
    pub(crate) longest: Span,
    /// Whether the rule asks from where it is asked: the request keeps the address then, and no other does.
    pub by_source: bool,
    /// The other rules that fit, the least demanding first.
    pub others: Vec<Alternative>,
}

/// A rule that fits as well and asks for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// Its name.
    pub rule: Name,
    /// Where it is written.
    pub location: Location,
    /// Who would have to agree.
    pub steps: Vec<Step>,
    /// How long access may last in total.
    pub max: Span,
}

/// What bounds a rule for certain items, after the guardrails.
pub(crate) struct Bounds<'p> {
    pub(crate) max: Span,
    /// How long access lasts where the request does not say.
    pub(crate) duration: Span,
    /// The guardrail that set the maximum, where the rule's own was longer.
    pub(crate) guardrail: Option<&'p Guardrail>,
}

/// A rule that fits a question.
pub(crate) struct Fit<'p> {
    pub(crate) place: usize,
    pub(crate) rule: &'p Rule,
    pub(crate) steps: Vec<Step>,
    pub(crate) bounds: Bounds<'p>,
    pub(crate) ends_by: Option<EndsBy>,
    /// What a request must still add.
    pub(crate) depends: BTreeSet<Addition>,
    pub(crate) demands: Demands,
    /// What it would have to say otherwise; a decision takes a question as it is.
    pub(crate) amendment: Option<Amendment>,
}

/// Why a rule that admits the person does not fit.
pub(crate) enum Obstacle<'p> {
    /// Of its steps, the one of this number (from 0) lacks people.
    Unfillable(Vec<Step>, usize),
    /// A condition of it does not hold.
    Unmet(Unmet<'p>),
    /// A limit of it is used up.
    Spent(Spent<'p>),
    /// It does not give so long.
    OverMax(Bounds<'p>),
    /// What must be recorded cannot be.
    Unrecordable(Unrecordable<'p>),
    /// A proof of who asks that is less than this old is wanted, and what it is asked by can give none.
    Unprovable(Span),
}

impl Obstacle<'_> {
    /// How easy it is to do something about it: the least is the easiest.
    fn ease(&self) -> (Hardness, Reverse<Span>) {
        match self {
            Self::Unfillable(..) | Self::Unrecordable(_) => (Hardness::Others, Reverse(Span::ZERO)),
            Self::Unprovable(_) => (Hardness::Elsewhere, Reverse(Span::ZERO)),
            Self::Unmet(unmet) => (unmet.hardness(), Reverse(Span::ZERO)),
            Self::Spent(spent) => (spent.hardness(), Reverse(Span::ZERO)),
            // Of those that do not give so long, the one that gives most.
            Self::OverMax(bounds) => (Hardness::Less, Reverse(bounds.max)),
        }
    }
}

impl Policy {
    /// Decides a question: the one function that preview, the policy's tests and enforcement ask.
    #[must_use]
    pub fn decide(&self, ask: &Ask<'_>, directory: &dyn Directory) -> Decision {
        match self.choose(ask, directory, Supposing::Nothing) {
            Ok(allowed) => Decision::Allowed(Box::new(allowed)),
            Err(refusal) => {
                Decision::Refused(self.in_words_of(ask, (directory, Supposing::Nothing), refusal))
            }
        }
    }

    /// The rule that is taken, or the most helpful refusal.
    pub(crate) fn choose(
        &self,
        ask: &Ask<'_>,
        directory: &dyn Directory,
        supposing: Supposing,
    ) -> Result<Allowed, Refusal> {
        let person = self.asker(ask.who, directory)?;
        self.exist(ask.items)?;
        sound(ask)?;
        let mut rules = self.admitting(person, ask.items);
        rules.retain(|(_, rule)| rule.break_glass.is_some() == ask.break_glass || is(Fault::AnyGlass));
        if rules.is_empty() {
            return Err(self.not_eligible(person, ask));
        }
        let scene = Scene::new(ask.who, directory, ask.now);
        let judged = rules
            .iter()
            .map(|&(place, rule)| (rule, self.judge((place, rule), ask, (person, scene), supposing)));
        let mut fitting = Vec::new();
        let mut nearest: Option<(&Rule, Obstacle<'_>)> = None;
        for (rule, judgement) in judged {
            match judgement {
                Ok(fit) => fitting.push(fit),
                Err(obstacle) => {
                    let easier = |(_, other): &(&Rule, Obstacle<'_>)| obstacle.ease() < other.ease();
                    if nearest.as_ref().is_none_or(easier) {
                        nearest = Some((rule, obstacle));
                    }
                }
            }
        }
        // What fits as it is asked goes before what would fit, were it asked otherwise.
        if fitting.is_empty() && supposing == Supposing::TheRest {
            let otherwise = |rule| self.amended(rule, ask, (person, scene), supposing);
            fitting.extend(rules.iter().copied().filter_map(otherwise));
        }
        // And before what would fit as well, were more said.
        fitting.sort_by_key(|fit| {
            (
                fit.steps.len(),
                people(&fit.steps),
                !fit.depends.is_empty(),
                fit.place,
            )
        });
        let mut fitting = fitting.into_iter();
        let Some(fit) = fitting.next() else {
            return Err(match nearest {
                Some((rule, obstacle)) => self.told(rule, &obstacle, ask, person, scene),
                None => self.not_eligible(person, ask),
            });
        };
        if (self.document.defaults.reason_required || ask.break_glass) && !ask.has_reason {
            return Err(self.reason_required(ask));
        }
        // Which rule is taken does not depend on it: it can be done at any time, and a preview must not promise another rule.
        if let Some(within) = fit.demands.mfa.filter(|_| supposing == Supposing::Nothing)
            && !is_fresh(ask.confirmed, within, ask.now)
        {
            return Err(self.unproved(fit.rule, within, ask));
        }
        let asked = fit.amendment.as_ref().map(|amendment| amendment.of(ask));
        let asked = asked.as_ref().unwrap_or(ask);
        let longest = match supposing {
            Supposing::TheRest => self.longest(asked, &fit),
            Supposing::Nothing | Supposing::Conditions => fit.bounds.max,
        };
        Ok(self.allowed(asked, (fit, longest), fitting, directory))
    }

    /// Whether a rule that admits the person fits the question, and how. Of several reasons why not it is the hardest: who
    /// does something about an easier one is not there yet.
    pub(crate) fn judge<'p>(
        &'p self,
        (place, rule): (usize, &'p Rule),
        ask: &Ask<'_>,
        (person, scene): (&Person, Scene<'_>),
        supposing: Supposing,
    ) -> Result<Fit<'p>, Obstacle<'p>> {
        self.recordable(ask.items).map_err(Obstacle::Unrecordable)?;
        let steps = self.steps(rule, ask.items);
        if let Err(unfilled) = self.fillable(&steps, scene) {
            return Err(Obstacle::Unfillable(steps, unfilled));
        }
        let conditions = self.conditions(rule, ask, person, supposing);
        let conditions = match conditions.map_err(Obstacle::Unmet) {
            Err(unmet) if unmet.ease().0 > Hardness::Later => return Err(unmet),
            conditions => conditions,
        };
        let demands = self.demands(rule, ask.items);
        if let Some(within) = demands.mfa.filter(|_| supposing != Supposing::Conditions)
            && ask.confirmed.is_none()
        {
            return Err(Obstacle::Unprovable(within));
        }
        self.not_spent(rule, ask).map_err(Obstacle::Spent)?;
        let bounds = self.bounds(rule, ask.items);
        let duration = ask.duration.unwrap_or(bounds.duration);
        let ends_by = conditions.as_ref().ok().and_then(|met| met.ends_by.as_ref());
        let total = self.within_totals(ask, duration, ends_by, Span::ZERO);
        let total = match total.map_err(Obstacle::Spent) {
            Err(spent) if spent.ease().0 >= Hardness::Later => return Err(spent),
            total => total,
        };
        let Met { ends_by, depends } = conditions?;
        if ask.duration.is_some_and(|duration| duration > bounds.max) {
            return Err(Obstacle::OverMax(bounds));
        }
        total?;
        Ok(Fit {
            place,
            rule,
            steps,
            bounds,
            ends_by,
            depends,
            demands,
            amendment: None,
        })
    }

    /// Why a rule that admits the person does not fit, in words.
    pub(crate) fn told(
        &self,
        rule: &Rule,
        obstacle: &Obstacle<'_>,
        ask: &Ask<'_>,
        person: &Person,
        scene: Scene<'_>,
    ) -> Refusal {
        match obstacle {
            Obstacle::Unfillable(steps, unfilled) => self.no_reviewer(rule, steps, *unfilled, person, scene),
            Obstacle::Unmet(unmet) => self.unmet(rule, unmet, ask),
            Obstacle::Spent(spent) => self.spent_told(&self.cite(rule), spent, Some((ask, scene.directory))),
            Obstacle::OverMax(bounds) => self.over_max(ask, rule, bounds),
            Obstacle::Unrecordable(found) => self.unrecordable(found),
            Obstacle::Unprovable(within) => self.unproved(rule, *within, ask),
        }
    }

    fn allowed<'p>(
        &self,
        ask: &Ask<'_>,
        (fit, longest): (Fit<'p>, Span),
        others: impl Iterator<Item = Fit<'p>>,
        directory: &dyn Directory,
    ) -> Allowed {
        let Fit {
            rule,
            steps,
            bounds,
            ends_by,
            depends,
            demands,
            amendment,
            ..
        } = fit;
        let (at, why) = ends_by.map(|ends_by| (ends_by.at, ends_by.why)).unzip();
        let path = Path {
            demands,
            ..self.path(rule, steps, bounds.max, at)
        };
        let would = |step: &Step| self.reviewers(ask.who, step, false, directory, ask.now);
        let after = path.break_glass.as_ref().map(|glass| would(&glass.review));
        Allowed {
            duration: ask.duration.unwrap_or(bounds.duration),
            location: rule.at.location(&self.sources),
            reviewers: path.steps.iter().map(would).collect(),
            after: after.unwrap_or_default(),
            ends_because: why,
            depends: self.depends(rule, (depends, amendment), ask),
            longest,
            by_source: rule.origin.is_some(),
            path,
            others: others
                .map(|fit| Alternative {
                    rule: fit.rule.name.clone(),
                    location: fit.rule.at.location(&self.sources),
                    steps: fit.steps,
                    max: fit.bounds.max,
                })
                .collect(),
        }
    }

    /// The account that asks.
    pub(crate) fn asker<'d>(
        &self,
        who: PersonId,
        directory: &'d dyn Directory,
    ) -> Result<&'d Person, Refusal> {
        let person = directory
            .person(who)
            .ok_or_else(|| Refusal::new(Code::UnknownPerson, "there is no such person"))?;
        if !person.active {
            let what = format!("the account {} is switched off", person.login.text());
            return Err(Refusal::new(Code::NotEligible, what).hint("an administrator can switch it on"));
        }
        cared_for(person, directory)?;
        if role_of(person, directory) == SystemRole::Auditor {
            let what = "an auditor reads everything and changes nothing: they ask for no access";
            return Err(Refusal::new(Code::Forbidden, what));
        }
        Ok(person)
    }

    /// The rules that admit a person to all of these items, in file order.
    pub(crate) fn admitting(&self, person: &Person, items: &BTreeSet<Item>) -> Vec<(usize, &Rule)> {
        let sets = self.index.sets_of(person);
        let mut common: Option<BTreeSet<usize>> = None;
        for item in items {
            let admitting = self.index.admitting(&sets, item);
            common = Some(match common {
                None => admitting,
                Some(common) => common.intersection(&admitting).copied().collect(),
            });
        }
        common
            .unwrap_or_default()
            .into_iter()
            .filter_map(|place| Some((place, self.document.rules.get(place)?)))
            .collect()
    }

    /// The rule's bounds for these items, with the guardrails over each of them applied.
    pub(crate) fn bounds(&self, rule: &Rule, items: &BTreeSet<Item>) -> Bounds<'_> {
        let defaults = &self.document.defaults;
        let own = rule.max.unwrap_or(defaults.max);
        let shortest = items
            .iter()
            .flat_map(|item| self.index.guardrails(&item.resource))
            .filter_map(|place| self.document.guardrails.get(*place))
            .filter_map(|guardrail| Some((guardrail.max?, guardrail)))
            .filter(|(max, _)| *max < own)
            .min_by_key(|(max, _)| *max);
        let max = shortest.map_or(own, |(max, _)| max);
        Bounds {
            max,
            duration: rule
                .duration
                .unwrap_or(defaults.duration)
                .min(max)
                .min(self.most_at_once(items)),
            guardrail: shortest.map(|(_, guardrail)| guardrail),
        }
    }

    fn path(&self, rule: &Rule, steps: Vec<Step>, max: Span, ends_by: Option<Timestamp>) -> Path {
        let defaults = &self.document.defaults;
        Path {
            rule: rule.name.clone(),
            policy: self.revision,
            steps,
            max,
            pending: defaults.pending,
            activation: defaults.activation,
            break_glass: rule.break_glass.as_ref().map(owed).map(Box::new),
            ends_by,
            end_when: rule.end_when.iter().map(|(when, _)| *when).collect(),
            demands: Demands::default(),
        }
    }

    /// Whether different people, none of them the requester, can fill every step; `Err` is the first that cannot be.
    pub(crate) fn fillable(&self, steps: &[Step], scene: Scene<'_>) -> Result<(), usize> {
        // A step with as many candidates as the whole chain wants never lacks one (`chain::fill`).
        let wanted: u64 = steps.iter().map(|step| u64::from(step.count.max(1))).sum();
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let candidates: Vec<(u32, Vec<PersonId>)> = steps
            .iter()
            .map(|step| (step.count.max(1), self.could_fill(step, scene, wanted)))
            .collect();
        chain::fill(&candidates)
    }
}

/// What a rule for emergencies asks for, as it is frozen into a request.
fn owed(glass: &document::BreakGlass) -> BreakGlass {
    BreakGlass {
        page: glass.page.0.clone(),
        review: Step {
            from: From::People(glass.review_by.0.clone()),
            count: 1,
            within: glass.within,
            silence: Silence::Deny,
            mfa: None,
            guardrail: None,
        },
    }
}

/// Whether a question can be asked at all, whatever it is about.
fn sound(ask: &Ask<'_>) -> Result<(), Refusal> {
    if ask.duration == Some(Span::ZERO) {
        return Err(Refusal::new(Code::Invalid, "nothing can be granted for 0s"));
    }
    if let Some(start) = ask.start.filter(|start| *start + CLOCKS_DIFFER < ask.now) {
        let what = format!("it cannot begin at {start}, which has passed");
        let hint = "leave out the start to begin now, or name a time to come: --start +2h";
        return Err(Refusal::new(Code::Invalid, what).hint(hint));
    }
    if ask.break_glass && ask.extends {
        let what = "an emergency is no way to more time on a grant";
        return Err(Refusal::new(Code::Invalid, what).hint("daypass extend ID --for TIME"));
    }
    Ok(())
}

/// How many people a chain asks for.
fn people(steps: &[Step]) -> u64 {
    steps.iter().map(|step| u64::from(step.count)).sum()
}
