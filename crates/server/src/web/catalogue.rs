//! The catalogue: what there is, what one may ask for, and what it takes.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::catalogue::{How, Offer, ResourceQuery};
use daypass_api::environment::{EnvironmentOffer, EnvironmentQuery};
use daypass_core::name::Name;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::words::length;

/// So many roles are shown at once.
const MOST: u32 = 200;
/// So many roles of environments.
const MOST_ENVIRONMENTS: usize = 200;
/// Among so many, the environments are looked for by which one can choose.
const AMONG: u32 = 500;

#[derive(Template)]
#[template(path = "catalogue.html")]
struct Page {
    frame: Frame,
    envs: Vec<(String, bool)>,
    /// These are all of them. Where they are not, one can be typed.
    all_envs: bool,
    wanted: Wanted,
    environments: Vec<Environment>,
    resources: Vec<Resource>,
    /// Where it goes on.
    next: Option<String>,
    command: String,
}

/// One name for roles on many resources.
struct Environment {
    name: String,
    /// What it stands for.
    items: String,
    role: Role,
}

struct Resource {
    name: String,
    kind: String,
    env: Option<String>,
    owner: Option<String>,
    roles: Vec<Role>,
}

struct Role {
    name: String,
    badge: String,
    class: &'static str,
    /// For how long at most; why not, where it is closed.
    says: String,
    /// What would make it pass, or who could.
    hint: Option<String>,
    is_open: bool,
    /// It may be taken in an emergency.
    emergency: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    env: String,
    cursor: Option<String>,
}

impl Wanted {
    fn query(&self) -> ResourceQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        ResourceQuery {
            q: given(&self.q),
            env: given(&self.env),
            cursor: self.cursor.clone(),
            limit: Some(MOST),
            ..ResourceQuery::default()
        }
    }

    fn environments(&self) -> EnvironmentQuery {
        EnvironmentQuery {
            env: self.query().env,
            limit: Some(MOST),
            ..EnvironmentQuery::default()
        }
    }

    /// The same, from there on.
    fn going_on(&self, cursor: &str) -> String {
        let pairs = [("q", self.q.trim()), ("env", self.env.trim()), ("cursor", cursor)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = pairs
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        format!("/catalogue?{}", pairs.join("&"))
    }

    /// What to type for the same. A link may have brought anything: only a name is put into a command that somebody may copy.
    fn command(&self) -> String {
        let env = self.env.trim();
        match env.parse::<Name>() {
            Ok(_) => format!("daypass ls --env {env}"),
            Err(_) => String::from("daypass ls"),
        }
    }
}

impl Role {
    fn of(name: String, how: &How, emergency: bool) -> Self {
        let (badge, class, says) = match how {
            How::Instant { max, .. } => ("instant".to_owned(), "instant", format!("up to {}", length(*max))),
            How::Reviewed { max, steps, .. } => {
                let badge = match steps.len() {
                    1 => "1 approval".to_owned(),
                    count => format!("{count} steps"),
                };
                let says = format!("{} · up to {}", steps.join(", then "), length(*max));
                (badge, "reviewed", says)
            }
            How::Closed { detail, .. } => ("not for you".to_owned(), "closed", detail.clone()),
        };
        let (hint, is_open) = match how {
            How::Closed { hint, .. } => (hint.clone(), false),
            How::Instant { depends, .. } | How::Reviewed { depends, .. } => {
                (depends.as_ref().map(|depends| depends.detail.clone()), true)
            }
        };
        Self {
            name,
            badge,
            class,
            says,
            hint,
            is_open,
            emergency,
        }
    }
}

impl Environment {
    fn of(offer: &EnvironmentOffer) -> Self {
        let names: Vec<String> = offer.items.iter().map(ToString::to_string).collect();
        Self {
            name: offer.environment.environment.to_string(),
            items: names.join(", "),
            role: Role::of(offer.environment.role.to_string(), &offer.how, offer.break_glass),
        }
    }

    fn is_meant(&self, wanted: &Wanted) -> bool {
        let words = format!("env:{}/{} {}", self.name, self.role.name, self.items).to_lowercase();
        wanted
            .q
            .split_whitespace()
            .all(|word| words.contains(&word.to_lowercase()))
    }
}

/// The roles, by the resources that they are on.
fn by_resource(offers: &[Offer]) -> Vec<Resource> {
    let mut resources: Vec<Resource> = Vec::new();
    // The API has them in this order.
    for of_one in offers.chunk_by(|one, other| one.item.resource == other.item.resource) {
        resources.extend(of_one.first().map(|offer| {
            Resource {
                name: offer.item.resource.to_string(),
                kind: offer.kind.to_string(),
                env: offer.env().map(str::to_owned),
                owner: offer.owner.as_ref().map(ToString::to_string),
                roles: of_one
                    .iter()
                    .map(|offer| Role::of(offer.item.role.to_string(), &offer.how, offer.break_glass))
                    .collect(),
            }
        }));
    }
    resources
}

/// The roles of environments that are meant; those of resources go on by pages, and these are few.
async fn environments(visit: &Visit, wanted: &Wanted) -> Result<Vec<Environment>, Failed> {
    let mut all = Vec::new();
    let mut query = wanted.environments();
    while wanted.cursor.is_none() && all.len() < MOST_ENVIRONMENTS {
        let found = visit.api.environments(&query).await?;
        let meant = found.items.iter().map(Environment::of);
        all.extend(meant.filter(|one| one.is_meant(wanted)));
        if found.next.is_none() {
            break;
        }
        query.cursor = found.next;
    }
    Ok(all)
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let query = wanted.query();
    let asking = async {
        let frame = visit.frame(Tab::Catalogue, "Catalogue").await?;
        let found = visit.api.resources(&query).await?;
        let whole =
            query.q.is_none() && query.env.is_none() && query.cursor.is_none() && found.next.is_none();
        let known = if whole {
            found.clone()
        } else {
            let among = ResourceQuery {
                limit: Some(AMONG),
                ..ResourceQuery::default()
            };
            visit.api.resources(&among).await?
        };
        let environments = environments(&visit, &wanted).await?;
        Ok::<_, Failed>((frame, found, known, environments))
    };
    let (frame, found, known, environments) = visit.from.clone().scope(asking).await?;
    let envs: BTreeSet<&str> = known.items.iter().filter_map(Offer::env).collect();
    let envs = envs
        .into_iter()
        .map(|env| (env.to_owned(), env == wanted.env.trim()));
    let page = Page {
        frame,
        envs: envs.collect(),
        all_envs: known.next.is_none(),
        environments,
        resources: by_resource(&found.items),
        next: found.next.as_deref().map(|cursor| wanted.going_on(cursor)),
        command: wanted.command(),
        wanted,
    };
    Ok(Html(page.render()?))
}
