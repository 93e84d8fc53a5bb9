//! What is there, as far as one may see it; and who did what.

use std::time::Duration;

use serde_json::json;

use crate::client::{Bed, opens};

#[tokio::test]
async fn one_sees_what_one_may_read() {
    let bed = Bed::new();
    let (vm, _) = (
        bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4"),
        bed.azure.vm(&bed.s, "db", "db-1", "10.0.0.5"),
    );
    let other = bed.azure.subscription("Other");
    let names = async |path: &str| {
        let got = bed.arm("GET", path, None).await;
        let all = got.body["value"].as_array().cloned().unwrap_or_default();
        let name = |one: &serde_json::Value| {
            one["name"]
                .as_str()
                .or(one["displayName"].as_str())
                .unwrap()
                .to_owned()
        };
        all.iter().map(name).collect::<Vec<_>>()
    };
    assert!(names("/subscriptions?api-version=2022-12-01").await.is_empty());
    bed.azure
        .assign(&bed.us.object, "Reader", &bed.azure.resource_group(&bed.s, "web"));
    assert_eq!(
        names("/subscriptions?api-version=2022-12-01").await,
        ["Production"]
    );
    let groups = format!("{}/resourcegroups?api-version=2021-04-01", bed.sub());
    assert_eq!(names(&groups).await, ["web"]);
    let machines = "$filter=resourceType%20eq%20'Microsoft.Compute/virtualMachines'";
    let resources = format!("{}/resources?api-version=2021-04-01", bed.sub());
    assert_eq!(names(&format!("{resources}&{machines}")).await, ["web-1"]);
    let all = format!(
        "{}/providers/Microsoft.Compute/virtualMachines?api-version=2024-03-01",
        bed.sub()
    );
    assert_eq!(bed.arm("GET", &all, None).await.code(), "AuthorizationFailed");
    bed.azure.assign(&bed.us.object, "Reader", &bed.sub());
    assert_eq!(names(&all).await, ["db-1", "web-1"]);
    assert_eq!(
        bed.arm("GET", &format!("{vm}?api-version=2024-03-01"), None)
            .await
            .body["id"],
        vm.as_str()
    );

    let first = bed.arm("GET", &format!("{resources}&$top=3"), None).await;
    let next = first.body["nextLink"].as_str().unwrap();
    let rest = bed.arm("GET", next, None).await;
    let count = |got: &crate::client::Got| got.body["value"].as_array().unwrap().len();
    assert_eq!(
        (count(&first), count(&rest)),
        (3, 3),
        "rest of machines, interfaces, networks, groups of rules"
    );
    assert!(
        bed.azure
            .management_group("all", &[&bed.s, &other])
            .ends_with("/all")
    );
    assert_eq!(
        names("/providers/Microsoft.Management/managementGroups?api-version=2020-05-01").await,
        ["all"]
    );
}

#[tokio::test]
async fn what_was_done_is_told_after_a_while() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let ana = bed.azure.user("ana@example.com");
    bed.azure.activity_lags(Duration::from_secs(600));
    let begun = bed.azure.now();
    let rule = format!(
        "{}/securityRules/one?api-version=2023-09-01",
        bed.azure.nsg_of(&vm)
    );
    assert_eq!(
        bed.arm("PUT", &rule, Some(&opens(200, "198.51.100.7")))
            .await
            .status,
        201
    );
    bed.azure
        .act_as(&ana, "Microsoft.Compute/virtualMachines/restart/action", &vm);
    let told = async |more: &str| {
        let filter = format!("eventTimestamp ge '{begun}'{more}");
        let mut url = reqwest::Url::parse(&format!("{}{}", bed.azure.url(), bed.sub())).unwrap();
        url.set_path(&format!(
            "{}/providers/Microsoft.Insights/eventtypes/management/values",
            url.path()
        ));
        url.query_pairs_mut()
            .append_pair("api-version", "2015-04-01")
            .append_pair("$filter", &filter);
        let got = bed.arm("GET", url.as_str(), None).await;
        let all = got.body["value"].as_array().unwrap().clone();
        all.iter()
            .map(|one| (one["caller"].clone(), one["authorization"]["action"].clone()))
            .collect::<Vec<_>>()
    };
    assert!(told("").await.is_empty());
    bed.azure.advance(Duration::from_secs(601));
    let restart = (
        json!("ana@example.com"),
        json!("Microsoft.Compute/virtualMachines/restart/action"),
    );
    let write = (
        json!(bed.us.object),
        json!("Microsoft.Network/networkSecurityGroups/securityRules/write"),
    );
    assert_eq!(told("").await, [restart.clone(), write]);
    assert_eq!(
        told(&format!(" and caller eq '{ana}'")).await,
        std::slice::from_ref(&restart)
    );
    assert_eq!(told(&format!(" and resourceUri eq '{vm}'")).await, [restart]);
    assert!(
        told(&format!(
            " and eventTimestamp le '{}'",
            begun - jiff::SignedDuration::from_secs(5)
        ))
        .await
        .is_empty()
    );
    assert_eq!(bed.azure.activity().len(), 2);
}
