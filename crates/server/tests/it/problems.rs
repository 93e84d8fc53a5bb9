//! Every error is a problem with a stable type, whatever was wrong and wherever it was found.

use daypass_api::{ProblemCode, Route};
use daypass_core::refusal::Code;
use reqwest::Method;

use crate::bed::{Bed, ask, problem};

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for path in [
        "/api",
        "/api/v1/requests/",
        "/api/v2/requests",
        "/..%2f",
        "/api/v1/requests/a/b/c",
        "/%00",
    ] {
        let answer = bed.raw(Method::GET, path, Some(&ana)).send().await.unwrap();
        let problem = problem(answer).await;
        assert_eq!(
            (problem.status, problem.code),
            (404, Code::NotFound.into()),
            "{path}"
        );
    }
    for (method, path) in [
        (Method::PATCH, "/api/v1/requests"),
        (Method::DELETE, "/api/v1/whoami"),
        (Method::POST, "/healthz"),
    ] {
        let answer = bed.raw(method.clone(), path, Some(&ana)).send().await.unwrap();
        assert_eq!(problem(answer).await.status, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_what_is_taken() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let call = || bed.call(Route::AddRequest, &[], Some(&ana));
    let json = |body: &[u8]| {
        call()
            .header("content-type", "application/json")
            .body(body.to_vec())
    };
    for (body, status) in [
        ("", 400),
        ("{\"items\":", 400),
        ("{\"items\":[]} {}", 400),
        ("{\"items\":[]}", 400),
        ("[]", 400),
        ("{}", 400),
        ("{\"items\":[],\"approved\":true}", 422),
        ("{\"items\":[{\"resource\":\"a'b\",\"role\":\"r\"}]}", 422),
        ("{\"items\":[],\"duration\":\"-1h\"}", 422),
        (&"[".repeat(10_000), 422),
    ] {
        let problem = problem(json(body.as_bytes()).send().await.unwrap()).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(
            (problem.status, problem.code),
            (status, Code::Invalid.into()),
            "{shown}: {problem:?}"
        );
    }
    let form = "application/x-www-form-urlencoded";
    for call in [
        call().body("{}"),
        call().header("content-type", form).body("items=x"),
    ] {
        let problem = problem(call.send().await.unwrap()).await;
        assert_eq!((problem.status, problem.code), (415, Code::Invalid.into()));
    }
    let no_text = problem(json(b"{\"items\":[],\"reason\":\"\xff\"}").send().await.unwrap()).await;
    assert_eq!(no_text.status, 400, "what is not UTF-8: {no_text:?}");
    let too_much = problem(json(&[b' '; 300 * 1024]).send().await.unwrap()).await;
    assert_eq!((too_much.status, too_much.code), (413, ProblemCode::TooLarge));
}

#[tokio::test]
async fn queries_and_ids_that_are_not_what_is_taken() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for query in [
        "state=gone",
        "limit=0",
        "limit=501",
        "limit=-1",
        "cursor='",
        "unknown=1",
        "mine=maybe",
        "limit=1&limit=2",
    ] {
        let answer = bed
            .raw(Method::GET, &format!("/api/v1/requests?{query}"), Some(&ana))
            .send()
            .await
            .unwrap();
        let problem = problem(answer).await;
        assert_eq!(
            (problem.status, problem.code),
            (400, Code::Invalid.into()),
            "{query}"
        );
    }
    for id in [
        "x",
        "R",
        "G0000000000000000",
        "R0000000000000000%27",
        "%F0%9F%94%91",
        "R%00",
    ] {
        let answer = bed
            .raw(Method::GET, &format!("/api/v1/requests/{id}"), Some(&ana))
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn refusals_of_the_policy_keep_their_code() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let long = daypass_api::request::NewRequest {
        duration: Some(daypass_core::time::Span::hours(3)),
        ..ask("orders/write")
    };
    let silent = daypass_api::request::NewRequest {
        reason: Some("  ".into()),
        ..ask("orders/write")
    };
    let faked = daypass_api::request::NewRequest {
        reason: Some("a\u{1b}[2Kb".into()),
        ..ask("orders/write")
    };
    for (body, code) in [
        (long, Code::OverMax),
        (silent, Code::ReasonRequired),
        (faked, Code::Invalid),
        (ask("nowhere/write"), Code::UnknownResource),
        (ask("orders/admin"), Code::UnknownRole),
    ] {
        let answer = bed
            .call(Route::AddRequest, &[], Some(&ana))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer).await.code, code.into(), "{body:?}");
    }
    let cy = bed.session("cy").await;
    let answer = bed
        .call(Route::AddRequest, &[], Some(&cy))
        .json(&ask("orders/write"))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await.code, Code::NotEligible.into());
}

#[tokio::test]
async fn every_answer_carries_strict_headers() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    for (method, path, token) in [
        (Method::GET, "/healthz", None),
        (Method::GET, "/nowhere", None),
        (Method::GET, "/api/v1/whoami", None),
        (Method::GET, "/api/v1/whoami", Some(ana.as_str())),
        (Method::HEAD, "/api/v1/whoami", Some(ana.as_str())),
        (Method::OPTIONS, "/api/v1/requests", None),
        (Method::POST, "/api/v1/requests", Some(ana.as_str())),
    ] {
        let call = bed
            .raw(method.clone(), path, token)
            .header("origin", "https://evil.example");
        let answer = call
            .header("x-request-id", "chosen-by-the-client")
            .send()
            .await
            .unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("cache-control"), Some("no-store"), "{method} {path}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            header("content-security-policy"),
            Some("default-src 'none'; frame-ancestors 'none'")
        );
        assert_eq!(
            header("access-control-allow-origin"),
            None,
            "no other origin may read this"
        );
        assert_eq!(
            header("strict-transport-security"),
            None,
            "this listener has no TLS"
        );
        assert_eq!(header("x-request-id").map(str::len), Some(16));
        assert_ne!(header("x-request-id"), Some("chosen-by-the-client"));
    }
}

#[tokio::test]
async fn the_description_names_every_route() {
    let bed = Bed::start().await;
    let api: serde_json::Value = bed
        .raw(Method::GET, "/openapi.json", None)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(api["openapi"].as_str().unwrap().starts_with("3."));
    for route in Route::ALL.iter().filter(|route| **route != Route::OpenApi) {
        let method = route.method().as_str().to_lowercase();
        // The rest of a path is a parameter like any other there.
        let path = route.path().replace("{*", "{");
        let operation = &api["paths"][&path][&method];
        assert!(operation["responses"].is_object(), "{route:?}");
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
        assert!(problem.is_object(), "{route:?} says what its errors look like");
        let open = operation["security"] == serde_json::json!([{}]);
        assert_eq!(
            open,
            route.audience() == daypass_api::Audience::Public,
            "{route:?} says whether it needs a token"
        );
    }
    let text = api.to_string();
    for schema in [
        "Request",
        "NewReview",
        "Grant",
        "Problem",
        "Credential",
        "AuditEvent",
    ] {
        assert!(api["components"]["schemas"][schema].is_object(), "{schema}");
    }
    // Every reference leads somewhere.
    for reference in text
        .split("\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            api["components"]["schemas"][reference].is_object(),
            "{reference} is missing"
        );
    }
}
