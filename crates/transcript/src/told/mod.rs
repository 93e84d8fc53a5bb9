//! Records in words, for people: the same words on a terminal and on a page.
//!
//! Nothing of it is made harmless here: who shows it knows what their reader's screen obeys.

mod host;
mod statement;

use std::fmt;

pub use statement::Record;

use host::Host;

/// How a part of what is said matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// What matters most.
    Strong,
    /// What matters least.
    Faint,
    /// What is missing, was refused or has failed.
    Warn,
}

/// A line of words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said(Vec<(Tone, String)>);

impl Said {
    /// Its parts, in their order.
    #[must_use]
    pub fn parts(self) -> Vec<(Tone, String)> {
        self.0
    }

    fn text(self, text: impl Into<String>) -> Self {
        self.with(Tone::Plain, text)
    }

    fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(_, text)| f.write_str(text))
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub number: u64,
    /// The time of day at which it was.
    pub time: String,
    /// How long a statement took.
    pub took: Option<String>,
    /// How many rows a statement gave, where it gave any.
    pub rows: Option<u64>,
    /// What was done, and what became of it.
    pub what: Vec<Said>,
}

impl Told {
    fn of(host: &mut Host, record: &Record, line: &str) -> Self {
        let is_statement = matches!(record.kind.as_str(), "statement" | "lost");
        Self {
            number: record.n,
            time: record.time(),
            took: record.took().filter(|_| is_statement),
            rows: record.rows().filter(|_| is_statement),
            what: if is_statement {
                vec![statement::shown(record)]
            } else {
                host.lines(&record.kind, &Said::default(), line)
            },
        }
    }

    /// All of it: `10:21:07Z  12 ms  3 rows  select …`.
    #[must_use]
    pub fn lines(self) -> Vec<Said> {
        let mut begin = Said::default().with(Tone::Faint, format!("{}  ", self.time));
        if let Some(took) = self.took {
            begin = begin.with(Tone::Faint, format!("{took}  "));
        }
        if let Some(rows) = self.rows {
            let s = if rows == 1 { "" } else { "s" };
            begin = begin.with(Tone::Faint, format!("{rows} row{s}  "));
        }
        let behind = |said: Said| Said(begin.0.iter().cloned().chain(said.0).collect());
        self.what.into_iter().map(behind).collect()
    }
}

/// Tells the records of one session, one after another.
#[derive(Debug, Default)]
pub struct Teller(Host);

impl Teller {
    /// What a record says. One that is not understood is told as it is stored.
    pub fn tell(&mut self, record: &Record, line: &str) -> Told {
        Told::of(&mut self.0, record, line)
    }

    /// What was not shown of programs that have not ended.
    pub fn left_out(&mut self) -> Vec<Said> {
        self.0.left_out(&Said::default())
    }
}
