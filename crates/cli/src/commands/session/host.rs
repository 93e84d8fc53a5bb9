//! The records of SSH in words: programs with their end, what they showed, files, forwarded connections, and what was refused.

use std::collections::HashMap;

use serde::Deserialize;

use super::plain::Plain;
use super::statement::span;
use crate::line::{Line, Style};

/// What a record of SSH has, whichever it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfHost {
    channel: u32,
    error: bool,
    text: Option<String>,
    hex: Option<String>,
    columns: u32,
    rows: u32,
    term: Option<String>,
    command: Option<String>,
    subsystem: Option<String>,
    status: Option<u32>,
    asked: bool,
    signal: Option<String>,
    failed: bool,
    cut: bool,
    took_us: Option<u64>,
    up: u64,
    down: u64,
    way: String,
    did: String,
    path: String,
    to: Option<String>,
    flags: Vec<String>,
    read: u64,
    written: u64,
    what: String,
}

/// Reads the records of one session, one after another.
#[derive(Default)]
pub(super) struct Host {
    shown: HashMap<u32, Plain>,
}

impl Host {
    /// The lines of a record: what it says in words, each below `begin`. Nothing where it is of another kind.
    pub(super) fn lines(&mut self, kind: &str, begin: &Line, record: &OfHost) -> Option<Vec<Line>> {
        let one = |line: Line| Some(vec![line]);
        let begin = || begin.clone().with(Style::Faint, format!("#{}  ", record.channel));
        match kind {
            "output" => {
                let shown = self.shown.entry(record.channel).or_default();
                let lines = match (&record.text, &record.hex) {
                    (Some(text), _) => shown.lines(text),
                    (None, Some(hex)) => vec![format!("({} bytes that are no text)", hex.len() / 2)],
                    (None, None) => Vec::new(),
                };
                let style = if record.error { Style::Warn } else { Style::Plain };
                Some(lines.into_iter().map(|text| begin().with(style, text)).collect())
            }
            "terminal" => {
                let term = record.term.as_deref().unwrap_or("no terminal");
                one(begin().with(
                    Style::Faint,
                    format!("{term}, {}x{}", record.columns, record.rows),
                ))
            }
            "resize" => {
                let size = format!("{}x{} from here on", record.columns, record.rows);
                one(begin().with(Style::Faint, size))
            }
            "exec" => {
                let what = match (&record.command, &record.subsystem) {
                    (Some(command), _) => command.clone(),
                    (None, Some(subsystem)) => format!("({subsystem})"),
                    (None, None) => "(a shell)".to_owned(),
                };
                one(begin().with(Style::Strong, what))
            }
            "exit" => one(ended(begin(), record)),
            "forward" if record.way == "listen" => one(begin()
                .text("has the host listen at ")
                .text(record.to.clone().unwrap_or_default())),
            "forward" if record.way == "unlisten" => one(begin()
                .text("has the host listen no more at ")
                .text(record.to.clone().unwrap_or_default())),
            "forward" => one(begin()
                .text(format!("forwards {} to ", record.way))
                .text(record.to.clone().unwrap_or_default())),
            "closed" => one(ended(begin(), record)),
            "file" => one(file(begin(), record)),
            "refused" => one(begin().with(Style::Warn, format!("refused: {}", record.what))),
            _ => None,
        }
    }
}

/// How a program or a forwarded connection ended.
fn ended(line: Line, record: &OfHost) -> Line {
    let line = match (&record.signal, record.status) {
        _ if record.failed => line.with(Style::Warn, "was not begun by the target"),
        _ if record.cut => line.with(Style::Warn, "cut: the session ended before it did"),
        (Some(signal), _) => line.with(Style::Warn, format!("ended by {signal}")),
        (None, Some(0)) => line.with(Style::Faint, "ended"),
        (None, Some(status)) => line.with(Style::Warn, format!("ended with {status}")),
        (None, None) => line.with(Style::Faint, "closed"),
    };
    let took = record
        .took_us
        .map_or_else(String::new, |took| format!(" after {}", span(took)));
    line.with(
        Style::Faint,
        format!("{took}, {} up, {} down", bytes(record.up), bytes(record.down)),
    )
}

fn file(line: Line, record: &OfHost) -> Line {
    let mut line = line.text(format!("{} ", record.did)).text(record.path.clone());
    if let Some(to) = &record.to {
        line = line.text(format!(" -> {to}"));
    }
    if !record.flags.is_empty() {
        line = line.with(Style::Faint, format!("  ({})", record.flags.join(", ")));
    }
    if record.read > 0 || record.written > 0 {
        let moved = format!("  {} read, {} written", bytes(record.read), bytes(record.written));
        line = line.with(Style::Faint, moved);
    }
    match record.status {
        Some(status) if status != 0 => line.with(Style::Warn, format!("  failed ({status})")),
        None if record.asked => line.with(Style::Faint, "  asked for, not answered yet"),
        _ => line,
    }
}

fn bytes(count: u64) -> String {
    match count {
        ..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} kB", count / 1_000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(host: &mut Host, json: &str) -> Vec<String> {
        let kind: serde_json::Value = serde_json::from_str(json).unwrap();
        let record: OfHost = serde_json::from_str(json).unwrap();
        let lines = host.lines(kind["kind"].as_str().unwrap(), &Line::new(), &record);
        let lines = lines.unwrap_or_else(|| panic!("{json}"));
        lines.iter().map(|line| line.render(false)).collect()
    }

    #[test]
    fn what_was_done_at_a_host_is_told_in_words() {
        let mut host = Host::default();
        for (json, told) in [
            (r#"{"kind":"exec","channel":1,"command":"uptime"}"#, "#1  uptime"),
            (r#"{"kind":"exec","channel":1}"#, "#1  (a shell)"),
            (
                r#"{"kind":"terminal","channel":1,"term":"xterm","columns":80,"rows":24}"#,
                "#1  xterm, 80x24",
            ),
            (
                r#"{"kind":"exit","channel":1,"status":3,"took_us":1500,"up":7,"down":20000}"#,
                "#1  ended with 3 after 1 ms, 7 B up, 20 kB down",
            ),
            (
                r#"{"kind":"exit","channel":1,"cut":true,"took_us":5,"up":0,"down":0}"#,
                "#1  cut: the session ended before it did after 5 µs, 0 B up, 0 B down",
            ),
            (
                r#"{"kind":"file","channel":2,"did":"close","path":"/a","read":0,"written":12000,"status":0}"#,
                "#2  close /a  0 B read, 12 kB written",
            ),
            (
                r#"{"kind":"file","channel":2,"did":"rename","path":"/a","to":"/b","read":0,"written":0,"status":4}"#,
                "#2  rename /a -> /b  failed (4)",
            ),
            (
                r#"{"kind":"forward","channel":3,"way":"local","to":"db:5432"}"#,
                "#3  forwards local to db:5432",
            ),
            (
                r#"{"kind":"refused","what":"the request x11-req"}"#,
                "#0  refused: the request x11-req",
            ),
        ] {
            assert_eq!(shown(&mut host, json), [told], "{json}");
        }
    }

    #[test]
    fn what_a_terminal_showed_is_text_also_in_pieces() {
        let mut host = Host::default();
        let first = r#"{"kind":"output","channel":1,"text":"\u001b[1mone\r\ntw"}"#;
        assert_eq!(shown(&mut host, first), ["#1  one", "#1  tw"]);
        let other = r#"{"kind":"output","channel":2,"text":"x\u001b]0;"}"#;
        assert_eq!(shown(&mut host, other), ["#2  x"]);
        let rest = r#"{"kind":"output","channel":2,"text":"title\u0007y"}"#;
        assert_eq!(shown(&mut host, rest), ["#2  y"]);
        let hex = r#"{"kind":"output","channel":2,"hex":"fffe"}"#;
        assert_eq!(shown(&mut host, hex), ["#2  (2 bytes that are no text)"]);
        assert!(
            host.lines("statement", &Line::new(), &OfHost::default())
                .is_none()
        );
    }
}
