//! The plan of a change of policy: who gains and who loses what, by asking both policies the same questions.
//!
//! Everybody is asked about every role, by the function that decides. What depends on the moment or on the single request (the
//! conditions of rules and guardrails: windows, tickets, sources, expressions) is supposed to hold, and is compared as it is
//! written. People whom neither policy can tell apart, and roles likewise, are asked about once.

mod alike;
mod compare;

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::time::{Span, Timestamp};

use self::alike::{Class, Crowd, classes};
use self::compare::{Difference, Side};
use crate::{Directory, Policy};

/// How many pairs of a kind of people and a kind of roles are looked at, at most: some seconds of work.
const MOST: usize = 5_000_000;
/// How many names the changes hold together, at most: an answer of some megabytes.
const MOST_NAMES: usize = 300_000;

/// What a change of policy does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The changes: what is gained first, then what becomes easier, then the rest, then what is lost.
    pub changes: Vec<Change>,
    /// How many people were asked about.
    pub people: usize,
    /// How many roles there are, before and after.
    pub roles: usize,
    /// How many of them were not looked at, because that would have been too much work. The plan says nothing of these.
    pub left_out: usize,
}

/// One change: the same for each of these people and each of these roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What becomes of their access.
    pub effect: Effect,
    /// Whether it is about access in an emergency.
    pub break_glass: bool,
    /// The way that is taken before; `None` where there is none.
    pub before: Option<Way>,
    /// The way that is taken after.
    pub after: Option<Way>,
    /// Other ways that there were and are no more.
    pub dropped: Vec<Way>,
    /// Other ways that there were not.
    pub added: Vec<Way>,
    /// For whom, in the order of their ids; never empty.
    pub people: Vec<PersonId>,
    /// To what, in the order of their names; never empty.
    pub items: Vec<Item>,
}

/// What becomes of somebody's access to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// They may ask for it now.
    Gained,
    /// It takes fewer steps, or as many with fewer people.
    Easier,
    /// It takes the same, and may last longer.
    Longer,
    /// As many people must agree, and others.
    Asks,
    /// The way that is taken has other conditions, or another usual length.
    Conditions,
    /// The way that is taken is the same; of the others there are more, or fewer.
    Ways,
    /// It takes the same, and may not last so long.
    Shorter,
    /// It takes more steps, or as many with more people.
    Harder,
    /// They may not ask for it any more.
    Lost,
}

/// One way to a role: a rule with everything that it takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The rule.
    pub rule: Name,
    /// How many steps it has.
    pub steps: usize,
    /// How many people they ask for.
    pub people: u64,
    /// Whom they ask, in short: `manager, then 2 of security`.
    pub asks: String,
    /// The same with who that is, how long they have and what follows silence.
    pub asks_in_full: String,
    /// How long access lasts where the request does not say.
    pub usual: Span,
    /// How long it may last in total.
    pub max: Span,
    /// In an emergency: who must look at it afterwards, and who is told at once.
    pub after: Option<String>,
    /// What must hold besides, in words; supposed to hold here.
    pub conditions: Vec<String>,
}

impl Policy {
    /// Who gains and who loses what where `after` takes the place of this policy, for these people; who is not active has
    /// nothing in either.
    #[must_use]
    pub fn plan(
        &self,
        after: &Self,
        people: impl IntoIterator<Item = PersonId>,
        directory: &dyn Directory,
        now: Timestamp,
    ) -> Plan {
        self.plan_within(after, people, directory, now, MOST)
    }

    /// The same with as many comparisons at most.
    pub(crate) fn plan_within(
        &self,
        after: &Self,
        people: impl IntoIterator<Item = PersonId>,
        directory: &dyn Directory,
        now: Timestamp,
        most: usize,
    ) -> Plan {
        let sides = [Side::new(self, directory, now), Side::new(after, directory, now)];
        compared(&sides, people, most)
    }

    /// What a change of the directory does to these people: the same, with this policy and two directories.
    #[must_use]
    pub fn plan_people(
        &self,
        people: impl IntoIterator<Item = PersonId>,
        (before, after): (&dyn Directory, &dyn Directory),
        now: Timestamp,
    ) -> Plan {
        let sides = [Side::new(self, before, now), Side::new(self, after, now)];
        compared(&sides, people, MOST)
    }
}

fn compared(sides: &[Side<'_>; 2], people: impl IntoIterator<Item = PersonId>, most: usize) -> Plan {
    let crowd = Crowd::new(sides, people);
    let classes = classes(sides, crowd.anybody());
    let mut plan = Plan {
        people: crowd.len(),
        roles: classes.iter().map(|class| class.items.len()).sum(),
        ..Plan::default()
    };
    let (mut left, mut names) = (most, 0);
    // What changes in the same way for the same people is one change.
    let mut found: BTreeMap<(Difference, Vec<PersonId>), BTreeSet<Item>> = BTreeMap::new();
    for class in &classes {
        let admitted = crowd.admitted(class);
        let Some(rest) = left.checked_sub(admitted.len()) else {
            plan.left_out += class.items.len();
            continue;
        };
        left = rest;
        let changes = changes(sides, class, &crowd, admitted);
        let told = names + changes.values().map(Vec::len).sum::<usize>();
        if told > MOST_NAMES {
            plan.left_out += class.items.len();
            continue;
        }
        names = told;
        for (difference, mut people) in changes {
            people.sort_unstable();
            found
                .entry((difference, people))
                .or_default()
                .extend(class.items.iter().cloned());
        }
    }
    plan.changes = found
        .into_iter()
        .map(|((difference, people), items)| difference.change(people, items.into_iter().collect()))
        .collect();
    plan
}

/// What changes in roles of a class, and for whom.
fn changes(
    sides: &[Side<'_>; 2],
    class: &Class,
    crowd: &Crowd,
    admitted: BTreeSet<usize>,
) -> BTreeMap<Difference, Vec<PersonId>> {
    // Of the people, only what matters to this class: most are alike in that.
    let mut alike: BTreeMap<_, Vec<PersonId>> = BTreeMap::new();
    for (profile, people) in admitted.into_iter().filter_map(|place| crowd.get(place)) {
        if let Some(seen) = class.seen(profile) {
            alike.entry(seen).or_default().extend(people);
        }
    }
    let mut changes: BTreeMap<Difference, Vec<PersonId>> = BTreeMap::new();
    for people in alike.into_values() {
        let (Some(person), Some(item)) = (people.first(), class.items.first()) else {
            continue;
        };
        for break_glass in [false, true] {
            let [before, after] = sides.each_ref().map(|side| side.ways(*person, item, break_glass));
            if let Some(difference) = Difference::between(break_glass, before, after) {
                changes.entry(difference).or_default().extend(&people);
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {

    use std::collections::BTreeSet;

    use daypass_core::id::PersonId;
    use daypass_core::name::Name;
    use daypass_core::person::{Kind, Person};
    use daypass_core::text::Prose;
    use daypass_core::time::Timestamp;

    use crate::{Directory, Policy, Source};

    fn policy(text: &str) -> Policy {
        let source = Source {
            name: String::from("p"),
            text: text.to_owned(),
        };
        Policy::load(&[source]).unwrap_or_else(|found| panic!("{found}"))
    }

    struct Ana(Person);

    impl Directory for Ana {
        fn person(&self, _: PersonId) -> Option<&Person> {
            Some(&self.0)
        }
        fn by_login(&self, _: &str) -> Option<&Person> {
            Some(&self.0)
        }
        fn members(&self, _: &Name) -> Vec<PersonId> {
            vec![self.0.id]
        }

        fn is_locked(&self, _: PersonId) -> bool {
            false
        }
    }

    /// What was not looked at is counted, so that nobody takes silence for "nothing changes".
    #[test]
    fn what_would_be_too_much_is_counted() {
        let empty = Policy::empty();
        let full = policy(
            "version: 1
people: {a: {group: a}}
connectors: [{name: k, kind: x}]
resources: [{name: one, kind: x, connector: k, roles: {r: {}, w: {}, v: {}}}]
rules:
  - {name: p, allow: a, to: {resource: one}, roles: [r, v], approval: none}
  - {name: q, allow: a, to: {resource: one}, roles: [w], approval: none}
",
        );
        let ana = Ana(Person {
            groups: BTreeSet::from(["a".parse().unwrap()]),
            ..Person::new(
                PersonId::from_bytes([7; 10]),
                Kind::Person,
                Prose::new([0; 16], "ana"),
                Prose::new([0; 16], "Ana"),
            )
        });
        let within = |most| {
            let plan = empty.plan_within(&full, [ana.0.id], &ana, Timestamp::EPOCH, most);
            (plan.people, plan.roles, plan.left_out, plan.changes.len())
        };
        assert_eq!(within(0), (1, 3, 3, 0));
        assert_eq!(within(1), (1, 3, 1, 1));
        assert_eq!(within(2), (1, 3, 0, 2));
    }
}
