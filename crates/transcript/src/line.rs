//! Lines of a recording, as far as they are of programs and what they showed.

use std::borrow::Cow;

use daypass_core::time::Timestamp;
use serde::Deserialize;

/// The largest terminal that is believed: nobody has a larger one.
const LARGEST: u32 = 1_000;

/// A program of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its number in the recording.
    pub channel: u32,
    /// When it began.
    pub at: Timestamp,
    /// The command; a shell has none.
    pub command: Option<String>,
    /// What the client called its terminal.
    pub term: Option<String>,
    /// Its size, columns and rows; none where what it showed is not recorded.
    pub size: Option<(u16, u16)>,
    /// Since when what it showed is recorded, where it is.
    pub shown: Option<Timestamp>,
}

/// A line of one program.
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) channel: u32,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// It began.
    Began(Option<String>),
    /// It shows something from here on.
    Shows(Option<String>, (u16, u16)),
    Output(String),
    Size((u16, u16)),
    /// It ended, with a status where somebody said one.
    Ended(Option<u32>),
}

#[derive(Deserialize)]
struct Read<'a> {
    at: Timestamp,
    kind: Cow<'a, str>,
    channel: Option<u32>,
    command: Option<String>,
    term: Option<String>,
    #[serde(default)]
    columns: u32,
    #[serde(default)]
    rows: u32,
    text: Option<String>,
    hex: Option<String>,
    status: Option<u32>,
}

/// A terminal that has no size is an ordinary one.
fn size(columns: u32, rows: u32) -> (u16, u16) {
    let clamped = |value: u32, usual: u16| match value {
        0 => usual,
        _ => u16::try_from(value.min(LARGEST)).unwrap_or(usual),
    };
    (clamped(columns, 80), clamped(rows, 24))
}

/// Reads a line; nothing where it is of nothing that is looked at here.
pub(crate) fn read(line: &str) -> Option<Line> {
    let read: Read<'_> = serde_json::from_str(line).ok()?;
    let what = match &*read.kind {
        "exec" => What::Began(read.command),
        "terminal" => What::Shows(read.term, size(read.columns, read.rows)),
        "resize" => What::Size(size(read.columns, read.rows)),
        "output" => What::Output(match (read.text, read.hex) {
            (Some(text), _) => text,
            (None, Some(hex)) => String::from_utf8_lossy(&hex::decode(hex).ok()?).into_owned(),
            (None, None) => return None,
        }),
        "exit" => What::Ended(read.status),
        _ => return None,
    };
    Some(Line {
        at: read.at,
        channel: read.channel?,
        what,
    })
}

/// The programs of a recording, in the order in which they began.
pub fn programs<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Program> {
    let mut all: Vec<Program> = Vec::new();
    for line in lines.into_iter().filter_map(read) {
        match line.what {
            What::Began(command) => all.push(Program {
                channel: line.channel,
                at: line.at,
                command,
                term: None,
                size: None,
                shown: None,
            }),
            What::Shows(term, size) => {
                if let Some(program) = all.iter_mut().find(|one| one.channel == line.channel) {
                    (program.term, program.size) = (term, Some(size));
                    program.shown = program.shown.or(Some(line.at));
                }
            }
            _ => {}
        }
    }
    all
}
