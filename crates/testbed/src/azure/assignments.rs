//! Role assignments, 2022-04-01: made, shown, listed, taken away, with what Azure refuses ("Troubleshoot Azure RBAC").

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, page, set, text};
use super::rights;
use super::scope::{Target, covers, key};
use super::world::Data;

/// Everything about role assignments.
pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let id = key(&call.path);
    match (call.method.as_str(), target.name(0).is_empty()) {
        ("GET", true) => {
            let all = list(call, target, data)?;
            let body = page(call, all, data.page_size, "nextLink", "$skipToken");
            Ok(Reply::ok(body))
        }
        ("GET", false) => {
            let found = data.assignments.get(&id).cloned();
            Ok(Reply::ok(found.ok_or_else(|| absent(target.name(0)))?))
        }
        ("PUT", false) => put(call, target, data),
        ("DELETE", false) => Ok(data
            .assignments
            .remove(&id)
            .map_or_else(|| Reply::empty(204), Reply::ok)),
        _ => Err(Reply::no_route(call)),
    }
}

fn absent(name: &str) -> Reply {
    let message = format!("The role assignment '{name}' is not found.");
    Reply::arm(404, "RoleAssignmentNotFound", message)
}

fn put(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let name = target.name(0);
    if !is_guid(name) {
        let message =
            format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        return Err(Reply::arm(400, "InvalidRoleAssignmentId", message));
    }
    let wanted = call.body.get("properties").cloned().unwrap_or_default();
    let (principal, role) = (text(&wanted, "/principalId"), text(&wanted, "/roleDefinitionId"));
    let Some(definition) = rights::definition(data, role) else {
        let message = format!("The specified role definition with ID '{role}' does not exist.");
        return Err(Reply::arm(400, "RoleDefinitionDoesNotExist", message));
    };
    let role = text(definition, "/name").to_owned();
    let Some(kind) = data.principal_kind(principal) else {
        let message = format!(
            "Principal {principal} does not exist in the directory {}. Check that you have the correct principal ID.",
            data.tenant
        );
        return Err(Reply::arm(400, "PrincipalNotFound", message));
    };
    let said = text(&wanted, "/principalType");
    if !said.is_empty() && said != kind {
        let message =
            format!("The principal type '{said}' does not match the actual type '{kind}' of {principal}.");
        return Err(Reply::arm(400, "UnmatchedPrincipalType", message));
    }
    check_other(data, target, principal, &role)?;
    if let Some(old) = data.assignments.get(&key(&call.path)) {
        return again(old, &wanted, &role);
    }
    let made = make(call, target, &wanted, kind, &role);
    data.assignments.insert(key(&call.path), made.clone());
    Ok(Reply::new(201, made))
}

/// The same principal, role and scope under another name.
fn check_other(data: &Data, target: &Target, principal: &str, role: &str) -> Result<(), Reply> {
    let scope = key(&target.scope);
    let other = data.assignments.values().find(|one| {
        key(text(one, "/properties/scope")) == scope
            && text(one, "/properties/principalId") == principal
            && text(one, "/properties/roleDefinitionId")
                .to_ascii_lowercase()
                .ends_with(role)
            && !text(one, "/name").eq_ignore_ascii_case(target.name(0))
    });
    other.map_or(Ok(()), |other| {
        let name = text(other, "/name").replace('-', "");
        let message =
            format!("The role assignment already exists. The ID of the existing role assignment is {name}.");
        Err(Reply::arm(409, "RoleAssignmentExists", message))
    })
}

/// The same name once more: what is there, if it says the same.
fn again(old: &Value, wanted: &Value, role: &str) -> Answer {
    let same = text(old, "/properties/principalId") == text(wanted, "/principalId")
        && text(old, "/properties/roleDefinitionId")
            .to_ascii_lowercase()
            .ends_with(role);
    if !same {
        let message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
        return Err(Reply::arm(409, "RoleAssignmentUpdateNotPermitted", message));
    }
    Ok(Reply::ok(old.clone()))
}

fn make(call: &Call, target: &Target, wanted: &Value, kind: &str, role: &str) -> Value {
    let now = call.now.to_string();
    let mut properties = json!({
        "roleDefinitionId": full_role(&target.scope, role),
        "principalId": text(wanted, "/principalId"),
        "principalType": kind,
        "scope": target.scope,
        "createdOn": now,
        "updatedOn": now,
        "createdBy": call.caller,
        "updatedBy": call.caller,
    });
    for kept in ["description", "condition", "conditionVersion"] {
        if let Some(value) = wanted.get(kept).filter(|value| !value.is_null()) {
            set(&mut properties, kept, value.clone());
        }
    }
    json!({
        "id": format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", target.scope, target.name(0)),
        "name": target.name(0),
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": properties,
    })
}

/// Role ids are shown below the subscription, where there is one.
pub(super) fn full_role(scope: &str, role: &str) -> String {
    let below = super::scope::subscription(scope).unwrap_or_default();
    format!("{below}/providers/Microsoft.Authorization/roleDefinitions/{role}")
}

/// What is listed at a scope: what is assigned at it, above it and below it; the filter says less ("List Azure role assignments
/// using the REST API").
fn list(call: &Call, target: &Target, data: &Data) -> Result<Vec<Value>, Reply> {
    let filter = call.asked("$filter");
    let quoted = filter.split('\'').nth(1).unwrap_or_default();
    let at_scope = filter.contains("atScope()");
    let who = if filter.contains("assignedTo(") {
        Some(data.all_of(quoted))
    } else if filter.contains("principalId eq") {
        Some([quoted.to_owned()].into())
    } else if filter.is_empty() || at_scope {
        None
    } else {
        let message = format!("The filter '{filter}' is not supported.");
        return Err(Reply::arm(400, "UnsupportedQuery", message));
    };
    Ok(data
        .assignments
        .values()
        .filter(|one| {
            let scope = text(one, "/properties/scope");
            covers(data, scope, &target.scope) || !at_scope && covers(data, &target.scope, scope)
        })
        .filter(|one| {
            who.as_ref()
                .is_none_or(|who| who.contains(text(one, "/properties/principalId")))
        })
        .cloned()
        .collect())
}

/// Whether a text has the form of an id of Entra.
pub(super) fn is_guid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|one| one == '-' || one.is_ascii_hexdigit())
}
