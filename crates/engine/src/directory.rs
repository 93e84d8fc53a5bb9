//! A snapshot of the local directory that policy decisions read.

use std::collections::{BTreeMap, HashMap};

use daypass_core::delegation::Delegation;
use daypass_core::id::PersonId;
use daypass_core::lock::On;
use daypass_core::name::Name;
use daypass_core::person::Person;
use daypass_core::world::World;
use daypass_policy::Directory;

/// All accounts at one moment, indexed by what policy asks for.
#[derive(Debug, Default)]
pub struct Snapshot {
    people: BTreeMap<PersonId, Person>,
    by_login: HashMap<String, PersonId>,
    by_group: HashMap<Name, Vec<PersonId>>,
    /// The active service accounts that somebody answers for.
    by_owner: HashMap<PersonId, Vec<PersonId>>,
    /// Whose last delegation is to whom, by the delegate.
    by_delegate: HashMap<PersonId, Vec<PersonId>>,
    /// How often the directory had changed when it was read.
    changes: u64,
}

impl Snapshot {
    /// Indexes these accounts; `changes`: how often the directory had changed when they were read.
    #[must_use]
    pub fn new(people: impl IntoIterator<Item = Person>, changes: u64) -> Self {
        let mut snapshot = Self {
            changes,
            ..Self::default()
        };
        for person in people {
            if person.active {
                snapshot
                    .by_login
                    .insert(person.login.text().to_owned(), person.id);
                if let Some(owner) = person.owner {
                    snapshot.by_owner.entry(owner).or_default().push(person.id);
                }
                for group in &person.groups {
                    snapshot
                        .by_group
                        .entry(group.clone())
                        .or_default()
                        .push(person.id);
                }
            }
            if let Some(delegation) = &person.delegation {
                let to = snapshot.by_delegate.entry(delegation.to).or_default();
                to.push(person.id);
            }
            snapshot.people.insert(person.id, person);
        }
        snapshot
    }

    /// How often the directory had changed when it was read.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Everybody, deactivated accounts included.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// The groups that have an active member, each with how many.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<&Name, &[PersonId]> {
        self.by_group
            .iter()
            .map(|(group, members)| (group, members.as_slice()))
            .collect()
    }

    /// The active service accounts that somebody answers for, whether or not they still can.
    #[must_use]
    pub fn services_of(&self, owner: PersonId) -> &[PersonId] {
        self.by_owner.get(&owner).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether anybody answers for a service account.
    pub(crate) fn has_services(&self) -> bool {
        !self.by_owner.is_empty()
    }

    /// Whether this person answers for this service account.
    #[must_use]
    pub fn owns(&self, person: PersonId, service: PersonId) -> bool {
        self.services_of(person).contains(&service)
    }

    /// What somebody is called; their id where the name was erased.
    #[must_use]
    pub fn login(&self, id: PersonId) -> String {
        let login = self.people.get(&id).map_or("", |person| person.login.text());
        if login.is_empty() {
            id.to_string()
        } else {
            login.to_owned()
        }
    }
}

impl Directory for Snapshot {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.by_login.get(login).and_then(|id| self.people.get(id))
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        self.by_group.get(group).cloned().unwrap_or_default()
    }
    fn delegators(&self, to: PersonId) -> Vec<PersonId> {
        self.by_delegate.get(&to).cloned().unwrap_or_default()
    }
}

/// The directory as a decision sees it that knows what is locked: who is locked has delegated to nobody, and nobody to them.
pub(crate) struct Unlocked<'a> {
    pub(crate) directory: &'a Snapshot,
    pub(crate) world: &'a World,
}

impl Unlocked<'_> {
    fn is_free(&self, person: PersonId) -> bool {
        self.world.locked(&On::Person(person)).is_none()
    }
}

impl Directory for Unlocked<'_> {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.directory.person(id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.directory.by_login(login)
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        self.directory.members(group)
    }

    fn delegation(&self, of: PersonId) -> Option<&Delegation> {
        let delegation = self.directory.delegation(of)?;
        (self.is_free(of) && self.is_free(delegation.to)).then_some(delegation)
    }

    fn delegators(&self, to: PersonId) -> Vec<PersonId> {
        let mut all = self.directory.delegators(to);
        all.retain(|of| self.delegation(*of).is_some());
        all
    }
}
