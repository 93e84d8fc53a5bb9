//! Where words stand in a recording: in commands, in what programs wrote, and in what stood on their screens.
//!
//! Each terminal is read twice. As it was written, so that nothing hides what was erased or overwritten afterwards; and as it stood on the
//! screen, so that what was typed with mistakes, wrapped or drawn piece by piece is found as it was read.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use daypass_core::time::Timestamp;

use crate::line::{Line, What, read};
use crate::plain::{Is, Plain};
use crate::screen::{Screen, Way, Work};

/// So many lines are found at most.
const MOST: usize = 10_000;

/// The longest line that is looked at as one. A longer one is in parts, which overlap by as much as is looked for.
const LONGEST: usize = 4_096;

/// So many screens are drawn at once.
const SCREENS: usize = 32;

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

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searched {
    /// The lines, by time.
    pub found: Vec<Found>,
    /// There are more, which are not here.
    pub more: bool,
    /// Programs that redraw so much that from then on only what they wrote was searched, and not what stood on their screens.
    pub partly: Vec<(u32, Timestamp)>,
}

/// Searches a recording, line by line.
pub struct Search {
    hits: Hits,
    work: Work,
    programs: HashMap<u32, Program>,
    partly: Vec<(u32, Timestamp)>,
}

/// One program's terminal.
struct Program {
    plain: Plain,
    line: Part,
    /// In a string that nobody sees.
    hidden: Part,
    screen: Option<Screen>,
    at: Timestamp,
}

/// A line as it grows.
#[derive(Default)]
struct Part {
    text: String,
    letters: usize,
}

/// What was found, and how often: a line that was written and then stood on the screen is one.
struct Hits {
    words: String,
    letters: usize,
    found: Vec<Found>,
    more: bool,
    times: HashMap<u64, Times>,
    /// What stood on a screen last.
    last: (u32, String),
}

#[derive(Default, Clone, Copy)]
struct Times {
    written: u32,
    left: u32,
    stood: u32,
}

impl Hits {
    fn has(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.words)
    }

    fn add(&mut self, channel: u32, at: Timestamp, text: &str) {
        self.more |= self.found.len() >= MOST;
        if !self.more {
            let text = text.to_owned();
            self.found.push(Found { channel, at, text });
        }
    }

    /// A line of a terminal: written, or on its screen. Each reader sees it once each time; whoever sees it oftener than the others is right.
    fn line(&mut self, channel: u32, at: Timestamp, text: &str, way: Option<Way>) {
        let text = text.trim();
        if text.is_empty() || self.more || !self.has(text) {
            return;
        }
        if way == Some(Way::Stood) {
            // Who takes back letter after letter leaves less of the same line.
            if self.last.0 == channel && self.last.1.starts_with(text) {
                return;
            }
            self.last = (channel, text.to_owned());
        }
        let mut hasher = DefaultHasher::new();
        (channel, text).hash(&mut hasher);
        let times = self.times.entry(hasher.finish()).or_default();
        let most = times.written.max(times.left).max(times.stood);
        let now = match way {
            None => &mut times.written,
            Some(Way::Left) => &mut times.left,
            Some(Way::Stood) => &mut times.stood,
        };
        // It may stand there for long, and be looked at often.
        *now = if way == Some(Way::Stood) { 1 } else { *now + 1 };
        if *now > most {
            self.add(channel, at, text);
        }
    }
}

impl Part {
    fn push(&mut self, letter: char, overlap: usize, give: impl FnOnce(&str)) {
        if self.letters >= LONGEST + overlap {
            give(&self.text);
            let from = self.text.char_indices().rev().nth(overlap);
            self.text = self
                .text
                .split_off(from.map_or(0, |(at, letter)| at + letter.len_utf8()));
            self.letters = self.text.chars().count();
        }
        self.text.push(letter);
        self.letters += 1;
    }

    fn end(&mut self, give: impl FnOnce(&str)) {
        give(&self.text);
        self.text.clear();
        self.letters = 0;
    }
}

impl Program {
    fn new(at: Timestamp) -> Self {
        Self {
            plain: Plain::default(),
            line: Part::default(),
            hidden: Part::default(),
            screen: None,
            at,
        }
    }

    fn write(&mut self, channel: u32, at: Timestamp, text: &str, hits: &mut Hits) {
        let overlap = hits.letters;
        for letter in text.chars() {
            let mut give = |text: &str, at| hits.line(channel, at, text, None);
            match self.plain.take(letter) {
                Is::Letter(letter) => {
                    self.line.push(letter, overlap, |text| give(text, at));
                    self.at = at;
                }
                Is::Hidden(letter) => self.hidden.push(letter, overlap, |text| give(text, at)),
                Is::HiddenEnd => self.hidden.end(|text| give(text, at)),
                Is::Break => {
                    self.line.end(|text| give(text, self.at));
                    self.hidden.end(|text| give(text, at));
                }
                Is::Nothing => {}
            }
        }
    }

    fn finish(mut self, channel: u32, hits: &mut Hits) {
        let at = self.at;
        self.line.end(|text| hits.line(channel, at, text, None));
        self.hidden.end(|text| hits.line(channel, at, text, None));
        if let Some(screen) = self.screen {
            screen.finish(&mut |way, at, text| hits.line(channel, at, text, Some(way)));
        }
    }
}

impl Search {
    /// For these words, small letters or large.
    #[must_use]
    pub fn new(words: &str) -> Self {
        let words = words.to_lowercase();
        Self {
            hits: Hits {
                letters: words.chars().count(),
                words,
                found: Vec::new(),
                more: false,
                times: HashMap::new(),
                last: (0, String::new()),
            },
            work: Work::new(),
            programs: HashMap::new(),
            partly: Vec::new(),
        }
    }

    /// The next line of the recording.
    pub fn line(&mut self, line: &str) {
        let Some(Line { at, channel, what }) = read(line) else {
            return;
        };
        match what {
            What::Began(Some(command)) => {
                if self.hits.has(&command) {
                    self.hits.add(channel, at, &command);
                }
            }
            What::Began(None) => {}
            What::Shows(_, size) => self.shows(channel, at, size),
            What::Output(text) => self.writes(channel, at, &text),
            What::Size(size) => {
                let hits = &mut self.hits;
                let screen = self.programs.get_mut(&channel);
                if let Some(screen) = screen.and_then(|program| program.screen.as_mut()) {
                    let mut give = |way, at, text: &str| hits.line(channel, at, text, Some(way));
                    if screen.resize(size, &mut self.work, &mut give).is_err() {
                        self.no_screen(channel, at);
                    }
                }
            }
            What::Ended(_) => {
                if let Some(program) = self.programs.remove(&channel) {
                    program.finish(channel, &mut self.hits);
                }
            }
        }
    }

    fn shows(&mut self, channel: u32, at: Timestamp, size: (u16, u16)) {
        let drawn = self.programs.values().filter(|program| program.screen.is_some());
        let screen = if drawn.count() < SCREENS {
            Screen::new(size, at, &mut self.work)
        } else {
            None
        };
        if screen.is_none() {
            self.partly.push((channel, at));
        }
        let program = self.programs.entry(channel).or_insert_with(|| Program::new(at));
        program.screen = screen;
    }

    fn writes(&mut self, channel: u32, at: Timestamp, text: &str) {
        self.work.earn(text.len());
        // It is read as it was written also where nothing says that there is a terminal.
        let program = self.programs.entry(channel).or_insert_with(|| Program::new(at));
        let hits = &mut self.hits;
        program.write(channel, at, text, hits);
        if let Some(screen) = &mut program.screen {
            let mut give = |way, at, text: &str| hits.line(channel, at, text, Some(way));
            if screen.write(text, at, &mut self.work, &mut give).is_err() {
                self.no_screen(channel, at);
            }
        }
    }

    fn no_screen(&mut self, channel: u32, at: Timestamp) {
        if let Some(program) = self.programs.get_mut(&channel)
            && let Some(screen) = program.screen.take()
        {
            let hits = &mut self.hits;
            screen.finish(&mut |way, at, text| hits.line(channel, at, text, Some(way)));
            self.partly.push((channel, at));
        }
    }

    /// The recording is over.
    #[must_use]
    pub fn finish(mut self) -> Searched {
        // Those that were still open where it ends.
        for (channel, program) in self.programs.drain() {
            program.finish(channel, &mut self.hits);
        }
        let mut found = self.hits.found;
        found.sort_by_key(|found| (found.at, found.channel));
        Searched {
            found,
            more: self.hits.more,
            partly: self.partly,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// One second between two outputs.
    fn recording(outputs: &[&str]) -> Vec<String> {
        let at = |second: usize| format!("2026-11-22T12:{:02}:{:02}Z", second / 60, second % 60);
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

    fn search(lines: &[String], words: &str) -> Searched {
        let mut search = Search::new(words);
        lines.iter().for_each(|line| search.line(line));
        search.finish()
    }

    fn found(outputs: &[&str], words: &str) -> Vec<String> {
        let searched = search(&recording(outputs), words);
        assert_eq!((searched.more, searched.partly), (false, vec![]));
        searched.found.into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn what_is_found_is_what_was_read_and_what_was_written() {
        // Typed with a mistake that was taken back, in pieces, coloured, and wrapped at the end of the line.
        let outputs = [
            "$ rm -rv\u{8} \u{8}\u{8}\u{8}-r",
            "f /srv\r\n",
            "\u{1b}[31mremo\u{1b}[0mved /srv/data/of-the-customers\r\n$ ",
            "echo one\r\none\r\ntwo\r\nthree\r\n",
        ];
        assert_eq!(
            found(&outputs, "REMOVED /srv/data/of"),
            ["removed /srv/data/of-the-customers"]
        );
        assert_eq!(found(&outputs, "three"), ["three"]);
        assert_eq!(found(&outputs, "rm -rf /srv"), ["$ rm -rf /srv"]);
        assert_eq!(found(&outputs, "-rv"), ["$ rm -rv -rf /srv"], "as it was before");
        let back = "\u{8}\u{1b}[K".repeat(4);
        let outputs = [format!("$ cat /etc{back}tmp"), back];
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let mut lines = found(&outputs, "$ cat");
        lines.sort();
        assert_eq!(lines, ["$ cat", "$ cat /etc", "$ cat /etctmp", "$ cat tmp"]);
        // Each time that it was there.
        let twice = ["$ id\r\nroot\r\n", "$ id\r\nroot\r\n", "a\r\nb\r\nc\r\nd\r\n"];
        assert_eq!(found(&twice, "root"), ["root", "root"]);
    }

    #[test]
    fn what_an_editor_showed_is_found_too_and_said_once() {
        let lines = recording(&[
            "\u{1b}[?1049h\u{1b}[Hpassword = hunter2",
            "\u{1b}[2;1Hmore",
            "\u{1b}[2;1Hmuch",
            "\u{1b}[?1049l$ ",
        ]);
        let found = search(&lines, "hunter2").found;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].text, "password = hunter2");
        assert!(found[0].at.to_string().starts_with("2026-11-22T12:00:01"));
    }

    #[test]
    fn what_was_wiped_is_found() {
        // As `infocmp` has it: xterm-256color; tmux-256color, screen, linux. Then others that do the same.
        for clear in [
            "\u{1b}[H\u{1b}[2J",
            "\u{1b}[H\u{1b}[2J\u{1b}[3J",
            "\u{1b}[H\u{1b}[J",
            "\u{1b}[2;1H\u{1b}[1J\u{1b}[H",
            "\u{1b}c",
            "\u{1b}#8",
            "\u{1b}[H\u{1b}[9M",
            "\u{1b}[H\u{1b}[9L",
            "\u{1b}[9T\u{1b}[H",
            "\r\u{1b}[K\u{1b}[A\u{1b}[K",
            "\r\u{1b}[9P\r\u{1b}[9X",
        ] {
            // It stands only there: nobody wrote it so. All in one piece, so that nobody looks in between.
            let all = format!("$ catt\u{8} \u{8} /etc/x{clear}$ ls{clear}");
            assert_eq!(found(&[&all], "cat /etc/x"), ["$ cat /etc/x"], "{clear:?}");
            let all = format!("\u{1b}[?1049h{all}");
            assert_eq!(found(&[&all], "cat /etc/x"), ["$ cat /etc/x"], "{clear:?}");
        }
        let left = "\u{1b}[?1049h$ catt\u{8} \u{8} /etc/x\u{1b}[?1049l";
        assert_eq!(found(&[left], "cat /etc/x"), ["$ cat /etc/x"]);
        // A prompt that wipes all that stood before it.
        let prompt = "\u{1b}[H\u{1b}[J$ ";
        let typed = format!("{prompt}catt\u{8} \u{8} x\r\nthe key\r\n{prompt}");
        assert_eq!(found(&[&typed], "cat x"), ["$ cat x"]);
        assert_eq!(found(&[&typed], "the key"), ["the key"]);
    }

    #[test]
    fn what_was_overwritten_is_found() {
        assert_eq!(found(&["the key\rxxxxxxx\r\n"], "the key"), ["the key"]);
        let written = "\u{1b}[1;1Hthe key\u{1b}[1;1Hxxxxxxx";
        assert_eq!(found(&[written], "the key"), ["the key"]);
        // Letter by letter, backwards: it stood there for a second.
        let mut drawn = String::new();
        for (at, letter) in "the key".char_indices().rev() {
            drawn.push_str(&format!("\u{1b}[2;{}H{letter}", at + 1));
        }
        assert_eq!(found(&[&drawn, "\u{1b}[2;1Hxxxxxxx"], "the key"), ["the key"]);
    }

    #[test]
    fn what_nobody_sees_hides_nothing() {
        // In a string for the terminal itself; with what has no width; behind a control that most terminals do not obey.
        assert_eq!(found(&["\u{1b}]0;the key\u{7}"], "the key"), ["0;the key"]);
        assert_eq!(found(&["\u{1b}]the key"], "the key"), ["the key"]);
        assert_eq!(
            found(&["the\u{200b} k\u{ad}e\u{200d}y\r\n"], "the key"),
            ["the key"]
        );
        assert_eq!(found(&["\u{9d}$ the key"], "the key"), ["$ the key"]);
        // Longer than a line, where it is cut.
        let long = format!("{}the key{}", "x".repeat(LONGEST - 3), "y".repeat(LONGEST));
        assert!(!found(&[&long], "the key").is_empty());
    }

    #[test]
    fn a_command_is_found_although_what_it_wrote_is_not_recorded() {
        let line =
            r#"{"n":1,"at":"2026-11-22T12:00:00Z","kind":"exec","channel":4,"command":"mysqldump --all"}"#;
        let found = search(&[line.to_owned()], "mysqldump").found;
        assert_eq!((found[0].text.as_str(), found[0].channel), ("mysqldump --all", 4));
    }

    #[test]
    fn sizes_that_nobody_has_do_no_harm() {
        for (columns, rows) in [(0, 0), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            let shows = json!({"n": 1, "at": "2026-11-22T12:00:00Z", "kind": "terminal", "channel": 1, "columns": columns, "rows": rows}).to_string();
            let output =
                r#"{"n":2,"at":"2026-11-22T12:00:00Z","kind":"output","channel":1,"text":"words\r\n"}"#;
            let resize = json!({"n": 3, "at": "2026-11-22T12:00:00Z", "kind": "resize", "channel": 1, "columns": rows, "rows": columns}).to_string();
            let found = search(&[shows, output.to_owned(), resize], "w").found;
            assert_eq!(found.len(), 1, "{found:?}");
        }
    }

    #[test]
    fn who_draws_all_the_time_is_searched_as_it_was_written_and_that_is_said() {
        let at = "2026-11-22T12:00:00Z";
        let shows = |columns: u32| {
            json!({"n": 1, "at": at, "kind": "resize", "channel": 1, "columns": columns, "rows": 1000})
                .to_string()
        };
        let output =
            |text: &str| json!({"n": 1, "at": at, "kind": "output", "channel": 1, "text": text}).to_string();
        let mut search = Search::new("key");
        search.work = Work::of(2_000_000);
        search.line(&shows(1000).replace("resize", "terminal"));
        search.line(&output("\u{1b}[?1049h1st key"));
        for columns in 400..500 {
            search.line(&shows(columns));
            search.line(&output("\u{1b}[2;1Hx"));
        }
        search.line(&output("\r\n2nd key"));
        let searched = search.finish();
        assert_eq!(searched.partly.len(), 1, "and once");
        let texts: Vec<_> = searched.found.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[0].starts_with("1st key") && texts[1] == "2nd key",
            "{texts:?}"
        );
    }

    #[test]
    fn not_more_is_found_than_somebody_reads() {
        let many = "key\r\n".repeat(MOST + 1);
        let searched = search(&recording(&[&many]), "key");
        assert_eq!((searched.found.len(), searched.more), (MOST, true));
    }

    proptest! {
        #[test]
        fn whatever_was_before_words_are_found(begin in "[\u{1b}\\[\\]P_X^\u{18}\u{1a}\u{7}\\\\0-9;?mhlHJKM \u{90}\u{9b}\u{9d}\u{9c}a\r\n]{0,40}") {
            let outputs = [begin.as_str(), "\u{1b}[0mWORD\r\n"];
            prop_assert!(!found(&outputs, "WORD").is_empty());
        }
    }
}
