//! Just-in-time access of Defender.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::client::Bed;

const ANA: [u8; 4] = [198, 51, 100, 7];

struct Jit {
    bed: Bed,
    vm: String,
    policy: String,
}

impl Jit {
    async fn new() -> Self {
        let bed = Bed::owner();
        let vm = bed.azure.vm(&bed.s, "web", "web-1", "10.0.0.4");
        let place = "providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default";
        let policy = format!("{}/resourceGroups/web/{place}", bed.sub());
        let jit = Self { bed, vm, policy };
        let made = jit.bed.arm("PUT", &jit.at(""), Some(&jit.body("PT3H"))).await;
        assert_eq!(made.status, 200, "{made:?}");
        jit
    }

    fn at(&self, more: &str) -> String {
        format!("{}{more}?api-version=2020-01-01", self.policy)
    }

    fn body(&self, longest: &str) -> Value {
        json!({"kind": "Basic", "properties": {"virtualMachines": [{"id": self.vm, "ports": [{
            "number": 22, "protocol": "TCP", "allowedSourceAddressPrefix": "*", "maxRequestAccessDuration": longest,
        }]}]}})
    }

    async fn initiate(&self, port: u16, from: &str, minutes: i64) -> (u16, Value) {
        let ends = self.bed.azure.now() + SignedDuration::from_mins(minutes);
        let body = json!({"justification": "daypass 7", "virtualMachines": [{"id": self.vm, "ports": [{
            "number": port, "endTimeUtc": ends.to_string(), "allowedSourceAddressPrefix": from,
        }]}]});
        let got = self.bed.arm("POST", &self.at("/initiate"), Some(&body)).await;
        (got.status, got.body)
    }

    /// The status and its reason of each request, the oldest first.
    async fn requests(&self) -> Vec<String> {
        let policy = self.bed.arm("GET", &self.at(""), None).await;
        let all = policy.body["properties"]["requests"].as_array().unwrap().clone();
        let ports = all.iter().map(|one| &one["virtualMachines"][0]["ports"][0]);
        ports
            .map(|port| {
                format!(
                    "{} {}",
                    port["status"].as_str().unwrap(),
                    port["statusReason"].as_str().unwrap()
                )
            })
            .collect()
    }

    fn open_to(&self, from: [u8; 4]) -> bool {
        self.bed.azure.is_open(&self.vm, 22, "Tcp", from.into())
    }
}

#[tokio::test]
async fn a_port_is_open_until_its_end_and_shut_for_the_network_itself() {
    let jit = Jit::new().await;
    assert!(
        !jit.open_to([10, 0, 3, 3]),
        "the policy shuts what Azure's default rule lets through"
    );
    assert_eq!(jit.initiate(22, "198.51.100.7", 60).await.0, 202);
    assert!(jit.open_to(ANA));
    assert!(!jit.open_to([198, 51, 100, 8]));
    assert_eq!(jit.requests().await, ["Initiated UserRequested"]);
    jit.bed.azure.advance(Duration::from_secs(3601));
    assert!(!jit.open_to(ANA));
    assert_eq!(jit.requests().await, ["Revoked Expired"]);
    assert_eq!(jit.bed.arm("DELETE", &jit.at(""), None).await.status, 200);
    assert!(jit.open_to([10, 0, 3, 3]));
    assert_eq!(jit.bed.arm("DELETE", &jit.at(""), None).await.status, 204);
}

#[tokio::test]
async fn the_newer_request_ends_the_older_one() {
    let jit = Jit::new().await;
    assert_eq!(jit.initiate(22, "198.51.100.7", 60).await.0, 202);
    assert_eq!(jit.initiate(22, "198.51.100.8", 30).await.0, 202);
    assert!(!jit.open_to(ANA));
    assert!(jit.open_to([198, 51, 100, 8]));
    assert_eq!(
        jit.requests().await,
        ["Revoked NewerRequestInitiated", "Initiated UserRequested"]
    );
    // By hand: the rule is gone, what is said of it stays.
    let nsg = jit.bed.azure.nsg_of(&jit.vm);
    let rules = jit.bed.azure.rules(&nsg);
    let (name, _) = rules.iter().find(|(_, rule)| rule["access"] == "Allow").unwrap();
    assert!(jit.bed.azure.remove_rule(&nsg, name));
    assert!(!jit.open_to([198, 51, 100, 8]));
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused() {
    let jit = Jit::new().await;
    assert_eq!(jit.initiate(3389, "198.51.100.7", 60).await.0, 400);
    assert_eq!(jit.initiate(22, "198.51.100.7", 200).await.0, 400);
    assert_eq!(jit.initiate(22, "198.51.100.7", -1).await.0, 400);
    let mut body = jit.body("PT3H");
    body["properties"]["virtualMachines"][0]["ports"][0]["allowedSourceAddressPrefix"] =
        "198.51.100.0/24".into();
    assert_eq!(jit.bed.arm("PUT", &jit.at(""), Some(&body)).await.status, 200);
    assert_eq!(jit.initiate(22, "203.0.113.1", 60).await.0, 400);
    assert_eq!(jit.initiate(22, "198.51.100.7", 60).await.0, 202);
    assert_eq!(
        jit.bed
            .arm("PUT", &jit.at(""), Some(&jit.body("PT4M")))
            .await
            .status,
        400
    );
    assert_eq!(
        jit.bed
            .arm("PUT", &jit.at(""), Some(&jit.body("P2D")))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn to_initiate_takes_the_action_and_a_look_at_the_machine() {
    let jit = Jit::new().await;
    for one in jit.bed.azure.assignments(&jit.bed.sub()) {
        jit.bed.azure.unassign(&one.id);
    }
    assert_eq!(jit.initiate(22, "198.51.100.7", 60).await.0, 403);
    let actions = ["Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"];
    let role = jit.bed.azure.role("Opener", &actions, &["/"]);
    jit.bed.azure.assign(&jit.bed.us.object, &role, &jit.bed.sub());
    let (status, body) = jit.initiate(22, "198.51.100.7", 60).await;
    assert_eq!(status, 403);
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("'Microsoft.Compute/virtualMachines/read'")
    );
    jit.bed
        .azure
        .assign(&jit.bed.us.object, "Virtual Machine Contributor", &jit.bed.sub());
    assert_eq!(jit.initiate(22, "198.51.100.7", 60).await.0, 202);
}
