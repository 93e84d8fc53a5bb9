//! The records of SSH in words: programs with their end, what they showed, files, forwarded connections, and what was refused.
//!
//! Who replays a session looks here and not at the lines as they are stored: **each word of a record is shown**, and what is not is counted.

use std::collections::BTreeMap;

use crate::plain::{LeftOut, Plain};
use serde::Deserialize;

use super::statement::span;
use super::{Said, Tone};

/// So many characters in strings that are not shown are told at once, and not only where the program ends.
const MUCH: u64 = 4_096;

/// What a record of SSH has, whichever it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OfHost {
    channel: u32,
    error: bool,
    text: Option<String>,
    text_missing: Option<Missing>,
    hex: Option<String>,
    columns: u32,
    rows: u32,
    term: Option<String>,
    command: Option<String>,
    subsystem: Option<String>,
    env: BTreeMap<String, String>,
    status: Option<u32>,
    asked: bool,
    signal: Option<String>,
    failed: bool,
    cut: bool,
    untold: bool,
    took_us: Option<u64>,
    up: u64,
    down: u64,
    way: String,
    did: String,
    path: String,
    to: Option<String>,
    flags: Vec<String>,
    size: Option<u64>,
    mode: Option<String>,
    owner: Option<[u32; 2]>,
    read: u64,
    written: u64,
    what: String,
}

/// What of a text was too long to be recorded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Missing {
    bytes: u64,
    sha256: String,
}

/// Reads the records of one session, one after another.
#[derive(Debug, Default)]
pub(super) struct Host {
    shown: BTreeMap<u32, Plain>,
}

impl Host {
    /// The lines of a record: what it says in words, each below `begin`. One that is not understood is shown as it is stored.
    pub(super) fn lines(&mut self, kind: &str, begin: &Said, line: &str) -> Vec<Said> {
        let told = serde_json::from_str(line).ok();
        let told = told.and_then(|record| self.told(kind, begin, &record));
        told.unwrap_or_else(|| vec![begin.clone().text(line)])
    }

    /// What was not shown of programs that have not ended.
    pub(super) fn left_out(&mut self, begin: &Said) -> Vec<Said> {
        let open = std::mem::take(&mut self.shown).into_iter();
        open.filter_map(|(channel, mut shown)| Some(left_out(of(begin, channel), &shown.left_out()?)))
            .collect()
    }

    fn told(&mut self, kind: &str, begin: &Said, record: &OfHost) -> Option<Vec<Said>> {
        let begin = of(begin, record.channel);
        let line = match kind {
            "output" => return Some(self.output(&begin, record)),
            "exit" => {
                let shown = self.shown.remove(&record.channel);
                let left = shown.and_then(|mut shown| shown.left_out());
                let left = left.map(|left| left_out(begin.clone(), &left));
                return Some(left.into_iter().chain([ended(begin, record)]).collect());
            }
            "terminal" => {
                let term = record
                    .term
                    .as_deref()
                    .unwrap_or("no terminal, its output is recorded");
                let size = match (record.columns, record.rows) {
                    (0, 0) => String::new(),
                    (columns, rows) => format!(", {columns}x{rows}"),
                };
                begin.with(Tone::Faint, format!("{term}{size}"))
            }
            "resize" => {
                let size = format!("{}x{} from here on", record.columns, record.rows);
                begin.with(Tone::Faint, size)
            }
            "exec" => program(begin, record),
            "forward" if record.way == "listen" => begin
                .text("has the host listen at ")
                .text(record.to.clone().unwrap_or_default()),
            "forward" if record.way == "unlisten" => begin
                .text("has the host listen no more at ")
                .text(record.to.clone().unwrap_or_default()),
            "forward" => begin
                .text(format!("forwards {} to ", record.way))
                .text(record.to.clone().unwrap_or_default()),
            "closed" => ended(begin, record),
            "file" => file(begin, record),
            "refused" => begin.with(Tone::Warn, format!("refused: {}", record.what)),
            _ => return None,
        };
        Some(vec![missing(line, record)])
    }

    fn output(&mut self, begin: &Said, record: &OfHost) -> Vec<Said> {
        let shown = self.shown.entry(record.channel).or_default();
        let mut lines = record
            .text
            .as_deref()
            .map_or_else(Vec::new, |text| shown.lines(text));
        if let Some(hex) = &record.hex {
            lines.push(format!(
                "(not all of these {} bytes are text: -o json)",
                hex.len() / 2
            ));
        }
        let told = |text: String| match record.error {
            true => begin.clone().with(Tone::Warn, format!("stderr: {text}")),
            false => begin.clone().text(text),
        };
        let mut lines: Vec<Said> = lines.into_iter().map(told).collect();
        if let Some(left) = shown.left_out_much(MUCH) {
            lines.push(left_out(begin.clone(), &left));
        }
        if record.text_missing.is_some() {
            lines.push(missing(begin.clone(), record));
        }
        lines
    }
}

/// Of which program it is.
fn of(begin: &Said, channel: u32) -> Said {
    begin.clone().with(Tone::Faint, format!("#{channel}  "))
}

fn left_out(line: Said, left_out: &LeftOut) -> Said {
    let style = match left_out.characters {
        0 => Tone::Faint,
        _ => Tone::Warn,
    };
    line.with(style, format!("not shown: {left_out} (-o json has all)"))
}

/// What of a text is not in the record.
fn missing(line: Said, record: &OfHost) -> Said {
    let Some(Missing { bytes, sha256 }) = &record.text_missing else {
        return line;
    };
    line.with(
        Tone::Warn,
        format!(" … and {bytes} bytes that are not recorded (SHA-256 of all: {sha256})"),
    )
}

/// What begins, and what it was told of its surroundings.
fn program(line: Said, record: &OfHost) -> Said {
    let what = match (&record.command, &record.subsystem) {
        (Some(command), _) => command.clone(),
        (None, Some(subsystem)) => format!("({subsystem})"),
        (None, None) => "(a shell)".to_owned(),
    };
    let line = line.with(Tone::Strong, what);
    if record.env.is_empty() {
        return line;
    }
    let env = record.env.iter().map(|(name, value)| format!("{name}={value}"));
    let env: Vec<String> = env.collect();
    line.with(Tone::Faint, format!("  with {}", env.join(" ")))
}

/// How a program or a forwarded connection ended.
fn ended(line: Said, record: &OfHost) -> Said {
    let line = match (&record.signal, record.status) {
        _ if record.failed => line.with(Tone::Warn, "was not begun by the target"),
        _ if record.cut => line.with(Tone::Warn, "cut: the session ended before it did"),
        (Some(signal), _) => line.with(Tone::Warn, format!("ended by {signal}")),
        _ if record.untold => line.with(Tone::Warn, "closed before anybody said how it ended"),
        (None, Some(0)) => line.with(Tone::Faint, "ended"),
        (None, Some(status)) => line.with(Tone::Warn, format!("ended with {status}")),
        (None, None) => line.with(Tone::Faint, "closed"),
    };
    let took = record
        .took_us
        .map_or_else(String::new, |took| format!(" after {}", span(took)));
    line.with(
        Tone::Faint,
        format!("{took}, {} up, {} down", bytes(record.up), bytes(record.down)),
    )
}

fn file(line: Said, record: &OfHost) -> Said {
    let mut line = line.text(format!("{} ", record.did)).text(record.path.clone());
    if let Some(to) = &record.to {
        line = line.text(format!(" -> {to}"));
    }
    if !record.flags.is_empty() {
        line = line.with(Tone::Faint, format!("  ({})", record.flags.join(", ")));
    }
    let set = [
        record.mode.as_ref().map(|mode| format!("mode {mode}")),
        record.owner.map(|[user, group]| format!("owner {user}:{group}")),
        record.size.map(|size| format!("size {size}")),
    ];
    let set: Vec<String> = set.into_iter().flatten().collect();
    if !set.is_empty() {
        line = line.text(format!("  sets {}", set.join(", ")));
    }
    if record.read > 0 || record.written > 0 {
        let moved = format!("  {} read, {} written", bytes(record.read), bytes(record.written));
        line = line.with(Tone::Faint, moved);
    }
    match record.status {
        Some(0) => line,
        Some(status) => line.with(Tone::Warn, format!("  failed ({status})")),
        None if record.asked => line.with(Tone::Faint, "  asked for, not answered yet"),
        None => line.with(Tone::Warn, "  not answered"),
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
        let lines = host.lines(kind["kind"].as_str().unwrap(), &Said::default(), json);
        lines.iter().map(ToString::to_string).collect()
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
                r#"{"kind":"file","channel":2,"did":"setstat","path":"/a","mode":"4755","owner":[0,33],"size":0,"status":0}"#,
                "#2  setstat /a  sets mode 4755, owner 0:33, size 0",
            ),
            (
                r#"{"kind":"file","channel":2,"did":"remove","path":"/a"}"#,
                "#2  remove /a  not answered",
            ),
            (
                r#"{"kind":"exec","channel":4,"command":"id","env":{"LC_ALL":"C","LD_X":"y"},"text_missing":{"bytes":7,"sha256":"ab"}}"#,
                "#4  id  with LC_ALL=C LD_X=y … and 7 bytes that are not recorded (SHA-256 of all: ab)",
            ),
            (
                r#"{"kind":"terminal","channel":4,"columns":0,"rows":0}"#,
                "#4  no terminal, its output is recorded",
            ),
            (
                r#"{"kind":"output","channel":4,"error":true,"text":"oh"}"#,
                "#4  stderr: oh",
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
        assert_eq!(
            shown(&mut host, hex),
            ["#2  (not all of these 2 bytes are text: -o json)"]
        );
        let other = r#"{"kind":"other","channel":2,"new":"word"}"#;
        assert_eq!(shown(&mut host, other), [other], "as it is");
    }

    #[test]
    fn what_is_not_shown_is_told() {
        let mut host = Host::default();
        let much = format!(
            r#"{{"kind":"output","channel":1,"text":"a\u001b]0;{}\u0007b"}}"#,
            "x".repeat(4_094)
        );
        assert_eq!(
            shown(&mut host, &much),
            [
                "#1  ab",
                "#1  not shown: 4096 characters in 1 string for the terminal itself (-o json has all)"
            ]
        );
        // Less of it where the program ends, or the recording.
        for channel in 1..=2 {
            let some = format!(r#"{{"kind":"output","channel":{channel},"text":"\u001b]2\u001b[1mx"}}"#);
            assert_eq!(shown(&mut host, &some).len(), 1);
        }
        let left = "1 character in 1 string for the terminal itself, 1 control sequence (-o json has all)";
        let end = r#"{"kind":"exit","channel":1,"status":0,"took_us":1,"up":0,"down":0}"#;
        assert_eq!(shown(&mut host, end)[0], format!("#1  not shown: {left}"));
        let rest = host.left_out(&Said::default());
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].to_string(), format!("#2  not shown: {left}"));
        assert!(host.left_out(&Said::default()).is_empty());
    }

    /// The gateway's test holds these lines against its events: a field that is added there has to be in them.
    #[test]
    fn each_word_of_each_record_is_shown() {
        let lines = include_str!("../../../gateway/src/ssh/events.jsonl");
        for line in lines.lines() {
            let all = shown(&mut Host::default(), line);
            assert_ne!(all, [line], "it is told in words");
            let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            // The number is for who looks for what is missing, the time stands before.
            for word in record
                .keys()
                .filter(|word| !["n", "at", "kind"].contains(&word.as_str()))
            {
                let mut without = record.clone();
                without.remove(word);
                let without = serde_json::to_string(&without).unwrap();
                assert_ne!(shown(&mut Host::default(), &without), all, "{word} of {line}");
            }
        }
    }
}
