//! The admin role: no superuser, told what it lacks, and given new passwords without ever being locked out.

use std::time::Duration;

use daypass_core::entitlement::Fault;
use daypass_testbed::TcpProxy;
use daypass_testbed::tcp_proxy::Then;
use serde_json::json;

use super::{Here, connect};
use crate::stand::{Stand as _, keys};

async fn lets_in(here: &Here, password: &str) -> bool {
    connect(here.port, "daypass", password, "postgres").await.is_ok()
}

fn value(here: &Here) -> String {
    here.secrets.0.lock().unwrap().value.clone()
}

fn staged(here: &Here) -> Option<String> {
    here.secrets.0.lock().unwrap().staged.clone()
}

#[tokio::test]
async fn a_rotation_changes_the_password_in_both_places() {
    let here = Here::start().await;
    let old = value(&here);
    here.provider().rotate_admin().await.unwrap();
    let new = value(&here);
    assert_ne!(old, new);
    assert!(!lets_in(&here, &old).await && lets_in(&here, &new).await);
    assert_eq!(staged(&here), None);
    here.provider().probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_was_cut_anywhere_leaves_a_password_that_works() {
    let here = Here::start().await;
    for then in [Then::CutBefore, Then::CutAfter] {
        let proxy = TcpProxy::start(here.cluster(|cluster| cluster.addr())).unwrap();
        let provider = here.connect(proxy.port(), "this");
        let cut = proxy.when(b"ALTER ROLE \"daypass\"", then);
        assert_eq!(
            provider.rotate_admin().await.unwrap_err().fault,
            Fault::Unavailable
        );
        cut.wait(Duration::from_secs(5)).unwrap();
        assert!(staged(&here).is_some());
        provider.probe().await.unwrap();
        if then == Then::CutAfter {
            // The server may still have been at it, when the probe went by the old one.
            while lets_in(&here, &value(&here)).await && staged(&here).is_some() {}
            provider.probe().await.unwrap();
            assert_eq!(staged(&here), None, "the one that works is the value");
        }
        assert!(lets_in(&here, &value(&here)).await);
        provider.rotate_admin().await.unwrap();
        assert!(lets_in(&here, &value(&here)).await);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_written_is_not_rotated() {
    let here = Here::start().await;
    let old = value(&here);
    here.secrets.0.lock().unwrap().refuse_to_stage = true;
    assert_eq!(
        here.provider().rotate_admin().await.unwrap_err().fault,
        Fault::Misconfigured
    );
    assert!(value(&here) == old && lets_in(&here, &old).await);
}

#[tokio::test]
async fn a_full_disk_in_the_middle_of_a_rotation_locks_nobody_out() {
    let here = Here::start().await;
    here.secrets.0.lock().unwrap().refuse_to_replace = true;
    let provider = here.provider();
    assert!(provider.rotate_admin().await.is_err());
    provider.probe().await.unwrap();
    here.secrets.0.lock().unwrap().refuse_to_replace = false;
    provider.probe().await.unwrap();
    assert!(staged(&here).is_none() && lets_in(&here, &value(&here)).await);
}

#[tokio::test]
async fn what_the_admin_lacks_is_said() {
    let here = Here::start().await;
    let provider = here.provider();
    provider.probe().await.unwrap();
    let superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = 'daypass'";
    assert_eq!(here.ask("postgres", superuser).await.as_deref(), Some("false"));
    here.sql(
        "postgres",
        "REVOKE pg_signal_backend FROM daypass; ALTER ROLE daypass NOCREATEROLE",
    )
    .await;
    let lacks = provider.probe().await.unwrap_err();
    assert_eq!(lacks.fault, Fault::Misconfigured);
    assert!(
        lacks.detail.contains("CREATEROLE") && lacks.detail.contains("pg_signal_backend"),
        "{lacks}"
    );
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    assert_eq!(case.try_provision().await.unwrap_err().fault, Fault::Denied);
    here.secrets.0.lock().unwrap().value = "wrong".into();
    assert_eq!(provider.probe().await.unwrap_err().fault, Fault::Denied);
}

#[tokio::test]
async fn two_connectors_of_one_cluster_leave_each_others_access_alone() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    let listed = keys(&*here.provider()).await.unwrap();
    assert_eq!(listed.len(), 1);
    let other = here.connect_as("pg-reports", here.port, "this");
    assert_eq!(keys(&*other).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_setting_of_the_database_does_not_lead_the_admin_astray() {
    let here = Here::start().await;
    // What the owner of a database can do to everybody who connects: another path, other functions on it, another role.
    here.sql("orders", "CREATE SCHEMA trap; CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'").await;
    here.sql(
        "postgres",
        "ALTER DATABASE orders SET search_path = trap, pg_catalog; ALTER DATABASE orders SET default_transaction_read_only = on; \
         ALTER DATABASE orders SET standard_conforming_strings = off; ALTER DATABASE postgres SET role = 'app_reader'; \
         ALTER DATABASE postgres SET statement_timeout = '1ms'",
    )
    .await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    case.revoke().await;
    case.assert_gone().await;
}
