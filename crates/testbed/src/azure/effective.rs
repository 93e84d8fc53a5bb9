//! What packets meet: the rules in force of the groups at a machine's interfaces and at their subnets.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, set, text};
use super::network::{DEFAULT, Nsg, Rule};
use super::operations::{Work, result_link};
use super::rules::{Knock, listed, net};
use super::scope::{Target, key, subscription};
use super::world::Data;

/// The interfaces and the subnets that a group is attached to.
pub(super) fn attached(data: &Data, nsg: &str) -> (Vec<String>, Vec<String>) {
    let wanted = key(nsg);
    let is_it = |value: &Value, pointer: &str| key(text(value, pointer)) == wanted;
    let mut nics = Vec::new();
    let mut subnets = Vec::new();
    for resource in data.resources.values() {
        match text(resource, "/type") {
            "Microsoft.Network/networkInterfaces"
                if is_it(resource, "/properties/networkSecurityGroup/id") =>
            {
                nics.push(text(resource, "/id").to_owned());
            }
            "Microsoft.Network/virtualNetworks" => {
                let all = resource.pointer("/properties/subnets").and_then(Value::as_array);
                let all = all.into_iter().flatten();
                let ours = all.filter(|subnet| is_it(subnet, "/properties/networkSecurityGroup/id"));
                subnets.extend(ours.map(|subnet| text(subnet, "/id").to_owned()));
            }
            _ => {}
        }
    }
    (nics, subnets)
}

/// A subnet, as its network has it.
pub(super) fn subnet<'d>(data: &'d Data, id: &str) -> Option<&'d Value> {
    let network = id.rsplit_once("/subnets/").map(|(network, _)| key(network))?;
    let all = data
        .resources
        .get(&network)?
        .pointer("/properties/subnets")?
        .as_array()?;
    all.iter().find(|subnet| key(text(subnet, "/id")) == key(id))
}

/// The groups that a packet to an interface has to pass, with what they are attached to: its subnets' first.
fn groups<'d>(data: &'d Data, nic: &Value) -> Vec<(&'d Nsg, Value)> {
    let mut found = Vec::new();
    let configurations = nic
        .pointer("/properties/ipConfigurations")
        .and_then(Value::as_array);
    for configuration in configurations.into_iter().flatten() {
        let id = text(configuration, "/properties/subnet/id");
        let group = subnet(data, id).map(|subnet| text(subnet, "/properties/networkSecurityGroup/id"));
        if let Some(nsg) = group.and_then(|group| data.nsgs.get(&key(group))) {
            found.push((nsg, json!({"subnet": {"id": id}})));
        }
    }
    if let Some(nsg) = data
        .nsgs
        .get(&key(text(nic, "/properties/networkSecurityGroup/id")))
    {
        found.push((nsg, json!({"networkInterface": {"id": text(nic, "/id")}})));
    }
    found
}

/// Their ids.
pub(super) fn groups_of(data: &Data, nic: &Value) -> Vec<String> {
    groups(data, nic)
        .into_iter()
        .map(|(nsg, _)| nsg.id.clone())
        .collect()
}

/// `POST …/effectiveNetworkSecurityGroups`. Azure tells it of running machines only ("Diagnose a virtual machine network traffic
/// filter problem").
pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    if call.method != "POST" {
        return Err(Reply::no_route(call));
    }
    let id = target.parent(1);
    let nic = data
        .resources
        .get(&key(&id))
        .ok_or_else(|| Reply::not_found(&id))?;
    let machine = data
        .resources
        .get(&key(text(nic, "/properties/virtualMachine/id")));
    if machine.is_none_or(|machine| !super::compute::runs(machine)) {
        let message = format!(
            "Network interface {id} used in calculating effective network security groups is not associated to a running virtual \
             machine."
        );
        return Err(Reply::arm(400, "NetworkInterfaceNotAttachedToRunningVM", message));
    }
    let all: Vec<_> = groups(data, nic)
        .into_iter()
        .map(|(nsg, association)| {
            json!({
                "networkSecurityGroup": {"id": nsg.id},
                "association": association,
                "effectiveSecurityRules": effective(nsg),
            })
        })
        .collect();
    let operation = data.begin(call, Work::Told(json!({"value": all})));
    let below = subscription(&id).unwrap_or_default();
    Ok(Reply::empty(202)
        .with("Location", result_link(call, &below, &operation))
        .with("Retry-After", "0"))
}

/// All rules of a group that are in force, in the order in which packets meet them.
fn effective(nsg: &Nsg) -> Vec<Value> {
    let mut all: Vec<_> = nsg
        .rules
        .values()
        .filter_map(|rule| Some(show(&format!("securityRules/{}", rule.name), rule.in_force()?)))
        .collect();
    all.sort_by_key(|rule| rule.get("priority").and_then(Value::as_i64));
    for (name, priority, direction, access, from, to) in DEFAULT {
        let rule = json!({
            "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "*", "sourceAddressPrefix": from,
            "destinationAddressPrefix": to, "access": access, "priority": priority, "direction": direction,
        });
        all.push(show(&format!("defaultSecurityRules/{name}"), &rule));
    }
    all
}

/// The words of effective rules: ports as ranges, `All` in place of `*` (the description's example).
fn show(name: &str, rule: &Value) -> Value {
    let protocol = match text(rule, "/protocol") {
        "*" => "All",
        other => other,
    };
    let range = |value: &str| match value {
        "*" => "0-65535".to_owned(),
        one if one.contains('-') => one.to_owned(),
        one => format!("{one}-{one}"),
    };
    let address = |value: &str| match value {
        "*" => "0.0.0.0/0".to_owned(),
        one => net(one).map_or_else(|| one.to_owned(), |net| net.to_string()),
    };
    let mut shown = json!({
        "name": name,
        "protocol": protocol,
        "access": text(rule, "/access"),
        "priority": rule.get("priority"),
        "direction": text(rule, "/direction"),
    });
    for (one, many, is_port) in [
        ("sourcePortRange", "sourcePortRanges", true),
        ("destinationPortRange", "destinationPortRanges", true),
        ("sourceAddressPrefix", "sourceAddressPrefixes", false),
        ("destinationAddressPrefix", "destinationAddressPrefixes", false),
    ] {
        let all: Vec<_> = listed(rule, one, many)
            .into_iter()
            .map(|value| if is_port { range(value) } else { address(value) })
            .collect();
        if let [alone] = all.as_slice() {
            set(&mut shown, one, alone.clone());
        }
        set(&mut shown, many, all);
    }
    shown
}

/// Whether a packet comes through to an interface: every group on its way has to allow it, and where there is none, nothing holds
/// it up.
pub(super) fn lets_in(data: &Data, nic: &Value, from: IpAddr, port: u16, protocol: &str) -> bool {
    let configurations = nic
        .pointer("/properties/ipConfigurations")
        .and_then(Value::as_array);
    let configurations: Vec<_> = configurations.into_iter().flatten().collect();
    let knock = Knock {
        from,
        to: configurations
            .iter()
            .filter_map(|one| text(one, "/properties/privateIPAddress").parse().ok())
            .collect(),
        port,
        protocol: protocol.to_owned(),
        network: configurations
            .iter()
            .flat_map(|one| space(data, text(one, "/properties/subnet/id")))
            .collect(),
    };
    groups(data, nic).iter().all(|(nsg, _)| allows(nsg, &knock))
}

/// The address space of a subnet's network.
fn space(data: &Data, subnet: &str) -> Vec<ipnet::IpNet> {
    let network = subnet.rsplit_once("/subnets/").map(|(network, _)| key(network));
    let network = network.and_then(|network| data.resources.get(&network));
    let all = network.and_then(|network| {
        network
            .pointer("/properties/addressSpace/addressPrefixes")?
            .as_array()
    });
    let all = all.into_iter().flatten().filter_map(Value::as_str);
    all.filter_map(net).collect()
}

/// The first rule that is about it decides.
fn allows(nsg: &Nsg, knock: &Knock) -> bool {
    let mut all: Vec<_> = nsg.rules.values().filter_map(Rule::in_force).cloned().collect();
    for (_, priority, direction, access, from, to) in DEFAULT {
        all.push(json!({
            "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "*", "sourceAddressPrefix": from,
            "destinationAddressPrefix": to, "access": access, "priority": priority, "direction": direction,
        }));
    }
    all.sort_by_key(|rule| rule.get("priority").and_then(Value::as_i64));
    let first = all.iter().find(|rule| knock.is_met_by(rule));
    first.is_some_and(|rule| text(rule, "/access") == "Allow")
}
