//! What is told of it: what giving would do, and what was done.

use std::time::Duration;

use daypass_core::time::Span;
use daypass_providers::azure::{AzureGroup, AzureRole, AzureVm};
use daypass_providers::{Kind, Placed};
use serde_json::{Value, json};

use super::bench::{Bench, One};
use crate::stand::Stand as _;

fn effect(kind: &dyn Kind, resource: &Value, role: &Value) -> Vec<String> {
    kind.effect(&Placed {
        grant: daypass_core::id::GrantId::from_bytes([1; 10]),
        index: 0,
        holder: daypass_core::id::PersonId::from_bytes([1; 10]),
        item: &"web/ssh".parse().unwrap(),
        resource,
        role,
        subject: Some("aaaaaaaa-0000-0000-0000-000000000001"),
        source: Some("203.0.113.7".parse().unwrap()),
    })
}

#[test]
fn an_effect_is_in_azures_words() {
    let sub = "/subscriptions/11111111-1111-1111-1111-111111111111";
    let vm = format!("{sub}/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1");
    let person = "aaaaaaaa-0000-0000-0000-000000000001";
    assert_eq!(
        effect(&AzureVm, &json!({"vms": [vm]}), &json!({"ports": [22, 443]})),
        ["securityRules: Allow Inbound Tcp 22, 443 from 203.0.113.7 to web-1"]
    );
    assert_eq!(
        effect(&AzureRole, &json!({"scope": sub}), &json!({"role": "reader"})),
        [format!("roleAssignments: assign Reader to {person} at {sub}")]
    );
    let group = "22222222-2222-2222-2222-222222222222";
    assert_eq!(
        effect(&AzureGroup, &json!({"group": group}), &json!({"pim": true})),
        [format!(
            "assignmentScheduleRequests: adminAssign {person} as a member of the group {group}"
        )]
    );
    assert!(effect(&AzureRole, &json!({"scope": "x"}), &Value::Null).is_empty());
}

#[tokio::test]
async fn what_a_holder_did_is_told_and_nothing_of_others() {
    let bench = Bench::new();
    bench.azure.tokens_hold(Duration::from_secs(36_000));
    let scope = bench.azure.resource_group(&bench.subscription, "web");
    let one = One {
        kind: &AzureRole,
        resource: json!({"scope": scope}),
        role: json!({"role": "Contributor"}),
        hostile: Vec::new(),
        by_hand: |_, _| (),
        dump: |_| String::new(),
        bench,
    };
    let (key, spec) = one.placed(1);
    let (ana, bo) = (one.bench.person(1), one.bench.person(2));
    let from = one.bench.now();
    let vm = format!("{scope}/providers/Microsoft.Compute/virtualMachines/web-1");
    let restart = "Microsoft.Compute/virtualMachines/restart/action";
    one.bench.azure.act_as(&ana, restart, &vm);
    one.bench.azure.act_as(&bo, restart, &vm);
    one.bench
        .azure
        .act_as(&ana, restart, "/subscriptions/other/resourceGroups/web");
    one.bench.azure.advance(Duration::from_secs(60));
    let to = one.bench.now();
    one.bench
        .azure
        .act_as(&ana, "Microsoft.Compute/virtualMachines/delete", &vm);
    let provider = one.provider();
    assert_eq!(provider.tells_deeds(), Some(Span::minutes(20)));
    let told = provider.deeds(&key, &spec, from, to).await.unwrap();
    let told: Vec<_> = told
        .deeds
        .iter()
        .map(|deed| (deed.what.as_str(), deed.on.as_str()))
        .collect();
    assert_eq!(told, [(restart, vm.as_str())]);
}
