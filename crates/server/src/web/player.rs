//! A program's terminal for the script that plays it: a line of JSON for each frame, drawn here, and one that says how it ended.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use daypass_api::client::LineStream;
use daypass_core::id::SessionId;
use daypass_transcript::Frames;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;

use super::failed::Failed;
use super::records::{self, shown};
use super::visit::Visit;

/// What is said where a program drew too often.
pub(super) const SKIPPED: &str =
    "From here on it drew too often to be shown: daypass session replay --asciicast has all of it.";

/// A recording as it is played.
struct Playing {
    lines: LineStream,
    frames: Frames,
    is_over: bool,
}

/// See the module. It is a replay like any other, and an event.
pub(super) async fn frames(
    visit: Visit,
    Path((id, channel)): Path<(SessionId, u32)>,
) -> Result<Response, Failed> {
    let lines = visit.from.clone().scope(visit.api.replay_session(id)).await?;
    let playing = Playing {
        lines,
        frames: Frames::new(channel),
        is_over: false,
    };
    let body = stream::unfold(playing, async |mut playing| {
        let piece = playing.piece().await?;
        Some((Ok::<_, Infallible>(piece), playing))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

impl Playing {
    /// The next frame; at last, how it ended.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        loop {
            let Ok(Some(line)) = self.lines.next().await else {
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
                Ok(Some(frame)) => return Some(piece(&frame)),
                Ok(None) => {}
                Err(_) => {
                    self.is_over = true;
                    return Some(piece(&json!({"end": SKIPPED})));
                }
            }
        }
    }

    /// The last frame, and what is said of the end.
    fn end(&mut self, said: &str) -> Option<Bytes> {
        self.is_over = true;
        let mut last = Vec::new();
        if let Ok(Some(frame)) = self.frames.now() {
            last.extend_from_slice(&piece(&frame));
        }
        last.extend_from_slice(&piece(&json!({"end": said})));
        Some(last.into())
    }
}

fn piece(what: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
