//! What somebody read in a terminal: the lines as they stood there, and not the bytes that made them; searched for words.

use std::collections::{HashMap, HashSet};

use avt::observer::Transcript;
use avt::{ScreenKind, Terminal};
use daypass_core::time::{Span, Timestamp};

use crate::line::{Line, What, read};

/// The other screen is looked at so often, of the time of the recording: what stood there for less nobody has read.
const LOOK: Span = Span::millis(100);

/// So many different lines of it are remembered as said; then they are said again.
const SEEN: usize = 10_000;

/// A line in which something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program's number.
    pub channel: u32,
    /// When the line was there, at the latest.
    pub at: Timestamp,
    /// The line; or the command, where that has it.
    pub text: String,
}

/// A terminal, as it is filled.
struct Shown {
    terminal: Terminal,
    transcript: Transcript,
    /// Lines of the other screen, in which editors and pagers show: as they stood there.
    seen: HashSet<String>,
    at: Timestamp,
    /// When the other screen was looked at last, and whether something was shown there since.
    looked: Option<Timestamp>,
    is_new: bool,
}

impl Shown {
    fn new((columns, rows): (u16, u16), at: Timestamp) -> Option<Self> {
        Some(Self {
            terminal: Terminal::new(usize::from(columns), usize::from(rows)).ok()?,
            transcript: Transcript::new(),
            seen: HashSet::new(),
            at,
            looked: None,
            is_new: false,
        })
    }

    /// The lines that are through.
    fn feed(&mut self, text: &str, at: Timestamp) -> Vec<String> {
        self.at = at;
        let lines = self.terminal.feed_with(text, &mut self.transcript);
        self.is_new = self.terminal.active_screen_kind() == ScreenKind::Alternate;
        if !self.is_new {
            self.seen.clear();
        }
        lines
    }

    /// The lines of the other screen that are new there, as it stood until this time. A screen may be large, and what is shown comes in
    /// thousands of pieces: not after each of them.
    fn other_screen(&mut self, until: Timestamp) -> Vec<String> {
        if !self.is_new || self.looked.is_some_and(|looked| until.since(looked) < LOOK) {
            return Vec::new();
        }
        (self.looked, self.is_new) = (Some(until), false);
        if self.seen.len() > SEEN {
            self.seen.clear();
        }
        let screen = self.terminal.screen();
        let lines = screen
            .visible_lines()
            .map(|line| line.text().trim_end().to_owned());
        lines
            .filter(|line| !line.is_empty() && self.seen.insert(line.clone()))
            .collect()
    }

    fn finish(mut self) -> Vec<String> {
        self.looked = None;
        let mut lines = self.other_screen(self.at);
        lines.extend(self.transcript.finish(&self.terminal));
        lines
    }
}

/// Goes through all terminals of a recording: gives each line with the number of its program and when it was there. Of what was not shown,
/// the commands, it gives those that are wanted.
fn read_all<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    wants_commands: bool,
    mut give: impl FnMut(u32, Timestamp, String),
) {
    let mut open: HashMap<u32, Shown> = HashMap::new();
    for Line { at, channel, what } in lines.into_iter().filter_map(read) {
        match what {
            What::Began(command) => {
                if let Some(command) = command.filter(|_| wants_commands) {
                    give(channel, at, command);
                }
            }
            What::Shows(_, size) => {
                if let Some(shown) = Shown::new(size, at) {
                    open.insert(channel, shown);
                }
            }
            What::Size((columns, rows)) => {
                if let Some(shown) = open.get_mut(&channel) {
                    let Shown {
                        terminal, transcript, ..
                    } = shown;
                    let lines = terminal.resize_with(usize::from(columns), usize::from(rows), transcript);
                    lines.into_iter().for_each(|line| give(channel, at, line));
                }
            }
            What::Output(text) => {
                if let Some(shown) = open.get_mut(&channel) {
                    let stood = shown.at;
                    let lines = shown.other_screen(at);
                    lines.into_iter().for_each(|line| give(channel, stood, line));
                    let lines = shown.feed(&text, at);
                    lines.into_iter().for_each(|line| give(channel, at, line));
                }
            }
            What::Ended(_) => {
                if let Some(shown) = open.remove(&channel) {
                    let lines = shown.finish();
                    lines.into_iter().for_each(|line| give(channel, at, line));
                }
            }
        }
    }
    // Those that were still open where the recording ends.
    let mut rest: Vec<_> = open.into_iter().collect();
    rest.sort_by_key(|(channel, _)| *channel);
    for (channel, shown) in rest {
        let at = shown.at;
        let lines = shown.finish();
        lines.into_iter().for_each(|line| give(channel, at, line));
    }
}

/// The lines that a program's terminal showed, as they stood there.
pub fn transcript<'a>(lines: impl IntoIterator<Item = &'a str>, channel: u32) -> Vec<Found> {
    let mut all = Vec::new();
    read_all(lines, false, |of, at, text| {
        if of == channel {
            all.push(Found { channel, at, text });
        }
    });
    all
}

/// The lines that have these words, small letters or large, and the commands.
pub fn search<'a>(lines: impl IntoIterator<Item = &'a str>, words: &str) -> Vec<Found> {
    let words = words.to_lowercase();
    let mut all = Vec::new();
    read_all(lines, true, |channel, at, text| {
        if text.to_lowercase().contains(&words) {
            all.push(Found { channel, at, text });
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recording(outputs: &[&str]) -> Vec<String> {
        let at = |second: usize| format!("2026-11-22T12:00:{second:02}Z");
        let mut lines = vec![
            json!({"n": 1, "at": at(0), "kind": "exec", "channel": 1}),
            json!({"n": 2, "at": at(0), "kind": "terminal", "channel": 1, "columns": 20, "rows": 3}),
        ];
        for (second, text) in outputs.iter().enumerate() {
            lines.push(
                json!({"n": 3 + second, "at": at(second + 1), "kind": "output", "channel": 1, "text": text}),
            );
        }
        lines.iter().map(ToString::to_string).collect()
    }

    fn texts(found: &[Found]) -> Vec<&str> {
        found.iter().map(|found| found.text.as_str()).collect()
    }

    #[test]
    fn what_is_found_is_what_was_read_and_not_how_it_was_written() {
        // Typed with a mistake that was taken back, in pieces, coloured, and wrapped at the end of the line.
        let lines = recording(&[
            "$ rm -rv\u{8} \u{8}\u{8}\u{8}-r",
            "f /srv\r\n",
            "\u{1b}[31mremo\u{1b}[0mved /srv/data/of-the-customers\r\n$ ",
            "echo one\r\none\r\ntwo\r\nthree\r\n",
        ]);
        let all = || lines.iter().map(String::as_str);
        assert_eq!(
            texts(&search(all(), "REMOVED /srv/data/of")),
            ["removed /srv/data/of-the-customers"]
        );
        assert_eq!(texts(&search(all(), "three")), ["three"]);
        assert!(search(all(), "-rv").is_empty());
        let shown = transcript(all(), 1);
        assert_eq!(
            texts(&shown)[..2],
            ["$ rm -rf /srv", "removed /srv/data/of-the-customers"]
        );
        assert!(transcript(all(), 2).is_empty());
    }

    #[test]
    fn what_an_editor_showed_is_found_too_and_said_once() {
        let lines = recording(&[
            "\u{1b}[?1049h\u{1b}[Hpassword = hunter2",
            "\u{1b}[2;1Hmore",
            "\u{1b}[?1049l$ ",
        ]);
        let found = search(lines.iter().map(String::as_str), "hunter2");
        assert_eq!(texts(&found), ["password = hunter2"]);
        assert!(found[0].at.to_string().starts_with("2026-11-22T12:00:01"));
    }

    #[test]
    fn a_large_screen_that_is_shown_in_thousands_of_pieces_takes_no_hours() {
        let terminal = json!({"n": 1, "at": "2026-11-22T12:00:00Z", "kind": "terminal", "channel": 1, "columns": 1000, "rows": 1000});
        let piece = |at: &str, text: &str| {
            json!({"n": 2, "at": at, "kind": "output", "channel": 1, "text": text}).to_string()
        };
        let mut lines = vec![
            terminal.to_string(),
            piece("2026-11-22T12:00:00Z", "\u{1b}[?1049hbegun"),
        ];
        lines.extend((0..60_000).map(|_| piece("2026-11-22T12:00:00.05Z", "a\u{fffd}")));
        lines.push(piece("2026-11-22T12:00:02Z", "\u{1b}[Hended"));
        let found = search(lines.iter().map(String::as_str), "ended");
        assert_eq!(found.len(), 1);
        assert!(!search(lines.iter().map(String::as_str), "begun").is_empty());
    }

    #[test]
    fn a_command_is_found_although_what_it_wrote_is_not_recorded() {
        let line =
            r#"{"n":1,"at":"2026-11-22T12:00:00Z","kind":"exec","channel":4,"command":"mysqldump --all"}"#;
        let found = search([line], "mysqldump");
        assert_eq!((texts(&found), found[0].channel), (vec!["mysqldump --all"], 4));
    }

    #[test]
    fn sizes_that_nobody_has_do_no_harm() {
        for (columns, rows) in [(0, 0), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            let shows = json!({"n": 1, "at": "2026-11-22T12:00:00Z", "kind": "terminal", "channel": 1, "columns": columns, "rows": rows}).to_string();
            let output =
                r#"{"n":2,"at":"2026-11-22T12:00:00Z","kind":"output","channel":1,"text":"words\r\n"}"#;
            let resize = json!({"n": 3, "at": "2026-11-22T12:00:00Z", "kind": "resize", "channel": 1, "columns": rows, "rows": columns}).to_string();
            let found = search([&*shows, output, &*resize], "w");
            assert!(!found.is_empty());
        }
    }
}
