//! Certificate authorities for SSH: their sealed keys, what they issued and revoked, and what hosts acknowledged.
//!
//! Each write holds its connector's turn, so that serials and versions only rise. Both go on from the clock's microseconds where
//! those are ahead: a store that was put back from a copy does not give a number a second time.
//!
//! Hosts judge a certificate by their own clocks. So its end is kept as the certificate says it, by the clock, which is not the time
//! that decides once a clock was set back.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::{Span, Timestamp};

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
    /// When the last certificate runs out by the clock, if one was issued.
    pub last_valid: Option<Timestamp>,
    /// From this version on, the list has all certificates of the key.
    pub revoked_in: u64,
}

/// Until when a certificate is to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshEnd {
    /// By the time that decides.
    pub until: Timestamp,
    /// The same instant by the clock: what the certificate says.
    pub clock: Timestamp,
}

/// How much is kept of certificates, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshKeep {
    /// So long after its end a certificate is still listed, or may be put on the list. Then it is forgotten.
    pub past_end: Span,
    /// How many that are not over yet a target key may have.
    pub most: u64,
}

/// What a host acknowledged last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// The version.
    pub version: u64,
    /// The fingerprints of the keys that it trusts.
    pub trusts: BTreeSet<String>,
    /// When.
    pub at: Timestamp,
}

/// Waits for the connector's turn, and makes its row where there is none.
pub(crate) async fn turn(link: &mut Link, connector: &str) -> Result<()> {
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

async fn public(link: &mut Link, connector: &str) -> Result<Option<Vec<u8>>> {
    let text = "SELECT public FROM ssh_authorities WHERE connector = $1";
    let row = link.row(text, &[connector.into()]).await?;
    row.map_or(Ok(None), |row| {
        row.maybe_bytes(0).map(|bytes| bytes.map(<[u8]>::to_vec))
    })
}

async fn keep_public(link: &mut Link, connector: &str, key: Vec<u8>) -> Result<()> {
    turn(link, connector).await?;
    let text = "UPDATE ssh_authorities SET public = $2 WHERE connector = $1 AND public IS NULL";
    link.run(text, &[connector.into(), key.into()]).await.map(drop)
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

/// Another version of the list, which nobody had before.
async fn new_version(link: &mut Link, connector: &str, clock: Timestamp) -> Result<()> {
    let text = "UPDATE ssh_authorities SET krl_version = \
                CASE WHEN krl_version >= $2 THEN krl_version + 1 ELSE $2 END WHERE connector = $1";
    link.run(text, &[connector.into(), clock.into()]).await.map(drop)
}

/// Forgets what ran out long ago. A list that loses a certificate is a new one.
async fn forget(link: &mut Link, connector: &str, clock: Timestamp, past_end: Span) -> Result<()> {
    let values = [connector.into(), (clock - past_end).into()];
    let text = "DELETE FROM ssh_certificates WHERE connector = $1 AND valid_before <= $2 AND revoked = 1";
    if link.run(text, &values).await? > 0 {
        new_version(link, connector, clock).await?;
    }
    let text = "DELETE FROM ssh_certificates WHERE connector = $1 AND valid_before <= $2";
    link.run(text, &values).await?;
    let text = "DELETE FROM ssh_accesses \
                WHERE connector = $1 AND open_until IS NULL AND (last_valid IS NULL OR last_valid <= $2)";
    link.run(text, &values).await.map(drop)
}

async fn issue(
    link: &mut Link,
    (connector, target): (&str, &str),
    end: SshEnd,
    keep: SshKeep,
    floor: &Floor,
) -> Result<u64> {
    turn(link, connector).await?;
    let (told, _) = transition::told(link, floor).await?;
    let open = access(link, connector, target)
        .await?
        .and_then(|access| access.open_until);
    if open.is_none_or(|until| until <= told.now || until < end.until) {
        return Err(Refusal::new(Code::NotActive, "no certificate may be issued for it").into());
    }
    forget(link, connector, told.clock, keep.past_end).await?;
    let text =
        "SELECT count(*) FROM ssh_certificates WHERE connector = $1 AND target = $2 AND valid_before > $3";
    let values = [connector.into(), target.into(), told.clock.into()];
    let valid = link.row(text, &values).await?.map_or(Ok(0), |row| row.count(0))?;
    if valid >= keep.most {
        let what = format!("{valid} certificates of this access are valid already");
        return Err(Refusal::new(Code::TooManyOpen, what).into());
    }
    let text = "UPDATE ssh_authorities SET last_serial = \
                CASE WHEN last_serial >= $2 THEN last_serial + 1 ELSE $2 END WHERE connector = $1";
    link.run(text, &[connector.into(), told.clock.into()]).await?;
    let text = "SELECT last_serial FROM ssh_authorities WHERE connector = $1";
    let row = link.row(text, &[connector.into()]).await?;
    let serial = row
        .ok_or_else(|| Error::corrupt("an authority was lost"))?
        .count(0)?;
    let text =
        "INSERT INTO ssh_certificates (connector, serial, target, valid_before) VALUES ($1, $2, $3, $4)";
    link.run(
        text,
        &[connector.into(), serial.into(), target.into(), end.clock.into()],
    )
    .await?;
    let text = "UPDATE ssh_accesses SET last_valid = $3 \
                WHERE connector = $1 AND target = $2 AND (last_valid IS NULL OR last_valid < $3)";
    link.run(text, &[connector.into(), target.into(), end.clock.into()])
        .await?;
    Ok(serial)
}

async fn close(
    link: &mut Link,
    (connector, target): (&str, &str),
    keep: SshKeep,
    floor: &Floor,
) -> Result<()> {
    turn(link, connector).await?;
    let (told, _) = transition::told(link, floor).await?;
    forget(link, connector, told.clock, keep.past_end).await?;
    let text = "UPDATE ssh_accesses SET open_until = NULL WHERE connector = $1 AND target = $2";
    link.run(text, &[connector.into(), target.into()]).await?;
    let text = "UPDATE ssh_certificates SET revoked = 1 \
                WHERE connector = $1 AND target = $2 AND revoked = 0";
    if link.run(text, &[connector.into(), target.into()]).await? == 0 {
        return Ok(());
    }
    new_version(link, connector, told.clock).await?;
    let text = "UPDATE ssh_accesses SET revoked_in = \
                (SELECT krl_version FROM ssh_authorities WHERE ssh_authorities.connector = $1) \
                WHERE connector = $1 AND target = $2";
    link.run(text, &[connector.into(), target.into()]).await.map(drop)
}

async fn revoked(link: &mut Link, connector: &str) -> Result<(u64, Vec<u64>)> {
    // The version first: a list with more than its version says does no harm, one with less would.
    let text = "SELECT krl_version FROM ssh_authorities WHERE connector = $1";
    let version = match link.row(text, &[connector.into()]).await? {
        Some(row) => row.count(0)?,
        None => 0,
    };
    let text = "SELECT serial FROM ssh_certificates WHERE connector = $1 AND revoked = 1 ORDER BY serial";
    let rows = link.rows(text, &[connector.into()]).await?;
    Ok((
        version,
        rows.iter().map(|row| row.count(0)).collect::<Result<_>>()?,
    ))
}

async fn acknowledge(
    link: &mut Link,
    (connector, host): (&str, &str),
    (version, trusts): (u64, &str),
    floor: &Floor,
) -> Result<()> {
    let (now, _) = transition::now(link, floor).await?;
    let text = "INSERT INTO ssh_hosts (connector, host, version, at, trusts) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (connector, host) DO UPDATE SET version = $3, at = $4, trusts = $5 \
                WHERE ssh_hosts.version <= $3";
    let values = [
        connector.into(),
        host.into(),
        version.into(),
        now.into(),
        trusts.into(),
    ];
    link.run(text, &values).await.map(drop)
}

async fn hosts(link: &mut Link, connector: &str) -> Result<BTreeMap<String, SshHost>> {
    let text = "SELECT host, version, at, trusts FROM ssh_hosts WHERE connector = $1";
    let rows = link.rows(text, &[connector.into()]).await?;
    let host = |row: &crate::value::Row| {
        Ok((
            row.text(0)?.to_owned(),
            SshHost {
                version: row.count(1)?,
                at: row.time(2)?,
                trusts: row.text(3)?.split_whitespace().map(str::to_owned).collect(),
            },
        ))
    };
    rows.iter().map(host).collect()
}

async fn give(link: &mut Link, connector: &str, host: &str, resources: &[String]) -> Result<()> {
    let text = "INSERT INTO ssh_given (connector, resource, host) VALUES ($1, $2, $3) \
                ON CONFLICT (connector, resource, host) DO NOTHING";
    for resource in resources {
        link.run(text, &[connector.into(), resource.as_str().into(), host.into()])
            .await?;
    }
    Ok(())
}

async fn given(link: &mut Link, connector: &str, resource: &str) -> Result<BTreeSet<String>> {
    let text = "SELECT host FROM ssh_given WHERE connector = $1 AND resource = $2";
    let rows = link.rows(text, &[connector.into(), resource.into()]).await?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
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

    /// A connector's public key, if it was kept.
    pub async fn ssh_public(&self, connector: &str) -> Result<Option<Vec<u8>>> {
        let connector = connector.to_owned();
        on!(read, self, |link| public(link, &connector))
    }

    /// Keeps a connector's public key, unless there is one.
    pub async fn ssh_keep_public(&self, connector: &str, key: Vec<u8>) -> Result<()> {
        let connector = connector.to_owned();
        on!(write, self, |link| keep_public(link, &connector, key))
    }

    /// Certificates may be issued for a target key, until then.
    pub async fn ssh_open(&self, connector: &str, target: &str, until: Timestamp) -> Result<()> {
        let (connector, target) = (connector.to_owned(), target.to_owned());
        on!(write, self, |link| open(link, &connector, &target, until))
    }

    /// Keeps that a certificate is about to be issued; its serial. Refused where none may be, or not for so long, or where too many
    /// are valid already.
    pub async fn ssh_issue(&self, connector: &str, target: &str, end: SshEnd, keep: SshKeep) -> Result<u64> {
        let (connector, target, floor) = (connector.to_owned(), target.to_owned(), self.floor().clone());
        on!(write, self, |link| issue(
            link,
            (&connector, &target),
            end,
            keep,
            &floor
        ))
    }

    /// No more are issued for a target key; those that there are, but for those that are over long since, are revoked.
    pub async fn ssh_close(&self, connector: &str, target: &str, keep: SshKeep) -> Result<()> {
        let (connector, target, floor) = (connector.to_owned(), target.to_owned(), self.floor().clone());
        on!(write, self, |link| close(
            link,
            (&connector, &target),
            keep,
            &floor
        ))
    }

    /// Keeps that a host is about to be given the principals of these resources.
    pub async fn ssh_give(&self, connector: &str, host: &str, resources: &BTreeSet<String>) -> Result<()> {
        let mut new = Vec::new();
        for resource in resources {
            if !self.ssh_given(connector, resource).await?.contains(host) {
                new.push(resource.clone());
            }
        }
        // A host asks every few seconds; what is known already needs no write.
        if new.is_empty() {
            return Ok(());
        }
        let (connector, host) = (connector.to_owned(), host.to_owned());
        on!(write, self, |link| give(link, &connector, &host, &new))
    }

    /// The hosts that were ever given the principals of a resource.
    pub async fn ssh_given(&self, connector: &str, resource: &str) -> Result<BTreeSet<String>> {
        let (connector, resource) = (connector.to_owned(), resource.to_owned());
        on!(read, self, |link| given(link, &connector, &resource))
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

    /// The list's version, and the serials on it.
    pub async fn ssh_revoked(&self, connector: &str) -> Result<(u64, Vec<u64>)> {
        let connector = connector.to_owned();
        on!(snapshot, self, |link| revoked(link, &connector))
    }

    /// Keeps what a host has in place, and the fingerprints of the keys that it trusts; an older version than before changes nothing.
    pub async fn ssh_acknowledge(
        &self,
        connector: &str,
        host: &str,
        version: u64,
        trusts: &BTreeSet<String>,
    ) -> Result<()> {
        let trusts = trusts.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let (connector, host, floor) = (connector.to_owned(), host.to_owned(), self.floor().clone());
        on!(write, self, |link| acknowledge(
            link,
            (&connector, &host),
            (version, &trusts),
            &floor
        ))
    }

    /// What each host acknowledged last.
    pub async fn ssh_hosts(&self, connector: &str) -> Result<BTreeMap<String, SshHost>> {
        let connector = connector.to_owned();
        on!(read, self, |link| hosts(link, &connector))
    }
}
