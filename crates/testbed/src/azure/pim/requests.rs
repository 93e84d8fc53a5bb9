//! `roleAssignmentScheduleRequests`: what an administrator asks of PIM. What is refused with which status is as people met it; the
//! documents do not list it.

use serde_json::{Value, json};

use super::super::assignments::{full_role, is_guid};
use super::super::call::{Answer, Call, Reply, page, set, text};
use super::super::operations::after;
use super::super::rights;
use super::super::scope::{Target, covers, key};
use super::super::world::Data;
use super::ask::{Asked, asked, follow};
use super::{Schedule, policies, shown};

pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let name = target.name(0);
    match (call.method.as_str(), name.is_empty()) {
        ("GET", true) => {
            let all = data
                .requests
                .values()
                .filter(|one| listed(call, target, data, one));
            let all = all.map(|one| show(data, one)).collect();
            Ok(Reply::ok(page(
                call,
                all,
                data.page_size,
                "nextLink",
                "$skiptoken",
            )))
        }
        ("GET", false) => {
            let found = data
                .requests
                .get(&key(name))
                .ok_or_else(|| Reply::not_found(name))?;
            Ok(Reply::ok(show(data, found)))
        }
        ("PUT", false) => put(call, target, data),
        ("POST", false) if target.kind.ends_with("/cancel") => cancel(data, name),
        _ => Err(Reply::no_route(call)),
    }
}

fn listed(call: &Call, target: &Target, data: &Data, one: &Value) -> bool {
    let filter = call.asked("$filter");
    let quoted = filter.split('\'').nth(1).unwrap_or_default();
    let scope = text(one, "/properties/scope");
    let within = covers(data, scope, &target.scope) || covers(data, &target.scope, scope);
    within && (!filter.contains("principalId eq") || text(one, "/properties/principalId") == quoted)
}

/// With the state that it has by now.
fn show(data: &Data, request: &Value) -> Value {
    let mut request = request.clone();
    let name = text(&request, "/name").to_owned();
    if text(&request, "/properties/status") == "PendingProvisioning" {
        let waits = data.schedules.iter().any(|one| one.request == name && !one.live);
        set(
            &mut request,
            "properties/status",
            if waits {
                "PendingProvisioning"
            } else {
                "Provisioned"
            },
        );
    }
    request
}

fn put(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let name = key(target.name(0));
    if !is_guid(&name) {
        let message = "The role assignment schedule request name must be a GUID.";
        return Err(Reply::arm(
            400,
            "InvalidRoleAssignmentScheduleRequestName",
            message,
        ));
    }
    if data.requests.contains_key(&name) {
        let message = "A role assignment schedule request with that name already exists.";
        return Err(Reply::arm(409, "RoleAssignmentScheduleRequestExists", message));
    }
    let wanted = call.body.get("properties").cloned().unwrap_or_default();
    let (principal, role) = (
        text(&wanted, "/principalId").to_owned(),
        text(&wanted, "/roleDefinitionId"),
    );
    let Some(definition) = rights::definition(data, role) else {
        let message = format!("The specified role definition with ID '{role}' does not exist.");
        return Err(Reply::arm(400, "RoleDefinitionDoesNotExist", message));
    };
    let role = text(definition, "/name").to_owned();
    if data.principal_kind(&principal).is_none() {
        let message = format!(
            "Principal {principal} does not exist in the directory {}.",
            data.tenant
        );
        return Err(Reply::arm(400, "PrincipalNotFound", message));
    }
    let status = act(call, target, data, &wanted, (&role, &principal))?;
    let made = make(call, target, data, &wanted, (&role, &principal), status);
    data.requests.insert(name, made.clone());
    Ok(Reply::new(201, made))
}

/// Does what is asked for; the request's status.
fn act(
    call: &Call,
    target: &Target,
    data: &mut Data,
    wanted: &Value,
    (role, principal): (&str, &str),
) -> Result<&'static str, Reply> {
    let name = key(target.name(0));
    let there = data
        .schedules
        .iter()
        .find(|one| one.is(&target.scope, role, principal))
        .cloned();
    match (text(wanted, "/requestType"), there) {
        ("AdminAssign", None) => {
            let asked = judged(call, target, data, wanted, role)?;
            assign(call, target, data, &name, (role, principal), asked)
        }
        ("AdminAssign", Some(_)) => Err(exists()),
        ("AdminUpdate" | "AdminExtend", Some(one)) => {
            let asked = judged(call, target, data, wanted, role)?;
            for schedule in data.schedules.iter_mut().filter(|schedule| schedule.id == one.id) {
                schedule.ends = asked.ends;
                schedule.request.clone_from(&name);
            }
            Ok("Provisioned")
        }
        ("AdminRemove", Some(one)) => {
            let delete = Call {
                method: "DELETE".to_owned(),
                ..call.clone()
            };
            rights::unlocked(data, &delete, &target.scope)?;
            data.end_schedule(&one.id);
            Ok("Revoked")
        }
        ("AdminRemove" | "AdminUpdate" | "AdminExtend", None) => {
            let message = "The Role assignment does not exist.";
            Err(Reply::arm(400, "RoleAssignmentDoesNotExist", message))
        }
        (other, _) => {
            let message = format!("The stand-in has no requests of the type {other}.");
            Err(Reply::arm(400, "InvalidRequestType", message))
        }
    }
}

fn exists() -> Reply {
    Reply::arm(409, "RoleAssignmentExists", "The Role assignment already exists.")
}

fn judged(call: &Call, target: &Target, data: &Data, wanted: &Value, role: &str) -> Result<Asked, Reply> {
    let asked = asked(call, wanted.get("scheduleInfo").unwrap_or(&Value::Null))?;
    let rules = policies::rules(data, &target.scope, role);
    let reason = text(wanted, "/justification");
    follow(&rules, &asked, reason, text(wanted, "/ticketInfo/ticketNumber"))?;
    Ok(asked)
}

fn assign(
    call: &Call,
    target: &Target,
    data: &mut Data,
    request: &str,
    (role, principal): (&str, &str),
    asked: Asked,
) -> Result<&'static str, Reply> {
    let plain = data.assignments.values().any(|one| {
        key(text(one, "/properties/scope")) == key(&target.scope)
            && text(one, "/properties/principalId") == principal
            && text(one, "/properties/roleDefinitionId")
                .to_ascii_lowercase()
                .ends_with(role)
    });
    if plain {
        return Err(exists());
    }
    let id = data.new_id(0x5c);
    data.schedules.push(Schedule {
        id,
        request: request.to_owned(),
        scope: target.scope.clone(),
        role: role.to_owned(),
        principal: principal.to_owned(),
        made: call.now,
        starts: asked.starts.max(after(call.now, data.operations_take)),
        ends: asked.ends,
        live: false,
    });
    data.settle_schedules(call.now);
    Ok("PendingProvisioning")
}

fn make(
    call: &Call,
    target: &Target,
    data: &Data,
    wanted: &Value,
    (role, principal): (&str, &str),
    status: &str,
) -> Value {
    let name = key(target.name(0));
    let waits = data.schedules.iter().find(|one| one.request == name);
    let status = if waits.is_some_and(|one| one.live) {
        "Provisioned"
    } else {
        status
    };
    let mut properties = json!({
        "scope": target.scope,
        "roleDefinitionId": full_role(&target.scope, role),
        "principalId": principal,
        "principalType": data.principal_kind(principal),
        "requestType": text(wanted, "/requestType"),
        "status": status,
        "createdOn": call.now.to_string(),
        "requestorId": call.caller,
        "expandedProperties": shown::expanded(data, &target.scope, role, principal),
    });
    for kept in [
        "justification",
        "scheduleInfo",
        "ticketInfo",
        "condition",
        "conditionVersion",
    ] {
        if let Some(value) = wanted.get(kept).filter(|value| !value.is_null()) {
            set(&mut properties, kept, value.clone());
        }
    }
    if let Some(one) = waits {
        set(&mut properties, "targetRoleAssignmentScheduleId", one.id.clone());
        set(
            &mut properties,
            "targetRoleAssignmentScheduleInstanceId",
            one.id.clone(),
        );
    }
    json!({
        "id": format!("{}/providers/Microsoft.Authorization/RoleAssignmentScheduleRequests/{name}", target.scope),
        "name": name,
        "type": "Microsoft.Authorization/RoleAssignmentScheduleRequests",
        "properties": properties,
    })
}

/// Takes back what has not begun.
fn cancel(data: &mut Data, name: &str) -> Answer {
    let name = key(name);
    let waits = data
        .schedules
        .iter()
        .position(|one| one.request == name && !one.live);
    let (Some(at), Some(request)) = (waits, data.requests.get_mut(&name)) else {
        let message = "The role assignment request cannot be canceled.";
        return Err(Reply::arm(400, "RoleAssignmentRequestCannotBeCanceled", message));
    };
    set(request, "properties/status", "Canceled");
    data.schedules.remove(at);
    Ok(Reply::empty(200))
}
