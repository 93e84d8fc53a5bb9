//! Who gets a token, for what, and for how long.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daypass_testbed::azure::{Certificate, Fault, Proof, Times};
use serde_json::{Value, json};

use crate::client::{ARM, Bed, GRAPH};

const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[tokio::test]
async fn a_token_is_for_whoever_knows_the_secret_and_for_one_audience() {
    let bed = Bed::owner();
    let wrong = bed.asks_for_token(ARM, &[("client_secret", "guess")]).await;
    assert_eq!(
        (wrong.status, wrong.body["error"].as_str()),
        (401, Some("invalid_client"))
    );
    let nowhere = bed
        .asks_for_token("https://elsewhere/.default", &[("client_secret", "s3cret")])
        .await;
    assert_eq!(nowhere.body["error"], "invalid_resource");

    let graph = bed.token(GRAPH).await;
    let path = format!("{}?api-version=2022-12-01", bed.sub());
    let got = bed.send(bed.request("GET", &path, None).bearer_auth(graph)).await;
    assert_eq!(
        (got.status, got.code()),
        (401, "InvalidAuthenticationTokenAudience")
    );
    assert_eq!(bed.arm("GET", &path, None).await.status, 200);
    let got = bed.send(bed.request("GET", &path, None)).await;
    assert_eq!((got.status, got.code()), (401, "AuthenticationFailed"));
    // Without TLS, too.
    let plain = bed.http.get(format!("{}{path}", bed.azure.plain_url()));
    assert_eq!(bed.send(plain).await.status, 401);
}

#[tokio::test]
async fn a_token_runs_out_by_the_clock_by_hand_and_by_a_fault() {
    let bed = Bed::owner();
    let path = format!("{}?api-version=2022-12-01", bed.sub());
    let asks = async |token: &str| bed.send(bed.request("GET", &path, None).bearer_auth(token)).await;
    let token = bed.token(ARM).await;
    bed.azure.advance(Duration::from_secs(3500));
    assert_eq!(asks(&token).await.status, 200);
    bed.azure.advance(Duration::from_secs(100));
    let late = asks(&token).await;
    assert_eq!((late.status, late.code()), (401, "ExpiredAuthenticationToken"));

    let token = bed.token(ARM).await;
    let struck = bed
        .azure
        .fail("GET", &bed.sub(), Fault::TokenExpired, Times::Exactly(1));
    assert_eq!(asks(&token).await.status, 401);
    assert_eq!(asks(&token).await.status, 401, "it stays expired");
    assert_eq!(struck.hits(), 1);
    let token = bed.token(ARM).await;
    assert_eq!(asks(&token).await.status, 200);
    bed.azure.expire_tokens();
    assert_eq!(asks(&token).await.status, 401);
}

#[tokio::test]
async fn a_certificate_proves_by_its_signature_and_nothing_else_does() {
    let bed = Bed::new();
    let (ours, other) = (Certificate::make().unwrap(), Certificate::make().unwrap());
    bed.azure.add_proof(&bed.us, &Proof::Certificate(ours.clone()));
    let at = format!("{}/{}/oauth2/v2.0/token", bed.azure.url(), bed.azure.tenant());
    let ends = bed.azure.now().as_second() + 600;
    let claims = json!({"iss": bed.us.client, "sub": bed.us.client, "aud": at, "exp": ends, "jti": "1"});
    let proves = async |signed: String| {
        let more = [
            ("client_assertion_type", BEARER),
            ("client_assertion", signed.as_str()),
        ];
        bed.asks_for_token(ARM, &more).await.status
    };
    assert_eq!(proves(signed(&ours, &ours, &claims)).await, 200);
    assert_eq!(
        proves(signed(&other, &other, &claims)).await,
        401,
        "it is not registered"
    );
    assert_eq!(
        proves(signed(&ours, &other, &claims)).await,
        401,
        "another key signed"
    );
    for (name, value) in [
        ("iss", json!("x")),
        ("aud", json!("https://x")),
        ("exp", json!(ends - 1200)),
    ] {
        let mut wrong = claims.clone();
        wrong[name] = value;
        assert_eq!(proves(signed(&ours, &ours, &wrong)).await, 401, "{name}");
    }
}

/// A JWT that names one certificate and is signed with a key.
fn signed(names: &Certificate, signs: &Certificate, claims: &Value) -> String {
    let der = |pem: &str| {
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(lines).unwrap()
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der(&names.certificate));
    let header = json!({"alg": "RS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(digest)});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let key = RsaKeyPair::from_pkcs8(&der(&signs.key)).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_token_of_another_issuer_counts_for_its_subject_and_audience() {
    let bed = Bed::new();
    let (issuer, subject) = ("https://cluster.example", "system:serviceaccount:daypass:server");
    let proof = Proof::Federated {
        issuer: issuer.into(),
        subject: subject.into(),
        audience: "api://AzureADTokenExchange".into(),
    };
    bed.azure.add_proof(&bed.us, &proof);
    let ends = bed.azure.now().as_second() + 600;
    let proves = async |subject: &str, audience: &str| {
        let claims = json!({"iss": issuer, "sub": subject, "aud": [audience], "exp": ends});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.eA", part(&json!({"alg": "RS256"})), part(&claims));
        let more = [
            ("client_assertion_type", BEARER),
            ("client_assertion", token.as_str()),
        ];
        bed.asks_for_token(ARM, &more).await.status
    };
    assert_eq!(proves(subject, "api://AzureADTokenExchange").await, 200);
    assert_eq!(
        proves("system:serviceaccount:x:y", "api://AzureADTokenExchange").await,
        401
    );
    assert_eq!(proves(subject, "https://elsewhere").await, 401);
}

#[tokio::test]
async fn the_machine_gives_tokens_to_who_names_the_header() {
    let bed = Bed::owner();
    bed.azure.add_proof(&bed.us, &Proof::Managed);
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
    assert_eq!(bed.send(bed.request("GET", path, None)).await.status, 400);
    let got = bed
        .send(bed.request("GET", path, None).header("Metadata", "true"))
        .await;
    let token = got.body["access_token"].as_str().unwrap();
    let path = format!("{}?api-version=2022-12-01", bed.sub());
    assert_eq!(
        bed.send(bed.request("GET", &path, None).bearer_auth(token))
            .await
            .status,
        200
    );
}
