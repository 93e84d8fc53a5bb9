//! What is printed for people: lines of styled text, and tables of it. Text is cleaned here, whoever wrote it.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use daypass_transcript::told::{Said, Tone};

use crate::clean::clean;

/// In fewer columns than this nothing can be wrapped so that it is read; some terminals say that they have none.
const NARROW: u16 = 40;

/// How a piece of text looks. Colour never carries meaning alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// As it is.
    #[default]
    Plain,
    /// What matters most.
    Strong,
    /// What matters least.
    Faint,
    /// Access, agreement.
    Good,
    /// Something waits or runs out.
    Warn,
    /// Refusal, failure.
    Bad,
}

impl Style {
    /// The sequence that begins it. Source: ECMA-48, select graphic rendition.
    const fn begins(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\u{1b}[1m",
            Self::Faint => "\u{1b}[2m",
            Self::Good => "\u{1b}[32m",
            Self::Warn => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }
}

/// A line of styled text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    #[must_use]
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.with(Style::Plain, text)
    }

    #[must_use]
    pub(crate) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// This line and then another.
    #[must_use]
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.0.append(&mut other.0);
        self
    }

    /// The line as it is printed, without its end.
    pub(crate) fn render(&self, color: bool) -> String {
        let mut out = String::new();
        for (style, text) in &self.0 {
            let text = clean(text);
            if color && *style != Style::Plain {
                out.push_str(&format!("{}{text}\u{1b}[0m", style.begins()));
            } else {
                out.push_str(&text);
            }
        }
        out
    }
}

impl From<Said> for Line {
    fn from(said: Said) -> Self {
        let styled = said.parts().into_iter().map(|(tone, text)| {
            let style = match tone {
                Tone::Plain => Style::Plain,
                Tone::Strong => Style::Strong,
                Tone::Faint => Style::Faint,
                Tone::Warn => Style::Warn,
            };
            (style, text)
        });
        Self(styled.collect())
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new().text(text)
    }
}

/// A column heading, a name of a thing: what a grid's cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field(pub(crate) Style, pub(crate) String);

impl<T: Into<String>> From<T> for Field {
    fn from(text: T) -> Self {
        Self(Style::Plain, text.into())
    }
}

/// A table without rules: columns with a heading, aligned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    head: Vec<&'static str>,
    rows: Vec<Vec<Field>>,
}

impl Grid {
    pub(crate) fn new(head: impl Into<Vec<&'static str>>) -> Self {
        Self {
            head: head.into(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, fields: impl Into<Vec<Field>>) {
        self.rows.push(fields.into());
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines as they are printed. Only on a terminal long texts are wrapped: a program wants one line per row.
    pub(crate) fn render(&self, color: bool, terminal: bool) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        match table.width().filter(|width| terminal && *width >= NARROW) {
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(
            self.head
                .iter()
                .map(|title| Cell::new(*title).add_attribute(Attribute::Dim)),
        );
        for row in &self.rows {
            table.add_row(row.iter().map(|Field(style, text)| cell(*style, &clean(text))));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

fn cell(style: Style, text: &str) -> Cell {
    let cell = Cell::new(text);
    match style {
        Style::Plain => cell,
        Style::Strong => cell.add_attribute(Attribute::Bold),
        Style::Faint => cell.add_attribute(Attribute::Dim),
        Style::Good => cell.fg(Color::DarkGreen),
        Style::Warn => cell.fg(Color::DarkYellow),
        Style::Bad => cell.fg(Color::DarkRed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_is_ours_and_text_is_not_trusted() {
        let line = Line::new().with(Style::Good, "yes\u{1b}[31m").text(" more");
        assert_eq!(line.render(true), "\u{1b}[32myes<U+001B>[31m\u{1b}[0m more");
        assert_eq!(line.render(false), "yes<U+001B>[31m more");
    }

    #[test]
    fn columns_line_up_and_cells_stay_in_their_row() {
        let mut grid = Grid::new(["ID", "REASON"]);
        grid.row([Field::from("R1"), Field(Style::Bad, "a\nb\u{1b}".into())]);
        grid.row([Field::from("R22222"), Field::from("é日")]);
        let lines = grid.render(false, false);
        assert_eq!(lines, ["ID      REASON", "R1      a ⏎ b<U+001B>", "R22222  é日"]);
    }
}
