//! What a role's settings in PIM want: shown as `roleManagementPolicyAssignments` and `roleManagementPolicies`.

use serde_json::{Value, json};

use super::super::assignments::full_role;
use super::super::call::{Answer, Call, Reply, page, text};
use super::super::scope::{Target, key};
use super::super::world::Data;
use super::ask::Rules;

/// The rules of a role at a scope; Azure's own where nobody set any. They are set at each scope by itself.
pub(super) fn rules(data: &Data, scope: &str, role: &str) -> Rules {
    let kept = data.pim_rules.get(&format!("{}|{role}", key(scope)));
    kept.map(Rules::read).unwrap_or_default()
}

pub(super) fn answer(call: &Call, target: &Target, data: &Data) -> Answer {
    if call.method != "GET" {
        return Err(Reply::no_route(call));
    }
    let assignments = target.kind.ends_with("assignments");
    let wanted = call
        .asked("$filter")
        .split_once("roleDefinitionId eq")
        .and_then(|(_, rest)| rest.split('\'').nth(1));
    let wanted = wanted
        .and_then(|id| id.rsplit('/').next())
        .map(str::to_ascii_lowercase);
    let all: Vec<_> = data
        .definitions
        .values()
        .map(|role| text(role, "/name"))
        .filter(|role| wanted.as_ref().is_none_or(|wanted| wanted == role))
        .map(|role| {
            if assignments {
                assignment(data, target, role)
            } else {
                policy(data, target, role)
            }
        })
        .collect();
    if target.name(0).is_empty() {
        return Ok(Reply::ok(page(
            call,
            all,
            data.page_size,
            "nextLink",
            "$skiptoken",
        )));
    }
    let found = all
        .into_iter()
        .find(|one| text(one, "/name").eq_ignore_ascii_case(target.name(0)));
    Ok(Reply::ok(found.ok_or_else(|| Reply::not_found(target.name(0)))?))
}

fn policy_id(target: &Target, role: &str) -> String {
    format!(
        "{}/providers/Microsoft.Authorization/roleManagementPolicies/{role}",
        target.scope
    )
}

/// A policy of each role by itself; that it is named as the role is the stand-in's own.
fn policy(data: &Data, target: &Target, role: &str) -> Value {
    let rules = shown(&rules(data, &target.scope, role));
    json!({
        "id": policy_id(target, role),
        "name": role,
        "type": "Microsoft.Authorization/RoleManagementPolicies",
        "properties": {"scope": target.scope, "isOrganizationDefault": false, "rules": rules, "effectiveRules": rules},
    })
}

fn assignment(data: &Data, target: &Target, role: &str) -> Value {
    let name = format!("{role}_{role}");
    json!({
        "id": format!("{}/providers/Microsoft.Authorization/RoleManagementPolicyAssignments/{name}", target.scope),
        "name": name,
        "type": "Microsoft.Authorization/RoleManagementPolicyAssignments",
        "properties": {
            "scope": target.scope,
            "roleDefinitionId": full_role(&target.scope, role),
            "policyId": policy_id(target, role),
            "effectiveRules": shown(&rules(data, &target.scope, role)),
        },
    })
}

fn shown(rules: &Rules) -> Value {
    let mut enabled = Vec::new();
    if rules.justification {
        enabled.push("Justification");
    }
    if rules.ticket {
        enabled.push("Ticketing");
    }
    let target = json!({"caller": "Admin", "operations": ["All"], "level": "Assignment"});
    json!([
        {
            "id": "Expiration_Admin_Assignment", "ruleType": "RoleManagementPolicyExpirationRule",
            "isExpirationRequired": true, "maximumDuration": rules.longest_said(), "target": target,
        },
        {
            "id": "Enablement_Admin_Assignment", "ruleType": "RoleManagementPolicyEnablementRule",
            "enabledRules": enabled, "target": target,
        },
    ])
}
