//! Reading roles and sessions at the target. Nothing in this file changes anything.

use daypass_core::time::Timestamp;

use super::connection::{Session, column};
use super::names::{Marker, PREFIX};
use crate::Error;

/// The number that PostgreSQL knows a role by. It is never used again, and outlives the name in a session.
pub(super) type Oid = u32;

/// A role that stands under a name of ours.
pub(super) struct Found {
    pub(super) oid: Oid,
    pub(super) may_login: bool,
    pub(super) until: Option<Timestamp>,
    /// What we wrote on it; `None` where it is not ours.
    pub(super) marker: Option<Marker>,
}

/// The role of this name, if there is one.
pub(super) async fn find(session: &Session, role: &str, installation: &str) -> Result<Option<Found>, Error> {
    let sql = "SELECT r.oid, r.rolcanlogin, CASE WHEN isfinite(r.rolvaliduntil) \
               THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END, \
               shobj_description(r.oid, 'pg_authid') \
               FROM pg_roles r WHERE r.rolname = ($1::text)::name";
    let rows = session.query(sql, &[&role], "looking for the role").await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let comment: Option<&str> = column(row, 3)?;
    Ok(Some(Found {
        oid: column(row, 0)?,
        may_login: column(row, 1)?,
        until: column::<Option<i64>>(row, 2)?.map(Timestamp::from_micros),
        marker: Marker::read(comment, installation, role),
    }))
}

/// The marks of all roles of ours whose removal is not through, or that can be used again: a role that had to stay as
/// residue may be given back its login by hand. Each with the end of its passwords.
pub(super) async fn managed(
    session: &Session,
    installation: &str,
) -> Result<Vec<(Marker, Option<Timestamp>)>, Error> {
    let sql = "SELECT r.rolname::text, shobj_description(r.oid, 'pg_authid'), \
               r.rolcanlogin OR EXISTS (SELECT FROM pg_stat_activity a WHERE a.usesysid = r.oid), \
               CASE WHEN r.rolcanlogin AND isfinite(r.rolvaliduntil) \
               THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END FROM pg_roles r WHERE starts_with(r.rolname::text, $1) ORDER BY 1";
    let rows = session.query(sql, &[&PREFIX], "listing roles").await?;
    let mut markers = Vec::new();
    for row in &rows {
        let (role, comment): (&str, Option<&str>) = (column(row, 0)?, column(row, 1)?);
        let usable: bool = column(row, 2)?;
        let marker = Marker::read(comment, installation, role).filter(|marker| usable || !marker.left);
        let until: Option<i64> = column(row, 3)?;
        markers.extend(marker.map(|marker| (marker, until.map(Timestamp::from_micros))));
    }
    Ok(markers)
}

/// The sessions of a role: their process ids. The role itself need not exist any more. `SET ROLE` does not hide a session:
/// the server keeps who logged in.
pub(super) async fn sessions(session: &Session, role: Oid) -> Result<Vec<i32>, Error> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE usesysid = $1 AND pid <> pg_backend_pid()";
    pids(
        &session
            .query(sql, &[&role], "looking for sessions of the role")
            .await?,
    )
}

/// Sessions of roles that exist no more. `DROP ROLE` does not end them, and no name leads to them: whose they were is not
/// to be told, only that nobody may have them.
///
/// It looks twice. One statement reads roles as they were when it began and sessions as they are a moment later, so that
/// somebody who logged in with a role made in between would look like an orphan; a second statement knows that role.
pub(super) async fn orphans(session: &Session) -> Result<Vec<i32>, Error> {
    let sql = "SELECT pid FROM pg_stat_activity a WHERE usesysid IS NOT NULL AND pid = ANY ($1) \
               AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)";
    let all = "SELECT pid FROM pg_stat_activity a WHERE usesysid IS NOT NULL \
               AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)";
    let suspects = pids(
        &session
            .query(all, &[], "looking for sessions without a role")
            .await?,
    )?;
    if suspects.is_empty() {
        return Ok(suspects);
    }
    pids(
        &session
            .query(sql, &[&suspects], "looking for sessions without a role")
            .await?,
    )
}

fn pids(rows: &[tokio_postgres::Row]) -> Result<Vec<i32>, Error> {
    rows.iter().map(|row| column(row, 0)).collect()
}

/// Where something depends on a role: it owns it, is named in its privileges, or in a policy on it.
pub(super) struct Dependents {
    /// The database; `None` for what belongs to the whole server.
    pub(super) database: Option<String>,
    /// How many things it owns there.
    pub(super) owned: i64,
    /// How many things name it otherwise.
    pub(super) named: i64,
}

/// What depends on a role, database by database.
pub(super) async fn dependents(session: &Session, role: Oid) -> Result<Vec<Dependents>, Error> {
    let sql = "SELECT d.datname::text, count(*) FILTER (WHERE s.deptype = 'o'), count(*) FILTER (WHERE s.deptype <> 'o') \
               FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid \
               WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1 \
               AND s.classid <> 'pg_auth_members'::regclass GROUP BY 1 ORDER BY 1";
    let rows = session
        .query(sql, &[&role], "looking for what depends on the role")
        .await?;
    let read = |row| {
        Ok(Dependents {
            database: column(row, 0)?,
            owned: column(row, 1)?,
            named: column(row, 2)?,
        })
    };
    rows.iter().map(read).collect()
}

/// A transaction that somebody prepared for a later commit. It holds its locks until then, with nobody connected.
pub(super) struct Prepared {
    pub(super) gid: String,
    pub(super) database: String,
}

/// The transactions that a role prepared.
pub(super) async fn prepared(session: &Session, role: Oid) -> Result<Vec<Prepared>, Error> {
    let sql = "SELECT p.gid, d.datname::text FROM pg_prepared_xact() p JOIN pg_database d ON d.oid = p.dbid \
               WHERE p.ownerid = $1 ORDER BY 1";
    let rows = session
        .query(sql, &[&role], "looking for prepared transactions")
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Prepared {
                gid: column(row, 0)?,
                database: column(row, 1)?,
            })
        })
        .collect()
}

/// The roles that a role is a direct member of.
pub(super) async fn memberships(session: &Session, role: Oid) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT r.rolname::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid \
               WHERE m.member = $1 ORDER BY 1";
    names(&session.query(sql, &[&role], "reading memberships").await?)
}

/// The direct members of a role, except for the admin itself.
pub(super) async fn members(session: &Session, role: Oid) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT r.rolname::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member \
               WHERE m.roleid = $1 AND r.rolname <> current_user ORDER BY 1";
    names(&session.query(sql, &[&role], "reading members").await?)
}

fn names(rows: &[tokio_postgres::Row]) -> Result<Vec<String>, Error> {
    rows.iter().map(|row| column(row, 0)).collect()
}
