//! Membership of groups.

use daypass_core::entitlement::Fault as Said;
use daypass_providers::Progress;
use daypass_providers::azure::AzureGroup;
use daypass_testbed::azure::{Fault, Times};
use serde_json::{Value, json};

use super::bench::{Bench, One, as_described, give, is_there};
use crate::conformance;
use crate::stand::{Stand as _, keys};

fn member() -> One {
    let bench = Bench::new();
    let group = bench.azure.group("operators");
    One {
        kind: &AzureGroup,
        resource: json!({"group": group}),
        role: Value::Null,
        hostile: vec![
            (
                json!({"group": "00000000-0000-0000-0000-000000000001"}),
                Value::Null,
            ),
            (json!({"group": format!("{group}/../x")}), Value::Null),
            (json!({"group": group}), json!({"owner": true})),
        ],
        by_hand: |one, grant| one.bench.azure.add_member(one.group(), &one.bench.person(grant)),
        dump: |one| format!("{:?}", one.bench.azure.members(one.group())),
        bench,
    }
}

impl One {
    fn group(&self) -> &str {
        self.resource["group"].as_str().unwrap()
    }

    fn has(&self, grant: u8) -> bool {
        self.bench
            .azure
            .members(self.group())
            .contains(&self.bench.person(grant))
    }
}

#[tokio::test]
async fn memberships_keep_the_contract() {
    let one = member();
    conformance::all(&one).await;
    as_described(&one.bench);
}

#[tokio::test]
async fn after_a_crash_ours_is_told_from_what_stood_before() {
    let one = member();
    let (ours, spec) = one.placed(1);
    let (theirs, standing) = one.placed(2);
    (one.by_hand)(&one, 2);
    let before = one.provider();
    let struck = one
        .bench
        .azure
        .fail("POST", "members", Fault::LostAnswer, Times::Exactly(1));
    assert_eq!(
        before
            .provision(&ours, &spec, "ana", one.hour())
            .await
            .unwrap_err()
            .fault,
        Said::Unavailable
    );
    assert_eq!(struck.hits(), 1);
    // The process ends here; another one begins with the notes alone.
    drop(before);
    let after = one.provider();
    assert_eq!(keys(&*after).await, Ok(vec![ours.clone()]));
    give(&*after, &ours, &spec, one.hour()).await;
    let refused = after
        .provision(&theirs, &standing, "bo", one.hour())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Said::AlreadyStanding);
    let later = one.provider();
    for (key, spec) in [(&ours, &spec), (&theirs, &standing)] {
        assert_eq!(later.revoke(key, Some(spec)).await, Ok(Progress::Done));
        assert!(!is_there(&*later, key, spec).await);
    }
    assert!(!one.has(1) && one.has(2));
}

#[tokio::test]
async fn who_was_taken_out_and_put_back_by_hand_is_drift_until_somebody_asks() {
    let one = member();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    give(&*provider, &key, &spec, one.hour()).await;
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!one.has(1) && keys(&*provider).await == Ok(Vec::new()));
    (one.by_hand)(&one, 1);
    assert_eq!(keys(&*provider).await, Ok(vec![key.clone()]), "it is found");
    assert!(is_there(&*provider, &key, &spec).await);
    assert_eq!(provider.revoke(&key, None).await, Ok(Progress::Done));
    assert!(!one.has(1));
    (one.by_hand)(&one, 1);
    let refused = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Said::AlreadyStanding, "it is never adopted");
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(one.has(1), "nor taken away then");
}

#[tokio::test]
async fn a_read_that_lags_does_not_make_ours_what_stood_before() {
    let one = member();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    let lag = std::time::Duration::from_secs(30);
    one.bench.azure.advance(lag * 2);
    one.bench.azure.reads_lag("members", lag);
    (one.by_hand)(&one, 1);
    let refused = provider
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Said::AlreadyStanding);
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(one.has(1));
}

#[tokio::test]
async fn without_the_right_or_without_notes_nobody_is_put_in() {
    let mut one = member();
    let (key, spec) = one.placed(1);
    one.bench
        .azure
        .withdraw_consent(&one.bench.us.object, "GroupMember.ReadWrite.All");
    let refused = one
        .provider()
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Said::Denied, "{refused}");
    one.bench
        .azure
        .consent(&one.bench.us.object, &["GroupMember.ReadWrite.All"]);
    one.bench.operator.notes = None;
    let refused = one
        .provider()
        .provision(&key, &spec, "ana", one.hour())
        .await
        .unwrap_err();
    assert!(
        refused.fault == Said::Misconfigured && refused.detail.contains("notes"),
        "{refused}"
    );
    assert!(!one.has(1));
}

#[tokio::test]
async fn a_group_that_was_deleted_holds_up_nothing() {
    let one = member();
    let (key, spec) = one.placed(1);
    let provider = one.provider();
    give(&*provider, &key, &spec, one.hour()).await;
    one.bench.azure.delete_principal(one.group());
    assert_eq!(provider.revoke(&key, Some(&spec)).await, Ok(Progress::Done));
    assert!(!is_there(&*provider, &key, &spec).await);
    assert_eq!(keys(&*provider).await, Ok(Vec::new()));
}
