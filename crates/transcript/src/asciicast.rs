//! A program's terminal as a file that asciinema and others play: asciicast, version 3.
//!
//! What was shown is in it as it was shown: who plays it lets it speak to their terminal.

use serde::Serialize;

use crate::line::{What, read};

#[derive(Serialize)]
struct Head<'a> {
    version: u8,
    term: Term<'a>,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

#[derive(Serialize)]
struct Term<'a> {
    cols: u16,
    rows: u16,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
}

/// The file, of the program with this number ([`crate::Program::channel`]); nothing where the recording has no terminal of it.
pub fn asciicast<'a>(lines: impl IntoIterator<Item = &'a str>, channel: u32) -> Option<String> {
    let mut command = None;
    let mut file = String::new();
    let mut last = None;
    let mut add = |value: serde_json::Result<String>| {
        file.push_str(&value.unwrap_or_default());
        file.push('\n');
    };
    for line in lines.into_iter().filter_map(read) {
        if line.channel != channel {
            continue;
        }
        // Each event says how long after the one before it comes. A clock that was set back does not turn time round.
        let waited = last.map_or(0, |last| line.at.since(last).micros());
        let event = match line.what {
            What::Began(said) => {
                command = said;
                continue;
            }
            What::Shows(kind, (cols, rows)) => {
                if last.is_none() {
                    add(serde_json::to_string(&Head {
                        version: 3,
                        term: Term {
                            cols,
                            rows,
                            kind: kind.as_deref(),
                        },
                        timestamp: line.at.unix_seconds(),
                        command: command.as_deref(),
                    }));
                    last = Some(line.at);
                }
                continue;
            }
            What::Output(text) => ("o", text),
            What::Size((columns, rows)) => ("r", format!("{columns}x{rows}")),
            What::Ended(status) => ("x", status.map(|status| status.to_string()).unwrap_or_default()),
        };
        if last.is_none() || event == ("x", String::new()) {
            continue;
        }
        last = last.max(Some(line.at));
        // Whole microseconds: the division is exact to far more than that.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a recording is shorter than 2^52 microseconds"
        )]
        let seconds = waited as f64 / 1e6;
        add(serde_json::to_string(&(seconds, event.0, event.1)));
    }
    last.map(|_| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the gateway writes them.
    const LINES: [&str; 9] = [
        r#"{"n":1,"at":"2026-11-22T12:00:00Z","kind":"exec","channel":1,"command":"top"}"#,
        r#"{"n":2,"at":"2026-11-22T12:00:00Z","kind":"exec","channel":2,"command":"true"}"#,
        r#"{"n":3,"at":"2026-11-22T12:00:00Z","kind":"terminal","channel":1,"term":"xterm","columns":100,"rows":4000000000}"#,
        r#"{"n":4,"at":"2026-11-22T12:00:01.5Z","kind":"output","channel":1,"text":"hé\u001b[1m"}"#,
        r#"{"n":5,"at":"2026-11-22T12:00:01Z","kind":"output","channel":1,"hex":"ff41"}"#,
        r#"{"n":6,"at":"2026-11-22T12:00:02Z","kind":"resize","channel":1,"columns":80,"rows":24}"#,
        r#"{"n":7,"at":"2026-11-22T12:00:02Z","kind":"file","channel":3,"did":"open","path":"x"}"#,
        "no line at all",
        r#"{"n":8,"at":"2026-11-22T12:00:04.25Z","kind":"exit","channel":1,"status":3,"took_us":1,"up":0,"down":9}"#,
    ];

    #[test]
    fn a_terminal_is_a_file_of_asciinemas() {
        let file = asciicast(LINES, 1).unwrap();
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"version":3,"term":{"cols":100,"rows":1000,"type":"xterm"},"timestamp":1795348800,"command":"top"}"#,
                r#"[1.5,"o","hé\u001b[1m"]"#,
                r#"[0.0,"o","�A"]"#,
                r#"[0.5,"r","80x24"]"#,
                r#"[2.25,"x","3"]"#,
            ]
        );
        assert_eq!(asciicast(LINES, 2), None, "what it wrote is not recorded");
        assert_eq!(asciicast(LINES, 9), None);
        let programs = crate::programs(LINES);
        assert_eq!(
            (programs.len(), programs[0].size, programs[1].size),
            (2, Some((100, 1000)), None)
        );
    }
}
