//! Who may do what: role assignments and what their roles hold, at the scope or above it, as Azure Resource Manager judges.

use serde_json::Value;

use super::call::{Call, Reply, text};
use super::scope::{Target, covers, key};
use super::world::Data;

/// The action that a call needs, as role definitions name it ("Azure resource provider operations"):
/// `Microsoft.Network/networkSecurityGroups/securityRules/write`.
pub(super) fn action(method: &str, target: &Target) -> String {
    let verb = match method {
        "GET" | "HEAD" => "read",
        "DELETE" => "delete",
        "POST" => "action",
        _ => "write",
    };
    if target.namespace.is_empty() {
        let kind = if key(&target.scope).contains("/resourcegroups") {
            "subscriptions/resourceGroups"
        } else {
            "subscriptions"
        };
        return format!("Microsoft.Resources/{kind}/{verb}");
    }
    if target.namespace.eq_ignore_ascii_case("Microsoft.Insights") {
        return format!("Microsoft.Insights/eventtypes/values/{verb}");
    }
    format!("{}/{}/{verb}", target.namespace, target.kinds.join("/"))
}

/// Whether somebody may.
pub(super) fn may(data: &Data, who: &str, action: &str, scope: &str) -> bool {
    permissions(data, who, scope)
        .iter()
        .any(|permission| allows(permission, action))
}

/// Refuses who may not, in Azure's words ("Troubleshoot Azure RBAC").
pub(super) fn judge(data: &Data, call: &Call, action: &str, scope: &str) -> Result<(), Reply> {
    if may(data, &call.caller, action, scope) {
        return Ok(());
    }
    Err(refusal(data, &call.caller, action, scope))
}

/// What Azure says to who may not.
pub(super) fn refusal(data: &Data, who: &str, action: &str, scope: &str) -> Reply {
    let login = data.principals.get(who).map_or(who, |one| one.login.as_str());
    let message = format!(
        "The client '{login}' with object id '{who}' does not have authorization to perform action '{action}' over scope \
         '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    );
    Reply::arm(403, "AuthorizationFailed", message)
}

/// What somebody's roles hold at a scope: the `permissions` of each role definition that is assigned there or above.
pub(super) fn permissions(data: &Data, who: &str, scope: &str) -> Vec<Value> {
    let all = data.all_of(who);
    data.assignments
        .values()
        .filter(|one| all.contains(text(one, "/properties/principalId")))
        .filter(|one| covers(data, text(one, "/properties/scope"), scope))
        .filter_map(|one| definition(data, text(one, "/properties/roleDefinitionId")))
        .filter_map(|role| role.pointer("/properties/permissions")?.as_array())
        .flatten()
        .cloned()
        .collect()
}

/// The definition that an id names, whatever stands before its last part.
pub(super) fn definition<'d>(data: &'d Data, id: &str) -> Option<&'d Value> {
    let name = id.rsplit('/').next()?.to_ascii_lowercase();
    data.definitions.get(&name)
}

fn allows(permission: &Value, action: &str) -> bool {
    let listed = |list: &str| {
        permission.get(list).and_then(Value::as_array).is_some_and(|all| {
            all.iter()
                .filter_map(Value::as_str)
                .any(|one| matches(one, action))
        })
    };
    listed("actions") && !listed("notActions")
}

/// Whether an action is what a pattern says, in which `*` stands for any text; small letters and capitals are the same.
pub(super) fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = action.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A lock that stands in the way, in Azure's words ("Lock your resources to protect your infrastructure").
pub(super) fn unlocked(data: &Data, call: &Call, scope: &str) -> Result<(), Reply> {
    let deletes = call.method == "DELETE";
    let lock = data
        .locks
        .iter()
        .find(|lock| (deletes || lock.read_only) && covers(data, &lock.scope, scope));
    let Some(lock) = lock else {
        return Ok(());
    };
    let what = if deletes { "delete" } else { "write" };
    let message = format!(
        "The scope '{scope}' cannot perform {what} operation because following scope(s) are locked: '{}'. Please remove the \
         lock and try again.",
        lock.scope
    );
    Err(Reply::arm(409, "ScopeLocked", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        for pattern in [
            "*",
            "*/read",
            "Microsoft.Network/*",
            "microsoft.network/networkInterfaces/READ",
            "Microsoft.*/networkInterfaces/*",
        ] {
            assert!(
                matches(pattern, "Microsoft.Network/networkInterfaces/read"),
                "{pattern}"
            );
        }
        for pattern in [
            "",
            "*/write",
            "Microsoft.Network",
            "Microsoft.Network/networkInterfaces/read/x",
            "Microsoft.Compute/*",
            "*/networkInterfaces",
        ] {
            assert!(
                !matches(pattern, "Microsoft.Network/networkInterfaces/read"),
                "{pattern}"
            );
        }
    }

    #[test]
    fn the_action_is_named_by_types_and_method() {
        let of = |method: &str, path: &str| action(method, &Target::of(path));
        let nic = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n";
        assert_eq!(of("GET", nic), "Microsoft.Network/networkInterfaces/read");
        assert_eq!(
            of("POST", &format!("{nic}/effectiveNetworkSecurityGroups")),
            "Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action"
        );
        assert_eq!(
            of(
                "PUT",
                &format!("{nic}/providers/Microsoft.Authorization/roleAssignments/a")
            ),
            "Microsoft.Authorization/roleAssignments/write"
        );
        assert_eq!(
            of("GET", "/subscriptions/s/resourceGroups"),
            "Microsoft.Resources/subscriptions/resourceGroups/read"
        );
    }
}
