//! Whether a connector can do its work: what is missing, by name. It changes nothing.

use daypass_core::entitlement::Fault;
use serde_json::Value;

use super::client::Api;
use super::ids::items;
use super::provider::Connected;
use crate::Error;

/// "Permissions - List For Resource Group" at Microsoft Learn; a subscription has the same.
const VERSION: &str = "2022-04-01";

/// What each kind of resource needs at ARM. docs/providers/azure.md has the same as a role to paste.
const NEEDED: &[(&str, &[&str])] = &[
    (
        "azure-role",
        &[
            "Microsoft.Authorization/roleAssignments/read",
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
        ],
    ),
    (
        "azure-role with pim",
        &[
            "Microsoft.Authorization/roleAssignments/read",
            "Microsoft.Authorization/roleAssignmentSchedules/read",
            "Microsoft.Authorization/roleAssignmentScheduleRequests/read",
            "Microsoft.Authorization/roleAssignmentScheduleRequests/write",
        ],
    ),
    (
        "azure-vm",
        &[
            "Microsoft.Compute/virtualMachines/read",
            "Microsoft.Network/networkInterfaces/read",
            "Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action",
            "Microsoft.Network/networkSecurityGroups/read",
            "Microsoft.Network/networkSecurityGroups/securityRules/read",
            "Microsoft.Network/networkSecurityGroups/securityRules/write",
            "Microsoft.Network/networkSecurityGroups/securityRules/delete",
        ],
    ),
    (
        "azure-vm with via: jit",
        &[
            "Microsoft.Security/jitNetworkAccessPolicies/read",
            "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action",
        ],
    ),
];

impl Connected {
    /// Asks ARM in each subscription what this identity may do. A kind of which it may do nothing is taken for one that is not used; one of
    /// which it may do some and not all cannot work.
    pub(super) async fn examine(&self) -> Result<(), Error> {
        let mut missing = Vec::new();
        for subscription in self.subscriptions().await? {
            let path =
                format!("{subscription}/providers/Microsoft.Authorization/permissions?api-version={VERSION}");
            let doing = "reading what this identity may do";
            let permissions = self.client.list(Api::Arm, &path, doing).await?;
            for (kind, needed) in NEEDED {
                let (have, lacks): (Vec<&str>, Vec<&str>) =
                    needed.iter().partition(|action| may(&permissions, action));
                let writes = have.iter().any(|action| !action.ends_with("/read"));
                if writes && !lacks.is_empty() {
                    missing.push(format!("{kind} in {subscription}: {}", lacks.join(", ")));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let what = format!(
            "the identity {} lacks for {}",
            self.connector.identity,
            missing.join("; for ")
        );
        Err(Error::new(Fault::Misconfigured, what))
    }
}

/// Whether any of these permissions allows an action and does not take it back.
fn may(permissions: &[Value], action: &str) -> bool {
    permissions.iter().any(|permission| {
        let any = |list: &str| {
            let patterns = items(permission, list).iter().filter_map(Value::as_str);
            patterns.into_iter().any(|pattern| matches(pattern, action))
        };
        any("/actions") && !any("/notActions")
    })
}

/// Whether an action is one that a pattern means: `*` is any text, capital letters do not matter.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = action.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((end, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_action_is_allowed_where_one_permission_gives_it_and_does_not_take_it_back() {
        let all = [json!({"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]})];
        assert!(may(&all, "Microsoft.Compute/virtualMachines/read"));
        assert!(!may(&all, "Microsoft.Authorization/roleAssignments/write"));
        let both = [
            all[0].clone(),
            json!({"actions": ["Microsoft.Authorization/roleAssignments/*"], "notActions": []}),
        ];
        assert!(may(&both, "Microsoft.Authorization/roleAssignments/write"));
        assert!(!may(&[], "a/read") && !matches("a/b", "a/b/c") && !matches("*/write", "a/read"));
        assert!(matches("*/read", "a/b/read") && matches("A/*/x/*", "a/b/x/c") && matches("", ""));
    }
}
