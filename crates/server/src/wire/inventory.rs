//! The inventory, on the wire: standing access, drift, and what a policy could name.

use std::collections::BTreeSet;

use daypass_api::connector::Stuck;
use daypass_api::standing as api;
use daypass_core::entitlement::Observed;
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use daypass_engine::{Adrift, Current, Engine, HowAdrift, Row, Surveyed};
use daypass_providers::inventory::{self, Fit};

/// How the survey of a connector stands.
#[must_use]
pub(crate) fn survey(one: &Surveyed) -> api::Survey {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let last = one.last.as_ref();
    api::Survey {
        connector: one.connector.clone(),
        seen_at: last.map(|survey| survey.began),
        standing: last.map(|survey| count(survey.standing.len())),
        found: last.map(|survey| count(survey.found.len())),
        untold: last.map(|survey| survey.untold.clone()).unwrap_or_default(),
        cannot_tell: one.cannot_tell,
        asked_for: one.asked_for,
        under_way: one.under_way.map(|way| api::UnderWay {
            since: way.began,
            done: way.done,
            of: way.of,
        }),
        failing: one.failing.as_ref().map(|(since, fault, detail)| Stuck {
            since: *since,
            fault: super::policy::fault(*fault),
            detail: detail.clone(),
        }),
    }
}

/// One entry of standing access, with whether who has it could ask for the same.
#[must_use]
pub(crate) fn standing(row: &Row, current: &Current, now: Timestamp) -> Option<api::Standing> {
    let shown = row.standing()?;
    let given_by = row.given_by.iter().map(|(item, fit)| api::GivenBy {
        item: item.clone().into(),
        more: *fit == Fit::More,
        eligible: row.person.map(|who| Engine::is_eligible(current, who, item, now)),
    });
    Some(api::Standing {
        connector: row.connector.clone(),
        seen_at: row.seen_at(),
        subject: api::Subject {
            id: shown.subject.id.clone(),
            name: shown.subject.name.clone(),
            kind: shown.subject.kind.word().to_owned(),
        },
        right: shown.right.clone(),
        on: shown.on.clone(),
        by: shown.by.clone(),
        last_used: shown.last_used,
        until: shown.until,
        login: row.person.map(|person| current.directory.login(person)),
        guessed: row.is_guessed,
        given_by: given_by.collect(),
        place: row.place.clone(),
        offer: shown
            .offer
            .as_ref()
            .map(|one| offer(one, row.place.as_ref(), current)),
    })
}

/// The same in the words of policy, by names that the policy does not have for anything else.
fn offer(offer: &inventory::Offer, place: Option<&Name>, current: &Current) -> api::Offer {
    let (called, role_name) = offer.called.clone();
    // The place is a resource already, and lacks the role: the one that is proposed is another, with that role alone.
    let called = place.map_or(called, |place| Name::like(&format!("{place}-{role_name}")));
    let taken = current
        .policy
        .resources()
        .iter()
        .map(|one| one.name.clone())
        .collect();
    let resource_name = free(&called, &taken);
    api::Offer {
        kind: offer.kind.to_owned(),
        resource_name,
        resource: offer.resource.clone(),
        role_name,
        role: offer.role.clone(),
    }
}

/// Standing access as drift: a role of the policy gives it just in time.
#[must_use]
pub(crate) fn standing_drift(row: &Row, current: &Current, now: Timestamp) -> Option<api::Drift> {
    let standing = standing(row, current, now)?;
    let first = standing.given_by.first()?;
    let who = &standing.subject.name;
    let by = standing
        .by
        .as_ref()
        .map_or_else(String::new, |by| format!(", by {by}"));
    let todo = match (&standing.login, first.eligible) {
        (Some(login), Some(true)) => format!(
            "{login} may ask for {}: take the standing access away",
            first.item
        ),
        // What one pastes is made of names alone: whoever may make a role at the target says what it is called.
        _ if who.parse::<Name>().is_err() => format!(
            "find it with daypass access ls --standing, let people ask for {} instead, then take the standing access away",
            first.item
        ),
        _ => format!(
            "daypass access snippet {who} {}, then take the standing access away",
            first.item
        ),
    };
    Some(api::Drift {
        drift: api::DriftKind::Standing,
        connector: standing.connector.clone(),
        what: format!(
            "{who} has for good what {} gives: {} on {}{by}",
            first.item, standing.right, standing.on
        ),
        todo,
        item: Some(first.item.clone()),
        login: standing.login.clone(),
        key: None,
        seen_at: standing.seen_at,
    })
}

/// Where the ledger and a target differ.
#[must_use]
pub(crate) fn adrift(one: &Adrift, current: &Current) -> api::Drift {
    let entitlement = &one.entitlement;
    let spec = entitlement.spec.as_deref();
    let item = spec.map(|spec| spec.item.clone());
    let login = spec.map(|spec| current.directory.login(spec.holder));
    let told = match (&item, &login) {
        (Some(item), Some(login)) => format!("{item} of {login}"),
        _ => format!("access under the key {}", entitlement.key.key),
    };
    let seen = match entitlement.observed {
        Observed::Unknown { .. } => "may stand",
        Observed::Present { .. } => "stands",
        Observed::Absent { .. } => "is gone",
    };
    let (drift, what, todo) = match one.how {
        HowAdrift::Unwanted => (
            api::DriftKind::Unwanted,
            format!("{told} {seen}, and no grant holds it"),
            String::from("nothing: Daypass takes it away, and tries until it is gone"),
        ),
        HowAdrift::LeftToPeople => (
            api::DriftKind::LeftToPeople,
            format!("{told} {seen}, and no grant holds it"),
            String::from("take it away at the target: the connector says `drift: alarm`"),
        ),
        HowAdrift::Missing => (
            api::DriftKind::Missing,
            format!("{told} {seen}: somebody took it away at the target"),
            String::from("nothing: its grant ends, or it is given again"),
        ),
    };
    api::Drift {
        drift,
        connector: entitlement.key.connector.clone(),
        what,
        todo,
        item: item.map(Into::into),
        login,
        key: Some(entitlement.key.key.clone()),
        seen_at: entitlement.observed.at(),
    }
}

/// What was found, each with a name that nothing else has.
#[must_use]
pub(crate) fn found(all: &[inventory::Found], connector: &Name, current: &Current) -> Vec<api::Found> {
    let resources = current.policy.resources().iter();
    let mut taken: BTreeSet<Name> = resources.map(|resource| resource.name.clone()).collect();
    let named = |found: &inventory::Found| {
        let name = free(&found.name, &taken);
        taken.insert(name.clone());
        api::Found {
            connector: connector.clone(),
            kind: found.kind.to_owned(),
            name,
            told: found.told.clone(),
            resource: found.resource.clone(),
            roles: found.roles.iter().cloned().collect(),
            labels: found.labels.clone(),
        }
    };
    all.iter().map(named).collect()
}

/// The name, or the first like it that is free.
fn free(name: &Name, taken: &BTreeSet<Name>) -> Name {
    if !taken.contains(name) {
        return name.clone();
    }
    // There are fewer taken ones than numbers, and room for a number at the end of the longest name.
    let short: String = name.as_str().chars().take(55).collect();
    let numbered = (2..).map(|number: u32| Name::like(&format!("{short}-{number}")));
    numbered
        .into_iter()
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number_however_long_it_is() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let taken = ["orders", "orders-2"].map(name).into_iter().collect();
        assert_eq!(free(&name("orders"), &taken), name("orders-3"));
        assert_eq!(free(&name("other"), &taken), name("other"));
        let long = name(&"x".repeat(63));
        let taken = BTreeSet::from([long.clone()]);
        assert_eq!(free(&long, &taken), name(&format!("{}-2", "x".repeat(55))));
    }
}
