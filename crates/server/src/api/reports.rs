//! Reports: what was asked for in a period, what became of it, and what is late.

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::report::{Report, ReportQuery};
use daypass_core::refusal::Code;
use daypass_engine::ReportAsk;

use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::{Json, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Says what was asked for in a period, what became of it, what stands and what is late. For auditors and administrators.
#[utoipa::path(get, path = "/api/v1/reports", tag = "audit", params(ReportQuery),
    responses((status = 200, body = Report), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn report(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<ReportQuery>,
) -> Answer<Json<Report>> {
    let env = query.env.as_deref().filter(|env| !env.is_empty());
    let env = env.map(str::parse).transpose();
    let ask = ReportAsk {
        from: query.from,
        until: query.until,
        env: env
            .map_err(|bad: daypass_core::name::BadName| Failure::new(Code::Invalid, format!("env: {bad}")))?,
    };
    let made = app.engine.report(identity.caller, &ask).await?;
    Ok(Json(wire::report(
        made,
        ask.env.as_ref(),
        &app.engine.current().directory,
    )))
}
