//! Who has what, on the wire.

use std::collections::{BTreeMap, BTreeSet};

use daypass_api::access::{self as api, HeldBy, Way};
use daypass_api::grant::GrantState;
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_engine::{Current, WhoHas};
use daypass_policy::Directory as _;
use daypass_store::Holding;

/// One entry of the list.
#[must_use]
pub(crate) fn holding(one: &Holding, current: &Current) -> api::Holding {
    api::Holding {
        holder: current.directory.login(one.holder),
        item: one.item.clone().into(),
        env: env(current, &one.item.resource),
        by: by(one),
    }
}

fn env(current: &Current, resource: &Name) -> Option<String> {
    let known = current.policy.resource(resource.as_str())?;
    known.environment().map(ToString::to_string)
}

fn by(one: &Holding) -> HeldBy {
    // What the store says of one that has not ended.
    let state = match one.state.as_str() {
        "scheduled" => GrantState::Scheduled,
        "activating" => GrantState::Activating,
        "active" => GrantState::Active,
        _ => GrantState::Ending,
    };
    HeldBy {
        grant: one.grant,
        request: one.request,
        state,
        way: match one.way.as_str() {
            "instant" => Way::Instant,
            "emergency" => Way::Emergency,
            _ => Way::Reviewed,
        },
        since: one.since,
        until: one.until.filter(|_| state == GrantState::Active),
    }
}

/// A part of the matrix: so many rows from the one, so many columns from the other on.
#[must_use]
pub(crate) fn matrix(all: &WhoHas, by_group: bool, rows: (u32, u32), columns: (u32, u32)) -> api::Matrix {
    let current = &all.current;
    let holders: BTreeSet<PersonId> = all.held.iter().map(|one| one.holder).collect();
    let mut people: Vec<(PersonId, api::MatrixPerson)> = holders
        .into_iter()
        .map(|id| {
            let person = current.directory.person(id);
            let shown = api::MatrixPerson {
                login: current.directory.login(id),
                groups: person.map(|person| person.groups.clone()).unwrap_or_default(),
            };
            (id, shown)
        })
        .collect();
    people.sort_by_cached_key(|(_, person)| {
        let group = person.groups.first().filter(|_| by_group).cloned();
        // Who is in no group stands last.
        (by_group && group.is_none(), group, person.login.clone())
    });
    let resources: BTreeSet<&Name> = all.held.iter().map(|one| &one.item.resource).collect();
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
    let cells = cells(all, &people, &resources);
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

/// What is in the cells of these rows and columns.
fn cells(
    all: &WhoHas,
    people: &[(PersonId, api::MatrixPerson)],
    resources: &[api::MatrixResource],
) -> Vec<api::MatrixCell> {
    let rows: BTreeMap<PersonId, u32> = people.iter().map(|(id, _)| *id).zip(0..).collect();
    let columns: BTreeMap<&Name, u32> = resources.iter().map(|one| &one.name).zip(0..).collect();
    let mut cells: BTreeMap<(u32, u32), Vec<api::MatrixHeld>> = BTreeMap::new();
    for one in &all.held {
        if let (Some(row), Some(column)) = (rows.get(&one.holder), columns.get(&one.item.resource)) {
            let held = api::MatrixHeld {
                role: one.item.role.clone(),
                by: by(one),
            };
            cells.entry((*row, *column)).or_default().push(held);
        }
    }
    cells
        .into_iter()
        .map(|((person, resource), held)| api::MatrixCell {
            person,
            resource,
            held,
        })
        .collect()
}

fn part<T>(all: Vec<T>, (from, most): (u32, u32)) -> Vec<T> {
    let wide = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    all.into_iter().skip(wide(from)).take(wide(most)).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
