//! How many there are of what, for metrics and limits: counted by the database.

use std::collections::BTreeMap;

use daypass_core::id::PersonId;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::store::Store;

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
    /// Sessions that are not over.
    pub sessions_live: u64,
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
                (SELECT count(*) FROM locks WHERE state = 'locked'), \
                (SELECT count(*) FROM sessions WHERE state <> 'closed')";
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
        sessions_live: more.count(3)?,
        grants: grants
            .iter()
            .map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?)))
            .collect::<Result<_>>()?,
    })
}

/// How many grants of somebody have not ended.
pub(crate) async fn held_by(link: &mut Link, person: PersonId) -> Result<u64> {
    let text = "SELECT count(*) FROM grants WHERE holder = $1 AND state <> 'ended'";
    let row = link.row(text, &[person.into()]).await?;
    row.map_or(Ok(0), |row| row.count(0))
}

impl Store {
    /// How many grants of somebody have not ended. It may have changed when the answer is there.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn held_by(&self, person: PersonId) -> Result<u64> {
        self.read(move |link| Box::pin(async move { held_by(link, person).await }))
            .await
    }
}
