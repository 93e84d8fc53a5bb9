//! Explanations and plans on the wire.

use daypass_api::explain as api_explain;
use daypass_api::plan as api;
use daypass_core::environment::EnvironmentRole;
use daypass_core::id::PersonId;
use daypass_engine::{Current, Explained, Planned, Preview};
use daypass_policy::{Change, Effect, Outcome, Verdict, Way};

use super::items;
use super::policy::{preview, refused};

/// What the policy says to a question, and why.
#[must_use]
pub(crate) fn explanation(
    explained: Explained,
    subject: PersonId,
    environments: Vec<EnvironmentRole>,
    current: &Current,
) -> api_explain::Explanation {
    let rules = explained.explanation.verdicts.iter().map(verdict).collect();
    let by_source = explained.explanation.by_source;
    let decision = Preview {
        items: explained.items,
        environments,
        decision: explained.explanation.decision,
    };
    api_explain::Explanation {
        subject: current.directory.login(subject),
        items: items(&decision.items),
        at: explained.at,
        policy_revision: explained.revision,
        locked: explained.locked.as_ref().map(refused),
        limits_left_out: explained.limits_left_out,
        by_source,
        from: explained.from,
        decision: preview(&decision, current),
        rules,
    }
}

fn verdict(verdict: &Verdict) -> api_explain::Verdict {
    let (fit, code) = match &verdict.outcome {
        Outcome::Chosen { .. } => (api_explain::Fit::Taken, None),
        Outcome::Fits { .. } => (api_explain::Fit::Fits, None),
        Outcome::AdmitsOthers(_) => (api_explain::Fit::AdmitsOthers, None),
        Outcome::OtherVerb => (api_explain::Fit::OtherVerb, None),
        Outcome::Obstructed(refusal) => {
            let code = refusal.code.to_string();
            (api_explain::Fit::Obstructed, Some(code))
        }
    };
    api_explain::Verdict {
        rule: verdict.rule.clone(),
        location: format!("{:#}", verdict.location),
        fit,
        detail: verdict.outcome.to_string(),
        code,
    }
}

/// What a policy would do.
#[must_use]
pub(crate) fn plan(planned: Planned, current: &Current) -> api::Plan {
    let plan = planned.plan;
    api::Plan {
        from: planned.from,
        to: Some(planned.to),
        diagnostics: Vec::new(),
        changes: plan.changes.into_iter().map(|one| change(one, current)).collect(),
        people: plan.people,
        roles: plan.roles,
        left_out: plan.left_out,
    }
}

fn change(change: Change, current: &Current) -> api::PlanChange {
    let logins = change
        .people
        .iter()
        .map(|person| current.directory.login(*person));
    let mut people: Vec<String> = logins.collect();
    people.sort();
    api::PlanChange {
        effect: effect(change.effect),
        break_glass: change.break_glass,
        before: change.before.map(way),
        after: change.after.map(way),
        dropped: change.dropped.into_iter().map(way).collect(),
        added: change.added.into_iter().map(way).collect(),
        people,
        items: items(&change.items),
    }
}

const fn effect(effect: Effect) -> api::Effect {
    match effect {
        Effect::Gained => api::Effect::Gained,
        Effect::Easier => api::Effect::Easier,
        Effect::Longer => api::Effect::Longer,
        Effect::Asks => api::Effect::AsksOthers,
        Effect::Conditions => api::Effect::Conditions,
        Effect::Ways => api::Effect::OtherWays,
        Effect::Shorter => api::Effect::Shorter,
        Effect::Harder => api::Effect::Harder,
        Effect::Lost => api::Effect::Lost,
    }
}

fn way(way: Way) -> api::Way {
    api::Way {
        rule: way.rule,
        steps: way.steps,
        people: way.people,
        asks: way.asks,
        asks_in_full: way.asks_in_full,
        usual: way.usual,
        max: way.max,
        afterwards: way.after,
        conditions: way.conditions,
    }
}
