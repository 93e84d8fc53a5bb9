//! What is done with a role: its sessions and how long they have been quiet, by the server's own reckoning.

use daypass_core::entitlement::Fault;
use daypass_core::time::Span;
use daypass_providers::Activity;
use serde_json::json;

use super::{Case, Here};

async fn activity(case: &Case) -> Activity {
    let told = case.provider.activity(&case.key, &case.spec).await.unwrap();
    told.expect("PostgreSQL tells")
}

/// Waits until what the server shows is so; it writes states down as they change, and sessions go a moment after their client.
async fn until((here, case): (&Here, &Case), what: &str, is_so: impl Fn(&Activity) -> bool) -> Activity {
    for _ in 0..400 {
        let seen = activity(case).await;
        if is_so(&seen) {
            return seen;
        }
        here.sql("postgres", "SELECT pg_sleep(0.025)").await;
    }
    panic!("{what}: {:?}", activity(case).await);
}

#[tokio::test]
async fn sessions_are_counted_and_their_quiet_is_told() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    let absent = case.provider.activity(&case.key, &case.spec).await.unwrap_err();
    assert_eq!(absent.fault, Fault::NotFound);
    case.provision().await;
    let none = Activity {
        sessions: 0,
        quiet: None,
    };
    assert_eq!(activity(&case).await, none);
    // The work of others does not count.
    let other = here.case(2, json!({"member_of": ["app_reader"]}));
    other.provision().await;
    let _other = other.login().await;
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    let one = super::login(&credential).await.unwrap();
    one.batch_execute("SELECT 1").await.unwrap();
    let quiet = |seen: &Activity| seen.quiet.is_some_and(|quiet| quiet > Span::ZERO);
    let seen = until((&here, &case), "one that is idle", |seen| {
        seen.sessions == 1 && quiet(seen)
    })
    .await;
    let later = until((&here, &case), "it goes on", |now| now.quiet > seen.quiet).await;
    assert!(later.quiet < Some(Span::minutes(1)), "{later:?}");
    let two = super::login(&credential).await.unwrap();
    two.batch_execute("BEGIN; SELECT 1").await.unwrap();
    until((&here, &case), "an open transaction is no work", |seen| {
        seen.sessions == 2 && quiet(seen)
    })
    .await;
    let working = tokio::spawn(async move { two.batch_execute("SELECT pg_sleep(600)").await });
    let busy = until((&here, &case), "a statement is work", |seen| {
        seen.quiet == Some(Span::ZERO)
    })
    .await;
    assert_eq!(busy.sessions, 2);
    drop(one);
    working.abort();
    here.sql(
        "postgres",
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
            case.role
        ),
    )
    .await;
    until((&here, &case), "all are gone", |seen| *seen == none).await;
}

#[tokio::test]
async fn an_admin_who_may_not_read_it_counts_and_does_not_say_quiet() {
    let here = Here::start().await;
    here.sql("postgres", "REVOKE pg_read_all_stats FROM daypass")
        .await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    let session = case.login().await;
    session.batch_execute("SELECT 1").await.unwrap();
    let seen = until((&here, &case), "it is there", |seen| seen.sessions == 1).await;
    assert_eq!(seen.quiet, None);
}

#[tokio::test]
async fn a_session_that_does_not_track_what_it_does_is_not_quiet() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    case.provision().await;
    here.sql(
        "postgres",
        &format!("ALTER ROLE {} SET track_activities = off", case.role),
    )
    .await;
    let _session = case.login().await;
    let seen = until((&here, &case), "it is there", |seen| seen.sessions == 1).await;
    assert_eq!(seen.quiet, None, "nobody can tell");
}
