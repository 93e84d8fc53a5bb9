//! Role definitions, 2022-04-01: the few built-in ones that tests want, and custom ones.

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, set, text};
use super::rights;
use super::scope::{Target, covers};
use super::world::Data;

/// Name, id and actions of built-in roles ("Azure built-in roles"; of the long ones, only what tests want).
const BUILT_IN: &[(&str, &str, &[&str], &[&str])] = &[
    ("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", &["*"], &[]),
    (
        "Contributor",
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        &["*"],
        &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
    ),
    ("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", &["*/read"], &[]),
    (
        "User Access Administrator",
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        &["*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"],
        &[],
    ),
    (
        "Role Based Access Control Administrator",
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        &[
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        ],
        &[],
    ),
    (
        "Network Contributor",
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        &["Microsoft.Authorization/*/read", "Microsoft.Network/*"],
        &[],
    ),
    (
        "Virtual Machine Contributor",
        "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Compute/virtualMachines/*",
        ],
        &[],
    ),
];

/// Puts the built-in ones in.
pub(super) fn built_in(data: &mut Data) {
    for (name, id, actions, not_actions) in BUILT_IN {
        let role = json!({
            "id": format!("/providers/Microsoft.Authorization/roleDefinitions/{id}"),
            "name": id,
            "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": name,
                "description": format!("The stand-in's {name}."),
                "type": "BuiltInRole",
                "assignableScopes": ["/"],
                "permissions": [{"actions": actions, "notActions": not_actions, "dataActions": [], "notDataActions": []}],
            },
        });
        data.definitions.insert((*id).to_owned(), role);
    }
}

/// The id of a built-in or custom role, by its name or by the last part of its id.
pub(super) fn id_of(data: &Data, name: &str) -> Option<String> {
    let found = data
        .definitions
        .values()
        .find(|role| text(role, "/properties/roleName") == name)
        .or_else(|| rights::definition(data, name))?;
    Some(text(found, "/name").to_owned())
}

/// Everything about role definitions.
pub(super) fn answer(call: &Call, target: &Target, data: &mut Data) -> Answer {
    let name = target.name(0).to_ascii_lowercase();
    match (call.method.as_str(), name.is_empty()) {
        ("GET", true) => Ok(Reply::ok(json!({"value": list(call, target, data)}))),
        ("GET", false) => {
            let role = data.definitions.get(&name);
            Ok(Reply::ok(role.cloned().ok_or_else(|| absent(&name))?))
        }
        ("PUT", false) => put(call, target, data, &name),
        ("DELETE", false) => delete(data, &name),
        _ => Err(Reply::no_route(call)),
    }
}

fn absent(name: &str) -> Reply {
    let message = format!("The specified role definition with ID '{name}' does not exist.");
    Reply::arm(404, "RoleDefinitionDoesNotExist", message)
}

fn list(call: &Call, target: &Target, data: &Data) -> Vec<Value> {
    let filter = call.asked("$filter");
    let quoted = |word: &str| {
        filter
            .split_once(word)
            .and_then(|(_, rest)| rest.split('\'').nth(1))
    };
    let (name, kind) = (quoted("roleName eq"), quoted("type eq"));
    data.definitions
        .values()
        .filter(|role| name.is_none_or(|name| text(role, "/properties/roleName") == name))
        .filter(|role| kind.is_none_or(|kind| text(role, "/properties/type") == kind))
        .filter(|role| {
            let scopes = role
                .pointer("/properties/assignableScopes")
                .and_then(Value::as_array);
            let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
            scopes.into_iter().any(|scope| covers(data, scope, &target.scope))
        })
        .cloned()
        .collect()
}

fn put(call: &Call, target: &Target, data: &mut Data, name: &str) -> Answer {
    let old = data.definitions.get(name);
    if old.is_some_and(|old| text(old, "/properties/type") == "BuiltInRole") {
        let message = "Built-in roles cannot be changed.";
        return Err(Reply::arm(400, "RoleDefinitionCannotBeUpdated", message));
    }
    let mut properties = call.body.get("properties").cloned().unwrap_or_default();
    let role_name = text(&properties, "/roleName").to_owned();
    let twice = data.definitions.values().any(|role| {
        text(role, "/properties/roleName") == role_name && !text(role, "/name").eq_ignore_ascii_case(name)
    });
    if twice {
        let message =
            format!("A custom role with the same name '{role_name}' already exists in this directory.");
        return Err(Reply::arm(409, "RoleDefinitionWithSameNameExists", message));
    }
    if properties.pointer("/permissions/0").is_none() || properties.pointer("/assignableScopes/0").is_none() {
        let message = "The role definition has no permissions or no assignable scopes.";
        return Err(Reply::arm(400, "InvalidRoleDefinition", message));
    }
    set(&mut properties, "type", "CustomRole");
    set(&mut properties, "createdOn", call.now.to_string());
    set(&mut properties, "updatedOn", call.now.to_string());
    set(&mut properties, "createdBy", call.caller.clone());
    set(&mut properties, "updatedBy", call.caller.clone());
    let role = json!({
        "id": format!("{}/providers/Microsoft.Authorization/roleDefinitions/{name}", target.scope),
        "name": name,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": properties,
    });
    data.definitions.insert(name.to_owned(), role.clone());
    Ok(Reply::new(201, role))
}

fn delete(data: &mut Data, name: &str) -> Answer {
    let used = data.assignments.values().any(|one| {
        text(one, "/properties/roleDefinitionId")
            .to_ascii_lowercase()
            .ends_with(name)
    });
    if used {
        let message =
            "There are existing role assignments referencing role (code: RoleDefinitionHasAssignments).";
        return Err(Reply::arm(400, "RoleDefinitionHasAssignments", message));
    }
    Ok(data
        .definitions
        .remove(name)
        .map_or_else(|| Reply::empty(204), Reply::ok))
}
