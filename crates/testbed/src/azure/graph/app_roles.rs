//! The permissions of Graph itself, as its service principal shows them: what an id in `appRoleAssignments` means.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::super::world::Data;

/// The client id of Graph in every tenant ("Verify first-party Microsoft applications in sign-in reports").
pub(super) const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// The id of a permission. Graph's own are others; whoever needs one asks Graph for it, as below.
pub(super) fn id(permission: &str) -> String {
    let hash: String = digest(&SHA256, permission.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let part = |from: usize, until: usize| hash.get(from..until).unwrap_or_default();
    format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

/// Graph's service principal.
pub(super) fn service_principal(data: &Data) -> Value {
    let mut all: Vec<_> = super::PERMISSIONS.concat();
    let given = data.principals.values().flat_map(|one| &one.app_roles);
    all.extend(given.map(String::as_str));
    all.sort_unstable();
    all.dedup();
    let roles: Vec<_> = all
        .into_iter()
        .map(|one| {
            json!({
                "id": id(one), "value": one, "displayName": one, "isEnabled": true, "allowedMemberTypes": ["Application"],
            })
        })
        .collect();
    json!({
        "@odata.type": "#microsoft.graph.servicePrincipal",
        "id": id("Microsoft Graph"),
        "displayName": "Microsoft Graph",
        "appId": GRAPH,
        "servicePrincipalType": "Application",
        "appRoles": roles,
    })
}
