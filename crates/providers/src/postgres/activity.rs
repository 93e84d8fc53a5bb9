//! What is done with a role that is there: its sessions, and for how long none of them has done anything.

use daypass_core::entitlement::Fault;
use daypass_core::time::Span;

use super::connection::column;
use super::names::role_name;
use super::roles;
use super::server::Server;
use crate::{Activity, Error};

/// States in which a session waits for its client. Source: PostgreSQL's documentation of `pg_stat_activity`.
///
/// The server says how long ago a state began, so that no clock but its own is asked. `state` is empty where the admin may not
/// read it, and `disabled` where the session does not track it: then nothing tells how long it has been quiet.
const SQL: &str = "SELECT count(*), \
    coalesce(bool_or(state IS NULL OR state = 'disabled' OR state_change IS NULL), false), \
    coalesce(bool_or(state NOT IN ('idle', 'idle in transaction', 'idle in transaction (aborted)')), false), \
    coalesce(greatest((extract(epoch FROM min(clock_timestamp() - state_change)) * 1000000)::bigint, 0), 0) \
    FROM pg_stat_activity WHERE usesysid = $1 AND backend_type IS DISTINCT FROM 'parallel worker'";

pub(super) async fn activity(server: &Server, key: &str) -> Result<Activity, Error> {
    let name = role_name(key);
    let session = server.door.connect(&server.door.config().database).await?;
    let found = roles::find(&session, &name, &server.installation).await?;
    let found = found.filter(|found| found.marker.is_some());
    let oid = found
        .ok_or_else(|| Error::new(Fault::NotFound, format!("the role {name} is not there")))?
        .oid;
    let rows = session
        .query(SQL, &[&oid], "looking at the sessions of the role")
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::new(Fault::Bug, "counting sessions gave no row"))?;
    let sessions: i64 = column(row, 0)?;
    let (untold, active): (bool, bool) = (column(row, 1)?, column(row, 2)?);
    let micros: i64 = column(row, 3)?;
    let quiet = match (sessions, untold, active) {
        (0, ..) | (_, true, _) => None,
        (_, _, true) => Some(Span::ZERO),
        _ => Some(Span::from_micros(u64::try_from(micros).unwrap_or(0))),
    };
    Ok(Activity {
        sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        quiet,
    })
}
