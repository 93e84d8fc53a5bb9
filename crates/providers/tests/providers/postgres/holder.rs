//! A holder who wants to stay: sessions and logins that stand in the way of the end.

use std::sync::Arc;

use daypass_core::entitlement::Fault;
use daypass_providers::Inspection;
use daypass_testbed::Postgres;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Case, Here, is_cut, login};

async fn provisioned(here: &Here) -> Case {
    let case = here.case(
        1,
        json!({"member_of": ["app_reader", "app_writer"], "set_role": true}),
    );
    case.provision().await;
    case
}

#[tokio::test]
async fn sessions_of_every_kind_are_cut() {
    let here = Here::start().await;
    let case = provisioned(&here).await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    let became = login(&credential).await.unwrap();
    became
        .batch_execute("SET ROLE app_writer; BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut elsewhere = credential.clone();
    elsewhere.fields.insert("dbname".into(), "postgres".into());
    let elsewhere = login(&elsewhere).await.unwrap();
    elsewhere
        .batch_execute("SET statement_timeout = 0; SET application_name = 'innocent'")
        .await
        .unwrap();
    let busy = Arc::new(login(&credential).await.unwrap());
    let running = tokio::spawn({
        let busy = Arc::clone(&busy);
        async move { busy.batch_execute("SELECT pg_sleep(600)").await }
    });
    assert!(matches!(case.inspect().await, Inspection::Present { .. }));
    case.revoke().await;
    case.assert_gone().await;
    assert!(running.await.unwrap().is_err());
    assert!(is_cut(&became).await && is_cut(&elsewhere).await && is_cut(&busy).await);
    assert!(login(&credential).await.is_err());
}

#[tokio::test]
async fn a_locked_role_is_locked_out_all_the_same() {
    let here = Here::start().await;
    let case = provisioned(&here).await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    let blocker = login(&credential).await.unwrap();
    blocker
        .batch_execute(&format!("BEGIN; ALTER ROLE {} PASSWORD 'mine'", case.role))
        .await
        .unwrap();
    case.revoke().await;
    case.assert_gone().await;
    assert!(is_cut(&blocker).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_back_in_a_loop_does_not_help() {
    let here = Here::start().await;
    let case = provisioned(&here).await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    let role = case.role.clone();
    let attackers: Vec<_> = (0..4)
        .map(|_| {
            let (credential, role) = (credential.clone(), role.clone());
            tokio::spawn(async move {
                // Ends when the login is refused, which is what the test is about.
                let mut logins = 0_u32;
                let change = format!("ALTER ROLE {role} SET work_mem = '64kB'; SELECT pg_sleep(0.05)");
                while let Ok(client) = login(&credential).await {
                    logins += 1;
                    let _ = client.batch_execute(&change).await;
                }
                logins
            })
        })
        .collect();
    let first = login(&credential).await.unwrap();
    case.revoke().await;
    case.assert_gone().await;
    assert!(is_cut(&first).await);
    for attacker in attackers {
        attacker.await.unwrap();
    }
    assert_eq!(
        here.ask(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE usename IS NULL AND usesysid > 0"
        )
        .await
        .as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn a_session_whose_role_was_dropped_by_hand_is_access_still() {
    let here = Here::start().await;
    let case = provisioned(&here).await;
    let holder = case.login().await;
    here.sql("postgres", &format!("DROP ROLE {}", case.role)).await;
    holder.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(
        case.inspect().await,
        Inspection::Present {
            until: None,
            residue: Vec::new()
        }
    );
    case.revoke().await;
    case.assert_gone().await;
    assert!(is_cut(&holder).await);
}

#[tokio::test]
async fn a_login_that_is_held_up_past_its_check_is_waited_for() {
    let here = Here::start().await;
    let case = provisioned(&here).await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    // An exclusive lock on the database stops a login after it was let in, and before it shows among the sessions.
    let dba = here.superuser("postgres").await;
    dba.batch_execute("BEGIN; ALTER DATABASE orders RENAME TO orders_")
        .await
        .unwrap();
    let slow = tokio::spawn({
        let credential = credential.clone();
        async move { login(&credential).await }
    });
    let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND classid = 'pg_database'::regclass";
    while here.ask("postgres", waiting).await.is_none() {}
    let refused = case.try_revoke().await.unwrap_err();
    assert_eq!(
        refused.fault,
        Fault::Unavailable,
        "it is not reported as done: {refused}"
    );
    assert_eq!(case.inspect().await, Inspection::Unknown, "nor read as gone");
    dba.batch_execute("ROLLBACK").await.unwrap();
    let slow = slow.await.unwrap();
    case.revoke().await;
    case.assert_gone().await;
    if let Ok(client) = slow {
        assert!(is_cut(&client).await, "it got in, and was cut");
    }
    assert!(login(&credential).await.is_err());
}

#[tokio::test]
async fn a_client_that_never_authenticates_does_not_hold_up_the_end() {
    let here = Here::start().await;
    let case = provisioned(&here).await;
    let mut stuck = tokio::net::TcpStream::connect(("127.0.0.1", here.port))
        .await
        .unwrap();
    let parameters = format!("user\0{}\0database\0orders\0\0", case.role);
    let length = u32::try_from(parameters.len() + 8).unwrap();
    stuck.write_all(&length.to_be_bytes()).await.unwrap();
    stuck.write_all(&196_608_u32.to_be_bytes()).await.unwrap();
    stuck.write_all(parameters.as_bytes()).await.unwrap();
    // 'R': the server asks for a password, and gets none.
    assert_eq!(stuck.read_u8().await.unwrap(), b'R');
    case.revoke().await;
    case.assert_gone().await;
}

#[tokio::test]
async fn a_prepared_transaction_is_rolled_back() {
    let here = Here::with(Postgres::options().setting("max_prepared_transactions", "5")).await;
    let case = provisioned(&here).await;
    let holder = case.login().await;
    let lock = format!(
        "BEGIN; ALTER ROLE {} PASSWORD 'mine'; PREPARE TRANSACTION 'it''s; mine'",
        case.role
    );
    holder.batch_execute(&lock).await.unwrap();
    drop(holder);
    case.revoke().await;
    case.assert_gone().await;
    assert!(!here.exists(&case.role).await);
    assert_eq!(
        here.ask("postgres", "SELECT count(*) FROM pg_prepared_xacts")
            .await
            .as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn what_was_prepared_as_another_role_delays_the_end_visibly() {
    let here = Here::with(Postgres::options().setting("max_prepared_transactions", "5")).await;
    let case = provisioned(&here).await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    let holder = login(&credential).await.unwrap();
    let lock = format!(
        "BEGIN; ALTER ROLE {} PASSWORD 'mine'; SET ROLE app_writer; PREPARE TRANSACTION 'x'",
        case.role
    );
    holder.batch_execute(&lock).await.unwrap();
    let refused = case.try_revoke().await.unwrap_err();
    assert_eq!(refused.fault, Fault::Conflict, "{refused}");
    assert!(is_cut(&holder).await, "the sessions are ended all the same");
    assert!(
        matches!(case.inspect().await, Inspection::Present { .. }),
        "and it is not called gone"
    );
    let memberships = format!(
        "SELECT count(*) FROM pg_auth_members WHERE member = '{}'::regrole",
        case.role
    );
    assert_eq!(
        here.ask("postgres", &memberships).await.as_deref(),
        Some("0"),
        "nor does it lead anywhere any more"
    );
    here.sql("orders", "ROLLBACK PREPARED 'x'").await;
    case.revoke().await;
    case.assert_gone().await;
    assert!(login(&credential).await.is_err());
}

#[tokio::test]
async fn a_session_of_somebody_else_is_left_alone() {
    let here = Here::start().await;
    let (one, two) = (
        provisioned(&here).await,
        here.case(2, json!({"member_of": ["app_reader"]})),
    );
    two.provision().await;
    let (first, second) = (one.login().await, two.login().await);
    let dba = here.superuser("orders").await;
    one.revoke().await;
    assert!(is_cut(&first).await);
    second.batch_execute("SELECT * FROM orders").await.unwrap();
    dba.batch_execute("SELECT 1").await.unwrap();
    two.revoke().await;
    assert!(is_cut(&second).await);
    dba.batch_execute("SELECT 1").await.unwrap();
}
