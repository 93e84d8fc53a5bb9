//! Installs the validator, pinned and with the hashes of its files, below the target directory, where the next run finds it; and asks it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

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
    if !done.status.success() {
        return Err(failure("npm", &done));
    }
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

fn failure(program: &str, done: &Output) -> Error {
    Error::Program {
        program: PathBuf::from(program),
        status: done.status.to_string(),
        output: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// The validator of this process, once it was asked. To begin takes it seconds, so that one is enough for all tests; it ends with its
/// input, which ends with this process.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Asks the validator; what is given is one line to it, and so is its answer.
pub(super) fn ask(peer: &Path, descriptions: &Path, files: &[&str], exchanges: &Value) -> Result<Value> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut one = match running.take() {
        Some(one) => one,
        None => start(peer, descriptions, files)?,
    };
    let mut line = String::new();
    let asked = writeln!(one.input, "{exchanges}").and_then(|()| one.input.flush());
    let answered = asked.and_then(|()| one.output.read_line(&mut line));
    if !answered.is_ok_and(|read| read > 0) {
        drop(one.input);
        let done = one.child.wait_with_output().doing(|| "waiting for node".into())?;
        return Err(failure("node", &done));
    }
    *running = Some(one);
    serde_json::from_str(&line).map_err(|error| Error::Program {
        program: "node".into(),
        status: error.to_string(),
        output: line,
    })
}

fn start(peer: &Path, descriptions: &Path, files: &[&str]) -> Result<Running> {
    let mut child = Command::new("node")
        .arg(peer.join("check.js"))
        .arg(descriptions)
        .args(files.iter().map(|file| descriptions.join(file)))
        .current_dir(peer)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| "starting node".into())?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok(Running {
            child,
            input,
            output: BufReader::new(output),
        }),
        _ => Err(std::io::Error::other("it has no pipes")).doing(|| "starting node".into()),
    }
}
