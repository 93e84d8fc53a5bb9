//! A terminal as it is filled: gives the lines that leave it, and those that stand on it before they are wiped.
//!
//! Whoever was recorded says how large it is and how often it is drawn anew, and pays with what they wrote: [`Work`].

use avt::parser::{DecMode, EdScope, Function};
use avt::{Line, Observation, Observer, Operation, ScreenKind, Terminal};
use daypass_core::time::Timestamp;

/// The largest screen that is drawn. What stands beyond it is drawn at its edge.
const LARGEST: (usize, usize) = (500, 200);

/// So much is written before it is seen what it cost.
pub(crate) const SOME: usize = 256;

/// The longest line. One that is wrapped for ever is given in parts.
const LONGEST: usize = 4 * 1024;

/// How many cells may be drawn, erased and looked at: a few at first, and more with each character that was recorded. So the time that a
/// recording takes grows with its length and with nothing else.
#[derive(Debug)]
pub(crate) struct Work(u64);

impl Work {
    const AT_FIRST: u64 = 200_000_000;
    const EACH: u64 = 512;

    pub(crate) const fn new() -> Self {
        Self(Self::AT_FIRST)
    }

    #[cfg(test)]
    pub(crate) const fn of(cells: u64) -> Self {
        Self(cells)
    }

    pub(crate) fn earn(&mut self, characters: usize) {
        let earned = u64::try_from(characters).unwrap_or(u64::MAX);
        self.0 = self.0.saturating_add(earned.saturating_mul(Self::EACH));
    }

    pub(crate) fn pay(&mut self, cells: usize) {
        self.0 = self.0.saturating_sub(u64::try_from(cells).unwrap_or(u64::MAX));
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// How a line came to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It left the screen, once.
    Left,
    /// It stood there when it was looked, and perhaps before.
    Stood,
}

/// The program was drawn too often: there is no work left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spent;

/// A terminal and what is known of it.
pub(crate) struct Screen {
    terminal: Terminal,
    /// The beginning of a line that was wrapped and has left in part.
    begun: String,
    /// When it was looked at, in whole seconds, and when something was written last.
    looked: u64,
    at: Timestamp,
    /// Something may have been overwritten since.
    moved: bool,
}

impl Screen {
    pub(crate) fn new(size: (u16, u16), at: Timestamp, work: &mut Work) -> Option<Self> {
        let (columns, rows) = clamped(size);
        work.pay(2 * columns * rows);
        Some(Self {
            terminal: Terminal::new(columns, rows).ok()?,
            begun: String::new(),
            looked: at.unix_seconds(),
            at,
            moved: false,
        })
    }

    /// Something is written to it.
    pub(crate) fn write(
        &mut self,
        text: &str,
        at: Timestamp,
        work: &mut Work,
        give: &mut dyn FnMut(Way, Timestamp, &str),
    ) -> Result<(), Spent> {
        // What stands somewhere for a second is read, whatever overwrites it then.
        if self.moved && self.looked != at.unix_seconds() {
            let before = self.at;
            work.pay(2 * cells(&self.terminal));
            standing(&self.terminal, &mut |line| give(Way::Stood, before, line));
            (self.looked, self.moved) = (at.unix_seconds(), false);
        }
        self.at = at;
        let seen: Vec<char> = text.chars().filter(|c| is_seen(*c)).collect();
        for some in seen.chunks(SOME) {
            let (terminal, observer) = self.observer(work, give);
            terminal.feed_with(some, observer);
            if work.is_spent() {
                return Err(Spent);
            }
        }
        Ok(())
    }

    pub(crate) fn resize(
        &mut self,
        size: (u16, u16),
        work: &mut Work,
        give: &mut dyn FnMut(Way, Timestamp, &str),
    ) -> Result<(), Spent> {
        let (columns, rows) = clamped(size);
        let (terminal, observer) = self.observer(work, give);
        terminal.resize_with(columns, rows, observer);
        if work.is_spent() { Err(Spent) } else { Ok(()) }
    }

    fn observer<'a>(
        &'a mut self,
        work: &'a mut Work,
        give: &'a mut dyn FnMut(Way, Timestamp, &str),
    ) -> (&'a mut Terminal, Looks<'a>) {
        let looks = Looks {
            begun: &mut self.begun,
            at: self.at,
            moved: &mut self.moved,
            work,
            give,
        };
        (&mut self.terminal, looks)
    }

    /// It is over: gives all that stands there.
    pub(crate) fn finish(mut self, give: &mut dyn FnMut(Way, Timestamp, &str)) {
        let at = self.at;
        for line in self.terminal.primary_screen().all_lines() {
            join(&mut self.begun, line, &mut |line| give(Way::Left, at, line));
        }
        give(Way::Left, at, self.begun.trim_end());
        if self.terminal.active_screen_kind() == ScreenKind::Alternate {
            standing(&self.terminal, &mut |line| give(Way::Stood, at, line));
        }
    }
}

pub(crate) fn clamped((columns, rows): (u16, u16)) -> (usize, usize) {
    (
        usize::from(columns).clamp(1, LARGEST.0),
        usize::from(rows).clamp(1, LARGEST.1),
    )
}

pub(crate) fn cells(terminal: &Terminal) -> usize {
    let (columns, rows) = terminal.size();
    columns * rows
}

/// What has no width takes a cell here and none elsewhere; and the controls of C1 are not obeyed by most terminals. Neither may part words
/// that were read.
pub(crate) const fn is_seen(c: char) -> bool {
    !matches!(c,
        '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Adds a row of the screen to its line.
fn join(begun: &mut String, row: &Line, give: &mut dyn FnMut(&str)) {
    begun.extend(row.chars());
    if !row.is_wrapped() || begun.len() > LONGEST {
        give(begun.trim_end());
        begun.clear();
    }
}

/// Gives the lines that stand on a screen.
fn standing(terminal: &Terminal, give: &mut dyn FnMut(&str)) {
    let mut begun = String::new();
    for row in terminal.screen().visible_lines() {
        join(&mut begun, row, give);
    }
    give(begun.trim_end());
}

/// Looks on while a terminal is filled.
struct Looks<'a> {
    begun: &'a mut String,
    at: Timestamp,
    moved: &'a mut bool,
    work: &'a mut Work,
    give: &'a mut dyn FnMut(Way, Timestamp, &str),
}

/// What an operation costs by itself.
pub(crate) fn cost(terminal: &Terminal, operation: &Operation) -> usize {
    match operation {
        Operation::Resize { cols, rows } => 4 * (cells(terminal) + cols * rows),
        Operation::Function(Function::Rep(count)) => usize::from(*count) * 8,
        Operation::Function(Function::Lf | Function::Nel | Function::Ri) => terminal.size().0,
        Operation::Function(_) => 1,
    }
}

/// What an operation does to what stands on the screen.
enum Harm {
    None,
    /// The cursor goes where something may stand.
    Moves,
    /// It wipes of the cursor's line.
    Line,
    /// It wipes of all lines, or moves them out.
    Screen,
}

fn harm(operation: &Operation) -> Harm {
    let Operation::Function(function) = operation else {
        return Harm::Screen;
    };
    let switches = |modes: &[DecMode]| {
        modes.iter().any(|mode| {
            matches!(
                mode,
                DecMode::AltScreenBuffer | DecMode::SaveCursorAltScreenBuffer
            )
        })
    };
    match function {
        Function::Ed(EdScope::SavedLines) => Harm::None,
        Function::Ed(_)
        | Function::Ris
        | Function::Decaln
        | Function::Il(_)
        | Function::Dl(_)
        | Function::Sd(_)
        | Function::Su(_) => Harm::Screen,
        Function::Decset(modes) | Function::Decrst(modes) if switches(modes.as_slice()) => Harm::Screen,
        Function::El(_) | Function::Ech(_) | Function::Dch(_) | Function::Ich(_) => Harm::Line,
        Function::Cup(..)
        | Function::Cuu(_)
        | Function::Cpl(_)
        | Function::Vpa(_)
        | Function::Cub(_)
        | Function::Cha(_)
        | Function::Cbt(_)
        | Function::Cr
        | Function::Bs
        | Function::Ri
        | Function::Decrc
        | Function::Scorc => Harm::Moves,
        _ => Harm::None,
    }
}

impl Looks<'_> {
    fn screen(&mut self, terminal: &Terminal) {
        let at = self.at;
        standing(terminal, &mut |line| (self.give)(Way::Stood, at, line));
        *self.moved = false;
    }
}

impl Observer for Looks<'_> {
    type Output = ();

    fn before(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        let terminal = context.terminal();
        let (columns, _) = terminal.size();
        self.work.pay(cost(terminal, operation));
        match harm(operation) {
            Harm::None => {}
            Harm::Moves => *self.moved = true,
            Harm::Line => {
                self.work.pay(2 * columns);
                if let Some(row) = terminal.screen().line(terminal.cursor().row) {
                    (self.give)(Way::Stood, self.at, row.text().trim_end());
                }
            }
            Harm::Screen => {
                self.work.pay(3 * cells(terminal));
                self.screen(terminal);
                if matches!(operation, Operation::Function(Function::Ris)) {
                    self.begun.clear();
                }
            }
        }
    }

    fn evicted(&mut self, _: &mut Observation<'_>, line: &Line) {
        let at = self.at;
        join(self.begun, line, &mut |line| (self.give)(Way::Left, at, line));
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}
