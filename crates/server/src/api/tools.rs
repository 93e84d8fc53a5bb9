//! Questions about rights: what a policy would change, why it answers as it does, and by which grants somebody has access.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::explain::{Explain, Explanation};
use daypass_api::plan::Plan;
use daypass_api::policy::PolicyFiles;
use daypass_api::why::{Held, Phase as ApiPhase, Why, WhyQuery};
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_engine::{Error, Phase, Question};

use crate::api::policies::{sources, turn};
use crate::api::{grants, requests};
use crate::app::{App, Parts};
use crate::http::access::{Identity, Origin};
use crate::http::intake::{Json, Query};
use crate::http::problem::{Answer, Failure, diagnostics};
use crate::wire;

/// Says who would gain and who would lose what by a policy. Conditions are supposed to hold. Changes nothing.
#[utoipa::path(post, path = "/api/v1/policy/plan", tag = "policy", request_body = PolicyFiles,
    responses((status = 200, body = Plan), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn plan(State(app): State<App>, Json(body): Json<PolicyFiles>) -> Answer<Json<Plan>> {
    let sources = sources(body.files)?;
    let now = app.engine.store().now().await?;
    let turn = turn(&app.policy_checks)?;
    let engine = Arc::clone(&app.engine);
    let planned = tokio::task::spawn_blocking(move || {
        let planned = engine.plan_policy(&sources, now);
        drop(turn);
        planned
    })
    .await;
    let current = app.engine.current();
    match planned.map_err(|error| Failure::internal(&error))? {
        Ok(planned) => Ok(Json(wire::plan(planned, &current))),
        Err(Error::Policy(found)) => Ok(Json(Plan {
            from: current.policy.revision(),
            to: None,
            diagnostics: diagnostics(&found),
            changes: Vec::new(),
            people: 0,
            roles: 0,
            left_out: 0,
        })),
        Err(error) => Err(error.into()),
    }
}

/// Says what each rule says to a question: about oneself, or about anybody for auditors and administrators. With the files of a
/// policy, for administrators, that one is asked. About oneself it is answered as a request from here would be.
#[utoipa::path(post, path = "/api/v1/policy/explain", tag = "policy", request_body = Explain,
    responses((status = 200, body = Explanation), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn explain(
    State(app): State<App>,
    identity: Identity,
    origin: Origin,
    Json(body): Json<Explain>,
) -> Answer<Json<Explanation>> {
    let subject = app.engine.subject(identity.caller, body.subject.as_deref())?;
    let candidate = match body.files {
        None => None,
        Some(files) => {
            identity.caller.administrator()?;
            let sources = sources(files)?;
            let turn = turn(&app.policy_checks)?;
            let loaded = tokio::task::spawn_blocking(move || {
                let loaded = daypass_policy::Policy::load(&sources);
                drop(turn);
                loaded
            })
            .await;
            let loaded = loaded.map_err(|error| Failure::internal(&error))?;
            Some(loaded.map_err(|found| Failure::from(Error::Policy(Box::new(found))))?)
        }
    };
    let question = Question {
        items: wire::wanted(body.items),
        environments: body.environments.into_iter().map(Into::into).collect(),
        duration: body.duration,
        at: body.at,
        start: body.start,
        from: body.from.or_else(|| own(origin, &identity, subject)),
        ticket: body.ticket,
        break_glass: body.break_glass,
    };
    let explained = app
        .engine
        .explain(identity.caller, subject, &question, candidate.as_ref())
        .await?;
    let current = app.engine.current();
    Ok(Json(wire::explanation(
        explained,
        subject,
        question.environments,
        &current,
    )))
}

/// Says by which grants somebody has access to a resource, or had it at an instant, and who agreed to them: those that the caller
/// may see. Where there are none, and it is asked about now, it says what the policy would give.
#[utoipa::path(get, path = "/api/v1/why", tag = "grants", params(WhyQuery),
    responses((status = 200, body = Why), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn why(
    State(app): State<App>,
    identity: Identity,
    origin: Origin,
    Query(query): Query<WhyQuery>,
) -> Answer<Json<Why>> {
    let what = (&query.resource, query.role.as_ref());
    let reasons = app
        .engine
        .why(identity.caller, &query.subject, what, query.at)
        .await?;
    let now = app.engine.store().now().await?;
    let cores: Vec<_> = reasons.held.iter().map(|held| held.grant.clone()).collect();
    let shown = grants::shown(&app, &identity, &cores, now).await?;
    let show = |request| requests::shown(&app, &identity, request, now);
    let held: Vec<Held> = reasons
        .held
        .iter()
        .zip(shown)
        .map(|(held, grant)| Held {
            phase: match held.phase {
                Phase::SettingUp => ApiPhase::SettingUp,
                Phase::Active => ApiPhase::Active,
                Phase::Ending => ApiPhase::Ending,
            },
            grant,
            request: show(&held.request),
            extensions: held.extensions.iter().map(show).collect(),
        })
        .collect();
    let otherwise = match reasons.subject {
        Some(subject) if held.is_empty() && reasons.is_now => {
            let from = own(origin, &identity, subject);
            otherwise(&app, &identity, (subject, from), what).await?
        }
        _ => Vec::new(),
    };
    let standing = match reasons.subject {
        Some(subject) if reasons.is_now && identity.caller.sees_all() => {
            super::inventory::of_person(&app, &identity, subject, what, now).await?
        }
        _ => Vec::new(),
    };
    Ok(Json(Why {
        subject: query.subject.clone(),
        resource: query.resource.clone(),
        role: query.role.clone(),
        at: reasons.at,
        grants: held,
        complete: reasons.complete,
        standing,
        otherwise,
    }))
}

/// From where whoever calls would ask, where it is about them. Of somebody else it is not known.
fn own(Origin(from): Origin, identity: &Identity, subject: PersonId) -> Option<IpAddr> {
    from.filter(|_| subject == identity.caller.person)
}

/// What the policy in force would give of a resource, role by role.
async fn otherwise(
    app: &Parts,
    identity: &Identity,
    (subject, from): (PersonId, Option<IpAddr>),
    (resource, role): (&Name, Option<&Name>),
) -> Answer<Vec<Explanation>> {
    let current = app.engine.current();
    let known = current.policy.resource(resource.as_str());
    let roles: Vec<Name> = match (role, known) {
        (Some(role), _) => vec![role.clone()],
        (None, Some(known)) => known.roles.keys().cloned().collect(),
        (None, None) => {
            let what = format!("there is no resource {resource}");
            return Err(Failure::new(daypass_core::refusal::Code::UnknownResource, what));
        }
    };
    let mut all = Vec::new();
    for role in roles {
        let item = Item {
            resource: resource.clone(),
            role,
        };
        let question = Question {
            items: BTreeSet::from([item]),
            from,
            ..Question::default()
        };
        let explained = app
            .engine
            .explain(identity.caller, subject, &question, None)
            .await?;
        all.push(wire::explanation(explained, subject, Vec::new(), &current));
    }
    Ok(all)
}
