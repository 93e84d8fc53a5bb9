//! One process on one file: a lock beside it, held for as long as the store is open.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The lock. The system lets it go with the process, however that ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the database at this path.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let beside = beside(path)?;
        let file = private(&beside).map_err(|error| unavailable(&beside, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(format!(
                "another Daypass server uses {}; stop it first, or give this one another store",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unavailable(&beside, &error)),
        }
    }
}

/// Makes the database's file, readable by its owner only; what SQLite writes beside it gets the same rights.
pub(crate) fn create_private(path: &Path) -> Result<()> {
    private(path).map(drop).map_err(|error| unavailable(path, &error))
}

/// Another way to write the same path must find the same lock.
fn beside(path: &Path) -> Result<PathBuf> {
    let real = path.canonicalize().or_else(|_| {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        folder
            .canonicalize()
            .map(|folder| folder.join(path.file_name().unwrap_or_default()))
    });
    let mut name = real.map_err(|error| unavailable(path, &error))?.into_os_string();
    name.push(".lock");
    Ok(name.into())
}

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn unavailable(path: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("{} cannot be opened: {error}", path.display()))
}
