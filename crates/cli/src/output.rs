//! Where output goes: data to stdout in the format that was asked for, all else to stderr.

use std::io::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::clean::{clean, clean_json, clean_value};
use crate::failure::Failure;
use crate::line::{Grid, Line};

/// The form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For people with wide windows: more columns, full ids.
    Wide,
    /// For programs: the API's own objects.
    Json,
    /// The same as YAML.
    Yaml,
    /// Ids or names alone, one a line.
    Name,
}

/// What is known of the two streams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Streams {
    pub(crate) out_terminal: bool,
    pub(crate) out_color: bool,
    pub(crate) err_terminal: bool,
    pub(crate) err_color: bool,
}

/// The output of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    pub(crate) streams: Streams,
}

impl Output {
    pub(crate) fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// Whether programs read it.
    pub(crate) fn is_structured(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// A list. `empty` is what people are told where there is nothing.
    pub(crate) fn list<T: Serialize>(
        &self,
        items: &[T],
        name: impl Fn(&T) -> String,
        grid: &Grid,
        empty: &str,
    ) {
        match self.format {
            Format::Json | Format::Yaml => self.structured(&items),
            Format::Name => items.iter().for_each(|item| print(&clean(&name(item)))),
            Format::Table | Format::Wide if grid.is_empty() => self.note(empty),
            Format::Table | Format::Wide => self.grid(grid),
        }
    }

    /// A list of which each thing is lines of its own.
    pub(crate) fn many<T: Serialize>(
        &self,
        items: &[T],
        name: impl Fn(&T) -> String,
        lines: impl FnOnce() -> Vec<Line>,
    ) {
        match self.format {
            Format::Json | Format::Yaml => self.structured(&items),
            Format::Name => items.iter().for_each(|item| print(&clean(&name(item)))),
            Format::Table | Format::Wide => lines().iter().for_each(|line| self.line(line)),
        }
    }

    /// One thing. `lines` is what people see of it.
    pub(crate) fn one<T: Serialize>(
        &self,
        item: &T,
        name: impl FnOnce() -> String,
        lines: impl FnOnce() -> Vec<Line>,
    ) {
        match self.format {
            Format::Json | Format::Yaml => self.structured(item),
            Format::Name => print(&clean(&name())),
            Format::Table | Format::Wide => lines().iter().for_each(|line| self.line(line)),
        }
    }

    /// A table on stdout.
    pub(crate) fn grid(&self, grid: &Grid) {
        let Streams {
            out_color,
            out_terminal,
            ..
        } = self.streams;
        grid.render(out_color, out_terminal)
            .iter()
            .for_each(|line| print(line));
    }

    /// A line on stdout.
    pub(crate) fn line(&self, line: &Line) {
        print(&line.render(self.streams.out_color));
    }

    /// A line on stderr that nobody needs: what happens, what to do next.
    pub(crate) fn note(&self, line: impl Into<Line>) {
        if !self.quiet {
            complain(&line.into().render(self.streams.err_color));
        }
    }

    /// A line on stderr that must be seen.
    pub(crate) fn warn(&self, line: impl Into<Line>) {
        complain(&line.into().render(self.streams.err_color));
    }

    /// Why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.format == Format::Json {
            complain(&clean_json(&failure.json().to_string()));
        } else {
            failure.lines().into_iter().for_each(|line| self.warn(line));
        }
    }

    /// Something that goes on; it is shown on a terminal only.
    pub(crate) fn progress(&self) -> Progress {
        if self.quiet || !self.streams.err_terminal {
            return Progress(None);
        }
        let bar = ProgressBar::new_spinner();
        if let (false, Ok(style)) = (
            self.streams.err_color,
            ProgressStyle::with_template("{spinner} {msg}"),
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(Some(bar))
    }

    /// What programs read, as it is; control characters are shown, as they are everywhere.
    pub(crate) fn verbatim(&self, text: &str) {
        let lines: Vec<String> = text.split("\r\n").map(clean).collect();
        let _ = write!(std::io::stdout().lock(), "{}", lines.join("\r\n"));
    }

    fn structured<T: Serialize>(&self, value: &T) {
        let written = match self.format {
            Format::Yaml => serde_json::to_value(value)
                .map_err(|error| error.to_string())
                .and_then(|value| {
                    serde_saphyr::to_string(&clean_value(value)).map_err(|error| error.to_string())
                }),
            _ => serde_json::to_string_pretty(value)
                .map(|json| clean_json(&json))
                .map_err(|error| error.to_string()),
        };
        match written {
            Ok(text) => print(text.trim_end()),
            Err(error) => self.warn(format!("the answer cannot be written in this form: {error}")),
        }
    }
}

/// A spinner, or nothing where nobody would see it.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(crate) fn say(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(clean(text));
        }
    }

    pub(crate) const fn is_visible(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Whoever reads stdout may have gone (`| head`): that is no failure of the command.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
