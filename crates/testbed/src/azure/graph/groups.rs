//! Groups of Entra: shown, and their direct members changed.

use serde_json::{Value, json};

use super::super::call::{Answer, Call, Reply, page, text};
use super::super::world::{Data, Group};
use super::{absent, bad, denied, holds, look_up, no_route, select};

/// Who may read groups and members ("Get group", "List group members").
pub(super) const READ: &[&str] = &[
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// Who may change members ("Add members").
pub(super) const WRITE: &[&str] = &[
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
    "Directory.ReadWrite.All",
];

/// Everything below `/v1.0/groups`.
pub(super) fn answer(call: &Call, data: &mut Data) -> Answer {
    let parts = call.parts();
    match (call.method.as_str(), parts.get(2..).unwrap_or_default()) {
        ("GET", []) => {
            allowed(call, data, READ)?;
            let all = data.groups.values().filter(|group| wanted(call, group));
            let all = all.map(|group| select(call, show(group))).collect();
            Ok(Reply::ok(listed(call, data, all)))
        }
        ("GET", [id]) => {
            allowed(call, data, READ)?;
            Ok(Reply::ok(select(call, show(group(data, id)?))))
        }
        ("GET", [id, list @ ("members" | "owners" | "transitiveMembers")]) => {
            allowed(call, data, READ)?;
            members(call, data, id, list)
        }
        ("POST", [id, "members", "$ref"]) => add(call, data, id),
        ("DELETE", [id, "members", member, "$ref"]) => remove(call, data, id, member),
        _ => Err(no_route(call)),
    }
}

fn allowed(call: &Call, data: &Data, permissions: &[&str]) -> Result<(), Reply> {
    if holds(data, &call.caller, permissions) {
        Ok(())
    } else {
        Err(denied())
    }
}

/// To change members one needs a permission, or to own the group; of a group that roles can be given to, more.
fn may_change(call: &Call, data: &Data, id: &str) -> Result<(), Reply> {
    let group = group(data, id)?;
    let owns = group.owners.contains(&call.caller);
    let role =
        !group.role_assignable || owns || holds(data, &call.caller, &["RoleManagement.ReadWrite.Directory"]);
    if role && (owns || holds(data, &call.caller, WRITE)) {
        Ok(())
    } else {
        Err(denied())
    }
}

fn group<'d>(data: &'d Data, id: &str) -> Result<&'d Group, Reply> {
    data.groups
        .get(&id.to_ascii_lowercase())
        .ok_or_else(|| absent(id))
}

/// `$filter=displayName eq '…'`.
fn wanted(call: &Call, group: &Group) -> bool {
    let name = call
        .asked("$filter")
        .split_once("displayName eq")
        .and_then(|(_, rest)| rest.split('\'').nth(1));
    name.is_none_or(|name| name == group.name)
}

/// As Graph shows one.
pub(super) fn show(group: &Group) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.group",
        "id": group.id,
        "displayName": group.name,
        "securityEnabled": true,
        "mailEnabled": false,
        "groupTypes": [],
        "isAssignableToRole": group.role_assignable.then_some(true),
    })
}

/// A page, by `$top` (100 where nothing is said, 999 at most).
fn listed(call: &Call, data: &Data, all: Vec<Value>) -> Value {
    let at_once = call.asked("$top").parse().unwrap_or(data.page_size).min(999);
    page(call, all, at_once, "@odata.nextLink", "$skiptoken")
}

fn members(call: &Call, data: &Data, id: &str, list: &str) -> Answer {
    let group = group(data, id)?;
    let ids: Vec<String> = match list {
        "owners" => group.owners.clone(),
        "members" => group.members.clone(),
        _ => {
            let everybody = data.principals.keys().chain(data.groups.keys());
            let inside = everybody.filter(|one| **one != group.id && data.all_of(one).contains(&group.id));
            inside.cloned().collect()
        }
    };
    let all = ids
        .iter()
        .filter_map(|id| look_up::object(data, id))
        .map(|one| select(call, one))
        .collect();
    Ok(Reply::ok(listed(call, data, all)))
}

fn add(call: &Call, data: &mut Data, id: &str) -> Answer {
    may_change(call, data, id)?;
    let link = text(&call.body, "/@odata.id");
    let member = link.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if link.is_empty() {
        return Err(bad("A property '@odata.id' was expected."));
    }
    if data.principal_kind(&member).is_none() {
        return Err(absent(&member));
    }
    let group = data
        .groups
        .get_mut(&id.to_ascii_lowercase())
        .ok_or_else(|| absent(id))?;
    if group.members.contains(&member) {
        return Err(bad(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    group.members.push(member);
    Ok(Reply::empty(204))
}

fn remove(call: &Call, data: &mut Data, id: &str, member: &str) -> Answer {
    may_change(call, data, id)?;
    let group = data
        .groups
        .get_mut(&id.to_ascii_lowercase())
        .ok_or_else(|| absent(id))?;
    let member = member.to_ascii_lowercase();
    if !group.members.contains(&member) {
        return Err(absent(&member));
    }
    group.members.retain(|one| *one != member);
    Ok(Reply::empty(204))
}
