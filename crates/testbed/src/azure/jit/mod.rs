//! Just-in-time access of Defender for Cloud, 2020-01-01: policies, what is opened by them, and its end. What the rules that it writes
//! are called and where they stand is as people met it; the documents do not say.

mod initiate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, page, set, text};
use super::network::Rule;
use super::rights;
use super::scope::{Target, key};
use super::world::Data;

/// A port that Defender opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// The key of the policy.
    policy: String,
    /// The key of the machine.
    vm: String,
    port: u64,
    /// The keys of groups and rules.
    rules: Vec<(String, String)>,
    ends: Timestamp,
}

impl Data {
    /// Shuts what has run out.
    pub(super) fn settle_opened(&mut self, now: Timestamp) {
        let over: Vec<_> = self
            .opened
            .iter()
            .filter(|one| one.ends <= now)
            .cloned()
            .collect();
        for one in over {
            self.shut(&one, "Expired");
        }
    }

    /// Takes the rules of an opening away and says why in the policy's requests.
    fn shut(&mut self, one: &Opened, why: &str) {
        for (nsg, rule) in &one.rules {
            if let Some(nsg) = self.nsgs.get_mut(nsg) {
                nsg.rules.remove(rule);
            }
        }
        self.opened
            .retain(|other| other.rules != one.rules || other.port != one.port || other.vm != one.vm);
        let requests = self
            .jit
            .get_mut(&one.policy)
            .and_then(|policy| policy.pointer_mut("/properties/requests"));
        for request in requests.and_then(Value::as_array_mut).into_iter().flatten() {
            let machines = request.get_mut("virtualMachines").and_then(Value::as_array_mut);
            for machine in machines
                .into_iter()
                .flatten()
                .filter(|machine| key(text(machine, "/id")) == one.vm)
            {
                let ports = machine.get_mut("ports").and_then(Value::as_array_mut);
                for port in ports.into_iter().flatten() {
                    let ours = port.get("number").and_then(Value::as_u64) == Some(one.port);
                    if ours && text(port, "/status") == "Initiated" {
                        set(port, "status", "Revoked");
                        set(port, "statusReason", why);
                    }
                }
            }
        }
    }
}

/// Everything about its policies.
pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let located = target.kind.starts_with("locations/");
    let name = if located { target.name(1) } else { "" };
    match (call.method.as_str(), name.is_empty()) {
        ("GET", true) => {
            let below = format!("{}/", key(&target.scope));
            let place = located.then(|| format!("/locations/{}/", key(target.name(0))));
            let all = data.jit.iter().filter(|(id, _)| id.starts_with(&below));
            let all = all.filter(|(id, _)| place.as_ref().is_none_or(|place| id.contains(place)));
            let all = all.map(|(_, policy)| policy.clone()).collect();
            Ok(Reply::ok(page(
                call,
                all,
                data.page_size,
                "nextLink",
                "$skiptoken",
            )))
        }
        ("POST", false) if target.kind.ends_with("/initiate") => initiate::answer(call, target, data),
        ("GET", false) => {
            let found = data.jit.get(&key(&call.path)).cloned();
            Ok(Reply::ok(found.ok_or_else(|| Reply::not_found(&call.path))?))
        }
        ("PUT", false) => put(call, target, data),
        ("DELETE", false) => {
            let gone = data.jit.remove(&key(&call.path));
            if let Some(policy) = &gone {
                close(data, policy, false);
            }
            Ok(Reply::empty(if gone.is_some() { 200 } else { 204 }))
        }
        _ => Err(Reply::no_route(call)),
    }
}

/// The entries of a list below a value.
fn each<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn put(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let mut properties = call.body.get("properties").cloned().unwrap_or_default();
    if text(&call.body, "/kind") != "Basic" {
        return Err(Reply::arm(
            400,
            "InvalidInputJson",
            "The kind of a policy is Basic.",
        ));
    }
    for machine in each(&properties, "/virtualMachines") {
        let id = text(machine, "/id");
        if !data.resources.contains_key(&key(id)) {
            return Err(Reply::arm(
                404,
                "ResourceNotFound",
                format!("The Resource '{id}' was not found."),
            ));
        }
        // "Permissions needed to configure and use JIT".
        rights::judge(data, call, "Microsoft.Compute/virtualMachines/write", id)?;
        for port in each(machine, "/ports") {
            let longest = super::pim::duration(text(port, "/maxRequestAccessDuration"));
            let fine = longest.is_some_and(|longest| (300..=24 * 3600).contains(&longest.as_secs()));
            if !fine {
                let message = "maxRequestAccessDuration is between 5 minutes and 1 day.";
                return Err(Reply::arm(400, "InvalidInputJson", message));
            }
        }
    }
    let old = data.jit.get(&key(&call.path)).cloned();
    if let Some(old) = &old {
        close(data, old, false);
    }
    let requests = old
        .as_ref()
        .and_then(|old| old.pointer("/properties/requests").cloned());
    set(&mut properties, "requests", requests.unwrap_or_else(|| json!([])));
    set(&mut properties, "provisioningState", "Succeeded");
    let policy = json!({
        "id": call.path,
        "name": target.name(1),
        "type": "Microsoft.Security/locations/jitNetworkAccessPolicies",
        "kind": "Basic",
        "location": target.name(0),
        "properties": properties,
    });
    data.jit.insert(key(&call.path), policy.clone());
    close(data, &policy, true);
    Ok(Reply::ok(policy))
}

/// Writes or takes away the rules that keep a policy's ports shut: one for each machine, behind everything else.
fn close(data: &mut Data, policy: &Value, shut: bool) {
    for machine in each(policy, "/properties/virtualMachines") {
        let vm = text(machine, "/id");
        let ports: Vec<_> = each(machine, "/ports")
            .filter_map(|port| port.get("number")?.as_u64())
            .collect();
        let name = format!(
            "SecurityCenter-JITRule-Deny-{}",
            vm.rsplit('/').next().unwrap_or_default()
        );
        for (nsg, address) in places(data, vm) {
            let Some(nsg) = data.nsgs.get_mut(&nsg) else {
                continue;
            };
            nsg.rules.remove(&name.to_ascii_lowercase());
            if !shut {
                continue;
            }
            let priority = (1..=4096)
                .rev()
                .find(|at| !nsg.rules.values().any(|rule| rule.priority() == *at));
            let rule = json!({
                "description": "MDC JIT Network Access rule", "protocol": "*", "access": "Deny", "direction": "Inbound",
                "priority": priority, "sourcePortRange": "*", "sourceAddressPrefix": "*",
                "destinationAddressPrefix": address,
                "destinationPortRanges": ports.iter().map(u64::to_string).collect::<Vec<_>>(),
            });
            nsg.rules
                .insert(name.to_ascii_lowercase(), Rule::new(&name, rule));
        }
    }
}

/// The groups of rules on the way to a machine, with its address there.
fn places(data: &Data, vm: &str) -> Vec<(String, String)> {
    let Some(machine) = data.resources.get(&key(vm)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for nic in each(machine, "/properties/networkProfile/networkInterfaces") {
        let Some(nic) = data.resources.get(&key(text(nic, "/id"))) else {
            continue;
        };
        let address = text(nic, "/properties/ipConfigurations/0/properties/privateIPAddress");
        for nsg in super::effective::groups_of(data, nic) {
            found.push((key(&nsg), address.to_owned()));
        }
    }
    found
}
