//! Rules of network security groups: read, written, and judged as Azure judges a packet.
//!
//! "Network security groups" at Microsoft Learn: of a group's rules the one with the smallest priority that is about a packet decides;
//! where a group hangs on the interface and another one on its subnet, both must let it in.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::config::Protocol;
use super::ids::{items, text};

/// A rule, as a group or the effective rules of an interface show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) priority: i64,
    pub(super) allows: bool,
    inbound: bool,
    protocol: String,
    sources: Vec<String>,
    destinations: Vec<String>,
    ports: Vec<String>,
    pub(super) description: String,
    pub(super) state: String,
}

impl Rule {
    /// A rule of a group, from ARM's words for it.
    pub(super) fn of_group(shown: &Value) -> Self {
        let empty = Value::Null;
        Self::read(
            text(shown, "/name"),
            shown.pointer("/properties").unwrap_or(&empty),
        )
    }

    /// An effective rule. Its name says of which list it is; prefixes of service tags stand in a list of their own.
    pub(super) fn effective(shown: &Value) -> Self {
        let name = text(shown, "/name");
        let name = name.rsplit('/').next().unwrap_or(name);
        let mut rule = Self::read(name, shown);
        for (list, expanded) in [
            (&mut rule.sources, "/expandedSourceAddressPrefix"),
            (&mut rule.destinations, "/expandedDestinationAddressPrefix"),
        ] {
            let prefixes = items(shown, expanded).iter().filter_map(Value::as_str);
            let prefixes: Vec<_> = prefixes.map(str::to_owned).collect();
            if !prefixes.is_empty() {
                *list = prefixes;
            }
        }
        rule
    }

    fn read(name: &str, properties: &Value) -> Self {
        let list = |one: &str, many: &str| -> Vec<String> {
            let alone = text(properties, one);
            let many = items(properties, many).iter().filter_map(Value::as_str);
            let all = many.chain((!alone.is_empty()).then_some(alone));
            all.map(str::to_owned).collect()
        };
        Self {
            name: name.to_owned(),
            priority: properties
                .pointer("/priority")
                .and_then(Value::as_i64)
                .unwrap_or(i64::MAX),
            allows: text(properties, "/access").eq_ignore_ascii_case("Allow"),
            inbound: text(properties, "/direction").eq_ignore_ascii_case("Inbound"),
            protocol: text(properties, "/protocol").to_owned(),
            sources: list("/sourceAddressPrefix", "/sourceAddressPrefixes"),
            destinations: list("/destinationAddressPrefix", "/destinationAddressPrefixes"),
            ports: list("/destinationPortRange", "/destinationPortRanges"),
            description: text(properties, "/description").to_owned(),
            state: text(properties, "/provisioningState").to_owned(),
        }
    }

    /// Whether it takes up this priority for packets that come in.
    pub(super) fn is_at(&self, priority: u16) -> bool {
        self.inbound && self.priority == i64::from(priority)
    }

    /// Whether it lets somebody in.
    pub(super) const fn lets_in(&self) -> bool {
        self.inbound && self.allows
    }

    /// Whom it is about: addresses, prefixes, service tags.
    pub(super) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The ports that it is about: numbers, ranges, or `*`.
    pub(super) fn ports(&self) -> &[String] {
        &self.ports
    }

    /// What it is about of that which policy can open.
    pub(super) fn protocols(&self) -> Vec<Protocol> {
        let both = [Protocol::Tcp, Protocol::Udp].into_iter();
        both.filter(|one| self.speaks(*one)).collect()
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        let spoken = ["*", "All", "Any", protocol.arm()];
        spoken.iter().any(|one| self.protocol.eq_ignore_ascii_case(one))
    }

    fn is_about(&self, knock: &Knock<'_>) -> bool {
        self.reaches(knock.protocol, knock.port, knock.destinations)
            && self.sources.iter().any(|prefix| contains(prefix, knock.source))
    }

    /// Whether it is about packets to a port of these addresses, from wherever.
    pub(super) fn reaches(&self, protocol: Protocol, port: u16, destinations: &[IpAddr]) -> bool {
        self.inbound
            && self.speaks(protocol)
            && self.ports.iter().any(|range| in_range(range, port))
            && self
                .destinations
                .iter()
                .any(|prefix| destinations.iter().any(|to| contains(prefix, *to)))
    }

    /// Whether it is about packets from this address alone.
    pub(super) fn is_from(&self, source: IpAddr) -> bool {
        matches!(self.sources.as_slice(), [alone] if plain(alone) == source.to_string())
    }

    /// Whether it says the same as this, its priority and description aside.
    pub(super) fn says(&self, wanted: &Wanted<'_>) -> bool {
        let sorted = |list: &[String]| {
            let mut list: Vec<_> = list.iter().map(|one| plain(one)).collect();
            list.sort();
            list
        };
        self.inbound
            && self.allows == wanted.allows
            && self.protocol.eq_ignore_ascii_case(wanted.protocol.arm())
            && sorted(&self.sources) == sorted(std::slice::from_ref(&wanted.source))
            && sorted(&self.destinations) == sorted(wanted.destinations)
            && sorted(&self.ports) == sorted(wanted.ports)
    }
}

/// A prefix without the `/32` that some answers add.
fn plain(prefix: &str) -> String {
    let alone = prefix.strip_suffix("/32").or_else(|| prefix.strip_suffix("/128"));
    alone.unwrap_or(prefix).to_ascii_lowercase()
}

/// A rule that is to be.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) allows: bool,
    pub(super) protocol: Protocol,
    pub(super) source: String,
    pub(super) destinations: &'a [String],
    pub(super) ports: &'a [String],
}

impl Wanted<'_> {
    /// As ARM is told it.
    pub(super) fn body(&self, priority: u16, description: &str) -> Value {
        json!({"properties": {
            "description": description,
            "protocol": self.protocol.arm(),
            "sourcePortRange": "*",
            "destinationPortRanges": self.ports,
            "sourceAddressPrefix": self.source,
            "destinationAddressPrefixes": self.destinations,
            "access": if self.allows { "Allow" } else { "Deny" },
            "priority": priority,
            "direction": "Inbound",
        }})
    }
}

/// Somebody who knocks at an interface.
#[derive(Debug, Clone)]
pub(super) struct Knock<'a> {
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) source: IpAddr,
    pub(super) destinations: &'a [IpAddr],
}

/// What becomes of who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'r> {
    /// They are let in, last by this rule; without a name where nothing is in the way at all.
    Open(&'r str),
    /// This rule turns them away.
    Shut(&'r str),
}

/// What the groups on the way to an interface say, those of our rules aside that `ours` names.
pub(super) fn judge<'r>(
    groups: &'r [Vec<Rule>],
    knock: &Knock<'_>,
    ours: impl Fn(&Rule) -> bool,
) -> Verdict<'r> {
    let mut by = "";
    for group in groups {
        let about = group.iter().filter(|rule| rule.is_about(knock) && !ours(rule));
        match about.min_by_key(|rule| rule.priority) {
            Some(rule) if rule.allows => by = &rule.name,
            Some(rule) => return Verdict::Shut(&rule.name),
            // Every group ends with a rule that denies all; one that is not shown is there all the same.
            None => return Verdict::Shut("DenyAllInBound"),
        }
    }
    Verdict::Open(by)
}

fn in_range(range: &str, port: u16) -> bool {
    if range == "*" {
        return true;
    }
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    match (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
        (Ok(from), Ok(to)) => (from..=to).contains(&port),
        _ => false,
    }
}

/// Whether an address is in a prefix. Service tags that come without their prefixes are taken for as wide as they may be: what may be
/// open counts as open.
fn contains(prefix: &str, address: IpAddr) -> bool {
    match prefix {
        "*" | "Any" | "0.0.0.0/0" | "::/0" => return true,
        "Internet" => return !is_private(address),
        "VirtualNetwork" => return is_private(address),
        _ => {}
    }
    match (prefix.parse::<IpNet>(), prefix.parse::<IpAddr>()) {
        (Ok(net), _) => net.contains(&address),
        (_, Ok(alone)) => alone == address,
        _ => false,
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, priority: i64, access: &str, ports: &str, from: &str) -> Rule {
        Rule::of_group(&json!({"name": name, "properties": {
            "priority": priority, "access": access, "direction": "Inbound", "protocol": "Tcp",
            "destinationPortRange": ports, "sourceAddressPrefix": from, "destinationAddressPrefix": "*",
        }}))
    }

    fn judged(groups: &[Vec<Rule>], port: u16, from: &str) -> String {
        let to = ["10.0.0.4".parse().unwrap()];
        let knock = Knock {
            protocol: Protocol::Tcp,
            port,
            source: from.parse().unwrap(),
            destinations: &to,
        };
        match judge(groups, &knock, |rule| rule.name.starts_with("ours")) {
            Verdict::Open(by) => format!("open {by}"),
            Verdict::Shut(by) => format!("shut {by}"),
        }
    }

    #[test]
    fn the_first_rule_decides_and_every_group_must_let_in() {
        let nic = vec![
            rule("ssh", 300, "Allow", "20-25", "203.0.113.0/24"),
            rule("none", 200, "Deny", "22", "203.0.113.7"),
        ];
        let subnet = vec![rule("all", 100, "Allow", "*", "*")];
        let both = [nic.clone(), subnet.clone()];
        assert_eq!(judged(&both, 22, "203.0.113.9"), "open all");
        assert_eq!(judged(&both, 22, "203.0.113.7"), "shut none");
        assert_eq!(judged(&both, 22, "198.51.100.1"), "shut DenyAllInBound");
        assert_eq!(
            judged(&[nic, Vec::new()], 22, "203.0.113.9"),
            "shut DenyAllInBound"
        );
        assert_eq!(judged(&[], 22, "203.0.113.9"), "open ", "no group at all");
        let ours = [vec![rule("ours", 100, "Allow", "*", "*")]];
        assert_eq!(
            judged(&ours, 22, "203.0.113.9"),
            "shut DenyAllInBound",
            "our own aside"
        );
    }

    #[test]
    fn tags_are_as_wide_as_they_may_be_unless_their_prefixes_are_told() {
        let net = vec![rule("vnet", 65000, "Allow", "*", "VirtualNetwork")];
        assert_eq!(judged(&[net], 22, "10.9.9.9"), "open vnet");
        let told = Rule::effective(&json!({
            "name": "defaultSecurityRules/AllowVnetInBound", "priority": 65000, "access": "Allow", "direction": "Inbound",
            "protocol": "All", "destinationPortRange": "0-65535", "sourceAddressPrefix": "VirtualNetwork",
            "expandedSourceAddressPrefix": ["10.1.0.0/16"], "destinationAddressPrefix": "0.0.0.0/0",
        }));
        assert_eq!(told.name, "AllowVnetInBound");
        assert_eq!(
            judged(&[vec![told.clone()]], 22, "10.9.9.9"),
            "shut DenyAllInBound"
        );
        assert_eq!(judged(&[vec![told]], 22, "10.1.9.9"), "open AllowVnetInBound");
    }

    #[test]
    fn a_rule_that_was_changed_by_hand_says_something_else() {
        let (to, ports) = (["10.0.0.4".to_owned()], ["22".to_owned()]);
        let wanted = Wanted {
            allows: true,
            protocol: Protocol::Tcp,
            source: "203.0.113.7".to_owned(),
            destinations: &to,
            ports: &ports,
        };
        let mut shown = json!({"name": "r"});
        shown["properties"] = wanted.body(200, "d")["properties"].clone();
        assert!(Rule::of_group(&shown).says(&wanted));
        shown["properties"]["sourceAddressPrefix"] = json!("203.0.113.7/32");
        assert!(Rule::of_group(&shown).says(&wanted));
        shown["properties"]["sourceAddressPrefix"] = json!("*");
        assert!(!Rule::of_group(&shown).says(&wanted));
    }
}
