//! The directory of one throwaway service: who owns it, and that it goes away, whatever happens to us.
//!
//! Three things end a service and remove its directory, and all of them run the same script (`end.sh`):
//!
//! 1. `Drop`, also when a test panics;
//! 2. a *keeper*: a shell that reads from a pipe whose other end only this process holds, so that it wakes when this
//!    process is gone, even by SIGKILL (a parent-death signal would fire when the *thread* that started the server ends,
//!    which is what a test is);
//! 3. a sweep at the next start, for the case that the keeper was killed too: a directory whose lock nobody holds has no
//!    owner. Directories that are not ours are never looked into.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::error::Doing;
use crate::run_as::RunAs;
use crate::{Error, Result};

/// Every directory that this crate makes begins with this.
const PREFIX: &str = "daypass-testbed-";

/// Held locked for as long as the owner lives; the system lets go of it when the process ends, however it ends.
const LOCK: &str = "owner.lock";

/// Ends the server of directory `$1` and removes the directory, after standard input has ended.
const END: &str = include_str!("end.sh");

/// A directory of ours under the system's temporary directory, with its keeper.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
    keeper: Child,
    _lock: File,
}

impl Place {
    /// Makes the directory, readable by `run_as` alone, and starts its keeper.
    pub(crate) fn new(run_as: &RunAs) -> Result<Self> {
        let base = reachable_base(run_as)?;
        sweep(&base, run_as);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&base)
            .doing(|| format!("making a directory in {}", base.display()))?;
        let path = dir.path();
        // Locked before it gets its name: a sweep never sees our lock file unlocked.
        let unnamed = path.join("owner.lock.new");
        let lock = File::create(&unnamed).doing(|| format!("creating {}", unnamed.display()))?;
        lock.lock().doing(|| format!("locking {}", unnamed.display()))?;
        fs::rename(&unnamed, path.join(LOCK)).doing(|| format!("renaming {}", unnamed.display()))?;
        if let Some((uid, gid)) = run_as.ids() {
            chown(path, Some(uid), Some(gid)).doing(|| format!("giving {} away", path.display()))?;
        }
        let keeper = end(path, Stdio::piped())?;
        Ok(Self {
            dir,
            keeper,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Closing its standard input is what wakes the keeper; it does the rest, and we wait for it.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Runs the script on `dir`; with `Stdio::null()` it acts at once, with a pipe when the pipe's other end is closed.
fn end(dir: &Path, stdin: Stdio) -> Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", END, "daypass-testbed-keeper"])
        .arg(dir)
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not in our group: Ctrl-C at the terminal ends us, and then the keeper has work to do.
        .process_group(0)
        .spawn()
        .doing(|| "starting /bin/sh".into())
}

/// Ends and removes what earlier processes left in `base`. What cannot be looked at is left alone.
fn sweep(base: &Path, run_as: &RunAs) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let dir = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && is_abandoned(&dir, run_as)
            && let Ok(mut child) = end(&dir, Stdio::null())
        {
            let _ = child.wait();
        }
    }
}

/// Whether `dir` was made by this crate and user, and its owner is gone. Links and other people's directories never are.
fn is_abandoned(dir: &Path, run_as: &RunAs) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let server = run_as.ids().map_or(me, |(uid, _)| uid);
    let (Ok(about), Ok(lock)) = (fs::symlink_metadata(dir), fs::symlink_metadata(dir.join(LOCK))) else {
        return false;
    };
    if !about.is_dir() || !lock.is_file() || lock.uid() != me || ![me, server].contains(&about.uid()) {
        return false;
    }
    match File::open(dir.join(LOCK)).map(|file| file.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => false,
    }
}

/// A temporary directory that `run_as` can enter: the system's choice (`TMPDIR`) first.
fn reachable_base(run_as: &RunAs) -> Result<PathBuf> {
    let candidates = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let found = candidates
        .iter()
        .find(|dir| dir.is_dir() && (run_as.ids().is_none() || is_open_to_all(dir)));
    found.cloned().ok_or_else(|| Error::NoPlace {
        user: run_as.name().to_owned(),
        looked: candidates.map(|dir| dir.display().to_string()).join(", "),
    })
}

/// Whether everybody may enter `dir` and every directory above it.
fn is_open_to_all(dir: &Path) -> bool {
    const OTHERS_MAY_ENTER: u32 = 0o001;
    let Ok(dir) = dir.canonicalize() else { return false };
    dir.ancestors()
        .all(|up| fs::metadata(up).is_ok_and(|about| about.permissions().mode() & OTHERS_MAY_ENTER != 0))
}

/// Copies the tree `from` into `to`, which must not exist yet, giving everything to `owner`.
pub(super) fn copy_tree(from: &Path, to: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let copy = || -> std::io::Result<()> {
        let mut todo = vec![(from.to_owned(), to.to_owned())];
        while let Some((from, to)) = todo.pop() {
            fs::create_dir(&to)?;
            fs::set_permissions(&to, fs::metadata(&from)?.permissions())?;
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                let target = to.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    todo.push((entry.path(), target));
                    continue;
                }
                if !kind.is_file() {
                    return Err(ErrorKind::Unsupported.into());
                }
                fs::copy(entry.path(), &target)?;
                if let Some((uid, gid)) = owner {
                    chown(&target, Some(uid), Some(gid))?;
                }
            }
            if let Some((uid, gid)) = owner {
                chown(&to, Some(uid), Some(gid))?;
            }
        }
        Ok(())
    };
    copy().doing(|| format!("copying {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::time::Duration;

    fn run_as() -> RunAs {
        RunAs::unprivileged().unwrap()
    }

    #[test]
    fn dropping_removes_everything() {
        let place = Place::new(&run_as()).unwrap();
        let path = place.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("postgres.log"), "x").unwrap();
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn the_keeper_removes_it_when_the_owner_cannot() {
        let mut place = Place::new(&run_as()).unwrap();
        let path = place.path().to_owned();
        // What the system does to a process that is killed: its end of the pipe closes, nothing else runs.
        drop(place.keeper.stdin.take());
        let _not_dropped = std::mem::ManuallyDrop::new(place);
        wait::until("the directory to go", Duration::from_secs(10), || {
            Ok((!path.exists()).then_some(()))
        })
        .unwrap();
    }

    #[test]
    fn the_sweep_takes_what_nobody_holds_and_leaves_what_somebody_does() {
        let run_as = run_as();
        let base = tempfile::tempdir().unwrap();
        let abandoned = base.path().join("daypass-testbed-abandoned");
        let held = base.path().join("daypass-testbed-held");
        let foreign = base.path().join("daypass-testbed-foreign"); // no lock file: not ours
        let other = base.path().join("something-else");
        for dir in [&abandoned, &held, &foreign, &other] {
            fs::create_dir(dir).unwrap();
        }
        for dir in [&abandoned, &held, &other] {
            File::create(dir.join(LOCK)).unwrap();
        }
        let lock = File::open(held.join(LOCK)).unwrap();
        lock.lock().unwrap();

        sweep(base.path(), &run_as);

        assert!(!abandoned.exists());
        assert!(held.exists() && foreign.exists() && other.exists());
    }

    #[test]
    fn a_directory_behind_a_closed_one_is_not_reachable() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(is_open_to_all(&inner));
        fs::set_permissions(outer.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(!is_open_to_all(&inner));
        assert!(is_open_to_all(Path::new("/")));
    }
}
