//! The beginning: a login role with what its spec says and nothing else, in one transaction.

use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::Timestamp;

use super::connection::{Session, column};
use super::names::{Marker, role_name};
use super::quote::{Ident, Unquotable, ident, literal};
use super::roles::{self, Found, Oid};
use super::server::Server;
use super::{config, privileges};
use crate::Error;

pub(super) async fn provision(
    server: &Server,
    key: &str,
    spec: &Spec,
    holder: &str,
    until: Timestamp,
) -> Result<(), Error> {
    let (resource, role) = config::spec(spec)?;
    let name = role_name(key);
    // Roles belong to the whole server: made from inside of the resource's database, all of it is one transaction.
    let session = server.door.connect(&resource.database).await?;
    session.run("BEGIN", "beginning").await?;
    let found = roles::find(&session, &name, &server.installation).await?;
    let wanted = Wanted {
        session: &session,
        name: &name,
        quoted: ident(&name).map_err(bad)?,
        marker: Marker::new(&server.installation, &server.connector, key, holder),
        until,
    };
    let oid = wanted.role(found, role.connection_limit).await?;
    wanted.memberships(oid, &role).await?;
    wanted.grants(oid, &resource.database, &role).await?;
    check_reach(&session, oid, role.set_role).await?;
    check_connect(&session, &name, &resource.database).await?;
    session.run("COMMIT", "committing").await
}

/// A name or text that cannot be part of a statement.
pub(super) fn bad(why: Unquotable) -> Error {
    Error::new(Fault::Misconfigured, why.to_string())
}

struct Wanted<'a> {
    session: &'a Session,
    name: &'a str,
    quoted: Ident,
    marker: Marker,
    until: Timestamp,
}

impl Wanted<'_> {
    /// Makes the role, or brings one of ours to the limits that it should have.
    async fn role(&self, found: Option<Found>, connections: i32) -> Result<Oid, Error> {
        let Self {
            session,
            name,
            quoted,
            marker,
            ..
        } = self;
        let until = literal(&self.until.to_string()).map_err(bad)?;
        let limits = format!("LOGIN INHERIT CONNECTION LIMIT {connections} VALID UNTIL {until}");
        let comment = literal(&marker.write()).map_err(bad)?;
        let comment = format!("COMMENT ON ROLE {quoted} IS {comment}");
        match found {
            Some(Found { marker: None, .. }) => {
                let detail = format!("the role {name} stands already and was not made by this installation");
                Err(Error::new(Fault::AlreadyStanding, detail))
            }
            Some(Found {
                oid,
                marker: Some(before),
                ..
            }) => {
                session
                    .run(&format!("ALTER ROLE {quoted} {limits}"), "changing the role")
                    .await?;
                if before != *marker {
                    session.run(&comment, "marking the role").await?;
                }
                Ok(oid)
            }
            None => {
                // No password yet: nobody can log in by one until the holder asks for it.
                let nothing_more =
                    "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL";
                let create = format!("CREATE ROLE {quoted} {limits} {nothing_more}");
                session.run(&create, "making the role").await?;
                session.run(&comment, "marking the role").await?;
                let made = roles::find(session, name, &marker.installation).await?;
                made.map(|made| made.oid)
                    .ok_or_else(|| Error::new(Fault::Bug, "the role made is not there"))
            }
        }
    }

    /// Makes it a member of what the role names, without the right to pass that on, and of nothing else.
    async fn memberships(&self, oid: Oid, role: &config::Role) -> Result<(), Error> {
        let Self { session, quoted, .. } = self;
        for other in roles::memberships(session, oid).await? {
            if !role.member_of.contains(&other) {
                let sql = format!("REVOKE {} FROM {quoted}", ident(&other).map_err(bad)?);
                session
                    .grant(&sql, &format!("ending its membership of {other}"))
                    .await?;
            }
        }
        let options = match (session.major, role.set_role) {
            (..16, _) => "",
            (_, true) => " WITH ADMIN FALSE, INHERIT TRUE, SET TRUE",
            (_, false) => " WITH ADMIN FALSE, INHERIT TRUE, SET FALSE",
        };
        for other in &role.member_of {
            let sql = format!("GRANT {} TO {quoted}{options}", ident(other).map_err(bad)?);
            session
                .grant(&sql, &format!("making it a member of {other}"))
                .await?;
        }
        if roles::memberships(session, oid)
            .await?
            .iter()
            .any(|other| !role.member_of.contains(other))
        {
            let detail = "it is a member of a role that somebody else made it a member of";
            return Err(Error::new(Fault::Denied, detail));
        }
        Ok(())
    }

    /// Grants what the role lists, after taking back whatever was granted before.
    async fn grants(&self, oid: Oid, database: &str, role: &config::Role) -> Result<(), Error> {
        let Self { session, quoted, .. } = self;
        let kept = privileges::strip(session, oid, quoted).await?;
        if !kept.is_empty() {
            let detail = format!("privileges that Daypass may not take back: {}", kept.join(", "));
            return Err(Error::new(Fault::Denied, detail));
        }
        let database = ident(database).map_err(bad)?;
        for grant in &role.grants {
            let sql = grant.sql(&database, quoted).map_err(bad)?;
            session.grant(&sql, "granting what the role lists").await?;
        }
        Ok(())
    }
}

/// Refuses roles that let the holder make access of their own which the end of this one would not end.
async fn check_reach(session: &Session, oid: Oid, set_role: bool) -> Result<(), Error> {
    // Before PostgreSQL 16 every membership lets one SET ROLE to it.
    let may_set = set_role || session.major < 16;
    let sql = "WITH RECURSIVE reach(oid) AS ( \
               SELECT roleid FROM pg_auth_members WHERE member = $1 \
               UNION SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid) \
               SELECT r.rolname::text, r.rolsuper, r.rolcreaterole, r.rolcanlogin, EXISTS ( \
                 SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.admin_option), \
               r.rolname = current_user \
               FROM pg_roles r WHERE r.oid IN (SELECT oid FROM reach) ORDER BY 1";
    for row in session
        .query(sql, &[&oid], "looking at what the role reaches")
        .await?
    {
        let name: String = column(&row, 0)?;
        let (superuser, creates): (bool, bool) = (column(&row, 1)?, column(&row, 2)?);
        let (logs_in, admin, ourselves): (bool, bool, bool) =
            (column(&row, 3)?, column(&row, 4)?, column(&row, 5)?);
        let why = match config::beyond_recall(&name) {
            Some(why) => Some(why),
            None if ourselves => Some("it is Daypass itself".to_owned()),
            None if superuser => Some("it is a superuser".to_owned()),
            None if admin => Some("it may make others members of roles, for longer than this access".to_owned()),
            None if creates && may_set => Some("it may create roles".to_owned()),
            None if logs_in && may_set => Some(
                "it can log in, and whoever becomes it by SET ROLE can give it another password; make the holder a \
                 member of a role without login"
                    .to_owned(),
            ),
            None => None,
        };
        if let Some(why) = why {
            let detail = format!("membership reaches {name}, and that could not be taken back: {why}");
            return Err(Error::new(Fault::Misconfigured, detail));
        }
    }
    Ok(())
}

/// Access to a database that lets nobody in by default is no access.
async fn check_connect(session: &Session, name: &str, database: &str) -> Result<(), Error> {
    let sql = "SELECT has_database_privilege(($1::text)::name, ($2::text), 'CONNECT')";
    let rows = session
        .query(sql, &[&name, &database], "checking that the role may connect")
        .await?;
    match rows.first() {
        Some(row) if column(row, 0)? => Ok(()),
        _ => {
            let detail = format!(
                "the role may not connect to {database}; add {{on: database, privileges: [connect]}} to its grants"
            );
            Err(Error::new(Fault::Misconfigured, detail))
        }
    }
}
