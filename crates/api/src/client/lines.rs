//! Answers of many lines, read as they come: what happened in a session, or happens in it.

use daypass_core::id::SessionId;
use reqwest::Response;

use super::{Client, Error};
use crate::route::Route;

/// The most bytes of one line: what the server takes into a recording, with room for how it is written.
const MAX_LINE: usize = 4 << 20;

/// Lines as they come. The last one says how it ended; where it is missing, the answer was cut off on the way.
pub struct LineStream {
    response: Response,
    server: String,
    /// What came and is no whole line yet.
    rest: Vec<u8>,
    /// How much of it is known to have no end of a line.
    looked: usize,
}

impl Client {
    /// What was recorded of a session. That somebody looked stands in the log.
    ///
    /// # Errors
    /// Where the server refuses or is not reached.
    pub async fn replay_session(&self, id: SessionId) -> Result<LineStream, Error> {
        self.lines(Route::SessionRecording, id).await
    }

    /// What happens in a session from now on. That somebody looked stands in the log.
    ///
    /// # Errors
    /// Where the server refuses or is not reached.
    pub async fn watch_session(&self, id: SessionId) -> Result<LineStream, Error> {
        self.lines(Route::WatchSession, id).await
    }

    async fn lines(&self, route: Route, id: SessionId) -> Result<LineStream, Error> {
        self.admitted(route).await?;
        let call = self.http.get(self.url(route, &[&id.to_string()])?);
        Ok(LineStream::of(self.opened(call).await?, self.server()))
    }
}

impl LineStream {
    pub(super) fn of(response: Response, server: &str) -> Self {
        Self {
            response,
            server: server.to_owned(),
            rest: Vec::new(),
            looked: 0,
        }
    }

    /// The next line that says something; `None` after the last. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where the connection breaks, or what comes is too long for a line.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            match self.next_any().await? {
                Some(line) if line.is_empty() => {}
                line => return Ok(line),
            }
        }
    }

    /// The next line, also one that says only that somebody is there; `None` after the last. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_any(&mut self) -> Result<Option<String>, Error> {
        loop {
            if let Some(line) = take_line(&mut self.rest, &mut self.looked) {
                return Ok(Some(line));
            }
            if self.rest.len() > MAX_LINE {
                return Err(Error::NotDaypass {
                    server: self.server.clone(),
                    detail: String::from("a line without end"),
                });
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.rest.extend_from_slice(&chunk),
                Ok(None) => return Ok(None),
                Err(error) => {
                    return Err(Error::Unreachable {
                        server: self.server.clone(),
                        detail: super::error::chain(&error),
                    });
                }
            }
        }
    }
}

fn take_line(rest: &mut Vec<u8>, looked: &mut usize) -> Option<String> {
    let new = rest.get(*looked..).unwrap_or_default();
    let Some(at) = new.iter().position(|byte| *byte == b'\n') else {
        *looked = rest.len();
        return None;
    };
    let line: Vec<u8> = rest.drain(..=*looked + at).collect();
    *looked = 0;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Some(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let whole = "{\"n\":1}\n\nzwei ü\n{\"kind\":\"end\"}\nunfinished";
        for size in 1..=whole.len() {
            let (mut rest, mut looked, mut lines) = (Vec::new(), 0, Vec::new());
            for chunk in whole.as_bytes().chunks(size) {
                rest.extend_from_slice(chunk);
                lines.extend(std::iter::from_fn(|| take_line(&mut rest, &mut looked)));
            }
            assert_eq!(
                lines,
                ["{\"n\":1}", "", "zwei ü", "{\"kind\":\"end\"}"],
                "in pieces of {size}"
            );
            assert_eq!(rest, b"unfinished");
        }
    }
}
