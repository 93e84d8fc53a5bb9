//! The policy: what is in force, whether another one is sound, and putting it in force.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use daypass_api::policy::{Policy, PolicyApplied, PolicyCheck, PolicyFile, PolicyFiles};
use daypass_api::{Problem, ProblemCode};
use daypass_core::refusal::Code;
use daypass_engine::{Awaits, Error};
use daypass_policy::Source;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::heavy::aside;
use crate::http::access::Identity;
use crate::http::intake::Json;
use crate::http::problem::{Answer, Failure, diagnostics};
use crate::wire;

/// How many files a policy has at most.
const MOST_FILES: usize = 500;
/// The longest name of a file, in bytes.
const LONGEST_NAME: usize = 255;

/// The files as the policy reads them. Their names are shown in diagnostics and never opened.
pub(super) fn sources(files: Vec<PolicyFile>) -> Answer<Vec<Source>> {
    if files.len() > MOST_FILES {
        return Err(Failure::new(
            Code::Invalid,
            format!("a policy has at most {MOST_FILES} files"),
        ));
    }
    let plain =
        |name: &str| !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if let Some(bad) = files.iter().find(|file| !plain(&file.name)) {
        let shown: String = bad.name.escape_debug().take(60).collect();
        return Err(Failure::new(
            Code::Invalid,
            format!("\"{shown}\" is no name of a file"),
        ));
    }
    Ok(files
        .into_iter()
        .map(|PolicyFile { name, text }| Source { name, text })
        .collect())
}

/// Shows the policy in force.
#[utoipa::path(get, path = "/api/v1/policy", tag = "policy",
    responses((status = 200, body = Policy), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(State(app): State<App>) -> Answer<Json<Policy>> {
    let policy = app.engine.current().policy;
    let files = policy.sources().iter().map(|file| PolicyFile {
        name: file.name.clone(),
        text: file.text.clone(),
    });
    Ok(Json(Policy {
        revision: policy.revision(),
        files: files.collect(),
        approval: policy.control().iter().flatten().map(wire::asks).collect(),
    }))
}

/// Puts a policy in force: whole, sound, and with its own tests passed, or not at all. Where the policy in force says that
/// others must agree, it is proposed, and the answer holds the change that waits for them.
#[utoipa::path(put, path = "/api/v1/policy", tag = "policy", request_body = PolicyFiles,
    responses((status = 200, body = PolicyApplied), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn apply(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<PolicyFiles>,
) -> Answer<Json<PolicyApplied>> {
    // One at a time within this process, so that `replaces` is compared with what is replaced.
    let _turn = app.policy_turn.lock().await;
    let before = app.engine.current().policy.revision();
    if body.replaces.is_some_and(|meant| meant != before) {
        return Err(
            Failure::new(Code::Stale, "another revision has come in force meanwhile")
                .hint("look at what changed, then apply again"),
        );
    }
    let sources = sources(body.files)?;
    let (engine, caller, files) = (Arc::clone(&app.engine), identity.caller, sources.clone());
    let applied = aside(async move { engine.apply_policy(caller, &files).await });
    let checked = match applied.await {
        Ok(checked) => checked,
        Err(Error::Refused(refusal)) => return Err(unsound(&app, refusal.into(), sources).await),
        Err(error) => return Err(error.into()),
    };
    let current = app.engine.current();
    let revision = if checked.change.is_some() {
        current.policy.revision()
    } else {
        checked.policy.revision()
    };
    let changed = revision != before;
    let summary = if changed { checked.summary } else { Vec::new() };
    let now = app.engine.store().now().await?;
    let change = checked.change;
    Ok(Json(PolicyApplied {
        revision,
        changed,
        summary,
        tests: checked.tests.len(),
        change: change.map(|change| Box::new(wire::change(&change, &current, Awaits::No, now))),
    }))
}

/// The problem with all that is wrong beside the first thing.
async fn unsound(app: &App, problem: Problem, sources: Vec<Source>) -> Failure {
    let Ok(checked) = on_its_own_thread(app, sources).await else {
        return problem.into();
    };
    let Ok(checked) = checked else {
        return problem.into();
    };
    let check = wire::check(&checked);
    let tests = check.tests.into_iter().filter(|test| !test.passed).collect();
    Problem {
        diagnostics: check.diagnostics,
        tests,
        ..problem
    }
    .into()
}

/// Checks a policy without effect. What is wrong with it is the answer, not a problem of the call.
#[utoipa::path(post, path = "/api/v1/policy/check", tag = "policy", request_body = PolicyFiles,
    responses((status = 200, body = PolicyCheck), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn check(
    State(app): State<App>,
    Json(body): Json<PolicyFiles>,
) -> Answer<Json<PolicyCheck>> {
    let checked = on_its_own_thread(&app, sources(body.files)?).await?;
    match checked {
        Ok(checked) => Ok(Json(wire::check(&checked))),
        Err(Error::Policy(found)) => Ok(Json(PolicyCheck {
            revision: None,
            diagnostics: diagnostics(&found),
            tests: Vec::new(),
            summary: Vec::new(),
        })),
        Err(error) => Err(error.into()),
    }
}

/// A policy of some ten thousand rules takes a while to check; nobody else waits for that, and only so many are checked at once.
async fn on_its_own_thread(
    app: &App,
    sources: Vec<Source>,
) -> Answer<Result<daypass_engine::Checked, Error>> {
    let turn = turn(&app.policy_checks)?;
    let engine = Arc::clone(&app.engine);
    let checked = tokio::task::spawn_blocking(move || {
        let checked = engine.check_policy(&sources);
        drop(turn);
        checked
    })
    .await;
    checked.map_err(|error| Failure::internal(&error))
}

/// Nobody waits for a turn: what waits holds the memory of its policy.
pub(super) fn turn(turns: &Arc<Semaphore>) -> Answer<OwnedSemaphorePermit> {
    Arc::clone(turns).try_acquire_owned().map_err(|_| {
        Failure::new(ProblemCode::Unavailable, "other policies are being checked now")
            .retry_after(Duration::from_secs(2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::intake::MAX_CHECKS;

    #[test]
    fn only_so_many_policies_are_checked_at_once() {
        let turns = Arc::new(Semaphore::new(MAX_CHECKS));
        let mut taken: Vec<_> = (0..MAX_CHECKS).map(|_| turn(&turns)).collect();
        assert!(taken.iter().all(Result::is_ok) && turn(&turns).is_err());
        taken.pop();
        assert!(turn(&turns).is_ok());
    }
}
