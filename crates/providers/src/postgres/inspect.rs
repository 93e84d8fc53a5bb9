//! Reading what is there. An answer of "absent" is what the end of a grant rests on.

use daypass_core::entitlement::{Fault, Spec};

use super::connection::Session;
use super::names::role_name;
use super::roles::{self, Found, Oid};
use super::server::Server;
use super::{lockout, privileges};
use crate::{Error, Inspection};

/// How many things of one database are told one by one.
const TOLD: i64 = 20;

pub(super) async fn inspect(server: &Server, key: &str, spec: Option<&Spec>) -> Result<Inspection, Error> {
    let name = role_name(key);
    let session = server.door.connect(&server.door.config().database).await?;
    let Some(found) = roles::find(&session, &name, &server.installation).await? else {
        // A session whose role was dropped may be one of ours: nothing tells.
        return Ok(match roles::orphans(&session).await?.as_slice() {
            [] => Inspection::Absent { residue: Vec::new() },
            _ => Inspection::Present {
                until: None,
                residue: Vec::new(),
            },
        });
    };
    let Found {
        oid,
        may_login,
        until,
        marker,
    } = found;
    if marker.is_none() {
        let residue = vec![format!(
            "the role {name} stands, and this installation of Daypass did not make it"
        )];
        return Ok(Inspection::Absent { residue });
    }
    let sessions = roles::sessions(&session, oid).await?;
    if may_login || !sessions.is_empty() {
        let residue = would_be_left(&session, oid, spec).await?;
        return Ok(Inspection::Present {
            until: until.filter(|_| may_login),
            residue,
        });
    }
    let mut residue = vec![format!("the role {name} stays, without login")];
    residue.extend(left(server, &session, oid).await?);
    absent(&session, residue).await
}

/// Absent, unless somebody was let in and is not among the sessions yet.
async fn absent(session: &Session, residue: Vec<String>) -> Result<Inspection, Error> {
    match lockout::is_login_held_up(session).await? {
        true => Ok(Inspection::Unknown),
        false => Ok(Inspection::Absent { residue }),
    }
}

/// What a role in use has beyond what it was given: memberships added by hand, and what its holder made.
async fn would_be_left(session: &Session, role: Oid, spec: Option<&Spec>) -> Result<Vec<String>, Error> {
    let mut out = Vec::new();
    if let Some((_, wanted)) = spec.and_then(|spec| super::config::spec(spec).ok()) {
        let more = roles::memberships(session, role).await?.into_iter();
        let more = more.filter(|other| !wanted.member_of.contains(other));
        out.extend(more.map(|other| format!("is a member of {other}, which Daypass did not make it")));
    }
    for found in roles::dependents(session, role)
        .await?
        .into_iter()
        .filter(|found| found.owned > 0)
    {
        out.push(format!(
            "owns {} things in {}",
            found.owned,
            place(found.database.as_deref())
        ));
    }
    out.extend(prepared(session, role).await?);
    Ok(out)
}

/// What a role that was locked out still has, database by database.
async fn left(server: &Server, session: &Session, role: Oid) -> Result<Vec<String>, Error> {
    let mut out = Vec::new();
    for found in roles::dependents(session, role).await? {
        let at = place(found.database.as_deref());
        let database = found
            .database
            .as_deref()
            .unwrap_or(&server.door.config().database);
        let told = match server.door.connect(database).await {
            Ok(there) => privileges::describe(&there, role, TOLD).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(told) => {
                let more = found.owned + found.named - i64::try_from(told.len()).unwrap_or(TOLD);
                out.extend(told.into_iter().map(|what| format!("{what} in {at}")));
                if more > 0 {
                    out.push(format!("and {more} more things in {at}"));
                }
            }
            // The counts come from the server's own catalog; only the names are out of reach.
            Err(error) if error.fault != Fault::Unavailable => {
                out.push(format!(
                    "owns {} things and is named in {} in {at}",
                    found.owned, found.named
                ));
            }
            Err(error) => return Err(error),
        }
    }
    for other in roles::memberships(session, role).await? {
        out.push(format!("is still a member of {other}"));
    }
    for other in roles::members(session, role).await? {
        out.push(format!("{other} is a member of it"));
    }
    out.extend(prepared(session, role).await?);
    Ok(out)
}

async fn prepared(session: &Session, role: Oid) -> Result<Vec<String>, Error> {
    let prepared = roles::prepared(session, role).await?.into_iter();
    Ok(prepared
        .map(|one| {
            format!(
                "prepared the transaction {:?} in database {}",
                one.gid, one.database
            )
        })
        .collect())
}

fn place(database: Option<&str>) -> String {
    database.map_or_else(
        || "the whole server".to_owned(),
        |database| format!("database {database}"),
    )
}
