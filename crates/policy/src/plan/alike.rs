//! Whom and what two policies cannot tell apart: people of the same sets, and roles of the same rules.
//!
//! What a policy knows of a person is the sets that they are in. Who they are matters in two more ways, both about whether a
//! chain can be filled: nobody reviews their own request, nor that of their service account, so that it counts in which of the
//! sets that are asked they, or its owner, would otherwise review; and their manager may be one who is asked by another step as well. Two people who agree in all of that
//! can change places without any answer changing. Whom a delegation makes one with somebody else is like nobody else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use daypass_core::demand::Demands;
use daypass_core::id::PersonId;
use daypass_core::name::Item;
use daypass_core::review::{From, Silence, Step};

use super::compare::Side;
use crate::condition::Supposing;
use crate::decide::Obstacle;
use crate::document::Rule;
use crate::owner::owner_of;
use crate::scene::Scene;
use crate::{Ask, Directory};

/// Places of sets of people in a policy.
type Sets = BTreeSet<usize>;

/// What one policy knows of a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    sets: Sets,
    /// Whether they may review the requests of others.
    reviews: bool,
    /// The sets of their manager, if they have one who may review.
    manager: Option<Sets>,
    /// The sets of the owner of a service account, if they may review the requests of others.
    owner: Option<Sets>,
    /// Who may not review what they ask, because of what those have done to the account, or to that of its owner.
    barred: BTreeSet<PersonId>,
    /// Who of them, their manager and their owner delegates or is a delegate: who counts as one with whom depends on who it is.
    tied: BTreeSet<PersonId>,
}

/// What both policies know of a person.
pub(super) type Profile = [Known; 2];

/// What both know of a person that matters to a class of roles; `None` where that one admits them to nothing.
pub(super) type Seen = [Option<Known>; 2];

/// Active people by what is known of them.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    kinds: Vec<(Profile, Vec<PersonId>)>,
    /// For each policy, who is in a set.
    members: [HashMap<usize, Vec<usize>>; 2],
}

impl Crowd {
    pub(super) fn new(sides: &[Side<'_>; 2], people: impl IntoIterator<Item = PersonId>) -> Self {
        let mut profiles: BTreeMap<Profile, Vec<PersonId>> = BTreeMap::new();
        let people: BTreeSet<PersonId> = people.into_iter().collect();
        for id in people {
            let [before, after] = sides.each_ref().map(|side| known(side, id));
            if let (Some(before), Some(after)) = (before, after) {
                profiles.entry([before, after]).or_default().push(id);
            }
        }
        let mut crowd = Self::default();
        for (place, (profile, people)) in profiles.into_iter().enumerate() {
            for (known, members) in profile.iter().zip(&mut crowd.members) {
                for set in &known.sets {
                    members.entry(*set).or_default().push(place);
                }
            }
            crowd.kinds.push((profile, people));
        }
        crowd
    }

    /// How many people.
    pub(super) fn len(&self) -> usize {
        self.kinds.iter().map(|(_, people)| people.len()).sum()
    }

    pub(super) fn anybody(&self) -> Option<PersonId> {
        self.kinds.iter().flat_map(|(_, people)| people).next().copied()
    }

    /// A kind of people, and who is of it.
    pub(super) fn get(&self, place: usize) -> Option<&(Profile, Vec<PersonId>)> {
        self.kinds.get(place)
    }

    /// The kinds of people that one of the policies admits to roles of a class.
    pub(super) fn admitted(&self, class: &Class) -> BTreeSet<usize> {
        let sides = class.concern.iter().zip(&self.members);
        let of = |(concern, members): (&Concern, &'_ HashMap<usize, Vec<usize>>)| {
            let sets = concern.allow.iter().filter_map(|set| members.get(set));
            sets.flatten().copied().collect::<Vec<_>>()
        };
        sides.flat_map(of).collect()
    }
}

fn known(side: &Side<'_>, id: PersonId) -> Option<Known> {
    let (policy, directory) = (side.policy, side.directory);
    let person = policy.asker(id, directory).ok()?;
    let mine = Scene::new(id, directory, side.now);
    // Anybody else's request.
    let other = if id == NOBODY { SOMEBODY } else { NOBODY };
    let theirs = Scene::new(other, directory, side.now);
    let managers = policy.eligible(&From::Manager, mine);
    let manager = managers.first().and_then(|manager| directory.person(*manager));
    let owner = owner_of(person, directory);
    let hands = [Some(person), owner].into_iter().flatten();
    let hands = hands.flat_map(|account| account.behind.people());
    let delegates = |one: &PersonId| {
        policy.delegate_of(*one, directory, side.now).is_some()
            || !policy.delegators_of(*one, directory, side.now).is_empty()
    };
    let around = [Some(id), managers.first().copied(), owner.map(|owner| owner.id)];
    Some(Known {
        barred: hands
            .filter(|one| policy.no_puppet(*one, mine).is_err())
            .collect(),
        tied: around.into_iter().flatten().filter(delegates).collect(),
        sets: policy.index.sets_of(person),
        reviews: policy.may_review_at_all(person, theirs).is_ok(),
        manager: manager.map(|manager| policy.index.sets_of(manager)),
        owner: owner
            .filter(|owner| policy.may_review_at_all(owner, theirs).is_ok())
            .map(|owner| policy.index.sets_of(owner)),
    })
}

const NOBODY: PersonId = PersonId::from_bytes([0; 10]);
const SOMEBODY: PersonId = PersonId::from_bytes([1; 10]);

/// Roles that the same rules are about, under the same guardrails, in both policies.
pub(super) struct Class {
    /// In the order of their names; never empty.
    pub(super) items: Vec<Item>,
    concern: [Concern; 2],
}

/// Which sets of people matter to the rules of a class.
#[derive(Debug, Default)]
struct Concern {
    /// Those that may ask.
    allow: Sets,
    /// Those that are asked.
    asked: Sets,
    /// Whether a manager is.
    manager: bool,
}

impl Class {
    /// What matters of a person to these roles; `None` where neither policy admits them to any.
    pub(super) fn seen(&self, profile: &Profile) -> Option<Seen> {
        let [before, after] = &self.concern;
        let [was, is] = profile;
        let seen = [before.seen(was), after.seen(is)];
        seen.iter().any(Option::is_some).then_some(seen)
    }
}

impl Concern {
    fn seen(&self, known: &Known) -> Option<Known> {
        let admitted = common(&known.sets, &self.allow);
        if admitted.is_empty() {
            return None;
        }
        let mut sets = admitted;
        if known.reviews {
            sets.extend(common(&known.sets, &self.asked));
        }
        let manager = known.manager.as_ref().filter(|_| self.manager);
        Some(Known {
            sets,
            reviews: known.reviews && !common(&known.sets, &self.asked).is_empty(),
            manager: manager.map(|sets| common(sets, &self.asked)),
            owner: known.owner.as_ref().map(|sets| common(sets, &self.asked)),
            barred: known.barred.clone(),
            tied: known.tied.clone(),
        })
    }

    fn note(&mut self, side: &Side<'_>, steps: &[Step]) {
        let escalated = steps.iter().filter_map(|step| match &step.silence {
            Silence::Escalate { to, .. } => Some(to),
            Silence::Deny => None,
        });
        for from in steps.iter().map(|step| &step.from).chain(escalated) {
            match from {
                From::Manager => self.manager = true,
                From::People(name) => self.asked.extend(side.policy.index.set(name)),
            }
        }
    }
}

fn common(one: &Sets, other: &Sets) -> Sets {
    one.intersection(other).copied().collect()
}

/// What tells a role from others in one policy: the rules that are about it, the guardrails over it, and what its sessions keep;
/// `None` where it is not there.
type Mark = Option<(Sets, Vec<usize>, Vec<String>)>;

/// All roles of both policies, those alike together. `anybody`: somebody to ask about, for how a rule's steps come out.
pub(super) fn classes(sides: &[Side<'_>; 2], anybody: Option<PersonId>) -> Vec<Class> {
    let mut items: BTreeSet<Item> = BTreeSet::new();
    for side in sides {
        for resource in side.policy.resources() {
            items.extend(resource.roles.keys().map(|role| Item {
                resource: resource.name.clone(),
                role: role.clone(),
            }));
        }
    }
    let mut classes: BTreeMap<[Mark; 2], Vec<Item>> = BTreeMap::new();
    for item in items {
        let marks = sides.each_ref().map(|side| mark(side, &item));
        classes.entry(marks).or_default().push(item);
    }
    classes
        .into_iter()
        .map(|(marks, items)| {
            let [before, after] = &marks;
            let [was, is] = sides;
            let concern = [
                concern(was, before, &items, anybody),
                concern(is, after, &items, anybody),
            ];
            Class { items, concern }
        })
        .collect()
}

fn mark(side: &Side<'_>, item: &Item) -> Mark {
    let resource = side.policy.resource(item.resource.as_str())?;
    resource.roles.get(&item.role)?;
    let guardrails = side.policy.index.guardrails(&item.resource).to_vec();
    let sessions = side.policy.gateway_in_words(item, &Demands::default());
    Some((side.policy.index.concerning(item), guardrails, sessions))
}

fn concern(side: &Side<'_>, mark: &Mark, items: &[Item], anybody: Option<PersonId>) -> Concern {
    let mut concern = Concern::default();
    let (Some((rules, ..)), Some(item)) = (mark, items.first()) else {
        return concern;
    };
    let rules = rules
        .iter()
        .filter_map(|place| Some((*place, side.policy.document.rules.get(*place)?)));
    for (place, rule) in rules {
        let sets = rule
            .allow
            .iter()
            .filter_map(|(set, _)| side.policy.index.set(set));
        concern.allow.extend(sets);
        let steps = anybody.map(|person| steps(side, (place, rule), item, person));
        concern.note(side, &steps.unwrap_or_default());
    }
    concern
}

/// The steps of a rule for a role as a decision has them, with whatever it adds to those that are written: whom they ask does not
/// depend on who asks.
fn steps(side: &Side<'_>, rule: (usize, &Rule), item: &Item, person: PersonId) -> Vec<Step> {
    let directory: &dyn Directory = side.directory;
    let Some(account) = directory.person(person) else {
        return Vec::new();
    };
    let items = BTreeSet::from([item.clone()]);
    let ask = Ask {
        break_glass: rule.1.break_glass.is_some(),
        ..Ask::new(person, &items, side.now)
    };
    let scene = Scene::new(person, directory, side.now);
    // The rule of this policy, with its lifetime.
    let Some(written) = side.policy.document.rules.get(rule.0) else {
        return Vec::new();
    };
    match side
        .policy
        .judge((rule.0, written), &ask, (account, scene), Supposing::Conditions)
    {
        Ok(fit) => fit.steps,
        Err(Obstacle::Unfillable(steps, _)) => steps,
        Err(_) => Vec::new(),
    }
}
