//! Who has what as a matrix, on the wire: what people hold, what they have without Daypass, and what they could ask for.

use std::collections::{BTreeMap, BTreeSet};

use daypass_api::access as api;
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_engine::{Caller, Current, Engine, HoldingFilter, Row, WhoHas};
use daypass_policy::Directory as _;

use super::access::{by, env};

/// What is in the matrix besides what people hold.
pub(crate) struct Besides {
    /// What people have without Daypass.
    pub(crate) standing: Vec<Row>,
    /// Who looks, where what people could ask for is in it too.
    pub(crate) eligible: Option<Caller>,
    /// What is asked for.
    pub(crate) filter: HoldingFilter,
}

/// Whose row it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// An account of the directory.
    Person(PersonId),
    /// Somebody at a target whom the directory does not know.
    Outside(Name, String),
}

/// A part of the matrix: so many rows from the one, so many columns from the other on.
#[must_use]
pub(crate) fn matrix(
    all: &WhoHas,
    besides: &Besides,
    by_group: bool,
    rows: (u32, u32),
    columns: (u32, u32),
) -> api::Matrix {
    let current = &all.current;
    let standing = besides.about_resources(current);
    let mut people: BTreeSet<Who> = all.held.iter().map(|one| Who::Person(one.holder)).collect();
    people.extend(standing.iter().map(|(who, ..)| who.clone()));
    let mut resources: BTreeSet<&Name> = all.held.iter().map(|one| &one.item.resource).collect();
    resources.extend(standing.iter().map(|(_, resource, _)| *resource));
    people.extend(besides.could_ask(current).into_iter().map(Who::Person));
    if besides.eligible.is_some() {
        let names = current.policy.resources().iter().map(|one| &one.name);
        resources.extend(names.filter(|name| besides.filter.admits_resource(current, name)));
    }
    let people = sorted(current, people, by_group);
    let mut resources: Vec<api::MatrixResource> = resources
        .into_iter()
        .map(|name| api::MatrixResource {
            env: env(current, name),
            known: current.policy.resource(name.as_str()).is_some(),
            name: name.clone(),
        })
        .collect();
    resources.sort_by_cached_key(|one| (one.env.is_none(), one.env.clone(), one.name.clone()));
    let (all_people, all_resources) = (count(people.len()), count(resources.len()));
    let people = part(people, rows);
    let resources = part(resources, columns);
    let mut cells = Cells::new(&people, &resources);
    cells.hold(all);
    cells.stand(&standing);
    if besides.eligible.is_some() {
        cells.offer(all, besides);
    }
    let cells = cells.finish();
    api::Matrix {
        people: people.into_iter().map(|(_, person)| person).collect(),
        resources,
        cells,
        all_people,
        all_resources,
        all_held: count(all.held.len()),
        complete: all.complete,
    }
}

impl Besides {
    /// The standing access that is about resources of the policy, and asked for: whose, on which.
    fn about_resources(&self, current: &Current) -> Vec<(Who, &Name, &Row)> {
        let about = |row| self.about_resource(current, row);
        self.standing.iter().filter_map(about).collect()
    }

    fn about_resource<'a>(&self, current: &Current, row: &'a Row) -> Option<(Who, &'a Name, &'a Row)> {
        let first = row.given_by.first().map(|(item, _)| &item.resource);
        let resource = first.or(row.place.as_ref())?;
        let shown = row.standing()?;
        let who = match row.person {
            Some(person) => Who::Person(person),
            None => Who::Outside(row.connector.clone(), shown.subject.name.clone()),
        };
        let is_named = self.filter.person.as_ref().is_none_or(|login| match &who {
            Who::Person(person) => current.directory.login(*person) == *login,
            Who::Outside(_, name) => name == login,
        });
        let fits =
            self.filter.admits_person(current, row.person) && self.filter.admits_resource(current, resource);
        (is_named && fits).then_some((who, resource, row))
    }

    /// Everybody of whom it is shown what they could ask for.
    fn could_ask(&self, current: &Current) -> Vec<PersonId> {
        let Some(caller) = self.eligible else {
            return Vec::new();
        };
        let shown = current.directory.people().filter(|person| {
            let own = person.id == caller.person || current.directory.owns(caller.person, person.id);
            let login = self.filter.person.as_ref();
            person.active
                && (caller.sees_all() || own)
                && login.is_none_or(|login| person.login.text() == login)
                && self.filter.admits_person(current, Some(person.id))
        });
        shown.map(|person| person.id).collect()
    }
}

/// The rows in their order.
fn sorted(current: &Current, people: BTreeSet<Who>, by_group: bool) -> Vec<(Who, api::MatrixPerson)> {
    let shown = |who: Who| {
        let (login, outside, groups) = match &who {
            Who::Person(id) => {
                let groups = current.directory.person(*id).map(|person| person.groups.clone());
                (current.directory.login(*id), None, groups.unwrap_or_default())
            }
            Who::Outside(connector, name) => (name.clone(), Some(connector.clone()), BTreeSet::new()),
        };
        let person = api::MatrixPerson {
            login,
            outside,
            groups,
        };
        (who, person)
    };
    let mut people: Vec<(Who, api::MatrixPerson)> = people.into_iter().map(shown).collect();
    people.sort_by_cached_key(|(_, person)| {
        let group = person.groups.first().filter(|_| by_group).cloned();
        // Who is in no group stands last, and behind them who is not in the directory.
        (
            person.outside.clone(),
            by_group && group.is_none(),
            group,
            person.login.clone(),
        )
    });
    people
}

/// What is in the cells of some rows and columns.
struct Cells<'a> {
    people: &'a [(Who, api::MatrixPerson)],
    rows: BTreeMap<&'a Who, u32>,
    columns: BTreeMap<&'a Name, u32>,
    cells: BTreeMap<(u32, u32), api::MatrixCell>,
}

impl<'a> Cells<'a> {
    fn new(people: &'a [(Who, api::MatrixPerson)], resources: &'a [api::MatrixResource]) -> Self {
        Self {
            people,
            rows: people.iter().map(|(who, _)| who).zip(0..).collect(),
            columns: resources.iter().map(|one| &one.name).zip(0..).collect(),
            cells: BTreeMap::new(),
        }
    }

    fn at(&mut self, who: &Who, resource: &Name) -> Option<&mut api::MatrixCell> {
        let (person, resource) = (*self.rows.get(who)?, *self.columns.get(resource)?);
        let cell = self.cells.entry((person, resource));
        Some(cell.or_insert_with(|| api::MatrixCell {
            person,
            resource,
            held: Vec::new(),
            standing: Vec::new(),
            eligible: Vec::new(),
        }))
    }

    fn hold(&mut self, all: &WhoHas) {
        for one in &all.held {
            if let Some(cell) = self.at(&Who::Person(one.holder), &one.item.resource) {
                cell.held.push(api::MatrixHeld {
                    role: one.item.role.clone(),
                    by: by(one),
                });
            }
        }
    }

    fn stand(&mut self, standing: &[(Who, &Name, &Row)]) {
        for (who, resource, row) in standing {
            let Some((cell, shown)) = self.at(who, resource).zip(row.standing()) else {
                continue;
            };
            let by = shown
                .by
                .as_ref()
                .map_or_else(String::new, |by| format!(", by {by}"));
            cell.standing.push(api::MatrixStanding {
                role: row.given_by.first().map(|(item, _)| item.role.clone()),
                told: format!("{} on {}{by}", shown.right, shown.on),
                seen_at: row.seen_at(),
            });
        }
    }

    /// What the people of these rows could ask for and do not have, of whom it is shown.
    fn offer(&mut self, all: &WhoHas, besides: &Besides) {
        let current = &all.current;
        let shown: BTreeSet<PersonId> = besides.could_ask(current).into_iter().collect();
        let columns: Vec<&Name> = self.columns.keys().copied().collect();
        for (who, _) in self.people {
            let Who::Person(id) = who else { continue };
            if !shown.contains(id) {
                continue;
            }
            for name in &columns {
                let Some(resource) = current.policy.resource(name.as_str()) else {
                    continue;
                };
                for role in resource.roles.keys() {
                    let item = Item {
                        resource: (*name).clone(),
                        role: role.clone(),
                    };
                    let (row, column) = (self.rows.get(who).copied(), self.columns.get(name).copied());
                    let cell = row.zip(column).and_then(|at| self.cells.get(&at));
                    let has = cell.is_some_and(|cell| cell.held.iter().any(|held| held.role == *role));
                    if !has
                        && Engine::is_eligible(current, *id, &item, all.at)
                        && let Some(cell) = self.at(who, name)
                    {
                        cell.eligible.push(role.clone());
                    }
                }
            }
        }
    }

    fn finish(self) -> Vec<api::MatrixCell> {
        self.cells.into_values().collect()
    }
}

fn part<T>(all: Vec<T>, (from, most): (u32, u32)) -> Vec<T> {
    let wide = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    all.into_iter().skip(wide(from)).take(wide(most)).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
