//! The least that Daypass needs: the role of the users' page, with which everything works, and without any part of which something does not.

use daypass_core::entitlement::{Fault as Said, Spec};
use daypass_providers::azure::{AzureRole, AzureVm};
use daypass_providers::{Error, Progress, Provider};
use serde_json::{Value, json};

use super::bench::{Bench, One, address, as_described};
use super::jit::write_policy;
use crate::stand::Stand as _;

/// The actions of the role on the page.
fn on_the_page() -> Vec<String> {
    actions_of("json role")
}

/// The actions of a block of the page.
pub(super) fn actions_of(block: &str) -> Vec<String> {
    let page = include_str!("../../../../../docs/providers/azure.md");
    let (_, after) = page.split_once(&format!("```{block}\n")).unwrap();
    let role: Value = serde_json::from_str(after.split_once("```").unwrap().0).unwrap();
    let all = role["Actions"].as_array().unwrap().iter();
    all.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// A tenant in which Daypass may do this and no more, and the kinds of thing that need rights at ARM.
async fn tenant(actions: &[&str]) -> Vec<One> {
    let roles = [
        json!({"role": "Contributor"}),
        json!({"role": "Reader", "pim": true}),
        json!({"ports": [22]}),
        json!({"ports": [3389]}),
    ];
    let mut all = Vec::new();
    for role in roles {
        let bench = Bench::bare();
        let scope = bench.azure.resource_group(&bench.subscription, "web");
        let vm = bench.azure.vm(&bench.subscription, "web", "web-1", "10.0.0.4");
        let daypass = bench.azure.role("Daypass connector", actions, &[&bench.scope()]);
        bench.azure.assign(&bench.us.object, &daypass, &bench.scope());
        let ports = role.get("ports").is_some();
        let mut resource = if ports {
            json!({"vms": [vm]})
        } else {
            json!({"scope": scope})
        };
        if role.get("ports") == Some(&json!([3389])) {
            write_policy(&bench, &vm).await;
            resource["via"] = json!("jit");
        }
        all.push(One {
            kind: if ports { &AzureVm } else { &AzureRole },
            resource,
            role,
            hostile: Vec::new(),
            by_hand: |_, _| (),
            dump: |_| String::new(),
            bench,
        });
    }
    all
}

/// Gives, shows, lists and takes away.
async fn whole(provider: &dyn Provider, key: &str, spec: &Spec, one: &One) -> Result<(), Error> {
    provider.probe().await?;
    provider.provision(key, spec, "ana", one.hour()).await?;
    let listed = provider.list_managed().await?;
    provider.inspect(key, Some(spec)).await?;
    let taken = provider.revoke(key, Some(spec)).await?;
    provider.inspect(key, Some(spec)).await?;
    assert_eq!((listed.contains_key(key), taken), (true, Progress::Done));
    Ok(())
}

#[tokio::test]
async fn with_exactly_the_role_of_the_page_everything_works() {
    let actions = on_the_page();
    let actions: Vec<_> = actions.iter().map(String::as_str).collect();
    for one in tenant(&actions).await {
        let (key, spec) = one.placed(1);
        assert_eq!(
            whole(&*one.provider(), &key, &spec, &one).await,
            Ok(()),
            "{}",
            one.role
        );
        if one.role.get("ports").is_some() {
            let vm = one.resource["vms"][0].as_str().unwrap();
            let port = one.role["ports"][0].as_u64().unwrap();
            let port = u16::try_from(port).unwrap();
            assert!(!one.bench.azure.is_open(vm, port, "Tcp", address(1)));
        }
        as_described(&one.bench);
    }
}

#[tokio::test]
async fn without_any_one_action_something_is_refused() {
    let actions = on_the_page();
    for missing in &actions {
        let rest: Vec<_> = actions
            .iter()
            .filter(|action| *action != missing)
            .map(String::as_str)
            .collect();
        let mut refused = Vec::new();
        for one in tenant(&rest).await {
            let (key, spec) = one.placed(1);
            if let Err(error) = whole(&*one.provider(), &key, &spec, &one).await {
                assert!(
                    matches!(error.fault, Said::Denied | Said::Misconfigured),
                    "{missing}: {error}"
                );
                refused.push(error.detail);
            }
        }
        assert!(!refused.is_empty(), "{missing} is not needed");
        assert!(
            refused.iter().any(|detail| detail.contains(missing.as_str())),
            "{missing}: {refused:?}"
        );
    }
}
