//! Health: each connector, and whatever else the server finds when it looks itself over, with what to do about it.

use askama::Template;
use axum::response::Html;
use daypass_api::connector::{Connector, Health, Rotation};
use daypass_api::doctor::{Check, Verdict};
use daypass_core::time::Timestamp;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::Visit;
use super::words::When;
use crate::edge;

#[derive(Template)]
#[template(path = "health.html")]
struct Page {
    frame: Frame,
    connectors: Vec<Card>,
    checks: Vec<Line>,
    /// How many of them are not good.
    bad: usize,
    /// How many connectors cannot do what is to be done.
    stuck: usize,
}

struct Card {
    name: String,
    kind: String,
    fault: Option<(String, String)>,
    checked: When,
    /// What the reconciler did there last, and what it could not.
    provisioned: Option<When>,
    revoked: Option<When>,
    unwanted: u64,
    /// When what stands there without Daypass was last seen, and what is to be known of that.
    surveyed: Option<When>,
    survey: &'static str,
    stuck: Option<(When, String, String)>,
    fingerprint: Option<String>,
    rotation: Option<&'static str>,
}

struct Line {
    verdict: &'static str,
    class: &'static str,
    about: String,
    found: String,
    advice: Option<String>,
}

impl Card {
    fn of(connector: Connector, now: Timestamp) -> Self {
        let rotation = connector
            .authority
            .as_ref()
            .and_then(|authority| authority.rotation.as_ref());
        Self {
            name: connector.name.to_string(),
            kind: connector.kind.to_string(),
            fault: match connector.health {
                Health::Healthy => None,
                Health::Failing { fault, detail } => Some((fault, detail)),
            },
            checked: When::new(connector.checked_at, now),
            provisioned: connector.provisioned_at.map(|at| When::new(at, now)),
            revoked: connector.revoked_at.map(|at| When::new(at, now)),
            unwanted: connector.unwanted,
            survey: match &connector.survey {
                Some(survey) if survey.cannot_tell => "this kind cannot tell what stands at its target",
                Some(survey) if survey.failing.is_some() => "the survey does not go on",
                Some(survey) if survey.under_way.is_some() || survey.asked_for => "a survey is under way",
                Some(survey) if survey.seen_at.is_some() => "",
                _ => "not yet by this server",
            },
            surveyed: connector
                .survey
                .and_then(|survey| survey.seen_at)
                .map(|at| When::new(at, now)),
            stuck: connector
                .stuck
                .map(|stuck| (When::new(stuck.since, now), stuck.fault, stuck.detail)),
            rotation: rotation.map(|rotation| match rotation {
                Rotation::Staged { .. } => "another key is staged",
                Rotation::Retiring { .. } => "the old key is retiring",
            }),
            fingerprint: connector.authority.map(|authority| authority.fingerprint),
        }
    }
}

impl Line {
    fn of(check: Check) -> Self {
        let (verdict, class) = match check.verdict {
            Verdict::Good => ("good", "active"),
            Verdict::Warning => ("warning", "pending"),
            Verdict::Failing => ("failing", "bad"),
        };
        Self {
            verdict,
            class,
            about: check.about,
            found: check.found,
            advice: check.advice,
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Health, "Health").await?;
        let connectors = visit.api.connectors().await?.items;
        Ok::<_, Failed>((frame, connectors, visit.api.doctor().await?.checks))
    };
    let (frame, connectors, mut checks) = visit.from.clone().scope(asking).await?;
    // What is wrong comes first.
    checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    let now = edge::now();
    let page = Page {
        frame,
        stuck: connectors.iter().filter(|one| one.stuck.is_some()).count(),
        bad: checks
            .iter()
            .filter(|check| check.verdict != Verdict::Good)
            .count(),
        connectors: connectors.into_iter().map(|one| Card::of(one, now)).collect(),
        checks: checks.into_iter().map(Line::of).collect(),
    };
    Ok(Html(page.render()?))
}
