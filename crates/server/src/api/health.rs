//! Whether the process lives, whether it can serve, and what it counts.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use daypass_api::{Problem, ProblemCode};
use daypass_core::grant::State as GrantState;
use daypass_store::{Backlog, GrantFilter};

use crate::app::{App, Parts};
use crate::edge;
use crate::http::listen::is_stopped;
use crate::http::problem::{Answer, Failure};
use crate::metrics::Gauges;

/// How long the store may take to answer before the server counts as unready.
const STORE: Duration = Duration::from_secs(2);
/// How many overdue grants are counted; an alarm that says "a thousand" says enough.
const MOST_OVERDUE: usize = 1_000;
/// The text format of Prometheus. Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Says that the process lives: it answers, and nothing else is asked of it.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn healthz() -> &'static str {
    "alive\n"
}

/// Says whether the server can serve: its store answers, a policy is in force, and the reconciler has looked lately.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn readyz(State(app): State<App>) -> Answer<&'static str> {
    match lacking(&app).await {
        None => Ok("ready\n"),
        Some(what) => Err(Failure::new(ProblemCode::Unavailable, what).retry_after(Duration::from_secs(1))),
    }
}

async fn lacking(app: &Parts) -> Option<&'static str> {
    if is_stopped(&app.stop) {
        return Some("the server is stopping");
    }
    // What ends access goes on; whoever sends people here should know that nothing else does.
    if app.engine.only_takes_away() {
        return Some(
            "this server only takes access away: its store does not go on from what was signed (docs/audit.md)",
        );
    }
    if !matches!(edge::within(STORE, app.engine.store().now()).await, Ok(Ok(_))) {
        return Some("the store does not answer");
    }
    if app.engine.current().policy.sources().is_empty() {
        return Some("no policy is in force: nobody may have anything");
    }
    if app.reconciles(edge::instant()) {
        None
    } else {
        Some("the reconciler has not looked lately")
    }
}

/// Shows metrics for Prometheus. A scraper on this machine needs no token.
#[utoipa::path(get, path = "/metrics", tag = "health", security(("bearer" = []), ()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn metrics(State(app): State<App>) -> Answer<Response> {
    let gauges = gauges(&app).await?;
    for (connector, health) in app.health.snapshot() {
        app.metrics
            .connector(connector.as_str(), health.failing.is_none(), &health.failures);
    }
    for (name, is_there) in app.gateway.iter().flat_map(|front| front.apart_there()) {
        app.metrics.gateway(name.as_str(), is_there);
    }
    for (protocol, count) in app.gateway.iter().flat_map(|front| front.sessions()) {
        app.metrics.sessions(protocol, count);
    }
    backlog(&app).await?;
    Ok(([(CONTENT_TYPE, PROMETHEUS)], app.metrics.render(gauges)).into_response())
}

/// Counts what waits on each channel, and on those that are configured no more.
async fn backlog(app: &Parts) -> Answer<()> {
    let store = app.engine.store();
    let now = store.now().await?;
    let mut all = store.notices_waiting(now).await?;
    for channel in &app.notices {
        if !all.iter().any(|one| one.channel == *channel) {
            all.push(Backlog {
                channel: channel.clone(),
                ..Backlog::default()
            });
        }
    }
    app.metrics
        .only_channels(&all.iter().map(|one| one.channel.clone()).collect());
    for one in all {
        let oldest = one
            .oldest
            .map_or(0.0, |oldest| now.since(oldest).to_std().as_secs_f64());
        app.metrics.backlog(&one.channel, one.waiting, one.dead, oldest);
    }
    Ok(())
}

async fn gauges(app: &Parts) -> Answer<Gauges> {
    let store = app.engine.store();
    let counts = store.counts().await?;
    let of = |state: &str| counts.grants.get(state).copied().unwrap_or(0);
    let ending = GrantFilter {
        states: vec!["ending".to_owned()],
        ..GrantFilter::default()
    };
    let ending = store.grants(ending, None, MOST_OVERDUE).await?.items;
    let overdue = ending
        .iter()
        .filter(|grant| matches!(grant.state, GrantState::Ending { overdue: true, .. }))
        .count();
    Ok(Gauges {
        requests_pending: counts.requests_pending,
        reviews_owed: counts.reviews_owed,
        reviews_overdue: counts.reviews_overdue,
        locks: counts.locks,
        sessions_live: counts.sessions_live,
        grants_active: of("active"),
        grants_activating: of("activating"),
        grants_ending: of("ending"),
        grants_overdue: u64::try_from(overdue).unwrap_or(u64::MAX),
    })
}
