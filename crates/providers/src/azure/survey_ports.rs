//! Ports of a subscription's machines that rules leave open, to everybody or to an address; and the machines as what policy could name.
//!
//! A rule counts as far as it decides: none before it in its group turns the packet away, and every other group on the way lets it in.
//! That is judged by the rules as they are set, for one address of those that a rule names and the first port of each range. What service
//! tags besides `Internet` and application security groups let in is not told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use daypass_core::name::Name;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::VM;
use super::client::Api;
use super::config::{Ports, Protocol, Vms};
use super::ids::{items, last, same, text};
use super::jit::is_defenders;
use super::machines::{COMPUTE, Group, Interface, NETWORK};
use super::provider::Connected;
use super::rules::{Knock, Rule, Verdict, judge};
use super::scope::is_vm;
use super::survey::{called, labels, or_untold};
use crate::Error;
use crate::inventory::{Found, Offer, Page, Standing, Subject, SubjectKind, told};

/// Somebody out there, for whom a rule for everybody is judged: an address of TEST-NET-2 (RFC 5737), which no network has.
const ANYBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// A machine with its interfaces, and the rules on the way to each, group by group.
struct Machine {
    id: String,
    doors: Vec<Door>,
}

/// An interface with its groups: the place of each in the list of all, and its rules.
struct Door {
    interface: Interface,
    groups: Vec<(usize, Vec<Rule>)>,
}

impl Connected {
    /// Tells the open ports of a subscription, and its machines.
    pub(super) async fn machines_page(&self, subscription: &str, page: &mut Page) -> Result<(), Error> {
        let groups = self.groups_in(&BTreeSet::from([subscription.to_owned()])).await;
        let groups = or_untold(groups, subscription, &mut page.untold)?;
        let interfaces = self
            .all_of(subscription, "Microsoft.Network/networkInterfaces", NETWORK)
            .await;
        let interfaces = or_untold(interfaces, subscription, &mut page.untold)?;
        let shown = self
            .all_of(subscription, "Microsoft.Compute/virtualMachines", COMPUTE)
            .await;
        let shown = or_untold(shown, subscription, &mut page.untold)?;
        let interfaces = interfaces.iter().map(|one| {
            let id = text(one, "/id");
            (id.to_ascii_lowercase(), Interface::read(id, one))
        });
        let interfaces: BTreeMap<String, Interface> = interfaces.collect();
        let is_machine = |one: &&Value| is_vm(text(one, "/id"));
        let machines = shown.iter().filter(is_machine);
        let machines: Vec<Machine> = machines.map(|one| machine(one, &interfaces, &groups)).collect();
        page.found.extend(shown.iter().filter(is_machine).map(found));
        let bare = machines.iter().filter(|one| one.is_bare()).count();
        if bare > 0 {
            page.untold.push(format!(
                "{subscription}: machines with an interface that has no network security group, whose open ports are not told: {bare}"
            ));
        }
        for (place, group) in groups.iter().enumerate() {
            for rule in group.rules.iter().filter(|rule| rule.lets_in()) {
                // What Defender opened is there just in time, for us or for somebody else.
                if !self.opens(rule) && !is_defenders(rule) {
                    self.tell_rule(rule, (place, group), &machines, page);
                }
            }
        }
        Ok(())
    }

    async fn all_of(&self, subscription: &str, kind: &str, version: &str) -> Result<Vec<Value>, Error> {
        let path = format!("{subscription}/providers/{kind}?api-version={version}");
        let doing = format!("reading the {}", last(kind));
        self.client.list(Api::Arm, &path, &doing).await
    }

    fn tell_rule(&self, rule: &Rule, (place, group): (usize, &Group), machines: &[Machine], page: &mut Page) {
        let protocols = rule.protocols();
        let Some(protocol) = protocols.first() else {
            return;
        };
        let sources = rule.sources().iter().filter_map(|source| source_of(source));
        for (who, from) in sources.collect::<BTreeMap<_, _>>() {
            // Where some machines have other rules before this one, it opens less of them.
            let mut opened: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
            for machine in machines {
                let ports: Vec<&str> = rule.ports().iter().map(String::as_str).collect();
                let opens = |range: &&str| {
                    first(range).is_some_and(|port| {
                        let knock = (*protocol, port, from);
                        machine.is_open(place, &rule.name, knock, |rule| self.opens(rule))
                    })
                };
                let open: Vec<&str> = ports.into_iter().filter(opens).collect();
                if !open.is_empty() {
                    opened.entry(open).or_default().push(&machine.id);
                }
            }
            for (ports, vms) in opened {
                page.standing.push(standing(&who, rule, &ports, &vms, &group.id));
            }
        }
    }
}

impl Machine {
    fn is_bare(&self) -> bool {
        self.doors.iter().any(|door| door.groups.is_empty())
    }

    /// Whether a rule of a group is what lets a packet in.
    fn is_open(
        &self,
        place: usize,
        name: &str,
        (protocol, port, source): (Protocol, u16, IpAddr),
        ours: impl Fn(&Rule) -> bool + Copy,
    ) -> bool {
        self.doors.iter().any(|door| {
            let knock = Knock {
                protocol,
                port,
                source,
                destinations: &door.interface.addresses,
            };
            let has_it = door.groups.iter().any(|(at, _)| *at == place);
            has_it
                && door.groups.iter().all(|(at, rules)| {
                    match judge(std::slice::from_ref(rules), &knock, ours) {
                        Verdict::Open(by) => *at != place || by == name,
                        Verdict::Shut(_) => false,
                    }
                })
        })
    }
}

fn machine(shown: &Value, interfaces: &BTreeMap<String, Interface>, groups: &[Group]) -> Machine {
    let all = items(shown, "/properties/networkProfile/networkInterfaces").iter();
    let doors = all.filter_map(|one| {
        let interface = interfaces.get(&text(one, "/id").to_ascii_lowercase())?;
        let before = groups.iter().enumerate();
        let before = before.filter(|(_, group)| group.is_before(interface));
        Some(Door {
            interface: interface.clone(),
            groups: before.map(|(at, group)| (at, group.as_set())).collect(),
        })
    });
    Machine {
        id: text(shown, "/id").to_owned(),
        doors: doors.collect(),
    }
}

/// Who comes in by a source that a rule names, with an address of theirs; `None` for what only machines of Azure's have.
fn source_of(source: &str) -> Option<(Subject, IpAddr)> {
    let everybody = ["*", "Any", "Internet", "0.0.0.0/0", "::/0"];
    if everybody.iter().any(|one| same(one, source)) {
        let subject = Subject {
            id: "Internet".to_owned(),
            name: "Internet".to_owned(),
            kind: SubjectKind::Everybody,
        };
        return Some((subject, ANYBODY));
    }
    let net = source.parse::<IpNet>().map(|net| net.addr());
    let address = net.or_else(|_| source.parse::<IpAddr>()).ok()?;
    let subject = Subject {
        id: source.to_owned(),
        name: source.to_owned(),
        // Whoever is behind it.
        kind: SubjectKind::Group,
    };
    Some((subject, address))
}

/// The first port of a range, as a rule writes it.
fn first(range: &str) -> Option<u16> {
    match range {
        "*" => Some(1),
        _ => range
            .split('-')
            .next()?
            .trim()
            .parse::<u16>()
            .ok()
            .map(|port| port.max(1)),
    }
}

fn standing(who: &Subject, rule: &Rule, ports: &[&str], vms: &[&str], group: &str) -> Standing {
    let words = match ports {
        ["*"] | ["0-65535"] => "every port".to_owned(),
        [one] if !one.contains('-') => format!("port {one}"),
        _ => format!("ports {}", ports.join(", ")),
    };
    let spoken = spoken(rule);
    let on = match vms {
        [alone] => alone,
        _ => group,
    };
    Standing {
        subject: who.clone(),
        right: told(&format!("{words}{spoken} open")),
        on: told(on),
        by: Some(told(&format!("the rule {} of {}", rule.name, last(group)))),
        last_used: None,
        until: None,
        offer: offer(rule, ports, vms, last(on)),
    }
}

/// What a rule is about of that which policy can open, where that is not all.
fn spoken(rule: &Rule) -> String {
    match rule.protocols().as_slice() {
        [alone] => format!("/{}", alone.word()),
        _ => String::new(),
    }
}

/// The same ports of the same machines; `None` where policy could not say it: ranges, too many of either.
fn offer(rule: &Rule, ports: &[&str], vms: &[&str], name: &str) -> Option<Offer> {
    let numbers: Option<Vec<u16>> = ports.iter().map(|port| port.parse().ok()).collect();
    let numbers = numbers?;
    let mut all = Vec::new();
    for protocol in rule.protocols() {
        all.extend(numbers.iter().map(|port| match protocol {
            Protocol::Tcp => json!(port),
            Protocol::Udp => json!({"port": port, "protocol": "udp"}),
        }));
    }
    let spoken = spoken(rule);
    let (resource, role) = (json!({ "vms": vms }), json!({ "ports": all }));
    let is_valid = Vms::read(&resource).is_ok() && Ports::read(&role).is_ok();
    is_valid.then(|| Offer {
        kind: VM,
        resource,
        role,
        called: (
            called(name, &vms.join(" ")),
            Name::like(&format!("{}{spoken}", ports.join("-"))),
        ),
    })
}

/// A machine with the port by which one logs in to it.
fn found(shown: &Value) -> Found {
    let id = text(shown, "/id");
    let role = |name: &str, port: u16| (Name::like(name), json!({ "ports": [port] }));
    Found {
        kind: VM,
        name: Name::like(last(id)),
        told: told(&format!("machine {id}")),
        resource: json!({ "vms": [id] }),
        roles: match text(shown, "/properties/storageProfile/osDisk/osType") {
            "Windows" => vec![role("rdp", 3389)],
            "Linux" => vec![role("ssh", 22)],
            _ => vec![role("ssh", 22), role("rdp", 3389)],
        },
        labels: labels(shown),
    }
}
