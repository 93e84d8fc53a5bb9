//! The catalogue: every role of every resource, and what it takes this person to have it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::past::Past;
use daypass_core::refusal::Refusal;
use daypass_core::review::Step;
use daypass_core::time::{Span, Timestamp};

use crate::addition::Depends;
use crate::condition::Supposing;
use crate::decide::Allowed;
use crate::document::{Access, Resource};
use crate::{Ask, Directory, Policy};

/// One role on one resource, as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The role on the resource.
    pub item: Item,
    /// What the resource is.
    pub kind: Name,
    /// The resource's labels.
    pub labels: BTreeMap<Name, Name>,
    /// The label `env`.
    pub environment: Option<Name>,
    /// The set of people to turn to.
    pub owner: Option<Name>,
    /// How the access is used.
    pub access: Access,
    /// What it takes, or why this person may not have it.
    pub terms: Result<Terms, Refusal>,
    /// Whether a rule for emergencies admits this person to it.
    pub break_glass: bool,
}

/// What it takes to have a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The rule that would be chosen.
    pub rule: Name,
    /// Who must agree, in order; nobody where it is instant.
    pub steps: Vec<Step>,
    /// How long access lasts where the request does not say.
    pub duration: Span,
    /// How long it may last, were it asked for now: in total, as far as what this person has had leaves room, and to the end of a
    /// window.
    pub max: Span,
    /// What a request must still say for it, or say otherwise, where it depends on that.
    pub depends: Option<Depends>,
}

/// Who looks at what there is, with all that is known of them before they ask for anything.
#[derive(Debug, Clone, Copy)]
pub struct Onlooker<'a> {
    /// Who.
    pub who: PersonId,
    /// What they have asked for and had: what a limit no longer leaves is refused.
    pub past: &'a Past,
    /// The address that they ask from, where that is certain.
    pub from: Option<IpAddr>,
    /// When they last proved who they are; `None` where they come by something that cannot prove it. Whoever can prove it does so
    /// when they ask: give `now` for them.
    pub confirmed: Option<Timestamp>,
    /// Whether they may read the policy: what is refused then says where it is written.
    pub reads_policy: bool,
    /// When they look.
    pub now: Timestamp,
}

impl<'a> Onlooker<'a> {
    /// Somebody who never had anything, looks from nowhere that is certain, and can prove who they are.
    #[must_use]
    pub fn new(who: PersonId, now: Timestamp) -> Self {
        Self {
            who,
            past: Past::nothing(),
            from: None,
            confirmed: Some(now),
            reads_policy: false,
            now,
        }
    }

    /// What they would ask, were it for these items.
    pub(crate) fn ask(self, items: &'a BTreeSet<Item>) -> Ask<'a> {
        Ask {
            past: self.past,
            from: self.from,
            confirmed: self.confirmed,
            reads_policy: self.reads_policy,
            ..Ask::new(self.who, items, self.now)
        }
    }
}

impl Terms {
    /// Whether it is granted at once.
    #[must_use]
    pub const fn is_instant(&self) -> bool {
        self.steps.is_empty()
    }
}

impl From<Allowed> for Terms {
    fn from(allowed: Allowed) -> Self {
        Self {
            rule: allowed.path.rule,
            steps: allowed.path.steps,
            duration: allowed.duration,
            max: allowed.longest,
            depends: allowed.depends,
        }
    }
}

impl Policy {
    /// What this person may ask for, and what it takes: every role of every resource, ordered by resource and role.
    ///
    /// Each is decided by itself, as a request for it would be that adds what is asked for besides, such as a ticket; the terms
    /// say where it depends on that. So do they where it is not given as it is asked, and a shorter length or a later start would do.
    #[must_use]
    pub fn catalogue(&self, onlooker: &Onlooker<'_>, directory: &dyn Directory) -> Vec<Offer> {
        let mut offers = Vec::new();
        let sets = self.sets(onlooker, directory);
        for resource in &self.document.resources {
            for role in resource.roles.keys() {
                offers.push(self.offer_of(onlooker, directory, &sets, (resource, role)));
            }
        }
        offers.sort_by(|one, other| one.item.cmp(&other.item));
        offers
    }

    /// The same of one role on one resource; `None` where the policy has no such thing.
    #[must_use]
    pub fn offer(&self, onlooker: &Onlooker<'_>, directory: &dyn Directory, item: &Item) -> Option<Offer> {
        let resource = self.resource(item.resource.as_str())?;
        let (role, _) = resource.roles.get_key_value(&item.role)?;
        let sets = self.sets(onlooker, directory);
        Some(self.offer_of(onlooker, directory, &sets, (resource, role)))
    }

    /// The sets of people that they are in.
    fn sets(&self, onlooker: &Onlooker<'_>, directory: &dyn Directory) -> BTreeSet<usize> {
        let person = directory.person(onlooker.who);
        person
            .map(|person| self.index.sets_of(person))
            .unwrap_or_default()
    }

    fn offer_of(
        &self,
        onlooker: &Onlooker<'_>,
        directory: &dyn Directory,
        sets: &BTreeSet<usize>,
        (resource, role): (&Resource, &Name),
    ) -> Offer {
        let item = Item {
            resource: resource.name.clone(),
            role: role.clone(),
        };
        let items = BTreeSet::from([item.clone()]);
        let ask = onlooker.ask(&items);
        let break_glass = self.is_open(sets, &item, true);
        let terms = self.choose(&ask, directory, Supposing::TheRest).map(Terms::from);
        Offer {
            item,
            kind: resource.kind.clone(),
            labels: resource.labels.clone(),
            environment: resource.environment().cloned(),
            owner: resource.owner.clone(),
            access: resource.access,
            terms,
            break_glass,
        }
    }
}
