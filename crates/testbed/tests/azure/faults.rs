//! Faults that tokens, roles and rules do not show: answers that are late or never come, and those of Graph.

use std::time::Duration;

use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use crate::client::{ARM, Bed, GRAPH};

#[tokio::test]
async fn graph_fails_in_its_own_words() {
    let bed = Bed::new();
    bed.azure.consent(&bed.us.object, &["GroupMember.ReadWrite.All"]);
    let (team, ana) = (bed.azure.group("team"), bed.azure.user("ana@example.com"));
    let body = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{ana}")});
    for (fault, status, code) in [
        (Fault::Denied, 403, "Authorization_RequestDenied"),
        (Fault::Throttled(3), 429, "TooManyRequests"),
        (Fault::Unavailable, 503, "ServiceUnavailable"),
        (Fault::TokenExpired, 401, "InvalidAuthenticationToken"),
    ] {
        let struck = bed.azure.fail(
            "POST",
            &format!("/groups/{team}/members"),
            fault.clone(),
            Times::Exactly(1),
        );
        let got = bed
            .graph("POST", &format!("/groups/{team}/members/$ref"), Some(&body))
            .await;
        assert_eq!((got.status, got.code()), (status, code), "{fault:?}");
        assert_eq!(struck.hits(), 1);
        assert!(bed.azure.members(&team).is_empty(), "{fault:?}");
    }
    assert_eq!(
        bed.graph("POST", &format!("/groups/{team}/members/$ref"), Some(&body))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn members_lag_behind_what_was_written() {
    let bed = Bed::new();
    bed.azure.consent(&bed.us.object, &["GroupMember.Read.All"]);
    let (team, ana) = (bed.azure.group("team"), bed.azure.user("ana@example.com"));
    bed.azure.reads_lag("/members", Duration::from_secs(30));
    bed.azure.add_member(&team, &ana);
    let count = async || {
        let got = bed.graph("GET", &format!("/groups/{team}/members"), None).await;
        got.body["value"].as_array().unwrap().len()
    };
    assert_eq!(count().await, 0);
    bed.azure.advance(Duration::from_secs(31));
    assert_eq!(count().await, 1);
    assert!(bed.azure.remove_member(&team, &ana));
    assert_eq!(count().await, 1);
    bed.azure.reads_lag("/members", Duration::ZERO);
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn an_answer_that_never_comes_has_happened_and_a_late_one_comes() {
    let bed = Bed::new();
    bed.azure.consent(&bed.us.object, &["GroupMember.ReadWrite.All"]);
    let (team, ana) = (bed.azure.group("team"), bed.azure.user("ana@example.com"));
    bed.azure.add_member(&team, &ana);
    let token = bed.token(GRAPH).await;
    let path = format!("/v1.0/groups/{team}/members/{ana}/$ref");
    let hangs = bed
        .azure
        .fail("DELETE", "/members/", Fault::Hangs, Times::Exactly(1));
    let removes = bed.request("DELETE", &path, None).bearer_auth(&token).send();
    let mut removes = std::pin::pin!(removes);
    let struck = tokio::task::spawn_blocking(move || hangs.wait(1, Duration::from_secs(20)));
    tokio::select! {
        answer = &mut removes => panic!("{answer:?}"),
        struck = struck => struck.unwrap().unwrap(),
    }
    assert!(bed.azure.members(&team).is_empty());

    let late = bed.azure.fail(
        "GET",
        "/groups/",
        Fault::Slow(Duration::from_millis(50)),
        Times::Exactly(1),
    );
    let group = bed
        .send(
            bed.request("GET", &format!("/v1.0/groups/{team}"), None)
                .bearer_auth(&token),
        )
        .await;
    assert_eq!((group.status, late.hits()), (200, 1));
}

#[tokio::test]
async fn a_fault_that_is_lifted_strikes_no_more_and_what_was_asked_is_kept_without_the_token() {
    let bed = Bed::owner();
    bed.azure.forget_exchanges();
    let path = format!("{}?api-version=2022-12-01", bed.sub());
    let struck = bed.azure.fail("*", &bed.sub(), Fault::Unavailable, Times::Always);
    let token = bed.token(ARM).await;
    let asks = async || {
        bed.send(bed.request("GET", &path, None).bearer_auth(&token))
            .await
            .status
    };
    assert_eq!((asks().await, asks().await), (503, 503));
    struck.lift();
    assert_eq!((asks().await, struck.hits()), (200, 2));
    let kept = bed.azure.exchanges();
    let statuses: Vec<_> = kept.iter().map(|one| (one.status, one.struck)).collect();
    assert_eq!(statuses, [(200, false), (503, true), (503, true), (200, false)]);
    let all = format!("{kept:?}");
    assert!(!all.contains(&token) && !all.contains("s3cret"), "{all}");
}
