//! Going somewhere by typing a part of its name: pages, what one holds and waits for, what waits for one, and what one may ask for. The script
//! shows this page as a dialog; without it, it is a page.

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::catalogue::{How, Offer, ResourceQuery};
use daypass_api::grant::{GrantQuery, GrantState};
use daypass_api::request::{Request, RequestQuery, RequestState};
use serde::Deserialize;

use super::access::listed;
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::Visit;

/// So much of each kind is offered.
const MOST: u32 = 50;
/// So many roles.
const MOST_ROLES: u32 = 500;

#[derive(Template)]
#[template(path = "palette.html")]
struct Page {
    frame: Frame,
    typed: String,
    found: Vec<Found>,
}

/// Somewhere to go.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: String,
    name: String,
    /// What it is.
    about: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
}

impl Found {
    fn new(path: String, name: String, about: impl Into<String>) -> Self {
        Self {
            path,
            name,
            about: about.into(),
        }
    }

    fn request(request: &Request, about: &str) -> Self {
        let about = format!("{about} {}", request.id.short());
        Self::new(format!("/requests/{}", request.id), listed(&request.items), about)
    }

    fn offer(offer: &Offer) -> Option<Self> {
        let about = match offer.how {
            How::Instant { .. } => "ask: instant",
            How::Reviewed { .. } => "ask: others must agree",
            How::Closed { .. } => return None,
        };
        let path = format!("/ask/{}/{}", offer.item.resource, offer.item.role);
        Some(Self::new(path, offer.item.to_string(), about))
    }

    /// Whether each word that was typed is in it.
    fn fits(&self, typed: &str) -> bool {
        let text = format!("{} {}", self.name, self.about).to_lowercase();
        typed
            .to_lowercase()
            .split_whitespace()
            .all(|word| text.contains(word))
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Access, "Go to").await?;
        let requests = |reviewable: bool| RequestQuery {
            mine: (!reviewable).then_some(true),
            reviewable: reviewable.then_some(true),
            state: (!reviewable).then_some(RequestState::Pending),
            limit: Some(MOST),
            ..RequestQuery::default()
        };
        let grants = GrantQuery {
            mine: Some(true),
            limit: Some(MOST),
            ..GrantQuery::default()
        };
        let roles = ResourceQuery {
            limit: Some(MOST_ROLES),
            ..ResourceQuery::default()
        };
        let mut found: Vec<Found> = frame
            .rail
            .iter()
            .map(|place| Found::new(place.path.to_owned(), place.name.to_owned(), "page"))
            .collect();
        let held = visit.api.grants(&grants).await?.items;
        let held = held.iter().filter(|grant| grant.state != GrantState::Ended);
        found.extend(held.map(|grant| {
            let path = format!("/requests/{}", grant.request);
            Found::new(
                path,
                listed(&grant.items),
                format!("yours, {}", grant.state.as_str()),
            )
        }));
        let waiting = visit.api.requests(&requests(true)).await?.items;
        found.extend(
            waiting
                .iter()
                .map(|request| Found::request(request, "waits for you,")),
        );
        let mine = visit.api.requests(&requests(false)).await?.items;
        found.extend(mine.iter().map(|request| Found::request(request, "you asked,")));
        let offers = visit.api.resources(&roles).await?.items;
        found.extend(offers.iter().filter_map(Found::offer));
        Ok::<_, Failed>((frame, found))
    };
    let (frame, found) = visit.from.clone().scope(asking).await?;
    let page = Page {
        frame,
        found: found.into_iter().filter(|one| one.fits(&wanted.q)).collect(),
        typed: wanted.q,
    };
    Ok(Html(page.render()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_that_is_typed_is_to_be_found_in_any_order() {
        let one = Found::new("/".into(), "orders-prod/write".into(), "ask: others must agree");
        for typed in ["", "orders", "WRITE ord", "agree prod", "  "] {
            assert!(one.fits(typed), "{typed}");
        }
        for typed in ["read", "orders read", "orderswrite"] {
            assert!(!one.fits(typed), "{typed}");
        }
    }
}
