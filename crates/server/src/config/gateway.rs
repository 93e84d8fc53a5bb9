//! `gateway` of `server.yaml`: where people connect to go through Daypass, and where what they do there is recorded.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use daypass_core::time::Span;
use daypass_recording::Recipients;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::TlsFiles;
use super::check::{InFile, Result, shown};
use super::raw::RawTls;

/// The gateway of this server.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// What it is called in the log.
    pub name: String,
    /// Where PostgreSQL's clients connect to.
    pub postgres: PostgresGateway,
    /// Where sessions are recorded.
    pub recordings: RecordingsConfig,
    /// A session whose permission was not renewed for so long ends.
    pub lease: Span,
    /// How long one may connect with a credential that was not issued for a grant.
    pub credential_lifetime: Span,
}

/// The listener of PostgreSQL's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresGateway {
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// What clients are told to connect to.
    pub address: (String, u16),
    /// Its certificate and key; without them it listens on this machine alone, and in the clear.
    pub tls: Option<TlsFiles>,
    /// Certificates that clients are told to trust beside their system's own, in PEM.
    pub ca: Option<PathBuf>,
}

/// The place of recordings.
#[derive(Debug, Clone)]
pub struct RecordingsConfig {
    /// The folder.
    pub folder: PathBuf,
    /// Whom they are sealed for.
    pub recipients: Recipients,
    /// The file with the private keys that open them, where this server is to show them.
    pub identity: Option<PathBuf>,
    /// The file with what marks them as this server's own. A first start makes it.
    pub key: PathBuf,
    /// How long they are kept; for ever where nothing is said.
    pub keep: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGateway {
    name: Option<Spanned<String>>,
    postgres: RawListener,
    recordings: RawRecordings,
    lease: Option<Spanned<String>>,
    credential_lifetime: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListener {
    listen: Spanned<String>,
    address: Option<Spanned<String>>,
    tls: Option<RawTls>,
    ca: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecordings {
    folder: Spanned<String>,
    recipients: Spanned<Vec<String>>,
    identity: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    keep: Option<Spanned<String>>,
}

/// Between two renewals a gateway may lose one.
const LEASE: Span = Span::seconds(5);
/// A working day, as a login lasts.
const CREDENTIAL: Span = Span::hours(12);

pub(super) fn check(
    file: &InFile<'_>,
    raw: &RawGateway,
    tls: Option<&TlsFiles>,
    (state_dir, shared): (&Path, bool),
) -> Result<GatewayConfig> {
    let name = match &raw.name {
        None if shared => {
            let what = "servers that share a store have a gateway each, which the log must tell apart";
            return Err(file
                .wrong(&raw.postgres.listen, what)
                .hint("gateway: {name: east, …}, another for each server"));
        }
        Some(name) => {
            let read: std::result::Result<daypass_core::name::Name, _> = name.value.parse();
            read.map_err(|bad| file.wrong(name, bad.to_string()))?;
            name.value.clone()
        }
        None => String::from("server"),
    };
    let span = |text: &Option<Spanned<String>>, default, least, most| match text {
        Some(text) => file.span(text, least, most),
        None => Ok(default),
    };
    Ok(GatewayConfig {
        name,
        postgres: listener(file, &raw.postgres, tls)?,
        recordings: recordings(file, &raw.recordings, state_dir)?,
        lease: span(&raw.lease, LEASE, Span::seconds(2), Span::minutes(1))?,
        credential_lifetime: span(
            &raw.credential_lifetime,
            CREDENTIAL,
            Span::minutes(1),
            Span::hours(24 * 7),
        )?,
    })
}

fn listener(file: &InFile<'_>, raw: &RawListener, tls: Option<&TlsFiles>) -> Result<PostgresGateway> {
    let text = &raw.listen;
    let listen: SocketAddr = text.value.parse().map_err(|_| {
        file.wrong(
            text,
            format!("\"{}\" is no address to listen on", shown(&text.value)),
        )
        .hint("an IP address and a port, such as 0.0.0.0:6432 or 127.0.0.1:6432")
    })?;
    let tls = raw
        .tls
        .as_ref()
        .map(|tls| file.listener_tls(tls))
        .or_else(|| tls.cloned());
    if tls.is_none() && !listen.ip().is_loopback() {
        let what = format!(
            "{listen} can be reached from other machines, and without TLS whoever is on the way reads all of it"
        );
        return Err(file
            .wrong(text, what)
            .hint("tls: {certificate: …, key: …}, here or for the whole server; or listen on 127.0.0.1"));
    }
    let address = match &raw.address {
        Some(address) => file.host(address)?,
        None if listen.ip().is_unspecified() => {
            return Err(file
                .wrong(
                    text,
                    "nobody can be told to connect to every address of this machine",
                )
                .hint("address: db.example.com:6432, as clients reach it and as its certificate has it"));
        }
        None => (listen.ip().to_string(), listen.port()),
    };
    Ok(PostgresGateway {
        listen,
        address,
        tls,
        ca: raw.ca.as_ref().map(|ca| file.path(ca)),
    })
}

fn recordings(file: &InFile<'_>, raw: &RawRecordings, state_dir: &Path) -> Result<RecordingsConfig> {
    let recipients = Recipients::read(&raw.recipients.value)
        .map_err(|bad| file.wrong(&raw.recipients, bad.to_string()))?;
    Ok(RecordingsConfig {
        folder: file.path(&raw.folder),
        recipients,
        identity: raw.identity.as_ref().map(|path| file.path(path)),
        key: raw
            .key
            .as_ref()
            .map_or_else(|| state_dir.join("recording-key"), |path| file.path(path)),
        keep: match &raw.keep {
            Some(text) => Some(file.span(text, Span::hours(1), Span::hours(24 * 366 * 10))?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::config::trial::{parse, refused};

    const KEY: &str = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";

    fn text(listen: &str, more: &str) -> String {
        format!(
            "gateway:\n  postgres: {{listen: \"{listen}\"{more}}}\n  recordings: {{folder: recordings, recipients: [{KEY}]}}\n"
        )
    }

    #[test]
    fn a_gateway_on_this_machine_needs_little() {
        let gateway = parse(&text("127.0.0.1:6432", "")).unwrap().gateway.unwrap();
        assert_eq!(gateway.postgres.address, ("127.0.0.1".to_owned(), 6432));
        assert_eq!(
            (gateway.name.as_str(), gateway.lease.to_string().as_str()),
            ("server", "5s")
        );
        assert_eq!(gateway.recordings.key.file_name().unwrap(), "recording-key");
        assert!(parse("").unwrap().gateway.is_none());
    }

    #[test]
    fn what_others_can_reach_has_tls_and_a_name() {
        refused(&text("0.0.0.0:6432", ""), "2:22", "without TLS");
        let tls = ", tls: {certificate: c, key: k}";
        refused(&text("0.0.0.0:6432", tls), "2:22", "every address");
        let whole = text(
            "0.0.0.0:6432",
            ", tls: {certificate: c, key: k}, address: \"db.example:6432\"",
        );
        let gateway = parse(&whole).unwrap().gateway.unwrap();
        assert_eq!(gateway.postgres.address, ("db.example".to_owned(), 6432));
        refused(&text("6432", ""), "2:22", "no address");
    }

    #[test]
    fn somebody_must_be_able_to_open_recordings_and_nobody_elses_key_is_shown() {
        refused(&text("127.0.0.1:1", "").replace(KEY, ""), "3:48", "no recipient");
        refused(
            &text("127.0.0.1:1", "").replace(KEY, "AGE-SECRET-KEY-1ABC"),
            "3:48",
            "private key",
        );
    }
}
