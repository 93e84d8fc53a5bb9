//! What the log says, told again in the judge's own words and in true time.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::entitlement::Observed;
use daypass_core::grant::{Grant, Part, Reason};
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::lock::On;
use daypass_core::name::Item;
use daypass_core::person::Person;
use daypass_core::request::Request;
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;

use super::standing::Standings;
use crate::scenario::Scenario;

pub(super) struct Ledger {
    pub(super) requests: BTreeMap<RequestId, Asked>,
    pub(super) grants: BTreeMap<GrantId, Held>,
    pub(super) entitlements: BTreeMap<(usize, String), Known>,
    pub(super) people: BTreeMap<PersonId, Person>,
    /// Who is away, and who has had a hand in whose account.
    pub(super) standings: Standings,
    /// Who administers, or ever did. A server may not know for a moment that somebody does no more.
    pub(super) administered: BTreeSet<PersonId>,
    /// When an account was last switched off, in true time.
    pub(super) off: BTreeMap<PersonId, Timestamp>,
    pub(super) locked: BTreeSet<On>,
    /// Which of the scenario's policies is in force.
    pub(super) policy: usize,
    /// The policies' texts, hashed.
    pub(super) policies: Vec<Hash>,
    pub(super) connectors: BTreeMap<String, usize>,
    /// Which grants have a part under each key.
    sharing: BTreeMap<(usize, String), BTreeSet<GrantId>>,
}

/// A request.
pub(super) struct Asked {
    pub(super) request: Request,
    /// The policy that it was made under.
    pub(super) policy: usize,
    pub(super) pending: bool,
    /// What people said, one after the other.
    pub(super) reviews: Vec<daypass_core::review::Review>,
    /// The length that was agreed on, once it was.
    pub(super) approved: Option<daypass_core::review::Approval>,
    /// When somebody said no, by the time that decides.
    pub(super) denied: Option<Timestamp>,
    /// Until when access may last by the windows that it was asked for in.
    pub(super) ends_by: Option<Timestamp>,
    pub(super) led_to: u32,
    /// An emergency that nobody has looked back at, and that nobody was told to have been forgotten.
    pub(super) owes: bool,
}

/// A grant.
pub(super) struct Held {
    pub(super) grant: Grant,
    pub(super) parts: Vec<(usize, String)>,
    pub(super) phase: Phase,
    /// How far its length may reach, extensions included.
    pub(super) agreed: daypass_core::time::Span,
    /// When it was opened, in true time.
    pub(super) opened: Timestamp,
    /// When its window or its deadline was last set, in true time.
    pub(super) reckoned: Timestamp,
    /// Since when it was set up, by the time that decides.
    pub(super) begun: Option<Timestamp>,
    /// From when until when it was had, or will be, by the time that decides; once it is active.
    pub(super) had: Option<(Timestamp, Timestamp)>,
    /// When it began to end, by the same time.
    pub(super) noticed: Option<Timestamp>,
    /// Until when it may last by its windows, as they were when it began.
    pub(super) ends_by: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Scheduled,
    /// Until when, in true time.
    Activating {
        begun: Timestamp,
        until: Timestamp,
        limit: Timestamp,
    },
    Active {
        /// When the first of its parts was seen to be there, in true time.
        seen: Timestamp,
        since: Timestamp,
        until: Timestamp,
        limit: Timestamp,
    },
    Ending {
        reason: Reason,
        active_since: Option<Timestamp>,
        overdue: bool,
    },
    Ended,
}

/// What is known of a key at a target.
pub(super) struct Known {
    pub(super) ever_intended: bool,
    /// The last intent, until what became of it was seen.
    pub(super) intent: Option<Intended>,
    /// Until when a removal that was written down may take effect, in true time, and when that was written down.
    pub(super) removing: Option<(Timestamp, Timestamp)>,
    pub(super) observed: Observed,
    /// When it was last recorded to be there, in true time.
    pub(super) seen: Option<Timestamp>,
    /// Since when, in true time, it has been known to be there, or that it may be.
    pub(super) since: Timestamp,
}

/// A provisioning that was written down.
pub(super) struct Intended {
    pub(super) worker: String,
    /// When, in true time.
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
    /// The latest end of the grants that it was made for.
    pub(super) latest_end: Option<Timestamp>,
}

impl Held {
    pub(super) const fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Ending { .. } | Phase::Ended)
    }

    /// From when until when it counts towards a total: while it was had, and where it never all came to be, while it was set up.
    pub(super) fn used(&self) -> Option<(Timestamp, Timestamp)> {
        self.had.or_else(|| self.begun.zip(self.noticed))
    }

    /// Whether it gives the right to access at this true time, and with which limit at the target.
    pub(super) fn holds(&self, now: Timestamp) -> Option<Timestamp> {
        match self.phase {
            Phase::Activating { until, limit, .. } | Phase::Active { until, limit, .. } if now < until => {
                Some(limit)
            }
            _ => None,
        }
    }
}

impl Ledger {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let connectors = scenario.targets.iter().enumerate();
        Self {
            requests: BTreeMap::new(),
            grants: BTreeMap::new(),
            entitlements: BTreeMap::new(),
            people: BTreeMap::new(),
            standings: Standings::default(),
            administered: BTreeSet::new(),
            off: BTreeMap::new(),
            locked: BTreeSet::new(),
            policy: 0,
            policies: scenario
                .policies
                .iter()
                .map(|policy| Hash::of(policy.text().as_bytes()))
                .collect(),
            connectors: connectors
                .map(|(number, target)| (target.connector.clone(), number))
                .collect(),
            sharing: BTreeMap::new(),
        }
    }

    pub(super) fn open(&mut self, grant: &Grant, now: Timestamp) {
        let part = |part: &daypass_core::grant::Part| {
            let target = self.connectors.get(part.target.connector.as_str()).copied()?;
            Some((target, part.target.key.clone()))
        };
        let parts: Vec<_> = grant.parts.iter().filter_map(part).collect();
        for part in &parts {
            self.sharing.entry(part.clone()).or_default().insert(grant.id);
        }
        let held = Held {
            grant: grant.clone(),
            parts,
            phase: Phase::Scheduled,
            agreed: grant.duration,
            opened: now,
            reckoned: now,
            begun: None,
            had: None,
            noticed: None,
            ends_by: None,
        };
        self.grants.insert(grant.id, held);
    }

    /// The grants that ever had a part under this key.
    pub(super) fn sharing(&self, spot: &(usize, String)) -> impl Iterator<Item = &Held> {
        let ids = self.sharing.get(spot).into_iter().flatten();
        ids.filter_map(|id| self.grants.get(id))
    }

    /// The latest end of the grants that are being set up or active on this key now.
    pub(super) fn latest_end(&self, spot: &(usize, String)) -> Option<Timestamp> {
        let up = |held: &&Held| held.holds(Timestamp::EPOCH).is_some();
        self.sharing(spot)
            .filter(up)
            .map(|held| held.grant.latest_end)
            .max()
    }

    /// The latest limit of the grants that give the right to this key at this true time.
    pub(super) fn held(&self, spot: &(usize, String), now: Timestamp) -> Option<Timestamp> {
        self.sharing_free(spot).filter_map(|held| held.holds(now)).max()
    }

    /// The grants that ever had a part under this key and may go on: they are under no lock, and their holder's account is on, and
    /// that of who answers for it.
    pub(super) fn sharing_free(&self, spot: &(usize, String)) -> impl Iterator<Item = &Held> {
        let on = |who: PersonId| self.people.get(&who).is_some_and(|person| person.active);
        let free = move |held: &&Held| {
            let holder = held.grant.holder;
            let looked_after = self.owner(holder).is_none_or(|owner| owner.active);
            on(holder) && looked_after && !self.is_locked(holder, held.grant.parts.iter().map(Part::item))
        };
        self.sharing(spot).filter(free)
    }

    /// Whether a person, or a resource of these items, is locked.
    pub(super) fn is_locked<'a>(&self, who: PersonId, mut items: impl Iterator<Item = &'a Item>) -> bool {
        let resource = |item: &Item| self.locked.contains(&On::Resource(item.resource.clone()));
        let person = |who: PersonId| self.locked.contains(&On::Person(who));
        person(who) || self.owner(who).is_some_and(|owner| person(owner.id)) || items.any(resource)
    }

    /// Who answers for a program.
    pub(super) fn owner(&self, who: PersonId) -> Option<&Person> {
        self.people.get(&self.people.get(&who)?.owner?)
    }

    pub(super) fn openings(&self, grant: GrantId) -> Vec<(usize, String)> {
        self.grants
            .get(&grant)
            .map(|held| held.parts.clone())
            .unwrap_or_default()
    }

    pub(super) fn unfinished(&self) -> Vec<String> {
        let requests = self
            .requests
            .iter()
            .filter(|(_, asked)| asked.pending)
            .map(|(id, _)| format!("request {id} is pending"));
        let grants = self.grants.iter().filter(|(_, held)| held.phase != Phase::Ended);
        let owing = self.requests.iter().filter(|(_, asked)| asked.owes);
        requests
            .chain(owing.map(|(id, _)| format!("nobody looked back at {id}, and it is not overdue")))
            .chain(grants.map(|(id, held)| format!("grant {id} is {:?}", held.phase)))
            .collect()
    }
}
