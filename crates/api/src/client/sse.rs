//! The live stream: a reader of server-sent events.
//!
//! Source: HTML Living Standard, section 9.2, server-sent events. Of it only what the server sends is kept: `id`, `data`.

use reqwest::Response;

use super::{Client, Error, Failed};
use crate::event::Event;
use crate::route::Route;

/// The most bytes of one message. An event is far below.
const MAX_MESSAGE: usize = 256 * 1024;

/// Events as they happen. It ends when the server closes the connection; whoever goes on asks again from the last one.
pub struct EventStream {
    response: Response,
    server: String,
    decoder: Decoder,
    ready: std::collections::VecDeque<String>,
}

impl Client {
    /// Events from now on, or all after the one with this number.
    ///
    /// # Errors
    /// Where the server refuses or is not reached. It is not retried: the caller decides how.
    pub async fn events(&self, after: Option<u64>) -> Result<EventStream, Error> {
        self.admitted(Route::Events).await?;
        let call = self.http.get(self.url(Route::Events, &[])?);
        let call = match after {
            Some(seq) => call.header("last-event-id", seq.to_string()),
            None => call,
        };
        let response = self.opened(call).await?;
        let (server, decoder) = (self.server().to_owned(), Decoder::default());
        Ok(EventStream {
            response,
            server,
            decoder,
            ready: std::collections::VecDeque::new(),
        })
    }

    /// An answer that is read as it comes, or the server's problem.
    pub(super) async fn opened(&self, call: reqwest::RequestBuilder) -> Result<Response, Error> {
        let response = self.dispatch(call).await.map_err(|failed| failed.error)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await.map_err(|failed: Failed| failed.error)?;
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => Error::Problem(Box::new(problem)),
            Err(_) => self.not_daypass(format!("HTTP {status}")),
        })
    }
}

impl EventStream {
    /// The next event; `None` once the server has closed the stream. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where the connection breaks, or what comes is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return serde_json::from_str(&data)
                    .map(Some)
                    .map_err(|error| self.broken(&error.to_string()));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => match self.decoder.push(&chunk) {
                    Ok(messages) => self.ready.extend(messages),
                    Err(TooLong) => return Err(self.broken("a message without end")),
                },
                Ok(None) => return Ok(None),
                Err(error) => {
                    let detail = super::error::chain(&error);
                    return Err(Error::Unreachable {
                        server: self.server.clone(),
                        detail,
                    });
                }
            }
        }
    }

    fn broken(&self, detail: &str) -> Error {
        Error::NotDaypass {
            server: self.server.clone(),
            detail: detail.to_owned(),
        }
    }
}

/// A message that is longer than any that a server sends.
#[derive(Debug, PartialEq, Eq)]
struct TooLong;

/// From bytes, however they are cut, to the data of each message.
#[derive(Default)]
struct Decoder {
    line: Vec<u8>,
    after_cr: bool,
    data: Option<String>,
}

impl Decoder {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut messages = Vec::new();
        for byte in bytes {
            // A line ends with CR, LF or both.
            let ends = match byte {
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    continue;
                }
                b'\r' | b'\n' => true,
                _ => false,
            };
            self.after_cr = *byte == b'\r';
            if ends {
                messages.extend(self.end_line());
            } else {
                self.line.push(*byte);
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > MAX_MESSAGE {
                return Err(TooLong);
            }
        }
        Ok(messages)
    }

    /// Takes the line in; gives the message that an empty line completes.
    fn end_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if line.is_empty() {
            return self.data.take();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &str, expect: &[&str]) {
        for size in 1..=stream.len() {
            let mut decoder = Decoder::default();
            let mut messages = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                messages.extend(decoder.push(chunk).unwrap());
            }
            assert_eq!(messages, expect, "in pieces of {size}");
        }
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut() {
        check(
            "id: 7\nevent: x\ndata: {\"a\":1}\n\n: keep-alive\n\ndata: b\n\n",
            &["{\"a\":1}", "b"],
        );
        check(
            "data: a\r\ndata:b\r\n\r\ndata: c\r\rdata: unfinished",
            &["a\nb", "c"],
        );
        check(": only comments\n\n\n", &[]);
    }

    #[test]
    fn a_message_without_end_is_given_up() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(&vec![b'x'; MAX_MESSAGE + 1]), Err(TooLong));
        let mut decoder = Decoder::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        assert!((0..1000).any(|_| decoder.push(&line) == Err(TooLong)));
    }
}
