//! The first half of the end: nobody logs in with the role any more, and nobody is logged in with it.

use std::collections::BTreeSet;
use std::time::Duration;

use daypass_core::entitlement::Fault;

use super::connection::{Session, column};
use super::quote::Ident;
use super::roles::{self, Oid};
use super::server::Server;
use crate::Error;
use crate::within::pause;

/// How often to look whether a session has ended. There is no event for it.
const LOOK: Duration = Duration::from_millis(20);

/// How many looks a session has to end in: two seconds together. What takes longer is tried again by the caller's caller.
const LOOKS: usize = 100;

/// How many times to try to take the login away, half a second each: only the holder could be in the way for longer.
const TRIES: usize = 6;

/// Takes the login away, on its own and committed. A holder can stand in its way for as long as they are connected: a
/// change of their own password that is not committed locks the role's row. So what stands in the way is ended in between.
pub(super) async fn forbid_login(
    server: &Server,
    session: &Session,
    role: Oid,
    quoted: &Ident,
) -> Result<(), Error> {
    let sql = format!("ALTER ROLE {quoted} NOLOGIN PASSWORD NULL VALID UNTIL 'epoch' CONNECTION LIMIT 0");
    session
        .run("SET lock_timeout = '500ms'", "taking the login away")
        .await?;
    let forbidden = try_to_forbid(server, session, role, quoted, &sql).await;
    session.run("RESET lock_timeout", "taking the login away").await?;
    forbidden
}

async fn try_to_forbid(
    server: &Server,
    session: &Session,
    role: Oid,
    quoted: &Ident,
    sql: &str,
) -> Result<(), Error> {
    let mut last = Error::new(Fault::Conflict, "the role could not be changed");
    for _ in 0..TRIES {
        match session.run(sql, "taking the login away").await {
            Ok(()) => return Ok(()),
            Err(error) if error.fault == Fault::Conflict => last = error,
            Err(error) => return Err(error),
        }
        end_sessions(session, role).await?;
        super::cleanup::roll_back_prepared(server, session, role, quoted).await?;
    }
    Err(last)
}

/// Waits for logins that had begun before the login was taken away.
///
/// A login reads whether it may, and shows up among the sessions a little later; in between, a lock on its database can
/// hold it up for any length of time. All the while it holds a virtual transaction, which `pg_locks` shows. So: each
/// virtual transaction of a process that is not among the sessions yet, as of now, must end or show up. Those that only
/// wait for their client to authenticate are not waited for longer than two seconds: they read whether they may after that.
pub(super) async fn settle_logins(session: &Session) -> Result<(), Error> {
    let begun = logins_under_way(session).await?;
    if wait_for(session, begun, LOOKS).await? {
        let detail =
            "a login that began before is held up by a lock on its database; it may become a session";
        return Err(Error::new(Fault::Unavailable, detail));
    }
    Ok(())
}

/// Whether a login that is past the check is held up. Whose it is nobody can tell, so it may become a session of any role
/// that could log in a moment ago.
pub(super) async fn is_login_held_up(session: &Session) -> Result<bool, Error> {
    let past = logins_under_way(session)
        .await?
        .into_iter()
        .filter(|login| login.past_check)
        .collect();
    wait_for(session, past, LOOKS / 4).await
}

/// Waits until these logins have ended or show among the sessions. Says whether one of them was left that is past the
/// check.
async fn wait_for(session: &Session, begun: Vec<Login>, looks: usize) -> Result<bool, Error> {
    let begun: BTreeSet<String> = begun.into_iter().map(|login| login.transaction).collect();
    let mut held_up = false;
    if begun.is_empty() {
        return Ok(held_up);
    }
    for _ in 0..looks {
        pause(LOOK).await;
        let mut left = logins_under_way(session).await?;
        left.retain(|login| begun.contains(&login.transaction));
        held_up = left.iter().any(|login| login.past_check);
        if left.is_empty() {
            break;
        }
    }
    Ok(held_up)
}

/// A process that is not among the sessions yet.
struct Login {
    /// Its virtual transaction, which is never used again.
    transaction: String,
    /// Whether it has been let in already, and only waits for its database.
    past_check: bool,
}

async fn logins_under_way(session: &Session) -> Result<Vec<Login>, Error> {
    // Past the check, a login locks its database: in PostgreSQL's InitPostgres that follows InitializeSessionUserId.
    let sql = "SELECT l.virtualxid, EXISTS (SELECT FROM pg_locks d \
                 WHERE d.pid = l.pid AND d.locktype = 'object' AND d.classid = 'pg_database'::regclass) \
               FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted \
               AND l.pid <> pg_backend_pid() AND NOT EXISTS (SELECT FROM pg_stat_activity a \
                 WHERE a.pid = l.pid AND (a.usesysid IS NOT NULL OR a.backend_type <> 'client backend'))";
    let rows = session.query(sql, &[], "looking for logins under way").await?;
    rows.iter()
        .map(|row| {
            Ok(Login {
                transaction: column(row, 0)?,
                past_check: column(row, 1)?,
            })
        })
        .collect()
}

/// Ends every session of a role, which need not exist any more, and waits until they are gone.
pub(super) async fn end_sessions(session: &Session, role: Oid) -> Result<(), Error> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE usesysid = $1 AND pid <> pg_backend_pid()";
    for _ in 0..LOOKS {
        if roles::sessions(session, role).await?.is_empty() {
            return Ok(());
        }
        session
            .query(sql, &[&role], "ending sessions of the role")
            .await?;
        pause(LOOK).await;
    }
    let left = roles::sessions(session, role).await?.len();
    match left {
        0 => Ok(()),
        _ => Err(Error::new(
            Fault::Unavailable,
            format!("{left} sessions of the role were told to end and have not yet"),
        )),
    }
}

/// Ends the sessions of roles that exist no more, and waits until they are gone.
pub(super) async fn end_orphans(session: &Session) -> Result<(), Error> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE pid = ANY ($1) \
               AND usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)";
    for _ in 0..LOOKS {
        let orphans = roles::orphans(session).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        session
            .query(sql, &[&orphans], "ending sessions without a role")
            .await?;
        pause(LOOK).await;
    }
    match roles::orphans(session).await?.len() {
        0 => Ok(()),
        left => {
            let detail = format!("{left} sessions of dropped roles were told to end and have not yet");
            Err(Error::new(Fault::Unavailable, detail))
        }
    }
}
