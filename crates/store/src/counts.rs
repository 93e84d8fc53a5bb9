//! How many there are of what, for metrics: counted by the database, by state.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::link::Link;

/// How many there are at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that wait for people.
    pub requests_pending: u64,
    /// Reviews that are owed after an emergency.
    pub reviews_owed: u64,
    /// Those that nobody gave in time.
    pub reviews_overdue: u64,
    /// What is locked.
    pub locks: u64,
    /// Grants that have not ended, by the name of their state.
    pub grants: BTreeMap<String, u64>,
}

pub(crate) async fn counts(link: &mut Link) -> Result<Counts> {
    let pending = link
        .row("SELECT count(*) FROM requests WHERE state = 'pending'", &[])
        .await?;
    // One that is overdue waits for no instant any more.
    let text = "SELECT (SELECT count(*) FROM requests WHERE owing = 1), \
                (SELECT count(*) FROM requests WHERE owing = 1 AND due_at IS NULL), \
                (SELECT count(*) FROM locks WHERE state = 'locked')";
    let more = link
        .row(text, &[])
        .await?
        .ok_or_else(|| Error::corrupt("a query without a row"))?;
    let text = "SELECT state, count(*) FROM grants WHERE state <> 'ended' GROUP BY state";
    let grants = link.rows(text, &[]).await?;
    Ok(Counts {
        requests_pending: pending.map_or(Ok(0), |row| row.count(0))?,
        reviews_owed: more.count(0)?,
        reviews_overdue: more.count(1)?,
        locks: more.count(2)?,
        grants: grants
            .iter()
            .map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?)))
            .collect::<Result<_>>()?,
    })
}
