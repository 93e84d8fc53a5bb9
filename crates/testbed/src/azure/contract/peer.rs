//! Installs the validator, pinned and with the hashes of its files, below the target directory, where the next run finds it; and runs it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Doing as _;
use crate::{Error, Result};

/// What it is made of.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("package.json")),
    ("package-lock.json", include_str!("package-lock.json")),
    ("check.js", include_str!("check.js")),
];

/// The folder with the script, made where it is not there yet; none where there is no npm, outside CI.
pub(super) fn installed() -> Result<Option<PathBuf>> {
    let made_of: String = FILES.map(|(_, text)| text).concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made_of.as_bytes());
    let name: String = digest
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let below = below();
    let place = below.join(format!("oav-{name}"));
    if place.is_dir() {
        return Ok(Some(place));
    }
    std::fs::create_dir_all(&below).doing(|| format!("making {}", below.display()))?;
    // Beside its place, then moved there: two tests may install at once, and half of it is never found.
    let making = tempfile::tempdir_in(&below).doing(|| "making a folder for oav".into())?;
    for (name, text) in FILES {
        std::fs::write(making.path().join(name), text).doing(|| format!("writing {name}"))?;
    }
    let npm = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(making.path())
        .stdin(Stdio::null())
        .output();
    let done = match npm {
        Ok(done) => done,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            return Ok(None);
        }
        Err(error) => return Err(error).doing(|| "running npm, which cargo xtask setup installs".into()),
    };
    succeeded("npm", &done)?;
    let made = making.keep();
    if let Err(error) = std::fs::rename(&made, &place) {
        // Somebody else was first.
        std::fs::remove_dir_all(&made).doing(|| format!("removing {}", made.display()))?;
        if !place.is_dir() {
            return Err(error).doing(|| format!("moving oav to {}", place.display()));
        }
    }
    Ok(Some(place))
}

/// The target directory, known by cargo's mark in it; without one, where temporary files are.
fn below() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program.ancestors().find(|one| one.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(std::env::temp_dir, |target| target.join("tmp"))
}

fn succeeded(program: &str, done: &std::process::Output) -> Result<()> {
    if done.status.success() {
        return Ok(());
    }
    Err(Error::Program {
        program: PathBuf::from(program),
        status: done.status.to_string(),
        output: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}

/// Asks the validator.
pub(super) fn run(peer: &Path, asked: &Value) -> Result<Value> {
    let mut child = Command::new("node")
        .arg(peer.join("check.js"))
        .current_dir(peer)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| "starting node".into())?;
    if let Some(mut input) = child.stdin.take() {
        let written = input.write_all(asked.to_string().as_bytes());
        written.doing(|| "telling node what was asked and answered".into())?;
    }
    let done = child.wait_with_output().doing(|| "waiting for node".into())?;
    succeeded("node", &done)?;
    serde_json::from_slice(&done.stdout).map_err(|error| Error::Program {
        program: "node".into(),
        status: error.to_string(),
        output: String::from_utf8_lossy(&done.stdout).into_owned(),
    })
}
