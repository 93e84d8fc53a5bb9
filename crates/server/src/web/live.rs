//! That something happened, as it happens: pages look again then. What happened is not told here; each page asks what its visitor may see.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::failed::Failed;
use super::visit::Visit;

/// So often a line is sent where nothing happens, so that whoever is in between keeps the connection.
const ALIVE: Duration = Duration::from_secs(15);

/// See the module.
pub(super) async fn stream(visit: Result<Visit, Response>) -> Result<Response, Failed> {
    // Whose session is over is not led to a page here. This answer tells a browser not to ask again (HTML, 9.2.3).
    let Ok(visit) = visit else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let events = visit.from.clone().scope(visit.api.events(None)).await?;
    let told = stream::unfold(events, async |mut events| {
        let event = events.next().await.ok()??;
        let told = Event::default().event("event").data(event.name);
        Some((Ok::<_, Infallible>(told), events))
    });
    Ok(Sse::new(told)
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response())
}
