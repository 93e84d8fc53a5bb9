//! `gateway` of `server.yaml`: where people connect to go through Daypass, and where what they do there is recorded.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use daypass_core::name::Name;
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
    pub name: Name,
    /// Where PostgreSQL's clients connect to, if they may.
    pub postgres: Option<PostgresGateway>,
    /// Where SSH's clients connect to, if they may. One of both is there.
    pub ssh: Option<SshGateway>,
    /// Where sessions are recorded.
    pub recordings: RecordingsConfig,
    /// A session whose permission was not renewed for so long ends.
    pub lease: Span,
    /// How long one may connect with a credential that was not issued for a grant.
    pub credential_lifetime: Span,
    /// Gateways that run elsewhere (`daypass gateway`): nobody else is one.
    pub apart: Vec<Elsewhere>,
}

/// The listener of PostgreSQL's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresGateway {
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// What clients are told to connect to.
    pub address: Address,
    /// Its certificate and key; without them it listens on this machine alone, and in the clear.
    pub tls: Option<TlsFiles>,
}

/// The listener of SSH's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshGateway {
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// What clients are told to connect to: a name or an address, and a port, 0 where the system chose one.
    pub address: (String, u16),
    /// The file of the key that clients know it by. A first start makes it.
    pub host_key: PathBuf,
    /// It takes the personal password too. That goes through SSH as it is, so nobody has to.
    pub passwords: bool,
    /// The longest that a key of somebody's own is taken; zero where none is.
    pub own_keys: Span,
}

/// A gateway that runs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The login of its service account.
    pub name: Name,
    /// What it may serve.
    pub resources: BTreeSet<Name>,
    /// Where clients reach it.
    pub address: Address,
    /// The file with the certificates that it may show, in PEM; whichever it says where there is none.
    pub certificate: Option<PathBuf>,
}

/// What clients are told of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// 0 where the system chose one.
    pub port: u16,
    /// Certificates that clients are told to trust beside their system's own, in PEM.
    pub ca: Option<PathBuf>,
    /// There is no TLS: it is for this machine alone.
    pub is_plain: bool,
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
    postgres: Option<RawListener>,
    ssh: Option<RawSsh>,
    recordings: RawRecordings,
    lease: Option<Spanned<String>>,
    credential_lifetime: Option<Spanned<String>>,
    #[serde(default)]
    apart: Vec<RawApart>,
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
struct RawSsh {
    listen: Spanned<String>,
    address: Option<Spanned<String>>,
    host_key: Option<Spanned<String>>,
    #[serde(default)]
    passwords: bool,
    own_keys: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApart {
    name: Spanned<String>,
    resources: Spanned<Vec<String>>,
    address: Spanned<String>,
    ca: Option<Spanned<String>>,
    certificate: Option<Spanned<String>>,
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
/// A quarter of a year: who still has it adds it again.
const OWN_KEY: Span = Span::hours(24 * 90);

pub(super) fn check(
    file: &InFile<'_>,
    raw: &RawGateway,
    tls: Option<&TlsFiles>,
    (state_dir, shared): (&Path, bool),
) -> Result<GatewayConfig> {
    let postgres = raw.postgres.as_ref().map(|one| &one.listen);
    let Some(first) = postgres.or(raw.ssh.as_ref().map(|one| &one.listen)) else {
        return Err(file
            .wrong(&raw.recordings.folder, "a gateway that listens nowhere is none")
            .hint("gateway: {postgres: {listen: …}, …} or {ssh: {listen: …}, …}"));
    };
    let own = match &raw.name {
        None if shared => {
            let what = "servers that share a store have a gateway each, which the log must tell apart";
            return Err(file
                .wrong(first, what)
                .hint("gateway: {name: east, …}, another for each server"));
        }
        Some(own) => name(file, own, &own.value)?,
        None => name(file, first, "server")?,
    };
    let span = |text: &Option<Spanned<String>>, default, least, most| match text {
        Some(text) => file.span(text, least, most),
        None => Ok(default),
    };
    Ok(GatewayConfig {
        apart: apart(file, &raw.apart, &own)?,
        name: own,
        postgres: match &raw.postgres {
            Some(raw) => Some(listener(file, raw, tls)?),
            None => None,
        },
        ssh: match &raw.ssh {
            Some(raw) => Some(ssh(file, raw, state_dir)?),
            None => None,
        },
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

fn name<T>(file: &InFile<'_>, at: &Spanned<T>, text: &str) -> Result<Name> {
    let read: std::result::Result<Name, _> = text.parse();
    read.map_err(|bad| file.wrong(at, bad.to_string()))
}

/// Where clients reach gateways that run elsewhere. One on this machine may do without TLS, as the server's own.
fn apart(file: &InFile<'_>, raw: &[RawApart], own: &Name) -> Result<Vec<Elsewhere>> {
    let mut all: Vec<Elsewhere> = Vec::new();
    for one in raw {
        let called = name(file, &one.name, &one.name.value)?;
        if called == *own || all.iter().any(|other| other.name == called) {
            let what = format!("another gateway is called {called} already");
            return Err(file
                .wrong(&one.name, what)
                .hint("each has a service account of its own, whose login this is"));
        }
        let (host, port) = file.host(&one.address)?;
        let here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let address = Address {
            is_plain: here && one.ca.is_none(),
            ca: one.ca.as_ref().map(|ca| file.path(ca)),
            host,
            port,
        };
        let resources = one.resources.value.iter();
        let resources: Result<BTreeSet<Name>> =
            resources.map(|text| name(file, &one.resources, text)).collect();
        let resources = resources?;
        if resources.is_empty() {
            return Err(file.wrong(&one.resources, "a gateway that serves nothing is none"));
        }
        all.push(Elsewhere {
            name: called,
            resources,
            address,
            certificate: one.certificate.as_ref().map(|path| file.path(path)),
        });
    }
    Ok(all)
}

fn address(file: &InFile<'_>, text: &Spanned<String>) -> Result<SocketAddr> {
    text.value.parse().map_err(|_| {
        let what = format!("\"{}\" is no address to listen on", shown(&text.value));
        file.wrong(text, what)
            .hint("an IP address and a port, such as 0.0.0.0:6432 or 127.0.0.1:6432")
    })
}

/// Where a gateway listens, and with which certificate: what others can reach has one.
pub(super) fn listens(
    file: &InFile<'_>,
    text: &Spanned<String>,
    (own, servers): (Option<&RawTls>, Option<&TlsFiles>),
) -> Result<(SocketAddr, Option<TlsFiles>)> {
    let listen = address(file, text)?;
    let tls = own.map(|tls| file.listener_tls(tls)).or_else(|| servers.cloned());
    if tls.is_none() && !listen.ip().is_loopback() {
        let what = format!(
            "{listen} can be reached from other machines, and without TLS whoever is on the way reads all of it"
        );
        return Err(file
            .wrong(text, what)
            .hint("tls: {certificate: …, key: …}, here or for the whole server; or listen on 127.0.0.1"));
    }
    Ok((listen, tls))
}

fn listener(file: &InFile<'_>, raw: &RawListener, tls: Option<&TlsFiles>) -> Result<PostgresGateway> {
    let text = &raw.listen;
    let (listen, tls) = listens(file, text, (raw.tls.as_ref(), tls))?;
    let hint = "address: db.example.com:6432, as clients reach it and as its certificate has it";
    let (host, port) = told(file, (text, listen), raw.address.as_ref(), hint)?;
    Ok(PostgresGateway {
        listen,
        address: Address {
            host,
            port,
            ca: raw.ca.as_ref().map(|ca| file.path(ca)),
            is_plain: tls.is_none(),
        },
        tls,
    })
}

/// What clients are told to connect to.
fn told(
    file: &InFile<'_>,
    (text, listen): (&Spanned<String>, SocketAddr),
    address: Option<&Spanned<String>>,
    hint: &str,
) -> Result<(String, u16)> {
    match address {
        Some(address) => file.host(address),
        None if listen.ip().is_unspecified() => {
            let what = "nobody can be told to connect to every address of this machine";
            Err(file.wrong(text, what).hint(hint))
        }
        None => Ok((listen.ip().to_string(), listen.port())),
    }
}

fn ssh(file: &InFile<'_>, raw: &RawSsh, state_dir: &Path) -> Result<SshGateway> {
    let text = &raw.listen;
    let listen = address(file, text)?;
    let hint = "address: ssh.example.com:2222, as clients reach it";
    Ok(SshGateway {
        listen,
        address: told(file, (text, listen), raw.address.as_ref(), hint)?,
        host_key: raw
            .host_key
            .as_ref()
            .map_or_else(|| state_dir.join("gateway-ssh-key"), |path| file.path(path)),
        passwords: raw.passwords,
        own_keys: match &raw.own_keys {
            Some(longest) => file.span(longest, Span::ZERO, Span::hours(24 * 366))?,
            None => OWN_KEY,
        },
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
        let address = gateway.postgres.unwrap().address;
        assert_eq!(
            (address.host.as_str(), address.port, address.is_plain),
            ("127.0.0.1", 6432, true)
        );
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
        let address = gateway.postgres.unwrap().address;
        assert_eq!(
            (address.host.as_str(), address.port, address.is_plain),
            ("db.example", 6432, false)
        );
        refused(&text("6432", ""), "2:22", "no address");
    }

    #[test]
    fn ssh_has_a_key_of_its_own_and_either_may_be_missing() {
        let text = |ssh: &str| {
            format!("gateway:\n  {ssh}\n  recordings: {{folder: recordings, recipients: [{KEY}]}}\n")
        };
        let gateway = parse(&text("ssh: {listen: \"127.0.0.1:2222\"}"))
            .unwrap()
            .gateway
            .unwrap();
        let ssh = gateway.ssh.unwrap();
        assert!(gateway.postgres.is_none());
        assert_eq!(ssh.address, ("127.0.0.1".to_owned(), 2222));
        assert_eq!(ssh.host_key.file_name().unwrap(), "gateway-ssh-key");
        assert!(!ssh.passwords);
        // It is encrypted by itself: no TLS is asked for.
        refused(&text("ssh: {listen: \"0.0.0.0:22\"}"), "2:17", "every address");
        let whole = "ssh: {listen: \"0.0.0.0:22\", address: \"ssh.example:22\", host_key: key}";
        let ssh = parse(&text(whole)).unwrap().gateway.unwrap().ssh.unwrap();
        assert_eq!(ssh.address, ("ssh.example".to_owned(), 22));
        refused(&text("lease: 5s"), "3:", "listens nowhere");
        refused(&text("ssh: {listen: \"2222\"}"), "2:", "no address");
    }

    #[test]
    fn clients_are_told_of_gateways_elsewhere_which_have_names_and_tls() {
        let with = |more: &str| text("127.0.0.1:6432", "") + &format!("  apart: [{more}]\n");
        let edge = "{name: edge, resources: [orders], address: \"pg.edge.example:6432\", ca: c}";
        let here = "{name: near, resources: [orders, billing], address: \"127.0.0.1:7432\"}";
        let gateway = parse(&with(&format!("{edge}, {here}"))).unwrap().gateway.unwrap();
        let [edge_one, here_one] = gateway.apart.as_slice() else {
            panic!("{:?}", gateway.apart);
        };
        assert_eq!((edge_one.name.as_str(), edge_one.address.port), ("edge", 6432));
        assert!(!edge_one.address.is_plain && here_one.address.is_plain);
        refused(&with(&format!("{edge}, {edge}")), "4:", "called edge already");
        refused(
            &with("{name: server, resources: [x], address: \"h:1\"}"),
            "4:",
            "called server already",
        );
        refused(
            &with("{name: x, resources: [y], address: h}"),
            "4:",
            "no host with a port",
        );
        refused(
            &with("{name: x, resources: [], address: \"h:1\"}"),
            "4:",
            "serves nothing",
        );
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
