//! The HTTP API as the wire has it, without Daypass's own client: calls, and the stream of events.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use daypass_server::edge;
use serde_json::Value;

use crate::running::PATIENCE;

/// How long anything is waited for that events tell: more than the minute for which a call under way may still take effect.
const LONGEST: Duration = Duration::from_secs(100);

/// Somebody's way to the API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// `127.0.0.1:PORT`.
    pub(crate) addr: String,
    /// Their session.
    pub(crate) token: Option<String>,
    /// Further header lines.
    pub(crate) headers: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON, of an answer that must have this status.
    #[track_caller]
    pub(crate) fn of(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// The stable type of a problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        let kind = self.json()["type"].as_str().map(str::to_owned);
        kind.unwrap_or_else(|| panic!("a problem was expected: {self:?}"))
    }
}

impl Api {
    /// Reads something.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "")
    }

    /// Does something.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[], &body.to_string())
    }

    /// Replaces something.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, &[], &body.to_string())
    }

    /// Does something under an idempotency key.
    #[track_caller]
    pub(crate) fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        let key = format!("idempotency-key: {key}");
        self.call("POST", path, &[key.as_str()], &body.to_string())
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, more: &[&str], body: &str) -> Answer {
        let mut stream = self.send(method, path, more, body);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let lower = head.to_ascii_lowercase();
        assert!(!lower.contains("transfer-encoding"), "{head}");
        Answer {
            status: status.expect("a status"),
            head: lower,
            body: body.to_owned(),
        }
    }

    #[track_caller]
    fn send(&self, method: &str, path: &str, more: &[&str], body: &str) -> TcpStream {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.addr
        );
        if let Some(token) = &self.token {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        for line in self
            .headers
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
        {
            head.push_str(&format!("{line}\r\n"));
        }
        if method != "GET" {
            let length = body.len();
            head.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {length}\r\n"
            ));
        }
        let mut stream = TcpStream::connect(&self.addr).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .expect("the server reads");
        stream
    }

    /// The stream of events from now on.
    #[track_caller]
    pub(crate) fn events(&self) -> Events {
        let mut reader =
            BufReader::new(self.send("GET", "/api/v1/events", &["accept: text/event-stream"], ""));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Events {
            reader,
            chunked: head.to_ascii_lowercase().contains("transfer-encoding: chunked"),
            pending: String::new(),
            since: edge::instant(),
        }
    }
}

/// A stream of events.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    chunked: bool,
    pending: String,
    since: Instant,
}

impl Events {
    /// The next event.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        loop {
            while let Some((line, rest)) = self.pending.split_once('\n') {
                let data = line.trim_end().strip_prefix("data:").map(str::to_owned);
                self.pending = rest.to_owned();
                if let Some(data) = data {
                    return serde_json::from_str(&data).expect("an event is JSON");
                }
            }
            self.more();
        }
    }

    #[track_caller]
    fn more(&mut self) {
        // The stream says now and then that it is alive, so silence alone does not end the waiting.
        assert!(
            self.since.elapsed() < LONGEST,
            "what was waited for did not happen within {LONGEST:?}"
        );
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).expect("an event in time");
        assert!(read > 0, "the stream of events ended");
        if !self.chunked {
            self.pending.push_str(&line);
            return;
        }
        let length = usize::from_str_radix(line.trim(), 16).expect("the length of a chunk");
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).expect("a whole chunk");
        chunk.truncate(length);
        self.pending
            .push_str(std::str::from_utf8(&chunk).expect("events are UTF-8"));
    }
}
