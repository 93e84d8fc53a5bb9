//! The compiled policy: from a person and an item to the rules that concern both, without looking at any other rule.
//!
//! Resources that no selector can tell apart (same kind, same labels) are one *class*; a rule is filed once for each class that
//! it selects, or for each resource that it names. The cost of a question grows with the sets that the person is in and with
//! the rules that are found, not with the rules there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use daypass_core::name::{Item, Name};
use daypass_core::person::{Kind, Person};

use crate::document::{Document, Resource, Rule, Who};

/// What a rule is filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    /// Resources of the same kind and labels.
    Class(usize),
    /// One resource that the rule names.
    Resource(usize),
}

/// Rules by the role they are about, in order. One list, because what a question costs is how often it must fetch memory, and most
/// of these lists have one entry.
#[derive(Debug, Clone, Default)]
struct ByRole(Vec<(About, usize)>);

/// The roles that a rule is about, as far as this entry says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Every,
    /// The number of its name.
    Role(usize),
}

impl ByRole {
    /// `role`: the number of the role; `None` where no rule names it.
    fn of(&self, role: Option<usize>) -> impl Iterator<Item = usize> {
        let named = role.map(|role| self.about(About::Role(role)));
        let every = self.about(About::Every).iter();
        every.chain(named.unwrap_or_default()).map(|(_, rule)| *rule)
    }

    fn about(&self, what: About) -> &[(About, usize)] {
        let begin = self.0.partition_point(|(about, _)| *about < what);
        let end = self.0.partition_point(|(about, _)| *about <= what);
        self.0.get(begin..end).unwrap_or_default()
    }
}

/// What a question needs of a resource, beside its name: in one place, for each fetch of memory costs as much as many steps.
#[derive(Debug, Clone, Copy)]
struct Placed {
    place: usize,
    class: usize,
    /// Which of the lists of guardrails is over it.
    guardrails: usize,
}

/// The index. All numbers are places in the lists of the [`Document`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    resources: HashMap<Name, Placed>,
    /// The lists of guardrails that are over some resource, each once: few, however many resources there are.
    guardrails: Vec<Vec<usize>>,
    sets: HashMap<Name, usize>,
    windows: HashMap<Name, usize>,
    rules: HashMap<Name, usize>,
    sets_of_group: HashMap<Name, Vec<usize>>,
    sets_of_login: HashMap<Name, Vec<usize>>,
    /// The roles that rules name, numbered.
    roles: HashMap<Name, usize>,
    /// By scope and set of people: what a question needs.
    admitting: HashMap<(Scope, usize), ByRole>,
    /// By scope alone: what the explanation of a refusal needs.
    concerning: HashMap<Scope, ByRole>,
}

impl Index {
    pub(crate) fn new(document: &Document) -> Self {
        let mut index = Self::default();
        for (place, people) in document.people.iter().enumerate() {
            index.sets.insert(people.name.clone(), place);
            match &people.who {
                Who::Group(group) => index.sets_of_group.entry(group.clone()).or_default().push(place),
                Who::Logins(logins) => {
                    for login in logins {
                        index.sets_of_login.entry(login.clone()).or_default().push(place);
                    }
                }
                Who::Schedule(_) => {}
            }
        }
        for (place, window) in document.windows.iter().enumerate() {
            index.windows.insert(window.name.clone(), place);
        }
        let mut classes: BTreeMap<(&Name, &BTreeMap<Name, Name>), usize> = BTreeMap::new();
        let mut samples: Vec<&Resource> = Vec::new();
        let mut lists: HashMap<Vec<usize>, usize> = HashMap::new();
        for (place, resource) in document.resources.iter().enumerate() {
            let class = *classes
                .entry((&resource.kind, &resource.labels))
                .or_insert_with(|| {
                    samples.push(resource);
                    samples.len() - 1
                });
            let over = document.guardrails.iter().enumerate();
            let over = over.filter(|(_, guard)| guard.to.as_ref().is_none_or(|to| to.admits(resource)));
            let over: Vec<usize> = over.map(|(place, _)| place).collect();
            let guardrails = *lists.entry(over).or_insert_with_key(|over| {
                index.guardrails.push(over.clone());
                index.guardrails.len() - 1
            });
            let placed = Placed {
                place,
                class,
                guardrails,
            };
            index.resources.insert(resource.name.clone(), placed);
        }
        for (place, rule) in document.rules.iter().enumerate() {
            index.rules.insert(rule.name.clone(), place);
            index.file(place, rule, document, &samples);
        }
        let lists = index.admitting.values_mut().chain(index.concerning.values_mut());
        lists.for_each(|list| list.0.sort_unstable());
        index
    }

    fn file(&mut self, place: usize, rule: &Rule, document: &Document, samples: &[&Resource]) {
        let scopes: Vec<Scope> = match &rule.to.resource {
            None => (0..)
                .zip(samples)
                .filter(|(_, sample)| rule.to.admits(sample))
                .map(|(class, _)| Scope::Class(class))
                .collect(),
            Some(names) => names
                .iter()
                .filter_map(|(name, _)| self.resource(name.as_str()))
                .filter(|resource| {
                    document
                        .resources
                        .get(*resource)
                        .is_some_and(|one| rule.to.admits(one))
                })
                .map(Scope::Resource)
                .collect(),
        };
        let about: Vec<(About, usize)> = match &rule.roles {
            None => vec![(About::Every, place)],
            Some(roles) => roles.iter().map(|(role, _)| (self.number(role), place)).collect(),
        };
        for scope in scopes {
            self.concerning
                .entry(scope)
                .or_default()
                .0
                .extend_from_slice(&about);
            for set in rule.allow.iter().filter_map(|(name, _)| self.sets.get(name)) {
                self.admitting
                    .entry((scope, *set))
                    .or_default()
                    .0
                    .extend_from_slice(&about);
            }
        }
    }

    fn number(&mut self, role: &Name) -> About {
        let next = self.roles.len();
        About::Role(*self.roles.entry(role.clone()).or_insert(next))
    }

    pub(crate) fn resource(&self, name: &str) -> Option<usize> {
        self.resources.get(name).map(|placed| placed.place)
    }

    pub(crate) fn set(&self, name: &Name) -> Option<usize> {
        self.sets.get(name).copied()
    }

    pub(crate) fn window(&self, name: &Name) -> Option<usize> {
        self.windows.get(name).copied()
    }

    pub(crate) fn rule(&self, name: &Name) -> Option<usize> {
        self.rules.get(name).copied()
    }

    /// The guardrails over a resource.
    pub(crate) fn guardrails(&self, resource: &Name) -> &[usize] {
        self.resources
            .get(resource.as_str())
            .and_then(|placed| self.guardrails.get(placed.guardrails))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The sets that a person is in. A group holds no service accounts: those are in a set only by their login.
    pub(crate) fn sets_of(&self, person: &Person) -> BTreeSet<usize> {
        if !person.active {
            return BTreeSet::new();
        }
        let by_group = person
            .groups
            .iter()
            .filter(|_| person.kind == Kind::Person)
            .filter_map(|group| self.sets_of_group.get(group));
        let by_login = self.sets_of_login.get(person.login.text());
        by_group.chain(by_login).flatten().copied().collect()
    }

    /// The rules that admit somebody in one of these sets to this item, in file order.
    pub(crate) fn admitting(&self, sets: &BTreeSet<usize>, item: &Item) -> BTreeSet<usize> {
        let scopes = self.scopes(item);
        let found = sets.iter().flat_map(|set| {
            let scopes = scopes.clone();
            scopes.filter_map(|scope| self.admitting.get(&(scope, *set)))
        });
        let role = self.roles.get(&item.role).copied();
        found.flat_map(|rules| rules.of(role)).collect()
    }

    /// The rules that are about this item, whomever they admit, in file order.
    pub(crate) fn concerning(&self, item: &Item) -> BTreeSet<usize> {
        let scopes = self.scopes(item);
        let found = scopes.filter_map(|scope| self.concerning.get(&scope));
        let role = self.roles.get(&item.role).copied();
        found.flat_map(|rules| rules.of(role)).collect()
    }

    fn scopes(&self, item: &Item) -> impl Iterator<Item = Scope> + Clone {
        let found = self.resources.get(item.resource.as_str());
        let scopes = found.map(|placed| [Scope::Class(placed.class), Scope::Resource(placed.place)]);
        scopes.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {

    use std::collections::BTreeSet;

    use daypass_core::id::PersonId;
    use daypass_core::person::{Kind, Person};
    use daypass_core::text::Prose;

    use crate::{Policy, Source};

    /// A policy with one rule for this question and many that are about other people, other resources or other roles.
    fn crowded(others: usize) -> Policy {
        let mut text = String::from(
            "version: 1
people: {mine: {group: mine}, theirs: {group: theirs}}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}}}
  - {name: notes, kind: postgres, connector: pg, labels: {env: staging}, roles: {read: {}, write: {}}}
rules:
  - {name: wanted, allow: mine, to: {env: production}, roles: [read], approval: none}
",
        );
        for number in 0..others {
            let (allow, to, role) = match number % 4 {
                0 => ("theirs", "{env: production}", "read"),
                1 => ("mine", "{env: staging}", "read"),
                2 => ("mine", "{env: production}", "write"),
                _ => ("mine", "{resource: notes}", "read"),
            };
            text.push_str(&format!(
                "  - {{name: r{number}, allow: {allow}, to: {to}, roles: [{role}], approval: none}}\n"
            ));
        }
        let name = String::from("policy.yaml");
        Policy::load(&[Source { name, text }]).unwrap_or_else(|found| panic!("{found}"))
    }

    /// What is looked at is what is found: rules about something else cost a question nothing, however many there are.
    #[test]
    fn rules_that_do_not_concern_a_question_are_not_looked_at() {
        let ana = Person {
            groups: BTreeSet::from(["mine".parse().unwrap()]),
            ..Person::new(
                PersonId::from_bytes([1; 10]),
                Kind::Person,
                Prose::new([0; 16], "ana"),
                Prose::new([0; 16], "Ana"),
            )
        };
        for others in [0, 4, 2_000] {
            let policy = crowded(others);
            let sets = policy.index.sets_of(&ana);
            assert_eq!(sets.len(), 1);
            let found = policy.index.admitting(&sets, &"orders/read".parse().unwrap());
            assert_eq!(found, BTreeSet::from([0]), "among {others} others");
        }
    }
}
