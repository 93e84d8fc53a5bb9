//! Whom a verifier believes: the keys that may have signed the log, and checkpoints that were seen before.

use std::path::{Path, PathBuf};

use clap::Args;
use daypass_core::time::Span;
use daypass_tlog::key::{self, Use, Verifier};
use daypass_tlog::{Checkpoint, Marks};
use serde_json::Value;

use super::reader::unsound;
use crate::failure::Failure;

/// The longest file of keys or checkpoints that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What the log is held against.
#[derive(Debug, Clone, Args)]
pub struct Trust {
    /// The file with the log's public key; get it from the server's operator, not from the server
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// A checkpoint that you or somebody else saw: a kept one, a client's pin, or evidence. The log must go on from it. May be given several times
    #[arg(long, value_name = "FILE")]
    pub seen: Vec<PathBuf>,

    /// A file with the public key of a witness: its signature is demanded. May be given several times
    #[arg(long, value_name = "FILE")]
    pub witness: Vec<PathBuf>,

    /// So many of them will do [default: all that are given]
    #[arg(long, value_name = "N", requires = "witness")]
    pub witnesses: Option<usize>,

    /// How long ago they may have signed what a server shows: a server asks its witnesses at least each minute
    #[arg(long, value_name = "TIME", requires = "witness", default_value = "10m")]
    pub witness_age: Span,
}

impl Trust {
    /// The keys of the file: a line each, empty ones and those with `#` left out.
    ///
    /// # Errors
    /// Where it cannot be read, or a line is no key of a log. What and why, and what to try.
    pub fn keys(&self) -> Result<Vec<Verifier>, (String, &'static str)> {
        keys_of(&self.key)
    }

    /// The checkpoints that were seen, each signed by one of these keys.
    ///
    /// # Errors
    /// Where one cannot be read, or is not signed by them.
    pub fn seen(&self, keys: &[Verifier]) -> Result<Vec<Checkpoint>, (String, &'static str)> {
        let one = |path: &PathBuf| {
            let wrong = |why: String| format!("{}: {why}", path.display());
            let notes = kept(&read(path)?).map_err(wrong)?;
            let believed = |note: String| signed(note.as_bytes(), keys).map(|(checkpoint, _)| checkpoint);
            let all: Result<Vec<_>, String> = notes.into_iter().map(believed).collect();
            all.map_err(wrong)
        };
        let all: Result<Vec<_>, String> = self.seen.iter().map(one).collect();
        let all = all.map(|all| all.into_iter().flatten().collect());
        all.map_err(|what| {
            (
                what,
                "keep the file `checkpoint` of an earlier daypass audit export --dir; the file of --key may have several keys, a line each: \
                 where the log's key was rotated, also the one that signed this",
            )
        })
    }
}

/// The checkpoints that a file has, as they were signed: the one that it is, or all that stand in a pin or in evidence.
fn kept(text: &str) -> Result<Vec<String>, String> {
    if !text.trim_start().starts_with('{') {
        return Ok(vec![text.to_owned()]);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut notes = Vec::new();
    gather(&value, &mut notes);
    match notes.is_empty() {
        false => Ok(notes),
        true => Err(String::from("there is no checkpoint in it")),
    }
}

/// Every text that is called a checkpoint, wherever it stands.
fn gather(value: &Value, notes: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
            Value::String(note) if name == "checkpoint" => notes.push(note.clone()),
            value => gather(value, notes),
        }),
        Value::Array(values) => values.iter().for_each(|value| gather(value, notes)),
        _ => {}
    }
}

/// The keys of a log in a file: a line each, empty ones and those with `#` left out.
///
/// # Errors
/// Where it cannot be read, or a line is no key of a log. What and why, and what to try.
pub(crate) fn keys_of(file: &Path) -> Result<Vec<Verifier>, (String, &'static str)> {
    let hint = "the server writes it beside its signing key (log-key.pub); daypass keys ls shows it too";
    match keys_in(file, Use::Note) {
        Ok(keys) if keys.is_empty() => Err((format!("{} holds no key", file.display()), hint)),
        keys => keys.map_err(|what| (what, hint)),
    }
}

/// The keys of a file that sign that: a line each, empty ones and those with `#` left out.
///
/// # Errors
/// Where it cannot be read, or a line is none.
pub(super) fn keys_in(file: &Path, of: Use) -> Result<Vec<Verifier>, String> {
    let wrong = |why: &str| format!("{}: {why}", file.display());
    let text = read(file)?;
    key::lines(&text)
        .map(|line| {
            if line.starts_with("PRIVATE+KEY+") {
                return Err(wrong(
                    "this is the private half of a key; nobody but who signs should have it",
                ));
            }
            let key: Verifier = line
                .parse()
                .map_err(|error: daypass_tlog::key::NoKey| wrong(&error.to_string()))?;
            match (key.what(), of) {
                (Use::Cosignature, Use::Note) => {
                    Err(wrong("this is the key of a witness, which signs no log"))
                }
                (Use::Note, Use::Cosignature) => Err(wrong("this is the key of a log, and no witness's")),
                _ => Ok(key),
            }
        })
        .collect()
}

/// Who saw a checkpoint that the log must come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Whoever verifies.
    Yours,
    /// A key, when it announced the next one.
    Keys,
    /// Witnesses.
    Witnesses,
}

impl Whose {
    /// In words: "the checkpoint that …".
    pub(super) const fn that(self) -> &'static str {
        match self {
            Self::Yours => "you saw",
            Self::Keys => "a key of this log signed when it announced the next one",
            Self::Witnesses => "the witnesses signed",
        }
    }
}

/// The checkpoint in a note, and which of these keys signed it.
///
/// # Errors
/// Where it is none, or none of them signed it for its own log.
pub(super) fn signed(note: &[u8], keys: &[Verifier]) -> Result<(Checkpoint, Verifier), String> {
    let (checkpoint, key) = daypass_tlog::signed(note, keys).map_err(|error| error.to_string())?;
    Ok((checkpoint, key.clone()))
}

/// What the log must come by.
///
/// # Errors
/// Where two of them are of one size and differ: whoever signed them has shown two logs, whatever there is to verify now.
pub(super) fn marks(seen: &[Checkpoint]) -> Result<Marks<Whose>, Failure> {
    let mut marks = Marks::default();
    for seen in seen {
        marks
            .add(seen.size, seen.head, Whose::Yours)
            .map_err(|two| unsound(&format!("of what you saw, {two}")))?;
    }
    Ok(marks)
}

pub(super) fn read(path: &Path) -> Result<String, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{} cannot be read: {why}", path.display());
    let length = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if length > LONGEST {
        return Err(wrong(&format!("it has more than {LONGEST} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(&error))
}

/// A failure of these.
pub(crate) fn failure((what, hint): (String, &'static str)) -> Failure {
    Failure::error(what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_others_are_read_from_what_their_clients_keep() {
        assert_eq!(kept("a\n\nnote\n").unwrap(), ["a\n\nnote\n"]);
        let pin = r#"{"server": "x", "log": {"checkpoint": "one", "by_former": {"checkpoint": "two"}}}"#;
        let mut both = kept(pin).unwrap();
        both.sort();
        assert_eq!(both, ["one", "two"]);
        let evidence =
            r#"{"what": "x", "seen": {"checkpoint": "one"}, "shown": {"checkpoint": "two", "answer": "y"}}"#;
        assert_eq!(kept(evidence).unwrap().len(), 2);
        for nothing in ["{}", r#"{"shown": {"checkpoint": null}}"#, "{ broken"] {
            assert!(kept(nothing).is_err(), "{nothing}");
        }
    }
}
