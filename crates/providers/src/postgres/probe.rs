//! Whether a connector can do its work: what is missing, in words that say how to grant it.

use daypass_core::entitlement::Fault;

use super::connection::column;
use super::server::Server;
use crate::Error;

pub(super) async fn probe(server: &Server) -> Result<(), Error> {
    let connector = server.door.config();
    let session = server.door.connect(&connector.database).await?;
    let sql = "SELECT pg_is_in_recovery(), r.rolsuper OR r.rolcreaterole, \
               pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') \
               FROM pg_roles r WHERE r.rolname = current_user";
    let rows = session.query(sql, &[], "reading the admin role's rights").await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::new(Fault::Misconfigured, "the admin role does not see itself"))?;
    if column(row, 0)? {
        return Err(Error::new(
            Fault::Misconfigured,
            "the server is a standby; name the primary",
        ));
    }
    let mut missing = Vec::new();
    if !column::<bool>(row, 1)? {
        missing.push("ALTER ROLE … CREATEROLE");
    }
    if !column::<bool>(row, 2)? {
        missing.push("GRANT pg_signal_backend TO …");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("the admin role {} lacks: {}", connector.user, missing.join("; "));
    Err(Error::new(Fault::Misconfigured, detail))
}
