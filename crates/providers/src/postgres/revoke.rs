//! The end: lock out, strip, clear up, drop, and look again.

use std::time::Duration;

use daypass_core::entitlement::{Fault, Spec};

use super::cleanup::{self, Cleared};
use super::config::{OnOwned, Resource};
use super::connection::Session;
use super::names::{Marker, role_name};
use super::provision::bad;
use super::quote::{Ident, ident, literal};
use super::roles::{self, Found, Oid};
use super::server::Server;
use super::{fault, lockout, privileges};
use crate::Error;
use crate::within::within;

/// How long the clearing up may take, of all that a removal may. What is not done by then is residue until the next
/// removal: a database that is slow or locked must not delay the end of access that has ended.
const CLEARING: Duration = Duration::from_secs(12);

pub(super) async fn revoke(server: &Server, key: &str, spec: Option<&Spec>) -> Result<(), Error> {
    // Without a spec, or with one that cannot be read any more, nothing of the holder's is dropped or given away.
    let on_owned = spec
        .and_then(|spec| Resource::read(&spec.resource).ok())
        .map_or(OnOwned::Keep, |r| r.on_owned);
    let name = role_name(key);
    let quoted = ident(&name).map_err(bad)?;
    let session = server.door.connect(&server.door.config().database).await?;
    let mut found = roles::find(&session, &name, &server.installation).await?;
    if found.is_none() {
        found = fence(server, &session, &name, &quoted).await?;
    }
    match found {
        None => lockout::end_orphans(&session).await,
        Some(Found { marker: None, .. }) => Ok(()),
        Some(Found {
            oid,
            marker: Some(marker),
            ..
        }) => {
            let end = End {
                server,
                session: &session,
                name: &name,
                quoted: &quoted,
                oid,
            };
            end.access().await?;
            end.possessions(&on_owned, marker).await
        }
    }
}

/// Makes sure that no provisioning of this role is still on its way: one whose caller has gone, and whose last statement
/// reached a server that was too busy to answer. To make the role ourselves waits for any other that makes it, and fails
/// where that one is committed. What we make is not kept.
async fn fence(
    server: &Server,
    session: &Session,
    name: &str,
    quoted: &Ident,
) -> Result<Option<Found>, Error> {
    session
        .run("BEGIN", "looking for a provisioning under way")
        .await?;
    let made = session.attempt(&format!("CREATE ROLE {quoted} NOLOGIN")).await;
    session
        .run("ROLLBACK", "looking for a provisioning under way")
        .await?;
    match made.map_err(|error| fault::from(&error, "looking for a provisioning under way")) {
        Ok(()) => Ok(None),
        Err(error) if error.fault == Fault::Conflict => {
            match roles::find(session, name, &server.installation).await? {
                None => Err(error),
                found => Ok(found),
            }
        }
        Err(error) => Err(error),
    }
}

struct End<'a> {
    server: &'a Server,
    session: &'a Session,
    name: &'a str,
    quoted: &'a Ident,
    oid: Oid,
}

impl End<'_> {
    /// Ends what can be used. Where one part of it fails the others are done all the same, and the failure is told.
    async fn access(&self) -> Result<(), Error> {
        let Self {
            server,
            session,
            quoted,
            oid,
            ..
        } = self;
        let forbidden = lockout::forbid_login(server, session, *oid, quoted).await;
        let read = self.memberships().await;
        let settled = lockout::settle_logins(session).await;
        lockout::end_sessions(session, *oid).await?;
        forbidden.and(read).and(settled)
    }

    /// Ends its memberships, and those of others in it. What it was a member of is of no use to a role without login and
    /// sessions, so one that stays is a matter of residue, and keeps no other from being ended.
    async fn memberships(&self) -> Result<(), Error> {
        let Self {
            session,
            name,
            quoted,
            oid,
            ..
        } = self;
        let mut statements = Vec::new();
        for other in roles::memberships(session, *oid).await? {
            statements.push(format!("REVOKE {} FROM {quoted}", ident(&other).map_err(bad)?));
        }
        for other in roles::members(session, *oid).await? {
            statements.push(format!("REVOKE {quoted} FROM {}", ident(&other).map_err(bad)?));
        }
        for sql in statements {
            if let Err(error) = session.run(&sql, "ending a membership").await {
                tracing::warn!(role = name, %error, "a membership stays");
            }
        }
        Ok(())
    }

    /// Clears up what it owns and what names it, drops it, and looks once more for sessions: by number, for the name is
    /// gone.
    async fn possessions(&self, on_owned: &OnOwned, marker: Marker) -> Result<(), Error> {
        let Self {
            server,
            session,
            name,
            quoted,
            oid,
        } = self;
        let clearing = cleanup::clear(server, session, *oid, quoted, on_owned);
        let cleared = match within(CLEARING, "clearing up", clearing).await {
            Ok(cleared) => cleared,
            Err(error) => {
                tracing::warn!(role = name, %error, "the clearing up was cut short");
                Cleared::CutShort
            }
        };
        match session.attempt(&format!("DROP ROLE {quoted}")).await {
            Ok(()) => lockout::end_sessions(session, *oid).await,
            Err(error) => {
                let settled = cleared == Cleared::AsFarAsItGoes && privileges::still_needed(&error);
                let error = fault::from(&error, "dropping the role");
                tracing::warn!(role = name, %error, "the role stays, without login");
                cleanup::let_go(server, session, quoted).await;
                if settled {
                    self.mark_left(marker).await;
                }
                Ok(())
            }
        }
    }

    /// Notes on the role that its removal is through: it is residue now, and no longer listed as ours to remove.
    async fn mark_left(&self, marker: Marker) {
        let marker = Marker { left: true, ..marker };
        let Ok(comment) = literal(&marker.write()) else {
            return;
        };
        let sql = format!("COMMENT ON ROLE {} IS {comment}", self.quoted);
        if let Err(error) = self.session.run(&sql, "marking the role as left").await {
            tracing::warn!(role = self.name, %error, "the role could not be marked as left");
        }
    }
}
