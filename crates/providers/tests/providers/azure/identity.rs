//! As whom Azure is called: each way of showing it, and what an operator's file must allow.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::entitlement::Fault as Said;
use daypass_providers::azure::{Azure as Connector, Cloud, Login};
use daypass_providers::{Kind, Secrets as _};
use daypass_testbed::azure::Proof;
use serde_json::json;

use super::bench::Bench;

#[tokio::test]
async fn a_certificate_and_a_federated_token_are_taken() {
    let mut bench = Bench::new();
    assert_eq!(bench.connect("this").probe().await, Ok(()), "a certificate");
    let proof = Proof::Federated {
        issuer: "https://cluster.example".to_owned(),
        subject: "system:serviceaccount:daypass:server".to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
    };
    bench.azure.add_proof(&bench.us, &proof);
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": "https://cluster.example", "sub": "system:serviceaccount:daypass:server",
        "aud": "api://AzureADTokenExchange", "exp": 4_102_444_800_u64,
    });
    let token = format!(
        "{}.{}.c2ln",
        part(json!({"alg": "RS256", "typ": "JWT"})),
        part(claims)
    );
    std::fs::write(&token_file, token).unwrap();
    bench.operator.identity.login = Login::Workload {
        client_id: bench.us.client.clone(),
        token_file,
    };
    assert_eq!(bench.connect("this").probe().await, Ok(()), "a federated token");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_said_to_be_so() {
    let mut bench = Bench::new();
    bench.operator.identity.login = Login::Certificate {
        client_id: bench.us.client.clone(),
        file: "/nowhere/daypass.pem".into(),
    };
    let refused = bench.connect("this").probe().await.unwrap_err();
    assert!(
        refused.fault == Said::Misconfigured && refused.detail.contains("/nowhere/daypass.pem"),
        "{refused}"
    );
}

#[tokio::test]
async fn nobody_is_believed_whose_certificate_is_not_trusted() {
    let mut bench = Bench::new();
    bench.operator.identity.ca_pem = None;
    let refused = bench.connect("this").probe().await.unwrap_err();
    assert_eq!(refused.fault, Said::Unavailable, "{refused}");
    assert!(bench.azure.exchanges().is_empty());
}

#[test]
fn an_operators_file_says_who_may_be_called_as() {
    let bench = Bench::bare();
    let problem =
        |config: &serde_json::Value| Connector.check_allowed(config, &bench.operator).unwrap_err()[0].clone();
    let mut config = bench.settings.clone();
    assert_eq!(Connector.check_allowed(&config, &bench.operator), Ok(()));
    config["cloud"] = json!("china");
    assert_eq!(problem(&config).pointer, "/cloud");
    config["cloud"] = json!("public");
    assert_eq!(Connector.check_allowed(&config, &bench.operator), Ok(()));
    config["tenant"] = json!("00000000-0000-0000-0000-000000000009");
    assert_eq!(problem(&config).pointer, "/tenant");
    config["identity"] = json!("azur");
    let unknown = problem(&config);
    assert!(
        unknown.pointer == "/identity" && unknown.message.contains("did you mean azure"),
        "{unknown:?}"
    );
    let name = "azure-main".parse().unwrap();
    let refused = Connector.connect(&name, &config, Arc::new(bench.operator.clone()), "this");
    assert!(refused.is_err_and(|error| error.fault == Said::Misconfigured));
    assert_eq!(bench.operator.identity("azure").unwrap().cloud, Cloud::Public);
}

#[tokio::test]
async fn a_probe_names_what_is_missing_and_changes_nothing() {
    let bench = Bench::bare();
    let actions = [
        "Microsoft.Authorization/roleAssignments/read",
        "Microsoft.Authorization/roleAssignments/write",
    ];
    let role = bench.azure.role("half", &actions, &[&bench.scope()]);
    bench.azure.assign(&bench.us.object, &role, &bench.scope());
    let refused = bench.connect("this").probe().await.unwrap_err();
    assert!(
        refused.fault == Said::Misconfigured
            && refused
                .detail
                .contains("Microsoft.Authorization/roleAssignments/delete")
            && !refused.detail.contains("azure-vm"),
        "{refused}"
    );
    let changed = bench
        .azure
        .exchanges()
        .iter()
        .any(|one| matches!(one.method.as_str(), "PUT" | "DELETE"));
    assert!(!changed);
}
