//! Who has what just now, as far as the caller may see it: the one answer behind the list and the matrix.

use std::collections::{HashMap, HashSet};

use daypass_core::id::{PersonId, RequestId};
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use daypass_policy::Directory as _;
use daypass_store::Holding;

use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::Error;

/// So many holdings are read. Where there are more, that is said.
const MOST: usize = 50_000;
/// So many requests are looked into for somebody who does not see everything.
const LOOKED_INTO: usize = 500;

/// Which holdings. What is not said does not matter.
#[derive(Debug, Clone, Default)]
pub struct HoldingFilter {
    /// Of the person of this login.
    pub person: Option<String>,
    /// Of people in this group.
    pub group: Option<Name>,
    /// On this resource.
    pub resource: Option<Name>,
    /// On resources that have this label `env` now.
    pub env: Option<Name>,
    /// On resources that have this label now, with this value where one is said.
    pub label: Option<(Name, Option<Name>)>,
}

/// Who has what.
pub struct WhoHas {
    /// When.
    pub at: Timestamp,
    /// By login, resource, role and grant.
    pub held: Vec<Holding>,
    /// Whether that is all of it.
    pub complete: bool,
    /// What it was made from.
    pub current: Current,
}

impl Engine {
    /// Who has what: everybody's for who sees everything; else one's own, that of service accounts that one answers for, and
    /// of those whom one manages what one may see otherwise.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn who_has(&self, caller: Caller, filter: &HoldingFilter) -> Result<WhoHas, Error> {
        let at = self.store().now().await?;
        let current = self.current();
        let mut whose = None;
        if let Some(login) = &filter.person {
            let directory = &current.directory;
            let active = directory.by_login(login);
            let named = || directory.people().find(|person| person.login.text() == login);
            whose = Some(active.or_else(named).map(|person| person.id));
        }
        let resource = filter.resource.clone();
        let (mut held, complete) = match whose {
            // Nobody is called so.
            Some(None) => (Vec::new(), true),
            whose if caller.sees_all() => {
                let held = self.store().holdings(whose.flatten(), resource, MOST).await?;
                let complete = held.len() < MOST;
                (held, complete)
            }
            whose => self.visible(caller, whose.flatten(), resource, at).await?,
        };
        held.retain(|one| fits(&current, filter, one));
        held.sort_by_cached_key(|one| {
            let login = current.directory.login(one.holder);
            (login, one.item.clone(), one.grant)
        });
        Ok(WhoHas {
            at,
            held,
            complete,
            current,
        })
    }

    /// What somebody may see who does not see everything, and whether all was looked into.
    async fn visible(
        &self,
        caller: Caller,
        whose: Option<PersonId>,
        resource: Option<Name>,
        now: Timestamp,
    ) -> Result<(Vec<Holding>, bool), Error> {
        let directory = self.current().directory;
        let mut own: HashSet<PersonId> = directory.services_of(caller.person).iter().copied().collect();
        own.insert(caller.person);
        let managed = directory
            .people()
            .filter(|person| person.manager == Some(caller.person))
            .map(|person| person.id);
        let all: HashSet<PersonId> = own.iter().copied().chain(managed).collect();
        let wanted = all
            .into_iter()
            .filter(|one| whose.is_none_or(|whose| whose == *one));
        let (mut held, mut complete) = (Vec::new(), true);
        let mut seen: HashMap<RequestId, bool> = HashMap::new();
        for one in wanted {
            let of = self.store().holdings(Some(one), resource.clone(), MOST).await?;
            for holding in of {
                if own.contains(&one) {
                    held.push(holding);
                    continue;
                }
                let may = match seen.get(&holding.request) {
                    Some(may) => *may,
                    None if seen.len() >= LOOKED_INTO => {
                        complete = false;
                        false
                    }
                    None => {
                        let request = self.store().request(holding.request).await?;
                        let may = request.is_some_and(|request| self.may_see(caller, &request, now));
                        seen.insert(holding.request, may);
                        may
                    }
                };
                if may {
                    held.push(holding);
                }
            }
        }
        Ok((held, complete))
    }
}

/// Whether it is what is asked for.
fn fits(current: &Current, filter: &HoldingFilter, one: &Holding) -> bool {
    filter.admits_person(current, Some(one.holder)) && filter.admits_resource(current, &one.item.resource)
}

impl HoldingFilter {
    /// Whether it admits somebody, by group. Who is not in the directory is in no group.
    #[must_use]
    pub fn admits_person(&self, current: &Current, who: Option<PersonId>) -> bool {
        let in_group = |group: &Name| {
            let person = who.and_then(|who| current.directory.person(who));
            person.is_some_and(|person| person.groups.contains(group))
        };
        self.group.as_ref().is_none_or(in_group)
    }

    /// Whether it admits a resource.
    #[must_use]
    pub fn admits_resource(&self, current: &Current, name: &Name) -> bool {
        self.resource.as_ref().is_none_or(|wanted| wanted == name) && labelled(current, self, name)
    }
}

fn labelled(current: &Current, filter: &HoldingFilter, name: &Name) -> bool {
    if filter.env.is_none() && filter.label.is_none() {
        return true;
    }
    // What is not in the policy any more has no labels.
    let Some(resource) = current.policy.resource(name.as_str()) else {
        return false;
    };
    let labelled = |(name, value): &(Name, Option<Name>)| {
        let has = resource.labels.get(name);
        has.is_some_and(|has| value.as_ref().is_none_or(|value| value == has))
    };
    let of_env = |env: &Name| resource.environment() == Some(env);
    filter.env.as_ref().is_none_or(of_env) && filter.label.as_ref().is_none_or(labelled)
}
