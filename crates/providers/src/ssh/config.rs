//! What policy writes for connectors, resources and roles of kind `ssh`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use daypass_core::time::Span;
use serde_json::Value;

use super::through::{Allow, HostKeys};
use crate::ConfigProblem;
use crate::config::{self, Object, Problems, Read, unknown};

/// How long a certificate is valid where the connector does not say, and at most and least.
const VALIDITY: Span = Span::minutes(5);
const LONGEST: Span = Span::hours(1);
const SHORTEST: Span = Span::minutes(1);
/// What a certificate gives where the role does not say.
const DEFAULT_EXTENSIONS: [&str; 1] = ["permit-pty"];
/// Every extension that sshd knows for users. Source: OpenSSH's PROTOCOL.certkeys.
const EXTENSIONS: &[&str] = &[
    "no-touch-required",
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];
/// More of anything in one list than anybody means.
pub(super) const MANY: usize = 64;

/// One authority, for all hosts that trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connector {
    /// How long a certificate is valid at most.
    pub(super) validity: Span,
}

/// One host, or several that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) hosts: Vec<Host>,
    pub(super) port: u16,
}

/// A host that trusts the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// As people type it after `ssh`.
    pub(super) name: String,
    /// Whose token fetches the list for it and acknowledges; none where nothing does.
    pub(super) account: Option<String>,
    /// What it shows to be that host; only sessions through a gateway ask.
    pub(super) keys: HostKeys,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    /// Names of users at the hosts.
    pub(super) users: Vec<String>,
    pub(super) force_command: Option<String>,
    pub(super) source_address: Vec<String>,
    pub(super) extensions: Vec<String>,
    /// What sessions through a gateway may do; `None` where nothing is said.
    pub(super) allow: Option<Allow>,
}

impl Connector {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        if config.is_null() {
            return Some(Self { validity: VALIDITY });
        }
        let object = Object::read(config, "", &["certificate"], problems)?;
        let mut validity = VALIDITY;
        if let Some(text) = object.text("certificate", problems) {
            match text.parse::<Span>() {
                Ok(span) if (SHORTEST..=LONGEST).contains(&span) => validity = span,
                _ => problems.add(
                    &object.at("certificate"),
                    "certificate is how long one is valid: 1m to 1h, such as 5m",
                ),
            }
        }
        Some(Self { validity })
    }
}

impl Resource {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let keys = ["host", "hosts", "account", "port", "host_keys", "host_ca"];
        let object = Object::read(config, "", &keys, problems)?;
        let mut hosts = Vec::new();
        let shared = HostKeys::read(&object, problems);
        if let Some(name) = object.text("host", problems) {
            host_name(name, &object.at("host"), problems);
            let account = object.text("account", problems).map(str::to_owned);
            hosts.push(Host {
                name: name.to_owned(),
                account,
                keys: shared.clone(),
            });
        } else if object.get("account").is_some() {
            problems.add(
                &object.at("account"),
                "account goes with host; in hosts each has its own",
            );
        }
        for (at, item) in object.list("hosts", problems) {
            let keys = ["host", "account", "host_keys", "host_ca"];
            let Some(entry) = Object::read(item, &at, &keys, problems) else {
                continue;
            };
            let Some(name) = entry.need_text("host", problems) else {
                continue;
            };
            host_name(name, &entry.at("host"), problems);
            let account = entry.text("account", problems).map(str::to_owned);
            let mut keys = HostKeys::read(&entry, problems);
            keys.extend(&shared);
            hosts.push(Host {
                name: name.to_owned(),
                account,
                keys,
            });
        }
        let mut names: Vec<_> = hosts.iter().map(|host| host.name.to_ascii_lowercase()).collect();
        names.sort();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            problems.add("", "a host stands here twice");
        }
        if hosts.is_empty() || hosts.len() > MANY {
            problems.add(
                "",
                format!("say which host: {{host: web-1.internal}}, or up to {MANY} under hosts"),
            );
        }
        let port = object.port(22, problems);
        Some(Self { hosts, port: port? })
    }
}

impl Role {
    /// Cuts it to what a session of it may do: the host is the second fence behind the gateway. Who may move files could write what a shell
    /// runs when it begins, so no shell of theirs is started for that.
    pub(super) fn fit_session(&mut self) {
        let allow = self.allow.clone().unwrap_or_default();
        let programs = allow.shell || allow.exec;
        if allow.files && !programs && self.force_command.is_none() {
            self.force_command = Some("internal-sftp".to_owned());
        }
        let forwards = !allow.forward.is_empty() || !allow.listen.is_empty();
        self.extensions.retain(|one| match one.as_str() {
            "permit-pty" => programs,
            "permit-port-forwarding" => forwards,
            "permit-agent-forwarding" => true,
            _ => false,
        });
    }

    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let keys = [
            "principals",
            "force_command",
            "source_address",
            "extensions",
            "allow",
            "forward",
            "listen",
        ];
        let object = Object::read(config, "", &keys, problems)?;
        // What says what a role may is not lost by commenting its items out: without the key more is allowed than with it.
        for key in ["force_command", "source_address", "extensions", "allow"] {
            if object.is_empty(key) {
                problems.add(&object.at(key), "has no value: say one, or take the key out");
            }
        }
        let users = texts(&object, "principals", problems);
        for (at, user) in &users {
            user_name(user, at, problems);
        }
        // sshd takes a certificate without a principal for everybody.
        if users.is_empty() {
            let what = "principals must name at least one user of the hosts, such as [deploy]: a certificate without \
                        one would open every account";
            problems.add(&object.at("principals"), what);
        }
        let force_command = object.text("force_command", problems);
        if force_command.is_some_and(|command| command.len() > 1024 || command.chars().any(char::is_control))
        {
            problems.add(
                &object.at("force_command"),
                "force_command must be one line of at most 1024 bytes",
            );
        }
        let addresses = texts(&object, "source_address", problems);
        for (at, address) in &addresses {
            if let Err(what) = network(address) {
                problems.add(at, what);
            }
        }
        let mut extensions = texts(&object, "extensions", problems);
        for (at, extension) in &extensions {
            if !EXTENSIONS.contains(&extension.as_str()) {
                problems.add(at, unknown("extension", extension, EXTENSIONS));
            }
        }
        if object.get("extensions").is_none() {
            extensions = DEFAULT_EXTENSIONS
                .map(|one| (String::new(), one.to_owned()))
                .into();
        }
        let allow = Allow::read(&object, &extensions, problems);
        let plain = |all: Vec<(String, String)>| {
            let mut all: Vec<_> = all.into_iter().map(|(_, text)| text).collect();
            all.sort();
            all.dedup();
            all
        };
        Some(Self {
            users: plain(users),
            force_command: force_command.map(str::to_owned),
            source_address: plain(addresses),
            extensions: plain(extensions),
            allow,
        })
    }
}

/// The texts of a list, each with where it stands.
pub(super) fn texts(object: &Object<'_>, key: &str, problems: &mut Problems) -> Vec<(String, String)> {
    let all = object.list(key, problems);
    if all.len() > MANY {
        problems.add(&object.at(key), format!("at most {MANY}"));
    }
    let mut texts = Vec::new();
    for (at, value) in all {
        match value.as_str().filter(|text| !text.is_empty()) {
            Some(text) => texts.push((at, text.to_owned())),
            None => problems.add(&at, "this must be text, and not empty"),
        }
    }
    texts
}

/// A user of a host, as `useradd` takes one. No pattern, no list, no option, and no `@`: the resource follows after that.
fn user_name(user: &str, at: &str, problems: &mut Problems) {
    let begins = user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if !begins || user.len() > 32 || !user.chars().all(fits) {
        problems.add(
            at,
            "a principal is the name of a user at the host: small letters, digits, _ and -, at most 32",
        );
    }
}

/// A host as people type it: it is compared with what they type, and stands in files that ssh reads.
fn host_name(host: &str, at: &str, problems: &mut Problems) {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == ':';
    let begins = host.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || host.len() > 253 || !host.chars().all(fits) {
        problems.add(
            at,
            "host must be a name or an address: letters, digits, dots and hyphens",
        );
    } else if host.chars().any(|c| c.is_ascii_uppercase()) {
        let small = host.to_ascii_lowercase();
        problems.add(at, format!("a host has one spelling, in small letters: {small}"));
    }
}

/// Hosts that stand in several resources of one connector with different accounts; each at the place of its resource. What one
/// account acknowledges for a host counts for all of its resources.
pub(super) fn accounts(resources: &[(&str, &Value)]) -> Vec<(usize, ConfigProblem)> {
    let mut found = Vec::new();
    let mut known: BTreeMap<String, (&str, Option<String>)> = BTreeMap::new();
    for (index, (name, config)) in resources.iter().enumerate() {
        // What cannot be read was told already.
        let hosts = Resource::read(config)
            .map(|resource| resource.hosts)
            .unwrap_or_default();
        for host in hosts {
            let first = known
                .entry(host.name.clone())
                .or_insert_with(|| (*name, host.account.clone()));
            if first.1 != host.account {
                let shown = |account: &Option<String>| account.clone().unwrap_or_else(|| "none".to_owned());
                let message = format!(
                    "the host {} has the account {} in the resource {} and {} here; a host has one account",
                    host.name,
                    shown(&first.1),
                    first.0,
                    shown(&host.account)
                );
                let pointer = String::new();
                found.push((index, ConfigProblem { pointer, message }));
            }
        }
    }
    found
}

/// Whether sshd takes it in `source-address`: one that it does not take makes it refuse the whole certificate.
fn network(text: &str) -> Result<(), String> {
    let wrong = || "this must be an address or a network, such as 10.0.0.0/8 or 2001:db8::/32".to_owned();
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) if bits.starts_with('+') => return Err(wrong()),
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?,
    };
    // sshd compares an IPv4 address with networks of IPv4 only.
    let mapped = match address {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    let (plain, bits) = match mapped {
        Some(v4) if bits >= 96 => (IpAddr::V4(v4), bits.saturating_sub(96)),
        Some(_) => return Err(wrong()),
        None => (address, bits),
    };
    let first = first_of(plain, bits);
    if mapped.is_none() && first == plain {
        return Ok(());
    }
    let why = if mapped.is_some() {
        "an IPv4 network is written as one"
    } else {
        "a network is written with its first address"
    };
    Err(format!("{why}: {first}/{bits}"))
}

/// The first address of a network.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(bits.into()))
                .unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(bits.into()))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}
