//! What policy writes for connectors of kind `azure`, and for resources and roles of the kinds that they reach.

use std::collections::{BTreeMap, BTreeSet};

use daypass_core::name::Name;
use serde::Serialize;
use serde_json::Value;

use super::ids::is_guid;
use super::scope::{SCOPE, is_scope, is_vm};
use crate::config::{self, Object, Problems, Read, unknown};

/// The namespace of the directory in which people's object ids are, where policy names no other.
const SUBJECTS: &str = "entra";

/// How many VMs one item may have. Every call for it must fit in the connector's ceiling.
const VMS: usize = 20;

/// How many ports one role may open.
const PORTS: usize = 50;

/// Where Daypass puts its allow rules. Azure has 100 to 4096; the smaller number wins.
const ALLOW: (u16, u16) = (200, 899);

/// Where Daypass puts the rules that keep ports shut: below its own allow rules, above the usual place of other rules (1000).
const DENY: (u16, u16) = (900, 999);

/// A tenant, and as whom it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connector {
    /// The tenant's id.
    pub(super) tenant: String,
    /// The name of an identity of `server.yaml`.
    pub(super) identity: String,
    /// The namespace of the directory with people's object ids.
    pub(super) subjects: Option<Name>,
    /// The cloud, where it is said: it must be the identity's.
    pub(super) cloud: Option<String>,
    /// Whether the Activity Log is read for what holders did.
    pub(super) activity_log: bool,
    /// Whether ports of all VMs are kept shut while nobody has them.
    pub(super) closed: bool,
    /// The priorities of allow rules.
    pub(super) allow: (u16, u16),
    /// The priorities of the rules that keep ports shut.
    pub(super) deny: (u16, u16),
}

impl Connector {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let keys = [
            "tenant",
            "identity",
            "subjects",
            "cloud",
            "activity_log",
            "closed",
            "allow_priorities",
            "deny_priorities",
        ];
        let object = Object::read(config, "", &keys, problems)?;
        let tenant = guid(&object, "tenant", "the tenant's id", problems);
        let identity = object.need_text("identity", problems);
        let subjects = match object.text("subjects", problems).unwrap_or(SUBJECTS).parse() {
            Ok(name) => Some(name),
            Err(error) => {
                problems.add(&object.at("subjects"), format!("subjects is a name: {error}"));
                None
            }
        };
        let cloud = object.text("cloud", problems);
        if let Some(cloud) = cloud.filter(|cloud| !super::identity::CLOUDS.contains(cloud)) {
            problems.add(
                &object.at("cloud"),
                unknown("cloud", cloud, super::identity::CLOUDS),
            );
        }
        let allow = band(&object, "allow_priorities", ALLOW, problems);
        let deny = band(&object, "deny_priorities", DENY, problems);
        if allow.1 >= deny.0 {
            let what = "deny_priorities must lie after allow_priorities: the smaller number wins, and what is given must";
            problems.add(&object.at("deny_priorities"), what);
        }
        Some(Self {
            tenant: tenant?,
            identity: identity?.to_owned(),
            subjects,
            cloud: cloud.map(str::to_owned),
            activity_log: flag(&object, "activity_log", problems).unwrap_or(true),
            closed: flag(&object, "closed", problems).unwrap_or(false),
            allow,
            deny,
        })
    }
}

/// By what means ports are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// Rules of network security groups.
    Nsg,
    /// Just-in-time policies of Defender for Cloud.
    Jit,
}

/// Virtual machines whose ports are opened together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vms {
    /// Their ids, each once, in order.
    pub(super) ids: Vec<String>,
    /// By what means.
    pub(super) via: Via,
    /// Whether the ports are kept shut while nobody has them; `None` where the connector says.
    pub(super) closed: Option<bool>,
}

impl Vms {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Object::read(config, "", &["vms", "via", "closed"], problems)?;
        let mut ids = BTreeMap::new();
        for (at, value) in object.list("vms", problems) {
            match value.as_str().filter(|id| is_vm(id)) {
                // ARM does not mind capital letters; one machine has one key.
                Some(id) => drop(ids.insert(id.to_ascii_lowercase(), id.to_owned())),
                None => problems.add(
                    &at,
                    "this must be a VM's id: /subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/virtualMachines/…",
                ),
            }
        }
        if ids.is_empty() || ids.len() > VMS {
            problems.add(
                &object.at("vms"),
                format!("vms must name 1 to {VMS} virtual machines"),
            );
        }
        let via = match object.text("via", problems) {
            None | Some("nsg") => Via::Nsg,
            Some("jit") => Via::Jit,
            Some(other) => {
                problems.add(&object.at("via"), unknown("value", other, &["nsg", "jit"]));
                return None;
            }
        };
        Some(Self {
            ids: ids.into_values().collect(),
            via,
            closed: flag(&object, "closed", problems),
        })
    }
}

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// As ARM writes it.
    pub(super) const fn arm(self) -> &'static str {
        match self {
            Self::Tcp => "Tcp",
            Self::Udp => "Udp",
        }
    }

    /// As names have it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Ports, by what they speak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Ports(pub(super) BTreeMap<Protocol, BTreeSet<u16>>);

impl Ports {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, Self::parse)
    }

    fn parse(config: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Object::read(config, "", &["ports"], problems)?;
        let mut ports: BTreeMap<Protocol, BTreeSet<u16>> = BTreeMap::new();
        let mut count = 0_usize;
        for (at, value) in object.list("ports", problems) {
            if let Some((protocol, port)) = port(value, &at, problems) {
                ports.entry(protocol).or_default().insert(port);
                count = count.saturating_add(1);
            }
        }
        if count == 0 || count > PORTS {
            let what =
                format!("ports must name 1 to {PORTS} ports, such as [22, {{port: 53, protocol: udp}}]");
            problems.add(&object.at("ports"), what);
        }
        Some(Self(ports))
    }
}

fn port(value: &Value, at: &str, problems: &mut Problems) -> Option<(Protocol, u16)> {
    let number = |value: &Value| {
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
        port.filter(|port| *port > 0)
    };
    if value.is_number() {
        let port = number(value);
        if port.is_none() {
            problems.add(at, "a port is a number from 1 to 65535");
        }
        return Some((Protocol::Tcp, port?));
    }
    let object = Object::read(value, at, &["port", "protocol"], problems)?;
    let port = object.need("port", problems).and_then(number);
    if port.is_none() {
        problems.add(&object.at("port"), "a port is a number from 1 to 65535");
    }
    let protocol = match object.text("protocol", problems) {
        None | Some("tcp") => Protocol::Tcp,
        Some("udp") => Protocol::Udp,
        Some(other) => {
            problems.add(
                &object.at("protocol"),
                unknown("protocol", other, &["tcp", "udp"]),
            );
            return None;
        }
    };
    Some((protocol, port?))
}

/// Where role assignments are made.
pub(super) fn scope(config: &Value) -> Read<String> {
    config::read(config, |config, problems| {
        let object = Object::read(config, "", &["scope"], problems)?;
        let scope = object.need_text("scope", problems)?;
        if !is_scope(scope) {
            problems.add(&object.at("scope"), SCOPE);
        }
        Some(scope.to_owned())
    })
}

/// What is assigned at a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assigned {
    /// The role definition's GUID, in small letters.
    pub(super) definition: String,
    /// Whether Privileged Identity Management keeps the limit.
    pub(super) pim: bool,
}

impl Assigned {
    pub(super) fn read(config: &Value) -> Read<Self> {
        config::read(config, |config, problems| {
            let object = Object::read(config, "", &["role", "pim"], problems)?;
            let said = object.need_text("role", problems)?;
            let known = BUILT_IN.iter().find(|(name, _)| name.eq_ignore_ascii_case(said));
            let definition = match known {
                Some((_, guid)) => (*guid).to_owned(),
                None if is_guid(said) => said.to_ascii_lowercase(),
                None => {
                    let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                    let what = format!(
                        "{}; any other by the GUID of its definition: az role definition list --name NAME --query [].name",
                        unknown("role", said, &names)
                    );
                    problems.add(&object.at("role"), what);
                    return None;
                }
            };
            Some(Self {
                definition,
                pim: flag(&object, "pim", problems).unwrap_or(false),
            })
        })
    }
}

/// Roles that may be called by their names: "Azure built-in roles" at Microsoft Learn.
const BUILT_IN: &[(&str, &str)] = &[
    ("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
    ("Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c"),
    ("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7"),
    (
        "User Access Administrator",
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    ),
    (
        "Virtual Machine Contributor",
        "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
    ),
    (
        "Virtual Machine Administrator Login",
        "1c0163c0-47e6-4577-8991-ea5c82e286e4",
    ),
    (
        "Virtual Machine User Login",
        "fb879df8-f326-4884-b1cf-06f3ad86be52",
    ),
    ("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"),
    (
        "Storage Blob Data Contributor",
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    ),
    ("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6"),
    ("Key Vault Administrator", "00482a5a-887f-4fb3-b363-3b7fe8e74483"),
    (
        "Azure Kubernetes Service Cluster User Role",
        "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
    ),
];

/// What people call a role definition: its name where it is a usual one, its GUID otherwise.
pub(super) fn role_name(definition: &str) -> &str {
    let known = BUILT_IN.iter().find(|(_, guid)| *guid == definition);
    known.map_or(definition, |(name, _)| name)
}

/// A group of Entra.
pub(super) fn group(config: &Value) -> Read<String> {
    config::read(config, |config, problems| {
        let object = Object::read(config, "", &["group"], problems)?;
        guid(&object, "group", "the group's object id", problems)
    })
}

/// How a membership is given: whether Privileged Identity Management keeps its limit.
pub(super) fn membership(config: &Value) -> Read<bool> {
    config::read(config, |config, problems| {
        if config.is_null() {
            return Some(false);
        }
        let object = Object::read(config, "", &["pim"], problems)?;
        Some(flag(&object, "pim", problems).unwrap_or(false))
    })
}

fn guid(object: &Object<'_>, key: &str, what: &str, problems: &mut Problems) -> Option<String> {
    let said = object.need_text(key, problems)?;
    if !is_guid(said) {
        problems.add(
            &object.at(key),
            format!("{key} is {what}: a GUID such as 72f988bf-86f1-41af-91ab-2d7cd011db47"),
        );
        return None;
    }
    Some(said.to_ascii_lowercase())
}

fn flag(object: &Object<'_>, key: &str, problems: &mut Problems) -> Option<bool> {
    let value = object.get(key)?;
    if value.as_bool().is_none() {
        problems.add(&object.at(key), format!("{key} must be true or false"));
    }
    value.as_bool()
}

/// Two priorities, the smaller first.
fn band(object: &Object<'_>, key: &str, usual: (u16, u16), problems: &mut Problems) -> (u16, u16) {
    let Some(value) = object.get(key) else {
        return usual;
    };
    let number = |value: &Value| value.as_u64().and_then(|value| u16::try_from(value).ok());
    let said = match value.as_array().map(Vec::as_slice) {
        Some([from, to]) => number(from).zip(number(to)),
        _ => None,
    };
    match said.filter(|(from, to)| *from >= 100 && from <= to && *to <= 4096) {
        Some(band) => band,
        None => {
            problems.add(
                &object.at(key),
                format!("{key} must be two priorities from 100 to 4096, such as [200, 899]"),
            );
            usual
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const VM: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1";

    #[track_caller]
    fn refused<T: std::fmt::Debug>(read: Read<T>, pointer: &str, with: &str) {
        let problems = read.unwrap_err();
        assert_eq!(problems[0].pointer, pointer);
        assert!(problems[0].message.contains(with), "{problems:?}");
    }

    #[test]
    fn a_connector_needs_little_and_says_what_is_wrong() {
        let read = Connector::read(&json!({"tenant": TENANT, "identity": "azure"})).unwrap();
        assert_eq!(read.subjects.unwrap().as_str(), "entra");
        assert!(!read.closed && read.allow == ALLOW && read.deny == DENY);
        refused(
            Connector::read(&json!({"tenant": "corp", "identity": "a"})),
            "/tenant",
            "GUID",
        );
        refused(
            Connector::read(&json!({"tenant": TENANT})),
            "",
            "identity is missing",
        );
        let url = json!({"tenant": TENANT, "identity": "a", "arm": "https://evil.example"});
        refused(Connector::read(&url), "/arm", "there is no key");
        let cloud = json!({"tenant": TENANT, "identity": "a", "cloud": "goverment"});
        refused(Connector::read(&cloud), "/cloud", "did you mean government");
        let over = json!({"tenant": TENANT, "identity": "a", "deny_priorities": [150, 160]});
        refused(
            Connector::read(&over),
            "/deny_priorities",
            "after allow_priorities",
        );
        let odd = json!({"tenant": TENANT, "identity": "a", "allow_priorities": [5, 160]});
        refused(Connector::read(&odd), "/allow_priorities", "100 to 4096");
    }

    #[test]
    fn machines_and_ports_are_read_each_once() {
        let vms = Vms::read(
            &json!({"vms": [VM, VM.to_ascii_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions")]}),
        );
        assert_eq!(vms.unwrap().ids.len(), 1, "one machine, however it is spelled");
        refused(Vms::read(&json!({"vms": ["web-1"]})), "/vms/0", "VM's id");
        refused(Vms::read(&json!({"vms": []})), "/vms", "1 to 20");
        refused(
            Vms::read(&json!({"vms": [VM], "via": "rdp"})),
            "/via",
            "known are nsg, jit",
        );
        let ports = Ports::read(&json!({"ports": [22, {"port": 53, "protocol": "udp"}, 22]})).unwrap();
        assert_eq!(ports.0[&Protocol::Tcp], BTreeSet::from([22]));
        assert_eq!(ports.0[&Protocol::Udp], BTreeSet::from([53]));
        refused(Ports::read(&json!({"ports": [0]})), "/ports/0", "1 to 65535");
        refused(
            Ports::read(&json!({"ports": [{"port": 1, "protocol": "icmp"}]})),
            "/ports/0/protocol",
            "did you mean tcp",
        );
        refused(Ports::read(&json!({})), "/ports", "1 to 50");
    }

    #[test]
    fn roles_have_names_or_guids() {
        let read = Assigned::read(&json!({"role": "reader"})).unwrap();
        assert_eq!(read.definition, "acdd72a7-3385-48ef-bd42-f606fba81ae7");
        assert_eq!(
            Assigned::read(&json!({"role": TENANT})).unwrap().definition,
            TENANT
        );
        refused(
            Assigned::read(&json!({"role": "Readr"})),
            "/role",
            "did you mean Reader",
        );
        refused(
            scope(&json!({"scope": "/subscriptions/x"})),
            "/scope",
            "a scope is",
        );
        refused(group(&json!({"group": "admins"})), "/group", "object id");
        assert!(Assigned::read(&json!({"role": TENANT, "pim": true})).unwrap().pim);
        assert!(
            !membership(&Value::Null).unwrap()
                && membership(&json!({"pim": true})).unwrap()
                && membership(&json!({"owner": true})).is_err()
        );
        for (_, guid) in BUILT_IN {
            assert!(is_guid(guid), "{guid}");
        }
    }
}
