//! The inventory: standing access, drift, what a policy could name, and surveys.

use std::sync::Arc;

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::standing::{Drift, Found, InventoryQuery, Listed, Standing, StandingQuery, Survey};
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_engine::{Row, StandingFilter, Surveyed};

use crate::api::page;
use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::{Json, Path, Query};
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// Lists what people have at targets without Daypass, as this server's last surveys told it: by connector.
#[utoipa::path(get, path = "/api/v1/access/standing", tag = "inventory", params(StandingQuery),
    responses((status = 200, body = Listed<Standing>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn standing(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<StandingQuery>,
) -> Answer<Json<Listed<Standing>>> {
    let filter = StandingFilter {
        connector: named("connector", query.connector.as_deref())?,
        resource: named("resource", query.resource.as_deref())?,
        who: query.subject.filter(|who| !who.is_empty()),
    };
    let now = app.engine.store().now().await?;
    // Where there are a hundred thousand entries it is a while's work.
    let found = page::aside(move || {
        let (rows, surveys) = app.engine.standing_access(identity.caller, &filter)?;
        let part = page::of(rows, query.limit, query.cursor.as_deref())?;
        let current = app.engine.current();
        let shown = part
            .items
            .iter()
            .filter_map(|row| wire::standing(row, &current, now));
        Ok::<_, Failure>(listed(shown.collect(), part.next, &surveys, true))
    });
    Ok(Json(found.await??))
}

/// Lists where targets and grants differ, and who has for good what the policy gives just in time.
#[utoipa::path(get, path = "/api/v1/access/drift", tag = "inventory", params(InventoryQuery),
    responses((status = 200, body = Listed<Drift>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn drift(
    State(app): State<App>,
    identity: Identity,
    Query(query): Query<InventoryQuery>,
) -> Answer<Json<Listed<Drift>>> {
    let drift = app.engine.drift(identity.caller).await?;
    let found = page::aside(move || {
        let current = app.engine.current();
        let ledger = drift.adrift.iter().map(Ok);
        let all = ledger.chain(drift.standing.iter().map(Err)).collect();
        let part = page::of(all, query.limit, query.cursor.as_deref())?;
        let shown = part.items.into_iter().filter_map(|one| match one {
            Ok(adrift) => Some(wire::adrift(adrift, &current)),
            Err(row) => wire::standing_drift(row, &current, drift.at),
        });
        let items = shown.collect();
        Ok::<_, Failure>(listed(items, part.next, &drift.surveys, drift.complete))
    });
    Ok(Json(found.await??))
}

/// What somebody has for good on a resource, or what a role of it gives.
///
/// # Errors
/// Where the caller does not see everything.
pub(super) async fn of_person(
    app: &App,
    identity: &Identity,
    who: PersonId,
    (resource, role): (&Name, Option<&Name>),
    now: Timestamp,
) -> Answer<Vec<Standing>> {
    let (app, caller) = (Arc::clone(app), identity.caller);
    let filter = StandingFilter {
        resource: Some(resource.clone()),
        ..StandingFilter::default()
    };
    let wanted = role.map(|role| Item {
        resource: resource.clone(),
        role: role.clone(),
    });
    let found = page::aside(move || {
        let (rows, _) = app.engine.standing_access(caller, &filter)?;
        let current = app.engine.current();
        let gives = |row: &Row| match &wanted {
            Some(wanted) => row.given_by.iter().any(|(item, _)| item == wanted),
            None => true,
        };
        let rows = rows.iter().filter(|row| row.person == Some(who) && gives(row));
        Ok::<_, Failure>(
            rows.filter_map(|row| wire::standing(row, &current, now))
                .collect(),
        )
    });
    found.await?
}

/// Asks this server for a survey of a connector now. One that is under way goes on.
#[utoipa::path(post, path = "/api/v1/connectors/{name}/survey", tag = "inventory", params(("name" = String, Path)),
    responses((status = 200, body = Survey), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn survey(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<Name>,
) -> Answer<Json<Survey>> {
    let asked = app.engine.ask_survey(identity.caller, &name)?;
    Ok(Json(wire::survey(&asked)))
}

/// Lists what a connector's last survey found that no resource of the policy is.
#[utoipa::path(get, path = "/api/v1/connectors/{name}/found", tag = "inventory", params(("name" = String, Path), InventoryQuery),
    responses((status = 200, body = Listed<Found>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn found(
    State(app): State<App>,
    identity: Identity,
    Path(name): Path<Name>,
    Query(query): Query<InventoryQuery>,
) -> Answer<Json<Listed<Found>>> {
    let (new, surveyed) = app.engine.found(identity.caller, &name)?;
    let all = wire::found(&new, &name, &app.engine.current());
    let part = page::of(all, query.limit, query.cursor.as_deref())?;
    Ok(Json(listed(
        part.items,
        part.next,
        std::slice::from_ref(&surveyed),
        true,
    )))
}

fn listed<T>(items: Vec<T>, next: Option<String>, surveys: &[Surveyed], complete: bool) -> Listed<T> {
    Listed {
        items,
        next,
        surveys: surveys.iter().map(wire::survey).collect(),
        complete,
    }
}

/// A name, where one is said; an empty one is none.
fn named(what: &str, text: Option<&str>) -> Answer<Option<Name>> {
    let text = text.filter(|text| !text.is_empty());
    text.map(str::parse)
        .transpose()
        .map_err(|bad: daypass_core::name::BadName| Failure::new(Code::Invalid, format!("{what}: {bad}")))
}
