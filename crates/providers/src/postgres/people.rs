//! Who can log in at a server without Daypass, and what of: the statements that a survey reads with.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::time::Timestamp;

use super::connection::{Session, column};
use super::names::Marker;
use super::roles::Oid;
use crate::Error;

/// A role that can log in.
pub(super) struct Login {
    pub(super) oid: Oid,
    pub(super) name: String,
    /// Daypass's own role at this server.
    pub(super) is_admin: bool,
    /// What it may do on the whole server, in words.
    pub(super) powers: Vec<&'static str>,
    /// Until when its password is valid, where that has an end.
    pub(super) until: Option<Timestamp>,
    /// The server's own time, where somebody is connected with it.
    pub(super) connected: Option<Timestamp>,
    /// Whether this installation of Daypass made it.
    pub(super) is_ours: bool,
}

/// A role that a login is a member of.
pub(super) struct Membership {
    pub(super) role: Oid,
    pub(super) name: String,
    /// By which other role, where it is not a member itself.
    pub(super) by: Option<String>,
    /// Whether it may use what the role may do, and not only make others members of it.
    pub(super) usable: bool,
    /// Whether it may make others members of it.
    pub(super) admin: bool,
    /// Whether a holder of Daypass's could be a member of it, as far as it itself tells: what leads to power over other roles is
    /// refused when it is provisioned.
    pub(super) is_plain: bool,
}

/// What a role has by itself in one place.
pub(super) struct Own {
    /// The database; `None` for the whole server.
    pub(super) database: Option<String>,
    /// How many things it owns there.
    pub(super) owned: i64,
    /// In the privileges of how many it is named.
    pub(super) named: i64,
}

/// What each attribute of a role lets it do. Source: PostgreSQL's documentation of `CREATE ROLE`.
const POWERS: [&str; 5] = [
    "superuser: may do everything",
    "CREATEROLE: may make and change roles",
    "CREATEDB: may make databases",
    "BYPASSRLS: is not held back by row security",
    "REPLICATION: may copy all data of the server",
];

/// The logins after this one, in the order of their numbers, which is that in which they were made.
pub(super) async fn logins(
    session: &Session,
    installation: &str,
    (after, most): (Oid, i64),
) -> Result<Vec<Login>, Error> {
    let sql = "SELECT r.oid, r.rolname::text, r.rolname = current_user, \
               r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication, \
               CASE WHEN isfinite(r.rolvaliduntil) THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END, \
               CASE WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.usesysid = r.oid) \
               THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint END, \
               shobj_description(r.oid, 'pg_authid') \
               FROM pg_roles r WHERE r.rolcanlogin AND r.oid > $1 ORDER BY r.oid LIMIT $2";
    let rows = session
        .query(sql, &[&after, &most], "reading who can log in")
        .await?;
    let mut logins = Vec::new();
    for row in &rows {
        let name: String = column(row, 1)?;
        let mut powers = Vec::new();
        for (index, power) in POWERS.iter().enumerate() {
            if column::<bool>(row, 3 + index)? {
                powers.push(*power);
            }
        }
        let comment: Option<&str> = column(row, 10)?;
        logins.push(Login {
            oid: column(row, 0)?,
            is_admin: column(row, 2)?,
            powers,
            until: column::<Option<i64>>(row, 8)?.map(Timestamp::from_micros),
            connected: column::<Option<i64>>(row, 9)?.map(Timestamp::from_micros),
            is_ours: Marker::read(comment, installation, &name).is_some(),
            name,
        });
    }
    Ok(logins)
}

/// How many roles can log in.
pub(super) async fn count(session: &Session) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM pg_roles WHERE rolcanlogin";
    let rows = session.query(sql, &[], "counting who can log in").await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// What these roles are members of, themselves or by another role.
///
/// From PostgreSQL 16 on a membership says whether what the role may do is inherited, and whether one may `SET ROLE` to it; one with
/// neither only lets its member make others members. Before, each lets one do both.
pub(super) async fn memberships(
    session: &Session,
    logins: &[Oid],
) -> Result<BTreeMap<Oid, Vec<Membership>>, Error> {
    let usable = match session.major {
        ..16 => "true",
        _ => "(m.inherit_option OR m.set_option)",
    };
    let sql = format!(
        "WITH RECURSIVE reach(login, role, by, usable, admin) AS ( \
           SELECT m.member, m.roleid, 0::oid, {usable}, m.admin_option FROM pg_auth_members m WHERE m.member = ANY ($1) \
           UNION SELECT reach.login, m.roleid, reach.role, {usable}, m.admin_option \
             FROM pg_auth_members m JOIN reach ON m.member = reach.role WHERE reach.usable) \
         SELECT reach.login, r.oid, r.rolname::text, by.rolname::text, bool_or(reach.usable), bool_or(reach.admin), \
           NOT (r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR EXISTS ( \
             SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.admin_option)) \
         FROM reach JOIN pg_roles r ON r.oid = reach.role LEFT JOIN pg_roles by ON by.oid = reach.by \
         GROUP BY 1, 2, 3, 4, 7 ORDER BY 1, 3, 4 NULLS FIRST"
    );
    let rows = session.query(&sql, &[&logins], "reading memberships").await?;
    let mut all: BTreeMap<Oid, Vec<Membership>> = BTreeMap::new();
    for row in &rows {
        let of = all.entry(column(row, 0)?).or_default();
        let role: Oid = column(row, 1)?;
        // One way to a role is told: its own membership, where it has one.
        if of.last().is_some_and(|last| last.role == role) {
            continue;
        }
        of.push(Membership {
            role,
            name: column(row, 2)?,
            by: column(row, 3)?,
            usable: column(row, 4)?,
            admin: column(row, 5)?,
            is_plain: column(row, 6)?,
        });
    }
    Ok(all)
}

/// In which databases each of these roles counts for something: it, or one that it is a member of, owns something there or is named
/// in privileges.
pub(super) async fn places(
    session: &Session,
    roles: &[Oid],
) -> Result<BTreeMap<Oid, BTreeSet<String>>, Error> {
    let sql = "WITH RECURSIVE below(top, role) AS ( \
                 SELECT r, r FROM unnest($1::oid[]) r \
                 UNION SELECT below.top, m.roleid FROM pg_auth_members m JOIN below ON m.member = below.role) \
               SELECT DISTINCT below.top, d.datname::text FROM below \
               JOIN pg_shdepend s ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = below.role \
                 AND s.classid <> 'pg_auth_members'::regclass \
               JOIN pg_database d ON d.oid = s.dbid \
                 OR s.dbid = 0 AND s.classid = 'pg_database'::regclass AND d.oid = s.objid \
               WHERE d.datallowconn AND NOT d.datistemplate";
    let rows = session.query(sql, &[&roles], "reading where roles count").await?;
    let mut places: BTreeMap<Oid, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        places.entry(column(row, 0)?).or_default().insert(column(row, 1)?);
    }
    Ok(places)
}

/// What these roles have by themselves, not by being members of others. A database that one owns is told by [`databases`].
pub(super) async fn own(session: &Session, logins: &[Oid]) -> Result<BTreeMap<Oid, Vec<Own>>, Error> {
    let sql = "SELECT s.refobjid, d.datname::text, count(*) FILTER (WHERE s.deptype = 'o'), \
               count(*) FILTER (WHERE s.deptype <> 'o') \
               FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid \
               WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY ($1) \
               AND s.classid <> 'pg_auth_members'::regclass \
               AND NOT (s.classid = 'pg_database'::regclass AND s.deptype = 'o') GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = session
        .query(sql, &[&logins], "reading what roles have by themselves")
        .await?;
    let mut all: BTreeMap<Oid, Vec<Own>> = BTreeMap::new();
    for row in &rows {
        all.entry(column(row, 0)?).or_default().push(Own {
            database: column(row, 1)?,
            owned: column(row, 2)?,
            named: column(row, 3)?,
        });
    }
    Ok(all)
}

/// A database that one can connect to.
pub(super) struct Database {
    pub(super) name: String,
    pub(super) owner: Oid,
    /// Whether everybody may connect to it.
    pub(super) is_open: bool,
}

/// The server's databases, but for templates.
pub(super) async fn databases(session: &Session) -> Result<Vec<Database>, Error> {
    let sql = "SELECT d.datname::text, d.datdba, EXISTS ( \
                 SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a \
                 WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT') \
               FROM pg_database d WHERE d.datallowconn AND NOT d.datistemplate ORDER BY 1";
    let rows = session.query(sql, &[], "reading databases").await?;
    let read = |row| {
        Ok(Database {
            name: column(row, 0)?,
            owner: column(row, 1)?,
            is_open: column(row, 2)?,
        })
    };
    rows.iter().map(read).collect()
}

/// The roles that a holder of Daypass's could be made a member of: without login, and without power over other roles. The first
/// `most` by name, without those that the server came with.
pub(super) async fn groups(session: &Session, most: i64) -> Result<Vec<(Oid, String)>, Error> {
    let sql = "SELECT r.oid, r.rolname::text FROM pg_roles r \
               WHERE NOT (r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR EXISTS ( \
                 SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.admin_option)) AND NOT starts_with(r.rolname::text, 'pg_') \
               ORDER BY 2 LIMIT $1";
    let rows = session.query(sql, &[&most], "reading roles").await?;
    rows.iter()
        .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
        .collect()
}
