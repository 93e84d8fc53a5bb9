//! That something happened, as it happens: pages look again then. What happened is not told here; each page asks what its visitor may see.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};

use super::failed::Failed;
use super::visit::Visit;

/// So often a line is sent where nothing happens, so that whoever is in between keeps the connection.
const ALIVE: Duration = Duration::from_secs(15);

/// See the module.
pub(super) async fn stream(
    visit: Visit,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let events = visit.from.clone().scope(visit.api.events(None)).await?;
    let told = stream::unfold(events, async |mut events| {
        let event = events.next().await.ok()??;
        let told = Event::default().event("event").data(event.name);
        Some((Ok(told), events))
    });
    Ok(Sse::new(told).keep_alive(KeepAlive::new().interval(ALIVE)))
}
