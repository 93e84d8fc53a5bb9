//! What is shown as it is: machines, interfaces, networks, resource groups, subscriptions, management groups.

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, page, set, text};
use super::rights;
use super::scope::{Target, key};
use super::world::Data;

/// Whether a machine runs; a hidden property of the stand-in's, which no answer shows.
pub(super) fn runs(machine: &Value) -> bool {
    machine.get("_stopped").is_none()
}

/// One resource, or all of a kind below a scope.
pub(super) fn answer(call: &Call, target: &Target, data: &Data) -> Answer {
    if call.method != "GET" {
        return Err(Reply::no_route(call));
    }
    if !target.name(0).is_empty() {
        let found = data.resources.get(&key(&call.path));
        let found = found.ok_or_else(|| Reply::not_found(&call.path))?;
        return Ok(Reply::ok(show(call, found)));
    }
    let kind = format!("{}/{}", target.namespace, target.kinds.join("/"));
    let below = format!("{}/", key(&target.scope));
    let all = data
        .resources
        .iter()
        .filter(|(id, one)| id.starts_with(&below) && text(one, "/type").eq_ignore_ascii_case(&kind))
        .map(|(_, one)| show(call, one))
        .collect();
    Ok(Reply::ok(page(
        call,
        all,
        data.page_size,
        "nextLink",
        "$skiptoken",
    )))
}

/// What lies inside another resource: a network's subnets, a machine's state.
pub(super) fn inner(call: &Call, target: &Target, data: &Data) -> Answer {
    let outer = target.parent(1);
    let found = data
        .resources
        .get(&key(&outer))
        .ok_or_else(|| Reply::not_found(&outer))?;
    if target.kind.ends_with("/instanceview") && call.method == "GET" {
        return Ok(Reply::ok(instance_view(found)));
    }
    let all = found
        .pointer("/properties/subnets")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    match (call.method.as_str(), target.name(1).is_empty()) {
        ("GET", true) => Ok(Reply::ok(page(
            call,
            all,
            data.page_size,
            "nextLink",
            "$skiptoken",
        ))),
        ("GET", false) => {
            let subnet = all
                .into_iter()
                .find(|one| key(text(one, "/id")) == key(&call.path));
            Ok(Reply::ok(subnet.ok_or_else(|| Reply::not_found(&call.path))?))
        }
        _ => Err(Reply::no_route(call)),
    }
}

fn instance_view(machine: &Value) -> Value {
    let (code, words) = if runs(machine) {
        ("PowerState/running", "VM running")
    } else {
        ("PowerState/deallocated", "VM deallocated")
    };
    json!({"statuses": [
        {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"},
        {"code": code, "level": "Info", "displayStatus": words},
    ]})
}

fn show(call: &Call, resource: &Value) -> Value {
    let mut shown = resource.clone();
    if let Some(object) = shown.as_object_mut() {
        object.remove("_stopped");
    }
    let machine = text(resource, "/type").ends_with("virtualMachines");
    if machine && call.asked("$expand").eq_ignore_ascii_case("instanceView") {
        set(&mut shown, "properties/instanceView", instance_view(resource));
    }
    shown
}

/// `GET /subscriptions` and one of them: those in which the caller may read anything.
pub(super) fn subscriptions(call: &Call, data: &Data) -> Answer {
    let one = |(id, name): (&String, &String)| {
        json!({
            "id": format!("/subscriptions/{id}"),
            "subscriptionId": id,
            "tenantId": data.tenant,
            "displayName": name,
            "state": "Enabled",
            "authorizationSource": "RoleBased",
        })
    };
    match call.parts().as_slice() {
        [_] => {
            let seen = |id: &String| sees(data, &call.caller, &format!("/subscriptions/{id}"));
            let all = data
                .subscriptions
                .iter()
                .filter(|(id, _)| seen(id))
                .map(one)
                .collect();
            Ok(Reply::ok(page(
                call,
                all,
                data.page_size,
                "nextLink",
                "$skiptoken",
            )))
        }
        [_, id] => {
            let found = data
                .subscriptions
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(id));
            let found = found.ok_or_else(|| {
                let message = format!("The subscription '{id}' could not be found.");
                Reply::arm(404, "SubscriptionNotFound", message)
            })?;
            Ok(Reply::ok(one(found)))
        }
        _ => Err(Reply::no_route(call)),
    }
}

/// Whether somebody holds any role at a scope, above it or below it.
fn sees(data: &Data, who: &str, scope: &str) -> bool {
    let all = data.all_of(who);
    data.assignments
        .values()
        .filter(|one| all.contains(text(one, "/properties/principalId")))
        .any(|one| {
            let given = text(one, "/properties/scope");
            super::scope::covers(data, given, scope) || super::scope::covers(data, scope, given)
        })
}

/// Resource groups of a subscription: those that the caller may read.
pub(super) fn resource_groups(call: &Call, data: &Data) -> Answer {
    if call.method != "GET" {
        return Err(Reply::no_route(call));
    }
    let below = format!("{}/", key(&call.path));
    if let [_, _, _, _name] = call.parts().as_slice() {
        let found = data.resources.get(&key(&call.path));
        let message = format!(
            "Resource group '{}' could not be found.",
            call.path.rsplit('/').next().unwrap_or_default()
        );
        return Ok(Reply::ok(
            found
                .cloned()
                .ok_or_else(|| Reply::arm(404, "ResourceGroupNotFound", message))?,
        ));
    }
    let all = readable(
        call,
        data,
        &below,
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        |one| text(one, "/type") == "Microsoft.Resources/resourceGroups",
    );
    Ok(Reply::ok(page(
        call,
        all,
        per_page(call, data),
        "nextLink",
        "$skiptoken",
    )))
}

/// `…/resources`: everything, as it is kept in ARM itself; `$filter=resourceType eq '…'`.
pub(super) fn resources(call: &Call, data: &Data) -> Answer {
    let below = key(&call.path);
    let below = format!("{}/", below.trim_end_matches("/resources"));
    let wanted = call
        .asked("$filter")
        .split_once("resourceType eq")
        .and_then(|(_, rest)| rest.split('\'').nth(1));
    let mut all = readable(call, data, &below, "", |one| {
        let kind = text(one, "/type");
        kind != "Microsoft.Resources/resourceGroups"
            && wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(kind))
    });
    for one in &mut all {
        if let Some(object) = one.as_object_mut() {
            object.retain(|name, _| {
                ["id", "name", "type", "location", "tags", "kind"].contains(&name.as_str())
            });
        }
    }
    Ok(Reply::ok(page(
        call,
        all,
        per_page(call, data),
        "nextLink",
        "$skiptoken",
    )))
}

fn per_page(call: &Call, data: &Data) -> usize {
    call.asked("$top").parse().unwrap_or(data.page_size)
}

/// Everything below, of which the caller may read each.
fn readable(
    call: &Call,
    data: &Data,
    below: &str,
    action: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    let nsgs = data.nsgs.iter().map(|(id, nsg)| (id.clone(), nsg.show(data)));
    let all = data
        .resources
        .iter()
        .map(|(id, one)| (id.clone(), one.clone()))
        .chain(nsgs);
    all.filter(|(id, one)| id.starts_with(below) && wanted(one))
        .filter(|(id, one)| {
            let action = if action.is_empty() {
                format!("{}/read", text(one, "/type"))
            } else {
                action.to_owned()
            };
            rights::may(data, &call.caller, &action, id)
        })
        .map(|(_, one)| one)
        .collect()
}

/// Management groups: shown and listed, those that the caller sees.
pub(super) fn management_groups(call: &Call, target: &Target, data: &Data) -> Answer {
    let all = data
        .resources
        .values()
        .filter(|one| text(one, "/type") == "Microsoft.Management/managementGroups");
    let mut all = all.filter(|one| sees(data, &call.caller, text(one, "/id")));
    if target.name(0).is_empty() {
        return Ok(Reply::ok(page(
            call,
            all.cloned().collect(),
            data.page_size,
            "nextLink",
            "$skiptoken",
        )));
    }
    let found = all.find(|one| key(text(one, "/id")) == key(&call.path));
    Ok(Reply::ok(
        found.cloned().ok_or_else(|| Reply::not_found(&call.path))?,
    ))
}
