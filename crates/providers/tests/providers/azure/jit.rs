//! Ports by Defender's just-in-time policies.

use std::time::Duration;

use daypass_core::entitlement::Fault as Said;
use daypass_core::time::Span;
use daypass_providers::azure::AzureVm;
use daypass_providers::{Inspection, Progress};
use daypass_testbed::azure::{Fault, Times};
use reqwest::Client;
use serde_json::json;

use super::bench::{Bench, One, address, as_described, give, is_there};
use crate::conformance;
use crate::stand::{Stand as _, keys};

/// A machine with a policy for its ports, which the operator wrote.
async fn machine() -> One {
    let bench = Bench::new();
    let vm = bench.azure.vm(&bench.subscription, "web", "web-1", "10.0.0.4");
    write_policy(&bench, &vm).await;
    One {
        kind: &AzureVm,
        resource: json!({"vms": [vm], "via": "jit"}),
        role: json!({"ports": [22]}),
        hostile: vec![
            (
                json!({"vms": [format!("{vm}9")], "via": "jit"}),
                json!({"ports": [22]}),
            ),
            (json!({"vms": [vm], "via": "jit"}), json!({"ports": [23]})),
            (json!({"vms": [vm], "via": "'; --"}), json!({"ports": [22]})),
        ],
        by_hand: |one, grant| {
            let nsg = one.bench.azure.nsg_of(one.resource["vms"][0].as_str().unwrap());
            one.bench
                .azure
                .open_by_hand(&nsg, "by-hand", 300, 22, &address(grant).to_string());
        },
        dump: |one| {
            let nsg = one.bench.azure.nsg_of(one.resource["vms"][0].as_str().unwrap());
            format!("{:?}", one.bench.azure.rules(&nsg))
        },
        bench,
    }
}

/// A policy of an administrator's for two ports of a machine.
pub(super) async fn write_policy(bench: &Bench, vm: &str) {
    let ports = [22, 3389].map(|number| {
        json!({"number": number, "protocol": "TCP", "allowedSourceAddressPrefix": "*", "maxRequestAccessDuration": "PT8H"})
    });
    let body = json!({"kind": "Basic", "properties": {"virtualMachines": [{"id": vm, "ports": ports}]}});
    let path = format!(
        "{}/resourceGroups/web/providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default?api-version=2020-01-01",
        bench.scope()
    );
    put(bench, &path, &body).await;
}

/// What an administrator writes, with a secret of their own.
async fn put(bench: &Bench, path: &str, body: &serde_json::Value) {
    use daypass_testbed::azure::Proof;
    let admin = bench.azure.program("admin", &Proof::Secret("s3cret".to_owned()));
    bench.azure.assign(&admin.object, "Owner", &bench.scope());
    let http = Client::new();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret=s3cret&scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
        admin.client
    );
    let url = format!(
        "{}/{}/oauth2/v2.0/token",
        bench.azure.plain_url(),
        bench.azure.tenant()
    );
    let asked = http
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let token: serde_json::Value = asked.send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap();
    let url = format!("{}{path}", bench.azure.plain_url());
    let written = http.put(url).bearer_auth(token).json(body).send().await.unwrap();
    assert!(written.status().is_success(), "{}", written.text().await.unwrap());
}

fn open(one: &One, grant: u8) -> bool {
    let vm = one.resource["vms"][0].as_str().unwrap();
    one.bench.azure.is_open(vm, 22, "Tcp", address(grant))
}

#[tokio::test]
async fn ports_by_defender_keep_the_contract() {
    let one = machine().await;
    conformance::all(&one).await;
    as_described(&one.bench);
}

#[tokio::test]
async fn what_defender_opens_ends_by_itself_and_can_be_shut_before() {
    let one = machine().await;
    one.bench.azure.tokens_hold(Duration::from_secs(36_000));
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let until = one.hour();
    give(&*provider, &key, &spec, until).await;
    assert!(open(&one, 1) && !open(&one, 2));
    let residue = Vec::new();
    let seen = provider.inspect(&key, Some(&spec)).await;
    assert_eq!(
        seen,
        Ok(Inspection::Present {
            until: Some(until),
            residue
        })
    );
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!open(&one, 1) && !is_there(&*provider, &key, &spec).await);
    give(&*provider, &key, &spec, until).await;
    assert!(open(&one, 1), "opened again, though Defender took it for open");
    one.bench.azure.advance(Duration::from_secs(3601));
    assert!(
        !open(&one, 1) && !is_there(&*provider, &key, &spec).await,
        "with Daypass doing nothing"
    );
    assert_eq!(keys(&*provider).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_second_address_never_shuts_out_the_first() {
    let one = machine().await;
    let ((ana, first), (bo, second)) = (one.placed(1), one.placed(2));
    let provider = one.provider();
    give(&*provider, &ana, &first, one.hour()).await;
    give(&*provider, &bo, &second, one.hour()).await;
    assert!(
        open(&one, 1) && open(&one, 2),
        "the second is opened by a rule of ours"
    );
    assert_eq!(provider.revoke(&ana, Some(&first)).await, Ok(Progress::Done));
    assert!(!open(&one, 1) && open(&one, 2));
    give(&*provider, &ana, &first, one.hour() + Span::minutes(5)).await;
    assert_eq!(provider.revoke(&bo, None).await, Ok(Progress::Done));
    assert!(open(&one, 1) && !open(&one, 2));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_to_have_been_ours() {
    let one = machine().await;
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let struck = one
        .bench
        .azure
        .fail("POST", "initiate", Fault::LostAnswer, Times::Exactly(1));
    let lost = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!((lost.fault, struck.hits()), (Said::Unavailable, 1));
    assert_eq!(
        keys(&*one.provider()).await,
        Ok(vec![key.clone()]),
        "after a crash too"
    );
    assert_eq!(provider.revoke(&key, None).await, Ok(Progress::Done));
    assert!(!open(&one, 1) && !is_there(&*provider, &key, &spec).await);
}
