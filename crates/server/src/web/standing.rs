//! What people have at targets without Daypass, where targets and grants differ, and how old what is known of it is.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::{Html, Redirect};
use daypass_api::person::SystemRole;
use daypass_api::standing::{Drift, DriftKind, InventoryQuery, Standing, StandingQuery, Survey};
use daypass_core::name::Name;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::words::{When, is_named};
use crate::edge;

/// So many entries are shown at once.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "standing.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    surveys: Vec<Surveyed>,
    drift: Vec<Difference>,
    /// Whether there is more drift than is shown.
    more_drift: bool,
    rows: Vec<Row>,
    /// Where the list goes on.
    next: Option<String>,
    command: String,
    /// Whether whoever looks may have a target looked at anew.
    may_ask: bool,
}

/// How the survey of a connector stands.
struct Surveyed {
    name: String,
    class: &'static str,
    says: &'static str,
    seen: Option<When>,
    /// How far it is, and how much that is of the whole in hundredths.
    way: Option<(String, Option<u64>)>,
    failing: Option<(String, String)>,
    untold: Vec<String>,
    entries: u64,
}

struct Difference {
    class: &'static str,
    kind: &'static str,
    connector: String,
    what: String,
    todo: String,
    seen: When,
}

/// An entry of standing access.
struct Row {
    who: String,
    kind: String,
    login: Option<String>,
    guessed: bool,
    right: String,
    on: String,
    by: Option<String>,
    connector: String,
    used: Option<When>,
    until: Option<When>,
    instead: Vec<Instead>,
    /// What makes it something to ask for, in a terminal.
    snippet: Option<String>,
}

/// A role that gives it just in time.
struct Instead {
    item: String,
    says: &'static str,
}

/// What is looked for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    connector: String,
    #[serde(default)]
    cursor: String,
}

impl Wanted {
    fn query(&self) -> StandingQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        StandingQuery {
            connector: given(&self.connector),
            resource: given(&self.resource),
            subject: given(&self.subject),
            cursor: given(&self.cursor),
            limit: Some(ROWS),
        }
    }

    fn pairs(&self) -> [(&'static str, &str); 3] {
        let all = [
            ("subject", &self.subject),
            ("resource", &self.resource),
            ("connector", &self.connector),
        ];
        all.map(|(name, value)| (name, value.trim()))
    }

    /// The same from where a page ended.
    fn address(&self, cursor: &str) -> String {
        let given = self.pairs().into_iter().filter(|(_, value)| !value.is_empty());
        let given = given.chain([("cursor", cursor)]);
        let pairs: Vec<String> = given
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        format!("/standing?{}", pairs.join("&"))
    }

    /// What to type for the same; nothing that a shell would take for more than a name.
    fn command(&self) -> String {
        let mut command = String::from("daypass access ls --standing");
        for (name, value) in self.pairs().into_iter().filter(|pair| is_named(pair.1)) {
            match name {
                "subject" => command.push_str(&format!(" {value}")),
                name => command.push_str(&format!(" --{name} {value}")),
            }
        }
        command
    }
}

impl Surveyed {
    fn of(survey: Survey, now: Timestamp) -> Self {
        let (class, says) = match &survey {
            one if one.cannot_tell => ("quiet", "cannot tell"),
            one if one.failing.is_some() => ("bad", "failing"),
            one if one.under_way.is_some() || one.asked_for => ("pending", "being surveyed"),
            one if one.seen_at.is_some() => ("active", "surveyed"),
            _ => ("pending", "not surveyed yet"),
        };
        let way = survey.under_way.map(|way| {
            let of = way.of.filter(|of| *of > 0);
            let told = of.map_or_else(|| way.done.to_string(), |of| format!("{} of {of}", way.done));
            (told, of.map(|of| (way.done.saturating_mul(100) / of).min(100)))
        });
        Self {
            name: survey.connector.to_string(),
            class,
            says,
            seen: survey.seen_at.map(|at| When::new(at, now)),
            way,
            failing: survey.failing.map(|failing| (failing.fault, failing.detail)),
            untold: survey.untold,
            entries: survey.standing.unwrap_or(0),
        }
    }
}

impl Difference {
    fn of(drift: Drift, now: Timestamp) -> Self {
        let class = match drift.drift {
            DriftKind::LeftToPeople | DriftKind::Missing => "bad",
            DriftKind::Unwanted | DriftKind::Standing => "pending",
        };
        Self {
            class,
            kind: drift.drift.as_str(),
            connector: drift.connector.to_string(),
            what: drift.what,
            todo: drift.todo,
            seen: When::new(drift.seen_at, now),
        }
    }
}

impl Row {
    fn of(one: Standing, now: Timestamp) -> Self {
        let could = one.given_by.iter().any(|by| by.eligible == Some(true));
        let can_be_asked = !one.given_by.is_empty() || one.offer.is_some();
        let named = is_named(&one.subject.name) && can_be_asked && !could;
        Self {
            snippet: named.then(|| format!("daypass access snippet {}", one.subject.name)),
            who: one.subject.name,
            kind: one.subject.kind,
            login: one.login,
            guessed: one.guessed,
            right: one.right,
            on: one.on,
            by: one.by,
            connector: one.connector.to_string(),
            used: one.last_used.map(|at| When::new(at, now)),
            until: one.until.map(|at| When::new(at, now)),
            instead: one
                .given_by
                .into_iter()
                .map(|by| Instead {
                    item: by.item.to_string(),
                    says: match (by.eligible, by.more) {
                        (Some(true), false) => "may ask for it",
                        (Some(true), true) => "may ask for it, and it gives more",
                        (_, false) => "gives the same",
                        (_, true) => "gives more",
                    },
                })
                .collect(),
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let query = wanted.query();
    let few = InventoryQuery {
        limit: Some(ROWS),
        ..InventoryQuery::default()
    };
    let asking = async {
        let frame = visit.frame(Tab::Who, "Standing access").await?;
        let found = visit.api.standing(&query).await?;
        Ok::<_, Failed>((frame, found, visit.api.drift(&few).await?))
    };
    let (frame, found, drift) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let page = Page {
        frame,
        surveys: found
            .surveys
            .into_iter()
            .map(|one| Surveyed::of(one, now))
            .collect(),
        more_drift: drift.next.is_some() || !drift.complete,
        drift: drift
            .items
            .into_iter()
            .map(|one| Difference::of(one, now))
            .collect(),
        rows: found.items.into_iter().map(|one| Row::of(one, now)).collect(),
        next: found.next.map(|cursor| wanted.address(&cursor)),
        command: wanted.command(),
        may_ask: visit.me.person.role == SystemRole::Administrator,
        wanted,
    };
    Ok(Html(page.render()?))
}

/// The connector that is to be looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Look {
    connector: String,
}

/// Has a connector surveyed.
pub(super) async fn survey(visit: Visit, Form(look): Form<Look>) -> Result<Redirect, Failed> {
    let name: Name = look
        .connector
        .parse()
        .map_err(|_| Refusal::new(Code::NotFound, "there is no such connector"))
        .map_err(crate::http::problem::Failure::from)?;
    visit.from.clone().scope(visit.api.survey(&name)).await?;
    Ok(Redirect::to("/standing"))
}
