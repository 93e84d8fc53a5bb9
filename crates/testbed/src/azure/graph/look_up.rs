//! Objects of the directory by their ids: users, programs, groups, and many at once.

use serde_json::{Value, json};

use super::super::call::{Answer, Call, Reply, page, text};
use super::super::world::Data;
use super::{absent, app_roles, denied, groups, holds, no_route, select};

/// "Get user".
pub(super) const USERS: &[&str] = &[
    "User.Read.All",
    "User.ReadBasic.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// "Get servicePrincipal".
pub(super) const PROGRAMS: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// "directoryObject: getByIds".
pub(super) const OBJECTS: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All"];

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
            roles_of(data, id)
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

fn roles_of(data: &Data, id: &str) -> Answer {
    let found = data.principals.get(id).ok_or_else(|| absent(id))?;
    let all: Vec<_> = found
        .app_roles
        .iter()
        .map(|role| {
            json!({
                "id": format!("{id}-{role}"),
                "appRoleId": app_roles::id(role),
                "principalId": id,
                "principalType": "ServicePrincipal",
                "resourceId": app_roles::id("Microsoft Graph"),
                "resourceDisplayName": "Microsoft Graph",
            })
        })
        .collect();
    Ok(Reply::ok(json!({"value": all})))
}

/// `GET /servicePrincipals`, with `$filter=appId eq '…'`.
pub(super) fn programs(call: &Call, data: &Data) -> Answer {
    if !holds(data, &call.caller, PROGRAMS) {
        return Err(denied());
    }
    let wanted = call
        .asked("$filter")
        .split_once("appId eq")
        .and_then(|(_, rest)| rest.split('\'').nth(1));
    let known = data
        .principals
        .values()
        .filter(|one| one.kind == "ServicePrincipal");
    let all = known.filter_map(|one| object(data, &one.id));
    let all = all.chain([app_roles::service_principal(data)]);
    let all = all.filter(|one| wanted.is_none_or(|wanted| text(one, "/appId") == wanted));
    let all = all.map(|one| select(call, one)).collect();
    Ok(Reply::ok(page(
        call,
        all,
        data.page_size,
        "@odata.nextLink",
        "$skiptoken",
    )))
}

/// `GET /servicePrincipals(appId='…')`.
pub(super) fn by_client(call: &Call, data: &Data, part: &str) -> Answer {
    let client = part.split('\'').nth(1).unwrap_or_default();
    let known = data
        .principals
        .values()
        .find(|one| one.kind == "ServicePrincipal" && one.login == client);
    if known.is_none_or(|one| one.id != call.caller) && !holds(data, &call.caller, PROGRAMS) {
        return Err(denied());
    }
    let found = match known {
        Some(one) => object(data, &one.id),
        None => (client == app_roles::GRAPH).then(|| app_roles::service_principal(data)),
    };
    Ok(Reply::ok(select(call, found.ok_or_else(|| absent(client))?)))
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
