//! `initiate`: ports of machines are opened until an instant. The newer request for a port ends the one before it.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::call::{Answer, Call, Reply, set, text};
use super::super::network::Rule;
use super::super::operations::after;
use super::super::rights;
use super::super::rules::{listed, net};
use super::super::scope::{Target, key};
use super::super::world::Data;
use super::{Opened, each, places};

/// One port of one machine, as it is asked for.
struct Wanted {
    vm: String,
    port: u64,
    /// As rules have it: `Tcp`, `Udp`, `*`.
    protocol: &'static str,
    from: String,
    ends: Timestamp,
}

pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let policy = target.parent(2);
    let found = data
        .jit
        .get(&key(&policy))
        .cloned()
        .ok_or_else(|| Reply::not_found(&policy))?;
    let mut all = Vec::new();
    for machine in each(&call.body, "/virtualMachines") {
        let vm = text(machine, "/id");
        rights::judge(data, call, "Microsoft.Compute/virtualMachines/read", vm)?;
        for port in each(machine, "/ports") {
            all.push(judge(call, &found, vm, port)?);
        }
    }
    if all.is_empty() {
        return Err(Reply::arm(
            400,
            "InvalidInputJson",
            "The request names no port of any machine.",
        ));
    }
    for wanted in &all {
        open(data, &key(&policy), wanted);
    }
    let request = shown(call, data, &all);
    let requests = data
        .jit
        .get_mut(&key(&policy))
        .and_then(|policy| policy.pointer_mut("/properties/requests"));
    if let Some(requests) = requests.and_then(Value::as_array_mut) {
        requests.push(request.clone());
    }
    Ok(Reply::new(202, request))
}

/// Holds a port against the policy.
fn judge(call: &Call, policy: &Value, vm: &str, port: &Value) -> Result<Wanted, Reply> {
    let refuse = |why: String| Reply::arm(400, "InvalidInputJson", why);
    let number = port.get("number").and_then(Value::as_u64).unwrap_or_default();
    let machine = each(policy, "/properties/virtualMachines").find(|one| key(text(one, "/id")) == key(vm));
    let rule = machine.and_then(|machine| {
        each(machine, "/ports").find(|one| one.get("number").and_then(Value::as_u64) == Some(number))
    });
    let Some(rule) = rule else {
        return Err(refuse(format!("The policy has no port {number} of {vm}.")));
    };
    let ends = text(port, "/endTimeUtc").parse::<Timestamp>();
    let ends = ends.map_err(|_| refuse("endTimeUtc is no date-time.".to_owned()))?;
    let longest = super::super::pim::duration(text(rule, "/maxRequestAccessDuration")).unwrap_or_default();
    // Clocks differ; a minute is let pass. The stand-in's own.
    if ends <= call.now || ends > after(call.now, longest + std::time::Duration::from_mins(1)) {
        return Err(refuse(format!(
            "endTimeUtc {ends} is not within the policy's duration."
        )));
    }
    let from = match text(port, "/allowedSourceAddressPrefix") {
        // The address of whoever calls.
        "" => "127.0.0.1".to_owned(),
        from => from.to_owned(),
    };
    let allowed = listed(rule, "allowedSourceAddressPrefix", "allowedSourceAddressPrefixes");
    if !allowed.iter().any(|allowed| within(allowed, &from)) {
        return Err(refuse(format!("The policy does not allow the source {from}.")));
    }
    let protocol = match text(rule, "/protocol") {
        "TCP" => "Tcp",
        "UDP" => "Udp",
        _ => "*",
    };
    Ok(Wanted {
        vm: vm.to_owned(),
        port: number,
        protocol,
        from,
        ends,
    })
}

fn within(allowed: &str, from: &str) -> bool {
    if allowed == "*" || allowed == from {
        return true;
    }
    let inner = net(from).or_else(|| from.parse::<IpAddr>().ok().map(IpNet::from));
    net(allowed)
        .zip(inner)
        .is_some_and(|(outer, inner)| outer.contains(&inner))
}

fn open(data: &mut Data, policy: &str, wanted: &Wanted) {
    let vm = key(&wanted.vm);
    let older: Vec<_> = data
        .opened
        .iter()
        .filter(|one| one.vm == vm && one.port == wanted.port)
        .cloned()
        .collect();
    for one in older {
        data.shut(&one, "NewerRequestInitiated");
    }
    let mut rules = Vec::new();
    for (group, address) in places(data, &wanted.vm) {
        let name = format!("SecurityCenter-JITRule-{}", data.new_id(0x71));
        let Some(nsg) = data.nsgs.get_mut(&group) else {
            continue;
        };
        let priority = (100..=4096).find(|at| !nsg.rules.values().any(|rule| rule.priority() == *at));
        let rule = json!({
            "description": "MDC JIT Network Access rule", "protocol": wanted.protocol, "access": "Allow",
            "direction": "Inbound", "priority": priority, "sourcePortRange": "*", "sourceAddressPrefix": wanted.from,
            "destinationAddressPrefix": address, "destinationPortRange": wanted.port.to_string(),
        });
        nsg.rules
            .insert(name.to_ascii_lowercase(), Rule::new(&name, rule));
        rules.push((group, name.to_ascii_lowercase()));
    }
    data.opened.push(Opened {
        policy: policy.to_owned(),
        vm,
        port: wanted.port,
        rules,
        ends: wanted.ends,
    });
}

/// The request, as the policy keeps it.
fn shown(call: &Call, data: &Data, all: &[Wanted]) -> Value {
    let mut machines: Vec<Value> = Vec::new();
    for wanted in all {
        let port = json!({
            "number": wanted.port,
            "allowedSourceAddressPrefix": wanted.from,
            "endTimeUtc": wanted.ends.to_string(),
            "status": "Initiated",
            "statusReason": "UserRequested",
        });
        let there = machines.iter_mut().find(|one| text(one, "/id") == wanted.vm);
        match there
            .and_then(|one| one.get_mut("ports"))
            .and_then(Value::as_array_mut)
        {
            Some(ports) => ports.push(port),
            None => machines.push(json!({"id": wanted.vm, "ports": [port]})),
        }
    }
    let login = data
        .principals
        .get(&call.caller)
        .map_or("", |one| one.login.as_str());
    let mut request = json!({
        "virtualMachines": machines,
        "startTimeUtc": call.now.to_string(),
        "requestor": login,
    });
    if let Some(justification) = call.body.get("justification") {
        set(&mut request, "justification", justification.clone());
    }
    request
}
