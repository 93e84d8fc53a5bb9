//! What the reconciler must look at: what time or a difference between wanted and seen has made due.

use daypass_core::entitlement::{Entitlement, TargetKey};
use daypass_core::grant::Grant;
use daypass_core::id::{ChangeId, RequestId};
use daypass_core::time::Timestamp;

use crate::error::Result;
use crate::link::Link;
use crate::select::Select;
use crate::texts;
use crate::value::Value;

/// A page of what is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Grants whose start or deadline has come, that are being provisioned, or that are ending; the earliest first.
    pub grants: Vec<Grant>,
    /// Entitlements that nobody has seen since a call, that stand and nobody wants, that are gone and somebody wants, or
    /// whose limit at the target is not the one that is wanted.
    pub entitlements: Vec<Entitlement>,
    /// Where the next page begins, if there may be more. What cannot be done now must not hide what can.
    pub next: Option<DueCursor>,
}

/// The place behind a page of what is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueCursor {
    grant: Option<(Timestamp, String)>,
    entitlement: Option<TargetKey>,
}

pub(crate) async fn due(link: &mut Link, now: Timestamp, behind: DueCursor, limit: usize) -> Result<Due> {
    let mut next = behind;
    let mut select = Select::new("SELECT document, due_at, id FROM grants");
    select.compares("due_at", "<=", Some(now));
    if let Some((at, id)) = &next.grant {
        select.behind(("due_at", "id"), [(*at).into(), id.as_str().into()]);
    }
    let (text, values) = select.finish("due_at, id", limit);
    let rows = link.rows(&text, &values).await?;
    let mut grants = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Grant>>>()?;
    let mut full = rows.len() >= limit;
    if let Some(last) = rows.last() {
        next.grant = Some((last.time(1)?, last.text(2)?.to_owned()));
    }
    texts::open(link, &mut grants).await?;

    let mut select = Select::new("SELECT document FROM entitlements");
    select.only("due = 1");
    if let Some(key) = &next.entitlement {
        select.behind(
            ("connector", "target_key"),
            [(&key.connector).into(), key.key.as_str().into()],
        );
    }
    let (text, values) = select.finish("connector, target_key", limit);
    let rows = link.rows(&text, &values).await?;
    let entitlements = rows
        .iter()
        .map(|row| row.json(0))
        .collect::<Result<Vec<Entitlement>>>()?;
    full |= rows.len() >= limit;
    if let Some(last) = entitlements.last() {
        next.entitlement = Some(last.key.clone());
    }
    Ok(Due {
        grants,
        entitlements,
        next: full.then_some(next),
    })
}

/// The requests that have been silent too long, the longest first.
pub(crate) async fn silent(link: &mut Link, now: Timestamp, limit: usize) -> Result<Vec<RequestId>> {
    let text = "SELECT id FROM requests WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    link.rows(text, &[now.into(), limit.into()])
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}

/// The changes that have been silent too long, the longest first.
pub(crate) async fn silent_changes(link: &mut Link, now: Timestamp, limit: usize) -> Result<Vec<ChangeId>> {
    let text = "SELECT id FROM changes WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    link.rows(text, &[now.into(), limit.into()])
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}

/// The earliest instant after this one at which time alone makes something due.
pub(crate) async fn next(link: &mut Link, after: Timestamp) -> Result<Option<Timestamp>> {
    let mut earliest = None;
    for text in [
        "SELECT min(due_at) FROM requests WHERE due_at > $1",
        "SELECT min(due_at) FROM changes WHERE due_at > $1",
        "SELECT min(wakes_at) FROM grants WHERE wakes_at > $1",
        "SELECT min(claim_ends) FROM entitlements WHERE claim_ends > $1",
    ] {
        let row = link.row(text, &[Value::from(after)]).await?;
        let found = row.map(|row| row.maybe_time(0)).transpose()?.flatten();
        earliest = earliest.into_iter().chain(found).min();
    }
    Ok(earliest)
}
