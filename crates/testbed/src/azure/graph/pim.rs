//! PIM for groups: `identityGovernance/privilegedAccess/group` (shapes: Graph's metadata; what is refused with which code is as people
//! met it).

use serde_json::{Value, json};

use super::super::call::{Answer, Call, Reply, page, text};
use super::super::operations::after;
use super::super::pim::{Schedule, asked};
use super::super::world::Data;
use super::{absent, bad, denied, holds, no_route, select};

/// "Create assignmentScheduleRequest".
const WRITE: &[&str] = &[
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedAccess.ReadWrite.AzureADGroup",
];
/// "List assignmentScheduleInstances".
const READ: &[&str] = &[
    "PrivilegedAssignmentSchedule.Read.AzureADGroup",
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedAccess.Read.AzureADGroup",
    "PrivilegedAccess.ReadWrite.AzureADGroup",
];
/// "List eligibilityScheduleInstances".
const ELIGIBLE: &[&str] = &[
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
    "PrivilegedAccess.Read.AzureADGroup",
    "PrivilegedAccess.ReadWrite.AzureADGroup",
];

/// Everything below `/v1.0/identityGovernance/privilegedAccess/group`.
pub(super) fn answer(call: &Call, data: &mut Data) -> Answer {
    let parts = call.parts();
    let check = |permissions: &[&str]| {
        if holds(data, &call.caller, permissions) {
            Ok(())
        } else {
            Err(denied())
        }
    };
    match (call.method.as_str(), parts.get(4..).unwrap_or_default()) {
        ("POST", ["assignmentScheduleRequests"]) => {
            check(WRITE)?;
            post(call, data)
        }
        ("GET", ["assignmentScheduleRequests", rest @ ..]) => {
            check(READ)?;
            let all: Vec<_> = data
                .group_requests
                .values()
                .map(|one| current(data, one))
                .collect();
            given(call, data, all, rest)
        }
        (
            "GET",
            [
                list @ ("assignmentSchedules" | "assignmentScheduleInstances"),
                rest @ ..,
            ],
        ) => {
            check(READ)?;
            let all = data
                .group_schedules
                .iter()
                .filter(|one| one.live || !list.ends_with("Instances"));
            let all = all.map(|one| show(one, list)).collect();
            given(call, data, all, rest)
        }
        (
            "GET",
            [
                list @ ("eligibilitySchedules" | "eligibilityScheduleInstances"),
                rest @ ..,
            ],
        ) => {
            check(ELIGIBLE)?;
            let all = data.group_eligible.iter().map(|one| show(one, list)).collect();
            given(call, data, all, rest)
        }
        _ => Err(no_route(call)),
    }
}

/// One by its id, or those that `$filter` names. Graph wants a filter with a group or a principal for schedules and instances.
fn given(call: &Call, data: &Data, all: Vec<Value>, rest: &[&str]) -> Answer {
    if let [id] = rest {
        let found = all.into_iter().find(|one| text(one, "/id") == *id);
        return Ok(Reply::ok(select(call, found.ok_or_else(|| absent(id))?)));
    }
    let filter = call.asked("$filter");
    let quoted = |word: &str| {
        filter
            .split_once(word)
            .and_then(|(_, rest)| rest.split('\'').nth(1))
    };
    let (group, who) = (quoted("groupId eq"), quoted("principalId eq"));
    let wants_filter = !call.path.ends_with("Requests");
    if wants_filter && group.is_none() && who.is_none() {
        return Err(bad("The required filters are missing: groupId or principalId."));
    }
    let access = quoted("accessId eq");
    let all = all
        .into_iter()
        .filter(|one| group.is_none_or(|id| text(one, "/groupId") == id))
        .filter(|one| who.is_none_or(|id| text(one, "/principalId") == id))
        .filter(|one| access.is_none_or(|id| text(one, "/accessId") == id))
        .map(|one| select(call, one))
        .collect();
    let at_once = call.asked("$top").parse().unwrap_or(data.page_size);
    Ok(Reply::ok(page(
        call,
        all,
        at_once,
        "@odata.nextLink",
        "$skiptoken",
    )))
}

fn show(one: &Schedule, list: &str) -> Value {
    let mut shown = json!({
        "id": one.id,
        "groupId": one.scope,
        "principalId": one.principal,
        "accessId": one.role,
        "memberType": "direct",
    });
    if list.starts_with("assignment") {
        shown["assignmentType"] = "assigned".into();
    }
    if list.ends_with("Instances") {
        let of = if list.starts_with("assignment") {
            "assignmentScheduleId"
        } else {
            "eligibilityScheduleId"
        };
        shown[of] = one.id.clone().into();
        shown["startDateTime"] = one.starts.to_string().into();
        shown["endDateTime"] = one.ends.map(|ends| ends.to_string()).into();
        return shown;
    }
    shown["createdDateTime"] = one.made.to_string().into();
    shown["modifiedDateTime"] = one.made.to_string().into();
    shown["createdUsing"] = one.request.clone().into();
    shown["status"] = if one.live {
        "Provisioned"
    } else {
        "PendingProvisioning"
    }
    .into();
    shown["scheduleInfo"] = json!({
        "startDateTime": one.starts.to_string(),
        "expiration": {
            "type": if one.ends.is_some() { "afterDateTime" } else { "noExpiration" },
            "endDateTime": one.ends.map(|ends| ends.to_string()),
        },
    });
    shown
}

/// With the state that it has by now.
fn current(data: &Data, request: &Value) -> Value {
    let mut request = request.clone();
    if text(&request, "/status") == "PendingProvisioning" {
        let id = text(&request, "/id").to_owned();
        let waits = data
            .group_schedules
            .iter()
            .any(|one| one.request == id && !one.live);
        request["status"] = if waits {
            "PendingProvisioning"
        } else {
            "Provisioned"
        }
        .into();
    }
    request
}

fn post(call: &Call, data: &mut Data) -> Answer {
    let field = |name: &str| text(&call.body, &format!("/{name}")).to_owned();
    let (group, principal, access) = (field("groupId"), field("principalId"), field("accessId"));
    let Some(found) = data.groups.get(&group) else {
        return Err(absent(&group));
    };
    if data.principal_kind(&principal).is_none() {
        return Err(Reply::arm(400, "SubjectNotFound", "The subject is not found."));
    }
    if !["member", "owner"].contains(&access.as_str()) {
        return Err(bad("accessId is member or owner."));
    }
    let standing = if access == "owner" {
        &found.owners
    } else {
        &found.members
    };
    let standing = standing.contains(&principal);
    let there = data
        .group_schedules
        .iter()
        .find(|one| one.is(&group, &access, &principal))
        .cloned();
    let id = data.new_id(0x9e);
    let status = match (field("action").as_str(), there) {
        ("adminAssign", None) if !standing => {
            let asked = asked(call, call.body.get("scheduleInfo").unwrap_or(&Value::Null))?;
            if field("justification").is_empty() {
                let message = "The following policy rules failed: [\"JustificationRule\"]";
                return Err(Reply::arm(
                    400,
                    "RoleAssignmentRequestPolicyValidationFailed",
                    message,
                ));
            }
            let schedule = data.new_id(0x9f);
            data.group_schedules.push(Schedule {
                id: schedule,
                request: id.clone(),
                scope: group.clone(),
                role: access.clone(),
                principal: principal.clone(),
                made: call.now,
                starts: asked.starts.max(after(call.now, data.operations_take)),
                ends: asked.ends,
                live: false,
            });
            data.settle_group_schedules(call.now);
            "PendingProvisioning"
        }
        ("adminAssign", _) => {
            return Err(Reply::arm(
                400,
                "RoleAssignmentExists",
                "The Role assignment already exists.",
            ));
        }
        ("adminUpdate" | "adminExtend", Some(one)) => {
            let asked = asked(call, call.body.get("scheduleInfo").unwrap_or(&Value::Null))?;
            for schedule in data
                .group_schedules
                .iter_mut()
                .filter(|schedule| schedule.id == one.id)
            {
                schedule.ends = asked.ends;
            }
            "Provisioned"
        }
        ("adminRemove", Some(one)) => {
            data.end_group_schedule(&one.id);
            "Revoked"
        }
        // A plain membership is one to PIM, too, of a group that it manages.
        ("adminRemove", None) if standing => {
            if let Some(found) = data.groups.get_mut(&group) {
                let list = if access == "owner" {
                    &mut found.owners
                } else {
                    &mut found.members
                };
                list.retain(|one| *one != principal);
            }
            "Revoked"
        }
        ("adminRemove" | "adminUpdate" | "adminExtend", None) => {
            return Err(Reply::arm(
                404,
                "RoleAssignmentDoesNotExist",
                "The Role assignment does not exist.",
            ));
        }
        (other, _) => return Err(bad(&format!("The stand-in has no action {other}."))),
    };
    let made = json!({
        "id": id,
        "status": status,
        "createdDateTime": call.now.to_string(),
        "completedDateTime": call.now.to_string(),
        "approvalId": null,
        "customData": null,
        "action": field("action"),
        "principalId": principal,
        "groupId": group,
        "accessId": access,
        "justification": field("justification"),
        "scheduleInfo": call.body.get("scheduleInfo"),
        "ticketInfo": call.body.get("ticketInfo"),
        "targetScheduleId": data.group_schedules.iter().find(|one| one.request == id).map(|one| one.id.clone()),
    });
    data.group_requests.insert(id, made.clone());
    Ok(Reply::new(201, current(data, &made)))
}
