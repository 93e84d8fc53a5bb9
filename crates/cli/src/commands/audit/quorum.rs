//! Witnesses whose signatures a verifier demands: that enough of them saw a checkpoint, and when.

use std::path::PathBuf;

use daypass_core::time::Timestamp;
use daypass_tlog::Note;
use daypass_tlog::key::{Use, Verifier};

use super::reader::unsound;
use super::trust::read;
use crate::context::Context;
use crate::failure::Failure;
use crate::human::instant;
use crate::line::{Line, Style};

/// Who must have signed, and how many of them.
pub(super) struct Quorum {
    keys: Vec<Verifier>,
    least: usize,
}

impl Quorum {
    /// Those of `--witness` and `--witnesses`; `None` where nobody's signature is demanded.
    pub(super) fn of(files: &[PathBuf], least: Option<usize>) -> Result<Option<Self>, Failure> {
        let mut keys: Vec<Verifier> = Vec::new();
        for file in files {
            let wrong = |why: String| {
                Failure::usage(format!("{}: {why}", file.display()))
                    .hint("the line that daypass witness prints, and writes to key.pub in its folder")
            };
            let text = read(file).map_err(Failure::usage)?;
            let lines = text.lines().map(str::trim);
            for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let key: Verifier = line
                    .parse()
                    .map_err(|error: daypass_tlog::key::NoKey| wrong(error.to_string()))?;
                if key.what() != Use::Cosignature {
                    return Err(wrong(String::from("this is the key of a log, and no witness's")));
                }
                // Given twice it would count twice.
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        if keys.is_empty() {
            return match files {
                [] => Ok(None),
                _ => Err(Failure::usage("the files of --witness hold no key")),
            };
        }
        let least = least.unwrap_or(keys.len());
        if least == 0 || least > keys.len() {
            return Err(Failure::usage(format!(
                "--witnesses is from 1 to the number of keys given, which is {}",
                keys.len()
            )));
        }
        Ok(Some(Self { keys, least }))
    }

    /// Demands the signatures on a checkpoint, and says whose there are.
    ///
    /// # Errors
    /// Where there are too few.
    pub(super) fn demand(&self, context: &Context, note: &[u8]) -> Result<(), Failure> {
        let note = Note::parse(note).map_err(|error| unsound(&format!("the checkpoint: {error}")))?;
        let mut signed = Vec::new();
        let mut missing = Vec::new();
        for key in &self.keys {
            match note.verify(key) {
                Ok(seen) => signed.push((key.name(), seen.at)),
                Err(error) => missing.push(error.to_string()),
            }
        }
        if signed.len() < self.least {
            return Err(unsound(&format!(
                "{} of the {} witnesses that must have signed the checkpoint did: {}",
                signed.len(),
                self.least,
                missing.join("; ")
            )));
        }
        for (name, seconds) in signed {
            let micros = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
            let at = instant(Timestamp::from_micros(micros));
            context.out.note(
                Line::new()
                    .with(Style::Good, "✓ ")
                    .text(format!("cosigned by {name} on {at}")),
            );
        }
        Ok(())
    }
}
