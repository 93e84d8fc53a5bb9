//! Standing access beside the policy: which role would give the same just in time, who of the directory has it, and whether they could ask.

use std::collections::HashMap;
use std::sync::Arc;

use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::past::Past;
use daypass_core::refusal::Refusal;
use daypass_core::time::Timestamp;
use daypass_policy::Onlooker;
use daypass_providers::inventory::{Fit, Found, Offer, Standing};

use super::{Survey, Surveyed, whose};
use crate::caller::Caller;
use crate::connectors;
use crate::current::Current;
use crate::engine::Engine;

/// Which standing access. What is not said does not matter.
#[derive(Debug, Clone, Default)]
pub struct StandingFilter {
    /// At this connector.
    pub connector: Option<Name>,
    /// That a role of this resource would give.
    pub resource: Option<Name>,
    /// Of who is called so at the target, or has this login.
    pub who: Option<String>,
}

/// Standing access, and what the policy has to do with it.
#[derive(Debug, Clone)]
pub struct Row {
    /// At which connector.
    pub connector: Name,
    /// The survey that told it.
    survey: Arc<Survey>,
    at: usize,
    /// The account of the directory that it is, where there is one.
    pub person: Option<PersonId>,
    /// Whether that is only guessed from the name.
    pub is_guessed: bool,
    /// The roles of the policy that give the same, or more; those that give the same first.
    pub given_by: Arc<[(Item, Fit)]>,
    /// A resource of the policy that is the same place, whether or not a role of it gives this.
    pub place: Option<Name>,
}

impl Row {
    /// What the target shows.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.survey.standing.get(self.at)
    }

    /// Nothing in it is older than this.
    #[must_use]
    pub fn seen_at(&self) -> Timestamp {
        self.survey.began
    }
}

/// What the policy has that an offer says.
#[derive(Clone)]
struct Matched {
    given_by: Arc<[(Item, Fit)]>,
    place: Option<Name>,
}

impl Engine {
    /// Standing access that surveys of this process told, by connector and in the order of the survey, and how the surveys stand.
    ///
    /// # Errors
    /// Where the caller does not see everything.
    pub fn standing_access(
        &self,
        caller: Caller,
        filter: &StandingFilter,
    ) -> Result<(Vec<Row>, Vec<Surveyed>), Refusal> {
        let surveys = self.surveys(caller)?;
        let current = self.current();
        let mut rows = Vec::new();
        for one in &surveys {
            let wanted = filter
                .connector
                .as_ref()
                .is_none_or(|name| *name == one.connector);
            if let Some(survey) = one.last.as_ref().filter(|_| wanted) {
                self.rows(&current, &one.connector, survey, &mut rows);
            }
        }
        rows.retain(|row| fits(&current, filter, row));
        Ok((rows, surveys))
    }

    fn rows(&self, current: &Current, connector: &Name, survey: &Arc<Survey>, into: &mut Vec<Row>) {
        let Some(configured) = current.policy.connector(connector.as_str()) else {
            return;
        };
        let kind = connectors::find(&self.parts.kinds, &configured.kind).ok();
        let namespace = kind.and_then(|kind| kind.subjects(&configured.config));
        let none = Matched {
            given_by: Arc::from([]),
            place: None,
        };
        // There are few different offers among many people.
        let mut known: HashMap<(&str, String, String), Matched> = HashMap::new();
        for (at, standing) in survey.standing.iter().enumerate() {
            let matched = standing.offer.as_ref().map_or_else(
                || none.clone(),
                |offer| {
                    let key = (offer.kind, offer.resource.to_string(), offer.role.to_string());
                    known
                        .entry(key)
                        .or_insert_with(|| self.matched(current, connector, offer))
                        .clone()
                },
            );
            let person = whose::account(&current.directory, namespace.as_ref(), &standing.subject);
            into.push(Row {
                connector: connector.clone(),
                survey: Arc::clone(survey),
                at,
                person,
                is_guessed: person.is_some() && namespace.is_none(),
                given_by: matched.given_by,
                place: matched.place,
            });
        }
    }

    /// The resources of the policy that are this place, and their roles that give what is offered.
    fn matched(&self, current: &Current, connector: &Name, offer: &Offer) -> Matched {
        let mut given_by = Vec::new();
        let mut place = None;
        let kind = self.kind_of(offer.kind);
        let resources = current.policy.resources().iter();
        let here = resources.filter(|one| one.connector == *connector && one.kind.as_str() == offer.kind);
        for resource in here {
            let Some(kind) = kind.filter(|kind| kind.is_place(&resource.config, &offer.resource)) else {
                continue;
            };
            place.get_or_insert_with(|| resource.name.clone());
            for (name, role) in &resource.roles {
                let item = Item {
                    resource: resource.name.clone(),
                    role: name.clone(),
                };
                given_by.extend(kind.fits(&role.config, &offer.role).map(|fit| (item, fit)));
            }
        }
        given_by.sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
        Matched {
            given_by: given_by.into(),
            place,
        }
    }

    /// Whether somebody could ask for an item now, as far as policy and directory say; no limit on what they have had is counted.
    #[must_use]
    pub fn is_eligible(current: &Current, who: PersonId, item: &Item, now: Timestamp) -> bool {
        let onlooker = Onlooker {
            past: Past::nothing(),
            ..Onlooker::new(who, now)
        };
        let offer = current.policy.offer(&onlooker, current.directory.as_ref(), item);
        offer.is_some_and(|offer| offer.terms.is_ok())
    }

    /// What a connector's last survey found that no resource of the policy is.
    ///
    /// # Errors
    /// Where the caller does not see everything, or there is no such connector.
    pub fn found(&self, caller: Caller, connector: &Name) -> Result<(Vec<Found>, Surveyed), Refusal> {
        let surveyed = self.surveyed(caller, connector)?;
        let current = self.current();
        let is_named = |found: &Found| {
            let kind = self.kind_of(found.kind);
            current.policy.resources().iter().any(|resource| {
                resource.connector == *connector
                    && resource.kind.as_str() == found.kind
                    && kind.is_some_and(|kind| kind.is_place(&resource.config, &found.resource))
            })
        };
        let all = surveyed.last.iter().flat_map(|survey| &survey.found);
        let new = all.filter(|found| !is_named(found)).cloned().collect();
        Ok((new, surveyed))
    }
}

fn fits(current: &Current, filter: &StandingFilter, row: &Row) -> bool {
    let Some(standing) = row.standing() else {
        return false;
    };
    let on = |name: &Name| {
        row.place.as_ref() == Some(name) || row.given_by.iter().any(|(item, _)| item.resource == *name)
    };
    let is = |who: &String| {
        standing.subject.id == *who
            || standing.subject.name == *who
            || row
                .person
                .is_some_and(|person| current.directory.login(person) == *who)
    };
    filter.resource.as_ref().is_none_or(on) && filter.who.as_ref().is_none_or(is)
}
