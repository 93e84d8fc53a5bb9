//! A session while it goes on: its records as rows and its terminals as they stand, as long as whoever looks may look.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::client::LineStream;
use daypass_core::id::SessionId;
use daypass_transcript::told::Teller;
use daypass_transcript::{Change, Screens};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;

use super::Web;
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::led::{ByOurScript, OnPurpose};
use super::measure::Measure;
use super::paced::{Reader, paced};
use super::player::SKIPPED;
use super::records::{self, Row, Rows, shown};
use super::session::{Head, Here};
use super::visit::Visit;
use crate::{edge, heavy};

/// So many of the records before are shown, so that one knows where one is.
const BEFORE: usize = 30;

/// What a terminal shows is told so often at most.
const EACH: Duration = Duration::from_millis(200);

/// So often a line is sent where nothing happens, so that whoever is in between keeps the connection.
const ALIVE: Duration = Duration::from_secs(15);

#[derive(Template)]
#[template(path = "watch.html")]
struct Page {
    frame: Frame,
    one: Head,
}

/// See the module.
pub(super) async fn page(
    visit: Visit,
    _: OnPurpose,
    Path(id): Path<SessionId>,
) -> Result<Html<String>, Failed> {
    let asking = async {
        let session = visit.api.session(&id.to_string()).await?;
        let title = format!("Session {}", session.id.short());
        Ok::<_, Failed>((session, visit.frame(Tab::Sessions, &title).await?))
    };
    let (session, frame) = visit.from.clone().scope(asking).await?;
    let one = Head::of(&session, Here::Watch, edge::now());
    Ok(Html(Page { frame, one }.render()?))
}

/// What goes to the browser.
struct Watching {
    lines: LineStream,
    teller: Teller,
    screens: Screens,
    ready: VecDeque<Event>,
    /// The last record that was told.
    seen: u64,
    is_over: bool,
}

/// What happens, as it happens. Its first event is in the log before anything is shown.
pub(super) async fn stream(
    visit: Result<Visit, Response>,
    _: ByOurScript,
    State(web): State<Web>,
    Path(id): Path<SessionId>,
) -> Result<Response, Failed> {
    // This answer tells a browser not to ask again (HTML, 9.2.3).
    let Ok(visit) = visit else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let share = web.app.places.screen(visit.me.person.id)?;
    // What happens from now on is asked for first: what was before can be read afterwards, and nothing is lost in between.
    let lines = match visit.from.clone().scope(visit.api.watch_session(id)).await {
        Ok(lines) => lines,
        // Who may see the session, and not into it, sees why. An answer that fails would only be asked for again.
        Err(error) => {
            let end = stream::iter([Ok::<_, Infallible>(ended(&Failed::from(error).what))]);
            return Ok(Sse::new(end).into_response());
        }
    };
    let watching = Watching {
        lines,
        teller: Teller::default(),
        screens: Screens::new(u64::try_from(EACH.as_millis()).unwrap_or_default()),
        ready: VecDeque::new(),
        seen: 0,
        is_over: false,
    };
    let stored = visit.from.clone().scope(visit.api.replay_session(id)).await;
    let told = paced(share, |reader| watching.show(stored.ok(), reader));
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(told).keep_alive(alive).into_response())
}

impl Watching {
    /// Tells all of it to whoever reads.
    async fn show(mut self, stored: Option<LineStream>, reader: Reader<Event>) {
        if let Some(stored) = stored {
            // However much that is: it keeps a processor.
            self = heavy::aside(async move {
                self.catch_up(stored).await;
                self
            })
            .await;
        }
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = reader.gone() => return,
            };
            let Some(event) = event else { return };
            if !reader.takes(event).await {
                return;
            }
        }
    }

    /// What is stored already: the last records, and terminals as they stand.
    async fn catch_up(&mut self, mut stored: LineStream) {
        let mut last = VecDeque::new();
        let mut measure = Measure::begin();
        while let Ok(Some(line)) = stored.next().await {
            let Some(number) = records::number(&line) else {
                break;
            };
            // What is not read is told as a gap before what happens next.
            if !measure.bears(&line) {
                break;
            }
            self.seen = number;
            let (is_drawn, _) = self.screens.line(&line);
            if let Some(row) = self.row(is_drawn, &line) {
                last.push_back(row);
            }
            if last.len() > BEFORE {
                last.pop_front();
            }
        }
        self.rows(last.make_contiguous());
        let whole = self.screens.whole();
        self.changes(whole);
    }

    /// The next event; nothing after the one that says how it ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            // Dropping the wait loses nothing of the answer.
            let line = if self.screens.is_waiting() {
                edge::within(EACH, self.lines.next()).await
            } else {
                Ok(self.lines.next().await)
            };
            match line {
                Ok(Ok(Some(line))) => self.line(&line),
                Ok(_) => self.end("The answer was cut off on its way."),
                Err(_) => {
                    let changes = self.screens.now();
                    self.changes(changes);
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        let Some(number) = records::number(line) else {
            let end = records::read(line).unwrap_or_default();
            let changes = self.screens.now();
            self.changes(changes);
            return self.end(&shown(&end.why));
        };
        // It was read from what is stored already.
        if number <= self.seen {
            return;
        }
        if self.seen > 0 && number > self.seen + 1 {
            let gap = json!({"records": number - self.seen - 1});
            self.ready.extend(event("gap", &gap));
        }
        self.seen = number;
        let (is_drawn, changes) = self.screens.line(line);
        if let Some(row) = self.row(is_drawn, line) {
            self.rows(&[row]);
        }
        self.changes(changes);
    }

    /// A record as a row, unless it is drawn.
    fn row(&mut self, is_drawn: bool, line: &str) -> Option<Row> {
        if is_drawn {
            return None;
        }
        let told = records::told(&mut self.teller, line)?;
        (!told.what.is_empty()).then(|| Row::of(told))
    }

    fn rows(&mut self, rows: &[Row]) {
        let html = Rows { rows }.render().unwrap_or_default();
        if !rows.is_empty() {
            self.ready.extend(event("records", &html));
        }
    }

    fn changes(&mut self, changes: Vec<(u32, Change)>) {
        for (program, change) in changes {
            let told = match change {
                Change::Frame(frame) => event("frame", &json!({"program": program, "frame": frame})),
                Change::Ended => event("program", &json!({"program": program, "said": "It has ended."})),
                Change::Skipped => event("program", &json!({"program": program, "said": SKIPPED})),
            };
            self.ready.extend(told);
        }
    }

    fn end(&mut self, said: &str) {
        self.is_over = true;
        self.ready.push_back(ended(said));
    }
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}

fn ended(said: &str) -> Event {
    event("end", &said).unwrap_or_default()
}
