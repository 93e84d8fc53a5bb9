//! Drift: where targets and grants differ, and where somebody has for good what the policy gives just in time.

use std::collections::BTreeSet;

use daypass_core::entitlement::{Entitlement, TargetKey};
use daypass_core::time::Timestamp;
use daypass_policy::Drift;

use super::{Row, StandingFilter, Surveyed};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Error;

/// How much of the ledger is told.
const MOST: usize = 1_000;

/// How the ledger and a target differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowAdrift {
    /// It stands, or may, and no grant holds it; Daypass takes it away.
    Unwanted,
    /// The same at a connector with `drift: alarm`: people are to take it away.
    LeftToPeople,
    /// A grant holds it, and it was last seen gone: somebody took it away by hand.
    Missing,
}

/// A place where the ledger and a target differ.
#[derive(Debug, Clone)]
pub struct Adrift {
    /// How.
    pub how: HowAdrift,
    /// What the ledger knows of it.
    pub entitlement: Entitlement,
}

/// All drift that is known.
#[derive(Debug, Clone)]
pub struct Drifted {
    /// Where the ledger and a target differ, by connector and key.
    pub adrift: Vec<Adrift>,
    /// Standing access that a role of the policy gives just in time.
    pub standing: Vec<Row>,
    /// How the surveys stand: of what was not surveyed, no standing access is known.
    pub surveys: Vec<Surveyed>,
    /// Whether that is all of what the ledger knows.
    pub complete: bool,
    /// When.
    pub at: Timestamp,
}

impl Engine {
    /// Where targets differ from what grants give, and who has for good what the policy gives just in time.
    ///
    /// # Errors
    /// Where the caller does not see everything, or the store fails.
    pub async fn drift(&self, caller: Caller) -> Result<Drifted, Error> {
        let (mut standing, surveys) = self.standing_access(caller, &StandingFilter::default())?;
        standing.retain(|row| !row.given_by.is_empty());
        let (unwanted, missing) = self.store().adrift(MOST).await?;
        let complete = unwanted.len() < MOST && missing.len() < MOST;
        let current = self.current();
        let alarms: BTreeSet<_> = current
            .policy
            .connectors()
            .iter()
            .filter(|connector| connector.drift == Drift::Alarm)
            .map(|connector| &connector.name)
            .collect();
        let ending = self.still_held(&unwanted).await?;
        let mut adrift = Vec::new();
        // What a grant that is ending still has is on its way out: `overdue` tells where it takes too long.
        for entitlement in unwanted.into_iter().filter(|one| !ending.contains(&one.key)) {
            let how = match alarms.contains(&entitlement.key.connector) {
                true => HowAdrift::LeftToPeople,
                false => HowAdrift::Unwanted,
            };
            adrift.push(Adrift { how, entitlement });
        }
        adrift.extend(missing.into_iter().map(|entitlement| Adrift {
            how: HowAdrift::Missing,
            entitlement,
        }));
        adrift.sort_by(|one, other| one.entitlement.key.cmp(&other.entitlement.key));
        Ok(Drifted {
            adrift,
            standing,
            surveys,
            complete,
            at: self.now().await,
        })
    }

    /// Those of them that some grant which has not ended has among its parts.
    async fn still_held(&self, all: &[Entitlement]) -> Result<BTreeSet<TargetKey>, Error> {
        if all.is_empty() {
            return Ok(BTreeSet::new());
        }
        let keys: Vec<TargetKey> = all.iter().map(|one| one.key.clone()).collect();
        let held = self.store().held(&keys).await?;
        let parts = held.grants.values().flat_map(|grant| &grant.parts);
        Ok(parts.map(|part| part.target.clone()).collect())
    }
}
