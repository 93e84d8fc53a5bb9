//! What the policy says, on the wire: the catalogue, previews, checks.

use daypass_api::catalogue::{self as api_catalogue, How, Offer as ApiOffer};
use daypass_api::connector as api_connector;
use daypass_api::environment as api_environment;
use daypass_api::policy as api;
use daypass_api::preview as api_preview;
use daypass_core::name::Name;
use daypass_core::refusal::Refusal;
use daypass_core::review::{Silence, Step};
use daypass_core::time::Timestamp;
use daypass_engine::{Checked, Current, Preview};
use daypass_policy::{Allowed, Decision, Depends, EnvironmentOffer, Offer, Terms, TestOutcome};

use super::items;

/// What a request would lead to.
#[must_use]
pub(crate) fn preview(preview: &Preview, current: &Current) -> api_preview::Preview {
    match &preview.decision {
        Decision::Refused(refusal) => api_preview::Preview::Refused(refused(refusal)),
        Decision::Allowed(allowed) => {
            let items = items(&preview.items);
            let environments = preview.environments.iter().cloned().map(Into::into);
            api_preview::Preview::Allowed(Box::new(api_preview::Path {
                environments: environments.collect(),
                ..path(allowed, items, current)
            }))
        }
    }
}

pub(super) fn refused(refusal: &Refusal) -> api_preview::Refused {
    api_preview::Refused {
        code: refusal.code.to_string(),
        detail: refusal.what.clone(),
        hint: refusal.hint.clone(),
    }
}

fn path(allowed: &Allowed, items: Vec<daypass_api::Item>, current: &Current) -> api_preview::Path {
    let demands = &allowed.path.demands;
    let asked = allowed
        .reviewers
        .iter()
        .map(Vec::as_slice)
        .chain(std::iter::repeat(&[][..]));
    let steps = allowed
        .path
        .steps
        .iter()
        .zip(asked)
        .map(|(step, people)| api_preview::StepPreview {
            from: step.from.to_string(),
            count: step.count.max(1),
            reviewers: people
                .iter()
                .map(|person| current.directory.login(*person))
                .collect(),
            within: step.within,
            mfa: demands.mfa_of(step),
            guardrail: step.guardrail.clone(),
            escalates_to: match &step.silence {
                Silence::Deny => None,
                Silence::Escalate { to, .. } => Some(to.to_string()),
            },
        });
    let others = allowed.others.iter().map(|other| api_preview::OtherRule {
        rule: other.rule.clone(),
        steps: other.steps.len(),
        max: other.max,
    });
    api_preview::Path {
        items,
        environments: Vec::new(),
        rule: allowed.path.rule.clone(),
        location: format!("{:#}", allowed.location),
        policy_revision: allowed.path.policy,
        steps: steps.collect(),
        usually: None,
        duration: allowed.duration,
        max: allowed.path.max,
        ends_by: allowed.path.ends_by,
        ends_because: allowed.ends_because.clone(),
        end_when: allowed.path.end_when.iter().map(ToString::to_string).collect(),
        mfa: demands.mfa,
        recording: demands.recording.map(|one| one.as_str().to_owned()),
        notify: demands.notify.iter().cloned().collect(),
        pending: allowed.path.pending,
        break_glass: allowed
            .path
            .break_glass
            .as_ref()
            .map(|glass| daypass_api::break_glass::Terms {
                page: glass.page.to_string(),
                review_by: glass.review.from.to_string(),
                reviewers: allowed
                    .after
                    .iter()
                    .map(|person| current.directory.login(*person))
                    .collect(),
                within: glass.review.within,
            }),
        others: others.collect(),
    }
}

/// One role of the catalogue.
#[must_use]
pub(crate) fn offer(offer: Offer) -> ApiOffer {
    let labels = offer
        .labels
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    ApiOffer {
        item: offer.item.into(),
        kind: offer.kind,
        labels: labels.collect(),
        owner: offer.owner,
        how: how(offer.terms),
        break_glass: offer.break_glass,
    }
}

/// One role of an environment.
#[must_use]
pub(crate) fn environment(offer: EnvironmentOffer) -> api_environment::EnvironmentOffer {
    api_environment::EnvironmentOffer {
        environment: offer.role.into(),
        items: items(&offer.items),
        how: how(offer.terms),
        break_glass: offer.break_glass,
    }
}

/// What something takes.
fn how(terms: Result<Terms, Refusal>) -> How {
    match terms {
        Ok(terms) if terms.is_instant() => How::Instant {
            rule: terms.rule,
            max: terms.max,
            depends: terms.depends.map(depends),
        },
        Ok(terms) => How::Reviewed {
            rule: terms.rule,
            max: terms.max,
            steps: terms.steps.iter().map(asks).collect(),
            depends: terms.depends.map(depends),
        },
        Err(refusal) => How::Closed {
            code: refusal.code.to_string(),
            detail: refusal.what,
            hint: refusal.hint,
        },
    }
}

fn depends(depends: Depends) -> api_catalogue::Depends {
    api_catalogue::Depends {
        on: depends.on.iter().map(|one| one.field().to_owned()).collect(),
        detail: depends.why,
        hint: depends.hint,
    }
}

/// Whom a step asks, in words: `manager`, or `2 of security`.
#[must_use]
pub(crate) fn asks(step: &Step) -> String {
    match step.count {
        0 | 1 => step.from.to_string(),
        count => format!("{count} of {}", step.from),
    }
}

/// What checking a policy found.
#[must_use]
pub(crate) fn check(checked: &Checked) -> api::PolicyCheck {
    let diagnostics = checked.findings.iter().map(|finding| api::Diagnostic {
        file: finding.location.file.clone(),
        line: usize::try_from(finding.location.line).unwrap_or(0),
        column: usize::try_from(finding.location.column).unwrap_or(0),
        message: finding.message.clone(),
        help: None,
    });
    api::PolicyCheck {
        revision: Some(checked.policy.revision()),
        diagnostics: diagnostics.collect(),
        tests: checked.tests.iter().map(test).collect(),
        summary: checked.summary.clone(),
    }
}

/// What came of one of the policy's own tests.
#[must_use]
fn test(outcome: &TestOutcome) -> api::TestOutcome {
    api::TestOutcome {
        location: format!("{:#}", outcome.location),
        passed: outcome.passed,
        name: outcome.question.clone(),
        expected: outcome.expected.clone(),
        got: outcome.got.clone(),
    }
}

/// What a connector was found to be.
pub(crate) struct Found {
    /// What its probe came to.
    pub(crate) probed: Result<(), daypass_providers::Error>,
    pub(crate) authority: Option<daypass_engine::Authority>,
    /// What the reconciler came to.
    pub(crate) work: daypass_engine::reconcile::ConnectorHealth,
    /// How much is there that no grant wants.
    pub(crate) unwanted: u64,
    /// How its survey stands.
    pub(crate) survey: Option<daypass_api::standing::Survey>,
}

/// A connector and how it is.
#[must_use]
pub(crate) fn connector(name: &Name, kind: &Name, found: Found, now: Timestamp) -> api_connector::Connector {
    let health = match found.probed {
        Ok(()) => api_connector::Health::Healthy,
        Err(error) => api_connector::Health::Failing {
            fault: fault(error.fault),
            detail: error.detail,
        },
    };
    api_connector::Connector {
        name: name.clone(),
        kind: kind.clone(),
        health,
        checked_at: now,
        provisioned_at: found.work.provisioned_at,
        revoked_at: found.work.revoked_at,
        unwanted: found.unwanted,
        stuck: found
            .work
            .failing
            .map(|(since, kind, detail)| api_connector::Stuck {
                since,
                fault: fault(kind),
                detail,
            }),
        authority: found.authority.map(authority),
        survey: found.survey,
    }
}

/// The keys of an authority.
#[must_use]
pub(crate) fn authority(authority: daypass_engine::Authority) -> api_connector::Authority {
    use daypass_engine::Rotation as R;
    api_connector::Authority {
        fingerprint: authority.fingerprint,
        since: authority.since,
        rotation: authority.rotation.map(|rotation| match rotation {
            R::Staged { next, since, waiting } => api_connector::Rotation::Staged { next, since, waiting },
            R::Retiring { old, since, until } => api_connector::Rotation::Retiring { old, since, until },
        }),
    }
}

/// The fault as it is written everywhere.
pub(super) fn fault(fault: daypass_core::entitlement::Fault) -> String {
    match serde_json::to_value(fault) {
        Ok(serde_json::Value::String(text)) => text,
        _ => fault.to_string(),
    }
}
