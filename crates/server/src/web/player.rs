//! A program's terminal for the script that plays it: a line of JSON for each frame, drawn here, and one that says how it ended.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use daypass_api::client::{Error, LineStream};
use daypass_core::id::SessionId;
use daypass_transcript::Frames;
use serde::Serialize;
use serde_json::json;

use super::Web;
use super::failed::Failed;
use super::led::ByOurScript;
use super::paced::{Reader, paced};
use super::records::{self, shown};
use super::visit::Visit;
use crate::heavy;

/// What is said where a program drew too often.
pub(super) const SKIPPED: &str =
    "From here on it drew too often to be shown: daypass session replay --asciicast has all of it.";

/// So many bytes go together, and so many lines are read for them: in between it is seen whether anybody reads on.
const TOGETHER: usize = 64 * 1024;
const LINES: usize = 1_000;

/// A recording as it is played.
struct Playing {
    lines: LineStream,
    frames: Frames,
    is_over: bool,
}

/// See the module. It is a replay like any other, and an event.
pub(super) async fn frames(
    visit: Visit,
    _: ByOurScript,
    State(web): State<Web>,
    Path((id, channel)): Path<(SessionId, u32)>,
) -> Result<Response, Failed> {
    let share = web.app.places.screen(visit.me.person.id)?;
    let lines = visit.from.clone().scope(visit.api.replay_session(id)).await?;
    let playing = Playing {
        lines,
        frames: Frames::new(channel),
        is_over: false,
    };
    let body = paced(share, |reader| playing.play(reader));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

impl Playing {
    /// Draws all of it for whoever reads. Drawing keeps a processor.
    async fn play(mut self, reader: Reader<Bytes>) {
        while !self.is_over {
            let pieces;
            (self, pieces) = heavy::aside(async move {
                let pieces = self.pieces().await;
                (self, pieces)
            })
            .await;
            if !reader.takes(pieces).await {
                return;
            }
        }
    }

    /// The next frames; at last, how it ended.
    async fn pieces(&mut self) -> Bytes {
        let mut all = Vec::new();
        for _ in 0..LINES {
            if self.is_over || all.len() >= TOGETHER {
                break;
            }
            let line = self.lines.next().await;
            all.extend_from_slice(&self.piece(line));
        }
        all.into()
    }

    /// What a line leads to; nothing where nothing is drawn anew.
    fn piece(&mut self, line: Result<Option<String>, Error>) -> Vec<u8> {
        let Ok(Some(line)) = line else {
            return self.end("The answer was cut off on its way: look again.");
        };
        if records::number(&line).is_none() {
            let end = records::read(&line).unwrap_or_default();
            let said = match end.how.as_str() {
                "complete" => String::from("All of it, as it was recorded."),
                "cut" | "stopped" => format!("It ends here: {}", shown(&end.why)),
                _ => format!("The recording is not as it was made: {}", shown(&end.why)),
            };
            return self.end(&said);
        }
        match self.frames.line(&line) {
            Ok(Some(frame)) => piece(&frame),
            Ok(None) => Vec::new(),
            Err(_) => {
                self.is_over = true;
                piece(&json!({"end": SKIPPED}))
            }
        }
    }

    /// The last frame, and what is said of the end.
    fn end(&mut self, said: &str) -> Vec<u8> {
        self.is_over = true;
        let mut last = Vec::new();
        if let Ok(Some(frame)) = self.frames.now() {
            last.extend_from_slice(&piece(&frame));
        }
        last.extend_from_slice(&piece(&json!({"end": said})));
        last
    }
}

fn piece(what: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    line
}
