//! Entitlements: their rows and the queries on them.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::entitlement::{Entitlement, Observed, TargetKey};
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use daypass_core::world::{Step, World};

use crate::error::{Error, Result};
use crate::grants;
use crate::link::Link;
use crate::scope::take_entitlements;
use crate::value::{Row, Statement, Value};

/// The columns of an entitlement's row that its own events decide, as [`row`] gives their values. Beside them stands until when
/// grants want it.
pub(crate) const COLUMNS: [&str; 6] = [
    "connector",
    "target_key",
    "state",
    "limit_at",
    "claim_ends",
    "document",
];

/// What stands in them.
pub(crate) fn row(entitlement: &Entitlement) -> Result<[Value; 6]> {
    let limit_at = match &entitlement.observed {
        Observed::Present { until, .. } => *until,
        Observed::Unknown { .. } | Observed::Absent { .. } => None,
    };
    Ok([
        (&entitlement.key.connector).into(),
        entitlement.key.key.as_str().into(),
        entitlement.observed.name().into(),
        limit_at.into(),
        wakes_at(entitlement).into(),
        Value::json(entitlement)?,
    ])
}

/// What writes an entitlement's row after an event.
pub(crate) fn write(entitlement: Option<&Entitlement>, step: Step) -> Result<Vec<Statement>> {
    let entitlement = entitlement.ok_or_else(|| Error::corrupt("an event about an entitlement made none"))?;
    let text = if step.from == "none" {
        "INSERT INTO entitlements (connector, target_key, state, limit_at, claim_ends, document, wanted_until) \
         VALUES ($1, $2, $3, $4, $5, $6, (SELECT max(wanted_until) FROM grant_parts \
         WHERE connector = $1 AND target_key = $2 AND ended = 0))"
    } else {
        "UPDATE entitlements SET previous_state = state, state = $3, limit_at = $4, claim_ends = $5, document = $6 \
         WHERE connector = $1 AND target_key = $2"
    };
    Ok(vec![(text, row(entitlement)?.into())])
}

/// When time alone changes what is to be done about it: a claim runs out, or what may still happen has.
fn wakes_at(entitlement: &Entitlement) -> Option<Timestamp> {
    let claim = entitlement.intent.as_ref().map(|intent| intent.claim_ends);
    claim.max(
        entitlement
            .unsettled_until()
            .filter(|_| !matches!(entitlement.observed, Observed::Absent { .. })),
    )
}

/// What tells an entitlement until when its grants want it now. Its own state is as it was.
pub(crate) fn want(key: &TargetKey) -> Statement {
    let text = "UPDATE entitlements SET wanted_until = (SELECT max(wanted_until) FROM grant_parts AS part \
                WHERE part.connector = $1 AND part.target_key = $2 AND part.ended = 0) \
                WHERE connector = $1 AND target_key = $2";
    (text, keys(std::slice::from_ref(key)))
}

/// The values that name these keys in a list.
pub(crate) fn keys(keys: &[TargetKey]) -> Vec<Value> {
    keys.iter()
        .flat_map(|key| [(&key.connector).into(), key.key.as_str().into()])
        .collect()
}

pub(crate) async fn by_key(link: &mut Link, key: &TargetKey) -> Result<Option<Entitlement>> {
    let text = "SELECT document FROM entitlements WHERE connector = $1 AND target_key = $2";
    let row = link.row(text, &keys(std::slice::from_ref(key))).await?;
    row.map(|row| row.json(0)).transpose()
}

fn all(rows: &[Row]) -> Result<Vec<Entitlement>> {
    rows.iter().map(|row| row.json(0)).collect()
}

/// What the ledger knows of a connector, and was not seen absent.
pub(crate) async fn standing_at(link: &mut Link, connector: &Name) -> Result<Vec<Entitlement>> {
    let text =
        "SELECT document FROM entitlements WHERE connector = $1 AND state <> 'absent' ORDER BY target_key";
    all(&link.rows(text, &[connector.into()]).await?)
}

/// The connectors with something left to take away: access that was not seen absent, or grants that have not ended.
pub(crate) async fn connectors_in_use(link: &mut Link) -> Result<BTreeSet<Name>> {
    let text = "SELECT connector FROM entitlements WHERE state <> 'absent' \
                UNION SELECT connector FROM grant_parts WHERE ended = 0";
    link.rows(text, &[])
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}

/// How much each connector was last seen to have, or may have, although no grant wants it.
pub(crate) async fn unwanted(link: &mut Link) -> Result<BTreeMap<Name, u64>> {
    let text = "SELECT connector, count(*) FROM entitlements WHERE state <> 'absent' AND wanted_until IS NULL GROUP BY connector";
    let rows = link.rows(text, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.parse(0)?, row.count(1)?)))
        .collect()
}

/// Where the ledger and the grants differ, by connector and key, `limit` of each at most: what was last seen, or may be there, although
/// no grant wants it; and what a grant wants and was last seen absent.
pub(crate) async fn adrift(link: &mut Link, limit: usize) -> Result<(Vec<Entitlement>, Vec<Entitlement>)> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let unwanted = "SELECT document FROM entitlements WHERE state <> 'absent' AND wanted_until IS NULL \
                    ORDER BY connector, target_key LIMIT $1";
    let missing = "SELECT document FROM entitlements WHERE state = 'absent' AND wanted_until IS NOT NULL \
                   ORDER BY connector, target_key LIMIT $1";
    let unwanted = all(&link.rows(unwanted, &[limit.into()]).await?)?;
    Ok((unwanted, all(&link.rows(missing, &[limit.into()]).await?)?))
}

/// The grants that have not ended and want one of these keys, those that share a key with them, and so on; and the
/// entitlements of all their keys. That is what `core::plan` asks for.
pub(crate) async fn held(link: &mut Link, wanted: &[TargetKey]) -> Result<World> {
    let mut world = World::default();
    let mut known: BTreeSet<TargetKey> = BTreeSet::new();
    let mut new: Vec<TargetKey> = wanted.to_vec();
    while !new.is_empty() {
        known.extend(new.iter().cloned());
        let mut found = BTreeSet::new();
        for grant in grants::sharing(link, &new).await? {
            let targets = grant.parts.iter().map(|part| &part.target);
            found.extend(targets.filter(|key| !known.contains(*key)).cloned());
            world.grants.insert(grant.id, grant);
        }
        new = found.into_iter().collect();
    }
    // A join and not `IN`: SQLite would read the whole table.
    let text = "WITH wanted (connector, target_key) AS (VALUES LIST) \
                SELECT document FROM wanted JOIN entitlements USING (connector, target_key)";
    let all: Vec<TargetKey> = known.into_iter().collect();
    take_entitlements(&mut world, &link.listed(text, 2, &keys(&all)).await?)?;
    Ok(world)
}
