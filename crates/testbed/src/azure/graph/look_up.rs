//! Objects of the directory by their ids: users, programs, groups, and many at once.

use serde_json::{Value, json};

use super::super::call::{Answer, Call, Reply};
use super::super::world::Data;
use super::{absent, denied, groups, holds, no_route, select};

/// "Get user".
const USERS: &[&str] = &[
    "User.Read.All",
    "User.ReadBasic.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// "Get servicePrincipal".
const PROGRAMS: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// "directoryObject: getByIds".
const OBJECTS: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All"];

/// Everything below `users`, `servicePrincipals` and `directoryObjects`.
pub(super) fn answer(call: &Call, data: &Data) -> Answer {
    let parts = call.parts();
    let check = |permissions: &[&str]| {
        if holds(data, &call.caller, permissions) {
            Ok(())
        } else {
            Err(denied())
        }
    };
    match (call.method.as_str(), parts.get(1..).unwrap_or_default()) {
        ("GET", ["users", id]) => {
            check(USERS)?;
            one(call, data, id, "User")
        }
        ("GET", ["servicePrincipals", id]) => {
            let own = *id == call.caller;
            if !own {
                check(PROGRAMS)?;
            }
            one(call, data, id, "ServicePrincipal")
        }
        ("GET", ["servicePrincipals", id, "appRoleAssignments"]) => {
            if *id != call.caller {
                check(PROGRAMS)?;
            }
            app_roles(data, id)
        }
        ("GET", ["directoryObjects", id]) => {
            check(OBJECTS)?;
            let found = object(data, &id.to_ascii_lowercase()).ok_or_else(|| absent(id))?;
            Ok(Reply::ok(select(call, found)))
        }
        ("POST", ["directoryObjects", "getByIds"]) => {
            check(&[OBJECTS, USERS, &["GroupMember.Read.All", "Group.Read.All"]].concat())?;
            let ids = call.body.get("ids").and_then(Value::as_array);
            let ids = ids.into_iter().flatten().filter_map(Value::as_str);
            let all: Vec<_> = ids
                .filter_map(|id| object(data, &id.to_ascii_lowercase()))
                .collect();
            let all: Vec<_> = all.into_iter().map(|one| select(call, one)).collect();
            Ok(Reply::ok(json!({"value": all})))
        }
        _ => Err(no_route(call)),
    }
}

/// By object id, or by login or client id as `users/{upn}` has it.
fn one(call: &Call, data: &Data, id: &str, kind: &str) -> Answer {
    let of_kind = data.principals.values().filter(|one| one.kind == kind);
    let mut found =
        of_kind.filter(|one| one.id.eq_ignore_ascii_case(id) || one.kind == "User" && one.login == id);
    let found = found.next().ok_or_else(|| absent(id))?;
    Ok(Reply::ok(select(
        call,
        object(data, &found.id).unwrap_or_default(),
    )))
}

/// The ids of Graph's permissions are the stand-in's own: their names, written as ids.
fn app_roles(data: &Data, id: &str) -> Answer {
    let found = data.principals.get(id).ok_or_else(|| absent(id))?;
    let all: Vec<_> = found
        .app_roles
        .iter()
        .map(|role| json!({"id": role, "appRoleId": role, "principalId": id, "resourceDisplayName": "Microsoft Graph"}))
        .collect();
    Ok(Reply::ok(json!({"value": all})))
}

/// As Graph shows it.
pub(super) fn object(data: &Data, id: &str) -> Option<Value> {
    if let Some(group) = data.groups.get(id) {
        return Some(groups::show(group));
    }
    let one = data.principals.get(id)?;
    Some(if one.kind == "User" {
        json!({
            "@odata.type": "#microsoft.graph.user",
            "id": one.id,
            "displayName": one.name,
            "userPrincipalName": one.login,
            "accountEnabled": true,
        })
    } else {
        json!({
            "@odata.type": "#microsoft.graph.servicePrincipal",
            "id": one.id,
            "displayName": one.name,
            "appId": one.login,
            "servicePrincipalType": "Application",
        })
    })
}
