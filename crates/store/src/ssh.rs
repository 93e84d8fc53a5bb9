//! Certificate authorities for SSH: their sealed keys, what they issued and revoked, and what hosts acknowledged.
//!
//! Each write holds its connector's turn, so that serials and versions rise one by one.

use std::collections::BTreeMap;

use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;

use crate::error::{Error, Result};
use crate::floor::Floor;
use crate::link::Link;
use crate::store::Store;
use crate::transition;

/// What is known of a target key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshAccess {
    /// Until when certificates may be issued; `None` once it was closed.
    pub open_until: Option<Timestamp>,
    /// When the last certificate runs out, if one was issued.
    pub last_valid: Option<Timestamp>,
    /// From this version on, the list has all certificates of the key.
    pub revoked_in: u64,
}

/// What a host acknowledged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshHost {
    /// The version.
    pub version: u64,
    /// When.
    pub at: Timestamp,
}

/// Waits for the connector's turn, and makes its row where there is none.
async fn turn(link: &mut Link, connector: &str) -> Result<()> {
    link.reserve(&format!("ssh {connector}")).await?;
    let text = "INSERT INTO ssh_authorities (connector) VALUES ($1) ON CONFLICT (connector) DO NOTHING";
    link.run(text, &[connector.into()]).await.map(drop)
}

async fn sealed(link: &mut Link, connector: &str) -> Result<Option<Vec<u8>>> {
    let text = "SELECT sealed FROM ssh_authorities WHERE connector = $1";
    let row = link.row(text, &[connector.into()]).await?;
    row.map_or(Ok(None), |row| {
        row.maybe_bytes(0).map(|bytes| bytes.map(<[u8]>::to_vec))
    })
}

async fn keep_sealed(link: &mut Link, connector: &str, fresh: Vec<u8>, floor: &Floor) -> Result<Vec<u8>> {
    turn(link, connector).await?;
    let (now, _) = transition::now(link, floor).await?;
    let text = "UPDATE ssh_authorities SET sealed = $2, since = $3 WHERE connector = $1 AND sealed IS NULL";
    link.run(text, &[connector.into(), fresh.into(), now.into()])
        .await?;
    sealed(link, connector)
        .await?
        .ok_or_else(|| Error::corrupt("an authority without its key"))
}

async fn since(link: &mut Link, connector: &str) -> Result<Option<Timestamp>> {
    let text = "SELECT since FROM ssh_authorities WHERE connector = $1";
    let row = link.row(text, &[connector.into()]).await?;
    row.map_or(Ok(None), |row| row.maybe_time(0))
}

async fn open(link: &mut Link, connector: &str, target: &str, until: Timestamp) -> Result<()> {
    turn(link, connector).await?;
    let text = "INSERT INTO ssh_accesses (connector, target, open_until) VALUES ($1, $2, $3) \
                ON CONFLICT (connector, target) DO UPDATE SET open_until = $3";
    link.run(text, &[connector.into(), target.into(), until.into()])
        .await
        .map(drop)
}

async fn access(link: &mut Link, connector: &str, target: &str) -> Result<Option<SshAccess>> {
    let text =
        "SELECT open_until, last_valid, revoked_in FROM ssh_accesses WHERE connector = $1 AND target = $2";
    let row = link.row(text, &[connector.into(), target.into()]).await?;
    row.map(|row| {
        Ok(SshAccess {
            open_until: row.maybe_time(0)?,
            last_valid: row.maybe_time(1)?,
            revoked_in: row.count(2)?,
        })
    })
    .transpose()
}

async fn issue(
    link: &mut Link,
    (connector, target): (&str, &str),
    valid_before: Timestamp,
    floor: &Floor,
) -> Result<u64> {
    turn(link, connector).await?;
    let (now, _) = transition::now(link, floor).await?;
    let open = access(link, connector, target)
        .await?
        .and_then(|access| access.open_until);
    if open.is_none_or(|until| until <= now || until < valid_before) {
        return Err(Refusal::new(Code::NotActive, "no certificate may be issued for it").into());
    }
    link.run(
        "UPDATE ssh_authorities SET last_serial = last_serial + 1 WHERE connector = $1",
        &[connector.into()],
    )
    .await?;
    let text = "SELECT last_serial FROM ssh_authorities WHERE connector = $1";
    let row = link.row(text, &[connector.into()]).await?;
    let serial = row
        .ok_or_else(|| Error::corrupt("an authority was lost"))?
        .count(0)?;
    let text =
        "INSERT INTO ssh_certificates (connector, serial, target, valid_before) VALUES ($1, $2, $3, $4)";
    link.run(
        text,
        &[
            connector.into(),
            serial.into(),
            target.into(),
            valid_before.into(),
        ],
    )
    .await?;
    let text = "UPDATE ssh_accesses SET last_valid = $3 \
                WHERE connector = $1 AND target = $2 AND (last_valid IS NULL OR last_valid < $3)";
    link.run(text, &[connector.into(), target.into(), valid_before.into()])
        .await?;
    Ok(serial)
}

async fn close(link: &mut Link, connector: &str, target: &str, forget_before: Timestamp) -> Result<()> {
    turn(link, connector).await?;
    let text = "UPDATE ssh_accesses SET open_until = NULL WHERE connector = $1 AND target = $2";
    link.run(text, &[connector.into(), target.into()]).await?;
    let text = "UPDATE ssh_certificates SET revoked = 1 \
                WHERE connector = $1 AND target = $2 AND revoked = 0 AND valid_before > $3";
    let values = [connector.into(), target.into(), forget_before.into()];
    if link.run(text, &values).await? == 0 {
        return Ok(());
    }
    link.run(
        "UPDATE ssh_authorities SET krl_version = krl_version + 1 WHERE connector = $1",
        &[connector.into()],
    )
    .await?;
    let text = "UPDATE ssh_accesses SET revoked_in = \
                (SELECT krl_version FROM ssh_authorities WHERE ssh_authorities.connector = $1) \
                WHERE connector = $1 AND target = $2";
    link.run(text, &[connector.into(), target.into()]).await.map(drop)
}

async fn revoked(link: &mut Link, connector: &str, after: Timestamp) -> Result<(u64, Vec<u64>)> {
    // The version first: a list with more than its version says does no harm, one with less would.
    let text = "SELECT krl_version FROM ssh_authorities WHERE connector = $1";
    let version = match link.row(text, &[connector.into()]).await? {
        Some(row) => row.count(0)?,
        None => 0,
    };
    let text = "SELECT serial FROM ssh_certificates WHERE connector = $1 AND revoked = 1 AND valid_before > $2 ORDER BY serial";
    let rows = link.rows(text, &[connector.into(), after.into()]).await?;
    Ok((
        version,
        rows.iter().map(|row| row.count(0)).collect::<Result<_>>()?,
    ))
}

async fn acknowledge(
    link: &mut Link,
    (connector, host): (&str, &str),
    version: u64,
    floor: &Floor,
) -> Result<()> {
    let (now, _) = transition::now(link, floor).await?;
    let text = "INSERT INTO ssh_hosts (connector, host, version, at) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (connector, host) DO UPDATE SET version = $3, at = $4 WHERE ssh_hosts.version <= $3";
    link.run(text, &[connector.into(), host.into(), version.into(), now.into()])
        .await
        .map(drop)
}

async fn hosts(link: &mut Link, connector: &str) -> Result<BTreeMap<String, SshHost>> {
    let text = "SELECT host, version, at FROM ssh_hosts WHERE connector = $1";
    let rows = link.rows(text, &[connector.into()]).await?;
    let host = |row: &crate::value::Row| {
        Ok((
            row.text(0)?.to_owned(),
            SshHost {
                version: row.count(1)?,
                at: row.time(2)?,
            },
        ))
    };
    rows.iter().map(host).collect()
}

async fn open_targets(link: &mut Link, connector: &str) -> Result<Vec<String>> {
    let text =
        "SELECT target FROM ssh_accesses WHERE connector = $1 AND open_until IS NOT NULL ORDER BY target";
    let rows = link.rows(text, &[connector.into()]).await?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}

macro_rules! on {
    ($how:ident, $store:expr, |$link:ident| $work:expr) => {
        $store
            .$how(move |$link| Box::pin(async move { $work.await }))
            .await
    };
}

/// Certificate authorities for SSH. Each fails where the store does not answer.
#[expect(
    clippy::missing_errors_doc,
    reason = "they fail alike: where the store does not answer"
)]
impl Store {
    /// A connector's sealed key, if there is one.
    pub async fn ssh_sealed(&self, connector: &str) -> Result<Option<Vec<u8>>> {
        let connector = connector.to_owned();
        on!(read, self, |link| sealed(link, &connector))
    }

    /// Keeps a connector's sealed key, unless there is one; the one that is kept.
    pub async fn ssh_keep_sealed(&self, connector: &str, fresh: Vec<u8>) -> Result<Vec<u8>> {
        let (connector, floor) = (connector.to_owned(), self.floor().clone());
        on!(write, self, |link| keep_sealed(link, &connector, fresh, &floor))
    }

    /// Since when a connector's key is kept, if there is one.
    pub async fn ssh_since(&self, connector: &str) -> Result<Option<Timestamp>> {
        let connector = connector.to_owned();
        on!(read, self, |link| since(link, &connector))
    }

    /// Certificates may be issued for a target key, until then.
    pub async fn ssh_open(&self, connector: &str, target: &str, until: Timestamp) -> Result<()> {
        let (connector, target) = (connector.to_owned(), target.to_owned());
        on!(write, self, |link| open(link, &connector, &target, until))
    }

    /// Keeps that a certificate is about to be issued; its serial. Refused where none may be, or not for so long.
    pub async fn ssh_issue(&self, connector: &str, target: &str, valid_before: Timestamp) -> Result<u64> {
        let (connector, target, floor) = (connector.to_owned(), target.to_owned(), self.floor().clone());
        on!(write, self, |link| issue(
            link,
            (&connector, &target),
            valid_before,
            &floor
        ))
    }

    /// No more are issued for a target key; those whose validity ends after this instant are revoked.
    pub async fn ssh_close(&self, connector: &str, target: &str, forget_before: Timestamp) -> Result<()> {
        let (connector, target) = (connector.to_owned(), target.to_owned());
        on!(write, self, |link| close(
            link,
            &connector,
            &target,
            forget_before
        ))
    }

    /// What is known of a target key.
    pub async fn ssh_access(&self, connector: &str, target: &str) -> Result<Option<SshAccess>> {
        let (connector, target) = (connector.to_owned(), target.to_owned());
        on!(read, self, |link| access(link, &connector, &target))
    }

    /// The target keys that are not closed.
    pub async fn ssh_open_targets(&self, connector: &str) -> Result<Vec<String>> {
        let connector = connector.to_owned();
        on!(read, self, |link| open_targets(link, &connector))
    }

    /// The list's version, and the serials on it whose validity ends after this instant.
    pub async fn ssh_revoked(&self, connector: &str, after: Timestamp) -> Result<(u64, Vec<u64>)> {
        let connector = connector.to_owned();
        on!(snapshot, self, |link| revoked(link, &connector, after))
    }

    /// Keeps what a host has in place; an older version than before changes nothing.
    pub async fn ssh_acknowledge(&self, connector: &str, host: &str, version: u64) -> Result<()> {
        let (connector, host, floor) = (connector.to_owned(), host.to_owned(), self.floor().clone());
        on!(write, self, |link| acknowledge(
            link,
            (&connector, &host),
            version,
            &floor
        ))
    }

    /// What each host acknowledged last.
    pub async fn ssh_hosts(&self, connector: &str) -> Result<BTreeMap<String, SshHost>> {
        let connector = connector.to_owned();
        on!(read, self, |link| hosts(link, &connector))
    }
}
