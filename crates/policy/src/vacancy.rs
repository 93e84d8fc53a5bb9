//! Where a policy asks for people whom the directory does not have: sets that cannot fill a step, and rules that admit nobody.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::review::From;
use daypass_core::time::Timestamp;

use crate::diagnostic::{At, Location};
use crate::document::{Rule, Who};
use crate::scene::Scene;
use crate::{Directory, Policy};

/// A set of people that has too few of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacancy {
    /// The set's name.
    pub set: Name,
    /// Whom it stands for, in words.
    pub who: String,
    /// What makes somebody one of them.
    pub of: Membership,
    /// What it lacks them for.
    pub lack: Lack,
    /// The rules that name it so, in file order.
    pub rules: Vec<Name>,
    /// Where the first of them names it.
    pub location: Location,
}

/// What makes somebody one of a set of people: so it is known where to add somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// This group of the directory.
    Group(Name),
    /// Their login, which the policy names.
    Logins(BTreeSet<Name>),
    /// A schedule elsewhere, which this version does not read.
    Schedule,
}

/// What a set lacks people for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Reviewing: so many are there, active, settled and people; a step needs so many.
    Reviewers {
        /// How many there are.
        have: usize,
        /// How many the most demanding step needs.
        need: u32,
    },
    /// Asking: nobody is in it, nor in any other set that these rules admit.
    Askers,
}

impl Policy {
    /// The sets of people that have too few of them now, in the order of their names, reviewers first. `manager` is no set: who
    /// has none sees that in the preview.
    #[must_use]
    pub fn vacancies(&self, directory: &dyn Directory, now: Timestamp) -> Vec<Vacancy> {
        let scene = Scene::new(PersonId::from_bytes([0; 10]), directory, now);
        let mut reviewing: BTreeMap<&Name, Named<'_>> = BTreeMap::new();
        let mut asking: BTreeMap<&Name, Named<'_>> = BTreeMap::new();
        let is_empty = |set: &Name| self.members(&From::People(set.clone()), scene).is_empty();
        for rule in &self.document.rules {
            for (set, at, count) in reviewers(rule) {
                reviewing.entry(set).or_default().by(rule, at, count);
            }
            let admits_nobody = rule.allow.iter().all(|(set, _)| is_empty(set));
            for (set, at) in rule.allow.iter().filter(|_| admits_nobody) {
                asking.entry(set).or_default().by(rule, *at, 1);
            }
        }
        let reviewing = reviewing.into_iter().filter_map(|(set, named)| {
            let have = self.eligible(&From::People(set.clone()), scene);
            let have = self.voices(have, scene).len();
            let need = named.need;
            let enough = u32::try_from(have).is_ok_and(|have| have >= need);
            (!enough).then(|| self.vacancy(set, Lack::Reviewers { have, need }, named))
        });
        let asking = asking.into_iter();
        let asking = asking.map(|(set, named)| self.vacancy(set, Lack::Askers, named));
        reviewing.chain(asking).collect()
    }

    fn vacancy(&self, set: &Name, lack: Lack, named: Named<'_>) -> Vacancy {
        let described = || self.describe(&From::People(set.clone()));
        let (who, of) = match self.people(set).map(|people| &people.who) {
            Some(Who::Schedule(schedule)) => (
                format!("the schedule {schedule}, which this version does not read"),
                Membership::Schedule,
            ),
            Some(Who::Logins(logins)) => (described(), Membership::Logins(logins.clone())),
            Some(Who::Group(group)) => (described(), Membership::Group(group.clone())),
            None => (described(), Membership::Group(set.clone())),
        };
        Vacancy {
            set: set.clone(),
            who,
            of,
            lack,
            location: named.at.unwrap_or_default().location(&self.sources),
            rules: named.rules.into_iter().cloned().collect(),
        }
    }
}

/// Which rules name a set, where the first does, and how many people the most demanding of them wants.
#[derive(Default)]
struct Named<'p> {
    rules: Vec<&'p Name>,
    at: Option<At>,
    need: u32,
}

impl<'p> Named<'p> {
    fn by(&mut self, rule: &'p Rule, at: At, count: u32) {
        if self.rules.last() != Some(&&rule.name) {
            self.rules.push(&rule.name);
        }
        self.at.get_or_insert(at);
        self.need = self.need.max(count.max(1));
    }
}

/// The sets that a rule asks first, before the access and after it, with how many people of each.
fn reviewers(rule: &Rule) -> impl Iterator<Item = (&Name, At, u32)> {
    let steps = rule.steps.iter().filter_map(|step| match &step.from {
        (From::People(set), at) => Some((set, *at, step.count)),
        (From::Manager, _) => None,
    });
    let after = rule
        .break_glass
        .iter()
        .map(|glass| (&glass.review_by.0, glass.review_by.1, 1));
    steps.chain(after)
}
