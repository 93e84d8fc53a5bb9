//! The second half of the end: what the holder left, in each database that knows the role. Nothing here is access any
//! more, so nothing here holds up the end of a grant: what cannot be cleared is residue.

use daypass_core::entitlement::Fault;

use super::config::OnOwned;
use super::connection::Session;
use super::privileges;
use super::provision::bad;
use super::quote::{Ident, ident, literal};
use super::roles::{self, Oid};
use super::server::Server;
use crate::Error;

/// How far the clearing up came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cleared {
    /// What is still there stays: another try would find the same.
    AsFarAsItGoes,
    /// Something was busy or could not be reached; another try may do more.
    CutShort,
}

/// Clears every database that knows the role.
pub(super) async fn clear(
    server: &Server,
    session: &Session,
    role: Oid,
    quoted: &Ident,
    on_owned: &OnOwned,
) -> Result<Cleared, Error> {
    roll_back_prepared(server, session, role, quoted).await?;
    let mut cleared = Cleared::AsFarAsItGoes;
    let dependents = roles::dependents(session, role).await?;
    if dependents.is_empty() {
        return Ok(cleared);
    }
    take_hold(server, session, quoted).await?;
    for found in dependents {
        // What belongs to the whole server can be cleared from any database.
        let database = found
            .database
            .as_deref()
            .unwrap_or(&server.door.config().database);
        if let Err(error) = clear_database(server, database, role, quoted, on_owned).await {
            tracing::warn!(role = %quoted, database, %error, "what the role left could not be cleared");
            if !matches!(
                error.fault,
                Fault::Denied | Fault::NotFound | Fault::Misconfigured
            ) {
                cleared = Cleared::CutShort;
            }
        }
    }
    Ok(cleared)
}

async fn clear_database(
    server: &Server,
    database: &str,
    role: Oid,
    quoted: &Ident,
    on_owned: &OnOwned,
) -> Result<(), Error> {
    let session = server.door.connect(database).await?;
    session.run("BEGIN", "beginning").await?;
    let done = match on_owned {
        OnOwned::Keep => false,
        OnOwned::Drop => drop_owned(&session, quoted).await?,
        OnOwned::ReassignTo(owner) => reassign(&session, role, quoted, owner).await?,
    };
    if !done {
        privileges::strip(&session, role, quoted).await?;
    }
    session.run("COMMIT", "committing").await
}

/// Drops what the role owns, unless something of others depends on it, and takes back its privileges. Says whether it did.
async fn drop_owned(session: &Session, quoted: &Ident) -> Result<bool, Error> {
    session
        .run("SAVEPOINT owned", "dropping what the role owns")
        .await?;
    match session.attempt(&format!("DROP OWNED BY {quoted} RESTRICT")).await {
        Ok(()) => Ok(true),
        Err(error) if privileges::still_needed(&error) => {
            session
                .run("ROLLBACK TO owned", "dropping what the role owns")
                .await?;
            Ok(false)
        }
        Err(error) => Err(super::fault::from(&error, "dropping what the role owns")),
    }
}

/// Gives what the role owns to another, if all of it is data. A function or view of the holder's would run with the new
/// owner's rights, for whoever may call it: an end of access that hands out more than the access was.
async fn reassign(session: &Session, role: Oid, quoted: &Ident, owner: &str) -> Result<bool, Error> {
    let code = privileges::code_owned(session, role).await?;
    if !code.is_empty() {
        tracing::warn!(role = %quoted, owner, ?code, "not reassigned: it owns code, which would run with the new owner's rights");
        return Ok(false);
    }
    let owner = ident(owner).map_err(bad)?;
    let sql = format!("REASSIGN OWNED BY {quoted} TO {owner}; DROP OWNED BY {quoted}");
    session.run(&sql, "giving what the role owns to another").await?;
    Ok(true)
}

/// Rolls back what the role prepared for a later commit: its locks outlive every session, and could keep the role's login
/// from being taken away. Only who prepared a transaction may end it, so we become that role for a moment.
///
/// What cannot be rolled back stays, and is told as residue.
pub(super) async fn roll_back_prepared(
    server: &Server,
    session: &Session,
    role: Oid,
    quoted: &Ident,
) -> Result<(), Error> {
    let prepared = roles::prepared(session, role).await?;
    if prepared.is_empty() {
        return Ok(());
    }
    take_hold(server, session, quoted).await?;
    for transaction in prepared {
        let there = server.door.connect(&transaction.database).await?;
        let gid = literal(&transaction.gid).map_err(bad)?;
        let doing = "rolling back a prepared transaction";
        there.run(&format!("SET ROLE {quoted}"), doing).await?;
        // By itself: it may be no part of a transaction.
        there.run(&format!("ROLLBACK PREPARED {gid}"), doing).await?;
    }
    Ok(())
}

/// Makes the admin a member of the role, which it needs for what the role owns. It made the role, so it may.
async fn take_hold(server: &Server, session: &Session, quoted: &Ident) -> Result<(), Error> {
    let admin = ident(&server.door.config().user).map_err(bad)?;
    let options = if session.major < 16 {
        ""
    } else {
        " WITH INHERIT TRUE, SET TRUE"
    };
    session
        .run(
            &format!("GRANT {quoted} TO {admin}{options}"),
            "taking hold of the role",
        )
        .await
}

/// Ends that membership, where the role stays.
pub(super) async fn let_go(server: &Server, session: &Session, quoted: &Ident) {
    let Ok(admin) = ident(&server.door.config().user) else {
        return;
    };
    if let Err(error) = session
        .run(&format!("REVOKE {quoted} FROM {admin}"), "letting go of the role")
        .await
    {
        tracing::warn!(role = %quoted, %error, "the admin stays a member of the role that was left");
    }
}
