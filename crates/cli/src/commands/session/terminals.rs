//! What terminals showed in a recording: written as asciicast, and searched.

use std::path::Path;

use daypass_core::id::SessionId;
use daypass_transcript::{Found, Search, asciicast, programs};

use crate::context::Context;
use crate::failure::Failure;
use crate::line::{Field, Grid, Line, Style};

/// Writes what a program showed to a file that nobody else reads.
pub(super) fn write(
    context: &Context,
    lines: &[String],
    channel: Option<u32>,
    file: &Path,
) -> Result<(), Failure> {
    let channel = match channel {
        Some(channel) => channel,
        None => only(lines)?,
    };
    let cast = asciicast(lines.iter().map(String::as_str), channel)
        .ok_or_else(|| Failure::error(format!("what program {channel} showed is not recorded")))?;
    let written = write_new(file, cast.as_bytes());
    written.map_err(|error| Failure::error(format!("{} cannot be written: {error}", file.display())))?;
    let what = format!("{} (asciinema play {0})", file.display());
    context.out.note(Line::new().with(Style::Good, "✓ ").text(what));
    Ok(())
}

/// It shows what nobody but auditors is to see.
fn write_new(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The only program of which it is recorded what it showed.
fn only(lines: &[String]) -> Result<u32, Failure> {
    let mut all = programs(lines.iter().map(String::as_str));
    all.retain(|program| program.size.is_some());
    match all.as_slice() {
        [only] => Ok(only.channel),
        [] => Err(Failure::error("there is no terminal in this recording")),
        several => {
            let each = several.iter().map(|program| {
                let command = program.command.as_deref().unwrap_or("a shell");
                format!("{} ({command})", program.channel)
            });
            let each: Vec<String> = each.collect();
            Err(Failure::usage("several programs showed something")
                .hint(format!("say which with --channel: {}", each.join(", "))))
        }
    }
}

/// Where words stand.
pub(super) struct Stands {
    session: SessionId,
    found: Found,
}

/// Searches a session for words, line by line.
pub(super) struct Searching {
    session: SessionId,
    search: Search,
}

impl Searching {
    pub(super) fn new(session: SessionId, words: &str) -> Self {
        Self {
            session,
            search: Search::new(words),
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        self.search.line(line);
    }

    /// Where they stand; says what was not wholly searched.
    pub(super) fn finish(self, context: &Context) -> Vec<Stands> {
        let Self { session, search } = self;
        let searched = search.finish();
        let warn = |what: String| {
            let line = Line::new().with(Style::Warn, "! ");
            context
                .out
                .warn(line.text(format!("{}: {what}", session.short())));
        };
        for (channel, from) in searched.partly {
            warn(format!(
                "what program {channel} wrote from {from} on is searched, and not how it stood on its screen: that was drawn too often"
            ));
        }
        if searched.more {
            warn("it stands in more lines than are shown: look for more words at once".to_owned());
        }
        let found = searched.found.into_iter();
        found.map(|found| Stands { session, found }).collect()
    }
}

/// Shows it; with the session, where those of several are shown.
pub(super) fn list(context: &Context, all: &[Stands], several: bool) {
    let shown: Vec<_> = all
        .iter()
        .map(|Stands { session, found }| {
            serde_json::json!({"session": session, "at": found.at, "channel": found.channel, "text": found.text})
        })
        .collect();
    let mut grid = Grid::new(["AT", "PROGRAM", "TEXT"]);
    for Stands { session, found } in all {
        let program = match several {
            true => format!("{} #{}", session.short(), found.channel),
            false => format!("#{}", found.channel),
        };
        grid.row([
            Field::from(found.at.to_string()),
            Field::from(program),
            Field::from(found.text.as_str()),
        ]);
    }
    let name = |one: &serde_json::Value| one["text"].as_str().unwrap_or_default().to_owned();
    context.out.list(&shown, name, &grid, "it stands nowhere");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_program_is_meant_is_said_or_there_is_one() {
        let line = |channel: u32, kind: &str| {
            let of = format!(r#""n":1,"at":"2026-01-02T10:21:07Z","channel":{channel}"#);
            match kind {
                "exec" => format!(r#"{{{of},"kind":"exec","command":"top"}}"#),
                _ => format!(r#"{{{of},"kind":"terminal","term":"xterm","columns":80,"rows":24}}"#),
            }
        };
        let one = [line(1, "exec"), line(2, "exec"), line(2, "terminal")];
        assert_eq!(only(&one).unwrap(), 2);
        assert!(only(&one[..1]).is_err());
        let two = [one.as_slice(), &[line(1, "terminal")]].concat();
        assert!(only(&two).is_err());
    }

    #[test]
    fn a_file_that_is_there_stays_and_nobody_else_reads_a_new_one() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.cast");
        write_new(&file, b"one").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(write_new(&file, b"two").is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
    }
}
