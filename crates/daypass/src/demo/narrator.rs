//! What the demo says on the terminal: headings, what happened, what was refused, how long it took.
//!
//! Plain lines, without cursor movement: the same on a terminal, in a file and in CI. Colour never carries meaning alone.

use std::io::{IsTerminal as _, Write as _};

use daypass_server::edge;

/// Bold.
const STRONG: &str = "\u{1b}[1m";
/// Dim.
const FAINT: &str = "\u{1b}[2m";
/// Green.
const GOOD: &str = "\u{1b}[32m";
/// Red.
const BAD: &str = "\u{1b}[31m";
/// Cyan.
const COMMAND: &str = "\u{1b}[36m";
/// Back to plain.
const PLAIN: &str = "\u{1b}[0m";

/// Tells the story. Times in it are this machine's, in UTC.
#[derive(Clone, Copy)]
pub(super) struct Narrator {
    color: bool,
}

impl Narrator {
    /// One for this process's standard output.
    pub(super) fn new() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // Sources: https://no-color.org and https://bixense.com/clicolors.
        let terminal =
            std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            color: !set("NO_COLOR") && (terminal || set("CLICOLOR_FORCE")),
        }
    }

    /// What this is.
    pub(super) fn title(&self, text: &str) {
        self.print(&self.styled(STRONG, text));
    }

    /// What follows.
    pub(super) fn heading(&self, text: &str) {
        self.blank();
        self.print(&self.styled(STRONG, text));
    }

    /// Something happened as it should.
    pub(super) fn done(&self, text: &str) {
        self.print(&format!("  {} {text}", self.styled(GOOD, "✓")));
    }

    /// Something was refused, as it should be.
    pub(super) fn refused(&self, text: &str) {
        self.print(&format!("  {} {text}", self.styled(BAD, "✗")));
    }

    /// What somebody types.
    pub(super) fn command(&self, text: &str) {
        self.print(&format!("  {}", self.styled(COMMAND, &format!("$ {text}"))));
    }

    /// More on it.
    pub(super) fn detail(&self, text: &str) {
        self.print(&format!("    {text}"));
    }

    /// What matters least.
    pub(super) fn aside(&self, text: &str) {
        self.print(&format!("  {}", self.styled(FAINT, text)));
    }

    /// A plain line.
    pub(super) fn line(&self, text: &str) {
        self.print(text);
    }

    pub(super) fn blank(&self) {
        self.print("");
    }

    /// Something that takes a moment: says so at once, and how long it took once it is done.
    pub(super) fn begin(&self, text: &str) -> Slow {
        self.write(&format!("  … {text} "));
        Slow {
            narrator: *self,
            since: edge::instant(),
        }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.color {
            format!("{style}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }

    fn print(&self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// Whoever reads may have gone: the demo goes on, and ends when it is told to.
    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// Something slow that has begun.
pub(super) struct Slow {
    narrator: Narrator,
    since: std::time::Instant,
}

impl Slow {
    /// It is done.
    pub(super) fn done(self, what: &str) {
        let took = self.since.elapsed().as_secs_f64();
        let took = self.narrator.styled(FAINT, &format!("({took:.1} s)"));
        let gap = if what.is_empty() { "" } else { " " };
        self.narrator.print(&format!("{what}{gap}{took}"));
    }

    /// It is not.
    pub(super) fn failed(self) {
        self.narrator.print(&self.narrator.styled(BAD, "failed"));
    }
}
