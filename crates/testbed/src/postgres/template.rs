//! A data directory to copy: `initdb` takes most of a start, and its answer is the same every time.
//!
//! Kept in the user's cache directory under the server's full version, so that an upgrade makes a new one.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::installed::Installed;
use super::place::copy_tree;
use super::{SUPERUSER, run};
use crate::Result;
use crate::error::Doing;
use crate::port::random_hex;
use crate::run_as::RunAs;

/// Counted up when the arguments of `initdb` below change.
const FORMAT: u32 = 1;

/// Puts a fresh data directory at `home/data`, owned by `run_as`: a copy of the template, which is made first if missing.
pub(super) fn lay_out(installed: &Installed, run_as: &RunAs, home: &Path) -> Result<()> {
    let data = home.join("data");
    let Some(template) = cached(&installed.version()?) else {
        return initdb(installed, run_as, home);
    };
    if template.is_dir() {
        return copy_tree(&template, &data, run_as.ids());
    }
    initdb(installed, run_as, home)?;
    // A cache that cannot be written costs the next start half a second; it is no reason to fail this one.
    let _ = keep(&data, &template);
    Ok(())
}

/// Copies `data` to a name of its own beside `template` and renames it: the template is complete or not there.
fn keep(data: &Path, template: &Path) -> Result<()> {
    let mut unfinished = OsString::from(template);
    unfinished.push(format!(".{}", random_hex::<8>()?));
    let unfinished = PathBuf::from(unfinished);
    let parent = template.parent().unwrap_or(template);
    fs::create_dir_all(parent).doing(|| format!("making {}", parent.display()))?;
    let kept = copy_tree(data, &unfinished, None).and_then(|()| {
        fs::rename(&unfinished, template).doing(|| format!("renaming {}", unfinished.display()))
    });
    if kept.is_err() {
        // Somebody else was first, or the disk is full.
        let _ = fs::remove_dir_all(&unfinished);
    }
    kept
}

/// Where the template of this version belongs; `None` without a home directory.
fn cached(version: &str) -> Option<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() => dir,
        _ => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(cache.join("daypass").join("testbed").join(name(version)))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` as one path component.
fn name(version: &str) -> String {
    let version: String = version
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{version}-{}-{FORMAT}", std::env::consts::ARCH)
}

/// Runs `initdb` into `home/data`: UTF-8, the C locale, passwords only, and no local socket.
fn initdb(installed: &Installed, run_as: &RunAs, home: &Path) -> Result<()> {
    // Demanded by scram-sha-256; every cluster gets a password of its own before its first start.
    let first = home.join("initdb-password");
    fs::write(&first, random_hex::<16>()?).doing(|| format!("writing {}", first.display()))?;
    if let Some((uid, gid)) = run_as.ids() {
        std::os::unix::fs::chown(&first, Some(uid), Some(gid))
            .doing(|| format!("giving {} away", first.display()))?;
    }
    let mut command = run_as.command(&installed.program("initdb"), home);
    command
        .args([
            "--pgdata=data",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "--pwfile=initdb-password",
        ])
        .args([
            "--auth-host=scram-sha-256",
            "--auth-local=reject",
            "--username",
            SUPERUSER,
        ])
        .stdin(Stdio::null());
    run(command, None)?;
    fs::remove_file(&first).doing(|| format!("removing {}", first.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_own_template() {
        let debian = name("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)");
        assert!(
            debian.starts_with("postgres--PostgreSQL--15-18--Debian-15-18-0-deb12u1--"),
            "{debian}"
        );
        assert_ne!(debian, name("postgres (PostgreSQL) 15.18"));
    }

    #[test]
    fn a_template_is_kept_once_and_a_late_second_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("PG_VERSION"), "15").unwrap();
        let template = dir.path().join("cache").join("template");

        keep(&data, &template).unwrap();
        assert_eq!(fs::read_to_string(template.join("PG_VERSION")).unwrap(), "15");
        assert!(keep(&data, &template).is_err());
        assert_eq!(fs::read_dir(dir.path().join("cache")).unwrap().count(), 1);
    }
}
