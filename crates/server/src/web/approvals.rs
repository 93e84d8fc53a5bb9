//! Approvals: what waits for whoever looks, by the time that is left.

use askama::Template;
use axum::response::Html;
use daypass_api::request::RequestQuery;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::request::Shown;
use super::visit::Visit;
use crate::edge;

#[derive(Template)]
#[template(path = "approvals.html")]
struct Page {
    frame: Frame,
    waiting: Vec<Shown>,
    more: bool,
}

/// See the module.
pub(super) async fn page(visit: Visit) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Approvals, "Approvals").await?;
        let wanted = RequestQuery {
            reviewable: Some(true),
            limit: Some(Frame::MOST),
            ..RequestQuery::default()
        };
        Ok::<_, Failed>((frame, visit.api.requests(&wanted).await?))
    };
    let (frame, waiting) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let page = Page {
        frame,
        more: waiting.next.is_some(),
        waiting: waiting
            .items
            .into_iter()
            .map(|request| Shown::of(request, now))
            .collect(),
    };
    Ok(Html(page.render()?))
}
