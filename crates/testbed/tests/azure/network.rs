//! Rules of network security groups, and what packets meet.

use std::net::IpAddr;
use std::time::Duration;

use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use crate::client::{Bed, opens};

const ANA: &str = "198.51.100.7";

fn from(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rule(nsg: &str, name: &str) -> String {
    format!("{nsg}/securityRules/{name}?api-version=2023-09-01")
}

#[tokio::test]
async fn a_rule_opens_a_port_to_one_address_once_its_operation_has_ended() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    bed.azure.operations_take(Duration::from_secs(30));
    assert!(!bed.azure.is_open(&vm, 22, "Tcp", from(ANA)));
    let made = bed
        .arm("PUT", &rule(&nsg, "daypass-1"), Some(&opens(200, ANA)))
        .await;
    assert_eq!(
        (made.status, &made.body["properties"]["provisioningState"]),
        (201, &json!("Updating"))
    );
    let state = made.header("azure-asyncoperation").to_owned();
    assert_eq!(bed.arm("GET", &state, None).await.body["status"], "InProgress");
    assert!(!bed.azure.is_open(&vm, 22, "Tcp", from(ANA)), "it is under way");
    let busy = bed
        .arm("PUT", &rule(&nsg, "daypass-2"), Some(&opens(201, ANA)))
        .await;
    assert_eq!((busy.status, busy.code()), (409, "AnotherOperationInProgress"));
    bed.azure.advance(Duration::from_secs(31));
    assert_eq!(bed.arm("GET", &state, None).await.body["status"], "Succeeded");
    let shown = bed.arm("GET", &rule(&nsg, "daypass-1"), None).await;
    assert_eq!(shown.body["properties"]["provisioningState"], "Succeeded");
    assert!(bed.azure.is_open(&vm, 22, "Tcp", from(ANA)));
    assert!(!bed.azure.is_open(&vm, 22, "Tcp", from("198.51.100.8")));
    assert!(!bed.azure.is_open(&vm, 22, "Udp", from(ANA)));
    assert!(!bed.azure.is_open(&vm, 23, "Tcp", from(ANA)));

    let gone = bed.arm("DELETE", &rule(&nsg, "daypass-1"), None).await;
    assert_eq!(gone.status, 202);
    let result = gone.header("location").to_owned();
    assert_eq!(bed.arm("GET", &result, None).await.status, 202);
    assert!(
        bed.azure.is_open(&vm, 22, "Tcp", from(ANA)),
        "its removal is under way"
    );
    bed.azure.advance(Duration::from_secs(31));
    assert_eq!(bed.arm("GET", &result, None).await.status, 204);
    assert!(!bed.azure.is_open(&vm, 22, "Tcp", from(ANA)));
    assert_eq!(
        bed.arm("DELETE", &rule(&nsg, "daypass-1"), None).await.status,
        204
    );
}

#[tokio::test]
async fn rules_that_azure_refuses_are_refused() {
    let bed = Bed::owner();
    let nsg = bed.azure.nsg(&bed.s, "web", "nsg");
    assert_eq!(
        bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA)))
            .await
            .status,
        201
    );
    let same = bed.arm("PUT", &rule(&nsg, "two"), Some(&opens(200, ANA))).await;
    assert_eq!((same.status, same.code()), (400, "SecurityRuleConflict"));
    assert_eq!(
        bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA)))
            .await
            .status,
        200
    );
    for (name, value, code) in [
        ("priority", json!(99), "SecurityRuleInvalidPriority"),
        ("priority", json!(4097), "SecurityRuleInvalidPriority"),
        (
            "destinationPortRange",
            json!("22-x"),
            "SecurityRuleInvalidPortRange",
        ),
        (
            "sourceAddressPrefix",
            json!("1.2.3"),
            "SecurityRuleInvalidAddressPrefix",
        ),
        (
            "sourceAddressPrefixes",
            json!(["1.2.3.4"]),
            "SecurityRuleParameterAndParametersBothSpecified",
        ),
        ("access", json!("Maybe"), "SecurityRuleInvalidAccess"),
        (
            "description",
            json!("x".repeat(141)),
            "SecurityRuleDescriptionTooLong",
        ),
    ] {
        let mut body = opens(300, ANA);
        body["properties"][name] = value;
        let got = bed.arm("PUT", &rule(&nsg, "bad"), Some(&body)).await;
        assert_eq!((got.status, got.code()), (400, code), "{name}");
    }
    let gone = bed
        .arm("PUT", &rule(&format!("{nsg}x"), "one"), Some(&opens(200, ANA)))
        .await;
    assert_eq!(gone.code(), "ResourceNotFound");
}

#[tokio::test]
async fn the_lowest_number_decides_and_the_subnet_has_to_agree() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    let open = |who: &str| bed.azure.is_open(&vm, 22, "Tcp", from(who));
    assert!(open("10.0.3.3"), "the network's own, by Azure's default rule");
    let mut shut = opens(4000, "*")["properties"].clone();
    shut["access"] = "Deny".into();
    bed.azure.put_rule(&nsg, "closed", shut);
    assert!(!open("10.0.3.3"));
    bed.azure.open_by_hand(&nsg, "ana", 200, 22, "198.51.100.0/24");
    assert!(open(ANA));
    let at_subnet = bed.azure.nsg(&bed.s, "web", "subnet-nsg");
    bed.azure.nsg_at_subnet(&bed.s, "web", &at_subnet);
    assert!(!open(ANA), "the subnet's says no");
    bed.azure.open_by_hand(&at_subnet, "ana", 200, 22, "Internet");
    assert!(open(ANA));
    assert!(bed.azure.remove_rule(&nsg, "ana"));
    assert!(!open(ANA));
}

#[tokio::test]
async fn effective_rules_are_told_of_a_machine_that_runs() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    bed.azure
        .nsg_at_subnet(&bed.s, "web", &bed.azure.nsg(&bed.s, "web", "subnet-nsg"));
    bed.azure.open_by_hand(&nsg, "ana", 200, 22, ANA);
    let shown = bed
        .arm(
            "GET",
            &format!("{vm}?api-version=2024-03-01&$expand=instanceView"),
            None,
        )
        .await;
    assert_eq!(
        shown.body["properties"]["instanceView"]["statuses"][1]["code"],
        "PowerState/running"
    );
    let nic = shown.body["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
        .as_str()
        .unwrap();
    let path = format!("{nic}/effectiveNetworkSecurityGroups?api-version=2023-09-01");
    let asked = bed.arm("POST", &path, None).await;
    assert_eq!(asked.status, 202);
    let told = bed.arm("GET", asked.header("location"), None).await;
    let groups = told.body["value"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    let first = &groups[1]["effectiveSecurityRules"][0];
    assert_eq!(
        (&first["name"], &first["destinationPortRange"]),
        (&json!("securityRules/ana"), &json!("22-22"))
    );
    assert_eq!(first["sourceAddressPrefix"], format!("{ANA}/32"));
    bed.azure.set_running(&vm, false);
    let state = bed
        .arm("GET", &format!("{vm}/instanceView?api-version=2024-03-01"), None)
        .await;
    assert_eq!(state.body["statuses"][1]["code"], "PowerState/deallocated");
    let refused = bed.arm("POST", &path, None).await;
    assert_eq!(
        (refused.status, refused.code()),
        (400, "NetworkInterfaceNotAttachedToRunningVM")
    );
}

#[tokio::test]
async fn an_operation_fails_or_never_ends_when_asked_to() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    let fails = bed
        .azure
        .fail("PUT", "/securityRules/", Fault::OperationFails, Times::Exactly(1));
    let made = bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA))).await;
    let state = bed.arm("GET", made.header("azure-asyncoperation"), None).await;
    assert_eq!(state.body["status"], "Failed");
    assert!(!bed.azure.is_open(&vm, 22, "Tcp", from(ANA)));
    let shown = bed.arm("GET", &rule(&nsg, "one"), None).await;
    assert_eq!(shown.body["properties"]["provisioningState"], "Failed");
    assert_eq!(
        bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA)))
            .await
            .status,
        200
    );
    assert!(bed.azure.is_open(&vm, 22, "Tcp", from(ANA)));
    let never = bed
        .azure
        .fail("DELETE", "/securityRules/", Fault::NeverEnds, Times::Exactly(1));
    let gone = bed.arm("DELETE", &rule(&nsg, "one"), None).await;
    bed.azure.advance(Duration::from_secs(3000));
    assert_eq!(bed.arm("GET", gone.header("location"), None).await.status, 202);
    assert_eq!((fails.hits(), never.hits()), (1, 1));
    bed.azure.end_operations();
    assert_eq!(bed.arm("GET", gone.header("location"), None).await.status, 204);
    assert!(bed.azure.rules(&nsg).is_empty());
}

#[tokio::test]
async fn a_rule_that_never_came_into_force_does_not_while_it_is_taken_away_and_one_that_did_stays() {
    let bed = Bed::owner();
    let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
    let nsg = bed.azure.nsg_of(&vm);
    let open = || bed.azure.is_open(&vm, 22, "Tcp", from(ANA));
    let state = async || {
        bed.arm("GET", &rule(&nsg, "one"), None).await.body["properties"]["provisioningState"].clone()
    };
    let fails = |method: &str| {
        bed.azure.fail(
            method,
            "/securityRules/",
            Fault::OperationFails,
            Times::Exactly(1),
        )
    };
    let failed = fails("PUT");
    assert_eq!(
        bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA)))
            .await
            .status,
        201
    );
    bed.azure.operations_take(Duration::from_secs(30));
    assert_eq!((state().await, open()), (json!("Failed"), false));
    assert_eq!(bed.arm("DELETE", &rule(&nsg, "one"), None).await.status, 202);
    assert_eq!((state().await, open()), (json!("Deleting"), false));
    bed.azure.advance(Duration::from_secs(31));

    assert_eq!(
        bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA)))
            .await
            .status,
        201
    );
    bed.azure.advance(Duration::from_secs(31));
    let kept = fails("DELETE");
    assert_eq!(bed.arm("DELETE", &rule(&nsg, "one"), None).await.status, 202);
    assert_eq!((state().await, open()), (json!("Deleting"), true));
    bed.azure.advance(Duration::from_secs(31));
    assert_eq!((state().await, open()), (json!("Succeeded"), true));
    assert_eq!((failed.hits(), kept.hits()), (1, 1));
}

#[tokio::test]
async fn reads_see_what_was_while_they_lag() {
    let bed = Bed::owner();
    let nsg = bed.azure.nsg(&bed.s, "web", "nsg");
    bed.azure.reads_lag("/securityRules", Duration::from_secs(30));
    assert_eq!(
        bed.arm("PUT", &rule(&nsg, "one"), Some(&opens(200, ANA)))
            .await
            .status,
        201
    );
    assert_eq!(bed.arm("GET", &rule(&nsg, "one"), None).await.status, 404);
    bed.azure.advance(Duration::from_secs(31));
    assert_eq!(bed.arm("GET", &rule(&nsg, "one"), None).await.status, 200);
    assert_eq!(bed.arm("DELETE", &rule(&nsg, "one"), None).await.status, 202);
    assert_eq!(bed.arm("GET", &rule(&nsg, "one"), None).await.status, 200);
    bed.azure.reads_lag("/securityRules", Duration::ZERO);
    assert_eq!(bed.arm("GET", &rule(&nsg, "one"), None).await.status, 404);
}

#[tokio::test]
async fn a_lost_answer_has_happened_and_a_cut_call_has_not() {
    let bed = Bed::owner();
    let nsg = bed.azure.nsg(&bed.s, "web", "nsg");
    let token = bed.token(crate::client::ARM).await;
    let put = async |name: &str| {
        let body = opens(200, ANA);
        bed.request("PUT", &rule(&nsg, name), Some(&body))
            .bearer_auth(&token)
            .send()
            .await
    };
    let cut = bed.azure.fail("PUT", "/one", Fault::Cut, Times::Always);
    assert!(put("one").await.is_err());
    assert!(cut.hits() >= 1, "reqwest may try once more");
    cut.lift();
    assert!(bed.azure.rules(&nsg).is_empty());
    let lost = bed.azure.fail("PUT", "/one", Fault::LostAnswer, Times::Always);
    assert!(put("one").await.is_err());
    assert!(lost.hits() >= 1);
    assert_eq!(bed.azure.rules(&nsg).len(), 1);
}
