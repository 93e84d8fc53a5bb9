//! A snapshot of the local directory that policy decisions read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use daypass_core::delegation::Delegation;
use daypass_core::id::PersonId;
use daypass_core::lock::{Lock, On};
use daypass_core::name::Name;
use daypass_core::person::Person;
use daypass_policy::Directory;

/// All accounts at one moment, indexed by what policy asks for.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    accounts: Arc<Accounts>,
    /// Who of them is locked.
    locked: BTreeSet<PersonId>,
    /// How often the directory had changed when it was read.
    changes: u64,
}

#[derive(Debug, Default)]
struct Accounts {
    people: BTreeMap<PersonId, Person>,
    by_login: HashMap<String, PersonId>,
    by_group: HashMap<Name, Vec<PersonId>>,
    /// By what targets call them: no two active ones have the same, whatever its case.
    by_handle: HashMap<(Name, String), PersonId>,
    /// The active service accounts that somebody answers for.
    by_owner: HashMap<PersonId, Vec<PersonId>>,
    /// Whose last delegation is to whom, by the delegate.
    by_delegate: HashMap<PersonId, Vec<PersonId>>,
}

impl Snapshot {
    /// Indexes these accounts; `changes`: how often the directory had changed when they were read.
    #[must_use]
    pub fn new(people: impl IntoIterator<Item = Person>, changes: u64) -> Self {
        let mut accounts = Accounts::default();
        for person in people {
            if person.active {
                accounts
                    .by_login
                    .insert(person.login.text().to_owned(), person.id);
                for (namespace, handle) in &person.handles {
                    let called = (namespace.clone(), handle.as_str().to_ascii_lowercase());
                    accounts.by_handle.insert(called, person.id);
                }
                if let Some(owner) = person.owner {
                    accounts.by_owner.entry(owner).or_default().push(person.id);
                }
                for group in &person.groups {
                    accounts
                        .by_group
                        .entry(group.clone())
                        .or_default()
                        .push(person.id);
                }
            }
            if let Some(delegation) = &person.delegation {
                let to = accounts.by_delegate.entry(delegation.to).or_default();
                to.push(person.id);
            }
            accounts.people.insert(person.id, person);
        }
        Self {
            accounts: Arc::new(accounts),
            locked: BTreeSet::new(),
            changes,
        }
    }

    /// The same, where these locks are shut or were.
    #[must_use]
    pub fn under<'l>(&self, locks: impl IntoIterator<Item = &'l Lock>) -> Self {
        let shut = locks.into_iter().filter(|lock| lock.is_locked());
        let locked = shut.filter_map(|lock| match &lock.on {
            On::Person(id) => Some(*id),
            On::Resource(_) => None,
        });
        Self {
            locked: locked.collect(),
            ..self.clone()
        }
    }

    /// How often the directory had changed when it was read.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Everybody, deactivated accounts included.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.accounts.people.values()
    }

    /// The active account that targets of a namespace call so.
    #[must_use]
    pub fn by_handle(&self, namespace: &Name, handle: &str) -> Option<PersonId> {
        let called = (namespace.clone(), handle.to_ascii_lowercase());
        self.accounts.by_handle.get(&called).copied()
    }

    /// The groups that have an active member, each with how many.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<&Name, &[PersonId]> {
        self.accounts
            .by_group
            .iter()
            .map(|(group, members)| (group, members.as_slice()))
            .collect()
    }

    /// The active service accounts that somebody answers for, whether or not they still can.
    #[must_use]
    pub fn services_of(&self, owner: PersonId) -> &[PersonId] {
        self.accounts
            .by_owner
            .get(&owner)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Whether anybody answers for a service account.
    pub(crate) fn has_services(&self) -> bool {
        !self.accounts.by_owner.is_empty()
    }

    /// Whether this person answers for this service account.
    #[must_use]
    pub fn owns(&self, person: PersonId, service: PersonId) -> bool {
        self.services_of(person).contains(&service)
    }

    /// What somebody is called; their id where the name was erased.
    #[must_use]
    pub fn login(&self, id: PersonId) -> String {
        let login = self
            .accounts
            .people
            .get(&id)
            .map_or("", |person| person.login.text());
        if login.is_empty() {
            id.to_string()
        } else {
            login.to_owned()
        }
    }
}

impl Directory for Snapshot {
    fn person(&self, id: PersonId) -> Option<&Person> {
        self.accounts.people.get(&id)
    }

    fn by_login(&self, login: &str) -> Option<&Person> {
        self.accounts
            .by_login
            .get(login)
            .and_then(|id| self.accounts.people.get(id))
    }

    fn members(&self, group: &Name) -> Vec<PersonId> {
        self.accounts.by_group.get(group).cloned().unwrap_or_default()
    }

    fn is_locked(&self, id: PersonId) -> bool {
        self.locked.contains(&id)
    }

    /// Who is locked has delegated to nobody, and nobody to them.
    fn delegation(&self, of: PersonId) -> Option<&Delegation> {
        let delegation = self.person(of)?.delegation.as_deref()?;
        let free = !self.is_locked(of) && !self.is_locked(delegation.to);
        free.then_some(delegation)
    }

    fn delegators(&self, to: PersonId) -> Vec<PersonId> {
        let mut all = self.accounts.by_delegate.get(&to).cloned().unwrap_or_default();
        all.retain(|of| self.delegation(*of).is_some());
        all
    }
}
