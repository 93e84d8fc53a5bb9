//! The inventory of a target in memory: what was made by hand, a few entries to a page.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use daypass_core::name::Name;
use serde_json::{Value, json};

use super::provider::Connected;
use super::target::{Standing as Stands, State};
use crate::inventory::{Cursor, Found, Offer, Page, Standing, Subject, SubjectKind, told};

/// How many entries a page has: few, so that tests see several pages.
const ENTRIES: usize = 2;

impl Connected {
    /// The entries after those that were told.
    pub(super) fn page(&self, state: &State, from: Option<&Cursor>) -> Page {
        let after = from.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.0.as_str()));
        let theirs = |entry: &(&String, &Stands)| !self.is_ours(entry.1);
        let all: Vec<_> = state.standing.iter().filter(theirs).collect();
        let rest: Vec<_> = state
            .standing
            .range::<str, _>((after, Bound::Unbounded))
            .filter(theirs)
            .collect();
        let told: Vec<_> = rest.iter().take(ENTRIES).collect();
        let done = all.len() - rest.len() + told.len();
        Page {
            standing: told.iter().map(|(who, stands)| standing(who, stands)).collect(),
            found: if from.is_none() { found(&all) } else { Vec::new() },
            untold: Vec::new(),
            next: told
                .last()
                .filter(|_| rest.len() > ENTRIES)
                .map(|(who, _)| Cursor((*who).clone())),
            done: u64::try_from(done).unwrap_or(u64::MAX),
            of: u64::try_from(all.len()).ok(),
        }
    }
}

fn standing(who: &str, stands: &Stands) -> Standing {
    let place = stands.place.as_deref();
    Standing {
        subject: Subject {
            id: who.to_owned(),
            name: told(who),
            kind: SubjectKind::Person,
        },
        right: told(&format!("can {}", stands.can.join(", "))),
        on: on(place),
        by: None,
        last_used: None,
        until: stands.until,
        offer: Some(Offer {
            kind: "memory",
            resource: resource(place),
            role: json!({ "can": stands.can }),
            called: (called(place), Name::like(&stands.can.join("-"))),
        }),
    }
}

fn on(place: Option<&str>) -> String {
    place.map_or_else(
        || "the target".to_owned(),
        |place| told(&format!("place {place}")),
    )
}

fn resource(place: Option<&str>) -> Value {
    place.map_or_else(|| json!({}), |place| json!({ "place": place }))
}

fn called(place: Option<&str>) -> Name {
    Name::like(place.unwrap_or("target"))
}

/// The places where somebody has something, each with all that can be done there.
fn found(all: &[(&String, &Stands)]) -> Vec<Found> {
    let mut places: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
    for (_, stands) in all {
        let can = stands.can.iter().map(String::as_str);
        places.entry(stands.place.as_deref()).or_default().extend(can);
    }
    let propose = |(place, can): (Option<&str>, BTreeSet<&str>)| Found {
        kind: "memory",
        name: called(place),
        told: on(place),
        resource: resource(place),
        roles: can
            .into_iter()
            .map(|can| (Name::like(can), json!({"can": [can]})))
            .collect(),
        labels: BTreeMap::new(),
    };
    places.into_iter().map(propose).collect()
}
