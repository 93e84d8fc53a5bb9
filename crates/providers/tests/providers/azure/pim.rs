//! What Privileged Identity Management keeps the limit of: role assignments and memberships.

use std::time::Duration;

use daypass_core::entitlement::Fault as Said;
use daypass_core::time::Span;
use daypass_providers::azure::{AzureGroup, AzureRole};
use daypass_providers::{Inspection, Limit, Progress};
use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use super::bench::{Bench, One, as_described, give, is_there};
use crate::conformance;
use crate::stand::Stand as _;

fn role() -> One {
    let bench = Bench::new();
    let scope = bench.azure.resource_group(&bench.subscription, "web");
    One {
        kind: &AzureRole,
        resource: json!({"scope": scope}),
        role: json!({"role": "Reader", "pim": true}),
        hostile: vec![
            (
                json!({"scope": scope}),
                json!({"role": "00000000-0000-0000-0000-000000000001", "pim": true}),
            ),
            (
                json!({"scope": format!("{scope}/../x")}),
                json!({"role": "Reader", "pim": true}),
            ),
            (json!({"scope": scope}), json!({"role": "Reader", "pim": "yes"})),
        ],
        by_hand: |one, grant| {
            let scope = one.resource["scope"].as_str().unwrap();
            one.bench.azure.assign(&one.bench.person(grant), "Reader", scope);
        },
        dump: |one| {
            format!(
                "{:?}",
                one.bench
                    .azure
                    .assignments(one.resource["scope"].as_str().unwrap())
            )
        },
        bench,
    }
}

fn member() -> One {
    let bench = Bench::new();
    let permission = "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup";
    bench.azure.consent(&bench.us.object, &[permission]);
    let group = bench.azure.group("operators");
    One {
        kind: &AzureGroup,
        resource: json!({"group": group}),
        role: json!({"pim": true}),
        hostile: vec![
            (
                json!({"group": "00000000-0000-0000-0000-000000000001"}),
                json!({"pim": true}),
            ),
            (json!({"group": format!("{group}/../x")}), json!({"pim": true})),
        ],
        by_hand: |one, grant| {
            let group = one.resource["group"].as_str().unwrap();
            one.bench.azure.add_member(group, &one.bench.person(grant));
        },
        dump: |one| {
            format!(
                "{:?}",
                one.bench.azure.members(one.resource["group"].as_str().unwrap())
            )
        },
        bench,
    }
}

#[tokio::test]
async fn roles_by_pim_keep_the_contract() {
    let one = role();
    conformance::all(&one).await;
    as_described(&one.bench);
}

#[tokio::test]
async fn memberships_by_pim_keep_the_contract() {
    conformance::all(&member()).await;
}

#[tokio::test]
async fn what_pim_gives_ends_by_itself_and_shows_its_limit() {
    for one in [role(), member()] {
        let (key, spec) = one.placed(1);
        let provider = one.provider();
        // The stand-in's clock is moved, and ours is not: a new token would be asked for in its past.
        one.bench.azure.tokens_hold(Duration::from_secs(36_000));
        let until = one.hour();
        give(&*provider, &key, &spec, until).await;
        let seen = provider.inspect(&key, Some(&spec)).await;
        let residue = Vec::new();
        assert_eq!(
            seen,
            Ok(Inspection::Present {
                until: Some(until),
                residue
            })
        );
        let listed = provider.list_managed().await.unwrap();
        assert_eq!(listed[&key], Limit::Told(Some(until)));
        let later = until + Span::minutes(30);
        give(&*provider, &key, &spec, later).await;
        one.bench.azure.advance(Duration::from_secs(3601));
        assert!(is_there(&*provider, &key, &spec).await, "it was moved");
        one.bench.azure.advance(Duration::from_secs(1800));
        assert!(
            !is_there(&*provider, &key, &spec).await,
            "with Daypass doing nothing"
        );
        assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_to_have_been_ours() {
    for (one, method) in [(role(), "PUT"), (member(), "POST")] {
        let (key, spec) = one.placed(1);
        let provider = one.provider();
        let struck = one
            .bench
            .azure
            .fail(method, "ScheduleRequests", Fault::LostAnswer, Times::Exactly(1));
        let lost = provider
            .provision(&key, &spec, "ana", one.hour())
            .await
            .unwrap_err();
        assert_eq!((lost.fault, struck.hits()), (Said::Unavailable, 1));
        give(&*one.provider(), &key, &spec, one.hour()).await;
        assert_eq!(provider.revoke(&key, None).await, Ok(Progress::Done));
        assert!(!is_there(&*provider, &key, &spec).await);
    }
}

#[tokio::test]
async fn what_pim_does_not_allow_is_said() {
    let one = role();
    let scope = one.resource["scope"].as_str().unwrap();
    one.bench
        .azure
        .pim_wants(scope, "Reader", Duration::from_secs(1800), true, true);
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let refused = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert!(
        refused.fault == Said::Misconfigured
            && refused.detail.contains("ExpirationRule")
            && !refused.detail.contains("TicketingRule"),
        "a ticket and a reason are given: {refused}"
    );
    let soon = one.bench.now() + Span::minutes(20);
    give(&*provider, &key, &spec, soon).await;
}
