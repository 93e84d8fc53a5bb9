//! What a witness keeps of a log that contradicted itself: the proposal as it was sent, signed by the log.
//!
//! Anybody may send what a log signed, with a proof of their own making. So what proves two logs by itself has its own files, which
//! nothing else can fill; no file is ever written over; and of one checkpoint only one proposal is kept.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use daypass_core::text::Hash;

/// How many are kept of a log and a kind. One is proof enough; more would fill the disk.
const MOST: usize = 16;

/// What a proposal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The log signed two checkpoints of one size.
    Fork,
    /// The log signed a checkpoint, and the proof that came with it does not hold. Who sent that proof is not known.
    Unproved,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Unproved => "unproved",
        }
    }
}

/// Keeps a proposal beside the file of what was signed last; `checkpoint`: what the log signed in it. `None`: that one is there already.
/// Blocks on the disk.
///
/// # Errors
/// In words: why it was not kept.
pub(super) fn keep(
    beside: &Path,
    kind: Kind,
    checkpoint: &str,
    body: &[u8],
) -> Result<Option<PathBuf>, String> {
    let folder = beside.parent().unwrap_or_else(|| Path::new("."));
    let stem = beside.file_stem().unwrap_or_default().to_string_lossy();
    let prefix = format!("{stem}.{}-", kind.word());
    let path = folder.join(format!("{prefix}{}", Hash::of(checkpoint.as_bytes())));
    let not = |error: std::io::Error| format!("not kept: {error}");
    let there = std::fs::read_dir(folder).map_err(not)?;
    let count = there
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .count();
    if path.exists() {
        return Ok(None);
    }
    if count >= MOST {
        return Err(format!("not kept: there are {MOST} already"));
    }
    let mut file = match File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
    {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(None),
        opened => opened.map_err(not)?,
    };
    file.write_all(body)
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(not)?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_send_never_keeps_the_proof_of_a_fork_out() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("log.checkpoint");
        let kept = |kind, checkpoint: &str, body: &[u8]| keep(&beside, kind, checkpoint, body);
        for number in 0..MOST {
            let checkpoint = number.to_string();
            assert!(kept(Kind::Unproved, &checkpoint, b"junk").unwrap().is_some());
            // The same checkpoint with another proof takes no further place.
            assert_eq!(kept(Kind::Unproved, &checkpoint, b"more junk"), Ok(None));
        }
        let full = kept(Kind::Unproved, "another", b"junk").unwrap_err();
        assert!(full.contains("16 already"), "{full}");
        let fork = kept(Kind::Fork, "the other log", b"fork").unwrap().unwrap();
        // And what is kept stays as it is.
        assert_eq!(kept(Kind::Fork, "the other log", b"something else"), Ok(None));
        assert_eq!(std::fs::read(fork).unwrap(), b"fork");
    }
}
