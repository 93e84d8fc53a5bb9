//! What a rule has to look like before the network takes it, and whom it meets.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::call::{Reply, text};

fn refuse(name: &str, code: &str, why: &str) -> Reply {
    Reply::arm(
        400,
        code,
        format!("Security rule {name} has invalid properties: {why}"),
    )
}

/// Refuses what Azure refuses ("Network security groups", Azure Virtual Network: properties of a rule).
pub(super) fn check(name: &str, rule: &Value) -> Result<(), Reply> {
    check_name(name)?;
    let priority = rule.get("priority").and_then(Value::as_i64).unwrap_or_default();
    if !(100..=4096).contains(&priority) {
        let why = format!("the priority {priority} is not between 100 and 4096.");
        return Err(refuse(name, "SecurityRuleInvalidPriority", &why));
    }
    if !["Inbound", "Outbound"].contains(&text(rule, "/direction")) {
        return Err(refuse(
            name,
            "SecurityRuleInvalidDirection",
            "the direction is Inbound or Outbound.",
        ));
    }
    if !["Allow", "Deny"].contains(&text(rule, "/access")) {
        return Err(refuse(
            name,
            "SecurityRuleInvalidAccess",
            "the access is Allow or Deny.",
        ));
    }
    if !["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"].contains(&text(rule, "/protocol")) {
        return Err(refuse(
            name,
            "SecurityRuleInvalidProtocol",
            "the protocol is not one of Tcp, Udp, Icmp, Esp, Ah, *.",
        ));
    }
    // The limit is that of the property in the portal and in ARM's own check.
    if text(rule, "/description").len() > 140 {
        return Err(refuse(
            name,
            "SecurityRuleDescriptionTooLong",
            "the description is longer than 140 characters.",
        ));
    }
    check_lists(name, rule)
}

/// "Naming rules and restrictions for Azure resources": Microsoft.Network, securityRules.
fn check_name(name: &str) -> Result<(), Reply> {
    let ok = (1..=80).contains(&name.len())
        && name.starts_with(|one: char| one.is_ascii_alphanumeric())
        && name.ends_with(|one: char| one.is_ascii_alphanumeric() || one == '_')
        && name
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "._-".contains(one));
    if ok {
        return Ok(());
    }
    Err(Reply::arm(
        400,
        "InvalidResourceName",
        format!("Resource name {name} is invalid."),
    ))
}

/// Addresses and ports: each alone or as a list, never both.
fn check_lists(name: &str, rule: &Value) -> Result<(), Reply> {
    for (one, many) in [
        ("sourceAddressPrefix", "sourceAddressPrefixes"),
        ("destinationAddressPrefix", "destinationAddressPrefixes"),
        ("sourcePortRange", "sourcePortRanges"),
        ("destinationPortRange", "destinationPortRanges"),
    ] {
        let both = listed(rule, one, many);
        let alone = !text(rule, &format!("/{one}")).is_empty();
        if alone && both.len() > 1 {
            let why = format!("it has both {one} and {many}.");
            return Err(refuse(
                name,
                "SecurityRuleParameterAndParametersBothSpecified",
                &why,
            ));
        }
        if both.is_empty() {
            let why = format!("it has neither {one} nor {many}.");
            return Err(refuse(name, "SecurityRuleParameterMissing", &why));
        }
        let fine = |value: &&str| {
            if one.contains("Port") {
                ports(value).is_some()
            } else {
                is_address(value)
            }
        };
        if let Some(wrong) = both.iter().find(|value| !fine(value)) {
            let why = format!("{wrong} is no value for {one}.");
            let code = if one.contains("Port") {
                "SecurityRuleInvalidPortRange"
            } else {
                "SecurityRuleInvalidAddressPrefix"
            };
            return Err(refuse(name, code, &why));
        }
    }
    Ok(())
}

/// The values of a property that comes alone or as a list.
pub(super) fn listed<'r>(rule: &'r Value, one: &str, many: &str) -> Vec<&'r str> {
    let alone = rule
        .get(one)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    let list = rule.get(many).and_then(Value::as_array);
    alone
        .into_iter()
        .chain(list.into_iter().flatten().filter_map(Value::as_str))
        .collect()
}

fn is_address(value: &str) -> bool {
    const TAGS: &[&str] = &[
        "*",
        "Internet",
        "VirtualNetwork",
        "AzureLoadBalancer",
        "AzureCloud",
        "Storage",
        "Sql",
    ];
    TAGS.contains(&value) || net(value).is_some()
}

/// An address or a network.
pub(super) fn net(value: &str) -> Option<IpNet> {
    value
        .parse()
        .ok()
        .or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from))
}

/// `*`, `22`, `1024-2048`.
fn ports(value: &str) -> Option<(u16, u16)> {
    if value == "*" {
        return Some((0, u16::MAX));
    }
    let (from, to) = value.split_once('-').unwrap_or((value, value));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to).then_some((from, to))
}

/// Somebody who knocks at a machine.
#[derive(Debug, Clone)]
pub(super) struct Knock {
    pub(super) from: IpAddr,
    pub(super) to: Vec<IpAddr>,
    pub(super) port: u16,
    /// `Tcp`, `Udp`.
    pub(super) protocol: String,
    /// What the tag `VirtualNetwork` stands for there.
    pub(super) network: Vec<IpNet>,
}

impl Knock {
    /// Whether a rule is about it.
    pub(super) fn is_met_by(&self, rule: &Value) -> bool {
        let protocol = text(rule, "/protocol");
        let within = |value: &str, at: &[IpAddr]| at.iter().any(|at| self.within(value, *at));
        text(rule, "/direction") == "Inbound"
            && (protocol == "*" || protocol.eq_ignore_ascii_case(&self.protocol))
            && listed(rule, "sourceAddressPrefix", "sourceAddressPrefixes")
                .iter()
                .any(|value| within(value, &[self.from]))
            && listed(rule, "destinationAddressPrefix", "destinationAddressPrefixes")
                .iter()
                .any(|value| within(value, &self.to))
            && listed(rule, "destinationPortRange", "destinationPortRanges")
                .iter()
                .filter_map(|value| ports(value))
                .any(|(from, to)| (from..=to).contains(&self.port))
    }

    fn within(&self, value: &str, at: IpAddr) -> bool {
        let inside = self.network.iter().any(|net| net.contains(&at));
        match value {
            "*" => true,
            "VirtualNetwork" => inside,
            // "Virtual network service tags": the address space outside the virtual network.
            "Internet" => !inside,
            // "What is IP address 168.63.129.16?": the load balancer's probes come from there.
            "AzureLoadBalancer" => at == IpAddr::from([168, 63, 129, 16]),
            _ => net(value).is_some_and(|net| net.contains(&at)),
        }
    }
}
