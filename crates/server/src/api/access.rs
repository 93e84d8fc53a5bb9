//! Who has what just now: as a list, and as a matrix.

use axum::extract::State;
use daypass_api::access::{
    AccessQuery, DEFAULT_COLUMNS, DEFAULT_ROWS, Holding, MAX_SIDE, Matrix, MatrixQuery,
};
use daypass_api::{Page, Problem};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_engine::{HoldingFilter, StandingFilter};

use crate::api::page;
use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::{Json, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists who has what just now, as far as the caller may see it: by login, resource and role.
#[utoipa::path(get, path = "/api/v1/access", tag = "grants", params(AccessQuery),
    responses((status = 200, body = Page<Holding>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<AccessQuery>,
) -> Answer<Json<Page<Holding>>> {
    let filter = HoldingFilter {
        person: query.person,
        group: named("group", query.group.as_deref())?,
        resource: named("resource", query.resource.as_deref())?,
        env: named("env", query.env.as_deref())?,
        label: label(query.label.as_deref())?,
    };
    let found = app.engine.who_has(identity.caller, &filter).await?;
    let held = page::of(found.held.iter().collect(), query.limit, query.cursor.as_deref())?;
    Ok(Json(Page {
        items: held
            .items
            .into_iter()
            .map(|one| wire::holding(one, &found.current))
            .collect(),
        next: held.next,
    }))
}

/// Shows a part of who has what as a matrix: people who have something, and resources that somebody has something on.
#[utoipa::path(get, path = "/api/v1/access/matrix", tag = "grants", params(MatrixQuery),
    responses((status = 200, body = Matrix), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn matrix(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<MatrixQuery>,
) -> Answer<Json<Matrix>> {
    let filter = HoldingFilter {
        person: query.person,
        group: named("group", query.group.as_deref())?,
        resource: named("resource", query.resource.as_deref())?,
        env: named("env", query.env.as_deref())?,
        label: label(query.label.as_deref())?,
    };
    let rows = (query.row.unwrap_or(0), side(query.rows, DEFAULT_ROWS)?);
    let columns = (query.column.unwrap_or(0), side(query.columns, DEFAULT_COLUMNS)?);
    let found = app.engine.who_has(identity.caller, &filter).await?;
    let by_group = query.by_group == Some(true);
    let (standing, eligible) = (query.standing == Some(true), query.eligible == Some(true));
    // Where everybody has everything it is a while's work.
    let part = page::aside(move || {
        let caller = identity.caller;
        let sees_standing = standing && caller.sees_all();
        let besides = wire::Besides {
            standing: match sees_standing {
                true => app.engine.standing_access(caller, &StandingFilter::default())?.0,
                false => Vec::new(),
            },
            eligible: eligible.then_some(caller),
            filter,
        };
        Ok::<_, Failure>(wire::matrix(&found, &besides, by_group, rows, columns))
    });
    Ok(Json(part.await??))
}

/// How many rows or columns.
fn side(asked: Option<u32>, usual: u32) -> Answer<u32> {
    match asked.unwrap_or(usual) {
        side @ 1..=MAX_SIDE => Ok(side),
        _ => {
            let what = format!("rows and columns are from 1 to {MAX_SIDE}");
            Err(Failure::new(Code::Invalid, what))
        }
    }
}

/// A name, where one is said; an empty one is none.
fn named(what: &str, text: Option<&str>) -> Answer<Option<Name>> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| name(what, text)).transpose()
}

fn name(what: &str, text: &str) -> Answer<Name> {
    let parsed = text.parse();
    parsed.map_err(|bad: daypass_core::name::BadName| Failure::new(Code::Invalid, format!("{what}: {bad}")))
}

/// A label: `name`, or `name=value`; an empty one is none.
fn label(text: Option<&str>) -> Answer<Option<(Name, Option<Name>)>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(match text.split_once('=') {
        Some((label, value)) => (name("label", label)?, Some(name("label", value)?)),
        None => (name("label", text)?, None),
    }))
}
