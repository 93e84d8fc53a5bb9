//! What the operator says of a program, and whether its file is one that only the operator could have written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use daypass_core::time::Span;

/// A program that connectors may run, as `server.yaml` says it. Nothing in it comes from policy.
///
/// What the target can do stands here too and not in the policy, nor is the program asked: whoever installed the program
/// knows, once, and a mistake of a policy's author cannot make Daypass believe too much (ADR 0008).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file: absolute.
    pub path: PathBuf,
    /// Its arguments, always the same.
    pub args: Vec<String>,
    /// Its environment, beside `PATH`. It inherits nothing.
    pub env: BTreeMap<String, String>,
    /// The names of the secrets that it reads on standard input.
    pub secrets: BTreeSet<String>,
    /// Variables that hold a secret, with the secret's name.
    pub env_secrets: BTreeMap<String, String>,
    /// Where it runs: absolute.
    pub directory: PathBuf,
    /// After so long it is killed.
    pub timeout: Span,
    /// How long what it changed may take to show when it looks.
    pub propagation: Span,
    /// What it makes ends by itself at the limit that it was told.
    pub own_expiry: bool,
}

/// Writable by the group or by others.
const WRITABLE: u32 = 0o022;
/// Only who owns a file in such a folder may replace it (`/tmp`).
const STICKY: u32 = 0o1000;
/// Executable by anybody at all.
const EXECUTABLE: u32 = 0o111;

impl Program {
    /// Whether the file is there, may be run, and can be changed by nobody but root and the user that Daypass runs as. Looked
    /// at before each start. Blocks on the file system.
    ///
    /// Returns the path to start: one without links in it, all of whose folders were looked at. A link on the way that is turned
    /// somewhere else afterwards leads nobody there.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(&self) -> Result<PathBuf, String> {
        let path = self.path.as_path();
        if !path.is_absolute() {
            return Err(format!("{} is no absolute path", path.display()));
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(format!("{} is no file", path.display()));
        };
        let real = folder.canonicalize().map_err(|error| said(folder, &error))?;
        let path = &*real.join(name);
        let file = path.symlink_metadata().map_err(|error| said(path, &error))?;
        if file.is_symlink() {
            let to = path
                .canonicalize()
                .map(|to| format!(": {}", to.display()))
                .unwrap_or_default();
            let what = "is a symbolic link; name the file that it leads to";
            return Err(format!("{} {what}{to}", path.display()));
        }
        if !file.is_file() {
            return Err(format!("{} is no file", path.display()));
        }
        if file.mode() & EXECUTABLE == 0 {
            return Err(format!("{} is not executable; chmod 755 it", path.display()));
        }
        owned(path, &file)?;
        if file.mode() & WRITABLE != 0 {
            return Err(writable(path, &file));
        }
        folders(&real)?;
        if !self.directory.is_absolute() || !self.directory.is_dir() {
            return Err(format!("the directory {} is none", self.directory.display()));
        }
        Ok(path.to_owned())
    }
}

/// Who may write a folder on the way may put another file in the place of this one. `real`: a folder, without links.
fn folders(real: &Path) -> Result<(), String> {
    for folder in real.ancestors() {
        let meta = folder.metadata().map_err(|error| said(folder, &error))?;
        owned(folder, &meta)?;
        if meta.mode() & WRITABLE != 0 && meta.mode() & STICKY == 0 {
            return Err(writable(folder, &meta));
        }
    }
    Ok(())
}

fn owned(path: &Path, meta: &Metadata) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() == 0 || meta.uid() == own {
        return Ok(());
    }
    Err(format!(
        "{} belongs to user {}, who may change it; it must belong to root or to the user that runs Daypass ({own})",
        path.display(),
        meta.uid()
    ))
}

fn writable(path: &Path, meta: &Metadata) -> String {
    format!(
        "{} may be changed by others (mode {:03o}); chmod go-w it",
        path.display(),
        meta.mode() & 0o7777
    )
}

fn said(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn program(path: PathBuf) -> Program {
        Program {
            path,
            args: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeSet::new(),
            env_secrets: BTreeMap::new(),
            directory: "/".into(),
            timeout: Span::seconds(5),
            propagation: Span::ZERO,
            own_expiry: false,
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_file_that_nobody_else_can_change_is_run() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().canonicalize().unwrap().join("bin");
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        let file = folder.join("badges");
        let refused = |path: &Path, with: &str| {
            let said = program(path.to_owned()).check().unwrap_err();
            assert!(said.contains(with), "{said}");
        };
        refused(&file, "No such file");
        fs::write(&file, "#!/bin/sh\n").unwrap();
        mode(&file, 0o644);
        refused(&file, "not executable");
        for open in [0o775, 0o757, 0o777] {
            mode(&file, open);
            refused(&file, "chmod go-w");
        }
        mode(&file, 0o755);
        assert_eq!(program(file.clone()).check(), Ok(file.clone()));
        mode(&folder, 0o777);
        refused(&file, "chmod go-w");
        mode(&folder, 0o1777);
        assert_eq!(program(file.clone()).check(), Ok(file.clone()), "as in /tmp");
        mode(&folder, 0o755);
        let link = folder.join("link");
        symlink(&file, &link).unwrap();
        refused(&link, "symbolic link");
        refused(&folder, "is no file");
        refused(Path::new("badges"), "no absolute path");
        let mut elsewhere = program(file);
        elsewhere.directory = folder.join("none");
        assert!(elsewhere.check().unwrap_err().contains("is none"));
    }

    #[test]
    fn what_was_looked_at_is_what_is_started() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for folder in ["real", "open", "evil"] {
            fs::create_dir(home.join(folder)).unwrap();
        }
        mode(&home.join("real"), 0o755);
        fs::write(home.join("real/badges"), "#!/bin/sh\n").unwrap();
        mode(&home.join("real/badges"), 0o755);
        // A link to a link in a folder that anybody may write: neither the path as written nor where it leads shows that one.
        symlink(home.join("real"), home.join("open/way")).unwrap();
        mode(&home.join("open"), 0o777);
        symlink(home.join("open/way"), home.join("opt")).unwrap();
        let checked = program(home.join("opt/badges")).check().unwrap();
        fs::remove_file(home.join("open/way")).unwrap();
        symlink(home.join("evil"), home.join("open/way")).unwrap();
        fs::write(home.join("evil/badges"), "#!/bin/sh\n").unwrap();
        assert_eq!(checked.canonicalize().unwrap(), home.join("real/badges"));
    }

    #[test]
    fn a_file_of_another_user_is_not_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        mode(file.path(), 0o755);
        // Only root can give a file away; who is not root meets the files of others as they are.
        if std::os::unix::fs::chown(file.path(), Some(12_345), None).is_err() {
            return;
        }
        let said = program(file.path().to_owned()).check().unwrap_err();
        assert!(said.contains("belongs to user 12345"), "{said}");
    }
}
