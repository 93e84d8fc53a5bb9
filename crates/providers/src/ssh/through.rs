//! What policy says of hosts that are reached through a gateway: what they show to be these hosts, and what a role may do there.
//!
//! A certificate says nothing finer than "forwarding". What stands here is kept by the gateway, so it counts only where there is one.

use serde_json::Value;

use super::config::{MANY, Resource, Role, texts};
use super::key::PublicKey;
use crate::ConfigProblem;
use crate::config::{Object, Problems, Read, unknown};

/// What may be allowed of a session; all of it where nothing is said.
const KINDS: [&str; 3] = ["shell", "exec", "files"];
/// Without it in the role's extensions the host forwards nothing.
const FORWARDING: &str = "permit-port-forwarding";

/// The keys of a host, or who certifies them: each a line of OpenSSH's, without its comment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostKeys {
    pub(super) keys: Vec<String>,
    pub(super) authorities: Vec<String>,
}

impl HostKeys {
    pub(super) fn read(object: &Object<'_>, problems: &mut Problems) -> Self {
        let mut lines = |key: &str| {
            let mut read = Vec::new();
            for (at, line) in texts(object, key, problems) {
                match PublicKey::of_host(&line) {
                    Ok(key) => read.push(key.line()),
                    Err(what) => problems.add(&at, what),
                }
            }
            read
        };
        Self {
            keys: lines("host_keys"),
            authorities: lines("host_ca"),
        }
    }

    /// What is said for all hosts goes for each.
    pub(super) fn extend(&mut self, shared: &Self) {
        self.keys.extend(shared.keys.iter().cloned());
        self.authorities.extend(shared.authorities.iter().cloned());
    }

    const fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.authorities.is_empty()
    }
}

/// A host, or an address to listen at, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As it is named.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What a role may do in sessions through a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// A shell.
    pub shell: bool,
    /// Commands.
    pub exec: bool,
    /// Files, by the `sftp` subsystem.
    pub files: bool,
    /// Where connections may be forwarded to.
    pub forward: Vec<Place>,
    /// Where the host may listen for connections to the client.
    pub listen: Vec<Place>,
}

impl Default for Allow {
    fn default() -> Self {
        Self {
            shell: true,
            exec: true,
            files: true,
            forward: Vec::new(),
            listen: Vec::new(),
        }
    }
}

impl Allow {
    /// Nothing where none of it is said.
    pub(super) fn read(
        object: &Object<'_>,
        extensions: &[(String, String)],
        problems: &mut Problems,
    ) -> Option<Self> {
        if ["allow", "forward", "listen"]
            .iter()
            .all(|key| object.get(key).is_none())
        {
            return None;
        }
        let mut kinds = Vec::new();
        for (at, kind) in texts(object, "allow", problems) {
            if !KINDS.contains(&kind.as_str()) {
                problems.add(&at, unknown("kind of session", &kind, &KINDS));
            }
            kinds.push(kind);
        }
        let all = object.get("allow").is_none();
        let has = |kind: &str| all || kinds.iter().any(|one| one == kind);
        let read = Self {
            shell: has("shell"),
            exec: has("exec"),
            files: has("files"),
            forward: places(object, "forward", problems),
            listen: places(object, "listen", problems),
        };
        let forwards = !read.forward.is_empty() || !read.listen.is_empty();
        if forwards && !extensions.iter().any(|(_, one)| one == FORWARDING) {
            let what = format!("forwarding needs {FORWARDING} among the role's extensions as well");
            let key = if read.forward.is_empty() { "listen" } else { "forward" };
            problems.add(&object.at(key), what);
        }
        if !(read.shell || read.exec || read.files || forwards) {
            problems.add(&object.at("allow"), "a role that allows nothing opens nothing");
        }
        Some(read)
    }
}

fn places(object: &Object<'_>, key: &str, problems: &mut Problems) -> Vec<Place> {
    let mut read = Vec::new();
    for (at, text) in texts(object, key, problems) {
        match place(&text) {
            Some(place) => read.push(place),
            None => problems.add(
                &at,
                "this must be a host and a port, as clients name them: db.internal:5432",
            ),
        }
    }
    read.truncate(MANY);
    read
}

/// `HOST:PORT`, where an IPv6 address stands in brackets. No pattern: what is not written here is not reached.
fn place(text: &str) -> Option<Place> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let host = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(|_| bare)?,
        None => Some(host).filter(|host| !host.is_empty() && host.len() <= 253 && host.chars().all(fits))?,
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port > 0)?;
    Some(Place {
        host: host.to_owned(),
        port,
    })
}

/// What a resource lacks that is reached through a gateway. No host is taken for the one that is meant because it answers.
pub(super) fn check_resource(gateway: bool, config: &Value) -> Result<(), Vec<ConfigProblem>> {
    // What cannot be read was told already.
    let Ok(resource) = Resource::read(config) else {
        return Ok(());
    };
    let unknown: Vec<&str> = resource
        .hosts
        .iter()
        .filter(|host| host.keys.is_empty())
        .map(|host| host.name.as_str())
        .collect();
    if !gateway || unknown.is_empty() {
        return Ok(());
    }
    Err(vec![ConfigProblem {
        pointer: String::new(),
        message: format!(
            "through the gateway a host is known by its key, and {} has none here: host_keys: [\"ssh-ed25519 AAAA…\"] (ssh-keyscan \
             shows it; compare it with the host's own /etc/ssh/ssh_host_ed25519_key.pub), or host_ca",
            unknown.join(", ")
        ),
    }])
}

/// What a role says that nobody would keep.
pub(super) fn check_role(gateway: bool, config: &Value) -> Result<(), Vec<ConfigProblem>> {
    let said = Role::read(config).ok().and_then(|role| role.allow);
    if gateway || said.is_none() {
        return Ok(());
    }
    Err(vec![ConfigProblem {
        pointer: String::new(),
        message: "allow, forward and listen are kept by the gateway: they need access: gateway of the resource; directly, \
                  extensions decide"
            .to_owned(),
    }])
}

/// A way to a host, through a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user there.
    pub user: String,
    /// Its keys, each a line of OpenSSH's.
    pub host_keys: Vec<String>,
    /// Who certifies its keys, the same.
    pub host_authorities: Vec<String>,
    /// What may be done there.
    pub allow: Allow,
    /// It may use the client's agent.
    pub agent: bool,
    /// The networks that a client must come from, as `source-address` has them; any where there is none.
    pub source_address: Vec<String>,
}

/// Why there is no one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWay {
    /// Several users; which is meant must be said.
    Users(Vec<String>),
    /// Several hosts.
    Hosts(Vec<String>),
    /// There is no such user; those that there are.
    NoUser(Vec<String>),
    /// There is no such host.
    NoHost(Vec<String>),
    /// Nothing is known by which the host could be told from another.
    NoKey(String),
    /// What was granted cannot be read.
    Broken(String),
}

/// The way of a resource and a role that is meant.
pub(super) fn way(
    resource: Read<Resource>,
    role: Read<Role>,
    user: Option<&str>,
    host: Option<&str>,
) -> Result<Way, NoWay> {
    let broken = |found: Vec<ConfigProblem>| {
        NoWay::Broken(found.into_iter().map(|one| one.message).collect::<Vec<_>>().join("; "))
    };
    let (resource, role) = (resource.map_err(broken)?, role.map_err(broken)?);
    let user = match (user, role.users.as_slice()) {
        (Some(user), all) if all.iter().any(|one| one == user) => user.to_owned(),
        (Some(_), _) => return Err(NoWay::NoUser(role.users)),
        (None, [only]) => only.clone(),
        (None, _) => return Err(NoWay::Users(role.users)),
    };
    let names = || resource.hosts.iter().map(|host| host.name.clone()).collect();
    let host = match (host, resource.hosts.as_slice()) {
        (Some(host), all) => all.iter().find(|one| one.name.eq_ignore_ascii_case(host)),
        (None, [only]) => Some(only),
        (None, _) => return Err(NoWay::Hosts(names())),
    };
    let host = host.ok_or_else(|| NoWay::NoHost(names()))?;
    if host.keys.is_empty() {
        return Err(NoWay::NoKey(host.name.clone()));
    }
    Ok(Way {
        host: host.name.clone(),
        port: resource.port,
        user,
        host_keys: host.keys.keys.clone(),
        host_authorities: host.keys.authorities.clone(),
        agent: role.extensions.iter().any(|one| one == "permit-agent-forwarding"),
        allow: role.allow.unwrap_or_default(),
        source_address: role.source_address,
    })
}
