//! Which resources and roles of the policy are what a survey offers: ids of Azure do not mind capital letters, and a usual name is its GUID.

use std::collections::BTreeSet;

use serde_json::Value;

use super::config::{self, Assigned, Ports, Vms};
use super::ids::same;
use crate::inventory::Fit;

/// Reader, Contributor and Owner: each gives what the ones before it give, and more ("Azure built-in roles" at Microsoft Learn).
const LADDER: [&str; 3] = [
    "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
];

/// One scope, however it is spelled.
pub(super) fn one_scope(resource: &Value, offered: &Value) -> bool {
    let both = config::scope(resource).ok().zip(config::scope(offered).ok());
    both.is_some_and(|(one, other)| same(&one, &other))
}

/// The same role; who keeps its limit makes no difference.
pub(super) fn assigned(role: &Value, offered: &Value) -> Option<Fit> {
    let gives = Assigned::read(role).ok()?.definition;
    let wanted = Assigned::read(offered).ok()?.definition;
    if gives == wanted {
        return Some(Fit::Same);
    }
    let step = |definition: &str| LADDER.iter().position(|one| *one == definition);
    (step(&gives)? > step(&wanted)?).then_some(Fit::More)
}

/// Exactly the same machines, by whatever means their ports are opened.
pub(super) fn same_machines(resource: &Value, offered: &Value) -> bool {
    let all = |config: &Value| -> Option<BTreeSet<String>> {
        let vms = Vms::read(config).ok()?;
        Some(vms.ids.iter().map(|id| id.to_ascii_lowercase()).collect())
    };
    all(resource).is_some_and(|vms| all(offered) == Some(vms))
}

/// All of the ports at least.
pub(super) fn ports(role: &Value, offered: &Value) -> Option<Fit> {
    let (gives, wanted) = (Ports::read(role).ok()?.0, Ports::read(offered).ok()?.0);
    if gives == wanted {
        return Some(Fit::Same);
    }
    let has = |protocol, ports| gives.get(protocol).is_some_and(|given| given.is_superset(ports));
    let all = wanted.iter().all(|(protocol, ports)| has(protocol, ports));
    all.then_some(Fit::More)
}

/// One group.
pub(super) fn one_group(resource: &Value, offered: &Value) -> bool {
    let both = config::group(resource).ok().zip(config::group(offered).ok());
    both.is_some_and(|(one, other)| one == other)
}

/// There is one way to be a member; who keeps the limit makes no difference.
pub(super) fn member(role: &Value, offered: &Value) -> Option<Fit> {
    let both = config::membership(role).is_ok() && config::membership(offered).is_ok();
    both.then_some(Fit::Same)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUB: &str = "/subscriptions/11111111-1111-1111-1111-111111111111";

    #[test]
    fn capitals_and_names_make_no_other_place_or_role() {
        let scope = |id: &str| json!({"scope": id});
        let web = format!("{SUB}/resourceGroups/Web");
        assert!(one_scope(&scope(&web), &scope(&web.to_ascii_lowercase())));
        assert!(!one_scope(&scope(SUB), &scope(&web)) && !one_scope(&scope("x"), &scope("x")));
        let role = |said: &str| json!({"role": said});
        assert_eq!(assigned(&role("reader"), &role(LADDER[0])), Some(Fit::Same));
        assert_eq!(assigned(&role("Owner"), &role("Reader")), Some(Fit::More));
        assert_eq!(assigned(&role("Reader"), &role("Contributor")), None);
        assert_eq!(assigned(&role("Owner"), &role("Key Vault Secrets User")), None);
        let pim = json!({"role": "Reader", "pim": true});
        assert_eq!(assigned(&pim, &role("Reader")), Some(Fit::Same));
        let group = |id: &str| json!({"group": id});
        let id = "aaaaaaaa-1111-1111-1111-111111111111";
        assert!(one_group(&group(&id.to_ascii_uppercase()), &group(id)));
        assert!(!one_group(&group(LADDER[0]), &group(id)));
        assert_eq!(member(&Value::Null, &json!({"pim": true})), Some(Fit::Same));
    }

    #[test]
    fn machines_and_ports_are_compared_as_sets() {
        let vm =
            |n: u8| format!("{SUB}/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-{n}");
        let vms = |all: &[String]| json!({"vms": all});
        let shouted = json!({"vms": [vm(2), vm(1).replace("/resourceGroups/web/", "/resourcegroups/WEB/")], "via": "jit"});
        assert!(same_machines(&vms(&[vm(1), vm(2)]), &shouted));
        assert!(!same_machines(&vms(&[vm(1), vm(2)]), &vms(&[vm(1)])));
        let of = |ports: Value| json!({ "ports": ports });
        let dns = json!({"port": 53, "protocol": "udp"});
        assert_eq!(ports(&of(json!([22])), &of(json!([22]))), Some(Fit::Same));
        assert_eq!(
            ports(&of(json!([22, 80, dns])), &of(json!([22]))),
            Some(Fit::More)
        );
        assert_eq!(ports(&of(json!([53])), &of(json!([dns]))), None);
    }
}
