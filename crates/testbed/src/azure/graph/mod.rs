//! Microsoft Graph v1.0: groups and their members, people, programs, batches.

mod app_roles;
mod groups;
mod look_up;
mod pim;

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, path_and_query, set};
use super::world::Data;

/// Every permission that some call looks for.
const PERMISSIONS: [&[&str]; 8] = [
    groups::READ,
    groups::WRITE,
    look_up::USERS,
    look_up::PROGRAMS,
    look_up::OBJECTS,
    pim::READ,
    pim::WRITE,
    pim::ELIGIBLE,
];

/// Everything below `/v1.0`, batches apart.
pub(super) fn answer(call: &Call, data: &mut Data) -> Answer {
    let parts = call.parts();
    match (call.method.as_str(), parts.get(1..).unwrap_or_default()) {
        ("POST", ["$batch"]) => batch(call, data),
        (_, ["identityGovernance", "privilegedAccess", "group", ..]) => pim::answer(call, data),
        (_, ["groups", ..]) => groups::answer(call, data),
        ("GET", ["servicePrincipals"]) => look_up::programs(call, data),
        ("GET", [one]) if one.starts_with("servicePrincipals(") => look_up::by_client(call, data, one),
        (_, ["users" | "servicePrincipals" | "directoryObjects", ..]) => look_up::answer(call, data),
        _ => Err(no_route(call)),
    }
}

/// Whether a program has one of these permissions (application permissions, by the page of each call in the reference of Graph).
pub(super) fn holds(data: &Data, who: &str, permissions: &[&str]) -> bool {
    let held = data.principals.get(who);
    held.is_some_and(|held| permissions.iter().any(|one| held.app_roles.contains(*one)))
}

/// 403, in Graph's words.
pub(super) fn denied() -> Reply {
    Reply::arm(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )
}

/// 404, in Graph's words.
pub(super) fn absent(id: &str) -> Reply {
    let message = format!(
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
    );
    Reply::arm(404, "Request_ResourceNotFound", message)
}

/// 400, in Graph's words.
pub(super) fn bad(message: &str) -> Reply {
    Reply::arm(400, "Request_BadRequest", message)
}

pub(super) fn no_route(call: &Call) -> Reply {
    let message = format!(
        "Resource not found for the segment: the stand-in has no {} {}",
        call.method, call.path
    );
    Reply::arm(400, "BadRequest", message)
}

/// Keeps what `$select` names.
pub(super) fn select(call: &Call, mut value: Value) -> Value {
    let wanted: Vec<_> = call
        .asked("$select")
        .split(',')
        .filter(|name| !name.is_empty())
        .collect();
    if let Some(object) = value.as_object_mut().filter(|_| !wanted.is_empty()) {
        object.retain(|name, _| name.starts_with('@') || wanted.contains(&name.as_str()));
    }
    value
}

/// Up to 20 calls in one ("Combine multiple HTTP requests using JSON batching").
fn batch(call: &Call, data: &mut Data) -> Answer {
    let all = call
        .body
        .get("requests")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if all.is_empty() || all.len() > 20 {
        return Err(bad("Number of batch request steps must be between 1 and 20."));
    }
    let mut responses = Vec::new();
    for one in all {
        let word = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let (path, query) = path_and_query(word("url"));
        let inner = Call {
            method: word("method").to_ascii_uppercase(),
            path: format!("/v1.0/{}", path.trim_start_matches('/')),
            query,
            body: one.get("body").cloned().unwrap_or_default(),
            ..call.clone()
        };
        let reply = if inner.path.ends_with("$batch") {
            bad("A batch cannot hold a batch.")
        } else {
            answer(&inner, data).unwrap_or_else(|refused| refused)
        };
        let mut response = json!({"id": word("id"), "status": reply.status});
        if let Some(body) = reply.body {
            set(&mut response, "body", body);
        }
        responses.push(response);
    }
    Ok(Reply::ok(json!({"responses": responses})))
}
