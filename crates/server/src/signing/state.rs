//! What this server signed last, in a small file outside the database: a store that is put back from a copy does not take it along.
//!
//! The file is the signed note itself, so that nobody without the key can write one that is believed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use daypass_tlog::Checkpoint;
use daypass_tlog::key::Verifier;

use crate::durable::replace;

/// The longest such file that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct StateFile(PathBuf);

impl StateFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What was signed last; `None` where there is no such file. Blocks on a small file.
    ///
    /// # Errors
    /// Where it cannot be read, or is not signed by any of these keys.
    pub(crate) fn read(&self, keys: &[&Verifier]) -> Result<Option<Checkpoint>, String> {
        let bytes = match std::fs::metadata(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(meta) if meta.len() > LONGEST => return Err(format!("it is longer than {LONGEST} bytes")),
            Ok(_) => std::fs::read(&self.0).map_err(|error| error.to_string())?,
        };
        checkpoint(&bytes, keys).map(Some)
    }

    /// Keeps this note in its place, durably: whoever reads sees the old or the new. Blocks on the disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn write(&self, note: &str) -> std::io::Result<()> {
        replace(&self.0, note.as_bytes())
    }

    /// Forgets it. Blocks on the disk.
    ///
    /// # Errors
    /// Where it cannot be taken away.
    pub(crate) fn forget(&self) -> std::io::Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The checkpoint in a note that one of these keys signed for its own log.
///
/// # Errors
/// Where it is none.
pub(crate) fn checkpoint(note: &[u8], keys: &[&Verifier]) -> Result<Checkpoint, String> {
    let signed = daypass_tlog::signed(note, keys.iter().copied());
    let (checkpoint, _) = signed.map_err(|error| error.to_string())?;
    Ok(checkpoint)
}
