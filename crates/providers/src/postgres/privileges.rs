//! Taking back what a role was granted, whatever that was: the catalog says where it is named.

use daypass_core::entitlement::Fault;
use tokio_postgres::error::SqlState;

use super::connection::{Session, column};
use super::quote::Ident;
use super::roles::Oid;
use crate::Error;

/// How `GRANT` calls what the catalog calls otherwise: the names of `pg_identify_object`.
const KINDS: [(&str, &str); 18] = [
    ("table", "TABLE"),
    ("view", "TABLE"),
    ("materialized view", "TABLE"),
    ("foreign table", "TABLE"),
    ("sequence", "SEQUENCE"),
    ("schema", "SCHEMA"),
    ("database", "DATABASE"),
    ("function", "ROUTINE"),
    ("procedure", "ROUTINE"),
    ("aggregate", "ROUTINE"),
    ("type", "TYPE"),
    ("domain", "DOMAIN"),
    ("language", "LANGUAGE"),
    ("foreign-data wrapper", "FOREIGN DATA WRAPPER"),
    ("server", "FOREIGN SERVER"),
    ("tablespace", "TABLESPACE"),
    ("large object", "LARGE OBJECT"),
    ("parameter ACL", "PARAMETER"),
];

/// Takes back every privilege that the role has in this database and on the server, inside of the caller's transaction.
/// Says what it could not take back.
pub(super) async fn strip(session: &Session, role: Oid, quoted: &Ident) -> Result<Vec<String>, Error> {
    for (kind, identity) in granted(session, role).await? {
        let Some((_, word)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            continue;
        };
        // The identity was quoted by the server (pg_identify_object).
        let sql = format!("REVOKE ALL ON {word} {identity} FROM {quoted}");
        session.run("SAVEPOINT strip", "taking back privileges").await?;
        match session.attempt(&sql).await {
            Ok(()) => session.run("RELEASE strip", "taking back privileges").await?,
            Err(error) => {
                let error = super::fault::from(&error, "taking back privileges");
                if error.fault == Fault::Unavailable {
                    return Err(error);
                }
                session.run("ROLLBACK TO strip", "taking back privileges").await?;
            }
        }
    }
    let kept = granted(session, role).await?;
    Ok(kept
        .into_iter()
        .map(|(kind, identity)| format!("{kind} {identity}"))
        .collect())
}

/// What names the role in its privileges: the kind of thing and its name.
async fn granted(session: &Session, role: Oid) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT DISTINCT i.type, i.identity FROM pg_shdepend s, \
               LATERAL pg_identify_object(s.classid, s.objid, 0) i \
               WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1 AND s.deptype = 'a' \
               AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
               AND i.identity IS NOT NULL ORDER BY 1, 2";
    let rows = session.query(sql, &[&role], "reading privileges").await?;
    rows.iter()
        .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
        .collect()
}

/// What of a role's possessions is more than data, in this database: it runs, or decides what others see, with the rights
/// of whoever owns it. Given to a new owner it would hand that owner's rights to whoever wrote it.
///
/// Plain tables (without rules, or indexes on expressions), sequences, composite types, schemas, enums, domains and large
/// objects are data. All else counts as code, also kinds that a later PostgreSQL invents.
pub(super) async fn code_owned(session: &Session, role: Oid) -> Result<Vec<String>, Error> {
    let sql = "SELECT pg_describe_object(s.classid, s.objid, 0) FROM pg_shdepend s \
               LEFT JOIN pg_class c ON s.classid = 'pg_class'::regclass AND c.oid = s.objid \
               WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1 AND s.deptype = 'o' \
               AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
               AND NOT coalesce( \
                 s.classid IN ('pg_namespace'::regclass, 'pg_type'::regclass, 'pg_largeobject'::regclass) \
                 OR (c.relkind IN ('r', 'p', 'S', 'c') AND NOT c.relhasrules AND NOT EXISTS ( \
                   SELECT FROM pg_index x WHERE x.indrelid = c.oid \
                   AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL))), false) \
               ORDER BY 1";
    let rows = session
        .query(sql, &[&role], "looking at what the role owns")
        .await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// What a role owns or is named in, in this database, in words.
pub(super) async fn describe(session: &Session, role: Oid, most: i64) -> Result<Vec<String>, Error> {
    let sql = "SELECT coalesce(pg_describe_object(s.classid, s.objid, s.objsubid), 'something'), s.deptype = 'o' \
               FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1 \
               AND s.classid <> 'pg_auth_members'::regclass \
               AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
               ORDER BY 2 DESC, 1 LIMIT $2";
    let rows = session
        .query(sql, &[&role, &most], "looking at what the role owns")
        .await?;
    let word = |row| {
        let (what, owned): (String, bool) = (column(row, 0)?, column(row, 1)?);
        Ok(if owned {
            format!("owns {what}")
        } else {
            format!("is named in the privileges of {what}")
        })
    };
    rows.iter().map(word).collect()
}

/// Whether the server refused to drop something because other things depend on it.
pub(super) fn still_needed(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST)
}
