//! Alive, ready, and counted.

use std::sync::Arc;

use daypass_api::{ProblemCode, Route};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::lock::{Lock, On};
use daypass_core::text::Prose;
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_server::config::StoreConfig;
use daypass_server::edge;
use daypass_store::{Outcome, Scope, Store, TokenKind};
use reqwest::Method;

use crate::bed::{Bed, problem, soon};

async fn text(bed: &Bed, path: &str) -> String {
    bed.raw(Method::GET, path, None)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_that_serves_is_alive_and_ready() {
    let bed = Bed::start().await;
    assert_eq!(text(&bed, "/healthz").await, "alive\n");
    // Ready means that the reconciler has looked once: that takes a moment, and every look is a request away.
    soon("readiness", async {
        while text(&bed, "/readyz").await != "ready\n" {}
    })
    .await;
}

/// What was recorded while the clock was an hour ahead makes the store's time run ahead of the clock for good.
#[tokio::test]
async fn a_clock_that_was_put_back_makes_nobody_unready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daypass.sqlite");
    let ahead = Arc::new(|| edge::now() + Span::hours(1));
    let store = Store::open_sqlite(&path, ahead, "test").await.unwrap();
    let lock = |world: &World, _: Timestamp| {
        let on = On::Resource("orders".parse().unwrap());
        let why = Prose::new([0; 16], "odd");
        let event = Lock::lock(world.locks.get(&on), PersonId::from_bytes([1; 10]), why)?;
        Ok(Outcome::one(Actor::System, Subject::Lock(on), What::Lock(event)))
    };
    let scope = Scope::Lock(On::Resource("orders".parse().unwrap()));
    store.transition(scope, lock).await.unwrap();
    drop(store);

    let bed = Bed::with(move |config| config.store = StoreConfig::Sqlite { path }).await;
    let now = bed.server.engine().store().now().await.unwrap();
    assert!(now > edge::now() + Span::minutes(59), "the two differ");
    soon("readiness", async {
        while text(&bed, "/readyz").await != "ready\n" {}
    })
    .await;
    // Streams go by the store's time too.
    let ana = bed.token("ana", TokenKind::Session, Span::seconds(2)).await;
    let mut stream = bed.client_of(&ana).events(None).await.unwrap();
    soon("the end of the session", async {
        while let Ok(Some(_)) = stream.next().await {}
    })
    .await;
    drop(folder);
}

#[tokio::test]
async fn a_server_without_a_policy_is_not_ready() {
    let bed = Bed::empty(|_| ()).await;
    let answer = bed.call(Route::Readyz, &[], None).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
    let problem = problem(answer).await;
    assert_eq!((problem.status, problem.code), (503, ProblemCode::Unavailable));
    assert!(problem.detail.contains("policy"), "{problem:?}");
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let bed = Bed::start().await;
    let grant = bed.granted().await;
    bed.reaches(grant, daypass_api::grant::GrantState::Active).await;
    bed.ask("ana", "orders/read").await;
    let lock = daypass_api::lock::ChangeLock {
        on: daypass_api::lock::LockOn::Resource("staging".to_owned()),
        reason: "x".to_owned(),
    };
    bed.client("root").await.lock(&lock).await.unwrap();
    let text = text(&bed, "/metrics").await;
    for line in [
        "daypass_requests_pending 1",
        "daypass_break_glass_reviews_owed 0",
        "daypass_break_glass_reviews_overdue 0",
        "daypass_locks 1",
        "daypass_grants{state=\"active\"} 1",
        "daypass_grants_overdue 0",
        "daypass_connector_up{connector=\"box\"} 1",
        "daypass_http_requests_total{method=\"POST\",route=\"/api/v1/requests\",status=\"201\"} 2",
        "daypass_events_total{event=\"grant.activated\"} 1",
        "daypass_reconcile_passes_total{outcome=\"done\"}",
        "daypass_reconcile_pass_seconds_bucket{",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn metrics_are_for_programs_on_this_machine_and_for_auditors() {
    let bed = Bed::start().await;
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("origin", "https://evil.example"),
        ("host", "rebound.example"),
    ] {
        let answer = bed
            .call(Route::Metrics, &[], None)
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(
            problem(answer).await.code,
            ProblemCode::Unauthenticated,
            "{name}: {value}"
        );
    }
    let token = bed.api_token("dee", &["read"]).await;
    let answer = bed
        .call(Route::Metrics, &[], Some(&token))
        .header("x-forwarded-for", "192.0.2.1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let behind = Bed::with(|config| config.behind_proxy = true).await;
    let answer = behind.call(Route::Metrics, &[], None).send().await.unwrap();
    assert_eq!(
        answer.status().as_u16(),
        401,
        "behind a proxy everybody looks local"
    );
}
