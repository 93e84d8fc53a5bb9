//! Which service a call is for.

use super::call::{Answer, Call, Reply};
use super::scope::{Target, key};
use super::state::World;
use super::world::Data;
use super::{
    activity, assignments, compute, effective, graph, jit, network, operations, pim, rights, roles, token,
};

/// What needs no token: tokens themselves, and what is known of the tenant. Nothing where the call is none of these.
pub(super) fn open(call: &Call, world: &mut World) -> Option<Answer> {
    match (call.method.as_str(), call.parts().as_slice()) {
        ("POST", [_, "oauth2", "v2.0", "token"]) => Some(token::answer(call, world)),
        ("GET", ["metadata", "identity", "oauth2", "token"]) => Some(token::of_the_machine(call, world)),
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
            let at = format!("{}/{tenant}", call.base);
            Some(Ok(Reply::ok(serde_json::json!({
                "issuer": format!("{at}/v2.0"),
                "token_endpoint": format!("{at}/oauth2/v2.0/token"),
                "authorization_endpoint": format!("{at}/oauth2/v2.0/authorize"),
                "jwks_uri": format!("{at}/discovery/v2.0/keys"),
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            }))))
        }
        _ => None,
    }
}

/// Whose token a call needs.
pub(super) fn audience(call: &Call) -> &'static str {
    if call.path.starts_with("/v1.0") {
        "https://graph.microsoft.com"
    } else {
        "https://management.azure.com"
    }
}

/// Everything that needs a token.
pub(super) fn answer(call: &Call, data: &mut Data) -> Answer {
    if call.path.starts_with("/v1.0") {
        return graph::answer(call, data);
    }
    arm(call, data)
}

/// Azure Resource Manager: who may, what is locked, and the service.
fn arm(call: &Call, data: &mut Data) -> Answer {
    if call.asked("api-version").is_empty() {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(Reply::arm(400, "MissingApiVersionParameter", message));
    }
    let target = Target::of(&call.path);
    let parts: Vec<_> = call.parts().into_iter().map(str::to_ascii_lowercase).collect();
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        // Whoever has a token may ask for these; they show what the caller may see.
        ["subscriptions"] => return compute::subscriptions(call, data),
        ["subscriptions", _, "resources"] | ["subscriptions", _, "resourcegroups", _, "resources"] => {
            return compute::resources(call, data);
        }
        ["subscriptions", _, "resourcegroups"] => return compute::resource_groups(call, data),
        _ => {}
    }
    let namespace = target.namespace.to_ascii_lowercase();
    let kind = target.kind.clone();
    if namespace == "microsoft.network" && kind.starts_with("locations/operation") {
        let id = target.name(1);
        return if kind.ends_with("operations") {
            operations::state(data, id)
        } else {
            operations::result(call, data, id)
        };
    }
    if namespace == "microsoft.management" {
        return compute::management_groups(call, &target, data);
    }
    if namespace == "microsoft.authorization" && kind == "permissions" {
        // What one may oneself needs no permission.
        let all = rights::permissions(data, &call.caller, &target.scope);
        return Ok(Reply::ok(serde_json::json!({"value": all})));
    }
    rights::judge(data, call, &rights::action(&call.method, &target), &call.path)?;
    if matches!(call.method.as_str(), "PUT" | "DELETE" | "PATCH") {
        rights::unlocked(data, call, &call.path)?;
    }
    match (namespace.as_str(), kind.as_str()) {
        ("", "") if parts.len() == 2 => compute::subscriptions(call, data),
        ("", "") if key(&call.path).contains("/resourcegroups/") => compute::resource_groups(call, data),
        ("microsoft.authorization", "roledefinitions") => roles::answer(call, &target, data),
        ("microsoft.authorization", "roleassignments") => assignments::answer(call, &target, data),
        ("microsoft.authorization", kind)
            if kind.contains("schedule") || kind.starts_with("rolemanagementpolic") =>
        {
            pim::answer(call, &target, data)
        }
        ("microsoft.security", kind) if kind.contains("jitnetworkaccesspolicies") => {
            jit::answer(call, &target, data)
        }
        ("microsoft.insights", "eventtypes/values") => activity::answer(call, data),
        ("microsoft.network", "networksecuritygroups") => network::groups(call, &target, data),
        ("microsoft.network", "networksecuritygroups/securityrules") => network::rules(call, &target, data),
        ("microsoft.network", "networkinterfaces/effectivenetworksecuritygroups") => {
            effective::answer(call, &target, data)
        }
        ("microsoft.network", "virtualnetworks/subnets")
        | ("microsoft.compute", "virtualmachines/instanceview") => compute::inner(call, &target, data),
        ("microsoft.network", "networkinterfaces" | "virtualnetworks" | "publicipaddresses")
        | ("microsoft.compute", "virtualmachines") => compute::answer(call, &target, data),
        _ => Err(Reply::no_route(call)),
    }
}
