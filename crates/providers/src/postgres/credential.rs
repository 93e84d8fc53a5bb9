//! A fresh password for a role that is there: made here, sent as a verifier, returned once.

use std::collections::BTreeMap;

use daypass_core::entitlement::{Fault, Spec};
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret as _, SecretString};

use super::connection::{Session, column};
use super::names::role_name;
use super::provision::bad;
use super::quote::{Unquotable, ident, literal};
use super::server::Server;
use super::{config, roles};
use crate::{Credential, Error, Tls};

pub(super) async fn credential(server: &Server, key: &str, spec: &Spec) -> Result<Credential, Error> {
    let (resource, _) = config::spec(spec)?;
    let name = role_name(key);
    let connector = server.door.config();
    let session = server.door.connect(&connector.database).await?;
    session.run("BEGIN", "beginning").await?;
    check_usable(server, &session, &name).await?;
    let secret = crate::password::random();
    let sql = format!(
        "ALTER ROLE {} PASSWORD {}",
        ident(&name).map_err(bad)?,
        verifier(&secret).map_err(bad)?
    );
    session.run(&sql, "setting the role's password").await?;
    // The role may have been locked out between the first look and the change. The change itself never lets anybody in,
    // but the caller must not be told that it does.
    check_usable(server, &session, &name).await?;
    session.run("COMMIT", "committing").await?;
    let revealed = server
        .door
        .secrets()
        .reveal(&connector.secret, &connector.host, connector.port)
        .await?;
    let mut fields = BTreeMap::from([
        ("host".to_owned(), connector.host.clone()),
        ("port".to_owned(), connector.port.to_string()),
        ("user".to_owned(), name),
        ("dbname".to_owned(), resource.database),
    ]);
    let mode = match revealed.tls {
        Tls::Disabled => "disable",
        Tls::VerifyFull { ca_pem } => {
            fields.extend(ca_pem.map(|pem| ("sslrootcert_pem".to_owned(), pem)));
            "verify-full"
        }
    };
    fields.insert("sslmode".to_owned(), mode.to_owned());
    Ok(Credential { fields, secret })
}

/// What the server keeps to check a password by (SCRAM-SHA-256, RFC 5802). The server logs statements, so the password
/// itself is never part of one.
pub(super) fn verifier(password: &SecretString) -> Result<super::quote::Literal, Unquotable> {
    literal(&scram_sha_256(password.expose_secret().as_bytes()))
}

async fn check_usable(server: &Server, session: &Session, name: &str) -> Result<(), Error> {
    let found = roles::find(session, name, &server.installation).await?;
    let usable = match found {
        Some(found) if found.marker.is_some() && found.may_login => {
            let sql = "SELECT rolvaliduntil IS NULL OR rolvaliduntil > clock_timestamp() FROM pg_roles WHERE oid = $1";
            let rows = session
                .query(sql, &[&found.oid], "reading the role's limit")
                .await?;
            rows.first()
                .map(|row| column(row, 0))
                .transpose()?
                .unwrap_or(false)
        }
        _ => false,
    };
    if usable {
        Ok(())
    } else {
        Err(Error::new(Fault::NotFound, "the access is not there (any more)"))
    }
}
