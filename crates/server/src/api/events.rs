//! The live stream: server-sent events about what the caller may see, from now on or from where they left.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use daypass_api::event::Event;
use daypass_api::{Problem, ProblemCode};
use daypass_core::id::PersonId;
use daypass_core::refusal::Code;
use daypass_store::{EventFilter, From};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::app::{App, Parts};
use crate::edge;
use crate::events::{Told, address};
use crate::http::access::{self, Identity};
use crate::http::listen::stopped;
use crate::http::places::Share;
use crate::http::problem::{Answer, Failure};
use crate::wire;

/// A comment is sent when nothing else was for so long; clients take twice that for a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How many clients listen at the same time.
const MOST_LISTENERS: usize = 1_000;
/// How many events are read at once for a client that comes back.
const BATCH: usize = 200;
/// How many events a client that comes back may have missed. Each is read, and whom it is for.
const FURTHEST_BACK: u64 = 10_000;
/// How long one stream of a person waits for what another of theirs is reading.
const TURN: Duration = Duration::from_secs(30);

/// Streams events that concern what the caller may see. It ends with the session, and when the server stops.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(("last-event-id" = Option<u64>, Header, description = "Where to go on: the `id` of the last event that came")),
    responses((status = 200, body = Event, content_type = "text/event-stream"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn stream(
    State(app): State<App>,
    identity: Identity,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Message, Infallible>>>> {
    let place = Place::take(&app, identity.caller.person)?;
    // Listening begins before reading, so that nothing falls between the two.
    let live = app.events.subscribe();
    let size = app.engine.store().log_head().await?.size;
    let last = match headers.get("last-event-id") {
        None => size.checked_sub(1),
        Some(id) => Some(not_too_far(seen(id.to_str().unwrap_or(""))?, size)?),
    };
    let behind = headers.contains_key("last-event-id");
    let stop = app.stop.clone();
    let ends = ends(&app, &identity).await?;
    let listener = Listener {
        app,
        identity,
        ends,
        live,
        stop,
        last,
        behind,
        ready: VecDeque::new(),
        _place: place,
    };
    let messages = unfold(listener, |mut listener| async move {
        let message = listener.next().await?;
        Some((Ok(message), listener))
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// When this session or token runs out, measured from here on: it is said in the store's time, which this machine's clock may
/// differ from for good.
async fn ends(app: &Parts, identity: &Identity) -> Result<Instant, daypass_store::Error> {
    let left = edge::until(identity.token.expires_at, app.engine.store().now().await?);
    // What lasts longer than can be added lasts for a year at least; nobody's connection does.
    let (now, year) = (edge::instant(), Duration::from_secs(365 * 24 * 3600));
    Ok(now.checked_add(left).unwrap_or(now + year))
}

fn seen(id: &str) -> Answer<u64> {
    id.trim()
        .parse()
        .map_err(|_| Failure::new(Code::Invalid, "Last-Event-ID is the id of an event: a number"))
}

/// What a client missed is read for it within bounds.
fn not_too_far(last: u64, size: u64) -> Answer<u64> {
    if size.saturating_sub(last) > FURTHEST_BACK {
        let what = format!("a stream goes back {FURTHEST_BACK} events at most, and {last} is further back");
        return Err(Failure::new(Code::Invalid, what)
            .hint("begin without Last-Event-ID, and read how things are at their own paths"));
    }
    Ok(last)
}

/// A listener's place among the others, and among their own streams, given back when the stream ends however it ends.
struct Place {
    app: App,
    _share: Share<PersonId>,
}

impl Place {
    fn take(app: &App, person: PersonId) -> Answer<Self> {
        let share = app.places.stream(person, "event streams")?;
        let before = app.listeners.fetch_add(1, Ordering::Relaxed);
        let place = Self {
            app: Arc::clone(app),
            _share: share,
        };
        if before >= MOST_LISTENERS {
            return Err(
                Failure::new(ProblemCode::Unavailable, "too many clients listen to events")
                    .retry_after(Duration::from_secs(30)),
            );
        }
        app.metrics.listeners(before + 1);
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let before = self.app.listeners.fetch_sub(1, Ordering::Relaxed);
        self.app.metrics.listeners(before.saturating_sub(1));
    }
}

struct Listener {
    app: App,
    identity: Identity,
    /// When the session or token has run out.
    ends: Instant,
    live: broadcast::Receiver<Arc<Told>>,
    stop: watch::Receiver<bool>,
    /// The last event that was looked at, whether or not it was shown; `None` before the first of all.
    last: Option<u64>,
    /// Whether the store knows of more than was looked at.
    behind: bool,
    ready: VecDeque<Arc<Told>>,
    _place: Place,
}

impl Listener {
    /// The next message; `None` where the stream ends.
    async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some(told) = self.ready.pop_front() {
                if self.last.is_some_and(|last| told.entry.index <= last) {
                    continue;
                }
                self.last = Some(told.entry.index);
                if told.concerns(&self.identity.person) && !self.still_welcome().await {
                    return None;
                }
                if told.is_for(self.identity.caller) {
                    return self.message(&told);
                }
            }
            if self.behind {
                self.catch_up().await?;
            } else {
                self.wait().await?;
            }
        }
    }

    /// Waits for an event, the end of the session, or the end of the server.
    async fn wait(&mut self) -> Option<()> {
        let lifetime = self.ends.saturating_duration_since(edge::instant());
        tokio::select! {
            () = stopped(&mut self.stop) => None,
            () = edge::sleep(lifetime) => None,
            told = self.live.recv() => {
                match told {
                    Ok(told) => self.ready.push_back(told),
                    // Slower than the events come: what was missed is in the store.
                    Err(RecvError::Lagged(_)) => self.behind = true,
                    Err(RecvError::Closed) => return None,
                }
                Some(())
            }
        }
    }

    async fn catch_up(&mut self) -> Option<()> {
        let from = self.last.map_or(From::First, From::After);
        let turn = self
            .app
            .places
            .replays
            .take_within(TURN, self.identity.caller.person);
        // Where none comes, the client comes back later.
        let _turn = turn.await?;
        let read = async {
            let entries = self
                .app
                .engine
                .store()
                .events(from, EventFilter::default(), BATCH)
                .await?;
            address(&self.app.engine, entries).await
        };
        match read.await {
            Ok(told) => {
                self.behind = told.len() == BATCH;
                self.ready.extend(told);
                Some(())
            }
            Err(error) => {
                // The client comes back with the id of the last event that it got.
                tracing::warn!(%error, "a listener could not be brought up to date");
                None
            }
        }
    }

    /// Whether the session is still good after something happened to the account. Roles may have changed with it.
    async fn still_welcome(&mut self) -> bool {
        match access::identified(&self.app, self.identity.token.hash).await {
            Ok(Some(identity)) => {
                self.identity = identity;
                true
            }
            // What cannot be looked up is not welcome: the client comes back and is asked again.
            Ok(None) | Err(_) => false,
        }
    }

    fn message(&self, told: &Told) -> Option<Message> {
        let event = wire::told(&told.entry, &self.app.engine.current().directory);
        let message = Message::default().id(event.seq.to_string()).event(&event.name);
        message.json_data(&event).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_whole_log_read_to_them() {
        assert_eq!(not_too_far(5, 10_005).ok(), Some(5));
        assert!(not_too_far(5, 10_006).is_err());
        assert_eq!(not_too_far(7, 3).ok(), Some(7), "what is not there yet");
    }
}
