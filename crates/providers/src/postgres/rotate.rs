//! A new password for the connector's own admin role, without a moment in which nobody knows the one in force.

use daypass_core::entitlement::Fault;
use secrecy::SecretString;

use super::credential::verifier;
use super::provision::bad;
use super::quote::ident;
use super::server::Server;
use crate::Error;

/// The order is what makes it safe; see [`crate::Secrets`]. Wherever this stops, the password in force is the value or the
/// staged one, and the next connection finds out which.
pub(super) async fn rotate(server: &Server) -> Result<(), Error> {
    let _one_at_a_time = server.rotating.lock().await;
    let door = &server.door;
    let connector = door.config();
    // This also settles a rotation that was cut short before.
    let session = door.connect(&connector.database).await?;
    let old = door
        .secrets()
        .reveal(&connector.secret, &connector.host, connector.port)
        .await?;
    let new = crate::password::random();
    door.secrets().stage(&connector.secret, &new).await?;
    session
        .run(&set(&connector.user, &new)?, "changing the admin password")
        .await?;
    match door.login(&connector.database, &new, &old.tls).await {
        Ok(_) => door.secrets().replace(&connector.secret, &new).await,
        Err(error) if error.fault == Fault::Denied => {
            // The target took the new password and does not let it in: something between us checks passwords elsewhere.
            session
                .run(&set(&connector.user, &old.value)?, "restoring the admin password")
                .await?;
            let detail = format!(
                "the new admin password was not let in, the old one is back: {}",
                error.detail
            );
            Err(Error::new(Fault::Misconfigured, detail))
        }
        Err(error) => Err(error),
    }
}

fn set(user: &str, password: &SecretString) -> Result<String, Error> {
    Ok(format!(
        "ALTER ROLE {} PASSWORD {}",
        ident(user).map_err(bad)?,
        verifier(password).map_err(bad)?
    ))
}
