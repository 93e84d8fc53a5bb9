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
            let key = if read.forward.is_empty() {
                "listen"
            } else {
                "forward"
            };
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
        NoWay::Broken(
            found
                .into_iter()
                .map(|one| one.message)
                .collect::<Vec<_>>()
                .join("; "),
        )
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEtBLR0QXeUZI8QYg3GQ5XoJH3WYM0eqF0C4sNeUMJvo";

    fn wrong(found: Result<(), Vec<ConfigProblem>>) -> String {
        let found = found.unwrap_err();
        let each: Vec<String> = found
            .iter()
            .map(|one| format!("{}: {}", one.pointer, one.message))
            .collect();
        each.join("\n")
    }

    fn role(config: Value) -> Result<(), Vec<ConfigProblem>> {
        Role::read(&config).map(drop)
    }

    #[test]
    fn behind_a_gateway_each_host_is_known_by_something() {
        let plain = json!({"host": "web-1"});
        assert!(check_resource(false, &plain).is_ok());
        let told = wrong(check_resource(true, &plain));
        assert!(told.contains("web-1 has none"), "{told}");
        for known in [
            json!({"host": "web-1", "host_keys": [KEY]}),
            json!({"host": "web-1", "host_ca": [KEY]}),
        ] {
            assert!(check_resource(true, &known).is_ok(), "{known}");
        }
        let some = json!({"hosts": [{"host": "a", "host_keys": [KEY]}, {"host": "b"}]});
        let told = wrong(check_resource(true, &some));
        assert!(told.contains("and b has none"), "{told}");
        let all = json!({"hosts": [{"host": "a"}, {"host": "b", "host_keys": [KEY]}], "host_ca": [KEY]});
        assert!(check_resource(true, &all).is_ok());
        for bad in [
            "",
            "ssh-dss AAAA",
            "AAAA",
            "ssh-ed25519 AAAA",
            &format!("{KEY}\nx"),
        ] {
            let config = json!({"host": "web-1", "host_keys": [bad]});
            let told = wrong(Resource::read(&config).map(drop));
            assert!(told.starts_with("/host_keys/0: "), "{bad}: {told}");
        }
    }

    #[test]
    fn what_a_role_allows_is_known_words_and_whole_places() {
        let with = |more: Value| {
            let mut config = json!({"principals": ["deploy"], "extensions": ["permit-port-forwarding"]});
            let (Some(to), Some(more)) = (config.as_object_mut(), more.as_object()) else {
                unreachable!("objects");
            };
            to.extend(more.clone());
            config
        };
        let read = |more| Role::read(&with(more)).unwrap().allow;
        assert_eq!(read(json!({})), None);
        let files = read(json!({"allow": ["files"]})).unwrap();
        assert!(files.files && !files.shell && !files.exec);
        let forward = read(json!({"forward": ["db.internal:5432", "[::1]:80"]})).unwrap();
        assert!(forward.shell && forward.exec && forward.files);
        let places: Vec<_> = forward
            .forward
            .iter()
            .map(|one| (one.host.as_str(), one.port))
            .collect();
        assert_eq!(places, [("db.internal", 5432), ("::1", 80)]);
        assert!(
            !read(json!({"allow": [], "listen": ["localhost:8080"]}))
                .unwrap()
                .shell
        );
        for (more, place) in [
            (
                json!({"allow": ["shel"]}),
                "/allow/0: there is no kind of session \"shel\"; did you mean shell?",
            ),
            (json!({"allow": []}), "/allow: a role that allows nothing"),
            (json!({"allow": "shell"}), "/allow: "),
            (json!({"forward": ["db"]}), "/forward/0: "),
            (json!({"forward": ["*:80"]}), "/forward/0: "),
            (json!({"forward": ["db:0"]}), "/forward/0: "),
            (json!({"forward": ["db:+80"]}), "/forward/0: "),
            (json!({"forward": ["[db]:80"]}), "/forward/0: "),
            (json!({"forward": [":80"]}), "/forward/0: "),
            (json!({"listen": ["localhost:99999"]}), "/listen/0: "),
            (
                json!({"extensions": [], "listen": ["localhost:80"]}),
                "/listen: forwarding needs",
            ),
        ] {
            let told = wrong(role(with(more)));
            assert!(told.starts_with(place), "{place}: {told}");
        }
        let told = wrong(check_role(false, &with(json!({"allow": ["files"]}))));
        assert!(told.contains("access: gateway"), "{told}");
        assert!(check_role(true, &with(json!({"allow": ["files"]}))).is_ok());
        assert!(check_role(false, &with(json!({}))).is_ok());
    }

    #[test]
    fn a_session_gets_no_more_than_its_role_allows() {
        let fitted = |config: Value| {
            let mut role = Role::read(&config).unwrap();
            role.fit_session();
            (role.force_command, role.extensions)
        };
        let all = [
            "permit-X11-forwarding",
            "permit-agent-forwarding",
            "permit-port-forwarding",
            "permit-pty",
            "permit-user-rc",
        ];
        let with = |more: &str, value: Value| json!({"principals": ["x"], "extensions": all, more: value});
        let (forced, given) = fitted(with("allow", json!(["files"])));
        assert_eq!(forced.as_deref(), Some("internal-sftp"));
        assert_eq!(given, ["permit-agent-forwarding"]);
        let (forced, given) = fitted(with("allow", json!(["shell"])));
        assert_eq!(
            (forced, given),
            (
                None,
                vec!["permit-agent-forwarding".to_owned(), "permit-pty".to_owned()]
            )
        );
        let (_, given) = fitted(with("forward", json!(["db:5432"])));
        assert!(
            given.contains(&"permit-port-forwarding".to_owned())
                && !given.contains(&"permit-user-rc".to_owned())
        );
        let (forced, _) = fitted(with("force_command", json!("uptime")));
        assert_eq!(forced.as_deref(), Some("uptime"));
    }

    #[test]
    fn which_user_and_host_are_meant_is_said_or_there_is_one() {
        let resource = |hosts: &[&str]| {
            let hosts: Vec<Value> = hosts.iter().map(|host| json!({"host": host})).collect();
            Resource::read(&json!({"hosts": hosts, "host_keys": [KEY]}))
        };
        let role = |users: &[&str]| Role::read(&json!({"principals": users}));
        let one = way(resource(&["a"]), role(&["x"]), None, None).unwrap();
        assert_eq!((one.host.as_str(), one.user.as_str(), one.port), ("a", "x", 22));
        assert_eq!(one.host_keys, [KEY]);
        let all = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let of = |users: &[&str], hosts: &[&str], user, host| {
            way(resource(hosts), role(users), user, host).unwrap_err()
        };
        assert_eq!(
            of(&["x", "y"], &["a"], None, None),
            NoWay::Users(all(&["x", "y"]))
        );
        assert_eq!(of(&["x"], &["a"], Some("root"), None), NoWay::NoUser(all(&["x"])));
        assert_eq!(
            of(&["x"], &["a", "b"], None, None),
            NoWay::Hosts(all(&["a", "b"]))
        );
        assert_eq!(
            of(&["x"], &["a", "b"], None, Some("c")),
            NoWay::NoHost(all(&["a", "b"]))
        );
        let meant = way(resource(&["a", "b"]), role(&["x", "y"]), Some("y"), Some("B")).unwrap();
        assert_eq!((meant.host.as_str(), meant.user.as_str()), ("b", "y"));
        let unknown = way(Resource::read(&json!({"host": "a"})), role(&["x"]), None, None);
        assert_eq!(unknown.unwrap_err(), NoWay::NoKey("a".to_owned()));
    }
}
