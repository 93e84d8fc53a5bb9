//! Whom a verifier believes: the keys that may have signed the log, and checkpoints that were seen before.

use std::path::{Path, PathBuf};

use clap::Args;
use daypass_tlog::key::{Use, Verifier};
use daypass_tlog::{Checkpoint, Marks};

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

    /// A checkpoint that you saw and kept: the log must go on from it. May be given several times
    #[arg(long, value_name = "FILE")]
    pub seen: Vec<PathBuf>,

    /// A file with the public key of a witness: its signature is demanded. May be given several times
    #[arg(long, value_name = "FILE")]
    pub witness: Vec<PathBuf>,

    /// So many of them will do [default: all that are given]
    #[arg(long, value_name = "N", requires = "witness")]
    pub witnesses: Option<usize>,
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
            let text = read(path)?;
            signed(text.as_bytes(), keys)
                .map(|(checkpoint, _)| checkpoint)
                .map_err(|why| format!("{}: {why}", path.display()))
        };
        let all: Result<_, String> = self.seen.iter().map(one).collect();
        all.map_err(|what| {
            (
                what,
                "keep the file `checkpoint` of an earlier daypass audit export --dir; the file of --key may have several keys, a line each: \
                 where the log's key was rotated, also the one that signed this",
            )
        })
    }
}

/// The keys of a log in a file: a line each, empty ones and those with `#` left out.
///
/// # Errors
/// Where it cannot be read, or a line is no key of a log. What and why, and what to try.
pub(crate) fn keys_of(file: &Path) -> Result<Vec<Verifier>, (String, &'static str)> {
    let hint = "the server writes it beside its signing key (log-key.pub); daypass keys ls shows it too";
    let text = read(file).map_err(|what| (what, hint))?;
    let lines = text.lines().map(str::trim);
    let mut keys = Vec::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let wrong = |why: &str| (format!("{}: {why}", file.display()), hint);
        if line.starts_with("PRIVATE+KEY+") {
            return Err(wrong(
                "this is the private half of a key; nobody but the server should have it",
            ));
        }
        let key: Verifier = line
            .parse()
            .map_err(|error: daypass_tlog::key::NoKey| wrong(&error.to_string()))?;
        if key.what() != Use::Note {
            return Err(wrong("this is the key of a witness, which signs no log"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err((format!("{} holds no key", file.display()), hint));
    }
    Ok(keys)
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
pub(super) fn marks(seen: &[Checkpoint]) -> Result<Marks<()>, Failure> {
    let mut marks = Marks::default();
    for seen in seen {
        marks
            .add(seen.size, seen.head, ())
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
