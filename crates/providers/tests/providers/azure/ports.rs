//! Ports of virtual machines, by rules of network security groups.

use std::net::IpAddr;
use std::time::Duration;

use daypass_core::entitlement::{Fault as Said, Spec};
use daypass_providers::azure::AzureVm;
use daypass_providers::{Inspection, Progress};
use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use super::bench::{Bench, One, address, as_described, give, is_there};
use crate::conformance;
use crate::stand::{Stand as _, keys};

fn machine() -> One {
    let bench = Bench::new();
    let vm = bench.azure.vm(&bench.subscription, "web", "web-1", "10.0.0.4");
    One {
        kind: &AzureVm,
        resource: json!({"vms": [vm]}),
        role: json!({"ports": [22, {"port": 53, "protocol": "udp"}]}),
        hostile: vec![
            (json!({"vms": [format!("{vm}9")]}), json!({"ports": [22]})),
            (json!({"vms": [format!("{vm}/../x")]}), json!({"ports": [22]})),
            (json!({"vms": [vm]}), json!({"ports": ["22; --"]})),
            (json!({"vms": []}), json!({"ports": [22]})),
        ],
        by_hand: |one, grant| {
            let nsg = one.bench.azure.nsg_of(one.vm());
            one.bench
                .azure
                .open_by_hand(&nsg, "by-hand", 300, 22, &address(grant).to_string());
        },
        dump: |one| format!("{:?}", one.bench.azure.rules(&one.bench.azure.nsg_of(one.vm()))),
        bench,
    }
}

impl One {
    fn vm(&self) -> &str {
        self.resource["vms"][0].as_str().unwrap()
    }

    fn open(&self, port: u16, from: IpAddr) -> bool {
        self.bench.azure.is_open(self.vm(), port, "Tcp", from)
    }

    fn rules(&self) -> Vec<String> {
        let all = self.bench.azure.rules(&self.bench.azure.nsg_of(self.vm()));
        all.into_iter().map(|(name, _)| name).collect()
    }
}

#[tokio::test]
async fn ports_keep_the_contract() {
    let one = machine();
    conformance::all(&one).await;
    as_described(&one.bench);
}

#[tokio::test]
async fn a_port_is_open_to_one_address_and_shut_again() {
    let one = machine();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    assert!(!one.open(22, address(1)));
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(one.open(22, address(1)) && !one.open(22, address(2)) && !one.open(23, address(1)));
    assert!(one.bench.azure.is_open(one.vm(), 53, "Udp", address(1)));
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!one.open(22, address(1)) && one.rules().is_empty());
}

#[tokio::test]
async fn two_people_behind_one_address_share_one_opening_and_others_have_their_own() {
    let one = machine();
    let (ana, spec) = one.placed(1);
    let mut behind = one.placed(2);
    behind.1.source = spec.source;
    let bo = key_of(&one, &behind.1);
    assert_eq!(
        ana, bo,
        "one address, one opening: the ledger counts who holds it"
    );
    let (cy, other) = one.placed(3);
    assert_ne!(ana, cy);
    let provider = one.provider();
    give(&*provider, &ana, &spec, one.hour()).await;
    give(&*provider, &bo, &behind.1, one.hour()).await;
    give(&*provider, &cy, &other, one.hour()).await;
    assert_eq!(one.rules().len(), 4, "two protocols, two addresses");
    assert_eq!(provider.revoke(&cy, Some(&other)).await, Ok(Progress::Done));
    assert!(one.open(22, address(1)) && !one.open(22, address(3)));
}

fn key_of(one: &One, spec: &Spec) -> String {
    one.kind.key(&daypass_providers::Placed {
        grant: spec.grant,
        index: 0,
        holder: spec.holder,
        item: &spec.item,
        resource: &spec.resource,
        role: &spec.role,
        subject: spec.subject.as_deref(),
        source: spec.source,
    })
}

#[tokio::test]
async fn several_machines_and_a_group_on_their_subnet_are_opened_and_shut_together() {
    let mut one = machine();
    let (azure, subscription) = (&one.bench.azure, &one.bench.subscription);
    let second = azure.vm_without_nsg(subscription, "web", "web-2", "10.0.0.5");
    let bystander = azure.vm_without_nsg(subscription, "web", "web-3", "10.0.0.6");
    let shared = azure.nsg(subscription, "web", "shared");
    azure.nsg_at_subnet(subscription, "web", &shared);
    one.resource = json!({"vms": [one.vm(), second]});
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    give(&*provider, &key, &spec, one.hour()).await;
    let open = |vm: &str| one.bench.azure.is_open(vm, 22, "Tcp", address(1));
    assert!(open(one.vm()) && open(&second));
    assert!(
        !open(&bystander),
        "a group on the subnet opens nothing else there"
    );
    // Half of it removed by hand: what is left is still seen, and goes.
    let name = one.bench.azure.rules(&shared)[0].0.clone();
    assert!(one.bench.azure.remove_rule(&shared, &name));
    assert!(is_there(&*provider, &key, &spec).await);
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(open(&second), "and is made whole");
    assert_eq!(provider.revoke(&key, None).await, Ok(Progress::Done));
    assert!(!open(one.vm()) && !open(&second));
    assert!(one.bench.azure.rules(&shared).is_empty() && one.rules().is_empty());
}

#[tokio::test]
async fn what_was_changed_by_hand_is_made_as_it_was() {
    let one = machine();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    give(&*provider, &key, &spec, one.hour()).await;
    let nsg = one.bench.azure.nsg_of(one.vm());
    let (name, mut properties) = one.bench.azure.rules(&nsg)[0].clone();
    properties["sourceAddressPrefix"] = json!("*");
    one.bench.azure.put_rule(&nsg, &name, properties);
    assert!(one.open(22, address(9)), "wider than it was made");
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(!one.open(22, address(9)) && one.open(22, address(1)));
}

#[tokio::test]
async fn a_machine_without_rules_or_open_already_is_not_opened() {
    let mut one = machine();
    let bare = one
        .bench
        .azure
        .vm_without_nsg(&one.bench.subscription, "bare", "b", "10.0.0.9");
    one.resource = json!({"vms": [bare]});
    let (key, spec) = one.placed(1);
    let refused = one
        .provider()
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert!(
        refused.fault == Said::Misconfigured && refused.detail.contains("security group"),
        "{refused}"
    );
    let one = machine();
    let nsg = one.bench.azure.nsg_of(one.vm());
    one.bench
        .azure
        .open_by_hand(&nsg, "office", 1000, 22, "203.0.113.0/24");
    let (key, spec) = one.placed(1);
    let refused = one
        .provider()
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert!(
        refused.fault == Said::AlreadyStanding && refused.detail.contains("office"),
        "{refused}"
    );
    assert_eq!(one.rules(), ["office"]);
}

#[tokio::test]
async fn ports_that_are_kept_shut_are_open_to_holders_alone() {
    let mut one = machine();
    one.resource["closed"] = json!(true);
    let nsg = one.bench.azure.nsg_of(one.vm());
    one.bench
        .azure
        .open_by_hand(&nsg, "office", 1000, 22, "203.0.113.0/24");
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    assert!(one.open(22, address(1)) && one.open(22, address(2)));
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(
        one.open(22, address(1)) && !one.open(22, address(2)),
        "the old rule opens it no more"
    );
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!one.open(22, address(1)) && !one.open(22, address(2)));
    let shut = provider.inspect(&key, Some(&spec)).await;
    assert_eq!(shut, Ok(Inspection::Absent { residue: Vec::new() }));
    assert_eq!(
        keys(&*provider).await,
        Ok(Vec::new()),
        "what keeps a port shut is no access"
    );
    // Somebody opens it before our rule.
    one.bench.azure.open_by_hand(&nsg, "sneaky", 150, 22, "*");
    match provider.inspect(&key, Some(&spec)).await.unwrap() {
        Inspection::Absent { residue } => assert!(residue[0].contains("sneaky"), "{residue:?}"),
        other => panic!("{other:?}"),
    }
    let refused = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Said::AlreadyStanding);
}

#[tokio::test]
async fn a_change_that_takes_long_is_waited_for_and_a_failed_one_is_tried_again() {
    let one = machine();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let struck = one
        .bench
        .azure
        .fail("PUT", "securityRules", Fault::OperationFails, Times::Exactly(1));
    let failed = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!((failed.fault, struck.hits()), (Said::Unavailable, 1));
    assert!(!one.open(22, address(1)));
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(one.open(22, address(1)));
    let struck = one
        .bench
        .azure
        .fail("DELETE", "securityRules", Fault::LostAnswer, Times::Exactly(1));
    assert_eq!(
        provider.revoke(&key, Some(&spec)).await.unwrap_err().fault,
        Said::Unavailable
    );
    assert_eq!(struck.hits(), 1);
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!is_there(&*provider, &key, &spec).await && !one.open(22, address(1)));
}

#[tokio::test]
async fn a_machine_that_does_not_run_can_be_shut() {
    let one = machine();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    one.bench.azure.set_running(one.vm(), false);
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(is_there(&*provider, &key, &spec).await);
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!is_there(&*provider, &key, &spec).await && one.rules().is_empty());
}

#[tokio::test]
async fn reads_that_lag_do_not_keep_a_port_open() {
    let one = machine();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    give(&*provider, &key, &spec, one.hour()).await;
    let lag = Duration::from_secs(30);
    one.bench.azure.advance(lag * 2);
    one.bench.azure.reads_lag("networkSecurityGroups", lag);
    let gone = provider.revoke(&key, Some(&spec)).await;
    assert!(
        matches!(gone, Ok(Progress::Done | Progress::Pending { .. })),
        "{gone:?}"
    );
    assert!(!one.open(22, address(1)));
    assert!(
        is_there(&*provider, &key, &spec).await,
        "it still shows, and is not called absent"
    );
    one.bench.azure.advance(lag * 2);
    assert!(!is_there(&*provider, &key, &spec).await);
}
