//! Lost answers, cut connections, and statements that are still on their way.

use std::time::Duration;

use daypass_core::entitlement::Fault;
use daypass_providers::Inspection;
use daypass_testbed::TcpProxy;
use daypass_testbed::tcp_proxy::Then;
use serde_json::json;

use super::{Case, Here};
use crate::stand::keys;

/// What has caused an error is noted a moment after the error is there.
const SOON: Duration = Duration::from_secs(5);

/// A case whose provider reaches the server through a proxy.
async fn proxied(here: &Here) -> (TcpProxy, Case) {
    let proxy = TcpProxy::start(here.cluster(|cluster| cluster.addr())).unwrap();
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    let provider = here.connect(proxy.port(), "this");
    (proxy, Case { provider, ..case })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provisioning_whose_answer_is_lost_is_found_again() {
    let here = Here::start().await;
    let (proxy, case) = proxied(&here).await;
    let lost = proxy.when(b"COMMIT", Then::CutAfter);
    assert_eq!(case.try_provision().await.unwrap_err().fault, Fault::Unavailable);
    lost.wait(SOON).unwrap();
    // The server still carries it out; the removal waits for that, whichever comes first.
    case.revoke().await;
    case.assert_gone().await;
    assert!(!here.exists(&case.role).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provisioning_that_was_cut_leaves_nothing() {
    let here = Here::start().await;
    for statement in ["CREATE ROLE", "COMMENT ON ROLE", "GRANT", "COMMIT"] {
        let (proxy, case) = proxied(&here).await;
        let cut = proxy.when(statement.as_bytes(), Then::CutBefore);
        assert_eq!(
            case.try_provision().await.unwrap_err().fault,
            Fault::Unavailable,
            "{statement}"
        );
        cut.wait(SOON).unwrap();
        case.revoke().await;
        case.assert_gone().await;
        assert!(!here.exists(&case.role).await, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_was_cut_anywhere_is_finished_by_the_next() {
    let here = Here::start().await;
    let steps = [
        "ALTER ROLE",
        "REVOKE",
        "pg_locks",
        "pg_terminate_backend",
        "pg_shdepend",
        "DROP OWNED",
        "DROP ROLE",
    ];
    for (then, step) in steps
        .iter()
        .flat_map(|step| [(Then::CutBefore, step), (Then::CutAfter, step)])
    {
        let (proxy, case) = proxied(&here).await;
        let grants = json!([{"on": "table", "name": "invoices", "privileges": ["select"]}]);
        let role = json!({"member_of": ["app_reader"], "grants": grants});
        let case = Case {
            provider: case.provider,
            ..here.case_with(1, json!({"database": "orders", "on_owned": "drop"}), role)
        };
        case.provision().await;
        let _holder = case.login().await;
        let cut = proxy.when(step.as_bytes(), then);
        let first = case.try_revoke().await;
        cut.wait(SOON).unwrap();
        if first.is_err() {
            // Not finished, so it is still on the list or still shows as usable: nothing forgets it.
            let listed = keys(&*case.provider).await.unwrap().contains(&case.key);
            let absent = matches!(case.inspect().await, Inspection::Absent { .. });
            assert!(listed || absent, "{step}");
        }
        case.revoke().await;
        case.assert_gone().await;
        assert!(!here.exists(&case.role).await, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_waits_for_a_provisioning_under_way() {
    let here = Here::start().await;
    let (proxy, case) = proxied(&here).await;
    // The transaction has made the role and is not committed: nobody else sees the role.
    let held = proxy.when(b"COMMENT ON ROLE", Then::HoldAnswers);
    let provisioning = async {
        let _ = case.try_provision().await;
    };
    let removal = async {
        while !held.has_happened() {
            tokio::task::yield_now().await;
        }
        let direct = here.case(1, json!({"member_of": ["app_reader"]}));
        let waits = direct.try_revoke().await.unwrap_err();
        assert_eq!(waits.fault, Fault::Conflict, "not reported as done: {waits}");
        proxy.resume();
    };
    tokio::join!(provisioning, removal);
    case.revoke().await;
    case.assert_gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_is_given_up() {
    let here = Here::start().await;
    let (proxy, case) = proxied(&here).await;
    case.provision().await;
    proxy.pause();
    let silent = case.try_revoke().await.unwrap_err();
    assert_eq!(silent.fault, Fault::Unavailable);
    assert!(silent.detail.contains("no answer within"), "{silent}");
    proxy.resume();
    case.revoke().await;
    case.assert_gone().await;
}
