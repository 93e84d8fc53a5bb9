//! The catalogue: what there is, what one may ask for, and what it takes.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::catalogue::{How, Offer, ResourceQuery};
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::Visit;
use super::words::length;

/// So many roles are shown at once.
const MOST: u32 = 500;

#[derive(Template)]
#[template(path = "catalogue.html")]
struct Page {
    frame: Frame,
    envs: Vec<(String, bool)>,
    typed: String,
    resources: Vec<Resource>,
    more: bool,
}

struct Resource {
    name: String,
    kind: String,
    env: Option<String>,
    roles: Vec<Role>,
}

struct Role {
    name: String,
    badge: String,
    class: &'static str,
    /// For how long at most; why not, where it is closed.
    says: String,
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
}

impl Role {
    fn of(offer: &Offer) -> Self {
        let name = offer.item.role.to_string();
        let (badge, class, says, is_open) = match &offer.how {
            How::Instant { max, .. } => (
                "instant".to_owned(),
                "instant",
                format!("up to {}", length(*max)),
                true,
            ),
            How::Reviewed { max, steps, .. } => {
                let badge = match steps.len() {
                    1 => "1 approval".to_owned(),
                    count => format!("{count} steps"),
                };
                let says = format!("{} · up to {}", steps.join(", then "), length(*max));
                (badge, "reviewed", says, true)
            }
            How::Closed { detail, .. } => ("not for you".to_owned(), "closed", detail.clone(), false),
        };
        Self {
            name,
            badge,
            class,
            says,
            is_open,
            emergency: offer.break_glass,
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Catalogue, "Catalogue").await?;
        let all = ResourceQuery {
            limit: Some(MOST),
            ..ResourceQuery::default()
        };
        Ok::<_, Failed>((frame, visit.api.resources(&all).await?))
    };
    let (frame, all) = visit.from.clone().scope(asking).await?;
    let envs: BTreeSet<String> = all
        .items
        .iter()
        .filter_map(Offer::env)
        .map(str::to_owned)
        .collect();
    let typed = wanted.q.trim().to_lowercase();
    let mut resources: BTreeMap<String, Resource> = BTreeMap::new();
    for offer in &all.items {
        let fits_env = wanted.env.is_empty() || offer.env() == Some(wanted.env.as_str());
        let fits_text = typed.is_empty() || offer.item.to_string().to_lowercase().contains(&typed);
        if !fits_env || !fits_text {
            continue;
        }
        let name = offer.item.resource.to_string();
        let resource = resources.entry(name.clone()).or_insert_with(|| Resource {
            name,
            kind: offer.kind.to_string(),
            env: offer.env().map(str::to_owned),
            roles: Vec::new(),
        });
        resource.roles.push(Role::of(offer));
    }
    let page = Page {
        frame,
        envs: envs
            .into_iter()
            .map(|env| {
                let is = env == wanted.env;
                (env, is)
            })
            .collect(),
        typed: wanted.q,
        resources: resources.into_values().collect(),
        more: all.next.is_some(),
    };
    Ok(Html(page.render()?))
}
