//! A program's terminal as frames, for a page that draws it: what changed on its screen, row by row, as runs of text of one look.
//!
//! The page obeys nothing that is in a recording: text is text, a look is classes of a closed list ([`Look::WORDS`]), sizes are clamped. A program
//! that draws without end is shown in coarser steps, and then not any more; that is said.

use avt::parser::{EdScope, Function};
use avt::{Cell, Color, Observation, Observer, Operation, Pen, Terminal};
use daypass_core::text::is_hostile;
use daypass_core::time::Timestamp;
use serde::Serialize;

use crate::line::{Line, What, read};
use crate::screen::{SOME, Work, cells, clamped, cost, is_seen};

/// So long is a frame where nothing else is said, in milliseconds: nobody sees more.
const STEP: u64 = 50;

/// After so many characters of frames a step takes twice as long.
const COARSER: usize = 2 << 20;

/// So many characters of frames are given at most.
const MOST: usize = 24 << 20;

/// The screen is looked at in so many cells at the price of one that is drawn.
const LOOKED: usize = 16;

/// A line feed begins a line: what no terminal was there for has no carriage returns (ECMA-48, LNM).
const NEW_LINES: &str = "\u{1b}[20h";

/// Some text of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run(pub String, pub Look);

/// How text looks: classes of a closed list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Look(String);

/// What changed on a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// When, in milliseconds since the terminal was there.
    pub at: u64,
    /// Columns and rows, where they changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<(usize, usize)>,
    /// The rows that changed.
    pub rows: Vec<(usize, Vec<Run>)>,
    /// Where the cursor is, column and row, unless it is hidden.
    pub cursor: Option<(usize, usize)>,
}

/// Why there are no more frames, though there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped;

/// The frames of one program.
pub struct Frames {
    channel: u32,
    /// What is drawn within so long is one frame, in milliseconds.
    each: u64,
    terminal: Option<Terminal>,
    work: Work,
    /// When the terminal was there, and when something was drawn last.
    since: Timestamp,
    last: Timestamp,
    /// What was drawn is in no frame yet.
    drawn: bool,
    /// As it was in the last frame.
    size: (usize, usize),
    shown: Vec<Vec<Cell>>,
    cursor: Option<(usize, usize)>,
    given: usize,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What a terminal shows is nothing for a log.
        f.debug_struct("Frames")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Frames {
    /// Of the program with this number ([`crate::Program::channel`]).
    #[must_use]
    pub const fn new(channel: u32) -> Self {
        Self {
            channel,
            each: STEP,
            terminal: None,
            work: Work::new(),
            since: Timestamp::EPOCH,
            last: Timestamp::EPOCH,
            drawn: false,
            size: (0, 0),
            shown: Vec::new(),
            cursor: None,
            given: 0,
        }
    }

    /// With one frame in so many milliseconds at most.
    #[must_use]
    pub fn each(self, milliseconds: u64) -> Self {
        Self {
            each: milliseconds,
            ..self
        }
    }

    /// The next line of the recording. Gives the frame that is over with it.
    ///
    /// # Errors
    /// Where the program drew too often: there are no more.
    pub fn line(&mut self, line: &str) -> Result<Option<Frame>, Skipped> {
        match read(line).filter(|line| line.channel == self.channel) {
            Some(line) => self.take(line),
            None => Ok(None),
        }
    }

    /// The same, of a line of this program.
    pub(crate) fn take(&mut self, line: Line) -> Result<Option<Frame>, Skipped> {
        let at = line.at.max(self.last);
        let frame = if self.drawn && self.step(at) != self.step(self.last) {
            self.now()?
        } else {
            None
        };
        match line.what {
            What::Shows(term, size) if self.terminal.is_none() => {
                let (columns, rows) = clamped(size);
                self.work.pay(2 * columns * rows);
                self.terminal = Terminal::new(columns, rows).ok();
                self.since = at;
                if term.is_none() {
                    self.write(NEW_LINES)?;
                }
            }
            What::Output(text) => {
                self.work.earn(text.len());
                self.write(&text)?;
            }
            What::Size(size) => self.resize(clamped(size))?,
            What::Shows(..) | What::Began(_) | What::Ended(_) => return Ok(frame),
        }
        self.last = at;
        self.drawn = self.terminal.is_some();
        Ok(frame)
    }

    /// What was drawn and is in no frame yet.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn now(&mut self) -> Result<Option<Frame>, Skipped> {
        self.drawn = false;
        let at = self.milliseconds(self.last);
        let Some(terminal) = &self.terminal else {
            return Ok(None);
        };
        self.work.pay(cells(terminal) / LOOKED);
        let size = terminal.size();
        if size != self.size {
            self.shown.clear();
        }
        let mut rows = Vec::new();
        for (number, row) in terminal.screen().visible_lines().enumerate() {
            let cells: Vec<Cell> = row.cells().to_vec();
            if self.shown.get(number).is_some_and(|shown| *shown == cells) {
                continue;
            }
            rows.push((number, runs(&cells)));
            match self.shown.get_mut(number) {
                Some(shown) => *shown = cells,
                None => self.shown.push(cells),
            }
        }
        let cursor = terminal.cursor().position();
        let cursor = cursor.map(|(column, row)| (column.min(size.0.saturating_sub(1)), row));
        let resized = (size != self.size).then_some(size);
        let same = rows.is_empty() && resized.is_none() && cursor == self.cursor;
        (self.size, self.cursor) = (size, cursor);
        self.given += rows
            .iter()
            .flat_map(|(_, runs)| runs)
            .map(Run::weight)
            .sum::<usize>();
        if self.given > MOST || self.work.is_spent() {
            return Err(Skipped);
        }
        Ok((!same).then_some(Frame {
            at,
            size: resized,
            rows,
            cursor,
        }))
    }

    /// All that stands there, for who has seen nothing yet.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn whole(&mut self) -> Result<Option<Frame>, Skipped> {
        self.size = (0, 0);
        self.now()
    }

    /// Whether something was drawn that is in no frame yet.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.drawn
    }

    fn milliseconds(&self, at: Timestamp) -> u64 {
        at.since(self.since).micros() / 1_000
    }

    /// In which step it is.
    fn step(&self, at: Timestamp) -> u64 {
        let coarser = u32::try_from(self.given / COARSER).unwrap_or(u32::MAX);
        let step = self.each.saturating_mul(2_u64.saturating_pow(coarser));
        self.milliseconds(at).checked_div(step).unwrap_or_default()
    }

    fn write(&mut self, text: &str) -> Result<(), Skipped> {
        let Some(terminal) = &mut self.terminal else {
            return Ok(());
        };
        let seen: Vec<char> = text.chars().filter(|c| is_seen(*c)).collect();
        for some in seen.chunks(SOME) {
            terminal.feed_with(some, Pays(&mut self.work));
            if self.work.is_spent() {
                return Err(Skipped);
            }
        }
        Ok(())
    }

    fn resize(&mut self, (columns, rows): (usize, usize)) -> Result<(), Skipped> {
        if let Some(terminal) = &mut self.terminal {
            terminal.resize_with(columns, rows, Pays(&mut self.work));
        }
        if self.work.is_spent() {
            Err(Skipped)
        } else {
            Ok(())
        }
    }
}

/// Takes the price of what is drawn.
struct Pays<'a>(&'a mut Work);

impl Observer for Pays<'_> {
    type Output = ();

    fn before(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        let terminal = context.terminal();
        let wipes = matches!(
            operation,
            Operation::Function(
                Function::Ed(EdScope::Below | EdScope::Above | EdScope::All)
                    | Function::Ris
                    | Function::Decaln
                    | Function::Il(_)
                    | Function::Dl(_)
                    | Function::Sd(_)
                    | Function::Su(_)
                    | Function::Decset(_)
                    | Function::Decrst(_)
            )
        );
        let more = if wipes { cells(terminal) } else { 0 };
        self.0.pay(cost(terminal, operation) + more);
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

impl Run {
    /// What it weighs on its way.
    fn weight(&self) -> usize {
        self.0.len() + self.1.0.len() + 8
    }
}

/// A row, without the blanks at its end.
fn runs(cells: &[Cell]) -> Vec<Run> {
    let end = cells.iter().rposition(|cell| *cell != Cell::default());
    let mut runs: Vec<Run> = Vec::new();
    let mut last: Option<(Pen, bool)> = None;
    // The second half of what is wide is nothing.
    for cell in cells
        .iter()
        .take(end.map_or(0, |end| end + 1))
        .filter(|cell| cell.width() > 0)
    {
        let shown = if is_hostile(cell.char()) {
            '\u{fffd}'
        } else {
            cell.char()
        };
        let wide = cell.width() > 1;
        match runs.last_mut() {
            // What is wide is by itself: no font keeps its promise to be twice as wide.
            Some(run) if !wide && last == Some((*cell.pen(), false)) => run.0.push(shown),
            _ => runs.push(Run(shown.to_string(), Look::of(cell.pen(), wide))),
        }
        last = Some((*cell.pen(), wide));
    }
    runs
}

impl Look {
    /// All that a look may consist of, besides the sixteen colours of text (`f0`…) and of what is behind it (`b0`…).
    pub const WORDS: [&'static str; 8] = [
        "wide", "bold", "faint", "italic", "under",
        "strike", // Text in the colour of the ground, and the reverse.
        "fd", "bd",
    ];

    fn of(pen: &Pen, wide: bool) -> Self {
        let mut look = Self::default();
        let (fore, back) = (
            pen.foreground().map(|color| ('f', nearest(color))),
            pen.background().map(|color| ('b', nearest(color))),
        );
        let (fore, back) = if pen.is_inverse() {
            (
                back.map_or_else(|| "fd".to_owned(), |(_, number)| format!("f{number}")),
                fore.map_or_else(|| "bd".to_owned(), |(_, number)| format!("b{number}")),
            )
        } else {
            let named = |one: Option<(char, u8)>| {
                one.map_or_else(String::new, |(kind, number)| format!("{kind}{number}"))
            };
            (named(fore), named(back))
        };
        for (is, word) in [
            (!fore.is_empty(), fore.as_str()),
            (!back.is_empty(), back.as_str()),
            (wide, "wide"),
            (pen.is_bold(), "bold"),
            (pen.is_faint(), "faint"),
            (pen.is_italic(), "italic"),
            (pen.is_underline(), "under"),
            (pen.is_strikethrough(), "strike"),
        ] {
            if is {
                if !look.0.is_empty() {
                    look.0.push(' ');
                }
                look.0.push_str(word);
            }
        }
        look
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &str {
        &self.0
    }
}

/// The sixteen colours that have names, as xterm shows them; which they are on a page is for its stylesheet to say.
const NAMED: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

/// The nearest of the colours that have names.
fn nearest(color: Color) -> u8 {
    let (r, g, b) = match color {
        Color::Indexed(number @ ..16) => return number,
        Color::Indexed(number @ 16..232) => {
            let part = |number: u8| match number % 6 {
                0 => 0,
                step => 55 + step * 40,
            };
            let number = number - 16;
            (part(number / 36), part(number / 6), part(number))
        }
        Color::Indexed(number) => {
            let grey = 8 + (number - 232) * 10;
            (grey, grey, grey)
        }
        Color::RGB(rgb) => (rgb.r, rgb.g, rgb.b),
    };
    let away = |one: u8, other: u8| u32::from(one.abs_diff(other)).pow(2);
    let named = (0_u8..).zip(NAMED);
    let nearest = named.min_by_key(|(_, named)| away(r, named.0) + away(g, named.1) + away(b, named.2));
    nearest.map_or(7, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Half a second between two outputs.
    fn recording(term: Option<&str>, size: (u32, u32), outputs: &[&str]) -> Vec<String> {
        let at = |half: usize| {
            format!(
                "2026-11-22T12:{:02}:{:02}.{}Z",
                half / 120,
                half / 2 % 60,
                half % 2 * 5
            )
        };
        let mut lines = vec![
            json!({"n": 1, "at": at(0), "kind": "exec", "channel": 1}),
            json!({"n": 2, "at": at(0), "kind": "terminal", "channel": 1, "term": term, "columns": size.0, "rows": size.1}),
        ];
        for (half, text) in outputs.iter().enumerate() {
            lines.push(
                json!({"n": 3 + half, "at": at(half + 1), "kind": "output", "channel": 1, "text": text}),
            );
        }
        lines.iter().map(ToString::to_string).collect()
    }

    fn frames(lines: &[String]) -> Vec<Frame> {
        let mut frames = Frames::new(1);
        let mut all: Vec<Frame> = lines
            .iter()
            .filter_map(|line| frames.line(line).unwrap())
            .collect();
        all.extend(frames.now().unwrap());
        all
    }

    fn run(text: &str, look: &str) -> Run {
        Run(text.to_owned(), Look(look.to_owned()))
    }

    fn is_known(look: &Look) -> bool {
        look.classes().split_whitespace().all(|word| {
            let color = word
                .strip_prefix(['f', 'b'])
                .and_then(|number| number.parse::<u8>().ok());
            Look::WORDS.contains(&word) || color.is_some_and(|number| number < 16)
        })
    }

    #[test]
    fn a_frame_has_what_changed() {
        let outputs = [
            "$ ls",
            "\r\n\u{1b}[1;31mred\u{1b}[0m \u{1b}[7mx\u{1b}[0m",
            "\r\n界",
            "\u{1b}[2;1HRED",
        ];
        let all = frames(&recording(Some("xterm"), (20, 3), &outputs));
        assert_eq!(all.len(), 5);
        assert_eq!((all[0].at, all[0].size, all[0].rows.len()), (0, Some((20, 3)), 3));
        assert_eq!(all[1].rows, [(0, vec![run("$ ls", "")])]);
        assert_eq!((all[1].at, all[1].size, all[1].cursor), (500, None, Some((4, 0))));
        let second = vec![run("red", "f1 bold"), run(" ", ""), run("x", "fd bd")];
        assert_eq!(all[2].rows, [(1, second)]);
        assert_eq!(all[3].rows, [(2, vec![run("界", "wide")])]);
        assert_eq!(all[4].rows[0].1[0], run("RED ", ""));
        assert_eq!(all[4].at, 2_000);
    }

    #[test]
    fn what_has_no_terminal_has_lines() {
        let all = frames(&recording(None, (0, 0), &["one\ntwo"]));
        let last = all.last().unwrap();
        assert_eq!(last.rows, [(0, vec![run("one", "")]), (1, vec![run("two", "")])]);
    }

    #[test]
    fn what_is_drawn_at_once_is_one_frame_and_who_comes_later_sees_all() {
        let mut frames = Frames::new(1);
        let lines = recording(Some("xterm"), (10, 2), &["a"]);
        lines.iter().for_each(|line| drop(frames.line(line).unwrap()));
        for text in ["b", "c", "d"] {
            let line = json!({"n": 9, "at": "2026-11-22T12:00:00.51Z", "kind": "output", "channel": 1, "text": text});
            assert_eq!(frames.line(&line.to_string()).unwrap(), None);
        }
        assert_eq!(frames.now().unwrap().unwrap().rows, [(0, vec![run("abcd", "")])]);
        assert_eq!(frames.now().unwrap(), None);
        let whole = frames.whole().unwrap().unwrap();
        assert_eq!((whole.size, whole.rows.len()), (Some((10, 2)), 2));
    }

    #[test]
    fn all_colours_have_names() {
        for number in 0..=255 {
            assert!(nearest(Color::Indexed(number)) < 16);
        }
        for (number, (r, g, b)) in (0_u8..).zip(NAMED) {
            assert_eq!(nearest(Color::rgb(r, g, b)), number);
        }
        assert_eq!(
            (nearest(Color::Indexed(196)), nearest(Color::Indexed(255))),
            (9, 7)
        );
    }

    #[test]
    fn who_draws_without_end_is_shown_no_more() {
        let mut frames = Frames::new(1);
        let lines = recording(Some("xterm"), (500, 200), &[]);
        lines.iter().for_each(|line| drop(frames.line(line).unwrap()));
        let text = "\u{1b}[2J".repeat(1_000);
        let line =
            json!({"n": 9, "at": "2026-11-22T12:00:01Z", "kind": "output", "channel": 1, "text": text})
                .to_string();
        assert!((0..1_000).any(|_| frames.line(&line).is_err()));
    }

    proptest! {
        #[test]
        fn whatever_is_recorded_looks_are_known_and_sizes_clamped(
            outputs in proptest::collection::vec("(\\PC|[\u{1b}\\[\\]P0-9;:?mHJKhlbXLMr \u{90}\u{9b}\u{202e}\u{200b}\u{115f}\u{7}\r\n]|\u{1b}\\[[0-9;:]{0,12}m){0,60}", 0..6),
            size in (any::<u32>(), any::<u32>()),
        ) {
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            let mut lines = recording(Some("xterm"), (size.0 % 90, size.1 % 40), &outputs);
            lines.push(json!({"n": 99, "at": "2026-11-22T13:00:00Z", "kind": "resize", "channel": 1, "columns": size.0, "rows": size.1}).to_string());
            let mut now = (0, 0);
            for frame in frames(&lines) {
                now = frame.size.unwrap_or(now);
                prop_assert!((1..=500).contains(&now.0) && (1..=200).contains(&now.1), "{now:?}");
                prop_assert!(frame.cursor.is_none_or(|(column, row)| column < now.0 && row < now.1));
                for (number, runs) in &frame.rows {
                    prop_assert!(*number < now.1);
                    let letters: usize = runs.iter().map(|run| run.0.chars().count()).sum();
                    prop_assert!(letters <= now.0);
                    for Run(text, look) in runs {
                        prop_assert!(is_known(look), "{look:?}");
                        prop_assert!(!text.chars().any(is_hostile), "{text:?}");
                    }
                }
            }
        }
    }
}
