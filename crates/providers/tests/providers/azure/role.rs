//! Role assignments.

use daypass_core::entitlement::Fault as Said;
use daypass_providers::azure::AzureRole;
use daypass_providers::{Inspection, Progress};
use daypass_testbed::azure::{Fault, Times};
use serde_json::json;

use super::bench::{Bench, One, as_described, give, is_there};
use crate::conformance;
use crate::stand::{Stand as _, keys};

fn reader() -> One {
    let bench = Bench::new();
    let scope = bench.azure.resource_group(&bench.subscription, "web");
    One {
        kind: &AzureRole,
        resource: json!({"scope": scope}),
        role: json!({"role": "Reader"}),
        hostile: vec![
            (
                json!({"scope": scope}),
                json!({"role": "00000000-0000-0000-0000-000000000001"}),
            ),
            (
                json!({"scope": format!("{scope}/../x")}),
                json!({"role": "Reader"}),
            ),
            (
                json!({"scope": "https://evil.example/"}),
                json!({"role": "Reader"}),
            ),
            (json!({"scope": scope}), json!({"role": "'; --"})),
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

impl One {
    fn assigned(&self, grant: u8) -> usize {
        let all = self
            .bench
            .azure
            .assignments(self.resource["scope"].as_str().unwrap());
        all.iter()
            .filter(|one| one.principal == self.bench.person(grant))
            .count()
    }
}

#[tokio::test]
async fn role_assignments_keep_the_contract() {
    let one = reader();
    conformance::all(&one).await;
    as_described(&one.bench);
}

#[tokio::test]
async fn the_same_role_of_the_same_person_has_one_key() {
    let one = reader();
    let (first, _) = one.placed(1);
    let mut again = one.placed(1).1;
    again.grant = daypass_core::id::GrantId::from_bytes([9; 10]);
    assert!(first.starts_with("role-"), "{first}");
    assert_eq!(first, one.placed(1).0);
    assert_ne!(first, one.placed(2).0, "another person");
}

#[tokio::test]
async fn what_is_made_says_whose_it_is() {
    let one = reader();
    let (key, spec) = one.placed(1);
    give(&*one.provider(), &key, &spec, one.hour()).await;
    let all = one
        .bench
        .azure
        .assignments(one.resource["scope"].as_str().unwrap());
    let made = all
        .iter()
        .find(|made| made.principal == one.bench.person(1))
        .unwrap();
    assert_eq!(made.role, "Reader");
    assert!(made.description.starts_with("daypass ") && made.description.ends_with("held by ana"));
    assert!(made.description.contains(&key));
}

#[tokio::test]
async fn a_role_that_one_has_from_above_already_is_not_given() {
    let one = reader();
    let person = one.bench.person(1);
    let standing = one.bench.azure.assign(&person, "Reader", &one.bench.scope());
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let refused = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Said::AlreadyStanding);
    assert!(refused.detail.contains(&standing), "{refused}");
    assert_eq!(one.assigned(1), 0);
    // Another role from above is none of our business.
    assert!(one.bench.azure.unassign(&standing));
    one.bench.azure.assign(&person, "Contributor", &one.bench.scope());
    give(&*provider, &key, &spec, one.hour()).await;
    assert_eq!(one.assigned(1), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_to_have_been_ours() {
    let one = reader();
    let (key, spec) = one.placed(1);
    for fault in [Fault::LostAnswer, Fault::ErrorAfterTheEffect] {
        let provider = one.provider();
        let struck = one
            .bench
            .azure
            .fail("PUT", "roleAssignments", fault, Times::Exactly(1));
        let lost = provider
            .provision(&key, &spec, "ana", one.hour())
            .await
            .unwrap_err();
        assert_eq!((lost.fault, struck.hits()), (Said::Unavailable, 1));
        assert_eq!(one.assigned(1), 1, "it took effect");
        give(&*provider, &key, &spec, one.hour()).await;
        assert_eq!(one.assigned(1), 1);
        let struck = one
            .bench
            .azure
            .fail("DELETE", "roleAssignments", Fault::LostAnswer, Times::Exactly(1));
        assert_eq!(
            provider.revoke(&key, Some(&spec)).await.unwrap_err().fault,
            Said::Unavailable
        );
        assert_eq!((struck.hits(), one.assigned(1)), (1, 0));
        assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
        assert!(!is_there(&*provider, &key, &spec).await);
    }
}

#[tokio::test]
async fn a_crash_leaves_nothing_that_is_not_found() {
    let one = reader();
    let (key, spec) = one.placed(1);
    give(&*one.provider(), &key, &spec, one.hour()).await;
    // Another process, without any record.
    let after = one.provider();
    assert_eq!(keys(&*after).await, Ok(vec![key.clone()]));
    let seen = after.inspect(&key, None).await.unwrap();
    assert!(
        matches!(seen, Inspection::Present { until: None, .. }),
        "{seen:?}"
    );
    assert_eq!(after.revoke(&key, None).await, Ok(Progress::Done));
    assert_eq!((keys(&*after).await, one.assigned(1)), (Ok(Vec::new()), 0));
}

#[tokio::test]
async fn each_refusal_is_the_fault_that_it_is_and_changes_nothing() {
    let one = reader();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    for (fault, said) in [
        (Fault::Denied, Said::Denied),
        (Fault::Throttled(60), Said::RateLimited),
        (Fault::Conflict, Said::Conflict),
        (Fault::Unavailable, Said::Unavailable),
        (Fault::Cut, Said::Unavailable),
    ] {
        let struck = one
            .bench
            .azure
            .fail("PUT", "roleAssignments", fault.clone(), Times::Exactly(1));
        let refused = provider
            .provision(&key, &spec, "ana", one.hour())
            .await
            .unwrap_err();
        assert_eq!((refused.fault, struck.hits()), (said, 1), "{fault:?}: {refused}");
        assert_eq!(one.assigned(1), 0);
    }
    give(&*provider, &key, &spec, one.hour()).await;
    let scope = one.resource["scope"].as_str().unwrap();
    one.bench.azure.lock_scope(scope, false);
    let locked = provider.revoke(&key, Some(&spec)).await.unwrap_err();
    assert!(
        locked.fault == Said::Denied && locked.detail.contains("lock"),
        "{locked}"
    );
    assert!(
        is_there(&*provider, &key, &spec).await,
        "a removal that failed is not reported as done"
    );
    one.bench.azure.unlock_scope(scope);
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!is_there(&*provider, &key, &spec).await);
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_token_that_ran_out_is_fetched_anew() {
    let one = reader();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let struck = one
        .bench
        .azure
        .fail("PUT", "roleAssignments", Fault::Throttled(1), Times::Exactly(1));
    give(&*provider, &key, &spec, one.hour()).await;
    assert_eq!(struck.hits(), 1);
    one.bench.azure.expire_tokens();
    assert!(is_there(&*provider, &key, &spec).await, "between two calls");
    let struck = one.bench.azure.fail(
        "DELETE",
        "roleAssignments",
        Fault::TokenExpired,
        Times::Exactly(1),
    );
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert_eq!((struck.hits(), one.assigned(1)), (1, 0), "and within one");
    one.bench.azure.forget_proofs(&one.bench.us);
    one.bench.azure.expire_tokens();
    let refused = provider.inspect(&key, Some(&spec)).await.unwrap_err();
    assert_eq!(refused.fault, Said::Denied, "{refused}");
}

#[tokio::test]
async fn hands_at_the_target_are_seen() {
    let one = reader();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    give(&*provider, &key, &spec, one.hour()).await;
    let scope = one.resource["scope"].as_str().unwrap();
    let made = one.bench.azure.assignments(scope);
    let made = made
        .iter()
        .find(|made| made.principal == one.bench.person(1))
        .unwrap();
    assert!(one.bench.azure.unassign(&made.id));
    assert!(!is_there(&*provider, &key, &spec).await, "removed by hand");
    (one.by_hand)(&one, 1);
    assert!(
        !is_there(&*provider, &key, &spec).await,
        "put back by hand: standing, and none of ours"
    );
    assert_eq!(keys(&*provider).await, Ok(Vec::new()));
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert_eq!(one.assigned(1), 1);
}

#[tokio::test]
async fn reads_that_lag_neither_lose_a_removal_nor_make_two() {
    let one = reader();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let lag = std::time::Duration::from_secs(30);
    one.bench.azure.advance(lag * 2);
    one.bench.azure.reads_lag("roleAssignments", lag);
    give(&*provider, &key, &spec, one.hour()).await;
    assert!(!is_there(&*provider, &key, &spec).await, "it does not show yet");
    give(&*provider, &key, &spec, one.hour()).await;
    assert_eq!(one.assigned(1), 1);
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert_eq!(
        one.assigned(1),
        0,
        "what does not show yet is removed all the same"
    );
    assert!(lag < provider.capabilities().propagation.to_std());
}
