//! What PIM shows: schedules, their instances, and who is eligible.

use serde_json::{Value, json};

use super::super::assignments::full_role;
use super::super::call::{Answer, Call, Reply, page, set, text};
use super::super::scope::{Target, covers, key};
use super::super::world::Data;
use super::Schedule;

/// `roleAssignmentSchedules`, `roleAssignmentScheduleInstances`, and the same of eligibility.
pub(super) fn answer(call: &Call, target: &Target, data: &Data) -> Answer {
    let kind = match target.kind.as_str() {
        "roleassignmentschedules" => "RoleAssignmentSchedules",
        "roleassignmentscheduleinstances" => "RoleAssignmentScheduleInstances",
        "roleeligibilityschedules" => "RoleEligibilitySchedules",
        "roleeligibilityscheduleinstances" => "RoleEligibilityScheduleInstances",
        _ => return Err(Reply::no_route(call)),
    };
    let schedules = if kind.contains("Eligibility") {
        &data.eligible
    } else {
        &data.schedules
    };
    // An instance is what has begun; a schedule is there before.
    let schedules = schedules
        .iter()
        .filter(|one| one.live || !kind.ends_with("Instances"));
    let mut all: Vec<_> = schedules.map(|one| show(data, one, kind)).collect();
    if kind == "RoleAssignmentScheduleInstances" {
        all.extend(plain(data));
    }
    let name = target.name(0);
    if !name.is_empty() {
        let found = all.into_iter().find(|one| text(one, "/name") == key(name));
        return Ok(Reply::ok(found.ok_or_else(|| Reply::not_found(name))?));
    }
    let all = all
        .into_iter()
        .filter(|one| listed(call, target, data, one))
        .collect();
    Ok(Reply::ok(page(
        call,
        all,
        data.page_size,
        "nextLink",
        "$skiptoken",
    )))
}

/// `atScope()`: at it and above; `asTarget()`: the caller's; `assignedTo('…')`: through groups too; `principalId eq '…'`.
fn listed(call: &Call, target: &Target, data: &Data, one: &Value) -> bool {
    let filter = call.asked("$filter");
    let scope = text(one, "/properties/scope");
    let who = text(one, "/properties/principalId");
    let quoted = |word: &str| {
        filter
            .split_once(word)
            .and_then(|(_, rest)| rest.split('\'').nth(1))
    };
    let above = covers(data, scope, &target.scope);
    let below = !filter.contains("atScope()") && covers(data, &target.scope, scope);
    (above || below)
        && (!filter.contains("asTarget()") || data.all_of(&call.caller).contains(who))
        && quoted("assignedTo(").is_none_or(|id| data.all_of(id).contains(who))
        && quoted("principalId eq").is_none_or(|id| id == who)
        && quoted("roleDefinitionId eq").is_none_or(|id| {
            let named = id.rsplit('/').next().unwrap_or_default();
            text(one, "/properties/roleDefinitionId")
                .to_ascii_lowercase()
                .ends_with(&named.to_ascii_lowercase())
        })
}

fn show(data: &Data, one: &Schedule, kind: &str) -> Value {
    let instance = kind.ends_with("Instances");
    let mut properties = json!({
        "scope": one.scope,
        "roleDefinitionId": full_role(&one.scope, &one.role),
        "principalId": one.principal,
        "principalType": data.principal_kind(&one.principal).unwrap_or("User"),
        "status": if one.live { "Provisioned" } else { "PendingProvisioning" },
        "memberType": "Direct",
        "startDateTime": one.starts.to_string(),
        "createdOn": one.made.to_string(),
        "expandedProperties": expanded(data, &one.scope, &one.role, &one.principal),
    });
    if let Some(ends) = one.ends {
        set(&mut properties, "endDateTime", ends.to_string());
    }
    let below =
        |kind: &str, name: &str| format!("{}/providers/Microsoft.Authorization/{kind}/{name}", one.scope);
    match kind {
        "RoleAssignmentSchedules" => {
            set(&mut properties, "assignmentType", "Assigned");
            set(&mut properties, "updatedOn", one.made.to_string());
            let request = below("RoleAssignmentScheduleRequests", &one.request);
            set(&mut properties, "roleAssignmentScheduleRequestId", request);
        }
        "RoleAssignmentScheduleInstances" => {
            set(&mut properties, "assignmentType", "Assigned");
            set(
                &mut properties,
                "originRoleAssignmentId",
                below("roleAssignments", &one.id),
            );
            set(
                &mut properties,
                "roleAssignmentScheduleId",
                below("RoleAssignmentSchedules", &one.id),
            );
        }
        "RoleEligibilityScheduleInstances" => {
            set(
                &mut properties,
                "roleEligibilityScheduleId",
                below("RoleEligibilitySchedules", &one.id),
            );
        }
        _ => {}
    }
    if instance && kind.contains("Assignment") {
        set(&mut properties, "status", "Provisioned");
    }
    json!({
        "id": below(kind, &one.id),
        "name": one.id,
        "type": format!("Microsoft.Authorization/{kind}"),
        "properties": properties,
    })
}

/// Plain role assignments are instances too, without an end; so it is met in practice.
fn plain(data: &Data) -> Vec<Value> {
    let ours = |one: &&Value| {
        data.schedules
            .iter()
            .any(|schedule| schedule.id == text(one, "/name"))
    };
    let all = data.assignments.values().filter(|one| !ours(one));
    all.map(|one| {
        let of = |pointer: &str| text(one, pointer).to_owned();
        let (scope, name) = (of("/properties/scope"), of("/name"));
        let role = of("/properties/roleDefinitionId");
        let role_name = role.rsplit('/').next().unwrap_or_default();
        let id = format!("{scope}/providers/Microsoft.Authorization/RoleAssignmentScheduleInstances/{name}");
        json!({
            "id": id,
            "name": name,
            "type": "Microsoft.Authorization/RoleAssignmentScheduleInstances",
            "properties": {
                "scope": scope,
                "roleDefinitionId": role,
                "principalId": of("/properties/principalId"),
                "principalType": of("/properties/principalType"),
                "status": "Provisioned",
                "assignmentType": "Assigned",
                "memberType": "Direct",
                "originRoleAssignmentId": of("/id"),
                "startDateTime": of("/properties/createdOn"),
                "createdOn": of("/properties/createdOn"),
                "expandedProperties": expanded(data, &scope, role_name, &of("/properties/principalId")),
            },
        })
    })
    .collect()
}

/// The names beside the ids.
pub(super) fn expanded(data: &Data, scope: &str, role: &str, principal: &str) -> Value {
    let definition = data.definitions.get(&role.to_ascii_lowercase());
    let kind = match key(scope).split('/').count() {
        3 => "subscription",
        5 => "resourcegroup",
        _ => "resource",
    };
    let who = data.principals.get(principal);
    let name = who
        .map(|who| who.name.clone())
        .or_else(|| data.groups.get(principal).map(|group| group.name.clone()));
    let mut shown = json!({
        "scope": {"id": scope, "displayName": scope.rsplit('/').next(), "type": kind},
        "roleDefinition": {
            "id": full_role(scope, role),
            "displayName": definition.map(|one| text(one, "/properties/roleName")).unwrap_or_default(),
            "type": definition.map(|one| text(one, "/properties/type")).unwrap_or_default(),
        },
        "principal": {
            "id": principal, "displayName": name.unwrap_or_default(), "type": data.principal_kind(principal).unwrap_or("User"),
        },
    });
    if let Some(who) = who.filter(|who| who.kind == "User") {
        set(&mut shown, "principal/email", who.login.clone());
    }
    shown
}
