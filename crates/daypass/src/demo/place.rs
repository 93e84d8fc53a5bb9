//! The demo's folder: what is written into it is new, and for this user alone.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A file that this user reads and writes.
pub(super) const DATA: u32 = 0o600;
/// One that this user runs.
pub(super) const PROGRAM: u32 = 0o700;

/// A new file; where it is.
pub(super) fn file(folder: &Path, name: &str, text: &str, mode: u32) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(&path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| cannot(&path, &error))?;
    Ok(path)
}

/// A new folder; where it is.
pub(super) fn folder(parent: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = parent.join(name);
    let made = DirBuilder::new().mode(0o700).create(&path);
    made.map_err(|error| cannot(&path, &error))?;
    Ok(path)
}

/// A path as one word of the shell.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("{} cannot be made: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_it_holds() {
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn nothing_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "one", "first", DATA).unwrap();
        assert!(file(dir.path(), "one", "second", DATA).is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("one")).unwrap(), "first");
    }
}
