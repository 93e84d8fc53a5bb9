//! From where somebody asks: the server's own view of it decides, never what the client says of itself.

use daypass_api::Route;
use daypass_api::catalogue::How;
use daypass_policy::Source;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::bed::{Bed, POLICY, ask};

/// A server behind the proxies of this machine, on which staging may be read from one network only.
async fn start(trusted: &[&str]) -> (Bed, String) {
    let trusted = trusted.iter().map(|net| net.parse().unwrap()).collect();
    let bed = Bed::with(|config| config.trusted_proxies = trusted).await;
    let rule = "to: {env: staging}";
    let text = POLICY.replace(rule, &format!("{rule}, source: 203.0.113.0/24"));
    assert_ne!(text, POLICY);
    let name = "policy.yaml".to_owned();
    bed.server
        .engine()
        .load_policy(&[Source { name, text }])
        .await
        .unwrap();
    let token = bed.session("ana").await;
    (bed, token)
}

/// The answer to a call that the proxy saw come from there.
async fn seen_from(call: RequestBuilder, forwarded: &str) -> Value {
    let call = call.header("x-forwarded-for", forwarded);
    call.send().await.unwrap().json().await.unwrap()
}

/// What a preview and a request with these headers come to: the code of the refusal, or `allowed`.
async fn comes_to(bed: &Bed, token: &str, headers: &[(&str, &str)]) -> [String; 2] {
    let mut came = Vec::new();
    for route in [Route::Preview, Route::AddRequest] {
        let mut call = bed.call(route, &[], Some(token)).json(&ask("staging/read"));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let answer: Value = call.send().await.unwrap().json().await.unwrap();
        let code = answer["code"].as_str().or_else(|| {
            let kind = answer["type"].as_str()?;
            kind.strip_prefix("urn:daypass:")
        });
        came.push(code.unwrap_or("allowed").to_owned());
    }
    [came.remove(0), came.remove(0)]
}

#[tokio::test]
async fn the_address_that_the_proxy_saw_decides() {
    let (bed, token) = start(&["127.0.0.1/32", "10.0.0.0/8"]).await;
    for (forwarded, expect) in [
        ("203.0.113.9", "allowed"),
        ("198.51.100.9", "source"),
        // What the client wrote stands left of what the proxy wrote.
        ("203.0.113.9, 198.51.100.9", "source"),
        ("203.0.113.9, 198.51.100.9, 10.0.0.7", "source"),
        ("198.51.100.9, 203.0.113.9", "allowed"),
        ("198.51.100.9, 203.0.113.9, 10.0.0.7", "allowed"),
        // Not certain.
        ("203.0.113.9, unknown", "source"),
        ("203.0.113.9, ", "source"),
        ("203.0.113.9;", "source"),
        ("10.0.0.7", "source"),
    ] {
        let came = comes_to(&bed, &token, &[("x-forwarded-for", forwarded)]).await;
        assert_eq!(came, [expect, expect], "{forwarded}");
    }
    assert_eq!(
        comes_to(&bed, &token, &[]).await,
        ["source", "source"],
        "only the proxy is known"
    );
    // Two lines are one list; other headers say nothing.
    let two = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "198.51.100.9"),
    ];
    assert_eq!(comes_to(&bed, &token, &two).await, ["source", "source"]);
    for header in [
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ] {
        let came = comes_to(&bed, &token, &[(header, "203.0.113.9")]).await;
        assert_eq!(came, ["source", "source"], "{header}");
    }
}

/// What is listed is what a request from there would come to.
#[tokio::test]
async fn the_list_is_of_the_address_that_it_is_asked_from() {
    let (bed, token) = start(&["127.0.0.1/32"]).await;
    for (forwarded, expect) in [
        ("203.0.113.9", None),
        ("198.51.100.9", Some("source")),
        ("unknown", Some("source")),
    ] {
        let call = bed.call(Route::Resources, &[], Some(&token));
        let answer = seen_from(call, forwarded).await;
        let offers = answer["items"].as_array().unwrap();
        let staging = offers
            .iter()
            .find(|offer| offer["item"]["resource"] == "staging")
            .unwrap();
        let how: How = serde_json::from_value(staging["how"].clone()).unwrap();
        let code = match how {
            How::Closed { code, .. } => Some(code),
            How::Instant { .. } | How::Reviewed { .. } => None,
        };
        assert_eq!(code.as_deref(), expect, "{forwarded}");
    }
}

/// An explanation and `why` of oneself are of the address that they are asked from; of somebody else of none, and that is said.
#[tokio::test]
async fn what_is_explained_is_of_the_address_that_it_is_asked_from() {
    let (bed, ana) = start(&["127.0.0.1/32"]).await;
    let dee = bed.session("dee").await;
    let explained = async |token: &str, forwarded: &str, from: Option<&str>| {
        let item = serde_json::json!([{"resource": "staging", "role": "read"}]);
        let mut question = serde_json::json!({"subject": "ana", "items": item});
        if let Some(from) = from {
            question["from"] = from.into();
        }
        let call = bed.call(Route::ExplainPolicy, &[], Some(token)).json(&question);
        let answer = seen_from(call, forwarded).await;
        assert_eq!(answer["by_source"], true, "{answer}");
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        (
            text(&answer["decision"]["code"]),
            text(&answer["from"]),
            text(&answer["decision"]["hint"]),
        )
    };
    for (forwarded, code, taken) in [
        ("203.0.113.9", "none", "203.0.113.9"),
        ("198.51.100.9", "source", "198.51.100.9"),
        ("unknown", "source", "none"),
    ] {
        let (code_of, from, hint) = explained(&ana, forwarded, None).await;
        assert_eq!((code_of.as_str(), from.as_str()), (code, taken), "{forwarded}");
        assert!(!hint.contains("--from"), "it is her own: {hint}");
        let call = bed.call(Route::Why, &[], Some(&ana));
        let call = call.query(&[("subject", "ana"), ("resource", "staging"), ("role", "read")]);
        let why = seen_from(call, forwarded).await;
        let decided = why["otherwise"][0]["decision"]["code"].as_str();
        assert_eq!(decided.unwrap_or("none"), code, "{forwarded}: {why}");
    }
    let (code, from, hint) = explained(&dee, "203.0.113.9", None).await;
    assert_eq!(
        (code.as_str(), from.as_str()),
        ("source", "none"),
        "where dee sits says nothing of ana"
    );
    assert!(
        hint.ends_with("daypass policy explain ana staging/read --from IP"),
        "{hint}"
    );
    let (code, from, _) = explained(&dee, "198.51.100.9", Some("203.0.113.9")).await;
    assert_eq!((code.as_str(), from.as_str()), ("none", "203.0.113.9"));
}

#[tokio::test]
async fn without_a_trusted_proxy_no_header_is_believed() {
    let (bed, token) = start(&[]).await;
    let nothing: &[(&str, &str)] = &[];
    let one = [("x-forwarded-for", "203.0.113.9")];
    let other = [("forwarded", "for=203.0.113.9")];
    for headers in [nothing, &one, &other] {
        assert_eq!(
            comes_to(&bed, &token, headers).await,
            ["source", "source"],
            "{headers:?}"
        );
    }
}
