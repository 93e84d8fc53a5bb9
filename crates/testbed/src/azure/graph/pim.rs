//! PIM for groups: `identityGovernance/privilegedAccess/group` (shapes: Graph's metadata; what is refused with which code is as people
//! met it).

use serde_json::{Value, json};

use super::super::call::{Answer, Call, Reply, page, set, text};
use super::super::operations::after;
use super::super::pim::{Schedule, asked};
use super::super::world::Data;
use super::{absent, bad, denied, holds, no_route, select};

/// "Create assignmentScheduleRequest".
pub(super) const WRITE: &[&str] = &[
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedAccess.ReadWrite.AzureADGroup",
];
/// "List assignmentScheduleInstances".
pub(super) const READ: &[&str] = &[
    "PrivilegedAssignmentSchedule.Read.AzureADGroup",
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedAccess.Read.AzureADGroup",
    "PrivilegedAccess.ReadWrite.AzureADGroup",
];
/// "List eligibilityScheduleInstances".
pub(super) const ELIGIBLE: &[&str] = &[
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
        set(&mut shown, "assignmentType", "assigned");
    }
    if list.ends_with("Instances") {
        let of = if list.starts_with("assignment") {
            "assignmentScheduleId"
        } else {
            "eligibilityScheduleId"
        };
        set(&mut shown, of, one.id.clone());
        set(&mut shown, "startDateTime", one.starts.to_string());
        set(&mut shown, "endDateTime", one.ends.map(|ends| ends.to_string()));
        return shown;
    }
    set(&mut shown, "createdDateTime", one.made.to_string());
    set(&mut shown, "modifiedDateTime", one.made.to_string());
    set(&mut shown, "createdUsing", one.request.clone());
    set(
        &mut shown,
        "status",
        if one.live {
            "Provisioned"
        } else {
            "PendingProvisioning"
        },
    );
    set(
        &mut shown,
        "scheduleInfo",
        json!({
            "startDateTime": one.starts.to_string(),
            "expiration": {
                "type": if one.ends.is_some() { "afterDateTime" } else { "noExpiration" },
                "endDateTime": one.ends.map(|ends| ends.to_string()),
            },
        }),
    );
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
        set(
            &mut request,
            "status",
            if waits {
                "PendingProvisioning"
            } else {
                "Provisioned"
            },
        );
    }
    request
}

/// What a request is about.
struct Wanted {
    group: String,
    principal: String,
    access: String,
    action: String,
    justification: String,
}

fn post(call: &Call, data: &mut Data) -> Answer {
    let field = |name: &str| text(&call.body, &format!("/{name}")).to_owned();
    let wanted = Wanted {
        group: field("groupId"),
        principal: field("principalId"),
        access: field("accessId"),
        action: field("action"),
        justification: field("justification"),
    };
    if !data.groups.contains_key(&wanted.group) {
        return Err(absent(&wanted.group));
    }
    if data.principal_kind(&wanted.principal).is_none() {
        return Err(Reply::arm(400, "SubjectNotFound", "The subject is not found."));
    }
    if !["member", "owner"].contains(&wanted.access.as_str()) {
        return Err(bad("accessId is member or owner."));
    }
    let id = data.new_id(0x9e);
    let status = act(call, data, &wanted, &id)?;
    let target = data
        .group_schedules
        .iter()
        .find(|one| one.request == id)
        .map(|one| one.id.clone());
    let made = json!({
        "id": id,
        "status": status,
        "createdDateTime": call.now.to_string(),
        "completedDateTime": call.now.to_string(),
        "approvalId": null,
        "customData": null,
        "action": wanted.action,
        "principalId": wanted.principal,
        "groupId": wanted.group,
        "accessId": wanted.access,
        "justification": wanted.justification,
        "scheduleInfo": call.body.get("scheduleInfo"),
        "ticketInfo": call.body.get("ticketInfo"),
        "targetScheduleId": target,
    });
    data.group_requests.insert(id, made.clone());
    Ok(Reply::new(201, current(data, &made)))
}

/// Does what is asked for; the request's status.
fn act(call: &Call, data: &mut Data, wanted: &Wanted, request: &str) -> Result<&'static str, Reply> {
    let (group, access) = (&wanted.group, &wanted.access);
    let standing = list(data, wanted).is_some_and(|list| list.contains(&wanted.principal));
    let there = data
        .group_schedules
        .iter()
        .find(|one| one.is(group, access, &wanted.principal))
        .cloned();
    let times = || asked(call, call.body.get("scheduleInfo").unwrap_or(&Value::Null));
    match (wanted.action.as_str(), there) {
        ("adminAssign", None) if !standing => {
            let asked = times()?;
            if wanted.justification.is_empty() {
                let message = "The following policy rules failed: [\"JustificationRule\"]";
                return Err(Reply::arm(
                    400,
                    "RoleAssignmentRequestPolicyValidationFailed",
                    message,
                ));
            }
            let id = data.new_id(0x9f);
            data.group_schedules.push(Schedule {
                id,
                request: request.to_owned(),
                scope: group.clone(),
                role: access.clone(),
                principal: wanted.principal.clone(),
                made: call.now,
                starts: asked.starts.max(after(call.now, data.operations_take)),
                ends: asked.ends,
                live: false,
            });
            data.settle_group_schedules(call.now);
            Ok("PendingProvisioning")
        }
        ("adminAssign", _) => Err(Reply::arm(
            400,
            "RoleAssignmentExists",
            "The Role assignment already exists.",
        )),
        ("adminUpdate" | "adminExtend", Some(one)) => {
            let asked = times()?;
            for schedule in data
                .group_schedules
                .iter_mut()
                .filter(|schedule| schedule.id == one.id)
            {
                schedule.ends = asked.ends;
            }
            Ok("Provisioned")
        }
        ("adminRemove", Some(one)) => {
            data.end_group_schedule(&one.id);
            Ok("Revoked")
        }
        // A plain membership is one to PIM, too, of a group that it manages.
        ("adminRemove", None) if standing => {
            if let Some(list) = list(data, wanted) {
                list.retain(|one| *one != wanted.principal);
            }
            Ok("Revoked")
        }
        ("adminRemove" | "adminUpdate" | "adminExtend", None) => Err(Reply::arm(
            404,
            "RoleAssignmentDoesNotExist",
            "The Role assignment does not exist.",
        )),
        (other, _) => Err(bad(&format!("The stand-in has no action {other}."))),
    }
}

/// The members of the group, or its owners.
fn list<'d>(data: &'d mut Data, wanted: &Wanted) -> Option<&'d mut Vec<String>> {
    let group = data.groups.get_mut(&wanted.group)?;
    Some(if wanted.access == "owner" {
        &mut group.owners
    } else {
        &mut group.members
    })
}
